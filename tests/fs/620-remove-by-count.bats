# SPDX-License-Identifier: MIT
# rm --if-count: garbage collection that cannot take what is in use, and that
# the kernel's caches do not contradict.
load ../lib/bucketmap

set_count() {
        setfattr -n user.bucketmap.refcount -v "$2" "$1"
}

@test "only those whose count is N go, the others are printed" {
        require_fuse
        require_command setfattr
        mount_store
        cd "$MNT"
        touch a b c d "with blank"
        for f in b d "with blank"; do
                set_count "$f" 0
        done
        run_bm -1 rm --if-count=0 a b c d "with blank"
        assert_equal "$stdout" $'a\nc'
        assert_equal "$stderr" ""
        assert_equal "$(ls)" $'a\nc'
        run_bm rm --if-count=1 a ./c
        assert_equal "$output" ""
        assert_equal "$(ls)" ""
        cd ..
        umount_store
        check_store
        run_bm info --json "$STORE"
        assert_equal "$(jq .keys <<<"$output")" 0
}

@test "in directories, and what cannot be removed" {
        require_fuse
        mount_store
        mkdir -p "$MNT/dir/deeper"
        touch "$MNT/a" "$MNT/dir/b" "$MNT/dir/deeper/c" "$SCRATCH/elsewhere"
        ln -s a "$MNT/link"
        run_bm -2 rm --if-count=1 "$MNT/dir/b" "$MNT/dir/deeper" "$MNT/dir/" "$MNT/a/" "$MNT/none/" "$MNT/none" elsewhere \
                "$MNT/dir/deeper/c" "$MNT/nodir/x" "$MNT/a/x" "$MNT/$(printf '%0300d' 0)" "$MNT/a" "$MNT/link"
        assert_equal "$stdout" ""
        assert_equal "$(sed "s,$SCRATCH,S,; s,0\{300\},LONG," <<<"$stderr")" "\
bucketmap: S/mnt/dir/deeper: cannot remove: Is a directory
bucketmap: S/mnt/dir/: cannot remove: Is a directory
bucketmap: S/mnt/a/: cannot remove: Not a directory
bucketmap: S/mnt/none/: cannot remove: No such file or directory
bucketmap: S/mnt/none: cannot remove: No such file or directory
bucketmap: elsewhere: not in a mounted store
bucketmap: S/mnt/nodir/x: cannot remove: No such file or directory
bucketmap: S/mnt/a/x: cannot remove: Not a directory
bucketmap: S/mnt/LONG: cannot remove: File name too long"
        assert_equal "$(find "$MNT" -mindepth 1 | sort)" "$MNT/dir
$MNT/dir/deeper"
        [ -e elsewhere ]
        run_bm rm -f --if-count=1 "$MNT/none"
        assert_equal "$output" ""
        run_bm -2 rm --if-count=1 "$MNT/none"
}

@test "usage" {
        run_bm -2 rm file
        [[ $stderr = "bucketmap rm: --if-count=N is missing"* ]]
        run_bm -2 rm --if-count=x file
        [[ $stderr = "bucketmap rm: --if-count=x: wants a number from 0 to 2^62 - 1"* ]]
        run_bm -2 rm --if-count=1
        [[ $stderr = "bucketmap rm: FILE is missing"* ]]
}

@test "the kernel forgets the names: stat, listings, directory times, creating anew" {
        require_fuse
        local i before
        mount_store
        mkdir "$MNT/dir"
        cd "$MNT/dir"
        for i in 1 2 3 4 5; do
                echo "old $i" >"$i"
        done
        # all that can be cached is
        cat 1 2 3 4 5 >/dev/null
        ls -l >/dev/null
        ls -U >/dev/null
        before=$(stat -c %y .)
        run_bm rm --if-count=1 1 2 3
        assert_equal "$(ls -U | sort | xargs)" "4 5"
        refute [ -e 1 ]
        run_cmd -1 cat 2
        refute [ "$(stat -c %y .)" = "$before" ]
        # neither a stale positive nor a stale negative entry
        (set -C && echo new >./1)
        echo new >>./2
        ln -s 4 3
        assert_equal "$(cat 1 2 3 | xargs)" "new new old 4"
        run_bm rm --if-count=1 3
        refute [ -L 3 ]
        # names that the kernel does not know, a listing that it does
        remount_elsewhere
        ls "$MNT/dir" >/dev/null
        run_bm rm --if-count=1 "$MNT/dir/5"
        assert_equal "$(find "$MNT/dir" -mindepth 1 -printf '%f\n' | sort | xargs)" "1 2 4"
        assert_equal "$(find "$MNT/dir" -type f | wc -l)" 3
}

