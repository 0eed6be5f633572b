#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Hard links: one file, several names.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        mount_store
}

# same NAME...: all are names of one file, with that many links.
same() {
        local inodes
        inodes=$(stat -c '%i %h' "$@" | sort -u)
        assert_equal "$(wc -l <<<"$inodes")" 1
        assert_equal "${inodes#* }" $#
}

@test "two names are one file: what one does the other shows" {
        echo one >"$MNT/a"
        mkdir "$MNT/dir"
        ln "$MNT/a" "$MNT/dir/b"
        same "$MNT/a" "$MNT/dir/b"
        [ "$MNT/a" -ef "$MNT/dir/b" ]
        echo two >>"$MNT/dir/b"
        assert_equal "$(cat "$MNT/a")" $'one\ntwo'
        chmod 640 "$MNT/a"
        assert_equal "$(stat -c %a "$MNT/dir/b")" 640
        setfattr -n user.note -v text "$MNT/dir/b"
        assert_equal "$(getfattr --only-values -n user.note "$MNT/a" 2>/dev/null)" text
        truncate -s 100000 "$MNT/a"
        assert_equal "$(stat -c %s "$MNT/dir/b")" 100000
        assert_equal "$(find "$MNT" -samefile "$MNT/a" | sort)" "$MNT/a"$'\n'"$MNT/dir/b"
        remount_store
        same "$MNT/a" "$MNT/dir/b"
        kill_daemon
        mount_store
        same "$MNT/a" "$MNT/dir/b"
        assert_equal "$(stat -c %s "$MNT/dir/b")" 100000
        umount_store
        check_store
}

@test "a link changes the file's ctime, and so does losing one; mtime stays" {
        cat >times.py <<'END'
import os, sys
os.chdir(sys.argv[1])
open("a", "w").close()
before = os.stat("a")
os.link("a", "b")
linked = os.stat("a")
assert linked.st_ctime_ns > before.st_ctime_ns and linked.st_mtime_ns == before.st_mtime_ns
os.unlink("a")
left = os.stat("b")
assert left.st_ctime_ns > linked.st_ctime_ns and left.st_mtime_ns == before.st_mtime_ns
assert left.st_nlink == 1
os.link("b", "c")
before = os.stat("c")
open("d", "w").close()
os.rename("d", "b")
after = os.stat("c")
assert after.st_nlink == 1 and after.st_ctime_ns > before.st_ctime_ns
END
        run_cmd python3 times.py "$MNT"
}

@test "names go one by one, the file with the last; an open one stays" {
        keys() {
                "$BUCKETMAP" info --json "$1" | jq .keys
        }
        require_command jq
        before=$(keys "$MNT")
        echo text >"$MNT/a"
        ln "$MNT/a" "$MNT/b"
        ln "$MNT/b" "$MNT/c"
        rm "$MNT/a"
        same "$MNT/b" "$MNT/c"
        mv "$MNT/b" "$MNT/d"
        same "$MNT/c" "$MNT/d"
        exec 8<"$MNT/c"
        rm "$MNT/c" "$MNT/d"
        assert_equal "$(cat <&8)" text
        assert_equal "$(stat -L -c %h /proc/self/fd/8)" 0
        # what has no name any more gets none
        run_cmd -1 ln -L /proc/self/fd/8 "$MNT/again"
        assert_regex "$stderr" "No such file"
        exec 8<&-
        assert_equal "$(root_names)" ""
        umount_store
        check_store
        assert_equal "$(keys "$STORE")" "$before"
}

@test "a rename onto another name of the file does nothing" {
        cat >rename.py <<'END'
import os, sys
os.chdir(sys.argv[1])
open("a", "w").close()
os.link("a", "b")
os.rename("a", "b")
assert {"a", "b"} <= set(os.listdir(".")) and os.stat("a").st_nlink == 2
END
        run_cmd python3 rename.py "$MNT"
}

@test "the count is the file's, whichever name it is asked by" {
        local refcount=user.bucketmap.refcount
        echo text >"$MNT/a"
        ln "$MNT/a" "$MNT/b"
        setfattr -n $refcount -v 3000000 "$MNT/a"
        setfattr -n $refcount -v +1 "$MNT/b"
        assert_equal "$(getfattr --only-values -n $refcount "$MNT/a" 2>/dev/null)" 3000001
        # a condition on the count takes the name, and leaves the others the file
        run_bm -1 rm --if-count=1 "$MNT/a"
        run_bm rm --if-count=3000001 "$MNT/a"
        assert_equal "$(stat -c %h "$MNT/b")" 1
        assert_equal "$(cat "$MNT/b")" text
        assert_equal "$(getfattr --only-values -n $refcount "$MNT/b" 2>/dev/null)" 3000001
        remount_store -o unlink=guard
        ln "$MNT/b" "$MNT/c"
        rm "$MNT/b"
        run_cmd -1 rm "$MNT/c"
        assert_regex "$stderr" "busy"
}

@test "holders: a directory of links is dropped, what others hold stays" {
        mkdir -p "$MNT/objects" "$MNT/holders/build1" "$MNT/holders/build2"
        echo one >"$MNT/objects/1"
        echo two >"$MNT/objects/2"
        ln "$MNT/objects/1" "$MNT/objects/2" "$MNT/holders/build1"
        ln "$MNT/objects/1" "$MNT/holders/build2"
        rm -r "$MNT/holders/build1"
        assert_equal "$(stat -c %h "$MNT/objects/1")" 2
        assert_equal "$(find "$MNT/objects" -links 1)" "$MNT/objects/2"
}

