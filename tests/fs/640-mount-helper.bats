# SPDX-License-Identifier: MIT
# What mount(8) and umount(8) call, and a line of fstab.
load ../lib/bucketmap

helper() {
        local name=$1
        shift
        [ -e "$SCRATCH/$name" ] || ln -s "$BUCKETMAP" "$SCRATCH/$name"
        "$SCRATCH/$name" "$@"
}

@test "STORE DIR -o OPTIONS, with all the words of fstab" {
        require_fuse
        run_bm create "$STORE"
        run_cmd helper mount.bucketmap "$STORE" "$MNT" -v -n -t fuse.bucketmap \
                -o rw,nofail,_netdev,user=me,users,auto,noauto,defaults,x-systemd.automount,noexec
        assert_equal "$output" ""
        is_mounted "$MNT"
        findmnt -no OPTIONS "$MNT" | grep -q noexec
        echo 1 >"$MNT/a"
        run_cmd helper umount.bucketmap "$MNT" -v -t fuse.bucketmap
        assert_equal "$output" ""
        flock -n "$STORE/lock" true
        run_cmd helper mount.fuse.bucketmap "$STORE" "$MNT" -o ro
        assert_equal "$(cat "$MNT/a")" 1
        run_cmd helper umount.fuse.bucketmap "$MNT"
}

@test "exit codes of mount(8); a store is never made" {
        require_fuse
        run_cmd -32 helper mount.bucketmap "$STORE" "$MNT"
        [[ $stderr = *"$STORE: "*"No such file or directory" ]]
        mkdir "$STORE"
        run_cmd -32 helper mount.bucketmap "$STORE" "$MNT" -o rw
        [[ $stderr = *"not a bucketmap store" ]]
        assert_equal "$(ls -A "$STORE")" ""
        run_cmd -1 helper mount.bucketmap "$STORE"
        run_cmd -1 helper mount.bucketmap "$STORE" "$MNT" -o frobnicate
        run_cmd -1 helper mount.bucketmap "$STORE" "$MNT" --frobnicate
        run_bm create "$STORE"
        run_cmd -32 helper mount.bucketmap "$STORE" "$SCRATCH/none"
        run_cmd -32 helper umount.bucketmap "$MNT"
        run_cmd -1 helper umount.bucketmap
        # -s: sloppy, -f: fake
        run_cmd helper mount.bucketmap -f "$STORE" "$MNT"
        refute is_mounted "$MNT"
        run_cmd helper mount.bucketmap -s "$STORE" "$MNT" -o frobnicate
        is_mounted "$MNT"
        run_cmd -32 helper mount.bucketmap "$STORE" "$MNT"
        exec 7<"$MNT"
        run_cmd -32 helper umount.bucketmap "$MNT"
        [[ $stderr = *"process $BASHPID (bash)"* ]]
        run_cmd helper umount.bucketmap -l "$MNT"
        refute is_mounted "$MNT"
        exec 7<&-
        wait_until flock -n "$STORE/lock" true
}

@test "a store in use" {
        require_fuse
        mount_store
        mkdir second
        run_cmd -32 helper mount.bucketmap "$STORE" "$SCRATCH/second"
        [[ $stderr = *"in use by process"* ]]
}

@test "a mount is not changed by remount, and is told how it is" {
        require_fuse
        local sloppy
        mount_store
        for sloppy in "" -s; do
                # shellcheck disable=SC2086 # no word at all
                run_cmd -1 helper mount.bucketmap $sloppy "$STORE" "$MNT" -o remount,ro
                assert_equal "${#lines[@]}" 1
                [[ $stderr = *": option 'remount': a bucketmap mount cannot be changed; unmount it and mount it again"* ]]
        done
        assert_equal "$(mounts_below "$SCRATCH" | wc -l)" 1
        echo 1 >"$MNT/a"
}

@test "help" {
        run_cmd helper mount.bucketmap --help
        [[ $stdout = "Usage: mount.bucketmap [OPTION...] STORE DIR"* ]]
        run_cmd helper umount.fuse.bucketmap --help
        [[ $stdout = "Usage: umount.fuse.bucketmap [OPTION...] DIR"* ]]
}

# Runs the script on stdin in a mount namespace where /sbin has the helpers
# and /etc/fstab the line of this test.
with_fstab() {
        mkdir sbin
        ln -s "$BUCKETMAP" sbin/mount.fuse.bucketmap
        ln -s "$BUCKETMAP" sbin/umount.fuse.bucketmap
        printf '%s %s fuse.bucketmap nofail,noauto,list_counts 0 0\n' "$STORE" "$MNT" >fstab
        cat >script
        # libmount looks in /sbin only, which may be a link
        run_cmd unshare --mount --propagation private bash -euxc '
                mount --bind sbin "$(realpath /sbin)"
                mount --bind fstab /etc/fstab
                . ./script'
}

@test "mount DIR and umount DIR by a line of fstab" {
        require_fuse
        require_root
        require_command unshare flock
        unshare --mount --propagation private true || missing "mount namespaces"
        run_bm create "$STORE"
        export STORE MNT
        with_fstab <<'SCRIPT'
mount "$MNT"
test "$(findmnt -no FSTYPE,SOURCE "$MNT" | xargs)" = "fuse.bucketmap $STORE"
echo 1 >"$MNT/a"
getfattr -d --absolute-names "$MNT/a" | grep -q refcount
# the helper: the daemon has let go of the store when umount returns
umount ./mnt
flock -n "$STORE/lock" true
mount "$MNT"
test "$(cat "$MNT/a")" = 1
# For root and an absolute path some versions of umount see "fuse" only, and
# call no helper: then it is the next mount that waits.
umount "$MNT"
mount "$MNT"
test "$(cat "$MNT/a")" = 1
umount ./mnt
SCRIPT
        check_store
}

@test "installed links lead to the program" {
        require_root # the build is root's
        require_command meson
        [ -n "${BUCKETMAP_BUILD:-}" ] && [ -w "${BUCKETMAP_BUILD:-/nonexistent}" ] || missing "BUCKETMAP_BUILD"
        run_cmd env DESTDIR="$SCRATCH/root" meson install -C "$BUCKETMAP_BUILD" --no-rebuild --quiet
        local link examples unit
        for link in mount.bucketmap mount.fuse.bucketmap umount.bucketmap umount.fuse.bucketmap; do
                link=$(find root -name "$link")
                [ -x "$link" ] || [ "$(readlink "$link")" != "../bin/bucketmap" ]
        done
        examples=$(find root -type d -path '*/doc/bucketmap/examples')
        [ -f "$examples/fstab" ]
        for unit in "$examples"/*.service; do
                grep -q '^ExecStart=/.*/bucketmap mount -f ' "$unit"
                refute grep -q '@' "$unit"
        done
}
