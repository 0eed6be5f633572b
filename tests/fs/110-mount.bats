# SPDX-License-Identifier: MIT
# Mounting: what is made, what is shown, and each refusal, which changes nothing.
load ../lib/bucketmap

field() {
        printf %b "$(findmnt -rn -o "$1" --mountpoint "$MNT")"
}

refused() {
        local code=$1 wanted=$2
        shift 2
        run_bm "-$code" mount "$@"
        [[ $stderr = *"$wanted"* ]] || fail "wanted: $wanted"
        refute is_mounted "$MNT"
}

@test "mount makes the store, says so, and returns when it can be used" {
        require_fuse
        mount_store
        assert_equal "$stderr" "bucketmap: $STORE: created"
        assert_equal "$(field FSTYPE)" fuse.bucketmap
        assert_equal "$(field SOURCE)" "$STORE"
        [[ ,$(field OPTIONS), = *,nosuid,* && ,$(field OPTIONS), = *,nodev,* ]]
        echo hello >"$MNT/greeting"
        assert_equal "$(cat "$MNT/greeting")" hello
        remount_store
        assert_equal "$output" ""
        assert_equal "$(cat "$MNT/greeting")" hello
}

weighs() {
        [[ $(<"/proc/$1/autogroup") = *" nice $2" ]]
}

@test "a daemon's session weighs less than its clients', which keep their own" {
        local of=/proc/$$/autogroup mine

        require_fuse
        [ -e "$of" ] || skip "this kernel has no groups by session"
        mine=$(<"$of")
        # of ordinary users the kernel takes the next value a tenth of a second later only
        (echo "${mine##* }" >"$of") 2>/dev/null || true
        mount_store
        wait_until weighs "$(daemon_pid)" 3
        assert_equal "$(<"$of")" "$mine"
}

@test "an empty directory becomes a store" {
        require_fuse
        mkdir "$STORE"
        mount_store
        assert_equal "$stderr" "bucketmap: $STORE: created"
}

@test "relative paths and links are made absolute" {
        require_fuse
        mkdir real
        ln -s real link
        run_bm mount link/../link/s ./mnt
        assert_equal "$(field SOURCE)" "$SCRATCH/real/s"
        run_bm umount mnt/
}

@test "the root's mode is 0777 less the creator's umask, the owner the creator" {
        require_fuse
        (umask 027 && run_bm create "$STORE")
        mount_store
        assert_equal "$(stat -c '%a %u' "$MNT")" "750 $(id -u)"
        umount_store
        (umask 002 && run_bm mount "$SCRATCH/other" "$MNT")
        assert_equal "$(stat -c %a "$MNT")" 775
}

@test "ro and nocreate make no store" {
        require_fuse
        refused 2 "$STORE: cannot open: No such file or directory" -o ro "$STORE" "$MNT"
        refused 2 "$STORE: cannot open: No such file or directory" -o nocreate "$STORE" "$MNT"
        assert_not_exists "$STORE"
        mkdir "$STORE"
        refused 2 "$STORE: not a bucketmap store" -o nocreate "$STORE" "$MNT"
        assert_equal "$(ls -A "$STORE")" ""
}

@test "ro changes nothing" {
        require_fuse
        mount_store
        echo 1 >"$MNT/a"
        remount_store -o ro
        run_cmd -1 bash -c "echo 2 >'$MNT/a'"
        [[ $stderr = *"Read-only file system"* ]]
        run_cmd -1 touch "$MNT/b"
        assert_equal "$(cat "$MNT"/*)" 1
        [[ ,$(field OPTIONS), = *,ro,* ]]
}

@test "the parent of a new store must exist" {
        require_fuse
        refused 2 "No such file or directory" "$SCRATCH/none/store" "$MNT"
        assert_not_exists "$SCRATCH/none"
}