@test "directories have no links of their own: 2 and their subdirectories" {
        local before
        before=$(stat -c %h "$MNT")
        [ -n "${BUCKETMAP_AGED:-}" ] || assert_equal "$before" 2
        mkdir -p "$MNT/dir/one" "$MNT/dir/two"
        : >"$MNT/dir/file"
        assert_equal "$(stat -c %h "$MNT/dir")" 4
        assert_equal "$(stat -c %h "$MNT")" $((before + 1))
        rmdir "$MNT/dir/one"
        mv "$MNT/dir/two" "$MNT/two"
        assert_equal "$(stat -c %h "$MNT/dir")" 2
        assert_equal "$(stat -c %h "$MNT")" $((before + 2))
        run_cmd -1 ln "$MNT/dir" "$MNT/other"
        run_cmd -1 python3 -c 'import os, sys; os.link(*sys.argv[1:])' "$MNT/dir" "$MNT/other"
        assert_regex "$stderr" "PermissionError"
}

@test "cp -a, rsync -aH and tar carry links there and back" {
        require_command rsync
        mkdir -p tree/sub
        echo one >tree/a
        ln tree/a tree/sub/b
        ln tree/a tree/sub/c
        head -c 100000 /dev/urandom >tree/large
        ln tree/large tree/sub/large
        ln -s a tree/link
        mkfifo tree/fifo
        cp -a tree "$MNT/cp"
        rsync -aH tree/ "$MNT/rsync"
        mkdir "$MNT/tar"
        tar -C tree -cf - . | tar -C "$MNT/tar" -xf -
        local how
        for how in cp rsync tar; do
                same "$MNT/$how/a" "$MNT/$how/sub/b" "$MNT/$how/sub/c"
                same "$MNT/$how/large" "$MNT/$how/sub/large"
                [ -p "$MNT/$how/fifo" ]
        done
        remount_store
        cp -a "$MNT/rsync" back
        run_cmd diff -r --no-dereference -x fifo tree back
        same back/a back/sub/b back/sub/c
        run_cmd rsync -aHc --delete --itemize-changes tree/ "$MNT/cp"
        assert_output ""
}

@test "git clone --local links its objects" {
        require_command git
        export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=n GIT_AUTHOR_EMAIL=e \
                GIT_COMMITTER_NAME=n GIT_COMMITTER_EMAIL=e
        git init -q "$MNT/one"
        echo text >"$MNT/one/file"
        git -C "$MNT/one" add file
        git -C "$MNT/one" commit -qm first
        git clone -q --local "$MNT/one" "$MNT/two"
        assert_equal "$(find "$MNT/two/.git/objects" -type f -links 1)" ""
        rm -rf "$MNT/one"
        run_cmd git -C "$MNT/two" fsck --full
        git -C "$MNT/two" gc -q
        run_cmd git -C "$MNT/two" fsck --full
        umount_store
        check_store
}

@test "70 000 links to one file, more than other filesystems have" {
        cat >many.py <<'END'
import os, sys
os.chdir(sys.argv[1])
open("0", "w").close()
os.mkdir("dir")
for i in range(1, 70000):
    os.link("0", "dir/%d" % i)
assert os.stat("dir/69999").st_nlink == 70000
END
        run_cmd python3 many.py "$MNT"
        remount_store
        assert_equal "$(stat -c %h "$MNT/0")" 70000
        assert_equal "$(find "$MNT/dir" -samefile "$MNT/0" | wc -l)" 69999
        rm -r "$MNT/dir"
        assert_equal "$(stat -c %h "$MNT/0")" 1
        umount_store
        check_store
}

# The kernel takes one off what it knows when it hears that a name is gone. An
# answer that overtakes that one and has it taken off already must not be kept.
@test "the number is right after a stat that overtook an unlink" {
        umount_store
        touch "$SCRATCH/answer" "$SCRATCH/answer.calls"
        SLOW_ANSWER=$SCRATCH/answer \
                LD_PRELOAD=${BUCKETMAP_SLOW_CALLS:-$BUCKETMAP_BUILD/tests/fs/libslow-calls.so} \
                mount_store
        touch "$MNT/file"
        for name in a b c d; do ln "$MNT/file" "$MNT/$name"; done
        rm "$MNT/a"
        for command in "rm $MNT/b" "mv $MNT/other $MNT/c"; do
                touch "$MNT/other"
                links=$(stat --cached=never -c %h "$MNT/file")
                : >"$SCRATCH/answer.calls"
                exec 9<"$SCRATCH/answer"
                flock 9
                $command 3>&- 9>&- &
                is_being_answered() { [ -s "$SCRATCH/answer.calls" ]; }
                wait_until is_being_answered
                overtaking=$(stat --cached=never -c %h "$MNT/file")
                exec 9<&-
                wait "$!"
                assert_equal "$overtaking" $((links - 1))
                assert_equal "$(stat -c %h "$MNT/file")" $((links - 1))
        done
        umount_store
        check_store
}

@test "many at once link and unlink one file: the number is right in the end" {
        : >"$MNT/file"
        cat >race.py <<'END'
import os, sys
os.chdir(sys.argv[1])
me = sys.argv[2]
os.mkdir(me)
for i in range(300):
    os.link("file", "%s/%d" % (me, i))
    os.stat("file")
    if i % 3:
        os.rename("%s/%d" % (me, i), "%s/moved%d" % (me, i))
    if i % 2:
        os.unlink("%s/%s%d" % (me, "moved" if i % 3 else "", i))
END
        local i pids=()
        for i in 1 2 3 4; do
                python3 race.py "$MNT" "$i" &
                pids+=($!)
        done
        for i in "${pids[@]}"; do
                wait "$i"
        done
        assert_equal "$(stat -c %h "$MNT/file")" 601
        umount_store
        check_store
        mount_store
        assert_equal "$(stat -c %h "$MNT/file")" 601
}
