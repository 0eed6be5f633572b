# SPDX-License-Identifier: MIT
# One process at a time: exit code 3, with who and where.
load ../lib/bucketmap

in_use() {
        local pid
        pid=$(daemon_pid)
        run_bm -3 "$@"
        assert_equal "$stdout" ""
        assert_equal "${lines[0]}" "bucketmap: $STORE: in use by process $pid, mounted at $MNT"
}

@test "a mounted store is in use for mount and check" {
        require_fuse
        mount_store
        mkdir second
        in_use mount "$STORE" "$SCRATCH/second"
        in_use mount "$STORE" "$MNT"
        in_use mount -o ro "$STORE" "$SCRATCH/second"
        in_use check "$STORE"
        assert_equal "${lines[1]}" "  bucketmap check --online checks a mounted store"
        refute is_mounted "$SCRATCH/second"
        assert_equal "$(findmnt -rn -o TARGET --mountpoint "$MNT" | wc -l)" 1
}

@test "create refuses what is there" {
        require_fuse
        mount_store
        echo 1 >"$MNT/a"
        run_bm -2 create "$STORE"
        assert_equal "$(cat "$MNT/a")" 1
        umount_store
        run_bm -2 create "$STORE"
        mount_store
        assert_equal "$(cat "$MNT/a")" 1
}

@test "the lock survives going into the background and dies with the process" {
        require_fuse
        mount_store
        run_cmd -1 flock -n "$STORE/lock" true
        kill_daemon
        # its threads end one after the other
        wait_until flock -n "$STORE/lock" true
        check_store
}

@test "many mounts at once: one wins, the others say in use" {
        require_fuse
        local i codes=()
        for i in 1 2 3 4 5 6; do
                mkdir "m$i"
                (
                        code=0
                        "$BUCKETMAP" mount "$STORE" "$SCRATCH/m$i" >"log$i" 2>&1 3>&- || code=$?
                        echo "$code" >"code$i"
                ) &
        done
        wait
        for i in 1 2 3 4 5 6; do
                codes+=("$(cat "code$i")")
        done
        [ "$(printf '%s\n' "${codes[@]}" | sort | xargs)" = "0 3 3 3 3 3" ] || {
                tail log?
                fail "exit codes: ${codes[*]}"
        }
        assert_equal "$(grep -c . <(mounts_below "$SCRATCH"))" 1
}
