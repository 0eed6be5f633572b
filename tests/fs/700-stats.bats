# SPDX-License-Identifier: MIT
# stats: what was asked of the daemon, for people, programs and Prometheus.
load ../lib/bucketmap

setup() {
        require_fuse
        require_command jq
        scratch_new
}

# field KIND FIELD: of "stats --json"
field() {
        "$BUCKETMAP" stats --json "$MNT" | jq ".requests[\"$1\"].$2"
}

@test "each kind is counted, with its bytes and errors" {
        mount_store
        for i in 1 2 3 4 5; do
                printf '%1000s' "$i" >"$MNT/k$i"
        done
        mkdir "$MNT/dir"
        cat "$MNT"/k? >/dev/null
        mv "$MNT/k1" "$MNT/r1"
        rm "$MNT/k2"
        sync "$MNT/k3"
        setfattr -n user.a -v b "$MNT/k4"
        ls -l "$MNT" >/dev/null
        run_cmd -1 rmdir "$MNT/dir/../dir/none"
        run_cmd -1 setfattr -n user.bucketmap.refcount -v -2 "$MNT/k4"
        assert_equal "$(field create requests)" 5
        assert_equal "$(field mkdir requests)" 1
        assert_equal "$(field write requests)" 5
        assert_equal "$(field write bytes)" 5000
        assert_equal "$(field read bytes)" 5000
        assert_equal "$(field rename requests)" 1
        assert_equal "$(field unlink requests)" 1
        assert_equal "$(field fsync requests)" 1
        assert_equal "$(field setxattr requests)" 2
        assert_equal "$(field setxattr errors)" 1
        assert_equal "$(field create errors)" 0
        [ "$(field readdir requests)" -ge 1 ]
}

@test "the histogram has every request that was answered" {
        mount_store
        for i in 1 2 3; do
                echo "$i" >"$MNT/$i"
        done
        run_bm stats --json --histogram "$MNT"
        run_cmd jq -e '.requests.create | .requests == 3 and (.histogram_log2_us | add == 3 and length == 27)' \
                <<<"$stdout"
        run_bm stats --histogram "$MNT"
        [[ $stdout =~ create\ +\<\ [0-9] ]]
}

@test "people get a table of what was asked" {
        mount_store
        echo 1 >"$MNT/a"
        run_bm stats "$MNT"
        [[ ${lines[0]} =~ ^REQUEST\ +COUNT\ +PER\ SECOND\ +ERRORS\ +BYTES\ +MEAN ]]
        [[ $stdout =~ create\ +1\  ]]
        [[ $stdout != *symlink* ]]
        run_bm stats "$STORE"
        [[ $stdout =~ create\ +1\  ]]
}

# It has asked, and waits for the next time: clock_nanosleep is its system call.
sleeps() {
        [[ $(<"/proc/$1/syscall") =~ ^(230|115)\  ]]
}

@test "intervals count what came in them, and do not keep the mount busy" {
        mount_store
        echo 1 >"$MNT/a"
        run_bm stats -i 1 -c 2 --json "$MNT"
        assert_equal "${#lines[@]}" 2
        assert_equal "$(jq -s 'map(.requests.create.requests) | add' <<<"$stdout")" 0
        assert_equal "$(jq -s 'all(.seconds > 0.5 and .seconds < 100)' <<<"$stdout")" true
        "$BUCKETMAP" stats -i 86400 "$MNT" >"$SCRATCH/out" 2>&1 3>&- &
        local asker=$!
        wait_until sleeps "$asker"
        umount_store
        kill "$asker"
}

@test "Prometheus gets its format: a type for each name, cumulative buckets" {
        require_command python3
        mount_store
        for i in 1 2 3; do
                echo "$i" >"$MNT/$i"
        done
        "$BUCKETMAP" stats --prometheus "$MNT" >"$SCRATCH/x.prom"
        cat >"$SCRATCH/parse.py" <<'END'
import re
import sys
types, buckets, values = {}, {}, {}
for line in open(sys.argv[1]).read().splitlines():
    if line.startswith("# TYPE "):
        _, _, name, kind = line.split(" ")
        assert name not in types, line
        types[name] = kind
    elif not line.startswith("# HELP "):
        m = re.fullmatch(r'([a-z_]+)\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)+)\} (\S+)', line)
        assert m, line
        name, labels, value = m.groups()
        family = name if name in types else re.sub("_(bucket|sum|count)$", "", name)
        assert family in types, line
        assert 'store="%s"' % sys.argv[2] in labels, line
        assert (name, labels) not in values, line
        values[name, labels] = float(value)
        if name.endswith("_bucket"):
            kind = re.search('kind="([a-z]+)"', labels)[1]
            buckets.setdefault(kind, []).append((float(re.search('le="([^"]+)"', labels)[1]), float(value)))
for kind, list in buckets.items():
    assert list == sorted(list) and list[-1][0] == float("inf"), kind
    assert [n for _, n in list] == sorted(n for _, n in list), kind
assert buckets["create"][-1][1] == 3
assert [v for (n, l), v in values.items() if n == "bucketmap_keys"] == [3]
END
        run_cmd python3 "$SCRATCH/parse.py" "$SCRATCH/x.prom" "$STORE"
}

@test "wrong usage is exit code 2 and one line" {
        mkdir "$SCRATCH/plain"
        for arguments in "--json --prometheus x" "-i 0 x" "-c no x" "--prometheus -i 1 x" "" "a b"; do
                # shellcheck disable=SC2086 # words
                run_bm -2 stats $arguments
                assert_equal "${#lines[@]}" 1
        done
        run_bm -2 stats -i 0 x
        assert_equal "$stderr" "bucketmap stats: --interval=0: wants a number of seconds from 1 to 86400 (see bucketmap stats --help)"
        run_bm -2 stats -c no x
        [[ $stderr = "bucketmap stats: --count=no: wants a number from 1 to "* ]]
        run_bm -2 stats "$SCRATCH/plain"
        assert_equal "$stderr" "bucketmap: $SCRATCH/plain: no bucketmap store is mounted there"
        mount_store
        run_cmd -2 bash -c "'$BUCKETMAP' stats '$MNT' >/dev/full"
}

@test "only root and the owner may ask" {
        require_user
        mount_store -o allow_other
        run_cmd -2 as_user "$BUCKETMAP" stats "$MNT"
        [[ $stderr = *"only root and the owner of the mount may" ]]
}
