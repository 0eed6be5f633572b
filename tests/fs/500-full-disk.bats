#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A full disk: ENOSPC, what was there stays, deleting helps, nothing breaks.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        require_root
        mkdir "$SCRATCH/disk"
        mount -t tmpfs -o size=64m bucketmap-test "$SCRATCH/disk" || missing "mounting a tmpfs"
        STORE=$SCRATCH/disk/store
        mount_store
}

# Files of 300 000 random bytes until one does not fit; n is their number.
fill() {
        head -c 300000 /dev/urandom >piece
        n=0
        while cp piece "$MNT/file$n" 2>error; do n=$((n + 1)); done
        run_cmd cat error
        assert_output --partial "No space left on device"
        [ "$n" -gt 100 ]
}

# All that went in is whole; of the one that failed there is a part at most.
all_whole() {
        for i in $(seq 0 $((n - 1))); do
                cmp piece "$MNT/file$i" || return 1
        done
}

@test "filling it up: ENOSPC, and all that fitted is there" {
        fill
        all_whole
        run_cmd -any sh -c 'head -c 1000000 /dev/zero >"$0"' "$MNT/more"
        assert_not_equal "$status" 0
        umount_store
        check_store
        mount_store
        all_whole
}

@test "the old value stays when the new one does not fit" {
        echo precious >"$MNT/precious"
        fill
        head -c 20000000 /dev/urandom >"$SCRATCH/large"
        run_cmd -any cp "$SCRATCH/large" "$MNT/precious.new"
        assert_not_equal "$status" 0
        run_cmd cat "$MNT/precious"
        assert_output "precious"
}

# Each name that goes has the record written again, until the last.
@test "files of two names can be removed on a full disk, name by name" {
        require_command python3
        cat >fill.py <<'END'
import errno, os, sys
os.chdir(sys.argv[1])
os.mkdir("x")
os.mkdir("y")
value = os.urandom(10000)
n = 0
try:
    while True:
        with open("x/%d" % n, "wb") as file:
            file.write(value)
        os.link("x/%d" % n, "y/%d" % n)
        n += 1
except OSError as e:
    assert e.errno == errno.ENOSPC, e
assert n > 1000
for i in range(n):
    os.unlink("x/%d" % i)
for i in range(n):
    with open("y/%d" % i, "rb") as file:
        assert file.read() == value and os.fstat(file.fileno()).st_nlink == 1
    os.unlink("y/%d" % i)
END
        run_cmd python3 fill.py "$MNT"
        rm -r "$MNT/x" "$MNT/y"
        umount_store
        check_store
}

@test "deleting on a full disk works and makes room" {
        fill
        first=$n
        for i in $(seq 0 $((n - 1))); do rm "$MNT/file$i"; done
        rm -f "$MNT/file$n"
        run_cmd ls -A "$MNT"
        assert_output ""
        room_again() { cp piece "$MNT/again" 2>/dev/null; }
        wait_until room_again
        run_cmd cmp piece "$MNT/again"
        # not only a little
        fill_some() {
                local i
                for i in $(seq $((first / 2))); do
                        cp piece "$MNT/second$i" 2>/dev/null || return 1
                done
        }
        wait_until fill_some
        umount_store
        check_store
}

# to the last 512 bytes of a log segment
fill_to_the_brim() {
        fill
        local size
        for size in 30000 3000 3; do
                for i in {1..20000}; do
                        head -c "$size" piece >"$MNT/small-$size-$i" || break
                done 2>/dev/null
        done
}

