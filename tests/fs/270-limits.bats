# SPDX-License-Identifier: MIT
# What a mount does not do is refused with an errno that says so; each of
# these stands in the README. Sizes, names, holes and xattrs have files of
# their own.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        require_command python3
        mount_store
        echo text >"$MNT/f"
        cat >probe.py <<'END'
import ctypes, errno, fcntl, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)

def gives(name, result):
    got = "OK" if result >= 0 else errno.errorcode[ctypes.get_errno()]
    assert got == name, got

def refused(name, call, *args):
    try:
        call(*args)
    except OSError as e:
        assert errno.errorcode[e.errno] == name, e
    else:
        sys.exit("not refused")

os.chdir(sys.argv[1])
fd = os.open("f", os.O_RDWR)
END
}

probe() {
        cat probe.py - >this.py
        run_cmd python3 this.py "$MNT"
}

@test "no ACLs: EOPNOTSUPP" {
        probe <<'END'
acl = struct.pack("<IHHIHHIHHI", 2, 1, 6, 0xffffffff, 4, 4, 0xffffffff, 32, 4, 0xffffffff)
os.mkdir("d")
for path, name in ("f", "access"), ("d", "access"), ("d", "default"):
    refused("ENOTSUP", os.setxattr, path, "system.posix_acl_" + name, acl)
    refused("ENOTSUP", os.getxattr, path, "system.posix_acl_" + name)
END
}

@test "no shared extents: FICLONE is EOPNOTSUPP, and cp --reflink=auto copies" {
        probe <<'END'
other = os.open("g", os.O_RDWR | os.O_CREAT)
refused("ENOTSUP", fcntl.ioctl, other, 0x40049409, fd)
END
        run_cmd cp --reflink=auto "$MNT/f" "$MNT/copy"
        run_cmd cmp "$MNT/f" "$MNT/copy"
        run_cmd -1 cp --reflink=always "$MNT/f" "$MNT/clone"
}

@test "no file flags (chattr) and no list of extents (FIEMAP)" {
        probe <<'END'
refused("ENOTTY", fcntl.ioctl, fd, 0x80086601, bytes(8))
refused("ENOTTY", fcntl.ioctl, fd, 0x40086602, bytes(8))
refused("ENOTSUP", fcntl.ioctl, fd, 0xc020660b, bytes(32))
END
}

@test "rename: no whiteouts, no unknown flags: EINVAL" {
        probe <<'END'
for flags in 4, 5, 8, 3:
    gives("EINVAL", libc.renameat2(-100, b"f", -100, b"g", flags))
os.stat("f")
END
}

@test "no quotas: ENOSYS" {
        probe <<'END'
top = os.open(".", os.O_RDONLY)
quota = ctypes.create_string_buffer(1024)
for command in 0x80000700, 0x80000500: # Q_GETQUOTA, Q_GETINFO of users
    gives("ENOSYS", libc.syscall(443, top, command, 0, quota)) # quotactl_fd
END
}

@test "no swap file: EINVAL" {
        require_root
        probe <<'END'
os.ftruncate(fd, 1 << 20)
gives("EINVAL", libc.swapon(b"f", 0))
END
}

@test "the largest file, and one byte more: EFBIG by write, truncate and fallocate" {
        probe <<'END'
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
most = (1 << 44) - 1
os.ftruncate(fd, most)
refused("EFBIG", os.ftruncate, fd, most + 1)
refused("EFBIG", os.pwrite, fd, b"x", most)
gives("EFBIG", libc.fallocate(fd, 0, ctypes.c_long(most), ctypes.c_long(1)))
os.ftruncate(fd, 5)
END
}
