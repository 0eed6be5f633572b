# SPDX-License-Identifier: MIT
# What the command says about itself, and to those who call it wrongly.
load ../lib/bucketmap

# usage_error WANTED ARGS...: exit code 2, nothing on stdout, WANTED in the one line on stderr
usage_error() {
        local wanted=$1
        shift
        run_bm -2 "$@"
        assert_equal "$stdout" ""
        assert_equal "${#lines[@]}" 1
        [[ $stderr = *"$wanted"* ]] || fail "wanted: $wanted"
}

@test "--help, -h and --version of the command and of each subcommand go to stdout" {
        local option command
        for option in --help -h; do
                run_bm "$option"
                assert_equal "$stderr" ""
                [[ $stdout = "Usage: bucketmap "* ]]
                for command in mount umount create sync info check; do
                        [[ $stdout = *"  $command "* ]] || fail "$command is not listed"
                done
        done
        for command in mount umount create sync info check; do
                for option in --help -h; do
                        run_bm "$command" "$option"
                        assert_equal "$stderr" ""
                        [[ $stdout = "Usage: bucketmap $command "* ]]
                done
                run_bm "$command" --version
                [[ $stdout =~ ^bucketmap\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
        done
        run_bm --version
        [[ $stdout =~ ^bucketmap\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
}

@test "help names every mount option" {
        local word
        run_bm mount --help
        for word in ro nocreate allow_other nopermcheck 'unlink=delete|guard' list_counts commit= buckets= \
                max_search=; do
                [[ $stdout = *"  $word"* ]] || fail "$word is missing"
        done
}

@test "help has lines of at most 79 characters, none broken within a mount option" {
        local command
        for command in mount umount create sync info stats export import check refs rm; do
                run_bm "$command" --help
                [ -z "$(grep -E '.{80}' <<<"$stdout")" ] || fail "$command has longer lines"
        done
        run_bm mount --help
        # after the list begins, a line is an option, goes on below its text, or ends the list
        sed '1,/^Mount options:$/d' <<<"$stdout" >options
        [ "$(wc -l <options)" -gt 10 ]
        run_cmd -1 grep -vE '^  [a-z]|^ {20}|^and those of' options
}

@test "usage errors are one line on stderr and exit code 2" {
        usage_error "a command is missing"
        usage_error "unknown command 'frobnicate'" frobnicate
        usage_error "unknown option '--frobnicate'" --frobnicate
        usage_error "STORE is missing" mount
        usage_error "DIR is missing" mount "$STORE"
        usage_error "one argument too many: 'x'" mount "$STORE" "$MNT" x
        usage_error "STORE is empty" mount "" "$MNT"
        usage_error "unrecognized option '--frob'" mount --frob "$STORE" "$MNT"
        usage_error "invalid option -- 'z'" mount -z "$STORE" "$MNT"
        usage_error "requires an argument -- 'o'" mount "$STORE" "$MNT" -o
        usage_error "DIR is missing" umount
        usage_error "DIR is missing" sync
        usage_error "STORE is missing" create
        usage_error "STORE is missing" check
        usage_error "STORE|DIR is missing" info
        usage_error "unrecognized option '--xml'" info --xml "$STORE"
        usage_error "--buckets=3: wants a power of two" create --buckets=3 "$STORE"
        usage_error "--max-search=5: wants a multiple of 4" create --max-search=5 "$STORE"
        usage_error "--keys=many: wants a number" create --keys=many "$STORE"
        assert_not_exists "$STORE"
}

@test "mount options: unknown ones are refused by name, values are checked, nothing is made" {
        usage_error "option 'frobnicate': unknown" mount -o ro,frobnicate "$STORE" "$MNT"
        usage_error "option 'r0': unknown" mount -o noexec -o r0 "$STORE" "$MNT"
        usage_error "option 'commit=soon': wants" mount -o commit=soon "$STORE" "$MNT"
        usage_error "option 'buckets=6': wants" mount -o buckets=6 "$STORE" "$MNT"
        usage_error "option 'max_search=3': wants" mount -o max_search=3 "$STORE" "$MNT"
        usage_error "option 'unlink=maybe': wants delete or guard" mount -o unlink=maybe "$STORE" "$MNT"
        usage_error "option 'commit': wants a value" mount -o commit "$STORE" "$MNT"
        usage_error "option 'fsname=x'" mount -o fsname=x "$STORE" "$MNT"
        assert_not_exists "$STORE"
}
