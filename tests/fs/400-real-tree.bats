#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The main job on real input: a tree of more than 10 000 files goes in with
# tar and is the same, also after unmounting, a check and mounting again.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        mount_store
}

# Real directories until there are enough files; devices and the like left out.
gather() {
        local from n=0
        mkdir tree
        for from in /usr/include /usr/share/doc /usr/share/man /usr/share/perl /usr/lib/python3 /usr/share/vim \
                /usr/share/zoneinfo /usr/lib/python3.11 /usr/share/locale /usr/share; do
                [ -d "$from" ] || continue
                mkdir -p "tree$from"
                tar -C "$from" -cf - . 2>/dev/null | tar -C "tree$from" -xf - --no-same-owner
                n=$(find tree -type f | wc -l)
                [ "$n" -lt 10000 ] || break
        done
        # hard links are refused as yet: one file each
        [ "$n" -ge 10000 ] || missing "10 000 files below /usr (found $n)"
}

@test "a tree of 10 000 files: tar, diff -r, unmount, check, mount, diff -r" {
        gather
        tar -C tree --format=posix --hard-dereference -cf tree.tar .
        run_cmd tar -C "$MNT" -xpf tree.tar
        same_tree tree "$MNT"
        umount_store
        check_store
        mount_store
        same_tree tree "$MNT"

        # out again, and killed instead of unmounted
        kill_daemon KILL
        mount_store
        mkdir back
        tar --format=posix -C "$MNT" -cf - . | tar -C back -xpf -
        same_tree tree back

        # and away with it: nothing is left of it
        empty_root
        run_cmd root_names
        assert_output ""
        umount_store
        check_store
}
