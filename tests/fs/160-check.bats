# SPDX-License-Identifier: MIT
# check: clean stores pass, damaged keys are named, nothing is written.
load ../lib/bucketmap

tree_sum() {
        (cd "$STORE" && find . -type f -exec sha256sum {} + | sort && find . -printf '%p %s %T@\n' | sort) | sha256sum
}

@test "a clean store, closed and killed" {
        require_fuse
        local before
        mount_store
        for i in {1..200}; do
                echo "value $i" >"$MNT/key$i"
        done
        rm "$MNT"/key1?
        mkdir "$MNT/dir"
        head -c 300000 /dev/urandom >"$MNT/dir/large"
        umount_store
        before=$(tree_sum)
        check_store
        assert_equal "$stdout" ""
        assert_equal "$(tree_sum)" "$before"
        mount_store
        echo 1 >"$MNT/more"
        kill_daemon
        before=$(tree_sum)
        check_store
        assert_equal "$(tree_sum)" "$before"
}

@test "each damaged key is named, quoted for the shell, exit code 1; nothing is written" {
        require_fuse
        local before name odd=$'it\'s a\nkey'
        mount_store
        mkdir -p "$MNT/some dir"
        printf 'the-first-marked-value' >"$MNT/plain"
        printf 'the-other-marked-value' >"$MNT/some dir/$odd"
        printf 'left alone' >"$MNT/good"
        umount_store
        damage the-first-marked-value
        damage the-other-marked-value
        before=$(tree_sum)
        run_bm -1 check "$STORE"
        assert_equal "$(tree_sum)" "$before"
        grep -q '^plain: ' <<<"$stdout"
        # the name comes back through a shell
        name=$(sed -n "s/^\(\$'some dir.*'\): .*/\1/p" <<<"$stdout")
        eval "name=$name"
        assert_equal "$name" "some dir/$odd"
        refute grep -q good <<<"$stdout"
        [[ $stderr =~ ^"bucketmap: $STORE: damaged in "[0-9]+" places"$ ]]
}

@test "a key whose name is damaged, too, is told with its directory" {
        require_fuse
        mount_store
        mkdir "$MNT/some dir"
        echo 1 >"$MNT/first-marked-name"
        echo 2 >"$MNT/some dir/second-marked-name"
        umount_store
        damage first-marked-name
        damage second-marked-name
        run_bm -1 check "$STORE"
        grep -q '^\./: a record fails' <<<"$stdout"
        grep -q "^'some dir/': a record fails" <<<"$stdout"
        run_bm -1 check --repair "$STORE"
        grep -qx "./: a key is lost, and its name" <<<"$stdout"
        grep -qx "'some dir/': a key is lost, and its name" <<<"$stdout"
}

@test "a damaged key reads as an error, the rest as ever" {
        require_fuse
        mount_store
        printf 'the-first-marked-value' >"$MNT/bad"
        printf 'left alone' >"$MNT/good"
        umount_store
        damage the-first-marked-value
        mount_store
        run_cmd -1 cat "$MNT/bad"
        [[ $stderr = *"Input/output error"* ]]
        assert_equal "$(cat "$MNT/good")" "left alone"
}

@test "a store without its superblock is not taken for an empty place" {
        require_fuse
        mount_store
        echo 1 >"$MNT/a"
        umount_store
        dd if=/dev/zero of="$STORE/superblock" bs=8192 count=1 conv=notrunc status=none
        run_bm -any mount "$STORE" "$MNT"
        [[ $status = [12] ]]
        refute is_mounted "$MNT"
        run_bm -any check "$STORE"
        [[ $status = [12] ]]
}

# other_format AT BYTE: byte AT of the superblock is another, its checksum in order
other_format() {
        local sum
        # the checksum stands at the end of each copy
        head -c 4096 "$STORE/superblock" >copy
        printf '%b' "\\x$2" | dd of=copy bs=1 seek="$1" conv=notrunc status=none
        sum=$(head -c 4088 copy | xxhsum -H3 | grep -oE '[0-9a-f]{16}')
        printf '%b' "$(sed -E 's/(..)(..)(..)(..)(..)(..)(..)(..)/\\x\8\\x\7\\x\6\\x\5\\x\4\\x\3\\x\2\\x\1/' <<<"$sum")" |
                dd of=copy bs=1 seek=4088 conv=notrunc status=none
        cat copy copy >"$STORE/superblock"
}

@test "another format is refused, and named" {
        require_fuse
        require_command xxhsum
        local before
        run_bm create "$STORE"
        other_format 48 01 # the flags of what it needs
        before=$(tree_sum)
        run_bm -2 check "$STORE"
        [[ $stderr = "bucketmap: $STORE: "*"made by an older bucketmap"* ]]
        run_bm -2 check --repair "$STORE"
        assert_equal "$(tree_sum)" "$before"
        other_format 48 03
        check_store
        other_format 8 ff # the major version follows the magic
        before=$(tree_sum)
        run_bm -2 check "$STORE"
        [[ $stderr = "bucketmap: $STORE: "*"made by a newer bucketmap"* ]]
        run_bm -2 info "$STORE"
        run_bm -2 mount "$STORE" "$MNT"
        refute is_mounted "$MNT"
        assert_equal "$(tree_sum)" "$before"
}

@test "what cannot be read at all is exit code 2" {
        require_ordinary_user
        require_fuse
        mount_store
        echo 1 >"$MNT/a"
        umount_store
        chmod 0 "$STORE"/segments/*
        run_bm -2 check "$STORE"
        chmod 600 "$STORE"/segments/*
        check_store
}

@test "a missing lock file is named, and made anew by a mount" {
        require_fuse
        run_bm create "$STORE"
        rm "$STORE/lock"
        for command in info check; do
                run_bm -2 "$command" "$STORE"
                [[ $stderr = *"$STORE/lock, which a mount makes anew: No such file or directory" ]]
        done
        [ ! -e "$STORE/lock" ]
        mount_store
        umount_store
        run_bm check "$STORE"
}
