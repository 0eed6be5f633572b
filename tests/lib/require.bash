# SPDX-License-Identifier: MIT
# Prerequisites. At home a missing one skips the test and says what is
# missing; with CI=true it fails, so that nothing goes untested unnoticed.

missing() {
        if [ "${CI:-}" = true ]; then
                fail "missing: $1"
        fi
        skip "missing: $1"
}

require_command() {
        local command
        for command in "$@"; do
                command -v "$command" >/dev/null || missing "$command"
        done
}

require_fuse() {
        [ -e /dev/fuse ] || missing "/dev/fuse"
        require_command fusermount3
}

# Not the machine's fault, so no failure in CI: the files run as root and as
# a user, and each test has its turn in one of them.
require_root() {
        [ "$(id -u)" -eq 0 ] || skip "for root"
}

require_ordinary_user() {
        [ "$(id -u)" -ne 0 ] || skip "for an ordinary user"
}

# For as_user. run-bats makes the user.
require_user() {
        require_root
        [ -n "${BUCKETMAP_TEST_USER:-}" ] || missing "an ordinary user (BUCKETMAP_TEST_USER)"
}

# Runs COMMAND as the ordinary user, with a home directory in the scratch
# directory and nothing of root's groups.
as_user() {
        local home=$SCRATCH/home
        if [ ! -d "$home" ]; then
                mkdir "$home"
                chown "$BUCKETMAP_TEST_USER:" "$home"
        fi
        setpriv --reuid "$BUCKETMAP_TEST_USER" --regid "$(id -g "$BUCKETMAP_TEST_USER")" \
                --clear-groups env HOME="$home" "$@"
}

# For what is said of the figures of a store with nothing else in it.
require_new_store() {
        [ -z "${BUCKETMAP_AGED:-}" ] || skip "for a new store"
}
