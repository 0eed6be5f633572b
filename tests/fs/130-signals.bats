# SPDX-License-Identifier: MIT
# SIGTERM, SIGINT and SIGHUP end a daemon without losing anything.
load ../lib/bucketmap

@test "SIGTERM, SIGINT and SIGHUP unmount" {
        require_fuse
        local signal pid
        for signal in TERM INT HUP; do
                mount_store
                echo "$signal" >"$MNT/$signal"
                pid=$(daemon_pid)
                kill -s "$signal" "$pid"
                wait_until process_gone "$pid"
                refute is_mounted "$MNT"
        done
        check_store
        mount_store
        assert_equal "$(cat "$MNT"/* | sort | xargs)" "HUP INT TERM"
}

@test "in the foreground the exit code is 0" {
        require_fuse
        mount_foreground
        echo 1 >"$MNT/a"
        kill -s INT "$daemon"
        wait "$daemon"
        refute is_mounted "$MNT"
        check_store
}

@test "busy: detached at once, served until the last user leaves" {
        require_fuse
        local pid
        mount_store
        echo one >"$MNT/a"
        pid=$(daemon_pid)
        exec 7<>"$MNT/a" 8<"$MNT"
        kill -s TERM "$pid"
        not_mounted() { ! is_mounted "$MNT"; }
        wait_until not_mounted
        # still served: what is read, written and made through what was open
        assert_equal "$(cat <&7)" one
        echo two >&7
        echo three >/proc/self/fd/8/b
        assert_equal "$(cat /proc/self/fd/8/b)" three
        refute process_gone "$pid"
        exec 7>&-
        refute process_gone "$pid"
        exec 8<&-
        wait_until process_gone "$pid"
        check_store
        mount_store
        assert_equal "$(cat "$MNT/a" "$MNT/b" | xargs)" "one two three"
}

@test "a second signal ends it, after a sync" {
        require_fuse
        local pid
        mount_store
        echo one >"$MNT/a"
        pid=$(daemon_pid)
        exec 7<"$MNT/a"
        kill -s TERM "$pid"
        not_mounted() { ! is_mounted "$MNT"; }
        wait_until not_mounted
        refute process_gone "$pid"
        kill -s TERM "$pid"
        wait_until process_gone "$pid"
        run_cmd -1 cat /proc/self/fd/7 7<&7
        exec 7<&-
        check_store
        mount_store
        assert_equal "$(cat "$MNT/a")" one
}

# As Ctrl-C does, or timeout(1), which sends it twice: to the process and to its group.
@test "signals to the whole process group, several of them: unmounted and closed" {
        require_fuse
        require_command setsid
        local i
        for i in 1 2 3; do
                setsid "$BUCKETMAP" mount -f "$STORE" "$MNT" >daemon.log 2>&1 </dev/null 3>&- &
                wait_until is_mounted "$MNT"
                echo "$i" >"$MNT/a"
                daemon=$(daemon_pid)
                kill -s INT "$daemon"
                # which may have ended by then
                kill -s INT -- "-$daemon" || process_gone "$daemon"
                wait_until process_gone "$daemon"
                wait_until grep -q "closed, was mounted at $MNT" daemon.log
                run_cmd cat daemon.log
                refute_output --regexp "cannot unmount|busy|in use"
                refute is_mounted "$MNT"
        done
        check_store
}

@test "what was mounted over it meanwhile is not taken away" {
        require_fuse
        require_root
        mount_foreground
        mount -t tmpfs none "$MNT"
        echo 1 >"$MNT/of-tmpfs"
        kill -s TERM "$daemon"
        wait_until grep -q "$MNT is busy" "$SCRATCH/daemon.log"
        kill -s TERM "$daemon"
        wait "$daemon"
        assert_equal "$(cat "$MNT/of-tmpfs")" 1
        umount "$MNT"
}
