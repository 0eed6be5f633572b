#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# One file at a time, with the tools of every day.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        mount_store
}

@test "echo and cat" {
        echo hello >"$MNT/greeting"
        run_cmd cat "$MNT/greeting"
        assert_output "hello"
        echo hi >"$MNT/greeting"
        run_cmd cat "$MNT/greeting"
        assert_output "hi"
        assert_equal "$(stat -c %s "$MNT/greeting")" 3
}

@test "appending" {
        for i in 1 2 3; do echo "line $i" >>"$MNT/log"; done
        run_cmd cat "$MNT/log"
        assert_output "line 1
line 2
line 3"
}

@test "a log that grows line by line" {
        local before after
        before=$("$BUCKETMAP" info --json "$MNT" | jq .replay_bytes)
        for i in $(seq 3000); do printf 'line %05d of a log, %0100d\n' "$i" 0; done >"$SCRATCH/expected"
        while read -r line; do echo "$line"; done <"$SCRATCH/expected" >>"$MNT/log"
        run_cmd cmp "$SCRATCH/expected" "$MNT/log"
        # each line logs half a piece of 4 KiB with it, not half a chunk
        after=$("$BUCKETMAP" info --json "$MNT" | jq .replay_bytes)
        assert [ $((after - before)) -lt $((25 * $(stat -c %s "$MNT/log"))) ]
        kill_daemon KILL
        mount_store
        run_cmd cmp "$SCRATCH/expected" "$MNT/log"
        remount_store
        run_cmd cmp "$SCRATCH/expected" "$MNT/log"
}

@test "an empty file" {
        : >"$MNT/empty"
        assert_file_exists "$MNT/empty"
        assert_equal "$(stat -c %s "$MNT/empty")" 0
        run_cmd cat "$MNT/empty"
        assert_output ""
        remount_store
        assert_equal "$(stat -c %s "$MNT/empty")" 0
}

@test "reading what is not there" {
        run_cmd -1 cat "$MNT/absent"
        assert_output --partial "No such file or directory"
        run_cmd -1 rm "$MNT/absent"
        run_cmd -2 ls "$MNT/absent/below"
        echo now >"$MNT/absent"
        run_cmd cat "$MNT/absent"
        assert_output "now"
        run_cmd -1 cat "$MNT/absent/below"
        assert_output --partial "Not a directory"
}

@test "cp in, out and within, of every size" {
        for size in 0 1 100 4095 4096 16383 16384 16385 32768 65536 1000000 5000000; do
                head -c "$size" /dev/urandom >"in.$size"
                run_cmd cp "in.$size" "$MNT/$size"
                run_cmd cmp "in.$size" "$MNT/$size"
                run_cmd cp "$MNT/$size" "$MNT/copy-$size"
                run_cmd cp "$MNT/copy-$size" "out.$size"
                run_cmd cmp "in.$size" "out.$size"
        done
        remount_store
        for size in 0 1 100 4095 4096 16383 16384 16385 32768 65536 1000000 5000000; do
                run_cmd cmp "in.$size" "$MNT/$size"
                run_cmd cmp "in.$size" "$MNT/copy-$size"
        done
}

@test "cp -p keeps mode and times" {
        echo data >file
        chmod 640 file
        touch -d '2001-02-03 04:05:06.789012345' file
        run_cmd cp -p file "$MNT/file"
        assert_equal "$(stat -c '%a %y' "$MNT/file")" "640 2001-02-03 04:05:06.789012345 +0000"
        remount_store
        assert_equal "$(stat -c '%a %y' "$MNT/file")" "640 2001-02-03 04:05:06.789012345 +0000"
}

@test "mv within a directory, into one, and over a file" {
        echo one >"$MNT/a"
        run_cmd mv "$MNT/a" "$MNT/b"
        assert_file_not_exists "$MNT/a"
        mkdir "$MNT/dir"
        run_cmd mv "$MNT/b" "$MNT/dir/"
        run_cmd cat "$MNT/dir/b"
        assert_output "one"
        echo two >"$MNT/c"
        run_cmd mv "$MNT/c" "$MNT/dir/b"
        run_cmd cat "$MNT/dir/b"
        assert_output "two"
        run_cmd root_names
        assert_output "dir"
        run_cmd ls -A "$MNT/dir"
        assert_output "b"
}

