#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# user.bucketmap.refcount and user.bucketmap.xxh3, with getfattr and setfattr.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        require_command setfattr getfattr
        mount_store
}

count() {
        getfattr --absolute-names --only-values -n user.bucketmap.refcount "$1"
}

set_count() {
        run_cmd setfattr -n user.bucketmap.refcount -v "$2" "$1"
}

refuse_count() {
        run_cmd -1 setfattr -n user.bucketmap.refcount -v "$2" "$1"
        assert_output --partial "Invalid argument"
}

@test "a new file has count 1" {
        echo a >"$MNT/file"
        assert_equal "$(count "$MNT/file")" 1
        mkdir "$MNT/dir"
        touch "$MNT/dir/empty"
        assert_equal "$(count "$MNT/dir/empty")" 1
}

@test "setting, adding and taking" {
        echo a >"$MNT/file"
        set_count "$MNT/file" 7
        assert_equal "$(count "$MNT/file")" 7
        set_count "$MNT/file" +1
        set_count "$MNT/file" +1
        assert_equal "$(count "$MNT/file")" 9
        set_count "$MNT/file" -1
        assert_equal "$(count "$MNT/file")" 8
        set_count "$MNT/file" 0
        assert_equal "$(count "$MNT/file")" 0
        run_cmd cat "$MNT/file"
        assert_output "a"
        remount_store
        assert_equal "$(count "$MNT/file")" 0
}

@test "the largest count" {
        echo a >"$MNT/file"
        set_count "$MNT/file" 4611686018427387903
        assert_equal "$(count "$MNT/file")" 4611686018427387903
        refuse_count "$MNT/file" +1
        assert_equal "$(count "$MNT/file")" 4611686018427387903
        remount_store
        assert_equal "$(count "$MNT/file")" 4611686018427387903
        set_count "$MNT/file" -1
        assert_equal "$(count "$MNT/file")" 4611686018427387902
        refuse_count "$MNT/file" 4611686018427387904
}

@test "what is no count is refused and changes nothing" {
        echo a >"$MNT/file"
        set_count "$MNT/file" 3
        for bad in "" " 1" "1 " +2 -2 -0 +0 ++1 one 0x10 1e3 -5 18446744073709551617 99999999999999999999999; do
                refuse_count "$MNT/file" "$bad"
                assert_equal "$(count "$MNT/file")" 3
        done
        set_count "$MNT/file" 0
        refuse_count "$MNT/file" -1
        assert_equal "$(count "$MNT/file")" 0
}

@test "neither attribute is listed, and neither can be removed" {
        echo a >"$MNT/file"
        setfattr -n user.mine -v 1 "$MNT/file"
        run_cmd getfattr --absolute-names -d -m - "$MNT/file"
        assert_output "# file: $MNT/file
user.mine=\"1\""
        for name in refcount xxh3; do
                run_cmd -1 setfattr -x "user.bucketmap.$name" "$MNT/file"
                assert_output --partial "Operation not permitted"
        done
        assert_equal "$(count "$MNT/file")" 1
}

@test "directories have no count" {
        mkdir "$MNT/dir"
        for dir in "$MNT/dir" "$MNT"; do
                for name in refcount xxh3; do
                        run_cmd -1 getfattr -n "user.bucketmap.$name" "$dir"
                        assert_output --partial "No such attribute"
                        run_cmd -1 setfattr -n "user.bucketmap.$name" -v 1 "$dir"
                        assert_output --partial "Operation not permitted"
                done
        done
}

@test "overwriting keeps the count" {
        echo a >"$MNT/file"
        set_count "$MNT/file" 5
        echo longer >"$MNT/file"
        assert_equal "$(count "$MNT/file")" 5
        echo more >>"$MNT/file"
        cp /etc/passwd "$MNT/file"
        truncate -s 3 "$MNT/file"
        assert_equal "$(count "$MNT/file")" 5
        sed -i s/r/R/ "$MNT/file"
        assert_equal "$(count "$MNT/file")" 5
        cp /etc/passwd "$MNT/.new"
        mv "$MNT/.new" "$MNT/file"
        assert_equal "$(count "$MNT/file")" 5
}

@test "a rename over a file: the source's count if it is not 1" {
        echo a >"$MNT/a"
        echo b >"$MNT/b"
        set_count "$MNT/a" 4
        set_count "$MNT/b" 9
        mv "$MNT/a" "$MNT/b"
        assert_equal "$(count "$MNT/b")" 4
        echo c >"$MNT/c"
        set_count "$MNT/c" 0
        mv "$MNT/c" "$MNT/b"
        assert_equal "$(count "$MNT/b")" 0
        echo d >"$MNT/d"
        mkdir "$MNT/dir"
        mv "$MNT/b" "$MNT/dir/b"
        mv "$MNT/d" "$MNT/dir/b"
        assert_equal "$(count "$MNT/dir/b")" 0
        remount_store
        assert_equal "$(count "$MNT/dir/b")" 0
}

@test "an exchange swaps names, counts stay with their records" {
        require_command python3
        echo a >"$MNT/a"
        echo b >"$MNT/b"
        set_count "$MNT/a" 4
        set_count "$MNT/b" 9
        run_cmd python3 -c '
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
a, b = (os.fsencode(name) for name in sys.argv[1:])
RENAME_EXCHANGE = 2
if libc.renameat2(-100, a, -100, b, RENAME_EXCHANGE) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
' "$MNT/a" "$MNT/b"
        run_cmd cat "$MNT/a" "$MNT/b"
        assert_output "b
a"
        assert_equal "$(count "$MNT/a") $(count "$MNT/b")" "9 4"
}

