# SPDX-License-Identifier: MIT
# Programs that carry trees about: what comes out is what went in.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        mount_store
        export HOME=$SCRATCH XDG_CACHE_HOME=$SCRATCH/cache GIT_CONFIG_NOSYSTEM=1
}

# rsync takes times within one second for equal.
set_times() {
        find "$1" -depth -print0 | xargs -0 touch -h -d "$2"
}

# A tree with a bit of everything that an ordinary user can make.
make_tree() {
        mkdir -p "$1/sub/deep" "$1/empty"
        seq 1000 >"$1/numbers"
        head -c 300000 /dev/urandom >"$1/sub/random"
        : >"$1/sub/nothing"
        ln "$1/numbers" "$1/sub/same-numbers"
        ln "$1/sub/random" "$1/sub/deep/random"
        ln -s ../numbers "$1/sub/link"
        ln -s nowhere "$1/dangling"
        mkfifo "$1/fifo"
        truncate -s 3M "$1/sparse"
        printf end >>"$1/sparse"
        printf x >"$1/odd "$'name\n'"of file"
        setfattr -n user.note -v "kept" "$1/numbers"
        chmod 640 "$1/numbers"
        chmod 2750 "$1/sub"
        set_times "$1" '2010-11-12 13:14:15.678901234'
        touch -d '1999-12-31 23:59:59.123456789' "$1/sub/nothing"
        touch -h -d '2001-02-03 04:05:06' "$1/dangling"
        touch -d '2005-06-07 08:09:10.5' "$1/empty"
}

# Everything that is to be kept, a line an entry.
describe() {
        (
                cd "$1" || exit
                find . -printf '%P|%y|%m|%n|%T@|%l|' \( -type f -printf '%s|' -o -printf '|' \) -printf '%U:%G\n' | sort
                find . -type f -print0 | sort -z | xargs -0 sha256sum
                find . -type f -print0 | sort -z | xargs -0 getfattr -d
        ) 2>&1
}

same() {
        describe "$1" >wanted
        describe "$2" >found
        run_cmd diff wanted found
}

@test "rsync -aHAX --delete, in, again, and out" {
        require_command rsync
        make_tree tree
        run_cmd rsync -aHAX --delete tree/ "$MNT/tree"
        same tree "$MNT/tree"
        rm tree/sub/same-numbers
        echo more >>tree/numbers
        setfattr -n user.note -v changed tree/numbers
        mv tree/sub/deep/random tree/random
        mkdir tree/new
        set_times tree '2011-11-12 13:14:15.678901234'
        run_cmd rsync -aHAX --delete tree/ "$MNT/tree"
        same tree "$MNT/tree"
        remount_store
        run_cmd rsync -aHAX --delete "$MNT/tree/" out
        same tree out
        # nothing is left to be done
        run_cmd rsync -aHAXi --delete "$MNT/tree/" out
        assert_output ""
}

@test "tar and cp -a, in and out" {
        make_tree tree
        tar -C tree --xattrs -cSf tree.tar .
        mkdir "$MNT/tar"
        run_cmd tar -C "$MNT/tar" --xattrs -xpf tree.tar
        same tree "$MNT/tar"
        run_cmd cp -a "$MNT/tar" "$MNT/cp"
        same tree "$MNT/cp"
        run_cmd cp -a "$MNT/cp" out
        same tree out
        mkdir out2
        run_cmd sh -c 'tar -C "$1/cp" --xattrs -cSf - . | tar -C out2 --xattrs -xpf -' - "$MNT"
        same tree out2
}

@test "git: a repository and its clone in it; commits, gc, fsck" {
        require_command git
        git config --global user.name Test
        git config --global user.email test@example.org
        git config --global init.defaultBranch main
        git init -q "$MNT/repo"
        for n in 1 2 3; do
                for i in {1..40}; do seq "$n" "$((i * n))" >"$MNT/repo/file$i"; done
                git -C "$MNT/repo" add .
                git -C "$MNT/repo" commit -qm "number $n"
        done
        # objects of a local clone are hard links
        run_cmd git clone -q "$MNT/repo" "$MNT/clone"
        [ "$(find "$MNT/clone/.git/objects" -type f -links 2 | wc -l)" -gt 0 ]
        echo change >"$MNT/clone/file1"
        git -C "$MNT/clone" commit -qam change
        run_cmd git -C "$MNT/clone" push -q origin HEAD:topic
        for repo in repo clone; do
                run_cmd git -C "$MNT/$repo" gc -q --aggressive --prune=now
                run_cmd git -C "$MNT/$repo" fsck --full --strict --no-dangling
        done
        remount_store
        run_cmd git -C "$MNT/clone" fsck --full --strict --no-dangling
        run_cmd git -C "$MNT/clone" status --porcelain
        assert_output ""
        assert_equal "$(git -C "$MNT/repo" show topic:file1)" change
}

@test "restic keeps a repository in it" {
        require_command restic
        export RESTIC_PASSWORD=secret RESTIC_REPOSITORY=$MNT/repo
        make_tree tree
        rm tree/fifo
        run_cmd restic init -q
        run_cmd restic backup -q tree
        echo more >>tree/numbers
        run_cmd restic backup -q tree
        run_cmd restic forget -q --keep-last 1 --prune
        remount_store
        run_cmd restic check -q --read-data
        run_cmd restic restore -q latest --target out
        run_cmd diff -r --no-dereference tree out/tree
}

@test "rclone copies, syncs and checks" {
        require_command rclone
        make_tree tree
        rm tree/fifo tree/dangling tree/sub/link
        run_cmd rclone copy tree "$MNT/tree"
        run_cmd rclone check --download tree "$MNT/tree"
        rm tree/numbers
        echo other >tree/sub/nothing
        run_cmd rclone sync tree "$MNT/tree"
        run_cmd rclone check --download tree "$MNT/tree"
        run_cmd rclone move "$MNT/tree" "$MNT/moved"
        run_cmd diff -r tree/sub "$MNT/moved/sub"
        assert_file_not_exists "$MNT/moved/numbers"
}