@test "mv of a whole directory" {
        mkdir -p "$MNT/a/b/c" "$MNT/other"
        echo deep >"$MNT/a/b/c/file"
        run_cmd mv "$MNT/a" "$MNT/other/moved"
        run_cmd cat "$MNT/other/moved/b/c/file"
        assert_output "deep"
        run_cmd -1 mv "$MNT/other" "$MNT/other/moved/b"
        remount_store
        run_cmd cat "$MNT/other/moved/b/c/file"
        assert_output "deep"
}

@test "rm, rm -r, rmdir" {
        mkdir -p "$MNT/dir/sub"
        touch "$MNT/dir/a" "$MNT/dir/sub/b"
        run_cmd -1 rmdir "$MNT/dir"
        assert_output --partial "Directory not empty"
        run_cmd -1 rm "$MNT/dir"
        assert_output --partial "Is a directory"
        run_cmd rm "$MNT/dir/a"
        run_cmd rm -r "$MNT/dir"
        run_cmd root_names
        assert_output ""
        mkdir "$MNT/dir"
        run_cmd rmdir "$MNT/dir"
        run_cmd -1 rmdir "$MNT/dir"
}

@test "ls -l shows type, mode, size, owner and time" {
        printf '12345' >"$MNT/file"
        chmod 604 "$MNT/file"
        touch -d '2020-01-02 03:04:05' "$MNT/file"
        mkdir -m 750 "$MNT/dir"
        ln -s file "$MNT/link"
        run_cmd ls -l --time-style=full-iso "$MNT/file"
        assert_output "-rw----r-- 1 $(id -un) $(id -gn) 5 2020-01-02 03:04:05.000000000 +0000 $MNT/file"
        run_cmd stat -c '%A %U %F' "$MNT/dir"
        assert_output "drwxr-x--- $(id -un) directory"
        run_cmd ls -l --ignore=aged "$MNT"
        assert_line --regexp '^lrwxrwxrwx.* link -> file$'
        assert_equal "${#lines[@]}" 4
}

@test "symbolic links" {
        echo target >"$MNT/file"
        ln -s file "$MNT/link"
        run_cmd cat "$MNT/link"
        assert_output "target"
        ln -s nowhere "$MNT/dangling"
        run_cmd -1 cat "$MNT/dangling"
        long=$(printf 'x%.0s' {1..4095})
        ln -s "$long" "$MNT/long"
        remount_store
        assert_equal "$(readlink "$MNT/link")" file
        assert_equal "$(readlink "$MNT/dangling")" nowhere
        assert_equal "$(readlink "$MNT/long")" "$long"
        rm "$MNT/link"
        run_cmd cat "$MNT/file"
        assert_output "target"
}

@test "dd at offsets, without truncating" {
        head -c 300000 /dev/urandom >image
        cp image "$MNT/image"
        for offset in 0 1 4096 16384 99999 299990; do
                head -c 777 /dev/urandom >piece
                dd if=piece of=image bs=1 seek="$offset" conv=notrunc status=none
                dd if=piece of="$MNT/image" bs=777 oflag=seek_bytes seek="$offset" conv=notrunc status=none
        done
        run_cmd cmp image "$MNT/image"
        run_cmd dd if="$MNT/image" of=middle iflag=skip_bytes,count_bytes skip=12345 count=54321 status=none
        run_cmd cmp middle <(tail -c +12346 image | head -c 54321)
        remount_store
        run_cmd cmp image "$MNT/image"
}

@test "touch: new files, times" {
        run_cmd touch "$MNT/new"
        assert_file_exists "$MNT/new"
        touch -d '1969-12-31 23:59:58.25' "$MNT/new"
        assert_equal "$(stat -c %y "$MNT/new")" "1969-12-31 23:59:58.250000000 +0000"
        touch -d '2262-01-01' "$MNT/new"
        assert_equal "$(stat -c %Y "$MNT/new")" "$(date -d 2262-01-01 +%s)"
        touch -a -d '2000-01-01' "$MNT/new"
        assert_equal "$(stat -c '%X %Y' "$MNT/new")" "$(date -d 2000-01-01 +%s) $(date -d 2262-01-01 +%s)"
        run_cmd touch -c "$MNT/absent"
        assert_file_not_exists "$MNT/absent"
        remount_store
        assert_equal "$(stat -c '%X %Y' "$MNT/new")" "$(date -d 2000-01-01 +%s) $(date -d 2262-01-01 +%s)"
}

@test "a write sets mtime and ctime, a chmod only ctime" {
        touch -d 2001-01-01 "$MNT/file"
        before=$(date +%s)
        chmod 600 "$MNT/file"
        assert_equal "$(stat -c %Y "$MNT/file")" "$(date -d 2001-01-01 +%s)"
        [ "$(stat -c %Z "$MNT/file")" -ge "$before" ]
        echo x >>"$MNT/file"
        [ "$(stat -c %Y "$MNT/file")" -ge "$before" ]
}

