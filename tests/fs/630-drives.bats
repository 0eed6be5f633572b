# SPDX-License-Identifier: MIT
# Stores on several drives.
load ../lib/bucketmap

tree_sum() {
        (cd "$1" && find . -type f -exec sha256sum {} + | sort && find . -printf '%p %s %T@\n' | sort) | sha256sum
}

# bytes of the disk under, or of the store mounted at, DIR
disk_size() {
        local blocks unit
        read -r blocks unit < <(stat -f -c '%b %S' "$1")
        echo $((blocks * unit))
}

fill() {
        local i
        for i in {1..20}; do
                head -c 300000 /dev/urandom >"$MNT/$i"
        done
        (cd "$MNT" && sha256sum -- * >"$SCRATCH/sums")
}

check_fill() {
        (cd "$MNT" && sha256sum --quiet -c "$SCRATCH/sums")
}

@test "create --drive: segments go round, and the store finds its drives again" {
        require_fuse
        require_command jq
        run_bm create --drive=d1 -d "$SCRATCH/d2" "$STORE"
        assert_equal "$output" ""
        mount_store
        fill
        run_bm info --json "$MNT"
        assert_equal "$(jq .drives <<<"$output")" 3
        umount_store
        local drive
        for drive in "$STORE" d1 d2; do
                [ "$(du -s --apparent-size -B1 "$drive/segments" | cut -f1)" -gt 1000000 ]
        done
        check_store
        # from anywhere, also with its drives told
        cd /
        mount_store
        check_fill
        cd "$SCRATCH"
        remount_store -o drive=d1,drive="$SCRATCH/d2"
        check_fill
        kill_daemon
        mount_store -o ro
        check_fill
}

@test "mount -o drive makes a store on drives, odd names too" {
        require_fuse
        require_command jq
        local odd='a, b\c'
        mount_store -o 'drive=a\, b\\c'
        [ -d "$odd/segments" ]
        fill
        remount_store
        check_fill
        assert_equal "$("$BUCKETMAP" info --json "$MNT" | jq .drives)" 2
}

@test "a missing or foreign drive is named, nothing is touched" {
        require_fuse
        local before_store before_drive command
        run_bm create -d d1 -d d2 "$STORE"
        run_bm create -d e1 -d e2 other
        mount_store
        fill
        umount_store
        before_store=$(tree_sum "$STORE")
        mv d2 away
        before_drive=$(tree_sum away)
        for command in "mount $STORE $MNT" "info $STORE" "check $STORE"; do
                # shellcheck disable=SC2086
                run_bm -2 $command
                [[ $stderr = *"drive 2 ($SCRATCH/d2): No such file or directory"* ]]
        done
        mv e2 d2
        run_bm -2 mount "$STORE" "$MNT"
        [[ $stderr = *"drive 2 ($SCRATCH/d2) belongs to another store or place"* ]]
        mv d2 e2
        # the right drives at the wrong places
        run_bm -2 mount -o "drive=$SCRATCH/away,drive=d1" "$STORE" "$MNT"
        [[ $stderr = *"drive 1 ($SCRATCH/away) belongs to another store or place"* ]]
        run_bm -2 mount -o drive=d1 "$STORE" "$MNT"
        [[ $stderr = *"the store has 3 drives"* ]]
        # a drive is no store
        run_bm -2 mount d1 "$MNT"
        [[ $stderr = *"$SCRATCH/d1 is drive 1 of a store, not the store"* ]]
        assert_equal "$(tree_sum "$STORE")" "$before_store"
        assert_equal "$(tree_sum away)" "$before_drive"
        refute is_mounted "$MNT"
        # one that moved can be told
        mount_store -o drive=d1,drive=away
        check_fill
        umount_store
        check_store_with_drive_back
}

check_store_with_drive_back() {
        mv away d2
        check_store
        run_bm check other
}

@test "a drive that is in use, not empty, or in the wrong place is refused before anything is made" {
        require_fuse
        mkdir full
        echo 1 >full/file
        run_bm -2 create -d full "$STORE"
        assert_equal "$stderr" "bucketmap: $SCRATCH/full: not a bucketmap store, and not empty; nothing changed"
        run_bm create -d theirs other
        run_bm -2 create -d other "$STORE"
        assert_equal "$stderr" "bucketmap: $SCRATCH/other: is a bucketmap store already; nothing changed"
        run_bm -2 create -d theirs "$STORE"
        assert_equal "$stderr" "bucketmap: $SCRATCH/theirs: is a drive of a bucketmap store already; nothing changed"
        run_bm check other
        rm -r other theirs
        run_bm -2 create -d empty -d full "$STORE"
        run_bm -2 create -d none/below "$STORE"
        run_bm -2 create -d "" "$STORE"
        run_bm -2 create -d d1 -d ./d1 "$STORE"
        [[ $stderr = "bucketmap: $SCRATCH/d1: named twice; nothing changed" ]]
        run_bm -2 create -d "$STORE" "$STORE"
        run_bm -2 create -d "$STORE/d1" "$STORE"
        run_bm -2 create -d "$SCRATCH" "$STORE"
        run_bm -2 mount -o "drive=$MNT/d1" "$STORE" "$MNT"
        [[ $stderr = "bucketmap: $MNT/d1: lies below $MNT, its own mount would hide it; nothing changed" ]]
        assert_equal "$(find . -mindepth 1 | sort)" $'./full\n./full/file\n./mnt'
        # known from the store only
        run_bm create -d "$MNT/d1" "$STORE"
        run_bm -2 mount "$STORE" "$MNT"
        [[ $stderr = "bucketmap: $MNT/d1: lies below $MNT, its own mount would hide it; nothing changed" ]]
        refute is_mounted "$MNT"
        mkdir d2 "$SCRATCH/other-mnt"
        run_bm create -d d2/deep other
        mkdir d2/deep/mnt
        run_bm -2 mount other d2/deep/mnt
        [[ $stderr = "bucketmap: $SCRATCH/d2/deep/mnt: lies in the drive $SCRATCH/d2/deep; nothing changed" ]]
}

@test "statfs counts a disk once" {
        require_fuse
        run_bm create -d d1 -d d2 "$STORE"
        mount_store
        assert_equal "$(disk_size "$MNT")" "$(disk_size "$SCRATCH")"
}

@test "statfs adds up disks" {
        require_fuse
        require_root
        mkdir disk
        mount -t tmpfs -o size=64m none disk
        run_bm create -d d1 -d disk/d2 -d disk/d3 "$STORE"
        mount_store
        fill
        assert_equal "$(disk_size "$MNT")" "$(($(disk_size "$SCRATCH") + (64 << 20)))"
        umount_store
        check_store
        umount disk
}
