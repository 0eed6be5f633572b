#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Many entries, many directories, deep ones. BUCKETMAP_SOAK=1: in full size.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
}

# size SHORT FULL
size() {
        if [ -n "${BUCKETMAP_SOAK:-}" ]; then echo "$2"; else echo "$1"; fi
}

@test "a listing of many entries gives each exactly once, while others come and go" {
        local n
        require_new_store
        n=$(size 200000 10000000)
        run_cmd "${BUCKETMAP_LOAD_KEYS:-$BUCKETMAP_BUILD/tests/fs/load-keys}" "$STORE" "$n" 0
        mount_store
        cat >list.py <<'END'
import os, sys, threading
top, n = sys.argv[1], int(sys.argv[2])
seen = bytearray(n)
listed = threading.Event()

def disturb():
    i = 0
    while not listed.is_set():
        name = "%s/passing%d" % (top, i)
        os.mkdir(name)
        os.rename(name, name + "x")
        os.link("%s/key-%07d" % (top, i % n), name)
        os.unlink(name)
        os.rmdir(name + "x")
        i += 1

other = threading.Thread(target=disturb)
other.start()
try:
    for entry in os.scandir(top):
        if entry.name.startswith("key-"):
            seen[int(entry.name[4:])] += 1
finally:
    listed.set()
    other.join()
assert seen == b"\1" * n
END
        run_cmd python3 list.py "$MNT" "$n"
        run_bm umount "$MNT"
        check_store
}

@test "many directories: made, moved with what is in them, found again, removed" {
        local n
        n=$(size 5000 100000)
        mount_store
        cat >many.py <<'END'
import os, sys
os.chdir(sys.argv[1])
n = int(sys.argv[2])
os.mkdir("a")
for i in range(n):
    if i % 1000 == 0:
        os.mkdir("a/%d" % (i // 1000))
    os.mkdir("a/%d/%d" % (i // 1000, i))
open("a/0/0/file", "w").close()
os.mkdir("b")
os.rename("a", "b/a")
assert os.stat("b").st_nlink == 3 and os.stat("b/a/0").st_nlink == 2 + min(n, 1000)
END
        run_cmd python3 many.py "$MNT" "$n"
        kill_daemon
        mount_store
        assert_equal "$(find "$MNT/b/a" -mindepth 2 -type d | wc -l)" "$n"
        assert_file_exists "$MNT/b/a/0/0/file"
        run_cmd -1 mv "$MNT/b" "$MNT/b/a/0/0/b"
        rm -r "$MNT/b"
        assert_equal "$(root_names)" ""
        umount_store
        check_store
}

@test "directories as deep as a path can say, and deeper" {
        mount_store
        cat >deep.py <<'END'
import errno, os, sys
top = sys.argv[1]
name = "d" * 100
path = top
while len(path) + 1 + len(name) < 4095:
    path += "/" + name
    os.mkdir(path)
rest = 4095 - len(path) - 1
open(path + "/" + "f" * rest, "w").close()
assert os.stat(path + "/" + "f" * rest).st_nlink == 1
try:
    os.stat(path + "/" + "f" * (rest + 1))
    assert False
except OSError as e:
    assert e.errno == errno.ENAMETOOLONG
# no path leads there, but a way does
os.chdir(path)
for i in range(100):
    os.mkdir(name)
    os.chdir(name)
open("bottom", "w").close()
END
        run_cmd python3 deep.py "$MNT"
        remount_store
        mkdir "$MNT/above"
        mv "$MNT"/ddd* "$MNT/above"
        assert_equal "$(find "$MNT/above" -name bottom -printf '%d\n')" "$(find "$MNT/above" -type d | wc -l)"
        rm -r "$MNT/above"
        assert_equal "$(root_names)" ""
        umount_store
        check_store
}

@test "a file without a name from the start is refused as not supported" {
        mount_store
        run_cmd python3 -c '
import errno, os, sys
try:
    os.open(sys.argv[1], os.O_TMPFILE | os.O_RDWR)
    assert False
except OSError as e:
    assert e.errno == errno.EOPNOTSUPP, e
' "$MNT"
}

@test "a handle is good for as long as the kernel holds the inode, then stale" {
        [ "$(id -u)" -eq 0 ] || skip "needs root: open_by_handle_at"
        mount_store
        echo text >"$MNT/f"
        cat >handle.py <<'END'
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
class Handle(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("data", ctypes.c_ubyte * 128)]
handle, mount = Handle(bytes=128), ctypes.c_int()
path = os.fsencode(sys.argv[1] + "/f")
file = os.open(path, os.O_RDONLY)
if libc.name_to_handle_at(-100, path, ctypes.byref(handle), ctypes.byref(mount), 0):
    sys.exit("name_to_handle_at: " + os.strerror(ctypes.get_errno()))
top = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
fd = libc.open_by_handle_at(top, ctypes.byref(handle), os.O_RDONLY)
assert fd >= 0, os.strerror(ctypes.get_errno())
assert os.read(fd, 10) == b"text\n" and os.fstat(fd).st_ino == os.fstat(file).st_ino
os.unlink(path)
os.close(fd)
fd = libc.open_by_handle_at(top, ctypes.byref(handle), os.O_RDONLY)
assert fd < 0 or os.fstat(fd).st_nlink == 0
if fd >= 0:
    os.close(fd)
os.close(file)
assert libc.open_by_handle_at(top, ctypes.byref(handle), os.O_RDONLY) < 0
assert ctypes.get_errno() == errno.ESTALE, os.strerror(ctypes.get_errno())
END
        run_cmd python3 handle.py "$MNT"
}
