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

# Attributes of all kinds of names: set_names PATH... sets them, show_names PATH... tells
# which there are, as numbers.
names() {
        python3 - "$@" <<'END'
import os, sys
names = [b"a", b"sp ace", b" ", b"a=b", b"=", b"100%", b"%", b"%41", b"%3D", b"%253D", b"%zz", b"%00", b"\n", b"a\nb", b"a_b", b"a b", b"\x01\x7f",
         "\u00e9".encode(), b"\xff\xfe", b"12 SCHILY.xattr.user.x=y\n", b"x" * 250, b"\xff" * 250, b"%" * 150 + b"y" * 100]
wanted = {b"user." + n: (b"same" if n in (b"a b", b"a_b") else b"1\0\n=" + n) for n in names}
for path in sys.argv[2:]:
    if sys.argv[1] == "set":
        for name, value in wanted.items():
            os.setxattr(path, name, value)
        continue
    found = {os.fsencode(n): os.getxattr(path, n) for n in os.listxattr(path)}
    for name in sorted(set(wanted) | set(found)):
        if wanted.get(name) != found.get(name):
            print(path, name, "wanted", wanted.get(name), "found", found.get(name))
END
}

set_names() {
        names set "$@"
}

show_names() {
        names show "$@"
}

@test "every name of an attribute goes there and back" {
        local from to
        mount_store
        mkdir "$MNT/d"
        echo 1 >"$MNT/a"
        head -c 100000 /dev/zero >"$MNT/d/long"
        truncate -s 1M "$MNT/hole"
        set_names "$MNT" "$MNT"/{a,d,d/long,hole}
        "$BUCKETMAP" export "$MNT" >mounted.tar
        umount_store
        "$BUCKETMAP" export "$STORE" >closed.tar
        for from in mounted closed; do
                for to in closed mounted; do
                        run_bm create "$SCRATCH/$from-$to"
                        [ "$to" = closed ] || run_bm mount "$SCRATCH/$from-$to" "$OTHER"
                        export ARCHIVE=$from.tar
                        run_import "$SCRATCH/$from-$to"
                        [ "$to" = mounted ] || run_bm mount "$SCRATCH/$from-$to" "$OTHER"
                        assert_equal "$(show_names "$OTHER" "$OTHER"/{a,d,d/long,hole})" ""
                        # over what is there, to which an attribute came
                        setfattr -n user.more -v 1 "$OTHER/a"
                        setfattr -n user.more -v 1 "$OTHER/d/long"
                        [ "$to" = mounted ] || run_bm umount "$OTHER"
                        run_import -r "$SCRATCH/$from-$to"
                        [ "$to" = mounted ] || run_bm mount "$SCRATCH/$from-$to" "$OTHER"
                        assert_equal "$(show_names "$OTHER" "$OTHER"/{a,d,d/long,hole})" ""
                        run_bm umount "$OTHER"
                done
        done
}

@test "every name of an attribute goes to tar and comes from it, compressed too" {
        mkdir t out
        echo 1 >t/a
        mount_store
        echo 1 >"$MNT/a"
        set_names "$MNT/a"
        "$BUCKETMAP" export "$MNT" a >x.tar
        tar --xattrs --xattrs-include='*' -xf x.tar -C out
        setfattr -x user.bucketmap.refcount out/a
        assert_equal "$(show_names out/a)" ""
        set_names t/a
        tar --xattrs -C t -czf y.tar.gz a
        rm "$MNT/a"
        export ARCHIVE=y.tar.gz
        run_import "$MNT"
        assert_equal "$(show_names "$MNT/a")" ""
        setfattr -x user.a "$MNT/a"
        run_import -r "$MNT"
        assert_equal "$(show_names "$MNT/a")" ""
}

