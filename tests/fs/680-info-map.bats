# SPDX-License-Identifier: MIT
# info --map: a picture of the segments.
load ../lib/bucketmap

# the lines below the figures, without those that count bytes
picture() {
        sed '1,/^$/d' | grep '^  |'
}

n_segments() {
        picture | sed 's/^  |//; s/|$//' | tr -d '\n' | wc -m
}

draws_all_segments() {
        local n
        n=$("$BUCKETMAP" info --json "$MNT" | jq .segments)
        [ "$("$BUCKETMAP" info --map "$MNT" | n_segments)" = "$n" ]
}

@test "a sign a segment, mounted and not, in blocks and in ASCII" {
        require_fuse
        require_command jq
        local i mounted n
        mount_store
        for i in {1..50}; do
                head -c 400000 /dev/urandom >"$MNT/$i"
        done
        run_bm info --json "$MNT"
        n=$(jq .segments <<<"$stdout")
        # more than the daemon tells at once
        ((n > 32))
        run_bm info --map "$MNT"
        grep -q '^keys  *50$' <<<"$stdout"
        grep -q '^drive 0, log: ' <<<"$stdout"
        [[ $stdout = *█* && $stdout != *#* ]]
        [[ $(picture <<<"$stdout" | tr -d ' ░▒▓█|\n') = "" ]]
        run_cmd env LC_ALL=C "$BUCKETMAP" info --map -b "$MNT"
        [[ $stdout = *#* && $stdout != *█* ]]
        # compaction may come between two looks
        wait_until draws_all_segments
        umount_store
        run_bm info --json "$STORE"
        n=$(jq .segments <<<"$stdout")
        run_bm info --map "$STORE"
        assert_equal "$(n_segments <<<"$stdout")" "$n"
}

@test "drives have lines of their own, an empty store a legend" {
        run_bm create -d d1 "$STORE"
        run_bm info --map "$STORE"
        [[ $stdout = *"' ' none of it live, '░' to a quarter, "* ]]
        [[ $stdout = *"drive 0, log: "* || $stdout = *"drive 1, log: "* ]]
}

@test "not with --json" {
        run_bm create "$STORE"
        run_bm -2 info --map --json "$STORE"
        [[ $stderr = "bucketmap info: --map is for people, --json for programs"* ]]
        run_cmd -2 bash -c "'$BUCKETMAP' info --map '$STORE' >/dev/full"
}
