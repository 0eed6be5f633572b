#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A store of 1 000 000 keys of 100 bytes that the library wrote, seen through
# the mount; and what small files take.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
}

@test "1 000 000 keys of 100 bytes are listed and readable" {
        run_cmd "$BUCKETMAP_LOAD_KEYS" "$STORE" 1000000 100
        mount_store
        assert_equal "$(ls -f "$MNT" | wc -l)" 1000002
        ls -f "$MNT" | sort -u >listing
        assert_equal "$(wc -l <listing)" 1000002
        assert_equal "$(grep -c '^key-[0-9]\{7\}$' listing)" 1000000
        for i in 0 1 999999 $(shuf -i 0-999999 -n 200); do
                name=key-$(printf %07d "$i")
                letter=$(printf "\\$(printf %o $((97 + i % 26)))")
                assert_equal "$(tr -d "$letter" <"$MNT/$name" | wc -c)" 0
                assert_equal "$(stat -c %s "$MNT/$name")" 100
        done
        assert_equal "$(getfattr --absolute-names --only-values -n user.bucketmap.refcount "$MNT/key-0000003")" 4

        # the memory of the daemon does not grow with the directory
        resident=$(awk '/^RssAnon:/ { print $2 }' "/proc/$(daemon_pid)/status")
        [ "$resident" -lt 200000 ]

        run_bm info --json "$MNT"
        assert_equal "$(jq '.keys' <<<"$stdout")" 1000000
        assert_equal "$(jq '.value_bytes' <<<"$stdout")" 100000000

        echo new >"$MNT/new"
        rm "$MNT/key-0000000"
        kill_daemon KILL
        mount_store
        assert_equal "$(ls -f "$MNT" | wc -l)" 1000002
        assert_file_not_exists "$MNT/key-0000000"
        run_cmd cat "$MNT/new"
        assert_output new
        umount_store
        check_store
}

@test "100 000 files of 100 bytes take at most 260 bytes of disk each" {
        require_command python3
        mount_store
        run_cmd python3 -c '
import os, sys
value = os.urandom(100)
for i in range(100000):
    with open(f"{sys.argv[1]}/file-{i:07d}", "wb", buffering=0) as file:
        file.write(value)
' "$MNT"
        umount_store
        bytes=$(du -s -B1 "$STORE" | cut -f1)
        echo "$bytes bytes"
        [ "$bytes" -lt 26000000 ]
}
