#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What the README shows, done with an installed copy.

load ../lib/bucketmap

setup() {
        scratch_new
        require_command meson pkg-config gcc
        run_cmd env DESTDIR="$SCRATCH/root" meson install -C "$BUCKETMAP_BUILD" --no-rebuild --quiet
        library=$(find "$SCRATCH/root" -name libbucketmap.so)
        export LD_LIBRARY_PATH=${library%/*} PKG_CONFIG_PATH=${library%/*}/pkgconfig
        export PKG_CONFIG_SYSROOT_DIR=$SCRATCH/root
}

@test "the C example compiles with pkg-config alone, and runs" {
        awk '/^```c$/ { code = 1; next } /^```/ { code = 0 } code' "$BATS_TEST_DIRNAME/../../README.md" >example.c
        grep -q 'int main' example.c
        read -ra flags < <(pkg-config --cflags --libs bucketmap)
        run_cmd gcc -std=c17 -Wall -Wextra -Werror -o example example.c "${flags[@]}"
        run_cmd ./example
}

# The blocks of the README that begin with a prompt: commands and what they print.
transcripts() {
        awk '/^```/ { first = !inside; inside = !inside; next }
             inside && first { wanted = /^\$ /; first = 0 }
             inside && wanted' "$BATS_TEST_DIRNAME/../../README.md"
}

# Figures differ where the files do: those of some commands are made alike.
figures_alike() {
        sed -e "s,$HOME,/home/you,g" -e "s/ $(id -un) $(id -gn) / you you /" |
                awk '/^\$ / { loose = /^\$ (find|ls -l|bucketmap info)/ }
                     loose && !/^\$ / {
                             gsub(/[0-9]+(\.[0-9]+)?/, "N")
                             gsub(/(bytes|[KMG]iB)/, "B")
                             gsub(/[A-Z][a-z][a-z] +N +N(:N)?/, "DATE")
                     }
                     { print }'
}

@test "what the README shows is what happens" {
        require_fuse
        require_command getfattr
        export HOME=$SCRATCH/home/you PATH=${library%/lib/*}/bin:$PATH
        STORE=$HOME/.local/share/bucketmap/home-you-kv
        mkdir -p "$HOME/kv" "${STORE%/*}"
        transcripts | figures_alike >wanted
        {
                # shellcheck disable=SC2016 # for the script
                echo 'source "$1"; source "$2"
                      answers() { stat -f ~/kv >/dev/null 2>&1; }
                      silent() { ! answers; }
                      kill() { builtin kill "$@" && wait_until silent; }'
                transcripts | sed -n 's/^\$ //p' | while IFS= read -r command; do
                        printf 'echo %q\n%s\n' "\$ $command" "$command"
                done
        } >script
        run_cmd "$(command -v bucketmap)" mount "$STORE" "$HOME/kv"
        run_cmd bash -c 'cd ~/kv && exec 2>&1 && source "$0"' "$SCRATCH/script" \
                "$BATS_TEST_DIRNAME/../lib/mount.bash" "$BATS_TEST_DIRNAME/../lib/run.bash"
        figures_alike <<<"$stdout" >happened
        [ "$(grep -c '^\$ ' happened)" -gt 20 ]
        run_cmd diff wanted happened
        refute is_mounted "$HOME/kv"
}

@test "the installed library shows its soname and nothing but bm_ names" {
        run_cmd readelf -d "$library"
        assert_line --regexp 'SONAME.*libbucketmap\.so\.0'
        nm -D --defined-only "$library" | awk '{ print $NF }' | sed 's/@.*//' | sort >names
        grep -qx bm_open names
        run_cmd -1 grep -v '^bm_' names
}

@test "the header compiles alone, as C and as C++" {
        read -ra flags < <(pkg-config --cflags bucketmap)
        echo '#include <bucketmap.h>' >alone.c
        run_cmd gcc -std=c11 -Wall -Wextra -Werror -pedantic "${flags[@]}" -fsyntax-only alone.c
        command -v g++ >/dev/null || skip "missing: g++"
        run_cmd g++ -x c++ -Wall -Wextra -Werror "${flags[@]}" -fsyntax-only alone.c
}

@test "the README names the packages that scripts/packages lists for building" {
        for package in $(awk '$1 == "build" { print $2 }' "$BATS_TEST_DIRNAME/../../scripts/packages"); do
                run_cmd grep -qwF -- "$package" "$BATS_TEST_DIRNAME/../../README.md"
        done
}

@test "each accident of the table is linked to the tests that prove it" {
        local readme=$BATS_TEST_DIRNAME/../../README.md line links link rows=0
        while IFS= read -r line; do
                rows=$((rows + 1))
                links=$(grep -oE '\]\(tests/(fs|crash)/[^)]*\)' <<<"$line")
                for link in $links; do
                        link=${link#](}
                        run_cmd test -f "${readme%/*}/${link%)}"
                done
        done < <(sed -n '/^| accident/,/^$/p' "$readme" | tail -n +3 | grep '^|')
        [ "$rows" -ge 7 ]
}
