# SPDX-License-Identifier: MIT
# Sparse files: finding holes, making them, filling them ahead, copying them.

load ../lib/bucketmap

MiB=1048576

setup() {
        scratch_new
        require_fuse
        require_command python3 fallocate jq
        mount_store
}

# the parts of FILE that are data, "from-to" each
parts() {
        python3 -c '
import errno, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
at, parts = 0, []
while True:
    try:
        at = os.lseek(fd, at, os.SEEK_DATA)
    except OSError as e:
        assert e.errno == errno.ENXIO, e
        break
    start, at = at, os.lseek(fd, at, os.SEEK_HOLE)
    parts.append("%d-%d" % (start, at))
print(" ".join(parts))
' "$1"
}

# kilobytes that FILE takes
takes() {
        echo $(($(stat -c %b "$1") / 2))
}

# errno that "fallocate MODE OFFSET LEN" of FILE gives, by the system call itself
fallocate_gives() {
        run_cmd python3 -c '
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open(sys.argv[1], os.O_RDWR)
r = libc.fallocate(fd, int(sys.argv[2]), ctypes.c_long(int(sys.argv[3])), ctypes.c_long(int(sys.argv[4])))
print("OK" if r == 0 else errno.errorcode[ctypes.get_errno()])
' "$@"
        echo "$stdout" >"$SCRATCH/gives"
}

@test "SEEK_DATA and SEEK_HOLE" {
        printf small >"$MNT/small"
        assert_equal "$(parts "$MNT/small")" 0-5
        : >"$MNT/empty"
        assert_equal "$(parts "$MNT/empty")" ""
        truncate -s 10M "$MNT/hole"
        assert_equal "$(parts "$MNT/hole")" ""
        printf data | dd of="$MNT/hole" bs=1 seek=$((5 * MiB)) conv=notrunc status=none
        assert_equal "$(parts "$MNT/hole")" "$((5 * MiB))-$((5 * MiB + 32768))"
        head -c 1000000 /dev/urandom >"$MNT/full"
        assert_equal "$(parts "$MNT/full")" 0-1000000
        remount_store
        assert_equal "$(parts "$MNT/hole")" "$((5 * MiB))-$((5 * MiB + 32768))"
        assert_equal "$(parts "$MNT/full")" 0-1000000
}

@test "what a mapping has changed is no hole" {
        truncate -s 4M "$MNT/f"
        run_cmd python3 -c '
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
m = mmap.mmap(fd, 4 << 20)
m[1 << 20:(1 << 20) + 4] = b"data"
m.flush()
assert os.lseek(fd, 0, os.SEEK_DATA) == 1 << 20
m[3 << 20:(3 << 20) + 4] = b"more"
m.close()
assert os.lseek(fd, 2 << 20, os.SEEK_DATA) == 3 << 20, "after munmap"
' "$MNT/f"
        run_cmd cp --sparse=always "$MNT/f" copy
        run_cmd cmp "$MNT/f" copy
}

@test "punching a hole: zeros, and the space is given back" {
        head -c $((4 * MiB)) /dev/urandom >"$MNT/f"
        cp "$MNT/f" local
        for range in "$MiB $MiB" "100 1000" "40000 100000" "3000000 9000000" "0 1"; do
                read -r at len <<<"$range"
                run_cmd fallocate -p -o "$at" -l "$len" "$MNT/f"
                fallocate -p -o "$at" -l "$len" local
                run_cmd cmp local "$MNT/f"
        done
        assert_equal "$(stat -c %s "$MNT/f")" $((4 * MiB))
        [ "$(takes "$MNT/f")" -lt 2000 ]
        echo 3 >/proc/sys/vm/drop_caches 2>/dev/null || true
        run_cmd cmp local "$MNT/f"
        run_cmd fallocate -p -o 0 -l 4M "$MNT/f"
        [ "$(takes "$MNT/f")" -lt 4 ]
        assert_equal "$(parts "$MNT/f")" ""
        remount_store
        run_cmd cmp <(head -c 4M /dev/zero) "$MNT/f"
        printf small >"$MNT/s"
        run_cmd fallocate -p -o 1 -l 2 "$MNT/s"
        run_cmd cmp "$MNT/s" <(printf 's\0\0ll')
}

