#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# fsync on a disk that takes its time: it delays nobody else, and those that
# come meanwhile share a flush.

load ../lib/bucketmap

SYNCS=20

setup() {
        scratch_new
        require_fuse
        slow_calls=${BUCKETMAP_SLOW_CALLS:-$BUCKETMAP_BUILD/tests/fs/libslow-calls.so}
        disk=$SCRATCH/disk
        touch "$disk" "$disk.calls"
        # nothing is synced by itself
        export SLOW_SYNC=$disk
        LD_PRELOAD=$slow_calls run_bm mount -o commit=3600 "$STORE" "$MNT"
        mkdir "$MNT/dir"
        for i in $(seq $SYNCS); do echo "$i" >"$MNT/f$i"; done
}

n_flushes() {
        grep -c . "$disk.calls"
}

flushes() {
        [ "$(n_flushes)" -ge "$1" ]
}

# Whether so many processes are within fsync.
within_fsync() {
        local pid n=0
        for pid in "${syncs[@]}"; do
                [[ $(cat "/proc/$pid/syscall" 2>/dev/null) = "$fsync_number "* ]] && n=$((n + 1))
        done
        [ "$n" -eq "$1" ]
}

@test "twenty fsyncs in flight delay no stat, and share flushes" {
        fsync_number=$(python3 -c 'import platform; print({"x86_64": 74}.get(platform.machine(), 82))')
        before=$(n_flushes)
        exec 9<"$disk"
        flock 9
        syncs=()
        for i in $(seq $SYNCS); do
                sync "$MNT/f$i" 3>&- 9>&- &
                syncs+=($!)
        done
        wait_until flushes $((before + 1))
        wait_until within_fsync $SYNCS
        for i in $(seq $SYNCS); do
                assert_equal "$(stat -c %s "$MNT/f$i")" $((${#i} + 1))
        done
        echo new >"$MNT/new"
        mv "$MNT/new" "$MNT/dir/new"
        assert_equal "$(cat "$MNT/dir/new")" new
        # none was answered before the disk was
        assert within_fsync $SYNCS
        assert_equal "$(n_flushes)" $((before + 1))
        exec 9<&-
        for pid in "${syncs[@]}"; do
                wait "$pid"
        done
        assert [ "$(n_flushes)" -lt $((before + SYNCS / 2)) ]
}

@test "syncing a directory makes all durable that was done before" {
        before=$(n_flushes)
        run_cmd sync "$MNT/dir"
        assert_equal "$(n_flushes)" $((before + 1))
        # nothing is new
        run_cmd sync "$MNT"
        assert_equal "$(n_flushes)" $((before + 1))
        echo new >"$MNT/dir/new"
        run_cmd sync "$MNT"
        assert_equal "$(n_flushes)" $((before + 2))
}
