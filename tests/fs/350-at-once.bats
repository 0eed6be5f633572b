#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Several processes at once, and directories that change while they are read.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        mount_store
}

@test "several processes write files of their own" {
        mkdir "$MNT/all"
        for who in {1..6}; do
                (
                        cd "$MNT/all"
                        mkdir "$who"
                        for i in {1..150}; do
                                echo "$who $i" >"$who/$i"
                                echo "$who $i" >"$who-$i"
                        done
                        for i in {1..150..3}; do rm "$who/$i"; done
                ) &
        done
        wait
        for round in 1 2; do
                assert_equal "$(find "$MNT/all" -type f | wc -l)" $((6 * 250))
                for who in 1 3 6; do
                        for i in 2 75 150; do
                                [ "$i" = 75 ] || [ "$((i % 3))" -eq 1 ] ||
                                        assert_equal "$(cat "$MNT/all/$who/$i")" "$who $i"
                                assert_equal "$(cat "$MNT/all/$who-$i")" "$who $i"
                        done
                done
                [ "$round" = 2 ] || remount_store
        done
        umount_store
        check_store
}

@test "lines that several processes append are all there and whole" {
        for who in {1..6}; do
                (for i in {1..200}; do echo "line $i of process $who" >>"$MNT/log"; done) &
        done
        wait
        assert_equal "$(wc -l <"$MNT/log")" 1200
        assert_equal "$(grep -cE '^line [0-9]+ of process [1-6]$' "$MNT/log")" 1200
        assert_equal "$(sort -u "$MNT/log" | wc -l)" 1200
}

@test "of many who create one name exclusively, one succeeds" {
        for i in {1..20}; do
                for who in {1..8}; do
                        (set -o noclobber; echo "$who" 2>/dev/null >"$MNT/prize$i" && echo "$who" >>"won$i" || true) &
                done
                wait
                assert_equal "$(wc -l <"won$i")" 1
                run_cmd cmp "won$i" "$MNT/prize$i"
        done
}

@test "one who replaces a file never shows a mixture to those who read it" {
        require_command python3
        run_cmd python3 -c '
import os, sys, threading
path = sys.argv[1] + "/file"
done = False
def write(letter):
    with open(path + ".new", "wb") as file:
        file.write(letter * 50000)
    os.rename(path + ".new", path)
write(b"a")
def read():
    while not done:
        with open(path, "rb") as file:
            data = file.read()
        if len(data) != 50000 or len(set(data)) != 1:
            failures.append(data[:50])
failures = []
readers = [threading.Thread(target=read) for _ in range(3)]
for reader in readers:
    reader.start()
for i in range(400):
    write(b"abcdefgh"[i % 8:i % 8 + 1])
done = True
for reader in readers:
    reader.join()
assert not failures, failures
' "$MNT"
}

# create N: files 1..N in $MNT/dir, quickly
create() {
        mkdir "$MNT/dir"
        (cd "$MNT/dir" && seq "$1" | xargs touch)
}

@test "a directory of 20 000 files lists each of them once" {
        create 20000
        ls -f "$MNT/dir" | sort >have
        { echo .; echo ..; seq 20000; } | sort >wanted
        run_cmd cmp wanted have
        assert_equal "$(ls -l "$MNT/dir" | wc -l)" 20001
        assert_equal "$(find "$MNT/dir" -type f | wc -l)" 20000
        remount_store
        ls -f "$MNT/dir" | sort >have
        run_cmd cmp wanted have
        run_cmd rm -r "$MNT/dir"
        run_cmd root_names
        assert_output ""
}

@test "a listing of 20 000 while others come and go" {
        require_command python3
        create 20000
        run_cmd python3 -c '
import os, sys
top = sys.argv[1]
lasting = {str(number) for number in range(2, 20001, 2)}
odd = iter(range(1, 20001, 2))
for turn in range(3):
    seen = []
    with os.scandir(top) as entries:
        for entry in entries:
            seen.append(entry.name)
            # files with odd numbers go and new ones come, those with even numbers stay
            if len(seen) % 8 == 0:
                os.unlink(f"{top}/{next(odd)}")
                open(f"{top}/new-{turn}-{len(seen)}", "w").close()
    assert len(seen) == len(set(seen)), "a name came twice"
    missing = lasting - set(seen)
    assert not missing, sorted(missing)[:10]
' "$MNT/dir"
}

@test "rm -r of 20 000 files leaves none" {
        create 20000
        run_cmd rm -r "$MNT/dir"
        run_cmd root_names
        assert_output ""
}

@test "rewinddir shows what came since" {
        require_command python3
        create 3000
        run_cmd python3 -c '
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
class Dirent(ctypes.Structure):
    _fields_ = [("d_ino", ctypes.c_uint64), ("d_off", ctypes.c_int64), ("d_reclen", ctypes.c_ushort),
                ("d_type", ctypes.c_ubyte), ("d_name", ctypes.c_char * 256)]
libc.opendir.restype = ctypes.c_void_p
libc.readdir.restype = ctypes.POINTER(Dirent)
libc.readdir.argtypes = libc.rewinddir.argtypes = libc.telldir.argtypes = [ctypes.c_void_p]
libc.telldir.restype = ctypes.c_long
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
stream = libc.opendir(os.fsencode(sys.argv[1]))
def rest():
    names = []
    while True:
        entry = libc.readdir(stream)
        if not entry:
            return names
        names.append(entry.contents.d_name)
first = rest()
assert len(first) == 3002
open(sys.argv[1] + "/late", "w").close()
libc.rewinddir(stream)
assert set(rest()) == set(first) | {b"late"}
# from any place that telldir named, what lies behind it
libc.rewinddir(stream)
places = []
order = []
while True:
    places.append(libc.telldir(stream))
    entry = libc.readdir(stream)
    if not entry:
        break
    order.append(entry.contents.d_name)
for i in (0, 1, 2, 3, 500, 1501, 3000, len(order) - 1):
    libc.seekdir(stream, places[i])
    assert rest() == order[i:], i
' "$MNT/dir"
}

@test "a listing that begins behind a removal does not show what was removed" {
        require_command python3
        create 20
        # as the kernel does it with a cache: the second one goes on in what the first one filled
        run_cmd python3 -c '
import os, sys
top = sys.argv[1]
def some(entries, count):
    return [next(entries).name for _ in range(count)]
order = os.listdir(top)
for gone in reversed(order):
    left = len(order) - 1
    open(f"{top}/new", "w").close() # nothing is cached
    os.unlink(f"{top}/new")
    first = os.scandir(top)
    assert some(first, left + 1) == order
    os.unlink(f"{top}/{gone}")
    order.remove(gone)
    second = os.scandir(top)
    assert some(second, left) == order
    assert list(first) == []
    assert [entry.name for entry in second] == []
    assert os.listdir(top) == order
' "$MNT/dir"
}

@test "a listing that nobody disturbs comes from the cache the second time" {
        require_command jq
        create 20
        # more than one at a time are not cached
        run_cmd python3 -c '
import os, sys
first, second = os.scandir(sys.argv[1]), os.scandir(sys.argv[1])
assert {entry.name for entry in first} == {entry.name for entry in second}
' "$MNT/dir"
        ls "$MNT/dir" >/dev/null
        n_listings() {
                "$BUCKETMAP" stats --json "$MNT" | jq .requests.readdir.requests
        }
        cached() {
                local before
                before=$(n_listings)
                ls "$MNT/dir" >/dev/null
                [ "$(n_listings)" -eq "$before" ]
        }
        # the kernel says that one is closed when it has time
        wait_until cached
}