@test "allocating: the space is taken, contents and holes read as before" {
        printf start >"$MNT/f"
        run_cmd fallocate -l 3M "$MNT/f"
        assert_equal "$(stat -c %s "$MNT/f")" $((3 * MiB))
        [ "$(takes "$MNT/f")" -ge 3072 ]
        run_cmd cmp "$MNT/f" <(printf start; head -c $((3 * MiB - 5)) /dev/zero)
        assert_equal "$(parts "$MNT/f")" "0-$((3 * MiB))"
        truncate -s 10M "$MNT/g"
        run_cmd fallocate -n -o 1M -l 1M "$MNT/g"
        assert_equal "$(stat -c %s "$MNT/g")" $((10 * MiB))
        assert_equal "$(parts "$MNT/g")" "$MiB-$((2 * MiB))"
        run_cmd fallocate -o 9M -l 2M "$MNT/g"
        assert_equal "$(stat -c %s "$MNT/g")" $((11 * MiB))
        # long enough to be done aside
        run_cmd fallocate -l 20M "$MNT/h"
        assert_equal "$(stat -c %s "$MNT/h")" $((20 * MiB))
        [ "$(takes "$MNT/h")" -ge 20480 ]
        run_cmd python3 -c 'import os, sys; os.posix_fallocate(os.open(sys.argv[1], os.O_RDWR), 0, 1 << 16)' "$MNT/f"
}

@test "allocating beyond the end: the space is taken, the size stays" {
        printf start >"$MNT/f"
        run_cmd fallocate -n -l 1M "$MNT/f"
        assert_equal "$(stat -c %s "$MNT/f")" 5
        [ "$(takes "$MNT/f")" -ge 1024 ]
        assert_equal "$(cat "$MNT/f")" start
        assert_equal "$(parts "$MNT/f")" 0-5
        remount_store
        [ "$(takes "$MNT/f")" -ge 1024 ]
        # writing uses it up
        before=$(takes "$MNT/f")
        head -c 500000 /dev/urandom >local
        cp local "$MNT/other"
        dd if=local of="$MNT/f" bs=64k conv=notrunc status=none
        run_cmd cmp local "$MNT/f"
        assert_equal "$(takes "$MNT/f")" "$before"
        # a longer file has zeros there, and truncation to its own length gives back
        truncate -s 700000 "$MNT/f" local
        run_cmd cmp local "$MNT/f"
        [ "$(takes "$MNT/f")" -ge 1024 ]
        truncate -s 700000 "$MNT/f"
        [ "$(takes "$MNT/f")" -lt 720 ]
        run_cmd cmp local "$MNT/f"
        # far beyond, punched, and zeroed without growing
        run_cmd fallocate -n -o 100G -l 1M "$MNT/f"
        [ "$(takes "$MNT/f")" -ge 1700 ]
        run_cmd fallocate -p -o 100G -l 1M "$MNT/f"
        [ "$(takes "$MNT/f")" -lt 720 ]
        run_cmd fallocate -z -n -o 650000 -l 1M "$MNT/f"
        truncate -s 650000 local
        truncate -s 700000 local
        run_cmd cmp local "$MNT/f"
        [ "$(takes "$MNT/f")" -ge 1600 ]
        # tools that do it
        run_cmd cp "$MNT/f" "$MNT/copy"
        run_cmd cmp local "$MNT/copy"
        if command -v rsync >/dev/null; then
                run_cmd rsync -a --preallocate "$MNT/other" "$MNT/preallocated"
                assert_output ""
                run_cmd cmp "$MNT/other" "$MNT/preallocated"
        fi
        umount_store
        check_store
}

