# SPDX-License-Identifier: MIT
# What POSIX says of owners, modes and times, seen by several users on one
# mount. Each probe runs as root and turns into others.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        require_root
        mount_store -o allow_other
        chmod 777 "$MNT"
        cat >probe.py <<'END'
import errno, os, stat, sys, time

def refused(number, call, *args, **named):
    try:
        call(*args, **named)
    except OSError as e:
        assert e.errno == number, (call, args, e)
    else:
        sys.exit("not refused: %s%r" % (call.__name__, args))

class user:
    "with user(uid, gid, groups): as that user"
    def __init__(self, uid, gid, groups=()):
        self.ids = uid, gid, groups
    def __enter__(self):
        uid, gid, groups = self.ids
        os.setgroups(groups)
        os.setegid(gid)
        os.seteuid(uid)
    def __exit__(self, *error):
        os.seteuid(0)
        os.setegid(0)
        os.setgroups([])

def make(path, mode=0o644):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))

def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)

def changed(path, call, *args, **named):
    "whether the call gave PATH another ctime"
    before = os.lstat(path).st_ctime_ns
    call(*args, **named)
    return os.lstat(path).st_ctime_ns > before

os.umask(0)
os.chdir(sys.argv[1])
END
}

probe() {
        cat probe.py - >this.py
        run_cmd python3 this.py "$MNT"
}

@test "what is made belongs to its maker" {
        probe <<'END'
with user(1001, 1002, [1003]):
    make("f")
    os.mkdir("d")
    os.symlink("f", "l")
    os.mkfifo("p")
for name in "f", "d", "l", "p":
    st = os.lstat(name)
    assert (st.st_uid, st.st_gid) == (1001, 1002), name
END
        remount_store -o allow_other
        assert_equal "$(stat -c %u:%g "$MNT/f" "$MNT/d" "$MNT/l" "$MNT/p" | sort -u)" 1001:1002
}

@test "a set-gid directory hands down its group, and the bit to directories" {
        probe <<'END'
os.mkdir("d", 0o777)
os.chown("d", 0, 1009)
os.chmod("d", 0o2777)
with user(1001, 1002):
    make("d/f", 0o644)
    os.mkdir("d/sub", 0o755)
    os.symlink("f", "d/l")
    os.mkfifo("d/p", 0o644)
    os.mkdir("d/sub/deep", 0o700)
    make("d/sub/deep/f")
    # of a group that one is not in, the bit is not to be had
    make("d/s", 0o2755)
for name in "f", "sub", "l", "p", "sub/deep", "sub/deep/f", "s":
    assert os.lstat("d/" + name).st_gid == 1009, name
assert mode("d/sub") == 0o2755 and mode("d/sub/deep") == 0o2700
assert mode("d/f") == 0o644 and mode("d/p") == 0o644
assert mode("d/s") == 0o755, oct(mode("d/s"))
END
}

@test "a sticky directory: only owners remove and rename" {
        probe <<'END'
os.mkdir("t")
os.chmod("t", 0o1777)
with user(1001, 1001):
    for name in "a", "b", "c", "e":
        make("t/" + name, 0o666)
    os.mkdir("t/d")
with user(1002, 1002):
    make("t/mine")
    refused(errno.EPERM, os.unlink, "t/a")
    refused(errno.EPERM, os.rmdir, "t/d")
    refused(errno.EPERM, os.rename, "t/a", "t/x")
    refused(errno.EPERM, os.rename, "t/mine", "t/a")
    refused(errno.EPERM, os.rename, "t/d", "t/x")
with user(1001, 1001):
    os.rename("t/a", "t/b")
    os.unlink("t/b")
    os.rmdir("t/d")
os.unlink("t/mine")
os.chown("t", 1002, 0)
with user(1002, 1002):
    os.unlink("t/c")
END
}

@test "chmod and chown: who may, and what it does to set-id bits" {
        probe <<'END'
make("f")
os.chown("f", 1001, 1001)
with user(1002, 1001):
    refused(errno.EPERM, os.chmod, "f", 0o777)
    refused(errno.EPERM, os.chown, "f", -1, 1001)
with user(1001, 1001, [1005]):
    os.chmod("f", 0o6755)
    assert mode("f") == 0o6755
    refused(errno.EPERM, os.chown, "f", 1002, -1)
    refused(errno.EPERM, os.chown, "f", -1, 1006)
    # a supplementary group
    os.chown("f", -1, 1005)
    assert os.stat("f").st_gid == 1005
    assert mode("f") == 0o755
    os.chmod("f", 0o2755)
with user(1001, 1001):
    # not in its group: the bit goes, silently
    os.chmod("f", 0o2755)
assert mode("f") == 0o755, oct(mode("f"))
os.chmod("f", 0o6755)
os.chown("f", 1003, 1003)
assert mode("f") == 0o755
os.mkdir("d")
os.chmod("d", 0o6755)
os.chown("d", 1003, 1003)
assert mode("d") == 0o6755
END
}

