#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Many files: searching them, changing them in place, archives and copies.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        mount_store
        TOP=$MNT/top
        mkdir "$TOP"
}

# A small tree with some of everything.
plant() {
        mkdir -p "$1/src/deep/er" "$1/doc" "$1/empty"
        for i in {1..40}; do
                printf 'file %d\nneedle-%d\n' "$i" "$((i % 7))" >"$1/src/file$i.c"
                printf 'text %d\n' "$i" >"$1/src/deep/er/$i.txt"
        done
        head -c 200000 /dev/urandom >"$1/doc/big"
        : >"$1/doc/nothing"
        ln -s ../src/file1.c "$1/doc/link"
        chmod 600 "$1/doc/big"
        chmod 755 "$1/src/file1.c"
        touch -d 2005-06-07 "$1/src/file2.c"
}

@test "find" {
        plant "$TOP"
        run_cmd find "$TOP" -type f -name '*.txt'
        assert_equal "${#lines[@]}" 40
        run_cmd find "$TOP" -type f -size +100k
        assert_output "$TOP/doc/big"
        run_cmd find "$TOP" -empty
        assert_equal "${#lines[@]}" 2
        run_cmd find "$TOP" ! -newermt 2006-01-01 -type f
        assert_output "$TOP/src/file2.c"
        run_cmd find "$TOP/src" -name '*.txt' -delete
        run_cmd find "$TOP/src" -name '*.txt'
        assert_output ""
}

@test "grep -r" {
        plant "$TOP"
        run_cmd grep -rl needle-3 "$TOP"
        assert_equal "${#lines[@]}" 6
        run_cmd -1 grep -r no-such-thing "$TOP"
}

@test "sed -i" {
        plant "$TOP"
        run_cmd sed -i 's/needle/pin/' "$TOP"/src/*.c
        run_cmd -1 grep -r needle "$TOP"
        run_cmd grep -rl pin- "$TOP"
        assert_equal "${#lines[@]}" 40
        assert_equal "$(stat -c %a "$TOP/src/file1.c")" 755
        run_cmd ls -A "$TOP/src"
        refute_output --partial "sed"
}

@test "sort -o, tee, install, ln -sf, cp -r, xargs" {
        printf '3\n1\n2\n' >"$TOP/numbers"
        run_cmd sort -o "$TOP/numbers" "$TOP/numbers"
        echo 4 | tee -a "$TOP/numbers" >/dev/null
        run_cmd cat "$TOP/numbers"
        assert_output "1
2
3
4"
        run_cmd install -D -m 640 "$TOP/numbers" "$TOP/a/b/numbers"
        assert_equal "$(stat -c %a "$TOP/a/b/numbers")" 640
        run_cmd cp -r "$TOP/a" "$TOP/c"
        run_cmd diff -r "$TOP/a" "$TOP/c"
        ln -s one "$TOP/link"
        run_cmd ln -sfn two "$TOP/link"
        assert_equal "$(readlink "$TOP/link")" two
        find "$TOP/a" "$TOP/c" -type f -print0 | xargs -0 -n 1 -P 4 md5sum >sums
        assert_equal "$(cut -d' ' -f1 sums | sort -u | wc -l)" 1
}

@test "tar in and out" {
        plant tree
        tar --format=posix -C tree -cf tree.tar .
        run_cmd tar -C "$TOP" -xpf tree.tar
        same_tree tree "$TOP"
        mkdir back
        tar --format=posix -C "$TOP" -cf - . | tar -C back -xpf -
        same_tree tree back
        remount_store
        same_tree tree "$TOP"
}

@test "tar with xattrs" {
        require_command setfattr
        plant tree
        setfattr -n user.colour -v blue tree/doc/big
        setfattr -n user.bytes -v 0x00ff0a20 tree/src/file1.c
        setfattr -n user.dir -v yes tree/src
        tar --xattrs -C tree -cf tree.tar .
        run_cmd tar --xattrs -C "$TOP" -xpf tree.tar
        (cd tree && getfattr -R -d -e hex . | sort) >wanted
        (cd "$TOP" && getfattr -R -d -e hex . | sort) >have
        run_cmd diff wanted have
}

@test "rsync -aX both ways" {
        require_command rsync setfattr
        plant tree
        setfattr -n user.colour -v blue tree/doc/big
        run_cmd rsync -aX tree/ "$TOP/copy/"
        assert_output ""
        same_tree tree "$TOP/copy"
        assert_equal "$(getfattr --only-values -n user.colour "$TOP/copy/doc/big")" blue
        # nothing more to do, and nothing that only looks different
        run_cmd rsync -aXi tree/ "$TOP/copy/"
        assert_output ""
        echo changed >>tree/src/file9.c
        rm tree/src/file8.c
        run_cmd rsync -aX --delete tree/ "$TOP/copy/"
        run_cmd rsync -aX "$TOP/copy/" back/
        same_tree tree back
        assert_equal "$(getfattr --only-values -n user.colour back/doc/big)" blue
        # copies have a count of their own
        setfattr -n user.bucketmap.refcount -v 5 "$TOP/copy/doc/big"
        run_cmd rsync -aX "$TOP/copy/" "$TOP/again/"
        assert_equal "$(getfattr --only-values -n user.bucketmap.refcount "$TOP/again/doc/big")" 1
}

@test "cp -a and back" {
        plant tree
        run_cmd cp -a tree "$TOP/"
        same_tree tree "$TOP/tree"
        run_cmd cp -a "$TOP/tree" back
        same_tree tree back
        remount_store
        same_tree tree "$TOP/tree"
}
