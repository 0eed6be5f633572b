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