@test "truncate both ways, and holes read as zeros" {
        head -c 100000 /dev/urandom >image
        for size in 70000 5 0 40000 200000 16384 16385 3000000 0 1; do
                cp image "$MNT/image"
                cp image local
                run_cmd truncate -s "$size" "$MNT/image"
                truncate -s "$size" local
                run_cmd cmp local "$MNT/image"
        done
        # what was cut off must not come back
        cp image "$MNT/image"
        truncate -s 10 "$MNT/image"
        truncate -s 100000 "$MNT/image"
        { head -c 10 image; head -c 99990 /dev/zero; } >wanted
        run_cmd cmp wanted "$MNT/image"
        remount_store
        run_cmd cmp wanted "$MNT/image"
}

@test "a sparse file takes the space of its data" {
        truncate -s 1T "$MNT/sparse"
        echo end | dd of="$MNT/sparse" oflag=seek_bytes seek=1000000000000 conv=notrunc status=none
        assert_equal "$(stat -c %s "$MNT/sparse")" 1099511627776
        [ "$(stat -c %b "$MNT/sparse")" -lt 1000 ]
        remount_store
        run_cmd dd if="$MNT/sparse" iflag=skip_bytes,count_bytes skip=1000000000000 count=4 status=none
        assert_output "end"
        run_cmd dd if="$MNT/sparse" of=zeros iflag=skip_bytes,count_bytes skip=500000000000 count=100000 status=none
        run_cmd cmp zeros <(head -c 100000 /dev/zero)
        run_cmd rm "$MNT/sparse"
}

@test "chmod, and umask for new files" {
        (umask 027 && touch "$MNT/file" && mkdir "$MNT/dir")
        assert_equal "$(stat -c %a "$MNT/file")" 640
        assert_equal "$(stat -c %a "$MNT/dir")" 750
        chmod 4711 "$MNT/file"
        assert_equal "$(stat -c %a "$MNT/file")" 4711
        chmod u=rwx,go= "$MNT/dir"
        remount_store
        assert_equal "$(stat -c %a "$MNT/file")" 4711
        assert_equal "$(stat -c %a "$MNT/dir")" 700
}

@test "chown by root" {
        require_root
        touch "$MNT/file"
        run_cmd chown 1234:5678 "$MNT/file"
        assert_equal "$(stat -c %u:%g "$MNT/file")" 1234:5678
        ln -s file "$MNT/link"
        run_cmd chown -h 42:43 "$MNT/link"
        remount_store
        assert_equal "$(stat -c %u:%g "$MNT/file")" 1234:5678
        assert_equal "$(stat -c %u:%g "$MNT/link")" 42:43
}

@test "chown by somebody else is refused" {
        require_ordinary_user
        touch "$MNT/file"
        run_cmd -1 chown root "$MNT/file"
        assert_output --partial "Operation not permitted"
        assert_equal "$(stat -c %u "$MNT/file")" "$(id -u)"
}

@test "noclobber finds out who was first" {
        set -o noclobber
        echo first >"$MNT/file"
        ! echo second 2>/dev/null >"$MNT/file" || false
        run_cmd cat "$MNT/file"
        assert_output "first"
}

@test "df and stat -f have real figures" {
        run_cmd df --output=fstype,source,target "$MNT"
        assert_line --partial "fuse.bucketmap"
        assert_line --partial "$STORE"
        before=$(stat -f -c '%c %d' "$MNT")
        for i in {1..50}; do echo "$i" >"$MNT/$i"; done
        read -r total free <<<"$before"
        read -r total_after free_after < <(stat -f -c '%c %d' "$MNT")
        # files that there are and files that there may be, near enough
        assert_equal "$(stat -f -c %l "$MNT")" 255
        [ "$((total_after - free_after))" -eq "$((total - free + 50))" ]
        blocks=$(stat -f -c %b "$STORE") size=$(stat -f -c %S "$STORE")
        mine=$(($(stat -f -c %b "$MNT") * $(stat -f -c %S "$MNT")))
        assert_equal "$mine" "$((blocks * size))"
}

@test "du counts what is stored" {
        head -c 1000000 /dev/urandom >"$MNT/file"
        kib=$(du -k "$MNT/file" | cut -f1)
        [ "$kib" -ge 970 ]
        [ "$kib" -le 1200 ]
}
