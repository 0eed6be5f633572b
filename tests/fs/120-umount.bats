# SPDX-License-Identifier: MIT
# Unmounting, the lock, and mounting again.
load ../lib/bucketmap

lock_is_free() {
        flock -n "$STORE/lock" true
}

@test "umount returns when the store is released" {
        require_fuse
        mount_store
        echo 1 >"$MNT/a"
        local pid
        pid=$(daemon_pid)
        refute lock_is_free
        umount_store
        lock_is_free
        assert_equal "$output" ""
        refute is_mounted "$MNT"
        check_store
        wait_until process_gone "$pid"
}

@test "a busy mount stays as it is, exit code 2" {
        require_fuse
        mount_store
        echo 1 >"$MNT/a"
        exec 7<"$MNT/a"
        run_bm -2 umount "$MNT"
        [[ $stderr = "bucketmap: $MNT: busy; nothing changed"*"process $BASHPID (bash)"* ]]
        is_mounted "$MNT"
        echo 2 >"$MNT/b"
        assert_equal "$(cat "$MNT/a" "$MNT/b" | xargs)" "1 2"
        exec 7<&-
        umount_store
        (cd "$MNT" && cd / && run_bm mount "$STORE" "$MNT" && cd "$MNT" && run_bm -2 umount "$MNT")
        is_mounted "$MNT"
}

@test "mounting and unmounting at once: what is said is true" {
        require_fuse
        local i j
        run_bm create "$STORE"
        for i in {1..10}; do
                for j in 1 2; do
                        { "$BUCKETMAP" mount "$STORE" "$MNT" || [ $? = 3 ] || echo failed; } >>out 2>&1 3>&- &
                        "$BUCKETMAP" umount "$MNT" >>out 2>&1 3>&- &
                done
                wait
        done
        refute grep -E 'failed|busy|cannot' out
        run_bm -any umount "$MNT"
        refute is_mounted "$MNT"
        mount_store
}

@test "what is no mount of ours is left alone" {
        require_fuse
        run_bm -2 umount "$MNT"
        [[ $stderr = "bucketmap: $MNT: no bucketmap store is mounted there" ]]
        run_bm -2 umount /proc
        is_mounted /proc
        run_bm -2 umount "$SCRATCH/none"
        run_bm create "$STORE"
        run_bm -2 umount "$STORE"
        mount_store
        mkdir "$MNT/dir"
        run_bm -2 umount "$MNT/dir"
        is_mounted "$MNT"
}

@test "plain umount and fusermount3 -u: a mount that follows waits for the daemon" {
        require_fuse
        local i
        mount_store
        for i in 1 2 3 4 5; do
                echo "$i" >"$MNT/a"
                if [ "$(id -u)" -eq 0 ] && [ $((i % 2)) -eq 0 ]; then
                        umount "$MNT"
                else
                        fusermount3 -u "$MNT"
                fi
                mount_store
                assert_equal "$(cat "$MNT/a")" "$i"
        done
        umount_store
        check_store
}

@test "a mount that waits says for whom" {
        require_fuse
        mount_store
        echo 1 >"$MNT/a"
        exec 7<"$MNT/a"
        local pid
        pid=$(daemon_pid)
        # detached, but in use: the daemon lives as long as descriptor 7
        fusermount3 -uz "$MNT"
        "$BUCKETMAP" mount "$STORE" "$MNT" >waiting.log 2>&1 7<&- 3>&- &
        wait_until grep -q "$STORE: waiting for process $pid" waiting.log
        refute is_mounted "$MNT"
        assert_equal "$(cat <&7)" 1
        exec 7<&-
        wait $!
        is_mounted "$MNT"
        assert_equal "$(cat "$MNT/a")" 1
}

@test "kill -9: what was done is there after the next mount" {
        require_fuse
        local i
        mount_store
        for i in 1 2 3; do
                echo "$i" >"$MNT/$i"
                setfattr -n user.bucketmap.refcount -v +1 "$MNT/$i"
                kill_daemon
                mount_store
                assert_equal "$(cat "$MNT/$i")" "$i"
        done
        assert_equal "$(getfattr --only-values -n user.bucketmap.refcount "$MNT"/[123])" 222
        umount_store
        check_store
}

@test "killed and mounted at once: the mount of a daemon that takes its time to end is detached, too" {
        require_fuse
        require_command python3
        local i
        mount_store
        # something for the kernel to take down
        python3 -c '
import sys
for i in range(30000):
    open(f"{sys.argv[1]}/{i}", "wb").close()' "$MNT"
        for i in 1 2 3; do
                kill -s KILL "$(daemon_pid)"
                mount_store
                assert_equal "$(mounts_below "$SCRATCH" | wc -l)" 1
        done
        umount_store
        refute is_mounted "$MNT"
}

@test "a dead mount can be unmounted" {
        require_fuse
        mount_store
        kill_daemon
        umount_store
        refute is_mounted "$MNT"
        mount_store
}

@test "a dead mount can be unmounted while the store is mounted elsewhere" {
        require_fuse
        mount_store
        kill_daemon
        mkdir other
        run_bm mount "$STORE" other
        umount_store
        assert_equal "$output" ""
        refute is_mounted "$MNT"
        is_mounted other
        # nor does another dead one keep it from being waited for
        kill_daemon
        mount_store
        umount_store
        lock_is_free
        run_bm umount other
}

@test "of two mounts at one place the one on top is meant" {
        require_fuse
        require_root
        mount_store
        mount -t tmpfs none "$MNT"
        run_bm -2 umount "$MNT"
        umount "$MNT"
        umount_store
}

@test "sync makes a mounted store durable, and nothing else" {
        require_fuse
        mount_store
        echo 1 >"$MNT/a"
        run_bm sync "$MNT"
        assert_equal "$output" ""
        run_bm sync "$STORE"
        run_bm -2 sync "$SCRATCH"
        [[ $stderr = "bucketmap: $SCRATCH: no bucketmap store is mounted there" ]]
        umount_store
        run_bm -2 sync "$MNT"
        run_bm -2 sync "$STORE"
}

@test "read-only mounts share a store; umount waits for its own daemon" {
        require_fuse
        local pid
        mount_store
        echo 1 >"$MNT/a"
        umount_store
        mkdir second
        mount_store -o ro
        run_bm mount -o ro "$STORE" "$SCRATCH/second"
        assert_equal "$(cat "$MNT/a" second/a | xargs)" "1 1"
        mkdir third
        run_bm -3 mount "$STORE" "$SCRATCH/third"
        [[ $stderr = "bucketmap: $STORE: in use, mounted at $SCRATCH/"* ]]
        pid=$("$BUCKETMAP" info --json "$MNT" | jq .daemon)
        is_daemon "$pid"
        umount_store
        process_gone "$pid"
        run_bm -3 mount "$STORE" "$MNT"
        run_bm umount "$SCRATCH/second"
        mount_store
        echo 2 >"$MNT/a"
}
