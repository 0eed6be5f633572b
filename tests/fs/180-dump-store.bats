# SPDX-License-Identifier: MIT
# A store read by core/FORMAT.md alone: the second reader and the mount agree.
load ../lib/bucketmap

# The reader stands beside the sources, which a copied test does not have.
find_reader() {
        require_fuse
        require_command python3
        dump=${BATS_TEST_DIRNAME%/tests/fs}/scripts/dump-store
        [ -x "$dump" ] || skip "runs in a checkout"
}

# Writes pieces of 4 KiB anew, up to that, in such steps.
patch_file() {
        local i
        for ((i = 0; i < $2; i += $3)); do
                dd if=/dev/urandom of="$1" bs=4096 count=1 seek="$i" conv=notrunc status=none
        done
}

# Files of every kind of record: inline, large, sparse, cut, patched, in maps of their
# own, renamed, replaced, with several names, with counts that a slot holds and
# that it does not.
fill() {
        local i
        mkdir -p "$MNT/dir/deeper" "$MNT/gone"
        for i in {1..300}; do
                echo "value $i" >"$MNT/dir/key $i"
        done
        head -c 16384 /dev/urandom >"$MNT/inline"
        head -c 200001 /dev/urandom >"$MNT/large"
        head -c 200001 /dev/urandom >"$MNT/dir/cut"
        truncate -s 70000 "$MNT/dir/cut"
        truncate -s 150000 "$MNT/dir/cut"
        patch_file "$MNT/large" 48 3
        patch_file "$MNT/large" 12 1
        patch_file "$MNT/dir/cut" 17 3
        truncate -s 5000000 "$MNT/sparse"
        echo end >>"$MNT/sparse"
        : >"$MNT/empty"
        echo ahead >"$MNT/allocated"
        fallocate -n -o 100000 -l 100000 "$MNT/allocated"
        : >"$MNT/dir/deeper/$(printf 'x%.0s' {1..255})"
        : >"$MNT"/$'new\nline \xff'
        mv "$MNT/dir/key 1" "$MNT/moved"
        mv "$MNT/dir/key 2" "$MNT/dir/key 3"
        mv "$MNT/dir/deeper" "$MNT/deep"
        rm "$MNT/dir/key 4"
        rmdir "$MNT/gone"
        ln "$MNT/dir/key 5" "$MNT/linked"
        ln "$MNT/linked" "$MNT/deep/linked too"
        rm "$MNT/dir/key 5"
        ln "$MNT/large" "$MNT/dir/large too"
        ln "$MNT/dir/key 6" "$MNT/once linked"
        rm "$MNT/once linked"
        setfattr -n user.bucketmap.refcount -v 7 "$MNT/moved"
        setfattr -n user.bucketmap.refcount -v 3000000000 "$MNT/inline"
}

# Which of the files below each folder are names of one another.
links_of() {
        (cd "$1" && find . -type f -links +1 -printf '%i %p\n' | sort -k 2 | awk '
                { inode = $1; sub(/^[0-9]+ /, ""); names[inode] = names[inode] "|" $0 }
                END { for (i in names) print names[i] }' | sort)
}

same_links() {
        links_of "$1" >links.1
        links_of "$2" >links.2
        run_cmd diff links.1 links.2
        [ -s links.1 ]
}

@test "a closed store's files come out as they were in the mount" {
        find_reader
        mount_store
        fill
        cp -a "$MNT" seen
        umount_store
        run_cmd "$dump" --extract out "$STORE"
        run_cmd diff -r seen out
        same_links seen out
        run_cmd "$dump" --keys "$STORE"
        assert_line $'7\t8\tmoved'
        assert_line $'3000000000\t16384\tinline'
        assert_line $'1\t5000004\tsparse'
        run_cmd "$dump" "$STORE"
        assert_line --partial ', clean'
        check_store
}

@test "a killed store's files come out too, by replay of the log" {
        find_reader
        mount_store
        fill
        cp -a "$MNT" seen
        kill_daemon
        run_cmd "$dump" --extract out "$STORE"
        run_cmd diff -r seen out
        same_links seen out
        run_cmd "$dump" "$STORE"
        refute_line --partial ', clean'
}

has_cold_segment() {
        "$dump" "$STORE" 2>/dev/null | grep -q ' cold number'
}

@test "without the index: from all records of all segments" {
        find_reader
        local i
        mount_store
        fill
        # until compaction has left its copies, and what they are copies of, behind
        head -c 10000 /dev/urandom >piece
        for i in {1..2000}; do
                cp piece "$MNT/dir/key $((i % 100 + 100))"
        done
        setfattr -n user.bucketmap.refcount -v 5 "$MNT/dir/key 100"
        wait_until has_cold_segment
        cp -a "$MNT" seen
        umount_store
        run_cmd "$dump" --rebuild --extract out "$STORE"
        run_cmd diff -r seen out
        same_links seen out
        run_cmd "$dump" --rebuild --keys "$STORE"
        assert_line $'3000000000\t16384\tinline'
        assert_line $'5\t10000\tdir/key\\x20100'
}
