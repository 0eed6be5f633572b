#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Files that are open while their names change or go, and mappings of files.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        require_command python3
        mount_store
}

@test "what is still open stays usable after rm" {
        printf 'still here\n' >"$MNT/file"
        exec 8<>"$MNT/file"
        rm "$MNT/file"
        run_cmd root_names
        assert_output ""
        run_cmd cat /dev/fd/8
        assert_output "still here"
        echo more >&8
        # a new file of that name is another one
        echo other >"$MNT/file"
        run_cmd cat "$MNT/file"
        assert_output "other"
        exec 8>&-
        umount_store
        check_store
}

@test "a removed file can be written, cut and read until it is closed" {
        run_cmd python3 -c '
import os, sys
path = sys.argv[1] + "/file"
fd = os.open(path, os.O_CREAT | os.O_RDWR)
data = os.urandom(200000)
os.write(fd, data)
os.unlink(path)
assert os.fstat(fd).st_nlink == 0
assert os.pread(fd, 300000, 0) == data
os.pwrite(fd, b"X" * 100000, 150000)
data = data[:150000] + b"X" * 100000
assert os.pread(fd, 300000, 0) == data
os.ftruncate(fd, 1000)
os.ftruncate(fd, 2000)
assert os.pread(fd, 3000, 0) == data[:1000] + bytes(1000)
os.fchmod(fd, 0o600)
os.fsync(fd)
assert os.fstat(fd).st_size == 2000
' "$MNT"
}

@test "a file that is replaced stays readable by who has it open" {
        echo old >"$MNT/file"
        exec 8<"$MNT/file"
        echo new >"$MNT/other"
        mv "$MNT/other" "$MNT/file"
        run_cmd cat /dev/fd/8
        assert_output "old"
        run_cmd cat "$MNT/file"
        assert_output "new"
        exec 8<&-
}

@test "an open file can be renamed and written on" {
        exec 8>"$MNT/a"
        echo one >&8
        mkdir "$MNT/dir"
        mv "$MNT/a" "$MNT/dir/b"
        echo two >&8
        exec 8>&-
        run_cmd cat "$MNT/dir/b"
        assert_output "one
two"
        assert_file_not_exists "$MNT/a"
}

@test "the space of removed files comes back, open or not" {
        require_new_store
        require_command jq
        for i in {1..20}; do echo "$i" >"$MNT/$i"; done
        exec 8<"$MNT/7"
        rm "$MNT"/*
        exec 8<&-
        run_bm info --json "$MNT"
        assert_equal "$(jq .keys <<<"$stdout")" 0
}

@test "rename flags: no replace and exchange" {
        echo a >"$MNT/a"
        echo b >"$MNT/b"
        mkdir "$MNT/dir"
        echo inner >"$MNT/dir/inner"
        run_cmd python3 -c '
import ctypes, errno, os, sys
os.chdir(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
NOREPLACE, EXCHANGE = 1, 2
def rename(a, b, flags):
    if libc.renameat2(-100, a, -100, b, flags) != 0:
        return ctypes.get_errno()
    return 0
def read(name):
    return open(name).read()
assert rename(b"a", b"b", NOREPLACE) == errno.EEXIST
assert read("a") == "a\n" and read("b") == "b\n"
assert rename(b"a", b"c", NOREPLACE) == 0
assert read("c") == "a\n" and not os.path.exists("a")
assert rename(b"b", b"none", EXCHANGE) == errno.ENOENT
assert rename(b"b", b"c", EXCHANGE) == 0
assert read("b") == "a\n" and read("c") == "b\n"
assert rename(b"c", b"dir", EXCHANGE) == 0
assert read("dir") == "b\n" and read("c/inner") == "inner\n"
assert rename(b"c", b"c/inner", EXCHANGE) == errno.EINVAL
assert rename(b"c/inner", b"dir", EXCHANGE) == 0
assert read("c/inner") == "b\n" and read("dir") == "inner\n"
assert rename(b"c", b"dir", NOREPLACE | EXCHANGE) == errno.EINVAL
' "$MNT"
        remount_store
        run_cmd cat "$MNT/c/inner" "$MNT/dir" "$MNT/b"
        assert_output "b
inner
a"
}

@test "a shared mapping: what is stored in it is in the file" {
        run_cmd python3 -c '
import mmap, os, sys
path = sys.argv[1] + "/mapped"
fd = os.open(path, os.O_CREAT | os.O_RDWR)
os.ftruncate(fd, 200000)
one = mmap.mmap(fd, 200000)
two = mmap.mmap(os.open(path, os.O_RDWR), 200000)
one[5:10] = b"hello"
assert two[5:10] == b"hello"
two[150000:150003] = b"end"
one.flush()
two.flush()
assert os.pread(fd, 5, 5) == b"hello"
with open(path, "rb") as file:
    data = file.read()
assert data[150000:150003] == b"end" and len(data) == 200000
os.pwrite(fd, b"written", 1000)
assert one[1000:1007] == b"written"
' "$MNT"
        remount_store
        run_cmd python3 -c '
import sys
data = open(sys.argv[1] + "/mapped", "rb").read()
assert data[5:10] == b"hello" and data[150000:150003] == b"end" and data[1000:1007] == b"written"
assert len(data) == 200000 and data.count(0) == 200000 - 15
' "$MNT"
}

@test "a private mapping changes nothing" {
        head -c 10000 /dev/zero >"$MNT/mapped"
        run_cmd python3 -c '
import mmap, os, sys
path = sys.argv[1] + "/mapped"
fd = os.open(path, os.O_RDONLY)
private = mmap.mmap(fd, 10000, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
private[0:3] = b"abc"
assert os.pread(fd, 3, 0) == bytes(3)
' "$MNT"
        run_cmd cmp "$MNT/mapped" <(head -c 10000 /dev/zero)
}

@test "O_DIRECT reads and writes" {
        head -c 262144 /dev/urandom >in
        run_cmd dd if=in of="$MNT/file" bs=65536 oflag=direct status=none
        run_cmd cmp in "$MNT/file"
        run_cmd dd if="$MNT/file" of=out bs=65536 iflag=direct status=none
        run_cmd cmp in out
}

@test "removing files writes tombstones, not the files once more" {
        require_new_store
        require_command jq
        local i before after
        for i in {1..200}; do
                head -c 8000 /dev/zero >"$MNT/$i"
        done
        before=$("$BUCKETMAP" info --json "$MNT" | jq .replay_bytes)
        rm "$MNT"/*
        after=$("$BUCKETMAP" info --json "$MNT" | jq .replay_bytes)
        # a checkpoint in between makes it less
        run_cmd test "$((after - before))" -lt 50000
}

@test "losing the name is a change: ctime, and no link is left" {
        echo 1 >"$MNT/open"
        touch -d '2001-02-03 04:05:06' "$MNT/open"
        exec 5<"$MNT/open"
        touch "$SCRATCH/before"
        rm "$MNT/open"
        run_cmd stat -L -c '%h %Y' /proc/self/fd/5
        assert_output "0 981173106"
        [ "$(stat -L -c %Z /proc/self/fd/5)" -ge "$(stat -c %Y "$SCRATCH/before")" ]
        exec 5<&-
}

@test "the space of large files comes back as soon as they are gone" {
        require_new_store
        require_command jq
        local i
        for i in {1..40}; do
                head -c 500000 /dev/urandom >"$MNT/$i"
        done
        rm "$MNT"/*
        wait_until shrunk
}

shrunk() {
        [ "$("$BUCKETMAP" info --json "$MNT" | jq .disk_bytes)" -lt 5000000 ]
}
