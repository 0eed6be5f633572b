# SPDX-License-Identifier: MIT
# info: figures, for people and programs, mounted or not, without a change.
load ../lib/bucketmap

figures() {
        "$BUCKETMAP" info --json "$1" | jq -c '[.keys, .maps, .value_bytes]'
}

tree_sum() {
        (cd "$STORE" && find . -type f -exec sha256sum {} + | sort && find . -printf '%p %s %T@\n' | sort) | sha256sum
}

@test "keys, maps and bytes, the same mounted and not" {
        require_fuse
        require_command jq
        mount_store
        assert_equal "$(figures "$MNT")" "[0,1,0]"
        head -c 1000 /dev/zero >"$MNT/a"
        head -c 100000 /dev/zero >"$MNT/large"
        mkdir "$MNT/dir"
        echo 12345 >"$MNT/dir/b"
        assert_equal "$(figures "$MNT")" "[3,2,101006]"
        assert_equal "$(figures "$STORE")" "[3,2,101006]"
        umount_store
        assert_equal "$(figures "$STORE")" "[3,2,101006]"
}

@test "JSON has every figure" {
        require_command jq
        run_bm create "$STORE"
        local field
        run_bm info --json "$STORE"
        for field in keys maps value_bytes disk_bytes format_version reclaimable_bytes segments segment_bytes \
                live_bytes index_bytes index_splits index_grows data_segments_added failed_grows longest_probe; do
                run_cmd jq -e ".$field | type == \"number\" and . == floor and . >= 0" <<<"$stdout"
                run_bm info --json "$STORE"
        done
        for field in index_fill index_bytes_per_key longest_grow_seconds; do
                run_cmd jq -e ".$field | type == \"number\"" <<<"$stdout"
                run_bm info --json "$STORE"
        done
}

@test "people get units, -b gives bytes" {
        run_bm create "$STORE"
        run_bm info "$STORE"
        [[ $stdout =~ on\ disk\ +[0-9.]+\ [KM]iB ]]
        [[ $stdout =~ keys\ +0 ]]
        run_bm info -b "$STORE"
        [[ $stdout =~ on\ disk\ +[0-9]+$'\n' ]]
        [[ $stdout != *iB* ]]
}

@test "buckets: as told, else by the number of keys that are expected" {
        require_command jq
        local n=0 wanted option
        while read -r wanted option; do
                n=$((n + 1))
                # shellcheck disable=SC2086 # several options
                run_bm create $option "$STORE$n"
                run_bm info --json "$STORE$n"
                assert_equal "$option: $(jq .buckets <<<"$stdout")" "$option: $wanted"
        done <<'END'
16
16 --keys=1000000
256 --keys=10000000
65536 --keys=1099511627776
64 --buckets=64
8 --buckets=8 --keys=10000000
END
}

@test "it never writes, not even after a kill -9" {
        require_fuse
        local before
        mount_store
        echo 1 >"$MNT/a"
        kill_daemon
        before=$(tree_sum)
        run_bm info --json "$STORE"
        assert_equal "$(jq .keys <<<"$stdout")" 1
        # a record of some 100 bytes, though this replayed it in memory
        assert_equal "$(jq '.replay_bytes > 50 and .replay_bytes < 4000' <<<"$stdout")" true
        assert_equal "$(tree_sum)" "$before"
}

@test "it works where writing is impossible" {
        require_ordinary_user
        run_bm create "$STORE"
        chmod -R a-w "$STORE"
        run_bm info "$STORE"
        run_bm check "$STORE"
        chmod -R u+w "$STORE"
}

@test "a dead mount: the store can be asked, the directory says why not" {
        require_fuse
        mount_store
        kill_daemon
        run_bm info "$STORE"
        for command in info sync stats export import; do
                run_bm -2 "$command" "$MNT"
                assert_equal "$stdout" ""
                [[ $stderr = "bucketmap: $MNT: cannot "*": Transport endpoint is not connected
  its daemon is dead; bucketmap mount $STORE again" ]]
        done
}

@test "what is no store is exit code 2" {
        run_bm -2 info "$SCRATCH/none"
        [[ $stderr = *"$SCRATCH/none: "*"No such file or directory" ]]
        run_bm -2 info "$SCRATCH"
        assert_equal "$stderr" "bucketmap: $SCRATCH: not a bucketmap store"
        echo x >file
        run_bm -2 info "$SCRATCH/file"
        run_bm -2 check "$SCRATCH"
        assert_equal "$stderr" "bucketmap: $SCRATCH: not a bucketmap store"
        run_bm -2 check "$SCRATCH/none"
}

@test "a full pipe's end is an error, not a success" {
        run_bm create "$STORE"
        run_cmd -2 bash -c "'$BUCKETMAP' info '$STORE' >/dev/full"
        [[ $stderr = *"No space left on device"* ]]
}
