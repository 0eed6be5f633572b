#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Stores that are written by calls: on request, and by themselves on a
# filesystem that copies on write, where a full disk must be ENOSPC at the
# call as anywhere else.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
}

# A btrfs of $1 MiB at $SCRATCH/disk, with the store on it.
use_btrfs() {
        require_root
        require_command mkfs.btrfs
        truncate -s "$1M" disk.img
        mkfs.btrfs -q disk.img >/dev/null
        mkdir disk
        mount -o loop disk.img disk 2>/dev/null || missing "mounting a btrfs from a loop device"
        STORE=$SCRATCH/disk/store
}

written() {
        run_bm info "$MNT"
        assert_output --regexp "written +$1"
        run_bm info --json "$MNT"
        assert_output --partial "\"nomap_drives\": $2"
}

@test "the option, and what info says of it" {
        mount_store
        written 'through mappings' 0
        echo one >"$MNT/one"
        umount_store
        mount_store -o nomap
        written 'by calls \(nomap\)' 1
        echo two >"$MNT/two"
        head -c 1000000 /dev/urandom >large
        cp large "$MNT/large"
        # nothing is kept back: it is there after a kill
        kill_daemon
        run_bm -any umount "$MNT"
        mount_store
        run_cmd cat "$MNT/one" "$MNT/two"
        assert_output $'one\ntwo'
        run_cmd cmp large "$MNT/large"
        umount_store
        check_store
}

@test "on btrfs, by itself: a full disk is ENOSPC, what is there stays, deleting helps" {
        use_btrfs 200
        mount_store
        written 'by calls \(nomap\)' 1
        echo precious >"$MNT/precious"
        head -c 300000 /dev/urandom >piece
        n=0
        while cp piece "$MNT/file$n" 2>error; do n=$((n + 1)); done
        run_cmd cat error
        assert_output --partial "No space left on device"
        [ "$n" -gt 50 ]
        # to the last byte, by others
        run_cmd -any dd if=/dev/zero of=disk/filler bs=64k status=none
        run_cmd -any dd if=/dev/zero of=disk/more bs=4k status=none
        run_cmd -any cp piece "$MNT/precious"
        assert_not_equal "$status" 0
        for ((i = 0; i < n; i++)); do cmp piece "$MNT/file$i"; done
        kill_daemon
        run_bm -any umount "$MNT"
        mount_store
        for ((i = 0; i < n; i++)); do cmp piece "$MNT/file$i"; done
        for ((i = 0; i < n; i++)); do rm "$MNT/file$i"; done
        rm -f "$MNT/file$n"
        room_again() { cp piece "$MNT/again" 2>/dev/null; }
        wait_until room_again
        run_cmd cmp piece "$MNT/again"
        umount_store
        check_store
}

@test "on btrfs: synced small files to the brim, and deletions" {
        use_btrfs 200
        require_command python3
        mount_store
        run_cmd python3 -c '
import os, sys
try:
    for i in range(1000000):
        fd = os.open(f"{sys.argv[1]}/small{i}", os.O_CREAT | os.O_WRONLY)
        os.write(fd, os.urandom(8000))
        if i % 50 == 0:
            os.fsync(fd)
        os.close(fd)
except OSError as error:
    print(error.strerror)
' "$MNT"
        assert_output "No space left on device"
        run_cmd find "$MNT" -name 'small1*' -delete
        umount_store
        check_store
}
