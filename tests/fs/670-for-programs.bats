# SPDX-License-Identifier: MIT
# check --json and its progress; the daemon's figures on a signal.
load ../lib/bucketmap

@test "check --json: a summary, after a line for each finding" {
        require_fuse
        require_command jq
        mount_store
        mkdir -p "$MNT/dir"
        printf 'the-first-marked-value' >"$MNT/plain \"key\""
        printf 'the-other-marked-value' >"$MNT/dir/"$'b\377'
        umount_store
        run_bm check --json "$STORE"
        assert_equal "$(jq -c 'del(.checked_bytes)' <<<"$stdout")" \
                "{\"type\":\"summary\",\"store\":{\"text\":\"$STORE\"},\"result\":\"clean\",\"findings\":0}"
        run_cmd jq -e '.checked_bytes > 0' <<<"$stdout"
        damage the-first-marked-value
        damage the-other-marked-value
        run_bm -1 check --json "$STORE"
        assert_equal "$(tail -1 <<<"$stdout" | jq -r .type)" summary
        assert_equal "$(jq -r 'select(.type == "summary") | "\(.result) \(.findings)"' <<<"$stdout")" \
                "damaged $(grep -c '"type":"finding"' <<<"$stdout")"
        assert_equal "$(jq -cs 'map(select(.kind == "record").name) | sort' <<<"$stdout")" \
                '[{"bytes":"ZGlyL2L/"},{"text":"plain \"key\""}]'
        [[ $stderr = "bucketmap: $STORE: damaged in "*" places" ]]
        run_cmd -2 bash -c "'$BUCKETMAP' check --json '$STORE' >/dev/full"
        run_bm -2 check --json "$SCRATCH/none"
        assert_equal "$stdout" ""
}

# Of a process that has a handler for SIGUSR1.
handles_usr1() {
        local caught
        caught=$(awk '/^SigCgt/ { print $2 }' "/proc/$1/status" 2>/dev/null)
        [ -n "$caught" ] && (((0x$caught >> 9) & 1))
}

# One check, asked as soon as it can be: it may be done too soon.
ask_check() {
        local pid
        "$BUCKETMAP" check "$STORE" >out 2>progress 3>&- &
        pid=$!
        until handles_usr1 "$pid" || process_gone "$pid"; do :; done
        while kill -s USR1 "$pid" 2>/dev/null && ! process_gone "$pid"; do :; done
        wait "$pid" || return 1
        grep -q "^$STORE: .* % of .* checked$" progress
}

@test "check tells its progress on SIGUSR1" {
        require_fuse
        mount_store
        head -c 30000000 /dev/urandom >"$MNT/large"
        umount_store
        wait_until ask_check
        assert_equal "$(cat out)" ""
        run_bm check --progress=1000 "$STORE"
        assert_equal "$output" ""
        run_bm -2 check --progress=x "$STORE"
        [[ $stderr = *"wants a number of seconds"* ]]
}

lines_of_figures() {
        [ "$(grep -c "$STORE: .* keys, 2 maps, .* on disk, .* syncs, .* checkpoints since the mount$" daemon.log)" -eq "$1" ]
}

@test "SIGUSR1 to the daemon: a line of figures, again and again" {
        require_fuse
        local i
        mount_foreground
        mkdir "$MNT/dir"
        echo 12345 >"$MNT/a"
        for i in 1 2 3; do
                kill -s USR1 "$daemon"
                wait_until lines_of_figures "$i"
        done
        grep -q "bucketmap: $STORE: 1 keys, 2 maps, 6 bytes of values, " daemon.log
        assert_equal "$(cat "$MNT/a")" 12345
        kill -s TERM "$daemon"
        wait "$daemon"
        check_store
}
