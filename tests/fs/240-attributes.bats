# SPDX-License-Identifier: MIT
# Extended attributes at their edges. Counts have a file of their own.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        require_command setfattr getfattr python3
        mount_store
        echo text >"$MNT/f"
}

@test "system.* and security.* are refused, so that cp -p works" {
        local name
        for name in system.posix_acl_access security.selinux security.x other.x; do
                run_cmd -1 setfattr -n "$name" -v value "$MNT/f"
                assert_regex "$stderr" "Operation not supported"
                run_cmd -1 getfattr -n "$name" "$MNT/f"
        done
        chmod 640 "$MNT/f"
        run_cmd cp -p "$MNT/f" "$MNT/copy"
        assert_equal "$stderr" ""
        assert_equal "$(stat -c %a "$MNT/copy")" 640
        run_cmd cp -a "$MNT/f" "$MNT/again"
        assert_equal "$stderr" ""
}

@test "values of every length, on files and directories" {
        mkdir "$MNT/d"
        run_cmd python3 -c '
import os, sys
for path in sys.argv[1:]:
    for size in 0, 1, 255, 256, 4096, 60000:
        os.setxattr(path, "user.v%d" % (size % 7), b"v" * size)
        assert os.getxattr(path, "user.v%d" % (size % 7)) == b"v" * size
' "$MNT/f" "$MNT/d"
        remount_store
        assert_equal "$(getfattr --only-values -n user.v$((60000 % 7)) "$MNT/d" | wc -c)" 60000
        assert_equal "$(cat "$MNT/f")" text
}

@test "size 0 asks for the length; too small a buffer is ERANGE" {
        setfattr -n user.a -v 12345 "$MNT/f"
        cat >"$SCRATCH/probe.py" <<'END'
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
path = os.fsencode(sys.argv[1])
buf = ctypes.create_string_buffer(100)
for name in b"user.a", b"user.bucketmap.refcount", b"user.bucketmap.xxh3":
    n = libc.getxattr(path, name, None, 0)
    assert n == len(os.getxattr(path, name)) > 0, (name, n)
    assert libc.getxattr(path, name, buf, n) == n
    if n > 1:
        assert libc.getxattr(path, name, buf, n - 1) == -1
        assert ctypes.get_errno() == errno.ERANGE
n = libc.listxattr(path, None, 0)
assert n == len(b"user.a\0"), n
assert libc.listxattr(path, buf, n) == n and buf.raw[:n] == b"user.a\0"
assert libc.listxattr(path, buf, n - 1) == -1 and ctypes.get_errno() == errno.ERANGE
END
        run_cmd python3 "$SCRATCH/probe.py" "$MNT/f"
}

@test "a prefix alone is no name, as on other filesystems" {
        local options
        cat >"$SCRATCH/nameless.py" <<'END'
import errno, os, sys
path = sys.argv[1]
def refused(call, *args):
    try:
        call(path, *args)
    except OSError as e:
        assert e.errno == errno.EINVAL, (call, args, e)
    else:
        sys.exit("not refused: %s %s" % (call, args))
for name in ["user."] + ["trusted.", "security."] * (os.geteuid() == 0):
    refused(os.setxattr, name, b"1")
    refused(os.setxattr, name, b"")
    refused(os.getxattr, name)
    refused(os.removexattr, name)
assert os.listxattr(path) == []
END
        for options in rw security_xattrs; do
                remount_store -o "$options"
                : >"$MNT/f"
                mkdir -p "$MNT/d"
                run_cmd python3 "$SCRATCH/nameless.py" "$MNT/f"
                run_cmd python3 "$SCRATCH/nameless.py" "$MNT/d"
        done
}

@test "create and replace" {
        cat >"$SCRATCH/flags.py" <<'END'
import errno, os, sys
path = sys.argv[1]
def refused(number, *args):
    try:
        os.setxattr(path, *args)
    except OSError as e:
        assert e.errno == number, e
    else:
        sys.exit("not refused")
refused(errno.ENODATA, "user.a", b"1", os.XATTR_REPLACE)
os.setxattr(path, "user.a", b"1", os.XATTR_CREATE)
refused(errno.EEXIST, "user.a", b"2", os.XATTR_CREATE)
assert os.getxattr(path, "user.a") == b"1"
os.setxattr(path, "user.a", b"2", os.XATTR_REPLACE)
assert os.getxattr(path, "user.a") == b"2"
refused(errno.EEXIST, "user.bucketmap.refcount", b"2", os.XATTR_CREATE)
END
        run_cmd python3 "$SCRATCH/flags.py" "$MNT/f"
}

@test "64 KiB a file in all, then ENOSPC and nothing changed" {
        cat >"$SCRATCH/fill.py" <<'END'
import errno, os, sys
path = sys.argv[1]
os.setxattr(path, "user.a", b"a" * 40000)
os.setxattr(path, "user.b", b"b" * 20000)
try:
    os.setxattr(path, "user.c", b"c" * 20000)
except OSError as e:
    assert e.errno == errno.ENOSPC, e
else:
    sys.exit("not refused")
assert sorted(os.listxattr(path)) == ["user.a", "user.b"]
assert os.getxattr(path, "user.a") == b"a" * 40000
os.removexattr(path, "user.a")
os.setxattr(path, "user.c", b"c" * 20000)
END
        run_cmd python3 "$SCRATCH/fill.py" "$MNT/f"
        assert_equal "$(cat "$MNT/f")" text
}