# Two records of each attribute, as libarchive writes them; and each of them alone.
@test "an attribute that stands in the archive in two ways comes once" {
        python3 - >x.tar <<'END'
import base64, io, sys, tarfile, urllib.parse
names = {b"sp ace": b"1", b"a%20b": b"2\0\n", b"a b": b"3", "\u00e9".encode(): b"", b"=": b"=", b"plain": b"12345", b"z" * 200: b"55"}
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape") as tar:
    for file, kinds in (("both", "LS"), ("back", "SL"), ("first", "L"), ("second", "S"), ("p" * 150, "LS")):
        info = tarfile.TarInfo(file)
        for name, value in names.items():
            name = "user." + urllib.parse.quote(name, safe="")
            for kind in kinds:
                if kind == "L":
                    info.pax_headers["LIBARCHIVE.xattr." + name] = base64.b64encode(value).decode().rstrip("=")
                else:
                    info.pax_headers["SCHILY.xattr." + name] = value.decode()
        info.pax_headers["SCHILY.xattr.security.selinux"] = "x"
        info.size = 700
        tar.addfile(info, io.BytesIO(b"v" * 700))
END
        mount_store
        export ARCHIVE=x.tar
        run_import "$MNT"
        assert_equal "$output" ""
        python3 - "$MNT" <<'END'
import os, sys
names = {b"sp ace": b"1", b"a%20b": b"2\0\n", b"a b": b"3", "\u00e9".encode(): b"", b"=": b"=", b"plain": b"12345", b"z" * 200: b"55"}
wanted = {b"user." + n: v for n, v in names.items()}
for file in ("both", "back", "first", "second", "p" * 150):
    path = os.path.join(sys.argv[1], file)
    found = {os.fsencode(n): os.getxattr(path, n) for n in os.listxattr(path)}
    assert found == wanted, (file, found)
    assert os.path.getsize(path) == 700
END
}

@test "an attribute without a possible name is told, and the rest stored" {
        local long place
        long=user.$(printf '%0251d' 0)
        python3 - "$long" >x.tar <<'END'
import sys, tarfile
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT) as tar:
    info = tarfile.TarInfo("a b")
    info.pax_headers = {"SCHILY.xattr." + name: "1" for name in ("user.x", sys.argv[1], "user.", "user.y")}
    tar.addfile(info)
END
        export ARCHIVE=x.tar
        for place in "$MNT" "$STORE"; do
                mount_store
                [ "$place" = "$MNT" ] || umount_store
                run_import -1 "$place"
                assert_equal "$stderr" "bucketmap: 'a b': $long is no name of an attribute, which is left out
bucketmap: 'a b': user. is no name of an attribute, which is left out"
                [ "$place" = "$MNT" ] || mount_store
                assert_equal "$(getfattr -d "$MNT/a b" | grep '^user' | sort)" $'user.x="1"\nuser.y="1"'
                umount_store
                rm -r "$STORE"
        done
}

# The size of the header as GNU tar writes large ones, as bytes; and one that says nothing at all.
@test "attributes are found however long their header says that it is, or it is told" {
        python3 - >x.tar <<'END'
import io, sys, tarfile
def sized(blocks, size):
    header = bytearray(blocks)
    header[124:136] = size(int(header[124:136].rstrip(b"\0"), 8))
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    return bytes(header)
for name, size in (
    ("bytes", lambda n: b"\x80" + n.to_bytes(11, "big")),
    ("spaces", lambda n: b"%12o" % n),
    ("letter", lambda n: b"%11ox" % n),
):
    info = tarfile.TarInfo(name)
    info.pax_headers = {"SCHILY.xattr.user.a%3Db": "1", "SCHILY.xattr.user.bucketmap.refcount": "7"}
    sys.stdout.buffer.write(sized(info.tobuf(tarfile.PAX_FORMAT), size))
info = tarfile.TarInfo("cut")
info.pax_headers = {"SCHILY.xattr.user.x": "1", "SCHILY.xattr.user.y": "1"}
sys.stdout.buffer.write(info.tobuf(tarfile.PAX_FORMAT).replace(b"SCHILY.xattr.user.y=1\n", b"SCHILY.xattr.user.y=11"))
sys.stdout.buffer.write(b"\0" * 1024)
END
        mount_store
        export ARCHIVE=x.tar
        run_import -1 "$MNT"
        assert_equal "$stderr" "bucketmap: letter: its extended header is damaged: attributes may be missing
bucketmap: cut: its extended header is damaged: attributes may be missing"
        for name in bytes spaces; do
                assert_equal "$(getfattr -n user.a=b --only-values "$MNT/$name")" 1
                assert_equal "$(getfattr -n user.bucketmap.refcount --only-values "$MNT/$name")" 7
        done
        assert_equal "$(getfattr -n user.x --only-values "$MNT/cut")" 1
        assert_equal "$(ls "$MNT")" $'bytes\ncut\nletter\nspaces'
}