@test "a directory with other things in it is refused and stays" {
        require_fuse
        mkdir "$STORE"
        echo mine >"$STORE/file"
        refused 2 "bucketmap: $STORE: not a bucketmap store, and not empty; nothing changed" "$STORE" "$MNT"
        assert_equal "$(ls -A "$STORE")" file
        assert_equal "$(cat "$STORE/file")" mine
        run_bm -2 create "$STORE"
        [[ $stderr = *"not a bucketmap store, and not empty; nothing changed" ]]
        assert_equal "$(ls -A "$STORE")" file
}

@test "create says of a store that it is one, mounted or not" {
        require_fuse
        run_bm create "$STORE"
        run_bm -2 create "$STORE"
        assert_equal "$stderr" "bucketmap: $STORE: is a bucketmap store already; nothing changed"
        mount_store
        run_bm -2 create "$STORE"
        assert_equal "$stderr" "bucketmap: $STORE: is a bucketmap store already; nothing changed"
        umount_store
        check_store
}

@test "where a store is mounted an ordinary user mounts no other" {
        require_fuse
        require_ordinary_user
        mount_store
        echo 1 >"$MNT/a"
        run_bm -2 mount "$SCRATCH/other" "$MNT"
        [[ $stderr = *": cannot mount at $MNT: a bucketmap store is mounted there already" ]]
        refute_output --partial "not permitted"
        assert_equal "$(mounts_below "$SCRATCH" | wc -l)" 1
        assert_equal "$(cat "$MNT/a")" 1
}

@test "a file is no store, and no place to mount at" {
        require_fuse
        echo x >file
        refused 2 "bucketmap: $SCRATCH/file: " "$SCRATCH/file" "$MNT"
        assert_equal "$(cat file)" x
        run_bm -2 mount "$STORE" "$SCRATCH/file"
        [[ $stderr = *"$SCRATCH/file: cannot mount there: Not a directory" ]]
        run_bm -2 mount "$STORE" "$SCRATCH/none"
        [[ $stderr = *"$SCRATCH/none: cannot mount there: No such file or directory" ]]
        assert_not_exists "$STORE"
}

@test "a store below its own mount point is refused" {
        require_fuse
        refused 2 "lies below $MNT" "$MNT/store" "$MNT"
        refused 2 "lies below $MNT" "$MNT" "$MNT"
        assert_equal "$(ls -A "$MNT")" ""
        run_bm create "$MNT/store"
        refused 2 "lies below $MNT" "$MNT/store" "$MNT"
        mkdir "$MNT/store/dir"
        run_bm -2 mount "$MNT/store" "$MNT/store/dir"
        [[ $stderr = *"lies in the store $MNT/store; nothing changed" ]]
}

@test "buckets and max_search hold at creation; another value later is an error" {
        require_fuse
        mount_store -o buckets=4,max_search=16
        assert_equal "$("$BUCKETMAP" info --json "$MNT" | jq '[.buckets, .max_search] | join(" ")' -r)" "4 16"
        umount_store
        refused 2 "$STORE: cannot open: " -o buckets=8 "$STORE" "$MNT"
        refused 2 "$STORE: cannot open: " -o max_search=32 "$STORE" "$MNT"
        mount_store -o buckets=4,max_search=16
        remount_store
        assert_equal "$("$BUCKETMAP" info --json "$MNT" | jq '[.buckets, .max_search] | join(" ")' -r)" "4 16"
}

@test "a path with commas, backslashes, blanks and newlines" {
        require_fuse
        STORE=$SCRATCH/$'a,ro b\\c\\,d\\040e\nf#'
        mount_store
        # findmnt's own escapes are not the kernel's: look at the table itself
        run_cmd awk -v at="$MNT" '$5 == at { print $(NF - 1) }' /proc/self/mountinfo
        assert_equal "$(printf %b "$stdout")" "$STORE"
        echo 1 >"$MNT/a"
        run_bm info "$STORE"
        umount_store
        mount_store -o nocreate
        assert_equal "$(cat "$MNT/a")" 1
        mkdir second
        run_bm -3 mount "$STORE" "$SCRATCH/second"
        umount_store
}