remount_elsewhere() {
        cd "$SCRATCH" || return
        remount_store
}

@test "an open file stays readable and has no links" {
        require_fuse
        require_command python3
        mount_store
        echo contents >"$MNT/a"
        exec 7<"$MNT/a"
        assert_equal "$(stat -L -c %h /dev/fd/7)" 1
        run_bm rm --if-count=1 "$MNT/a"
        assert_equal "$(stat -L -c %h /dev/fd/7)" 0
        assert_equal "$(cat <&7)" contents
        # a reference to it would hold nothing
        run_cmd -1 python3 -c 'import os; os.setxattr(7, "user.bucketmap.refcount", b"+1")' 7<&7
        [[ $stderr = *"Stale file handle"* ]]
        exec 7<&-
        umount_store
        check_store
        mount_store
        assert_equal "$(ls -A "$MNT")" ""
}

@test "unlink=guard does not come before the count that is asked for" {
        require_fuse
        require_command setfattr
        mount_store -o unlink=guard
        touch "$MNT/a"
        set_count "$MNT/a" 5
        run_cmd -1 rm "$MNT/a"
        run_bm -1 rm --if-count=1 "$MNT/a"
        run_bm rm --if-count=5 "$MNT/a"
        assert_equal "$(ls "$MNT")" ""
}

@test "a read-only mount refuses" {
        require_fuse
        mount_store
        touch "$MNT/a"
        remount_store -o ro
        run_bm -2 rm --if-count=1 "$MNT/a"
        [[ $stderr = *"Read-only file system" ]]
        [ -e "$MNT/a" ]
}

@test "others may not" {
        require_fuse
        require_user
        mount_store -o allow_other
        chmod 777 "$MNT"
        echo 1 >"$MNT/a"
        run_cmd -2 as_user "$BUCKETMAP" rm --if-count=1 "$MNT/a"
        [[ $stderr = *": cannot remove: only root and the owner of the mount may, by count" ]]
        [ -e "$MNT/a" ]
}

@test "thousands of names in one command" {
        require_fuse
        local n
        mount_store
        cd "$MNT"
        mkdir odd even
        seq -f 'odd/a key with a name of some length %06.0f' 1 2 5000 | xargs -d '\n' touch
        seq -f 'even/%.0f' 2 2 5000 | xargs touch
        find odd -name '*7' -exec setfattr -n user.bucketmap.refcount -v 7 {} +
        n=$(find odd -name '*7' | wc -l)
        find odd even -type f -print0 | xargs -0 "$BUCKETMAP" rm --if-count=1 >../left || [ $? -eq 123 ]
        assert_equal "$(wc -l <../left)" "$n"
        assert_equal "$(find . -type f | wc -l)" "$n"
        eval "ls $(head -1 ../left)"
}

@test "at once with those who add references and create anew: no reference is lost" {
        require_fuse
        require_command setfattr getfattr python3
        local i adder
        mount_store
        cd "$MNT"
        # Each key begins unreferenced. One takes a reference of each, another
        # collects: where the reference was had, the file is there.
        for i in {1..300}; do
                echo "$i" >"$i"
                setfattr -n user.bucketmap.refcount -v 0 "$i"
        done
        (for i in {1..300}; do
                setfattr -n user.bucketmap.refcount -v +1 "$i" 2>/dev/null && echo "$i"
        done >../had || true) 3>&- &
        adder=$!
        for i in {300..1}; do
                "$BUCKETMAP" rm --if-count=0 "$i" >/dev/null || [ $? -eq 1 ]
        done
        wait "$adder"
        assert_equal "$(ls | sort -n)" "$(cat ../had)"
        assert_equal "$(cat ../had | xargs -r getfattr --only-values -n user.bucketmap.refcount | tr -d 1)" ""
        # a directory under which others create and remove all the while
        mkdir busy
        # (mv itself cannot cope with a target that goes while it looks)
        python3 -c '
import os
for i in range(1000):
    name = "busy/new%d" % i
    open(name, "w").close()
    os.rename(name, "busy/key")
    os.path.exists("busy/key")
' 3>&- &
        adder=$!
        while kill -0 "$adder" 2>/dev/null; do
                "$BUCKETMAP" rm -f --if-count=1 busy/key >/dev/null
        done
        wait "$adder"
        "$BUCKETMAP" rm -f --if-count=1 busy/key
        assert_equal "$(ls busy)" ""
        rmdir busy
        cd "$SCRATCH" || return
        umount_store
        check_store
}