@test "zeroing a range" {
        head -c $((2 * MiB)) /dev/urandom >"$MNT/f"
        cp "$MNT/f" local
        run_cmd fallocate -z -o 1000 -l 1M "$MNT/f"
        fallocate -z -o 1000 -l 1M local
        run_cmd cmp local "$MNT/f"
        run_cmd fallocate -z -o 1900000 -l 1M "$MNT/f"
        fallocate -z -o 1900000 -l 1M local
        run_cmd cmp local "$MNT/f"
        run_cmd fallocate -z -n -o 10 -l 1M "$MNT/f"
        [ "$(takes "$MNT/f")" -ge 2800 ]
}

@test "what fallocate refuses" {
        head -c 100000 /dev/urandom >"$MNT/f"
        cp "$MNT/f" local
        # collapse, insert, unshare
        for mode in 8 32 64; do
                fallocate_gives "$MNT/f" "$mode" 0 32768
                assert_equal "$(<gives)" ENOTSUP
        done
        # holes are punched in what keeps its size
        fallocate_gives "$MNT/f" 2 0 32768
        assert_equal "$(<gives)" ENOTSUP
        fallocate_gives "$MNT/f" 0 17592186044415 1
        assert_equal "$(<gives)" EFBIG
        run_cmd cmp local "$MNT/f"
}

@test "more than the disk has: ENOSPC at once, and nothing is written" {
        printf text >"$MNT/f"
        fallocate_gives "$MNT/f" 0 0 17000000000000
        assert_equal "$(<gives)" ENOSPC
        assert_equal "$(stat -c %s "$MNT/f")" 4
        [ "$(takes "$MNT/f")" -lt 4 ]
}

@test "a long allocation can be interrupted, and delays nobody" {
        : >"$MNT/f"
        fallocate -l 400M "$MNT/f" 3>&- &
        pid=$!
        wait_until grep -q fallocate "/proc/$pid/comm"
        echo quick >"$MNT/g"
        run_cmd cat "$MNT/g"
        kill "$pid"
        wait "$pid" || true
        rm "$MNT/f"
        umount_store
        check_store
}

@test "copy_file_range: contents, holes, parts, and no byte through the client" {
        head -c 3000000 /dev/urandom >"$MNT/from"
        truncate -s 100M "$MNT/from"
        printf end | dd of="$MNT/from" bs=1 seek=$((90 * MiB)) conv=notrunc status=none
        before=$("$BUCKETMAP" stats --json "$MNT" | jq '.requests | [.read.requests, .write.requests]')
        cat >copy.py <<'END'
import os, sys
a, b = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
at_a, at_b, left = (int(n) for n in sys.argv[3:])
while left:
    n = os.copy_file_range(a, b, left, at_a, at_b)
    if n == 0:
        break
    at_a, at_b, left = at_a + n, at_b + n, left - n
print(left)
END
        run_cmd python3 copy.py "$MNT/from" "$MNT/to" 0 0 1000000000
        assert_output $((1000000000 - 100 * MiB))
        after=$("$BUCKETMAP" stats --json "$MNT" | jq '.requests | [.read.requests, .write.requests]')
        assert_equal "$after" "$before"
        run_cmd cmp "$MNT/from" "$MNT/to"
        assert_equal "$(parts "$MNT/to")" "$(parts "$MNT/from")"
        [ "$(takes "$MNT/to")" -lt 4000 ]
        # parts, at odd places, over what is there, within one file
        cp "$MNT/from" local
        run_cmd python3 copy.py "$MNT/from" "$MNT/to" 12345 98765 1234567
        python3 copy.py local local2 0 0 1000000000
        python3 copy.py local local2 12345 98765 1234567
        run_cmd cmp local2 "$MNT/to"
        run_cmd python3 copy.py "$MNT/to" "$MNT/to" 7 5000001 3000000
        python3 copy.py local2 local2 7 5000001 3000000
        run_cmd cmp local2 "$MNT/to"
        # a hole over data
        run_cmd python3 copy.py "$MNT/from" "$MNT/to" 50000000 99 200000
        python3 copy.py local local2 50000000 99 200000
        run_cmd cmp local2 "$MNT/to"
}