@test "many processes add and take at once" {
        echo a >"$MNT/file"
        set_count "$MNT/file" 1000
        seq 400 | xargs -P 8 -n 1 sh -c 'setfattr -n user.bucketmap.refcount -v +1 "$0"' "$MNT/file" &
        seq 300 | xargs -P 8 -n 1 sh -c 'setfattr -n user.bucketmap.refcount -v -1 "$0"' "$MNT/file" &
        wait
        assert_equal "$(count "$MNT/file")" 1100
}

@test "unlink takes a file away whatever its count" {
        echo a >"$MNT/file"
        set_count "$MNT/file" 50
        run_cmd rm "$MNT/file"
        assert_file_not_exists "$MNT/file"
        echo b >"$MNT/file"
        assert_equal "$(count "$MNT/file")" 1
}

@test "with unlink=guard a file with a count above 1 stays" {
        echo a >"$MNT/file"
        set_count "$MNT/file" 2
        remount_store -o unlink=guard
        run_cmd -1 rm "$MNT/file"
        assert_output --partial "Device or resource busy"
        run_cmd cat "$MNT/file"
        assert_output "a"
        set_count "$MNT/file" -1
        run_cmd rm "$MNT/file"
        assert_file_not_exists "$MNT/file"
}

@test "with list_counts the count is listed" {
        echo a >"$MNT/file"
        set_count "$MNT/file" 6
        remount_store -o list_counts
        run_cmd getfattr --absolute-names -d "$MNT/file"
        assert_line 'user.bucketmap.refcount="6"'
        tar --xattrs -C "$MNT" -cf counts.tar file
        rm "$MNT/file"
        run_cmd tar --xattrs -C "$MNT" -xf counts.tar
        assert_equal "$(count "$MNT/file")" 6
}

@test "xxh3 is what xxhsum prints, and follows the contents" {
        require_command xxhsum
        for size in 0 1 100 20000 3000000; do
                head -c "$size" /dev/urandom >"$MNT/file"
                wanted=$(xxhsum -q -H3 <"$MNT/file" | grep -oE '[0-9a-f]{16}')
                assert_equal "$(getfattr --absolute-names --only-values -n user.bucketmap.xxh3 "$MNT/file")" "$wanted"
                echo >>"$MNT/file"
                wanted=$(xxhsum -q -H3 <"$MNT/file" | grep -oE '[0-9a-f]{16}')
                assert_equal "$(getfattr --absolute-names --only-values -n user.bucketmap.xxh3 "$MNT/file")" "$wanted"
        done
        run_cmd -1 setfattr -n user.bucketmap.xxh3 -v 0123456789abcdef "$MNT/file"
        assert_output --partial "Operation not permitted"
}

@test "ordinary attributes: binary, empty, replaced, removed, kept" {
        touch "$MNT/file"
        mkdir "$MNT/dir"
        setfattr -n user.empty "$MNT/file"
        setfattr -n user.bytes -v 0x000102ff "$MNT/file"
        setfattr -n user.a -v one "$MNT/file"
        setfattr -n user.a -v two "$MNT/file"
        setfattr -n user.gone -v x "$MNT/file"
        setfattr -x user.gone "$MNT/file"
        setfattr -n user.note -v d "$MNT/dir"
        run_cmd -1 setfattr -x user.gone "$MNT/file"
        assert_output --partial "No such attribute"
        remount_store
        run_cmd getfattr --absolute-names -d -e hex "$MNT/file"
        assert_line user.a=0x74776f
        assert_line user.bytes=0x000102ff
        assert_line --regexp '^user.empty(=0x|="")?$'
        refute_line --partial gone
        assert_equal "$(getfattr --absolute-names --only-values -n user.note "$MNT/dir")" d
}

@test "an attribute of 60 000 bytes fits, more than 64 KiB in all do not" {
        require_command python3
        touch "$MNT/file"
        run_cmd python3 -c '
import errno, os, sys
path = sys.argv[1]
os.setxattr(path, "user.big", b"b" * 60000)
assert os.getxattr(path, "user.big") == b"b" * 60000
try:
    os.setxattr(path, "user.more", b"m" * 20000)
    sys.exit("80000 bytes fitted")
except OSError as error:
    assert error.errno == errno.ENOSPC, error
assert os.listxattr(path) == ["user.big"]
for flags, name, want in ((os.XATTR_CREATE, "user.big", errno.EEXIST),
                          (os.XATTR_REPLACE, "user.none", errno.ENODATA)):
    try:
        os.setxattr(path, name, b"x", flags)
        sys.exit("the flag was ignored")
    except OSError as error:
        assert error.errno == want, error
' "$MNT/file"
}

@test "attributes of the system and of security are not supported" {
        touch "$MNT/file"
        for name in system.posix_acl_access security.selinux; do
                run_cmd -1 getfattr -n "$name" "$MNT/file"
                assert_output --partial "not supported"
        done
        require_root
        run_cmd -1 setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 "$MNT/file"
        assert_output --partial "not supported"
}
