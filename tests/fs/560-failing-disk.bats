#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A disk whose calls fail under a running mount: EIO for the program that
# asked, a word in the log, and everything goes on when the disk does.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        library=${BUCKETMAP_BUILD:-}/tests/fs/libfailing-calls.so
        [ -e "$library" ] || missing "the build directory's $library"
        export BM_FAILING=$SCRATCH/failing
        mount_store
        for i in {1..20}; do echo "content $i" >"$MNT/file$i"; done
        head -c 200000 /dev/urandom >large
        cp large "$MNT/large"
        umount_store
}

# Mounts with the library in the daemon.
mount_on_disk() {
        LD_PRELOAD=$library run_bm mount "$@" "$STORE" "$MNT"
}

failing() {
        echo "$1 ${2:-store/segments}" >"$BM_FAILING.new"
        mv "$BM_FAILING.new" "$BM_FAILING"
}

fine() {
        rm -f "$BM_FAILING"
}

all_there() {
        for i in {1..20}; do
                run_cmd cat "$MNT/file$i"
                assert_output "content $i"
        done
        run_cmd cmp large "$MNT/large"
}

eio() {
        run_cmd -any "$@"
        assert_not_equal "$status" 0
        assert_output --partial "Input/output error"
}

@test "a sync that fails: EIO now and later, EROFS for changes, never taken back; a remount recovers" {
        mount_on_disk -o commit=3600
        echo new >"$MNT/new"
        failing fdatasync
        eio sync "$MNT/new"
        fine
        eio sync "$MNT/file1"
        run_bm -any sync "$MNT"
        assert_not_equal "$status" 0
        run_cmd -any mkdir "$MNT/directory"
        assert_output --partial "Read-only file system"
        run_cmd -any rm "$MNT/file1"
        assert_output --partial "Read-only file system"
        all_there
        run_cmd cat "$MNT/new"
        assert_output new
        umount_store
        mount_store
        all_there
        run_cmd cat "$MNT/new"
        assert_output new
        echo more >"$MNT/more"
        umount_store
        check_store
}

@test "a read that fails: EIO, and the same file is right when the disk is" {
        failing pread
        run_bm -any mount "$STORE" "$MNT"
        fine
        if is_mounted "$MNT"; then umount_store; fi
        mount_on_disk -o ro
        failing pread
        # parts of the index that nobody has wanted yet
        run_cmd -any cat "$MNT/file1" "$MNT/file2" "$MNT/file3"
        fine
        all_there
        umount_store
        check_store
}

@test "a write that fails: EIO for it, the old value stays, the next one succeeds" {
        mount_on_disk -o nomap
        failing pwrite
        eio sh -c 'echo other >"$0"' "$MNT/another"
        eio mv "$MNT/file1" "$MNT/file2"
        fine
        all_there
        echo other >"$MNT/another"
        run_cmd cat "$MNT/another"
        assert_output other
        umount_store
        check_store
}

@test "files that cannot be made: writing ends with an error, what is there stays" {
        mount_on_disk
        failing openat
        head -c 3000000 /dev/urandom >piece
        run_cmd -any cp piece "$MNT/more"
        assert_not_equal "$status" 0
        all_there
        fine
        run_cmd cp piece "$MNT/more"
        run_cmd cmp piece "$MNT/more"
        umount_store
        check_store
}

@test "an open that cannot be made durable is none" {
        failing fdatasync store/
        LD_PRELOAD=$library run_bm -any mount "$STORE" "$MNT"
        assert_not_equal "$status" 0
        fine
        mount_store
        all_there
        umount_store
        check_store
}