# A header of some size before each of them, after a value that ends anywhere.
@test "attributes are found wherever their header lies in the archive" {
        python3 - >x.tar <<'END'
import io, random, sys, tarfile
draw = random.Random(7)
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT) as tar:
    for i in range(600):
        info = tarfile.TarInfo("k%d" % i)
        info.pax_headers = {"SCHILY.xattr.user.a%%3D%d" % i: "v" * draw.randrange(1, 3000)}
        info.size = draw.choice((0, 10, 600, 40000))
        tar.addfile(info, io.BytesIO(b"v" * info.size))
END
        for name in x.tar x.tar.xz; do
                [ "$name" = x.tar ] || xz -k x.tar
                mount_store
                # the second time round, all values are passed over
                export ARCHIVE=$name
                run_import "$MNT"
                run_import --keep "$MNT"
                python3 - "$MNT" <<'END'
import os, random, sys
draw = random.Random(7)
for i in range(600):
    path = "%s/k%d" % (sys.argv[1], i)
    assert os.listxattr(path) == ["user.a=%d" % i], (i, os.listxattr(path))
    assert len(os.getxattr(path, "user.a=%d" % i)) == draw.randrange(1, 3000)
    assert os.path.getsize(path) == draw.choice((0, 10, 600, 40000))
END
                umount_store
                rm -r "$STORE"
        done
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

@test "sockets are told and left out, all their names, which is no failure" {
        local place
        mount_store
        mkdir "$MNT/d"
        echo 1 >"$MNT/d/a"
        python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$MNT/d/so ck"
        ln "$MNT/d/so ck" "$MNT/also"
        for place in "$MNT" "$STORE"; do
                run_cmd bash -c '"$0" export "$1" >x.tar' "$BUCKETMAP" "$place"
                assert_equal "$(sort <<<"$stderr")" $'bucketmap: \'d/so ck\': socket ignored\nbucketmap: also: socket ignored'
                assert_equal "$(tar tf x.tar | sort)" $'./\nd/\nd/a'
                run_cmd bash -c '"$0" export "$1" also >x.tar' "$BUCKETMAP" "$place"
                assert_equal "$stderr" "bucketmap: also: socket ignored"
                [ "$place" = "$STORE" ] || umount_store
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

@test "of an archive that is cut short it is told what is stored in part" {
        mkdir t
        echo short >t/short
        head -c 100000 /dev/urandom >t/long
        tar -C t -cf x.tar short long
        tar -C t -cf y.tar short
        mount_store
        head -c 20000 x.tar >cut.tar
        export ARCHIVE=cut.tar
        run_import -2 "$MNT"
        [[ $stderr = "bucketmap: long: stored in part"$'\n'"bucketmap: standard input: "*"Truncated"* ]]
        assert_equal "$(cat "$MNT/short")" short
        rm "$MNT/short"
        head -c 515 y.tar >cut.tar
        run_import -2 "$MNT"
        [[ $stderr = "bucketmap: short: not stored"$'\n'* ]]
        refute test -e "$MNT/short"
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
for bad in (b"", b"\xff" * 20, directory, meta + b"\xff", meta + b"\x08security\0\0\0\0", meta + b"\x05user.\0\0\0\0"):
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

@test "a mount that is only read takes no import, and says so once" {
        run_bm create "$STORE"
        mount_store -o ro
        echo text >file
        tar -cf x.tar file
        ARCHIVE=x.tar run_import -2 "$MNT"
        assert_output "bucketmap: $MNT: cannot import: Read-only file system"
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
