# SPDX-License-Identifier: MIT
# The benchmarks themselves: the least of each, whose figures say nothing.
load ../lib/bucketmap

SOURCE=$BATS_TEST_DIRNAME/../..

require_bench() {
        require_root # mounts, images and pinning
        require_fuse
        require_command python3 jq
        export BENCH_BUILD=$BUCKETMAP_BUILD
        [ -x "$BENCH_BUILD/tests/bench/mount/load" ] || missing "tests/bench/mount in $BENCH_BUILD"
        mkdir tree
        cp "$SOURCE"/fs/*.h tree
}

# value FILE PHASE SUBJECT QUANTITY
value() {
        jq -e ".[\"$2\"][\"$3\"][\"$4\"]" "$1"
}

@test "mount: each operation on all, as many requests as the daemon that does nothing" {
        require_bench
        require_command fio
        local phase
        for part in small tree large fio durable import; do
                run_cmd python3 "$SOURCE/tests/bench/mount.py" --quick --rounds 1 --files 64 --dir "$SCRATCH" \
                        --tree "$SCRATCH/tree" --only "$part" --json "$part.json"
        done
        for phase in create stat first-read cached-read overwrite append replace miss list unlink; do
                value small.json "$phase, 100 B, 2 clients" tmpfs us_per_op
                value small.json "$phase, 4 KiB, 1 client" nothing us_per_op
                # one of another's may come between
                run_cmd jq -e --arg phase "$phase, 100 B, 1 client" \
                        '.[$phase] | (.bucketmap.requests_per_op - .nothing.requests_per_op) | fabs < 0.2' small.json
        done
        value tree.json "rm -r, a tree" bucketmap us_per_op
        value large.json "random-write, 64 MiB" bucketmap us_per_op
        value large.json "grow, 64 MiB" nothing us_per_op
        value fio.json "fio-randwrite, 64 MiB" bucketmap us_per_op
        value durable.json "create-fsync, 4 clients" bucketmap us_per_op
        value import.json "import, 100 B" "one by one" us_per_op
        assert_equal "$(mounts_below "$SCRATCH")" ""
}

@test "space: of a store and of what it is held against" {
        require_bench
        require_command mkfs.ext4 losetup
        losetup -f >/dev/null || missing "loop devices"
        run_cmd python3 "$SOURCE/tests/bench/space.py" --files 300 --dir "$SCRATCH" --tree "$SCRATCH/tree" --json space.json
        value space.json "100 bytes, loaded" bucketmap bytes_per_file
        value space.json "1024 bytes, half removed" ext4 bytes_per_file
        value space.json "100 bytes, loaded" tar bytes_per_file
        assert_equal "$(mounts_below "$SCRATCH")" ""
}

@test "core: every phase of ours, and the floor; after a kill and a power cut too" {
        require_bench
        local phase
        run_cmd python3 "$SOURCE/tests/bench/core.py" --keys 3000 --peers bucketmap,memory --dir "$SCRATCH" --json core.json
        for phase in insert hit hit_many miss scan ref ref_many overwrite_same overwrite_other delete; do
                value core.json "$phase" bucketmap ops_per_s
                value core.json "floor of $phase" memory cpu_us_per_op
        done
        value core.json overwritten bucketmap disk_over_logical
        # of one shape, whoever goes through it
        run_cmd jq -e 'all(.[]; all(.[]; type == "object"))' core.json
        run_cmd "$BENCH_BUILD/tests/bench/core/bench-core" --keys=3000 --reopen --peers=bucketmap --dir="$SCRATCH" --json=reopen.json
        value reopen.json reopen bucketmap killed_open_ms
        value reopen.json reopen bucketmap cut_open_ms
        # each value is compared with what was written, by two threads and of other sizes as well
        run_cmd "$BENCH_BUILD/tests/bench/core/bench-core" --keys=1000 --threads=2 --workload=files --peers=bucketmap --dir="$SCRATCH"
        run_cmd "$BENCH_BUILD/tests/bench/core/bench-core" --keys=1000 --sync=each --insert-only --peers=bucketmap --dir="$SCRATCH"
        run_cmd -64 "$BENCH_BUILD/tests/bench/core/bench-core" --keys=10
}

@test "background: latencies beside checkpoints and compaction" {
        require_bench
        run_cmd python3 "$SOURCE/tests/bench/background.py" --quick --keys 20000 --dir "$SCRATCH" --json background.json
        value background.json "hit alone" bucketmap p99_us
        value background.json "hit beside compaction" bucketmap p9999_us
        value background.json "insert beside checkpoints" bucketmap max_us
}

@test "scripts/bench says what it wants" {
        run_cmd "$SOURCE/scripts/bench" --help
        assert_line --partial "usage: scripts/bench"
        run_cmd -2 "$SOURCE/scripts/bench"
        run_cmd -2 "$SOURCE/scripts/bench" speed
}
