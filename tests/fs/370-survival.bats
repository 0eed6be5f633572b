#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What is there after unmounting, and after the daemon was killed.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        mount_store
}

# Some of everything that a store keeps, with a number in it.
leave_marks() {
        echo "text $1" >"$MNT/text$1"
        mkdir -p "$MNT/dir$1/sub"
        seq "$1" 20000 >"$MNT/dir$1/sub/large"
        ln -s "text$1" "$MNT/link$1"
        chmod 640 "$MNT/text$1"
        touch -d '2011-12-13 14:15:16.171819' "$MNT/dir$1/sub/large"
        setfattr -n user.note -v "note $1" "$MNT/text$1"
        setfattr -n user.bucketmap.refcount -v "$((1000 + $1))" "$MNT/text$1"
        echo gone >"$MNT/gone$1"
        rm "$MNT/gone$1"
        echo moved >"$MNT/from$1"
        mv "$MNT/from$1" "$MNT/dir$1/to"
}

find_marks() {
        assert_equal "$(cat "$MNT/text$1")" "text $1"
        run_cmd cmp "$MNT/dir$1/sub/large" <(seq "$1" 20000)
        assert_equal "$(readlink "$MNT/link$1")" "text$1"
        assert_equal "$(stat -c %a "$MNT/text$1")" 640
        assert_equal "$(stat -c %y "$MNT/dir$1/sub/large")" "2011-12-13 14:15:16.171819000 +0000"
        assert_equal "$(getfattr --absolute-names --only-values -n user.note "$MNT/text$1")" "note $1"
        assert_equal "$(getfattr --absolute-names --only-values -n user.bucketmap.refcount "$MNT/text$1")" "$((1000 + $1))"
        assert_file_not_exists "$MNT/gone$1"
        assert_file_not_exists "$MNT/from$1"
        assert_equal "$(cat "$MNT/dir$1/to")" moved
}

@test "unmounting and mounting again" {
        for i in 1 2 3; do
                leave_marks "$i"
                remount_store
                for j in $(seq "$i"); do find_marks "$j"; done
        done
        umount_store
        check_store
}

was_clean() {
        "$BUCKETMAP" info --json "$MNT" | jq .clean
}

@test "after unmounting nothing is replayed, and the log says so" {
        require_command jq
        for i in 1 2 3; do
                leave_marks "$i"
                for j in {1..300}; do echo "$i $j" >"$MNT/file$j"; done
                remount_store
                assert_equal "$(was_clean)" true
        done
        kill_daemon KILL
        mount_store
        assert_equal "$(was_clean)" false
        umount_store
        mount_foreground
        assert_equal "$(was_clean)" true
        wait_until grep -q "mounted at" "$SCRATCH/daemon.log"
        assert_equal "$(grep -c replayed "$SCRATCH/daemon.log")" 0
}

@test "plain umount, and fusermount3 -u, are as safe" {
        leave_marks 1
        if [ "$(id -u)" -eq 0 ]; then
                run_cmd umount "$MNT"
                mount_store
                find_marks 1
                leave_marks 2
        else
                leave_marks 2
        fi
        run_cmd fusermount3 -u "$MNT"
        mount_store
        find_marks 1
        find_marks 2
}

@test "kill -9 and mounting again, several times" {
        for i in 1 2 3; do
                leave_marks "$i"
                kill_daemon KILL
                run_cmd -any cat "$MNT/text$i"
                assert_not_equal "$status" 0
                # the dead mount is in the way, and the command says that it detached it
                mount_store
                assert_output --partial "$MNT"
                for j in $(seq "$i"); do find_marks "$j"; done
        done
        umount_store
        check_store
}

@test "kill -9 after many operations, checked before it is mounted" {
        for i in {1..500}; do echo "$i" >"$MNT/$i"; done
        for i in {1..500..3}; do rm "$MNT/$i"; done
        for i in {2..500..3}; do mv "$MNT/$i" "$MNT/moved$i"; done
        kill_daemon KILL
        umount_any "$MNT"
        check_store
        mount_store
        assert_equal "$(root_names | wc -l)" 333
        for i in {2..500..3}; do assert_equal "$(cat "$MNT/moved$i")" "$i"; done
        for i in {3..500..3}; do assert_equal "$(cat "$MNT/$i")" "$i"; done
}

@test "kill -9 while processes write: what was done is there, whole" {
        for who in 1 2 3; do
                (
                        i=0
                        while echo "value $((i + 1)) of $who" 2>/dev/null >"$MNT/$who-$((i + 1))"; do
                                i=$((i + 1))
                        done
                        echo "$i" >"done$who"
                ) 2>/dev/null &
        done
        wait_until test -e "$MNT/3-200"
        kill_daemon KILL
        wait
        mount_store
        for who in 1 2 3; do
                done=$(cat "done$who")
                [ "$done" -gt 0 ]
                for i in $(seq "$done"); do
                        [ "$(cat "$MNT/$who-$i")" = "value $i of $who" ] || fail "$who-$i: $(cat "$MNT/$who-$i")"
                done
                # of the one that was being made there is nothing, the empty file, or all
                assert_file_not_exists "$MNT/$who-$((done + 2))"
        done
        umount_store
        check_store
}

@test "kill -9 with unlinked files open: they are gone, the rest is sound" {
        echo keep >"$MNT/keep"
        head -c 500000 /dev/urandom >"$MNT/open"
        exec 8<"$MNT/open"
        rm "$MNT/open"
        kill_daemon KILL
        exec 8<&-
        mount_store
        run_cmd root_names
        assert_output keep
        umount_store
        check_store
}

@test "fsync of a file, of a directory, and sync of the mount" {
        require_command python3
        echo a >"$MNT/a"
        run_cmd sync "$MNT/a"
        run_cmd sync -d "$MNT/a"
        mkdir "$MNT/dir"
        run_cmd sync "$MNT/dir"
        run_cmd dd if=/dev/zero of="$MNT/b" bs=100000 count=3 conv=fsync status=none
        run_bm sync "$MNT"
        run_cmd python3 -c '
import os, sys
for i in range(100):
    fd = os.open(f"{sys.argv[1]}/{i}", os.O_CREAT | os.O_WRONLY | os.O_DSYNC)
    os.write(fd, b"x" * i)
    os.fsync(fd)
    os.close(fd)
' "$MNT/dir"
        kill_daemon KILL
        mount_store
        assert_equal "$(ls "$MNT/dir" | wc -l)" 100
        assert_equal "$(stat -c %s "$MNT/dir/99")" 99
}

@test "read-only: everything is readable and nothing is written" {
        leave_marks 1
        umount_store
        digest() {
                (cd "$STORE" && find . -type f ! -name lock -exec md5sum {} + | sort)
        }
        before=$(digest)
        mount_store -o ro
        find_marks 1
        run_cmd -any touch "$MNT/new"
        assert_output --partial "Read-only file system"
        run_cmd -any rm "$MNT/text1"
        assert_output --partial "Read-only file system"
        run_cmd -any setfattr -n user.bucketmap.refcount -v +1 "$MNT/text1"
        assert_output --partial "Read-only file system"
        umount_store
        assert_equal "$(digest)" "$before"
}

@test "read-only after a kill: all is there, and still nothing is written" {
        leave_marks 1
        kill_daemon KILL
        umount_any "$MNT"
        before=$(cd "$STORE" && find . -type f ! -name lock -exec md5sum {} + | sort)
        mount_store -o ro
        find_marks 1
        umount_store
        assert_equal "$(cd "$STORE" && find . -type f ! -name lock -exec md5sum {} + | sort)" "$before"
        mount_store
        find_marks 1
}
