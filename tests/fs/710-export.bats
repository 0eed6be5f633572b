# SPDX-License-Identifier: MIT
# export and import: through the library and through a daemon, there and back.
load ../lib/bucketmap

setup() {
        require_fuse
        require_command python3 tar
        scratch_new
        OTHER=$SCRATCH/other
        mkdir "$OTHER"
}

# What is in a mounted tree: names, types, modes, owners, times, sizes, links,
# contents, attributes, counts.
listing() {
        python3 - "$1" <<'END'
import hashlib, os, stat, sys
root = os.fsencode(sys.argv[1])
def show(path, name):
    st = os.lstat(path)
    link = os.readlink(path) if stat.S_ISLNK(st.st_mode) else b""
    digest, xattrs = "", []
    if stat.S_ISREG(st.st_mode):
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "md5").hexdigest()
        xattrs.append(os.getxattr(path, "user.bucketmap.refcount"))
    if not link:
        xattrs += sorted((n, os.getxattr(path, n)) for n in os.listxattr(path))
    print(name, oct(st.st_mode), st.st_uid, st.st_gid, st.st_size, st.st_mtime_ns, st.st_atime_ns, link, digest,
          hashlib.md5(repr(xattrs).encode()).hexdigest(), xattrs[:1])
show(root, b"")
for path, dirs, files in os.walk(root):
    dirs.sort()
    for name in sorted(dirs + files):
        full = os.path.join(path, name)
        show(full, full[len(root):])
END
}

fill() {
        mkdir -p "$1/dir/sub/deep" "$1/closed"
        echo hello >"$1/a"
        : >"$1/empty"
        printf '%12288s' x >"$1/edge"
        printf '%12289s' x >"$1/dir/over"
        head -c 300000 /dev/urandom >"$1/dir/large"
        truncate -s 100M "$1/dir/sparse"
        printf data | dd of="$1/dir/sparse" bs=1 seek=50000000 conv=notrunc status=none
        truncate -s 1M "$1/hole"
        ln -s a "$1/link"
        ln -s "../$(printf '%03000d' 0)" "$1/dir/long-link"
        echo odd >"$1/"$'odd\xff\nname'
        echo umlaut >"$1/ümlaut"
        echo x >"$1/dir/$(printf '%0250d' 0)"
        setfattr -n user.x -v y "$1/a"
        setfattr -n user.large -v "$(head -c 30000 /dev/zero | tr '\0' b)" "$1/ümlaut"
        setfattr -n user.d -v e "$1/dir"
        setfattr -n user.bucketmap.refcount -v 4611686018427387903 "$1/a"
        setfattr -n user.bucketmap.refcount -v 0 "$1/dir/large"
        echo 1 >"$1/closed/in"
        chmod 400 "$1/dir/large"
        chmod 600 "$1/a"
        chmod 2750 "$1/dir"
        touch -d '2001-02-03 04:05:06.123456789' "$1/a" "$1/dir/large" "$1/dir/sub" "$1/dir"
        touch -h -d '1999-12-31 23:59:59' "$1/link"
        chmod 555 "$1/closed"
        touch -d '2002-02-03 04:05:06.5' "$1"
}

# make_many N: an archive of N small keys below many/
make_many() {
        python3 - "$1" >"$SCRATCH/many.tar" <<'END'
import io, sys, tarfile
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
    for i in range(int(sys.argv[1])):
        info = tarfile.TarInfo("many/%06d" % i)
        data = b"value %d" % i
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
END
}

run_import() {
        local expected=()
        if [[ $1 =~ ^-[0-9]+$ ]]; then
                expected=("$1")
                shift
        fi
        # shellcheck disable=SC2016 # for the inner shell
        run_cmd "${expected[@]}" bash -c '"$0" import "$@" <"$ARCHIVE"' "$BUCKETMAP" "$@"
}

