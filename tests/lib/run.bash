# SPDX-License-Identifier: MIT
# Running commands so that a failing test shows each one with its output.

run_number=0

# run_cmd [-N|-any] COMMAND...
# Runs COMMAND with its output in files, so that a daemon which kept them open
# could not hang the test, and with none of bats's descriptors. Sets status,
# stdout, stderr, output (both, stdout first) and lines. Fails unless the
# status is N (0).
run_cmd() {
        local want=0 file=$BATS_TEST_TMPDIR/run$((run_number += 1))
        if [[ $1 =~ ^-([0-9]+|any)$ ]]; then
                want=${BASH_REMATCH[1]}
                shift
        fi
        status=0
        "$@" >"$file.stdout" 2>"$file.stderr" </dev/null 3>&- || status=$?
        # NUL bytes cannot stand in a variable; bash warns that it leaves them out
        { stdout=$(<"$file.stdout") stderr=$(<"$file.stderr"); } 2>/dev/null
        output=$stdout${stdout:+${stderr:+$'\n'}}$stderr
        mapfile -t lines <<<"$output"

        printf '$ %q' "$1"
        [ $# -eq 1 ] || printf ' %q' "${@:2}"
        printf '\n'
        [ -z "$output" ] || printf '%s\n' "$output"
        [ "$want" = any ] || [ "$status" -eq "$want" ] || {
                printf -- '-- status %d, wanted %d\n' "$status" "$want"
                return 1
        }
}

# The same for the binary under test.
run_bm() {
        local expected=()
        if [[ $1 =~ ^-([0-9]+|any)$ ]]; then
                expected=("$1")
                shift
        fi
        run_cmd "${expected[@]}" "$BUCKETMAP" "$@"
}

# wait_until COMMAND...: polls until it succeeds. The bound only keeps a
# failing test from hanging; nothing is measured.
wait_until() {
        local deadline=$((SECONDS + 120))
        until "$@"; do
                if ((SECONDS >= deadline)); then
                        printf 'gave up waiting for: %s\n' "$*"
                        return 1
                fi
                sleep 0.02
        done
}
