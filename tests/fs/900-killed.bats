#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# kill -9 of the daemon at random moments, under a load from four processes:
# nothing whose call had returned is missing, and counts are exact.
# BM_KILLS: how often; BM_SEED: another course of things.

load ../lib/bucketmap

@test "200 kills under load: what had returned is there, and nothing else" {
        require_fuse
        run_bm create "$STORE"
        load=${BUCKETMAP_KILL_LOAD:-$BUCKETMAP_BUILD/tests/fs/kill-load}
        run_cmd "$load" "$BUCKETMAP" "$STORE" "$MNT" "${BM_KILLS:-200}" "${BM_SEED:-1}"
        assert_output --partial "${BM_KILLS:-200} kills"
        umount_store
        check_store
}
