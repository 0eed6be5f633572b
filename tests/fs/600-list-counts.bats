# SPDX-License-Identifier: MIT
# -o list_counts: backups that carry the counts.
load ../lib/bucketmap

count() {
        getfattr --only-values -n user.bucketmap.refcount "$1"
}

set_count() {
        setfattr -n user.bucketmap.refcount -v "$2" "$1"
}

# a second store beside the first, at $SCRATCH/second
mount_second() {
        mkdir -p second
        run_bm mount "$@" "$SCRATCH/other" "$SCRATCH/second"
}

fill() {
        mkdir "$MNT/dir"
        echo one >"$MNT/once"
        echo seven >"$MNT/dir/seven times"
        set_count "$MNT/dir/seven times" 7
        head -c 100000 /dev/urandom >"$MNT/large"
        set_count "$MNT/large" 4611686018427387903
        setfattr -n user.note -v mine "$MNT/large"
        ln -s once "$MNT/link"
}

same_tree() {
        run_cmd diff -r "$1" "$2"
        assert_equal "$(count "$2/once")" 1
        assert_equal "$(count "$2/dir/seven times")" 7
        assert_equal "$(count "$2/large")" 4611686018427387903
        assert_equal "$(getfattr --only-values -n user.note "$2/large")" mine
}

@test "a count is listed, of files only, and only if asked for" {
        require_fuse
        require_command getfattr setfattr
        mount_store
        fill
        run_cmd getfattr -d "$MNT/once" "$MNT/dir/seven times"
        assert_equal "$output" ""
        remount_store -o list_counts
        run_cmd getfattr -d --absolute-names "$MNT/once"
        assert_equal "$(sed -n 2p <<<"$output")" 'user.bucketmap.refcount="1"'
        run_cmd getfattr -d --absolute-names "$MNT/dir"
        assert_equal "$output" ""
        # the kernel tells no attributes "user." of a link
        run_cmd getfattr -dh --absolute-names "$MNT/link"
        assert_equal "$output" ""
        run_cmd getfattr -d --absolute-names "$MNT/large"
        assert_equal "$(grep "="<<<"$output" | sort)" \
                $'user.bucketmap.refcount="4611686018427387903"\nuser.note="mine"'
}

@test "tar --xattrs there and back" {
        require_fuse
        require_command tar getfattr setfattr
        mount_store -o list_counts
        fill
        mount_second
        run_cmd tar --xattrs --xattrs-include='user.*' -cf all.tar -C "$MNT" .
        run_cmd tar --xattrs --xattrs-include='user.*' -xf all.tar -C second
        same_tree "$MNT" second
        # over what is there
        set_count second/once 3
        run_cmd tar --xattrs --xattrs-include='user.*' -xf all.tar -C second
        same_tree "$MNT" second
        run_bm umount second
        run_bm check other
}

@test "rsync -X there and back, again with changed counts" {
        require_fuse
        require_command rsync getfattr setfattr
        mount_store -o list_counts
        fill
        mount_second -o list_counts
        run_cmd rsync -aX "$MNT/" second/
        same_tree "$MNT" second
        set_count "$MNT/once" 5
        run_cmd rsync -aX "$MNT/" second/
        assert_equal "$(count second/once)" 5
        set_count "$MNT/once" 1
        run_cmd rsync -aX "$MNT/" second/
        assert_equal "$(count second/once)" 1
        # A new file renamed over a key takes the key's count if its own is 1:
        # rsync sees that the next time, and does it at once in place.
        set_count second/once 4
        echo changed >"$MNT/once"
        run_cmd rsync -aX "$MNT/" second/
        assert_equal "$(cat second/once) $(count second/once)" "changed 4"
        run_cmd rsync -aX "$MNT/" second/
        assert_equal "$(count second/once)" 1
        set_count second/once 4
        echo changed again >"$MNT/once"
        run_cmd rsync -aX --inplace "$MNT/" second/
        same_tree "$MNT" second
        run_cmd rsync -aXn --itemize-changes "$MNT/" second/
        assert_equal "$output" ""
}