@test "cutting files short works on a full disk, too" {
        require_command python3
        local size
        head -c 3000000 /dev/urandom >large
        for size in 2999999 1000000 100000 20000 1000 1; do
                cp large "$MNT/large-$size"
        done
        head -c 10000 large >"$MNT/inline"
        fill_to_the_brim
        run_cmd -any sh -c 'head -c 3000 /dev/zero >"$0"' "$MNT/one more"
        assert_output --partial "No space left on device"
        for size in 2999999 1000000 100000 20000 1000 1; do
                run_cmd truncate -s "$size" "$MNT/large-$size"
                cmp <(head -c "$size" large) "$MNT/large-$size"
        done
        run_cmd truncate -s 5000 "$MNT/inline"
        cmp <(head -c 5000 large) "$MNT/inline"
        # byte by byte: far more is written than the disk has room for
        run_cmd python3 -c 'import os, sys
for size in range(19999, 17000, -1):
    os.truncate(sys.argv[1], size)' "$MNT/large-20000"
        cmp <(head -c 17001 large) "$MNT/large-20000"
        all_whole
        umount_store
        check_store
}

@test "killed on a full disk: it opens again, with everything" {
        fill
        kill_daemon KILL
        mount_store
        all_whole
        for i in $(seq 0 $((n - 1))); do rm "$MNT/file$i"; done
        umount_store
        check_store
}

@test "df says full where writes are refused, and room where they are not" {
        fill
        run_cmd df --output=avail,pcent "$MNT"
        assert_line --regexp '^ *0 +100%$'
        rm "$MNT"/file*
        room_again() { [ "$(df --output=avail "$MNT" | tail -n 1)" -gt 30000 ]; }
        wait_until room_again
}

@test "df tells of the disk below" {
        before=$(df --output=avail "$MNT" | tail -n 1)
        # in large pieces: of smaller ones there may be more on disk for a while
        dd if=/dev/urandom of="$MNT/large" bs=1M count=20 status=none
        after=$(df --output=avail "$MNT" | tail -n 1)
        [ $((before - after)) -gt 15000 ]
        [ $((before - after)) -lt 30000 ]
}

# The ends of segments stay empty where chunks of 32 KiB do not fit.
@test "what df promises can be written, but for a few in a hundred" {
        local avail
        avail=$(df --output=avail "$MNT" | tail -n 1)
        [ "$avail" -gt 48000 ]
        head -c $((avail * 920)) /dev/urandom >"$MNT/large"
}

@test "a disk that is too small for any store" {
        mkdir "$SCRATCH/tiny"
        mount -t tmpfs -o size=64k bucketmap-test "$SCRATCH/tiny"
        run_bm -2 create "$SCRATCH/tiny/store"
        [[ $stderr = "bucketmap: $SCRATCH/tiny/store: created, but cannot be used: No space left on device" ||
                $stderr = "bucketmap: $SCRATCH/tiny/store: cannot create: No space left on device" ]]
}

# Files of $1 bytes until one does not fit.
fill_with_small() {
        run_cmd python3 -c '
import os, sys
value = os.urandom(int(sys.argv[2]))
try:
    for i in range(1000000):
        with open(f"{sys.argv[1]}/small{i}", "wb", buffering=0) as file:
            file.write(value)
except OSError as error:
    print(error.strerror)
' "$MNT" "$1"
        assert_output "No space left on device"
}

@test "small files to the brim: closed, opened, deleted from, killed, opened, emptied" {
        require_command python3
        # a smaller one, for a daemon takes a while to make 300 000 files
        [ -n "${BUCKETMAP_SOAK:-}" ] || mount -o remount,size=16m "$SCRATCH/disk"
        local size
        for size in 100 3000; do
                echo keep >"$MNT/keep"
                fill_with_small "$size"
                umount_store
                check_store
                mount_store
                run_cmd find "$MNT" -name 'small1*' -delete
                kill_daemon
                mount_store
                run_cmd cat "$MNT/keep"
                assert_output keep
                run_cmd find "$MNT" -name 'small*' -delete
                remount_store
                # what was freed can be had again
                head -c 6000000 /dev/urandom >"$SCRATCH/large"
                run_cmd cp "$SCRATCH/large" "$MNT/large"
                run_cmd cmp "$SCRATCH/large" "$MNT/large"
                run_cmd rm "$MNT/large"
        done
        umount_store
        check_store
}
