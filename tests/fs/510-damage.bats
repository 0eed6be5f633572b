#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Damaged files: an error with a name, never wrong bytes, nothing made worse.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        mount_store
}

# The file of the store in which TEXT stands, and its byte offset.
locate() {
        local found
        found=$(grep -robUaF -m 1 -- "$1" "$STORE/segments" | head -n 1)
        [ -n "$found" ] || return 1
        where=${found%%:*}
        found=${found#*:}
        offset=${found%%:*}
}

digest() {
        (cd "$STORE" && find . -type f ! -name lock -exec md5sum {} + | sort)
}

@test "a flipped bit in a value: EIO, and check names the key" {
        for i in {1..50}; do echo "recognisable-$i-value" >"$MNT/key $i"; done
        umount_store
        check_store
        locate recognisable-17-value
        flip "$where" $((offset + 5))
        before=$(digest)
        run_bm -1 check "$STORE"
        assert_output --partial "key 17"
        refute_output --partial "key 18"
        assert_equal "$(digest)" "$before"

        run_bm -any mount "$STORE" "$MNT"
        [ "$status" -eq 0 ] || mount_store -o ro
        run_cmd -1 cat "$MNT/key 17"
        assert_output --partial "Input/output error"
        for i in 1 16 18 50; do
                run_cmd cat "$MNT/key $i"
                assert_output "recognisable-$i-value"
        done
}

@test "contents that are damaged keep nobody from listing, removing or replacing a file" {
        for name in kept removed replaced moved; do
                { echo "recognisable-$name"; head -c 4000 /dev/zero; } >local
                dd if=local of="$MNT/$name" bs=1M status=none
        done
        umount_store
        for name in kept removed replaced moved; do
                locate "recognisable-$name"
                flip "$where" $((offset + 5))
        done
        mount_store
        run_cmd ls -l "$MNT"
        assert_equal "${#lines[@]}" 5
        run_cmd stat -c %s "$MNT/kept"
        assert_output 4018
        run_cmd -1 cat "$MNT/kept"
        assert_output --partial "Input/output error"
        run_cmd rm "$MNT/removed"
        echo new >"$MNT/replaced"
        run_cmd cat "$MNT/replaced"
        assert_output new
        # what would take the contents along does not
        run_cmd -1 mv "$MNT/moved" "$MNT/there"
        assert_output --partial "Input/output error"
        run_cmd -1 chmod 600 "$MNT/moved"
        run_cmd -1 cat "$MNT/moved"
        run_cmd ls "$MNT"
        assert_output "$(printf '%s\n' kept moved replaced)"
}

@test "a flipped bit in a large value: EIO there, the rest is readable" {
        { head -c 100000 /dev/zero; echo recognisable-part; head -c 100000 /dev/zero; } >local
        # in one write, so that no older version of the part stands anywhere
        dd if=local of="$MNT/large" bs=1M status=none
        umount_store
        locate recognisable-part
        flip "$where" "$offset"
        run_bm -1 check "$STORE"
        assert_output --partial "large"
        run_bm -any mount "$STORE" "$MNT"
        [ "$status" -eq 0 ] || mount_store -o ro
        run_cmd -any cmp local "$MNT/large"
        assert_output --partial "Input/output error"
        run_cmd dd if="$MNT/large" of=start bs=32768 count=1 status=none
        run_cmd cmp start <(head -c 32768 /dev/zero)
}

@test "a damaged superblock is not mounted, and nothing is changed" {
        echo a >"$MNT/a"
        umount_store
        flip "$STORE/superblock" 100
        flip "$STORE/superblock" 4196
        before=$(digest)
        run_bm -1 mount "$STORE" "$MNT"
        assert_output --partial "$STORE"
        run_bm -1 check "$STORE"
        assert_equal "$(digest)" "$before"
        # one whole copy is enough
        flip "$STORE/superblock" 100
        mount_store
        run_cmd cat "$MNT/a"
        assert_output "a"
}

@test "both manifests lost: rebuilt from the records or refused, never empty" {
        for i in {1..30}; do echo "$i" >"$MNT/$i"; done
        umount_store
        head -c 8192 /dev/zero >"$STORE/manifest"
        run_bm -any mount "$STORE" "$MNT"
        if [ "$status" -eq 0 ]; then
                assert_line "bucketmap: $STORE: no usable manifest; making the index from all records"
                for i in {1..30}; do assert_equal "$(cat "$MNT/$i")" "$i"; done
        else
                assert_equal "$status" 1
                assert_output --partial check
        fi
}

@test "the newest manifest lost: the one before it and the log have everything" {
        for i in {1..30}; do echo "$i" >"$MNT/$i"; done
        remount_store
        for i in {31..60}; do echo "$i" >"$MNT/$i"; done
        umount_store
        cp -a "$STORE" whole
        for half in 0 1; do
                rm -rf "$STORE"
                cp -a whole "$STORE"
                flip "$STORE/manifest" $((half * 4096 + 60))
                run_bm -any mount "$STORE" "$MNT"
                if [ "$status" -eq 0 ]; then
                        for i in {1..60}; do assert_equal "$(cat "$MNT/$i")" "$i"; done
                        umount_store
                else
                        assert_equal "$status" 1
                        assert_output --partial check
                fi
        done
}
