# SPDX-License-Identifier: MIT
# umount --lazy and --timeout, and who is named.
load ../lib/bucketmap

lock_is_free() {
        flock -n "$STORE/lock" true
}

@test "--lazy detaches at once, the last user goes on and ends it" {
        require_fuse
        mount_store
        echo 1 >"$MNT/a"
        exec 7<>"$MNT/a"
        run_bm umount --lazy "$MNT"
        assert_equal "$output" ""
        refute is_mounted "$MNT"
        refute lock_is_free
        echo 2 >&7
        exec 7<&-
        wait_until lock_is_free
        mount_store
        assert_equal "$(cat "$MNT/a")" 2
        run_bm umount -l "$MNT"
        wait_until lock_is_free
        check_store
}

@test "--timeout waits for the users to leave" {
        require_fuse
        mount_store
        echo 1 >"$MNT/a"
        exec 7<"$MNT/a"
        "$BUCKETMAP" umount --timeout=100 "$MNT" >umount.log 2>&1 7<&- 3>&- &
        # it has seen the mount busy when it has tried
        run_bm -2 umount --timeout=1 "$MNT"
        [[ $stderr = "bucketmap: $MNT: busy; nothing changed"*"process $BASHPID (bash)"* ]]
        is_mounted "$MNT"
        exec 7<&-
        wait $!
        assert_equal "$(cat umount.log)" ""
        refute is_mounted "$MNT"
        lock_is_free
}

@test "--lazy --timeout waits for the end, and says if it does not come" {
        require_fuse
        mount_store
        echo 1 >"$MNT/a"
        exec 7<"$MNT/a"
        run_bm -3 umount --lazy --timeout=1 "$MNT"
        [[ $stderr = "bucketmap: $STORE: unmounted, but still being closed after 1 s" ]]
        refute is_mounted "$MNT"
        exec 7<&-
        mount_store
        run_bm umount --lazy --timeout=100 "$MNT"
        lock_is_free
}

@test "a read-only mount, too" {
        require_fuse
        mount_store
        echo 1 >"$MNT/a"
        remount_store -o ro
        exec 7<"$MNT/a"
        run_bm -3 umount --lazy --timeout=1 "$MNT"
        exec 7<&-
        mount_store
}

@test "a mount below is named" {
        require_fuse
        require_root
        mount_store
        mkdir "$MNT/dir"
        mount -t tmpfs none "$MNT/dir"
        run_bm -2 umount "$MNT"
        assert_equal "$stderr" "bucketmap: $MNT: busy; nothing changed
  $MNT/dir is mounted below"
        umount "$MNT/dir"
        umount_store
}

@test "called in the mount, the command names the shell and not itself" {
        require_fuse
        mount_store
        cd "$MNT"
        run_bm -2 umount "$MNT"
        [[ $stderr = *"process $BASHPID (bash)"* && $stderr != *"(bucketmap)"* ]]
        cd "$SCRATCH"
        umount_store
}

@test "with a file open that the shell has open, too, the command does not name itself" {
        require_fuse
        mount_store
        echo 1 >"$MNT/a"
        exec 7<"$MNT/a"
        # not with run_bm, whose subshells have it open as well
        "$BUCKETMAP" umount "$MNT" 2>said && fail "it was not busy"
        [[ $(<said) = *"process $BASHPID (bash)"* && $(<said) != *"(bucketmap)"* ]]
        exec 7<&-
        umount_store
}

@test "a daemon that does not answer: it is unmounted all the same" {
        require_fuse
        local how
        for how in "" --lazy; do
                mount_store
                echo 1 >"$MNT/a"
                pid=$(daemon_pid)
                kill -STOP "$pid"
                # shellcheck disable=SC2086 # a word or none
                run_bm -3 umount $how --timeout=1 "$MNT"
                refute is_mounted "$MNT"
                kill -CONT "$pid"
                wait_until process_gone "$pid"
                check_store
        done
}

@test "usage" {
        run_bm -2 umount --timeout=0 "$MNT"
        run_bm -2 umount --timeout=x "$MNT"
        [[ $stderr = "bucketmap umount: --timeout=x: wants a number of seconds from 1 to 86400"* ]]
        run_bm umount --help
        [[ $stdout = *--lazy* && $stdout = *--timeout=SECONDS* ]]
}

