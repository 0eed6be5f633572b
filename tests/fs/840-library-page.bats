# SPDX-License-Identifier: MIT
# libbucketmap(3) describes what the library exports, as it is, and its example
# works: all of it is taken from the page as a reader sees it.
load ../lib/bucketmap

TOP=$BATS_TEST_DIRNAME/../..

setup() {
        scratch_new
        page=${BUCKETMAP_BUILD:-}/fs/man/libbucketmap.3
        [ -e "$page" ] || missing "scdoc"
        require_command man gcc nm
        MANWIDTH=120 man --no-hyphenation -l "$page" | col -bx >page
        library=$BUCKETMAP_BUILD/core/libbucketmap.so
        nm -D --defined-only "$library" | awk '{ print $NF }' | sed 's/@.*//' | sort -u >exported
        grep -qx bm_open exported
}

# Sections of the page, without their titles.
section() {
        awk -v title="$1" '/^[A-Z]/ { inside = $0 == title; next } inside' page
}

# What stands in a block of its own: deeper than the text.
prototypes() {
        awk '/^EXAMPLE/ { exit }
             /^           [a-z].*bm_[a-z_]*\(/ { inside = 1 }
             inside { print }
             /;$/ { inside = 0 }' page
}

@test "every exported function is described, and no other" {
        grep -oE '\bbm_[a-z0-9_]+' page | grep -vE '_fn$' | sort -u >named
        # types are named as well
        grep -oE '^(struct|enum) bm_[a-z_]+' "$TOP/core/bucketmap.h" | cut -d' ' -f2 | sort -u >types
        run_cmd comm -23 exported named
        assert_equal "$stdout" ""
        run_cmd bash -c 'comm -13 exported named | comm -23 - types'
        assert_equal "$stdout" ""
        # with a prototype each
        prototypes | grep -oE '\bbm_[a-z0-9_]+\(' | tr -d '(' | sort -u >declared
        run_cmd diff exported declared
}

@test "the Debian package lists the same" {
        sed -n 's/^ \(bm_[a-z0-9_]*\)@.*/\1/p' "$TOP/scripts/debian/libbucketmap0.symbols" | sort -u >packaged
        run_cmd diff exported packaged
}

@test "its prototypes and limits are the header's" {
        {
                echo '#include <bucketmap.h>'
                prototypes
        } >declared.c
        run_cmd gcc -std=c17 -Wall -Wextra -Werror -I"$TOP/core" -fsyntax-only declared.c
        # a macro that is defined otherwise is an error, too
        {
                echo '#include <bucketmap.h>'
                grep -oE '#define BM_.*' page
        } >limits.c
        [ "$(grep -c define limits.c)" -gt 4 ]
        run_cmd gcc -std=c17 -Wall -Wextra -Werror -I"$TOP/core" -fsyntax-only limits.c
}

@test "every outcome of enum bm_error is described" {
        sed -n '/^enum bm_error/,/^};/p' "$TOP/core/bucketmap.h" | grep -oE 'BM_E_[A-Z_]+' | sort -u >outcomes
        grep -oE 'BM_E_[A-Z_]+' page | sort -u >named
        run_cmd diff outcomes named
}

@test "its example compiles and runs" {
        section EXAMPLE >example.c
        grep -q 'int main' example.c
        run_cmd gcc -std=c17 -Wall -Wextra -Werror -I"$TOP/core" -o example example.c "$library" \
                -Wl,-rpath,"$BUCKETMAP_BUILD/core"
        run_cmd ./example "$STORE"
        assert_equal "$(sort <<<"$stdout")" "one: 1 bytes, count 1
two: 2 bytes, count 7"
        run_cmd ./example "$STORE"
        check_store
        mkdir full
        echo 1 >full/file
        run_cmd -1 ./example full
        [[ $stderr = *"not a bucketmap store"* ]]
}
