#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A disk of 64 MB filled to the last byte by many writers, then emptied, in rounds: all that was
# acknowledged is whole, before and after a remount, and every file can be removed. BUCKETMAP_SOAK=1:
# 20 rounds.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        require_root
        require_command python3
        require_command mkfs.ext4
        truncate -s 64M image
        mkfs.ext4 -q -m 0 image
        mkdir "$SCRATCH/disk"
        mount -o loop image "$SCRATCH/disk" || missing "a loop device"
        STORE=$SCRATCH/disk/store
        mount_store
}

writers() {
        run_cmd python3 "$BATS_TEST_DIRNAME/../lib/writers.py" "$1" "$MNT" "$SCRATCH/notes" "$2"
}

@test "filled to the last byte by eight writers and emptied, again and again" {
        local round rounds=2
        [ -z "${BUCKETMAP_SOAK:-}" ] || rounds=20
        for round in $(seq "$rounds"); do
                writers fill "$round"
                run_cmd df --output=avail "$MNT"
                assert_line --regexp '^ *0$'
                writers verify "$round"
                remount_store
                writers verify "$round"
                writers empty "$round"
                run_cmd find "$MNT" -mindepth 1
                assert_output ""
                umount_store
                check_store
                mount_store
        done
        # the room is there again
        head -c 20000000 /dev/urandom >"$SCRATCH/large"
        run_cmd cp "$SCRATCH/large" "$MNT/large"
        run_cmd cmp "$SCRATCH/large" "$MNT/large"
        umount_store
        umount "$SCRATCH/disk"
}
