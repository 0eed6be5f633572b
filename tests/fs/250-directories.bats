# SPDX-License-Identifier: MIT
# Listing, looking up and renaming at their edges.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        require_command python3
        mount_store
}

make_files() {
        python3 -c '
import sys
for i in range(int(sys.argv[2])):
    open("%s/file-%d" % (sys.argv[1], i), "w").close()
' "$1" "$2"
}

# How many inodes the daemon keeps for the kernel: n_inodes of FS_IOC_INFO.
n_inodes() {
        python3 -c '
import fcntl, os, struct, sys
info = bytearray(4584)
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 2 << 30 | len(info) << 16 | 0xbb << 8 | 1, info)
print(struct.unpack_from("<Q", info, 408)[0])
' "$1"
}

@test "every lookup is given back: the kernel forgets, and so does the daemon" {
        require_root
        mkdir "$MNT/d"
        make_files "$MNT/d" 2000
        ls -l "$MNT/d" >/dev/null
        ls -lR "$MNT" >/dev/null
        find "$MNT" -name 'file-1*' -delete
        assert [ "$(n_inodes "$MNT")" -gt 100 ]
        forgotten() {
                echo 2 >/proc/sys/vm/drop_caches
                [ "$(n_inodes "$MNT")" -eq 1 ]
        }
        wait_until forgotten
        assert_equal "$(ls "$MNT/d" | wc -l)" 889
}

@test "a listing while files come and go shows what stays once" {
        mkdir "$MNT/d"
        make_files "$MNT/d" 3000
        cat >"$SCRATCH/listing.py" <<'END'
import os, sys
path = sys.argv[1]
seen = []
with os.scandir(path) as entries:
    for n, entry in enumerate(entries):
        seen.append(entry.name)
        # a third goes, as many others come
        if n < 1000:
            os.unlink("%s/file-%d" % (path, 3 * n))
            open("%s/new-%d" % (path, n), "w").close()
stay = {"file-%d" % i for i in range(3000) if i % 3}
assert len(seen) == len(set(seen))
assert stay <= set(seen), sorted(stay - set(seen))[:5]
END
        run_cmd python3 "$SCRATCH/listing.py" "$MNT/d"
        assert_equal "$(ls "$MNT/d" | wc -l)" 3000
}

@test "removing each entry as it is listed empties the directory" {
        mkdir "$MNT/d"
        make_files "$MNT/d" 3000
        run_cmd python3 -c '
import os, sys
with os.scandir(sys.argv[1]) as entries:
    for entry in entries:
        os.unlink(entry.path)
' "$MNT/d"
        run_cmd rmdir "$MNT/d"
}

@test "a position of a listing stays good" {
        mkdir "$MNT/d"
        make_files "$MNT/d" 500
        cat >"$SCRATCH/seek.py" <<'END'
import ctypes, os, sys
libc = ctypes.CDLL(None)
class Dirent(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("reclen", ctypes.c_uint16),
                ("type", ctypes.c_uint8), ("name", ctypes.c_char * 256)]
libc.opendir.restype = ctypes.c_void_p
libc.readdir.restype = ctypes.POINTER(Dirent)
libc.readdir.argtypes = libc.telldir.argtypes = [ctypes.c_void_p]
libc.telldir.restype = ctypes.c_long
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
d = libc.opendir(os.fsencode(sys.argv[1]))
def rest():
    names = []
    while entry := libc.readdir(d):
        names.append(entry.contents.name)
    return names
for i in range(100):
    libc.readdir(d)
here = libc.telldir(d)
first = rest()
libc.seekdir(d, here)
assert rest() == first and len(first) == 402, len(first)
END
        run_cmd python3 "$SCRATCH/seek.py" "$MNT/d"
}

@test "inode numbers and . and .. of a listing agree with stat" {
        mkdir -p "$MNT/d/sub"
        : >"$MNT/d/f"
        run_cmd ls -ai "$MNT/d"
        assert_regex "$stdout" "$(stat -c %i "$MNT/d") \."
        assert_regex "$stdout" "$(stat -c %i "$MNT") \.\."
        assert_regex "$stdout" "$(stat -c %i "$MNT/d/f") f"
        assert_equal "$(stat -c %i "$MNT")" 1
}

@test "names of 255, 256 and 1000 bytes" {
        local name
        name=$(printf 'n%.0s' {1..255})
        : >"$MNT/$name"
        assert_file_exists "$MNT/$name"
        run_cmd -1 cat "$MNT/${name}n"
        assert_regex "$stderr" "File name too long"
        run_cmd -1 mkdir "$MNT/$name$name$name"
        assert_regex "$stderr" "File name too long"
        run_cmd -1 mv "$MNT/$name" "$MNT/${name}n"
        assert_regex "$stderr" "File name too long"
        assert_file_exists "$MNT/$name"
}

@test "symbolic links up to 4095 bytes" {
        run_cmd python3 -c '
import os, sys
path = sys.argv[1] + "/l"
for n in 1, 255, 256, 4095:
    os.symlink("t" * n, path)
    assert os.readlink(path) == "t" * n
    assert os.lstat(path).st_size == n
    os.unlink(path)
' "$MNT"
}