@test "there and back, mounted and not, is the same" {
        mount_store
        fill "$MNT"
        listing "$MNT" >before
        "$BUCKETMAP" export "$MNT" >mounted.tar
        umount_store
        "$BUCKETMAP" export "$STORE" >closed.tar
        run_bm create "$SCRATCH/copy"
        export ARCHIVE=mounted.tar
        run_import "$SCRATCH/copy"
        assert_equal "$output" ""
        run_bm check "$SCRATCH/copy"
        run_bm mount "$SCRATCH/copy" "$OTHER"
        listing "$OTHER" >after
        run_cmd diff before after
        run_bm umount "$OTHER"

        run_bm mount "$SCRATCH/second" "$OTHER"
        export ARCHIVE=closed.tar
        run_import "$OTHER"
        assert_equal "$output" ""
        listing "$OTHER" >after
        run_cmd diff before after
        run_bm umount "$OTHER"
        run_bm check "$SCRATCH/second"
        run_bm mount "$SCRATCH/second" "$OTHER"
        listing "$OTHER" >after
        run_cmd diff before after
}

@test "tar reads the archive, with attributes, counts and holes" {
        mount_store
        fill "$MNT"
        # an ordinary filesystem has no room for this one, and tar no way to a file of mode 400
        setfattr -x user.large "$MNT/ümlaut"
        chmod 600 "$MNT/dir/large"
        chmod 755 "$MNT/closed"
        "$BUCKETMAP" export "$MNT" >x.tar
        mkdir out
        tar --xattrs --xattrs-include='user.*' -xf x.tar -C out --exclude='*odd*' --warning=no-unknown-keyword
        run_cmd cmp out/dir/large "$MNT/dir/large"
        run_cmd cmp out/dir/sparse "$MNT/dir/sparse"
        run_cmd cmp out/edge "$MNT/edge"
        assert_equal "$(readlink out/link)" a
        assert_equal "$(getfattr --only-values -n user.x out/a)" y
        assert_equal "$(getfattr --only-values -n user.bucketmap.refcount out/a)" 4611686018427387903
        assert_equal "$(stat -c '%a %Y %s' out/a)" "600 981173106 6"
        [ "$(stat -c %b out/dir/sparse)" -lt 1000 ]
        [ "$(stat -c %s x.tar)" -lt 2000000 ]
        assert_equal "$(tar tf x.tar | sed 1q)" ./
}

@test "what tar writes can be imported, compressed too" {
        mkdir -p tree/d
        echo 1 >tree/a
        echo 2 >tree/d/b
        ln -s b tree/d/l
        tar -C tree -czf "$SCRATCH/x.tar.gz" .
        mount_store
        export ARCHIVE=$SCRATCH/x.tar.gz
        run_import "$MNT"
        assert_equal "$(cat "$MNT/a" "$MNT/d/l")" $'1\n2'
        assert_equal "$(getfattr --only-values -n user.bucketmap.refcount "$MNT/a")" 1
        assert_equal "$(stat -c %Y "$MNT/d/b")" "$(stat -c %Y tree/d/b)"
}

@test "what cannot be exported gives no archive, not an empty one" {
        mkdir none
        run_bm -2 export "$SCRATCH/absent"
        assert_equal "$stdout" ""
        "$BUCKETMAP" export none >archive 2>error || status=$?
        assert_equal "$status" 2
        assert_equal "$(stat -c %s archive)" 0
}

@test "only some keys" {
        mount_store
        fill "$MNT"
        run_cmd -1 bash -c "'$BUCKETMAP' export '$MNT' dir/sub a none ./closed/ >x.tar"
        assert_equal "$stderr" "bucketmap: none: no such key"
        assert_equal "$(tar tf x.tar)" $'dir/sub/\ndir/sub/deep/\na\nclosed/\nclosed/in'
        umount_store
        run_cmd -1 bash -c "'$BUCKETMAP' export '$STORE' dir/sub a none ./closed/ >y.tar"
        assert_equal "$stderr" "bucketmap: none: no such key"
        assert_equal "$(tar tf y.tar)" "$(tar tf x.tar)"
}