@test "a mount point with blanks, commas and newlines" {
        require_fuse
        MNT=$SCRATCH/$'m ,\\134\nn'
        mkdir "$MNT"
        mount_store
        echo 1 >"$MNT/a"
        kill_daemon
        mount_store
        [[ $stderr = *"detached a dead mount of the same store" ]]
        assert_equal "$(cat "$MNT/a")" 1
        umount_store
}

is_dead() {
        local told
        ! told=$(stat -f "$1" 2>&1) && [[ $told = *"Transport endpoint is not connected"* ]]
}

@test "a dead mount of the same store is detached, of another one it stays" {
        require_fuse
        mount_store
        echo 1 >"$MNT/a"
        kill_daemon
        # what is cached may still be answered; what is asked is not, or breaks off amid the end
        wait_until is_dead "$MNT"
        run_bm -2 mount "$SCRATCH/other" "$MNT"
        [[ $stderr = *"$MNT: the dead mount of another store is there"* ]]
        assert_not_exists "$SCRATCH/other"
        mount_store
        assert_equal "$stderr" "bucketmap: $MNT: detached a dead mount of the same store"
        assert_equal "$(cat "$MNT/a")" 1
        assert_equal "$(findmnt -rn -o TARGET --mountpoint "$MNT" | wc -l)" 1
        umount_store
        refute is_mounted "$MNT"
}

@test "-f stays in the foreground, with messages on stderr" {
        require_fuse
        mount_foreground
        echo 1 >"$MNT/a"
        assert_equal "$(daemon_pid)" "$daemon"
        umount_store
        wait "$daemon"
        grep -q "mounted at $MNT" "$SCRATCH/daemon.log"
}

@test "-s and -d serve as well" {
        require_fuse
        mount_store -s
        echo 1 >"$MNT/a"
        umount_store
        mount_foreground -s -d
        assert_equal "$(cat "$MNT/a")" 1
        umount_store
        wait "$daemon"
        grep -q READ "$SCRATCH/daemon.log"
}

@test "the daemon keeps nothing of its caller" {
        require_fuse
        mkdir dir
        # the pipes end when nobody has them any more
        output=$(cd dir && exec 8>&1 && "$BUCKETMAP" mount "$STORE" "$MNT" 2>&1 8>&1 | cat)
        assert_equal "$output" "bucketmap: $STORE: created"
        local pid fd
        pid=$(daemon_pid)
        assert_equal "$(readlink "/proc/$pid/cwd")" /
        for fd in 0 1 2; do
                assert_equal "$(readlink "/proc/$pid/fd/$fd")" /dev/null
        done
        rmdir dir
        # a session of its own: no signal of the terminal reaches it
        assert_equal "$(ps -o sid= -p "$pid" | tr -d ' ')" "$pid"
}

@test "with its standard descriptors closed nothing goes astray" {
        require_fuse
        run_cmd bash -c "'$BUCKETMAP' mount '$STORE' '$MNT' <&- >&- 2>&-"
        echo 1 >"$MNT/a"
        run_bm -3 check "$STORE"
        umount_store
        check_store
        run_cmd -3 bash -c "'$BUCKETMAP' mount '$STORE' '$MNT' 2>&- && '$BUCKETMAP' check '$STORE' 2>&-"
}

@test "auto_unmount takes the mount away after a kill -9" {
        require_fuse
        # fusermount3 as root may not look into a user's private mount, and some versions give up then
        require_root
        # mountpoint(1) takes a dead mount for none
        gone() { ! grep -qF " $MNT " /proc/self/mountinfo; }
        fusermount_ended() { ! pgrep -f "fusermount3 .* -- $MNT\$" >/dev/null; }
        # it leaves a mount that does not look dead to it, and the last of the daemon's descriptors
        # may be closed after the one that tells it to look: then it is the next one's turn
        for turn in 1 2 3 4 5; do
                mount_store -o auto_unmount
                echo "$turn" >"$MNT/a"
                kill_daemon
                wait_until fusermount_ended
                ! gone || break
        done
        gone
        mount_store
        assert_equal "$(cat "$MNT/a")" "$turn"
}

