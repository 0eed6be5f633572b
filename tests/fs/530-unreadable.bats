#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Files of the store that stop being readable under a running mount.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
}

# The bytes of file $1: the same letter throughout.
bytes_of() {
        head -c 3000 /dev/zero | tr '\0' "$(printf "\\x$(printf %x $((65 + $1 % 26)))")"
}

fill() {
        for i in {1..60}; do bytes_of "$i" >"$MNT/file $i"; done
        head -c 300000 /dev/urandom >local
        cp local "$MNT/large"
}

# Cuts the file of each data segment to $1 bytes.
cut_segments() {
        local segment
        for segment in "$STORE"/segments/*; do
                [ "$(stat -c %s "$segment")" -lt 262144 ] || truncate -s "$1" "$segment"
        done
}

# Reads all: what is not right is an error.
read_all() {
        whole=0 failed=0
        for i in {1..60}; do
                if cat "$MNT/file $i" >out 2>error; then
                        bytes_of "$i" | cmp - out || return 1
                        whole=$((whole + 1))
                else
                        grep -q "Input/output error" error || return 1
                        failed=$((failed + 1))
                fi
        done
}

@test "segments cut short under the mount: EIO for what is lost, the rest goes on" {
        mount_foreground -o commit=3600
        fill
        run_bm sync "$MNT"
        pid=$(daemon_pid)
        # past the kernel's cache: every read goes to the daemon
        cut_segments 50000
        read_all
        [ "$whole" -ge 10 ] && [ "$failed" -ge 10 ]
        run_cmd -any cmp local "$MNT/large"
        assert_output --partial "Input/output error"
        run_cmd -any ls -l "$MNT"
        run_cmd -any sh -c 'echo more >"$0/more"' "$MNT"
        assert_output --partial "Input/output error"
        run_cmd -any getfattr -n user.bucketmap.refcount "$MNT/file 60"
        run_cmd -any getfattr -n user.bucketmap.xxh3 "$MNT/large"
        run_cmd -any rm "$MNT/file 60"
        run_cmd -any mv "$MNT/file 59" "$MNT/other"
        # it still answers, and it is the same process
        run_cmd cat "$MNT/file 1"
        assert_equal "$(daemon_pid)" "$pid"
        run_cmd grep -c 'key "file 60": I/O error at byte [0-9]* of segment' daemon.log
        umount_store
        wait_until process_gone "$daemon"
        # and nothing takes it for whole
        run_bm -1 mount "$STORE" "$MNT"
        [[ $stderr = *check* ]]
        run_bm -1 check "$STORE"
}

@test "what was not synced yet and is cut off: fsync is EIO, changes are EROFS" {
        mount_store -o commit=3600
        fill
        cut_segments 20000
        run_bm -any sync "$MNT"
        assert_not_equal "$status" 0
        run_cmd -any dd if=/dev/zero of="$MNT/file 1" bs=10 count=1 conv=fsync,notrunc status=none
        assert_not_equal "$status" 0
        run_cmd -any mkdir "$MNT/directory"
        assert_output --partial "Read-only file system"
        umount_store
}
