# SPDX-License-Identifier: MIT
# scripts/quickstart: from a checkout to a mounted store.
load ../lib/bucketmap

# checkout DIR: a copy of the sources as git would give it to somebody
checkout() {
        SOURCE=${BUCKETMAP_SOURCE:-$(cd "$BATS_TEST_DIRNAME/../.." && pwd)}
        [ -e "$SOURCE/scripts/quickstart" ] || skip "runs in a checkout"
        mkdir "$1"
        cp -r "$SOURCE"/{meson.build,meson_options.txt,LICENSE,core,fs,scripts,tests} "$1/"
}

@test "usage errors and a missing DIR" {
        checkout "$SCRATCH/src"
        run_cmd -2 src/scripts/quickstart
        [[ $stderr = "usage: scripts/quickstart DIR [STORE]" ]]
        run_cmd -2 src/scripts/quickstart a b c
        run_cmd src/scripts/quickstart --help
}

@test "builds, mounts, and says what to try; again it only says that it is mounted" {
        require_fuse
        checkout "$SCRATCH/src"
        export XDG_DATA_HOME=$SCRATCH/data HOME=$SCRATCH
        run_cmd src/scripts/quickstart "$SCRATCH/new dir"
        assert_equal "$stderr" "$(grep -F created <<<"$stderr")"
        local commands bm=$SCRATCH/src/build/fs/bucketmap
        is_mounted "$SCRATCH/new dir"
        assert_equal "$(printf %b "$(findmnt -rn -o SOURCE --mountpoint "$SCRATCH/new dir")")" \
                "$XDG_DATA_HOME/bucketmap/$(tr / - <<<"${SCRATCH#/}")-new dir"
        # the lines that it prints work as they stand, the count goes up
        commands=$(sed -n '/^Try this:/,$s/^  //p' <<<"$stdout")
        run_cmd src/scripts/quickstart "$SCRATCH/new dir"
        [[ $stdout = *"is mounted at $SCRATCH/new dir already."* ]]
        run_cmd bash -e -c "$commands"
        [[ $stdout = *hello* && $stdout = *'user.bucketmap.refcount="2"'* ]]
        refute is_mounted "$SCRATCH/new dir"
        # with a store of one's own choice, from elsewhere, and after a kill
        mkdir elsewhere
        cd elsewhere
        run_cmd ../src/scripts/quickstart ../mnt own
        assert_equal "$(findmnt -rn -o SOURCE --mountpoint "$MNT")" "$SCRATCH/elsewhere/own"
        run_cmd -2 ../src/scripts/quickstart ../mnt other
        [[ $stderr = *"another store is mounted at"* ]]
        STORE=$SCRATCH/elsewhere/own
        kill_daemon
        run_cmd ../src/scripts/quickstart ../mnt own
        ls "$MNT"
        run_cmd "$bm" umount "$MNT"
}

@test "a checkout of somebody else's: built in the cache" {
        require_fuse
        require_user
        checkout "$SCRATCH/src"
        chmod -R go+rX,go-w "$SCRATCH/src"
        as_user mkdir "$SCRATCH/home/mnt"
        run_cmd as_user env -u XDG_DATA_HOME -u XDG_CACHE_HOME "$SCRATCH/src/scripts/quickstart" "$SCRATCH/home/mnt"
        assert_exists "$SCRATCH/home/.cache/bucketmap/build/fs/bucketmap"
        assert_not_exists "$SCRATCH/src/build"
        run_cmd as_user "$SCRATCH/home/.cache/bucketmap/build/fs/bucketmap" umount "$SCRATCH/home/mnt"
}

@test "an error of the build is shown" {
        checkout "$SCRATCH/src"
        require_fuse
        # in what is compiled first
        sed -i '2i broken here' src/core/error.c
        run_cmd -2 src/scripts/quickstart "$MNT"
        [[ $stderr = *"error.c"*"error"* && $stderr = *"quickstart: the build failed"* ]]
        refute is_mounted "$MNT"
}

@test "without root and with something missing: the command, and exit code 2" {
        require_user
        checkout "$SCRATCH/src"
        echo 'build bucketmap-no-such-package' >>src/scripts/packages
        chmod -R go+rX "$SCRATCH/src"
        run_cmd -2 as_user "$SCRATCH/src/scripts/quickstart" "$MNT"
        [[ $stderr = *"apt-get install"*"bucketmap-no-such-package"* ]]
}
