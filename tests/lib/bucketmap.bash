# SPDX-License-Identifier: MIT
# What every .bats file loads. A test has a scratch directory of its own with
# a place for a store ($STORE) and a mount point ($MNT); teardown unmounts
# what lies below it and ends the daemons it started, after a failure too.
#
#   run_cmd [-N] COMMAND...     runs it, logs it, wants status N (0; -any: do not care)
#   run_bm [-N] ARGS...         the same for the bucketmap binary
#   wait_until COMMAND...       polls until it succeeds
#   mount_store, umount_store, kill_daemon, remount_store, check_store
#   same_tree A B               contents, modes, times, links
#   as_user COMMAND...          as an ordinary user (root only)
#   require_*                   skips, or with CI=true fails, naming what is missing
#
# BUCKETMAP_AGED names a store to work on instead of a new one, on the
# filesystem of TMPDIR: the tests take it in turns. What it has in "aged" stays.

bats_require_minimum_version 1.5.0
for library in bats-support bats-assert bats-file; do
        load "${BATS_LIBRARIES:-/usr/lib/bats}/$library/load"
done
unset library
source "${BASH_SOURCE[0]%/*}/require.bash"
source "${BASH_SOURCE[0]%/*}/run.bash"
source "${BASH_SOURCE[0]%/*}/mount.bash"
source "${BASH_SOURCE[0]%/*}/trees.bash"
source "${BASH_SOURCE[0]%/*}/damage.bash"

# A file with needs of its own defines setup and teardown and calls these.
scratch_new() {
        [ -x "${BUCKETMAP:-}" ] || {
                echo "BUCKETMAP must name the binary; use meson test, or tests/lib/run-bats" >&2
                return 1
        }
        SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/bucketmap-test.XXXXXX")
        chmod 755 "$SCRATCH"
        STORE=$SCRATCH/store
        MNT=$SCRATCH/mnt
        mkdir "$MNT"
        # odd bytes in names are part of the tests: no locale shall mend them
        export LC_ALL=C.UTF-8 TZ=UTC
        cd "$SCRATCH" || return 1
        [ -z "${BUCKETMAP_AGED:-}" ] || mv -T "$BUCKETMAP_AGED" "$STORE"
}

scratch_free() {
        cd / || return 1
        [ -n "${SCRATCH:-}" ] || return 0
        release_mounts "$SCRATCH"
        [ -z "${BUCKETMAP_AGED:-}" ] || give_back
        rm -rf --one-file-system "$SCRATCH"
}

# The store of all goes back as the next test wants it.
give_back() {
        local store=$SCRATCH/store mnt=$SCRATCH/mnt
        run_bm mount "$store" "$mnt"
        MNT=$mnt empty_root
        chmod 755 "$mnt"
        run_bm umount "$mnt"
        mv -T "$store" "$BUCKETMAP_AGED"
}

setup() {
        scratch_new
}

teardown() {
        scratch_free
}