@test "keys that are there: an error, kept or replaced" {
        local place
        echo new >a
        head -c 20000 /dev/zero >b
        mkdir d
        echo new >d/c
        ln -s target e
        tar -cf x.tar a b d e
        export ARCHIVE=x.tar
        for place in "$MNT" "$STORE"; do
                mount_store
                rm -rf "${MNT:?}"/*
                mkdir "$MNT/d" "$MNT/e"
                echo old >"$MNT/a"
                echo old >"$MNT/b"
                setfattr -n user.bucketmap.refcount -v 7 "$MNT/a"
                setfattr -n user.gone -v x "$MNT/a"
                [ "$place" = "$MNT" ] || umount_store
                run_import -1 "$place"
                assert_equal "$(grep -c 'is there already' <<<"$stderr")" 3
                [[ $stderr = *"e: is there already as a directory"* ]]
                run_import -1 --keep "$place"
                assert_equal "$stderr" "bucketmap: e: is there already as a directory"
                [ "$place" = "$MNT" ] || mount_store
                assert_equal "$(cat "$MNT/a" "$MNT/b" "$MNT/d/c")" $'old\nold\nnew'
                [ "$place" = "$MNT" ] || umount_store
                run_import -1 --replace "$place"
                assert_equal "$stderr" "bucketmap: e: is there already as a directory"
                [ "$place" = "$MNT" ] || mount_store
                run_cmd cmp b "$MNT/b"
                assert_equal "$(cat "$MNT/a")" new
                assert_equal "$(getfattr --only-values -n user.bucketmap.refcount "$MNT/a")" 7
                assert_equal "$(getfattr -d "$MNT/a")" ""
                umount_store
        done
}

# A tree of files with several names, and of special ones.
make_links() {
        mkdir -p "$1/sub"
        echo one >"$1/a"
        ln "$1/a" "$1/sub/b"
        ln "$1/a" "$1/c"
        head -c 100000 /dev/urandom >"$1/large"
        ln "$1/large" "$1/sub/large"
        ln -s a "$1/link"
        ln "$1/link" "$1/sub/link"
        mkfifo "$1/fifo"
        [ "$(id -u)" -ne 0 ] || mknod "$1/null" c 1 3 || :
}

# What there is below a directory: types, modes, names of one file, devices, and contents.
look_at() {
        (cd "$1" && find . -mindepth 1 -printf '%y %m %n %P %l\n' | sort &&
                find . -type c -exec stat -c '%t %T' {} + &&
                find . -type f -exec md5sum {} + | sort &&
                for name in a large link fifo; do # not by -samefile: find opens the fifo for it
                        find . -inum "$(stat -c %i "$name")" | sort | tr '\n' ' '
                done)
}

@test "hard links and special files go there and back, mounted or not" {
        local from to
        make_links t
        look_at t >wanted
        tar -C t -cf x.tar .
        for to in "$MNT" "$STORE"; do
                mount_store
                [ "$to" = "$MNT" ] || umount_store
                ARCHIVE=x.tar run_import "$to"
                for from in "$STORE" "$MNT"; do
                        [ "$from" = "$STORE" ] && is_mounted "$MNT" && umount_store
                        [ "$from" = "$MNT" ] && mount_store
                        "$BUCKETMAP" export "$from" >out.tar
                        rm -rf out
                        mkdir out
                        tar -C out -xpf out.tar
                        look_at out >seen
                        run_cmd diff wanted seen
                done
                look_at "$MNT" >seen
                run_cmd diff wanted seen
                # once more over what is there: nothing is linked anew
                ARCHIVE=out.tar run_import --keep "$MNT"
                ARCHIVE=out.tar run_import --replace "$MNT"
                look_at "$MNT" >seen
                run_cmd diff wanted seen
                # a name that is another file's becomes one again
                rm "$MNT/c"
                echo other >"$MNT/c"
                umount_store
                ARCHIVE=out.tar run_import --replace "$STORE"
                check_store
                mount_store
                look_at "$MNT" >seen
                run_cmd diff wanted seen
                umount_store
                rm -r "$STORE"
        done
}

@test "what cannot be stored is named, the rest is stored" {
        mkdir t
        echo 1 >t/a
        ln t/a t/hard
        echo 2 >t/z
        tar -C t -cf x.tar a hard z
        tar -f x.tar --delete a
        echo 3 >out
        tar -P --transform 's,^,../,' -rf x.tar out
        export ARCHIVE=x.tar
        mount_store
        run_import -1 "$MNT"
        assert_equal "${#lines[@]}" 2
        [[ $stderr = *"hard: "* && $stderr = *"../out: "* ]]
        assert_equal "$(cd "$MNT" && echo *)" "z"
        [ ! -e "$SCRATCH/../out" ]
}

@test "a damaged archive is exit code 2, and no archive too" {
        mount_store
        make_many 100
        head -c 20000 many.tar >x.tar
        export ARCHIVE=x.tar
        run_import -2 "$MNT"
        [[ $stderr = *"cannot read the archive"* ]]
        assert_equal "$(cat "$MNT/many/000003")" "value 3"
        echo "no archive, this is text of some length" >x.tar
        run_import -2 "$MNT"
        run_bm -2 import --keep --replace "$MNT"
        run_bm -2 import
        run_bm -2 export "$SCRATCH/none"
        run_cmd -2 bash -c "'$BUCKETMAP' export '$MNT' >/dev/full"
}

@test "the kernel's caches tell of all that was imported" {
        mount_store
        mkdir "$MNT/many"
        echo "an older and longer value" >"$MNT/many/000001"
        head -c 50000 /dev/zero >"$MNT/many/000002"
        exec 7<"$MNT/many/000001"
        run_cmd -1 cat "$MNT/many/000000"
        run_cmd -1 stat "$MNT/many/000003" "$MNT/many/000004"
        cat "$MNT/many/000001" "$MNT/many/000002" >/dev/null
        ls -l "$MNT" "$MNT/many" >/dev/null
        getfattr -n user.bucketmap.xxh3 "$MNT/many/000001"
        make_many 500
        export ARCHIVE=many.tar
        run_import --replace "$MNT"
        assert_equal "$(cat "$MNT/many/000000" "$MNT/many/000001" "$MNT/many/000002")" "value 0value 1value 2"
        assert_equal "$(cat <&7)" "value 1"
        exec 7<&-
        assert_equal "$(stat -c %s "$MNT/many/000002" "$MNT/many/000003")" $'7\n7'
        printf ' more' >>"$MNT/many/000004"
        assert_equal "$(cat "$MNT/many/000004")" "value 4 more"
        assert_equal "$(find "$MNT/many" -type f | wc -l)" 500
        assert_equal "$(stat -c %s "$MNT/many")" 500
        run_cmd -1 mkdir "$MNT/many/000005"
}

@test "a directory in which nobody looked for a name tells of what was imported, too" {
        mount_store
        mkdir "$MNT/many"
        assert_equal "$(stat -c %s "$MNT/many")" 0
        make_many 500
        export ARCHIVE=many.tar
        run_import "$MNT"
        assert_equal "$(stat -c %s "$MNT/many")" 500
        assert_equal "$(cat "$MNT/many/000499")" "value 499"
        assert_equal "$(find "$MNT/many" -type f | wc -l)" 500
        rm -r "$MNT/many"
        mkdir "$MNT/many"
        run_import "$MNT"
        assert_equal "$(find "$MNT/many" -type f | wc -l)" 500
}

# The kernel holds the directory's lock while a name in it is made: an import
# that told it from a request would wait for itself.
@test "importing into a directory that others change" {
        local options
        for options in "" -s; do
                [ ! -e "$STORE" ] || rm -r "$STORE"
                # shellcheck disable=SC2086 # none or one
                mount_store $options
                mkdir "$MNT/many"
                make_many 5000
                (
                        exec 3>&-
                        i=0
                        until [ -e "$SCRATCH/stop" ]; do
                                echo "$i" >"$MNT/many/own$((i % 50))"
                                stat "$MNT/many/00$((i % 5000))" >/dev/null 2>&1 || :
                                rm "$MNT/many/own$((i % 50))"
                                i=$((i + 1))
                        done
                ) &
                export ARCHIVE=many.tar
                run_import "$MNT"
                touch "$SCRATCH/stop"
                wait $!
                rm "$SCRATCH/stop"
                assert_equal "$(find "$MNT/many" -type f | wc -l)" 5000
                assert_equal "$(cat "$MNT"/many/* | md5sum)" "$(tar xOf many.tar | md5sum)"
                umount_store
        done
}

@test "the daemon refuses what is not well formed" {
        mount_store
        echo 1 >"$MNT/file"
        mkdir "$MNT/dir"
        cat >ask.py <<'END'
import errno, fcntl, os, struct, sys
PUT = (3 << 30) | ((32 + 16320) << 16) | (0xBB << 8) | 33
meta = bytes([1]) + struct.pack("<H", 0o100644) + b"\0\0" + struct.pack("<q", 0)
def record(name, meta=meta, value=b"v", size=None, value_len=None):
    body = name + b"\0" + meta + value
    body += b"\0" * (-(24 + len(body)) % 8)
    head = struct.pack("=IIHBBIQ", 24 + len(body) if size is None else size,
                       len(value) if value_len is None else value_len, len(meta), len(name), 0, 0, 0)
    return head + body
def ask(path, records, n=None, length=None, mode=0):
    data = b"".join(records)
    buf = bytearray(struct.pack("=IIII", len(records) if n is None else n,
                                len(data) if length is None else length, mode, 0) + bytes(16) + data.ljust(16320, b"\0"))
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, PUT, buf)
        return list(buf[32:32 + len(records)])
    except OSError as error:
        return error.errno
    finally:
        os.close(fd)
root = sys.argv[1]
good = record(b"good")
assert ask(root, [good, record(b"second")]) == [0, 0]
assert ask(root + "/dir", [good]) == [0]
assert ask(root, [good]) == [errno.EEXIST]
assert ask(root, [good], mode=1) == [255]
assert ask(root + "/file", [good]) == errno.ENOTTY
for odd in (dict(n=2), dict(n=0), dict(n=1 << 31), dict(length=16321), dict(length=1 << 31), dict(length=8), dict(mode=3)):
    assert ask(root, [record(b"bad")], **odd) == errno.EINVAL, odd
for size in (0, 8, 23, 24, 1 << 31, 4096):
    assert ask(root, [record(b"bad", size=size)]) == errno.EINVAL, size
for value_len in (100, 1 << 31, (1 << 32) - 1):
    assert ask(root, [record(b"bad", value_len=value_len)]) == errno.EINVAL, value_len
for name, error in ((b"a/b", errno.EINVAL), (b".", errno.EINVAL), (b"..", errno.EINVAL), (b"", errno.ENOENT),
                    (b"dir", errno.EISDIR)):
    assert ask(root, [record(name), record(b"after")], mode=2) == [error, 0], name
assert ask(root, [record(b"a\0b")]) == errno.EINVAL
directory = bytes([1]) + struct.pack("<H", 0o40755) + meta[3:]
for bad in (b"", b"\xff" * 20, directory, meta + b"\xff", meta + b"\x08security\0\0\0\0"):
    assert ask(root, [record(b"bad", meta=bad)]) == [errno.EINVAL], bad
assert sorted(os.listdir(root)) == ["after", "dir", "file", "good", "second"]
END
        run_cmd python3 ask.py "$MNT"
        umount_store
        check_store
}

@test "a user gets files of the user's own" {
        require_ordinary_user
        mount_store
        python3 - >x.tar <<'END'
import io, sys, tarfile
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
    info = tarfile.TarInfo("a")
    info.uid = info.gid = 0
    tar.addfile(info, io.BytesIO(b""))
END
        export ARCHIVE=x.tar
        run_import "$MNT"
        assert_equal "$(stat -c %u "$MNT/a")" "$(id -u)"
}

@test "a terabyte of hole: only what is there is read, mounted and not" {
        mount_store
        truncate -s 1T "$MNT/giant"
        printf middle | dd of="$MNT/giant" bs=1 seek=500000000000 conv=notrunc status=none
        run_cmd sh -c '"$1" export "$2" giant >mounted.tar' - "$BUCKETMAP" "$MNT"
        umount_store
        run_cmd sh -c '"$1" export "$2" giant >closed.tar' - "$BUCKETMAP" "$STORE"
        for archive in mounted closed; do
                [ "$(stat -c %s "$archive.tar")" -lt 100000 ]
                run_bm create "$SCRATCH/$archive"
                run_cmd sh -c '"$1" import "$2" <"$3"' - "$BUCKETMAP" "$SCRATCH/$archive" "$archive.tar"
                STORE=$SCRATCH/$archive mount_store
                assert_equal "$(stat -c '%s' "$MNT/giant")" 1099511627776
                run_cmd dd if="$MNT/giant" bs=1 skip=500000000000 count=6 status=none
                assert_output middle
                run_bm umount "$MNT"
        done
}