@test "trusted.* is root's" {
        require_user
        umount_store
        mount_store -o allow_other
        chmod 777 "$MNT" "$MNT/f"
        run_cmd setfattr -n trusted.a -v b "$MNT/f"
        assert_equal "$(getfattr --only-values -n trusted.a "$MNT/f")" b
        run_cmd -1 as_user getfattr -n trusted.a "$MNT/f"
        run_cmd -1 as_user setfattr -n trusted.a -v c "$MNT/f"
        run_cmd as_user getfattr -d -m - "$MNT/f"
        refute_regex "$stdout" trusted
        run_cmd getfattr -d -m - "$MNT/f"
        assert_regex "$stdout" trusted.a
}

@test "the hash of a large file, of one that changes, and of one that is interrupted" {
        require_command xxhsum
        truncate -s 3G "$MNT/huge"
        run_cmd -any timeout -s INT 0.1 getfattr -n user.bucketmap.xxh3 "$MNT/huge"
        # whoever asked is gone; others are answered
        head -c 3000000 /dev/urandom >"$MNT/big"
        assert_equal "$(getfattr --only-values -n user.bucketmap.xxh3 "$MNT/big")" \
                "$(xxhsum -H3 "$MNT/big" 2>/dev/null | tr -d ' ' | sed 's/.*=//')"
        echo more >>"$MNT/big"
        assert_equal "$(getfattr --only-values -n user.bucketmap.xxh3 "$MNT/big")" \
                "$(xxhsum -H3 "$MNT/big" 2>/dev/null | tr -d ' ' | sed 's/.*=//')"
        umount_store
}

@test "a value of 64 KiB, with the longest name; a list beyond a page" {
        cat >"$SCRATCH/large.py" <<'END'
import errno, os, sys
path = sys.argv[1]
name = "user." + "n" * 250
os.setxattr(path, name, b"v" * 65536)
assert os.getxattr(path, name) == b"v" * 65536
try:
    os.setxattr(path, name, b"v" * 65537)
except OSError as e:
    assert e.errno in (errno.E2BIG, errno.ENOSPC), e
else:
    sys.exit("not refused")
os.removexattr(path, name)
names = ["user.%03d.%s" % (i, "x" * 200) for i in range(250)]
for name in names:
    os.setxattr(path, name, name.encode()[:10])
assert sorted(os.listxattr(path)) == names
END
        mkdir "$MNT/d"
        run_cmd python3 "$SCRATCH/large.py" "$MNT/f"
        run_cmd python3 "$SCRATCH/large.py" "$MNT/d"
        remount_store
        assert_equal "$(getfattr -d "$MNT/f" 2>/dev/null | grep -c '^user\.')" 250
}

@test "another name of ours is refused, and not taken for a count" {
        for name in user.bucketmap.refcnt user.bucketmap.x user.bucketmap.; do
                run_cmd -1 setfattr -n "$name" -v +1 "$MNT/f"
                assert_regex "$stderr" "Operation not supported"
                run_cmd -1 getfattr -n "$name" "$MNT/f"
                run_cmd -1 setfattr -x "$name" "$MNT/f"
                assert_regex "$stderr" "No such attribute"
        done
        run_cmd setfattr -n user.bucketmaps -v 1 "$MNT/f"
}

# the attribute of a file with cap_net_raw
caps=0x0100000200200000000000000000000000000000

@test "security_xattrs: kept and listed; capabilities go with a write, a truncation and a change of owner" {
        require_root
        remount_store -o security_xattrs
        for name in write truncate chown chmod link copy; do
                printf program >"$MNT/$name"
                run_cmd setfattr -n security.capability -v "$caps" "$MNT/$name"
                run_cmd getfattr -n security.capability -e hex --only-values "$MNT/$name"
        done
        run_cmd setfattr -n security.other -v x "$MNT/write"
        run_cmd getfattr -d -m security "$MNT/write"
        assert_line --partial "security.capability="
        assert_line 'security.other="x"'
        printf more >>"$MNT/write"
        truncate -s 3 "$MNT/truncate"
        chown 1234 "$MNT/chown"
        chmod 700 "$MNT/chmod"
        mv "$MNT/link" "$MNT/link2"
        run_cmd python3 -c '
import os, sys
os.copy_file_range(os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_RDWR), 4)' "$MNT/f" "$MNT/copy"
        remount_store -o security_xattrs
        for name in write truncate chown copy; do
                run_cmd -1 getfattr -n security.capability "$MNT/$name"
        done
        for name in chmod link2; do
                run_cmd getfattr -n security.capability "$MNT/$name"
        done
        run_cmd getfattr -n security.other "$MNT/write"
}

@test "security_xattrs: without it nothing is shown, and a write drops capabilities all the same" {
        require_root
        remount_store -o security_xattrs
        cp "$MNT/f" "$MNT/g"
        setfattr -n security.capability -v "$caps" "$MNT/f"
        setfattr -n security.capability -v "$caps" "$MNT/g"
        remount_store
        run_cmd getfattr -d -m - "$MNT/f"
        assert_output ""
        run_cmd -1 getfattr -n security.capability "$MNT/f"
        assert_regex "$stderr" "Operation not supported"
        printf changed >"$MNT/f"
        remount_store -o security_xattrs
        run_cmd -1 getfattr -n security.capability "$MNT/f"
        assert_regex "$stderr" "No such attribute"
        run_cmd getfattr -n security.capability "$MNT/g"
}

@test "security_xattrs: who may set them is the kernel's to say" {
        require_user
        umount_store
        mount_store -o allow_other,security_xattrs
        chown "$BUCKETMAP_TEST_USER:" "$MNT/f"
        run_cmd -1 as_user setfattr -n security.x -v 1 "$MNT/f"
        assert_regex "$stderr" "Operation not permitted"
        run_cmd -1 as_user setfattr -n security.capability -v "$caps" "$MNT/f"
        assert_regex "$stderr" "Operation not permitted"
}