@test "max_read bounds the reads" {
        require_fuse
        require_command jq
        head -c 100000 /dev/urandom >file
        mount_store -o max_read=8192
        cp file "$MNT/file"
        remount_store -o max_read=8192
        run_cmd cmp file "$MNT/file"
        run_bm stats --json "$MNT"
        # not in one go, as it would be without
        [ "$(jq .requests.read.requests <<<"$stdout")" -ge 13 ]
        run_bm -2 mount -o max_read=1 "$STORE" "$MNT"
        [[ $stderr = *"option 'max_read=1': wants a number of bytes from 4096 to 1048576"* ]]
}

@test "what mount.fuse3 runs for a line of fstab" {
        require_fuse
        run_bm "$STORE" "$MNT" -o rw,nofail,_netdev,users,noauto,defaults,x-systemd.automount
        echo 1 >"$MNT/a"
        umount_store
}

@test "without a mount helper's right the refusal reaches the caller" {
        require_fuse
        require_ordinary_user
        mkdir "$SCRATCH/locked"
        chmod 555 "$SCRATCH/locked"
        run_bm -2 mount "$STORE" "$SCRATCH/locked"
        [[ $stderr = *"bucketmap: $STORE: cannot mount at $SCRATCH/locked: "* ]]
        # nobody has it: the daemon is gone
        run_bm check "$STORE"
}

@test "an unreadable store is exit code 2" {
        require_fuse
        require_ordinary_user
        run_bm create "$STORE"
        chmod 0 "$STORE"
        refused 2 "$STORE: cannot open: Permission denied" "$STORE" "$MNT"
        run_bm -2 info "$STORE"
        run_bm -2 check "$STORE"
        chmod 700 "$STORE"
}

@test "a private mount lets nobody else in, root neither" {
        require_fuse
        require_user
        mount_store
        run_cmd -any as_user ls "$MNT"
        [[ $status -ne 0 && $stderr = *"Permission denied"* ]]
        remount_store -o allow_other
        chmod 755 "$MNT"
        run_cmd as_user ls "$MNT"
}

@test "another user's mount: umount, info and mount say why not" {
        require_fuse
        require_user
        mount_store
        run_cmd -2 as_user "$BUCKETMAP" umount "$MNT"
        assert_equal "$stderr" "bucketmap: $MNT: cannot unmount: only root and who mounted it may"
        [[ $stderr = "bucketmap: $MNT: cannot unmount: "* ]]
        is_mounted "$MNT"
        chmod 755 "$STORE"
        run_cmd -any as_user "$BUCKETMAP" info "$MNT"
        [[ $status = [23] ]]
        remount_store -o allow_other
        chmod 755 "$MNT"
        for command in info sync stats "check --online"; do
                # shellcheck disable=SC2086 # a word or two
                run_cmd -2 as_user "$BUCKETMAP" $command "$MNT"
                [[ $stderr = "bucketmap: "*": cannot "*": only root and the owner of the mount may" ]]
        done
}

@test "a mount by an ordinary user" {
        require_fuse
        require_user
        local dir=$SCRATCH/home
        as_user mkdir "$dir/mnt"
        run_cmd as_user "$BUCKETMAP" mount "$dir/s,t" "$dir/mnt"
        run_cmd as_user sh -c "echo 1 >'$dir/mnt/a'"
        # to root it is in use: the mount is the user's alone
        run_bm -3 info "$dir/s,t"
        local why="  without -o allow_other only who mounted it gets in, not even root"
        [[ $stderr = *"mounted at $dir/mnt"$'\n'"$why" ]]
        for command in sync stats "check --online"; do
                # shellcheck disable=SC2086 # a word or two
                run_bm -2 $command "$dir/mnt"
                [[ $stderr = "bucketmap: $dir/mnt: cannot "*": Permission denied"$'\n'"$why" ]]
        done
        run_cmd as_user "$BUCKETMAP" umount "$dir/mnt"
        run_cmd as_user "$BUCKETMAP" mount "$dir/s,t" "$dir/mnt"
        run_cmd as_user cat "$dir/mnt/a"
        assert_equal "$stdout" 1
        # root may end it
        run_bm umount "$dir/mnt"
}
