# SPDX-License-Identifier: MIT
# Damage in the log's middle is never taken for its end.
load ../lib/bucketmap

# The path of log segment number $1.
log_segment() {
        local file
        file=$("${BATS_TEST_DIRNAME%/tests/fs}/scripts/dump-store" "$STORE" |
                awk -v number="$1" '/ log number / && $5 == number { print $2 }')
        [ -n "$file" ]
        echo "$STORE/segments/$file"
}

@test "synced data behind a flipped bit: not mounted, check says so, ro shows what is before it" {
        require_fuse
        require_command python3
        [ -x "${BATS_TEST_DIRNAME%/tests/fs}/scripts/dump-store" ] || skip "runs in a checkout"
        local i segment
        # several segments, the last of which alone tells that all was synced
        mount_store -o commit=3600
        for i in {1..40}; do
                head -c 10000 /dev/urandom >"$MNT/file $i"
        done
        run_bm sync "$MNT"
        kill_daemon
        segment=$(log_segment 2)
        python3 - "$segment" <<'END'
import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(100000)
    byte = file.read(1)[0]
    file.seek(100000)
    file.write(bytes([byte ^ 4]))
END
        run_bm -1 check "$STORE"
        run_bm -1 mount "$STORE" "$MNT"
        [[ $stderr = *"was durable up to"* ]]
        run_bm mount -o ro "$STORE" "$MNT"
        cat "$MNT/file 1" >/dev/null
        umount_store
        run_bm -1 check "$STORE"
}
