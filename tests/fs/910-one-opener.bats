#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Two processes never have one store open, by whatever path they come; and a
# killed one leaves no lock behind.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        slow_calls=${BUCKETMAP_SLOW_CALLS:-$BUCKETMAP_BUILD/tests/fs/libslow-calls.so}
        mkdir other
}

# refused PATH: the store at PATH is in use, for whatever would write to it.
refused() {
        run_bm -3 mount "$1" "$SCRATCH/other"
        [[ $stderr = *"in use by process $(daemon_pid), mounted at $MNT"* ]]
        run_bm -3 check "$1"
        refute is_mounted "$SCRATCH/other"
        assert_equal "$(cat "$MNT/file")" text
}

@test "a symbolic link and other spellings of the path lead to the same store" {
        mount_store
        echo text >"$MNT/file"
        ln -s "$STORE" link
        refused "$SCRATCH/link"
        refused "$SCRATCH/./mnt/../store"
        refused store
        kill_daemon
        run_bm mount "$SCRATCH/link" "$SCRATCH/other"
        assert_equal "$(cat other/file)" text
}

@test "so does a bind mount, which finds no stale lock after a kill" {
        require_root
        run_bm create "$STORE"
        mkdir bound
        mount --bind "$STORE" bound || missing "bind mounts"
        mount_store
        echo text >"$MNT/file"
        refused "$SCRATCH/bound"
        kill_daemon
        run_bm mount "$SCRATCH/bound" "$SCRATCH/other"
        assert_equal "$(cat other/file)" text
        run_bm -3 check "$STORE"
        # and the other way round
        kill -KILL "$(daemon_pid)"
        wait_until flock -n "$STORE/lock" true
        check_store
        umount_any "$SCRATCH/other"
        umount_any "$MNT"
        umount bound
}

@test "where there are no locks nothing is opened, and nothing changed" {
        run_bm create "$STORE"
        sum() {
                (cd "$STORE" && find . -type f -exec md5sum {} + | sort)
        }
        before=$(sum)
        run_cmd -any env LD_PRELOAD="$slow_calls" NO_LOCKS=1 "$BUCKETMAP" mount "$STORE" "$MNT"
        assert_not_equal "$status" 0
        assert_equal "$stderr" "bucketmap: $STORE: cannot open: No locks available"
        refute is_mounted "$MNT"
        assert_equal "$(sum)" "$before"
        mount_store
}