@test "copy_file_range and fallocate by a user clear set-id bits" {
        require_user
        umount_store
        mount_store -o allow_other
        chmod 777 "$MNT"
        for what in copy allocate punch; do
                printf 'some text' >"$MNT/$what"
                chown "$BUCKETMAP_TEST_USER:" "$MNT/$what"
                chmod 6777 "$MNT/$what"
        done
        printf 'other text' >"$MNT/from"
        chmod 644 "$MNT/from"
        run_cmd as_user /usr/bin/python3 -c '
import os, sys
a, b = os.open(sys.argv[1] + "/from", os.O_RDONLY), os.open(sys.argv[1] + "/copy", os.O_RDWR)
os.copy_file_range(a, b, 10, 0, 0)' "$MNT"
        run_cmd as_user fallocate -l 100 "$MNT/allocate"
        run_cmd as_user fallocate -p -l 2 "$MNT/punch"
        for what in copy allocate punch; do
                assert_equal "$(stat -c %a "$MNT/$what")" 777
        done
        remount_store
        for what in copy allocate punch; do
                assert_equal "$(stat -c %a "$MNT/$what")" 777
        done
}

@test "cp, tar and rsync keep a terabyte's holes, quickly" {
        truncate -s 1T "$MNT/giant"
        printf middle | dd of="$MNT/giant" bs=1 seek=500000000000 conv=notrunc status=none
        run_cmd cp "$MNT/giant" "$MNT/copy"
        assert_equal "$(stat -c %s "$MNT/copy")" 1099511627776
        [ "$(takes "$MNT/copy")" -lt 100 ]
        assert_equal "$(parts "$MNT/copy")" "$(parts "$MNT/giant")"
        run_cmd dd if="$MNT/copy" bs=1 skip=500000000000 count=6 status=none
        assert_output middle
        run_cmd tar -C "$MNT" -cSf giant.tar giant
        [ "$(stat -c %s giant.tar)" -lt 100000 ]
}

@test "a removed but open file: holes, too" {
        head -c $((2 * MiB)) /dev/urandom >"$MNT/f"
        run_cmd python3 -c '
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open(sys.argv[1], os.O_RDWR)
os.unlink(sys.argv[1])
assert libc.fallocate(fd, 3, ctypes.c_long(0), ctypes.c_long(1 << 20)) == 0
assert os.lseek(fd, 0, os.SEEK_DATA) == 1 << 20
assert os.pread(fd, 10, 0) == bytes(10)
os.posix_fallocate(fd, 0, 3 << 20)
assert os.fstat(fd).st_size == 3 << 20
' "$MNT/f"
        umount_store
        check_store
}

@test "allocated space is no promise on a full disk: ENOSPC, and what was there stays" {
        require_root
        mkdir disk
        mount -t tmpfs -o size=64m bucketmap-test disk
        umount_store
        STORE=$SCRATCH/disk/store
        mount_store
        run_cmd fallocate -l 10M "$MNT/ahead"
        run_cmd -1 dd if=/dev/urandom of="$MNT/fill" bs=1M count=100 status=none
        assert_regex "$stderr" "No space left"
        run_cmd -any dd if=/dev/urandom of="$MNT/ahead" bs=64k count=160 conv=notrunc status=none
        [ "$status" -eq 0 ] || {
                assert_regex "$stderr" "No space left"
                rm "$MNT/fill"
                run_cmd dd if=/dev/zero of="$MNT/ahead" bs=64k count=160 conv=notrunc status=none
                run_cmd cmp "$MNT/ahead" <(head -c 10M /dev/zero)
        }
        assert_equal "$(stat -c %s "$MNT/ahead")" $((10 * MiB))
        umount_store
        check_store
        umount disk
}