@test "reading, writing, searching, through groups" {
        probe <<'END'
os.mkdir("d", 0o710)
os.chown("d", 0, 1007)
make("d/f", 0o640)
os.chown("d/f", 0, 1008)
with user(1001, 1001, [1007, 1008]):
    os.close(os.open("d/f", os.O_RDONLY))
    refused(errno.EACCES, os.open, "d/f", os.O_WRONLY)
    refused(errno.EACCES, os.listdir, "d")
    refused(errno.EACCES, make, "d/g")
    refused(errno.EACCES, os.utime, "d/f")
    refused(errno.EPERM, os.utime, "d/f", (1, 1))
    refused(errno.EACCES, os.setxattr, "d/f", "user.a", b"1")
    refused(errno.EACCES, os.truncate, "d/f", 0)
with user(1001, 1001, [1007]):
    refused(errno.EACCES, os.open, "d/f", os.O_RDONLY)
    os.stat("d/f")
with user(1001, 1001, [1008]):
    refused(errno.EACCES, os.stat, "d/f")
with user(1001, 1001):
    assert not os.access("d", os.X_OK, effective_ids=True)
END
}

@test "ctime follows every change of the file" {
        probe <<'END'
make("f")
assert changed("f", os.chmod, "f", 0o600)
assert changed("f", os.chown, "f", 1, 1)
assert changed("f", os.link, "f", "g")
assert changed("f", os.rename, "g", "h")
assert changed("f", os.unlink, "h")
assert changed("f", os.setxattr, "f", "user.a", b"1")
assert changed("f", os.removexattr, "f", "user.a")
assert changed("f", os.utime, "f", (5, 5))
assert changed("f", os.truncate, "f", 100)
assert changed("f", os.truncate, "f", 100), "to the same size"
fd = os.open("f", os.O_RDWR)
assert changed("f", os.write, fd, b"x")
assert changed("f", os.posix_fallocate, fd, 0, 1000)
before = os.stat("f").st_ctime_ns
os.rename("f", "f2")
assert os.stat("f2").st_ctime_ns > before
assert not changed("f2", os.pread, fd, 10, 0)
END
}

@test "a directory's times follow its entries, and nothing else does" {
        probe <<'END'
os.mkdir("d")
os.mkdir("e")
def touches(call, *args, dirs=("d",)):
    before = {d: (os.stat(d).st_mtime_ns, os.stat(d).st_ctime_ns) for d in dirs}
    call(*args)
    for d in dirs:
        st = os.stat(d)
        assert st.st_mtime_ns > before[d][0] and st.st_ctime_ns > before[d][1], (call, args, d)
        assert st.st_mtime_ns == st.st_ctime_ns
touches(make, "d/f")
touches(os.mkdir, "d/sub")
touches(os.symlink, "x", "d/l")
touches(os.mkfifo, "d/p")
touches(os.link, "d/f", "d/g")
touches(os.rename, "d/g", "d/h")
touches(os.rename, "d/h", "e/h", dirs=("d", "e"))
touches(os.unlink, "d/f")
touches(os.rmdir, "d/sub")
make("d/f")
before = os.stat("d")
with open("d/f", "w") as f:
    f.write("text")
os.chmod("d/f", 0o600)
os.listdir("d")
after = os.stat("d")
assert before.st_mtime_ns == after.st_mtime_ns and before.st_ctime_ns == after.st_ctime_ns
os.chmod("d", 0o700)
assert os.stat("d").st_mtime_ns == before.st_mtime_ns
assert os.stat("d").st_ctime_ns > before.st_ctime_ns
os.utime("d", ns=(3, 1000000007))
assert os.stat("d").st_mtime_ns == 1000000007
END
}

@test "times: nanoseconds, before 1970, after 2038, and the ends of what can be kept" {
        cat >times.py <<'END'
import os, sys
first, last = -(1 << 63), (1 << 63) - 1
times = [0, 1, 999999999, -1, -1500000000, -2208988800 * 10**9, (1 << 31) * 10**9 + 7, 4102444800123456789,
         9223372036 * 10**9, -9223372036 * 10**9]
os.chdir(sys.argv[1])
for i, ns in enumerate(times):
    if sys.argv[2] == "set":
        open("t%d" % i, "w").close()
        os.utime("t%d" % i, ns=(ns - 1, ns))
    st = os.stat("t%d" % i)
    assert (st.st_atime_ns, st.st_mtime_ns) == (ns - 1, ns), (ns, st.st_atime_ns, st.st_mtime_ns)
# beyond them: the nearest
for name, sec, want in ("late", 1 << 34, last), ("early", -(1 << 34), first):
    if sys.argv[2] == "set":
        open(name, "w").close()
        os.utime(name, ns=(sec * 10**9, sec * 10**9))
    assert os.stat(name).st_mtime_ns == want, (name, os.stat(name).st_mtime_ns)
END
        run_cmd python3 times.py "$MNT" set
        remount_store -o allow_other
        run_cmd python3 times.py "$MNT" get
}
