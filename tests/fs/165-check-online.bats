# SPDX-License-Identifier: MIT
# check --online: a mounted store is checked by its daemon, beside all else.
load ../lib/bucketmap

# damage TEXT: flips bits of each place in the store where TEXT stands
damage() {
        local file offset
        while IFS=: read -r file offset _; do
                printf '\377' | dd of="$file" bs=1 seek="$offset" conv=notrunc status=none
        done < <(LC_ALL=C grep -robUaF -- "$1" "$STORE/segments")
}

# The same for many, all with the same text.
damage_all() {
        local file
        # in place, so that the daemon's mappings show it
        for file in "$STORE"/segments/*; do
                LC_ALL=C sed 's/the marked value/the marred value/g' "$file" >copy
                dd if=copy of="$file" bs=64k conv=notrunc status=none
        done
}

@test "a mounted store is clean, by its DIR and by its STORE, while others write" {
        require_fuse
        local writer
        mount_store
        while :; do
                for i in {1..20}; do
                        head -c $((i * 5000)) /dev/zero >"$MNT/file$i"
                        mv "$MNT/file$i" "$MNT/moved$i"
                done
                rm "$MNT"/moved*
        done 2>/dev/null 3>&- &
        writer=$!
        for _ in {1..5}; do
                run_bm check --online "$MNT"
                assert_equal "$stdout" ""
        done
        run_bm check --online --json "$STORE"
        kill "$writer"
        wait "$writer" || true
        [[ $stdout = *'"type":"summary"'*'"result":"clean"'* ]]
}

@test "what is damaged is named, once, and exit code 1" {
        require_fuse
        mount_store
        mkdir "$MNT/dir"
        printf 'the-first-marked-value' >"$MNT/dir/bad one"
        printf 'left alone' >"$MNT/good"
        run_bm sync "$MNT"
        damage the-first-marked-value
        run_bm -1 check --online "$MNT"
        [[ $stdout = "'dir/bad one': "* ]]
        assert_equal "$(wc -l <<<"$stdout")" 1
        [[ $stderr = *"damaged in 1 place" ]]
        run_bm -1 check --online --json "$MNT"
        [[ $stdout = *'"text":"dir/bad one"'*'"findings":1'* ]]
}

@test "what is not mounted cannot be checked online, what is mounted only so" {
        require_fuse
        run_bm create "$STORE"
        run_bm -2 check --online "$STORE"
        [[ $stderr = *"no bucketmap store is mounted there"* ]]
        mount_store
        run_bm -3 check "$STORE"
        [[ $stderr = *"check --online"* ]]
}

@test "one check at a time; who is interrupted ends it, and so does an unmount" {
        require_fuse
        local checker
        mount_store
        for i in {1..2000}; do
                echo "the marked value" >"$MNT/a rather long name for a small file $i"
        done
        run_bm sync "$MNT"
        damage_all
        # nobody reads what it prints but for the first line
        mkfifo "$SCRATCH/pipe"
        exec 7<>"$SCRATCH/pipe"
        "$BUCKETMAP" check --online --json "$MNT" >"$SCRATCH/pipe" 3>&- 7>&- &
        checker=$!
        read -r -u 7
        wait_until is_busy
        run_bm -2 check --online "$MNT"
        [[ $stderr = *"another check"* ]]
        # others are not held up
        echo 1 >"$MNT/more"
        kill -INT "$checker"
        wait "$checker" || [ $? = 130 ]
        run_bm -1 check --online "$MNT"
        assert_equal "$(wc -l <<<"$stdout")" 2000
        exec 7<&-
        umount_store
}

# The daemon has a check that waits for its reader.
is_busy() {
        "$BUCKETMAP" check --online "$MNT" >"$SCRATCH/out" 2>"$SCRATCH/err" || true
        grep -q 'another check' "$SCRATCH/err"
}
