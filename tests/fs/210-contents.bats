# SPDX-License-Identifier: MIT
# What the kernel keeps of contents and sizes must never be older than the
# store: each of these corrupts with a plausible setting.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        mount_store
}

@test "a shorter text over a longer one leaves no old tail" {
        echo "a long line of text" >"$MNT/f"
        echo hi >"$MNT/f"
        assert_equal "$(cat "$MNT/f")" hi
        assert_equal "$(stat -c %s "$MNT/f")" 3
        remount_store
        assert_equal "$(cat "$MNT/f")" hi
}

@test "truncation while another has the file open" {
        echo "a long line of text" >"$MNT/f"
        exec 5<"$MNT/f"
        : >"$MNT/f"
        assert_equal "$(cat <&5)" ""
        echo new >"$MNT/f"
        assert_equal "$(cat "$MNT/f")" new
        exec 5<&-
}

@test "appends of several processes do not overwrite each other" {
        local i
        for i in 1 2 3 4; do
                (for ((j = 0; j < 250; j++)); do echo "$i $j" >>"$MNT/log"; done) 3>&- &
        done
        wait
        assert_equal "$(wc -l <"$MNT/log")" 1000
        assert_equal "$(sort -u "$MNT/log" | wc -l)" 1000
}

@test "a shared mapping beside read and write" {
        cat >"$SCRATCH/shared.py" <<'END'
import mmap, os, sys
path = sys.argv[1]
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
os.write(fd, b"a" * 100000)
m = mmap.mmap(fd, 100000)
os.pwrite(fd, b"WRITE", 50000)
assert m[50000:50005] == b"WRITE", m[50000:50005]
m[10:13] = b"MAP"
assert os.pread(fd, 3, 10) == b"MAP"
m[99990:99993] = b"END"
m.flush()
m.close()
os.close(fd)
END
        run_cmd python3 "$SCRATCH/shared.py" "$MNT/f"
        remount_store
        assert_equal "$(head -c 13 "$MNT/f")" "aaaaaaaaaaMAP"
        assert_equal "$(tail -c 10 "$MNT/f" | head -c 3)" END
        assert_equal "$(stat -c %s "$MNT/f")" 100000
}

@test "O_DIRECT beside cached reads" {
        echo "cached contents" >"$MNT/f"
        cat "$MNT/f"
        run_cmd dd if=/dev/zero of="$MNT/f" bs=4096 count=2 oflag=direct conv=notrunc
        run_cmd cmp -n 8192 "$MNT/f" /dev/zero
        assert_equal "$(stat -c %s "$MNT/f")" 8192
}

@test "a write of 4 MiB in one call" {
        head -c 4194304 /dev/urandom >"$SCRATCH/source"
        run_cmd dd if="$SCRATCH/source" of="$MNT/f" bs=4M count=1
        run_cmd cmp "$SCRATCH/source" "$MNT/f"
        remount_store
        run_cmd cmp "$SCRATCH/source" "$MNT/f"
}

@test "Python opens and buffers: there is a block size" {
        run_cmd python3 -c 'import sys; open(sys.argv[1], "w").write("x" * 100000)' "$MNT/f"
        assert_equal "$(stat -c %s "$MNT/f")" 100000
        assert [ "$(stat -c %o "$MNT/f")" -gt 0 ]
}

@test "blocks tell the real use" {
        truncate -s 1G "$MNT/sparse"
        assert [ "$(stat -c %b "$MNT/sparse")" -lt 100 ]
        head -c 1000000 /dev/zero >"$MNT/full"
        assert [ "$(stat -c %b "$MNT/full")" -ge 1900 ]
        assert [ "$(stat -c %b "$MNT/full")" -le 2200 ]
}

@test "the largest size, and one byte more" {
        local most=$(((1 << 44) - 1))
        truncate -s "$most" "$MNT/f"
        assert_equal "$(stat -c %s "$MNT/f")" "$most"
        run_cmd -1 truncate -s $((most + 1)) "$MNT/f"
        assert_regex "$stderr" "File too large"
        assert_equal "$(stat -c %s "$MNT/f")" "$most"
        run_cmd -1 dd if=/dev/zero of="$MNT/f" bs=1 count=1 seek="$most" conv=notrunc
        assert_regex "$stderr" "File too large"
        echo -n x | dd of="$MNT/f" bs=1 seek=$((most - 1)) conv=notrunc
        assert_equal "$(tail -c 1 "$MNT/f")" x
}

@test "reading leaves the access time as it is; it can be set" {
        echo text >"$MNT/f"
        touch -a -d '2001-02-03 04:05:06.123456789' "$MNT/f"
        cat "$MNT/f"
        assert_equal "$(stat -c %x "$MNT/f")" "2001-02-03 04:05:06.123456789 +0000"
        remount_store
        cat "$MNT/f"
        assert_equal "$(stat -c %x "$MNT/f")" "2001-02-03 04:05:06.123456789 +0000"
}

@test "a locked file that another waits for stops nobody else" {
        : >"$MNT/lock"
        exec 5>"$MNT/lock"
        flock 5
        # more waiting ones than the daemon has threads
        local i pids=()
        for i in 1 2 3 4; do
                flock "$MNT/lock" true 3>&- 5>&- &
                pids+=($!)
        done
        echo alive >"$MNT/f"
        assert_equal "$(cat "$MNT/f")" alive
        flock -u 5
        wait "${pids[@]}"
        exec 5>&-
}
