# SPDX-License-Identifier: MIT
# --help, manual pages, completions and README name the same commands, options
# and mount options; the pages are clean, and each shell takes its completions.
load ../lib/bucketmap

TOP=$BATS_TEST_DIRNAME/../..
PAGES=$TOP/fs/man

setup() {
        scratch_new
        source "$BATS_TEST_DIRNAME/../lib/completions.bash"
        mapfile -t commands < <("$BUCKETMAP" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
        [ "${#commands[@]}" -gt 10 ]
        mapfile -t shells < <(for shell in bash fish zsh; do command -v "$shell"; done | xargs -n 1 basename)
        [ -e /usr/share/bash-completion/bash_completion ] || missing "bash-completion"
        [ "${#shells[@]}" -eq 3 ] || missing "bash, fish and zsh"
}

# The options in text like "-j, --json" or "-o OPT".
options_of() {
        grep -oE -- '(^|[^[:alnum:]-])--?[[:alpha:]][[:alnum:]-]*' | grep -oE -- '--?[[:alpha:]].*'
}

long_options_of() {
        options_of | grep '^--'
}

help_options() {
        "$@" --help | sed -n 's/^  \(-.*\)/\1/p' | sed 's/  .*//' | options_of
}

words() {
        tr -s ' \n' '\n' <<<"$1" | grep . | sort -u | paste -sd ' '
}

# same WHAT A B: the words in A and in B
same() {
        assert_equal "$1: $(words "$2")" "$1: $(words "$3")"
}

# Section NAME of a page, to the next one of its level or above.
section() {
        awk -v title="$2" '
                /^##? / { inside = index($0, title) == 1; next }
                inside' "$PAGES/$1.scd"
}

# Terms that a section explains: lines that begin with *WORD*.
terms() {
        grep '^\*' | grep -oE '\*[^*]+\*' | tr -d '*\\'
}

@test "bucketmap(1) has the commands of --help, and each one's options" {
        local command
        same commands "${commands[*]}" "$(grep -oE '^## [a-z]+' "$PAGES/bucketmap.1.scd" | cut -c4-)"
        same synopsis "${commands[*]}" \
                "$(section bucketmap.1 '# SYNOPSIS' | grep -oE '^\*bucketmap [a-z]+' | cut -d' ' -f2)"
        for command in "${commands[@]}"; do
                same "$command" "$(help_options "$BUCKETMAP" "$command")" \
                        "-h --help -V --version $(section bucketmap.1 "## $command" | grep '^\*-' | tr -d '*' | options_of)"
        done
}

@test "mount.bucketmap(8) has the options of both helpers" {
        local helper
        for helper in mount umount; do
                ln -s "$BUCKETMAP" "$helper.bucketmap"
                help_options "./$helper.bucketmap"
        done >wanted
        same helpers "$(cat wanted)" "$(section mount.bucketmap.8 '# OPTIONS OF THE HELPERS' | grep '^\*-' |
                sed 's/, and .*//' | tr -d '*' | options_of)"
}

# Names of the mount options in --help, without values.
mount_options_of_help() {
        "$BUCKETMAP" mount --help | sed -n '/^Mount options:/,$s/^  \([a-z_]*\).*/\1/p'
}

mount_options_of_page() {
        section mount.bucketmap.8 "$1" | terms | sed 's/=.*//'
}

@test "mount options: --help, mount.bucketmap(8), the README and the parser" {
        local ours theirs ignored
        ours=$(mount_options_of_page '## Of bucketmap')
        theirs=$(mount_options_of_page '## Of FUSE')
        ignored=$(mount_options_of_page '## Of mount(8)')
        same --help "$(mount_options_of_help)" "$ours"
        same README "$ours" "$(awk '/^## / { inside = /^## Options/ } inside && /^\| `/' "$TOP/README.md" |
                cut -d'|' -f2 | tr -d '` ' | tr ',' '\n' | sed 's/=.*//')"
        # fsname and subtype are for bucketmap to set, remount is refused
        same parser "$(grep -oE 'FUSE_OPT_KEY\("[^"]+' "$TOP/fs/options.c" | cut -d'"' -f2 | sed 's/=.*//')" \
                "$ours $theirs ${ignored//[xX]-/} fsname remount subtype"
}

@test "completions offer the commands, each one's options, and the mount options" {
        local shell command
        for shell in "${shells[@]}"; do
                same "$shell" "${commands[*]}" "$(complete_in "$shell" bucketmap '')"
                for command in "${commands[@]}"; do
                        same "$shell $command" "$(help_options "$BUCKETMAP" "$command")" \
                                "$(complete_in "$shell" bucketmap "$command" - | sed 's/=$//')"
                done
                same "$shell -o" "$(mount_options_of_page '## Of bucketmap') $(mount_options_of_page '## Of FUSE')" \
                        "$(complete_in "$shell" bucketmap mount -o '' | sed 's/=.*//')"
                complete_in "$shell" bucketmap mount -o ro,noc | grep -qE '^(ro,)?nocreate$'
                complete_in "$shell" bucketmap mount -o ro,unlink=g | grep -qE '^(ro,unlink=)?guard$'
                assert_equal "$shell: $(complete_in "$shell" bucketmap create --keys=)" "$shell: "
        done
}