@test "rename: no replacement, exchange, whiteout" {
        cat >"$SCRATCH/rename.py" <<'END'
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
os.chdir(sys.argv[1])
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
def rename(a, b, flags):
    r = libc.renameat2(-100, os.fsencode(a), -100, os.fsencode(b), flags)
    return ctypes.get_errno() if r else 0
def write(name, text):
    with open(name, "w") as f: f.write(text)
def read(name):
    with open(name) as f: return f.read()
write("a", "of a"); write("b", "of b")
os.setxattr("a", "user.bucketmap.refcount", b"5")
assert rename("a", "b", NOREPLACE) == errno.EEXIST
assert rename("a", "c", NOREPLACE) == 0
assert rename("c", "none", EXCHANGE) == errno.ENOENT
assert rename("c", "b", WHITEOUT) == errno.EINVAL
ino = os.stat("c").st_ino
assert rename("c", "b", EXCHANGE) == 0
assert read("c") == "of b" and read("b") == "of a"
assert os.stat("b").st_ino == ino
assert os.getxattr("b", "user.bucketmap.refcount") == b"5"
os.mkdir("d"); os.mkdir("e"); write("d/f", "in d")
assert rename("d", "b", EXCHANGE) == 0
assert read("b/f") == "in d" and read("d") == "of a"
assert rename("b", "e/sub", 0) == 0
assert read("e/sub/f") == "in d"
assert rename("e", "e/sub/e", 0) == errno.EINVAL
assert rename("c", "e", 0) == errno.EISDIR
assert rename("e", "c", 0) == errno.ENOTDIR
os.mkdir("g")
assert rename("g", "e", 0) == errno.ENOTEMPTY
assert rename("e", "g", 0) == 0
assert read("g/sub/f") == "in d"
END
        run_cmd python3 "$SCRATCH/rename.py" "$MNT"
}

@test "inotify tells what happens in the mount" {
        require_command python3
        mkdir "$MNT/d"
        cat >watch.py <<'END'
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
os.chdir(sys.argv[1])
names = {0x1: "access", 0x2: "modify", 0x4: "attrib", 0x8: "close_write", 0x10: "close_nowrite", 0x20: "open",
         0x40: "moved_from", 0x80: "moved_to", 0x100: "create", 0x200: "delete", 0x400: "delete_self",
         0x8000: "ignored"}
watch = libc.inotify_init1(os.O_NONBLOCK)
assert libc.inotify_add_watch(watch, b"d", 0xfff) == 1

def expect(*wanted):
    got, data = [], b""
    try:
        data = os.read(watch, 65536)
    except BlockingIOError:
        pass
    while data:
        _, mask, _, n = struct.unpack_from("iIII", data)
        got.append(" ".join((names[mask & 0xffff], data[16:16 + n].rstrip(b"\0").decode())))
        data = data[16 + n:]
    assert got == list(wanted), got

with open("d/f", "wb", buffering=0) as f:
    expect("create f", "open f")
    f.write(b"text\n")
    expect("modify f")
expect("close_write f")
with open("d/f", "rb", buffering=0) as f:
    assert f.read(10) == b"text\n"
expect("open f", "access f", "close_nowrite f")
os.chmod("d/f", 0o600)
os.setxattr("d/f", "user.a", b"1")
os.utime("d/f", (1, 1))
expect("attrib f") # equal ones become one
os.rename("d/f", "d/g")
expect("moved_from f", "moved_to g")
os.truncate("d/g", 1)
expect("modify g")
os.mkdir("d/sub")
os.link("d/g", "d/h")
os.symlink("g", "d/s")
expect("create sub", "create h", "create s")
os.rename("d/s", "s")
expect("moved_from s")
os.unlink("d/g")
os.unlink("d/h")
os.rmdir("d/sub")
expect("delete g", "delete h", "delete sub")
os.rmdir("d")
expect("delete_self ", "ignored ")
END
        # as elsewhere
        mkdir -p elsewhere/d
        run_cmd python3 watch.py elsewhere
        run_cmd python3 watch.py "$MNT"
}

@test "link counts and times of directories" {
        local before after
        mkdir "$MNT/d"
        assert_equal "$(stat -c %h "$MNT/d")" 2
        mkdir "$MNT/d/a" "$MNT/d/b"
        assert_equal "$(stat -c %h "$MNT/d")" 4
        rmdir "$MNT/d/a"
        assert_equal "$(stat -c %h "$MNT/d")" 3
        touch -d '2001-02-03' "$MNT/d"
        assert_equal "$(stat -c %Y "$MNT/d")" "$(date -d 2001-02-03 +%s)"
        # a mode is no entry
        chmod 700 "$MNT/d"
        assert_equal "$(stat -c %Y "$MNT/d")" "$(date -d 2001-02-03 +%s)"
        before=$(date +%s)
        : >"$MNT/d/f"
        after=$(stat -c %Y "$MNT/d")
        assert [ "$after" -ge "$before" ]
        chmod 755 "$MNT/d"
        assert_equal "$(stat -c %Y "$MNT/d")" "$after"
        remount_store
        assert_equal "$(stat -c '%h %a' "$MNT/d")" "3 755"
}

@test "statfs has real figures" {
        read -r before free <<<"$(stat -f -c '%c %d' "$MNT")"
        before=$((before - free))
        make_files "$MNT" 10
        run_cmd stat -f -c '%l %S %b %f %a %c %d' "$MNT"
        read -r name_max block blocks free available files files_free <<<"$stdout"
        assert_equal "$name_max" 255
        assert [ "$blocks" -ge "$free" ]
        assert [ "$free" -ge "$available" ]
        assert_equal "$((files - files_free))" $((before + 10))
        assert_equal "$((available * block / 220 / 100))" "$((files_free / 100))"
}

@test "a read-only mount changes nothing" {
        echo text >"$MNT/f"
        umount_store
        mount_store -o ro
        assert_equal "$(cat "$MNT/f")" text
        run_cmd -1 touch "$MNT/g"
        assert_regex "$stderr" "Read-only file system"
        run_cmd -1 setfattr -n user.bucketmap.refcount -v +1 "$MNT/f"
        assert_regex "$stderr" "Read-only file system"
        run_cmd -1 rm -f "$MNT/f"
        assert_regex "$stderr" "Read-only file system"
}
