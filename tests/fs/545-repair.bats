# SPDX-License-Identifier: MIT
# check --repair: what is intact stays, what is lost is named.
load ../lib/bucketmap

# damage TEXT: flips bits of each place in the store where TEXT stands
damage() {
        local file offset
        while IFS=: read -r file offset _; do
                printf '\377' | dd of="$file" bs=1 seek="$offset" conv=notrunc status=none
        done < <(LC_ALL=C grep -robUaF -- "$1" "$STORE/segments")
}

tree_sum() {
        (cd "$STORE" && find . -type f -not -name lock -exec sha256sum {} + | sort) | sha256sum
}

@test "a store with damaged files is repaired: they are named, all others stay" {
        require_fuse
        local before
        mount_store
        mkdir "$MNT/some dir"
        for i in {1..50}; do
                echo "value $i" >"$MNT/some dir/key$i"
        done
        setfattr -n user.bucketmap.refcount -v 7 "$MNT/some dir/key3"
        head -c 300000 /dev/urandom >"$MNT/large"
        sha256sum <"$MNT/large" >sum
        printf 'the-first-marked-value' >"$MNT/some dir/bad one"
        umount_store
        damage the-first-marked-value
        before=$(tree_sum)
        run_bm -1 check --repair --dry-run "$STORE"
        grep -qx "'some dir/bad one': lost" <<<"$stdout"
        assert_equal "$(tree_sum)" "$before"
        run_bm -1 check --repair "$STORE"
        grep -qx "'some dir/bad one': lost" <<<"$stdout"
        [[ $stderr = *"it is repaired"* ]]
        check_store
        run_bm check --repair "$STORE"
        assert_equal "$stdout" ""
        mount_store
        assert_equal "$(ls "$MNT/some dir" | wc -l)" 50
        assert_equal "$(cat "$MNT/some dir/key49")" "value 49"
        assert_equal "$(getfattr -n user.bucketmap.refcount --only-values "$MNT/some dir/key3")" 7
        sha256sum <"$MNT/large" | cmp - sum
        refute test -e "$MNT/some dir/bad one"
}

@test "a directory that has lost its name and a file that has lost a part are in lost+found" {
        require_fuse
        mount_store
        mkdir "$MNT/the-marked-directory"
        echo kept >"$MNT/the-marked-directory/inside"
        head -c 100000 /dev/zero | tr '\0' x >"$MNT/large"
        { head -c 50000 /dev/zero; printf 'the-marked-part'; head -c 50000 /dev/zero; } >"$MNT/other"
        printf 'the-marked-piece' | dd of="$MNT/large" bs=1 seek=50000 conv=notrunc status=none
        umount_store
        damage the-marked-directory
        damage the-marked-part
        damage the-marked-piece
        run_bm -1 check --json --repair "$STORE"
        [[ $stdout = *"bytes are lost, from byte 32768 to 65535"*'"other"'* ]]
        [[ $stdout = *"bytes are lost, from byte 49152 to 53247"*'"large"'* ]]
        check_store
        mount_store
        refute test -e "$MNT/large"
        refute test -e "$MNT/other"
        assert_equal "$(cat "$MNT"/lost+found/*/inside)" kept
        find "$MNT/lost+found" -maxdepth 1 -type f -size 100000c | grep -q .
        echo more >"$MNT/lost+found/more"
        rm -r "$MNT/lost+found"
        umount_store
        check_store
}

@test "a mounted store, a foreign drive and wrong options are refused" {
        require_fuse
        mount_store
        run_bm -3 check --repair "$STORE"
        run_bm -2 check --repair --online "$MNT"
        umount_store
        run_bm -2 check --dry-run "$STORE"
        run_bm create -d two one
        mv two elsewhere
        run_bm -any check --repair one
        [ "$status" != 0 ]
        [[ $stderr = *"drive 1"* ]]
}
