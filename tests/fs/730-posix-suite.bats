# SPDX-License-Identifier: MIT
# scripts/posix-suite runs a suite that is no part of the project; here it
# gets one that was made for the purpose.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        require_root
        mkdir -p suite/tests/a
        printf '#!/bin/sh\n' >suite/pjdfstest
        chmod +x suite/pjdfstest
        : >expected
        export EXPECTED=$SCRATCH/expected
}

suite() {
        local status=$1
        shift
        run_cmd "$status" "${BATS_TEST_DIRNAME}/../../scripts/posix-suite" suite "$@"
}

@test "all passes, on a mount of bucketmap's" {
        cat >suite/tests/a/00.t <<'END'
echo 1..3
[ -w . ] && echo ok 1
test "$(df --output=fstype . | tail -n 1)" = fuse.bucketmap && echo ok 2
echo "not ok 3 # TODO not here"
END
        suite -0
        assert_output "3 passed, 0 failed, 0 failed as expected"
}

@test "a failure is told, an expected one is counted" {
        printf 'echo 1..3; echo "not ok 1 - tried this"; echo ok 2; echo not ok 3\n' >suite/tests/a/00.t
        suite -1
        assert_line "a/00.t: not ok 1 - tried this"
        assert_line "1 passed, 2 failed, 0 failed as expected"
        printf '# why\na/00.t 1 not to be had\n' >expected
        suite -1
        assert_line "1 passed, 1 failed, 1 failed as expected"
        echo "a/00.t 3" >>expected
        suite -0
        assert_output "1 passed, 0 failed, 2 failed as expected"
}

@test "what is expected to fail and passes is told, unless it was not run" {
        printf 'echo 1..1; echo ok 1\n' >suite/tests/a/00.t
        printf 'echo 1..1; echo ok 1\n' >suite/tests/a/01.t
        echo "a/01.t 1 reason" >expected
        suite -1
        assert_line --partial "a/01.t: 1 passed, and stands"
        suite -0 a/00.t
        suite -0 tests/a/00.t
}

@test "a file that ends early or does not run is a failure" {
        printf 'echo 1..3; echo ok 1\n' >suite/tests/a/00.t
        printf 'nonsense-that-is-no-command\n' >suite/tests/a/01.t
        suite -1
        assert_line "a/00.t: 1 of 3 tests ran"
        assert_line "a/01.t: no plan: the file did not run"
        assert_line "1 passed, 2 failed, 0 failed as expected"
}

@test "usage" {
        suite -2 b
        assert_output --partial "no such tests"
        rm suite/pjdfstest
        suite -2
        assert_output --partial "no build of pjdfstest"
        run_cmd -2 "${BATS_TEST_DIRNAME}/../../scripts/posix-suite"
        assert_output --partial "usage:"
}

@test "STORE: it works in a store that is there, and leaves it as it was" {
        mount_store
        echo text >"$MNT/kept"
        umount_store
        printf 'echo 1..1; : >left; [ -e ../../kept ] && echo ok 1\n' >suite/tests/a/00.t
        STORE=$STORE suite -0
        assert_output "1 passed, 0 failed, 0 failed as expected"
        mount_store
        assert_equal "$(ls -A "$MNT")" kept
}