@test "completions offer mount points and stores of what is mounted" {
        require_fuse
        local shell command
        STORE=$SCRATCH/"a store"
        MNT=$SCRATCH/"a mount"
        mkdir "$MNT"
        mount_store
        for shell in "${shells[@]}"; do
                for command in umount sync stats info export import; do
                        complete_in "$shell" bucketmap "$command" '' | grep -qE "^(a mount|$MNT)/?$" ||
                                fail "$shell $command: no mount point"
                done
                for command in info export import; do
                        complete_in "$shell" bucketmap "$command" '' | grep -qE "^(a store|$STORE)/?$" ||
                                fail "$shell $command: no store"
                done
                # what is not mounted: by directories
                complete_in "$shell" bucketmap check '' | grep -qE '^a store/?$'
        done
}

@test "the README has every command with its long options, and no other" {
        local command line option
        same commands "${commands[*]}" "$(grep -oE '^\| `bucketmap [a-z]+' "$TOP/README.md" | cut -d' ' -f3)"
        for command in "${commands[@]}"; do
                line=$(grep "^| \`bucketmap ${command}[ \`]" "$TOP/README.md" | sed 's/` |.*//')
                same "$command" "$(help_options "$BUCKETMAP" "$command" | grep '^--')" \
                        "--help --version $(long_options_of <<<"$line")"
        done
        # elsewhere in it: `bucketmap COMMAND ...`, $ bucketmap COMMAND ...
        while read -r _ command line; do
                [[ " ${commands[*]} COMMAND " = *" $command "* ]] || fail "the README names a command $command"
                [ "$command" != COMMAND ] || continue
                for option in $(long_options_of <<<"$line"); do
                        [[ " $(words "$(help_options "$BUCKETMAP" "$command")") " = *" $option "* ]] ||
                                fail "the README has $command with $option"
                done
        done < <(grep -oE '[`$;|0] ?bucketmap [a-zA-Z]+[^|`>&]*' "$TOP/README.md" | sed 's/^.[ ]*//')
}

@test "the messages in the README are those that are printed" {
        require_command python3
        cat >check.py <<'END'
import errno, glob, os, re, sys
top = sys.argv[1]
printed = "".join(open(file).read() for file in glob.glob(f"{top}/fs/*.[ch]") + glob.glob(f"{top}/core/*.c"))
printed = re.sub(r'"\s*"', "", printed)
printed += "\n".join(os.strerror(number) for number in errno.errorcode)
# by others: fusermount3, attr, ld.so
printed += """option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf
user has no write access to mountpoint
No such attribute
error while loading shared libraries: libbucketmap.so.0"""
readme = open(f"{top}/README.md").read()
table = re.search(r"^## When something is wrong$(.*?)^## ", readme, re.S | re.M)[1]
messages = re.findall(r"`([^`]+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.M)))
assert len(messages) > 20
for message in messages:
    # what stands for something else is in capitals, or a number
    for part in re.split(r"\b[A-Z]+\b|\b\d+\b|\.\.\.|[(),;:']", message):
        if part.strip() and part.strip() not in printed:
            sys.exit(f"nobody prints '{part.strip()}' ({message})")
END
        run_cmd python3 check.py "$TOP"
}

@test "the pages are clean, and name no page of ours that is not there" {
        local page name
        [ -d "${BUCKETMAP_BUILD:-}/fs/man" ] && [ -e "$BUCKETMAP_BUILD/fs/man/bucketmap.1" ] || missing "scdoc"
        require_command man mandoc
        for page in "$PAGES"/*.scd; do
                name=$(basename "$page" .scd)
                # of the build that is tested
                page=$BUCKETMAP_BUILD/fs/man/$name
                run_cmd env MANWIDTH=80 man -l --warnings "$page"
                assert_equal "$stderr" ""
                [[ $stdout = *"SEE ALSO"* ]]
                # empty paragraphs are how scdoc writes
                run_cmd -any mandoc -T lint -W warning "$page"
                assert_equal "$(grep -v 'skipping paragraph macro' <<<"$output" || true)" ""
                while read -r other; do
                        assert_file_exists "$PAGES/$other.scd"
                done < <(grep -oE '\*[a-z.-]*bucketmap[a-z-]*\*\([0-9]\)' "$PAGES/$name.scd" |
                        sed 's/^\*\(.*\)\*(\(.\))$/\1.\2/' | grep -v '^umount\.\|^mount\.fuse' | sort -u)
        done
}

@test "the files and tests that DESIGN's table of holes names are there" {
        local top=$BATS_TEST_DIRNAME/../.. name rows
        rows=$(sed -n '/^| n | hole/,/^$/p' "$top/core/DESIGN.md" | grep -E '^\| [0-9]+ ')
        [ "$(wc -l <<<"$rows")" -eq 30 ]
        for name in $(cut -d'|' -f5 <<<"$rows" | grep -oE '`[a-z_*]+\.[ch]`' | tr -d '`'); do
                run_cmd compgen -G "$top/core/$name"
        done
        for name in $(cut -d'|' -f6 <<<"$rows" | grep -oE '`[a-z0-9-]+`' | tr -d '`'); do
                run_cmd find "$top/tests" -name "$name.*" -o -name "test-$name.c"
                [ -n "$output" ]
        done
}
