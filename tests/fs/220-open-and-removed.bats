# SPDX-License-Identifier: MIT
# No OPEN and no RELEASE reach the daemon: what is removed while open lives
# until the kernel forgets it, and then leaves nothing behind.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        mount_store
}

@test "a removed file can be read, written and measured" {
        echo before >"$MNT/f"
        exec 5<>"$MNT/f"
        rm "$MNT/f"
        assert_equal "$(stat -L -c '%h %s' /dev/fd/5)" "0 7"
        assert_equal "$(cat <&5)" before
        echo after >&5
        assert_equal "$(stat -L -c %s /dev/fd/5)" 13
        assert_file_not_exists "$MNT/f"
        # the name is free
        echo other >"$MNT/f"
        assert_equal "$(cat /dev/fd/5)" $'before\nafter'
        exec 5<&-
        assert_equal "$(cat "$MNT/f")" other
}

@test "a file that was renamed over can be read and written" {
        echo old >"$MNT/f"
        exec 5<>"$MNT/f"
        echo new >"$MNT/tmp"
        mv "$MNT/tmp" "$MNT/f"
        assert_equal "$(cat <&5)" old
        echo more >&5
        assert_equal "$(cat "$MNT/f")" new
        assert_equal "$(stat -L -c %h /dev/fd/5)" 0
        exec 5<&-
        assert_equal "$(cat "$MNT/f")" new
}

@test "attributes of a removed file can be changed" {
        echo text >"$MNT/f"
        exec 5<>"$MNT/f"
        rm "$MNT/f"
        run_cmd python3 -c '
import os
os.fchmod(5, 0o640)
os.ftruncate(5, 2)
os.setxattr(5, "user.a", b"b")
assert os.getxattr(5, "user.a") == b"b"
assert os.getxattr(5, "user.bucketmap.refcount") == b"1"
os.fsync(5)
'
        assert_equal "$(stat -L -c '%a %s' /dev/fd/5)" "640 2"
        exec 5<&-
}

# a chunk that belongs to no value would be a finding
@test "a removed file that grows and shrinks leaves nothing behind" {
        local size
        for size in 10 20000 100000; do
                head -c "$size" /dev/zero >"$MNT/f"
                exec 5<>"$MNT/f"
                rm "$MNT/f"
                head -c 200000 /dev/zero >&5
                run_cmd python3 -c 'import os; os.ftruncate(5, 40000); os.pwrite(5, b"x" * 50000, 300000)'
                exec 5<&-
        done
        umount_store
        check_store
}

@test "space comes back when a removed file is closed" {
        live() {
                "$BUCKETMAP" info -b "$MNT" | sed -n 's/.*(\([0-9]*\) live.*/\1/p'
        }
        before=$(live)
        head -c 10000000 /dev/urandom >"$MNT/f"
        exec 5<"$MNT/f"
        rm "$MNT/f"
        assert_equal "$(head -c 10 <&5 | wc -c)" 10
        exec 5<&-
        freed() {
                [ "$(live)" -lt $((before + 1000000)) ]
        }
        wait_until freed
}

@test "a removed directory that is someone's own" {
        mkdir "$MNT/d"
        cd "$MNT/d"
        rmdir "$MNT/d"
        assert_equal "$(stat -c %h .)" 0
        assert_equal "$(ls -A)" ""
        run_cmd -1 touch file
        cd "$SCRATCH"
        mkdir "$MNT/d"
        assert_equal "$(ls -A "$MNT/d")" ""
}

@test "an open file follows its directory's name" {
        mkdir "$MNT/a" "$MNT/b"
        echo text >"$MNT/a/f"
        exec 5<>"$MNT/a/f"
        mv "$MNT/a/f" "$MNT/b/g"
        rmdir "$MNT/a"
        echo more >>"$MNT/b/g"
        assert_equal "$(cat <&5)" $'text\nmore'
        mv "$MNT/b" "$MNT/c"
        echo end >&5
        assert_equal "$(tail -n 1 "$MNT/c/g")" end
        exec 5<&-
}

@test "kill -9 with removed files open leaves a clean store" {
        head -c 100000 /dev/zero >"$MNT/f"
        exec 5<>"$MNT/f"
        rm "$MNT/f"
        echo more >&5 || true
        kill_daemon
        exec 5<&-
        umount_any "$MNT"
        mount_store
        assert_equal "$(root_names)" ""
        umount_store
        check_store
}