@test "who sees the mount in a mount namespace of its own is named" {
        require_fuse
        require_root
        mount_store
        mkfifo hold
        unshare --mount --propagation private cat hold 3>&- &
        pid=$!
        exec 7>hold
        wait_until grep -qx cat "/proc/$pid/comm"
        run_bm -3 umount --timeout=4 "$MNT"
        assert_line --partial "waiting for process"
        assert_line --partial "still mounted for process $pid (cat), in another mount namespace"
        assert_line --partial "unmounted, but still being closed after 4 s"
        refute is_mounted "$MNT"
        exec 7>&-
        wait "$pid"
        wait_until lock_is_free
        check_store
}

@test "mounted elsewhere too, by mount --bind: nothing changes, and where is named" {
        require_fuse
        require_root
        mount_store
        echo 1 >"$MNT/a"
        mkdir "$MNT/dir" bound "other place"
        mount --bind "$MNT" bound
        mount --bind "$MNT/dir" "other place"
        run_bm -2 umount "$MNT"
        assert_equal "$stderr" "bucketmap: $MNT: busy; nothing changed
  also mounted at $SCRATCH/bound
  also mounted at $SCRATCH/other place
  unmount it there first; --lazy leaves it there"
        is_mounted "$MNT"
        assert_equal "$(cat "$MNT/a")" 1
        # the others are taken away and nothing is waited for
        run_bm umount bound
        assert_equal "$output" ""
        refute is_mounted bound
        is_mounted "$MNT"
        run_bm -2 umount --timeout=1 "$MNT"
        assert_line --partial "also mounted at $SCRATCH/other place"
        run_bm umount --timeout=100 "other place"
        umount_store
        assert_equal "$output" ""
        lock_is_free
        check_store
}

@test "mounted twice at one place: one after the other goes" {
        require_fuse
        require_root
        mount_store
        mount --bind "$MNT" "$MNT"
        umount_store
        is_mounted "$MNT"
        umount_store
        refute is_mounted "$MNT"
        lock_is_free
}

@test "detached, but mounted elsewhere in the own namespace: that place is named, no process" {
        require_fuse
        require_root
        mount_store
        mkdir bound
        mount --bind "$MNT" bound
        run_bm -3 umount --lazy --timeout=4 "$MNT"
        assert_line --partial "waiting for process"
        assert_line "  still mounted at $SCRATCH/bound"
        refute_line --partial "namespace"
        # the last of them ends it
        run_bm umount bound
        assert_equal "$output" ""
        lock_is_free
}

@test "a mount of a dead daemon goes, mounted elsewhere or not" {
        require_fuse
        require_root
        mount_store
        mkdir bound
        mount --bind "$MNT" bound
        kill_daemon
        umount_store
        refute is_mounted "$MNT"
        run_bm umount bound
        refute is_mounted bound
}

@test "what the kernel mounted elsewhere by itself, it unmounts there with the other" {
        require_fuse
        require_root
        mkdir tree view
        mount -t tmpfs none tree
        mount --make-shared tree
        mkdir tree/mnt
        mount --bind tree view
        run_bm mount "$STORE" tree/mnt
        is_mounted view/mnt
        run_bm umount tree/mnt
        assert_equal "$output" ""
        refute is_mounted view/mnt
        lock_is_free
        run_bm mount "$STORE" tree/mnt
        run_bm umount view/mnt
        refute is_mounted tree/mnt
        lock_is_free
        umount view tree
}

@test "no kernel thread is named, which have the mounts of the first namespace" {
        require_fuse
        require_root
        mount_store
        [ "$(cat /proc/2/comm)" = kthreadd ] && grep -qF " $MNT " /proc/2/mountinfo ||
                skip "not in the mount namespace of the kernel's threads"
        # unmounted in a namespace of its own it remains in this one
        run_cmd -3 unshare --mount --propagation private "$BUCKETMAP" umount --timeout=4 "$MNT"
        assert_line --partial "still mounted for process"
        refute_line --partial "process 2 "
        umount_store
}
