# SPDX-License-Identifier: MIT
# Who may do what, and the set-id bits that a change by an ordinary user
# clears. stat shows the mode that the kernel has cached.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
}

mode() {
        stat -c %a "$MNT/s"
}

shared_file() {
        require_user
        mount_store -o allow_other
        chmod 777 "$MNT"
        echo text >"$MNT/s"
        chown "$BUCKETMAP_TEST_USER:" "$MNT/s"
        chmod "${1:-6777}" "$MNT/s"
}

@test "root's writes keep the set-id bits" {
        shared_file
        echo more >>"$MNT/s"
        assert_equal "$(mode)" 6777
        truncate -s 1 "$MNT/s"
        assert_equal "$(mode)" 6777
}

@test "a user's write clears them" {
        shared_file
        as_user sh -c 'echo more >>"$1"' - "$MNT/s"
        assert_equal "$(mode)" 777
        umount_store
        mount_store
        assert_equal "$(mode)" 777
}

@test "a user's truncation clears them" {
        shared_file
        as_user truncate -s 1 "$MNT/s"
        assert_equal "$(mode)" 777
}

@test "a user's direct write clears them" {
        shared_file
        as_user dd if=/dev/zero of="$MNT/s" bs=4096 count=1 oflag=direct conv=notrunc
        assert_equal "$(mode)" 777
}

@test "a change of owner clears them, root's too" {
        shared_file
        chown root "$MNT/s"
        assert_equal "$(mode)" 777
}

@test "set-group-id without execution by the group stays" {
        shared_file 2767
        as_user sh -c 'echo more >>"$1"' - "$MNT/s"
        assert_equal "$(mode)" 2767
}

@test "directories keep theirs, and hand down the group" {
        shared_file
        mkdir "$MNT/d"
        chgrp "$(id -g "$BUCKETMAP_TEST_USER")" "$MNT/d"
        chmod 2775 "$MNT/d"
        mkdir "$MNT/d/sub"
        : >"$MNT/d/f"
        assert_equal "$(stat -c %a "$MNT/d")" 2775
        assert_equal "$(stat -c '%a %g' "$MNT/d/sub")" "2755 $(id -g "$BUCKETMAP_TEST_USER")"
        assert_equal "$(stat -c %g "$MNT/d/f")" "$(id -g "$BUCKETMAP_TEST_USER")"
}

@test "with allow_other the kernel checks modes" {
        shared_file
        echo secret >"$MNT/private"
        chmod 600 "$MNT/private"
        run_cmd -1 as_user cat "$MNT/private"
        assert_regex "$stderr" "Permission denied"
        run_cmd -1 as_user chown root "$MNT/s"
        run_cmd -1 as_user chmod 777 "$MNT/private"
        run_cmd as_user cat "$MNT/s"
}

@test "a private mount lets nobody else in" {
        require_user
        mount_store
        run_cmd -2 as_user ls "$MNT"
        assert_regex "$stderr" "Permission denied"
}

@test "a user's private mount checks modes" {
        require_ordinary_user
        mount_store
        echo text >"$MNT/f"
        chmod 0 "$MNT/f"
        run_cmd -1 cat "$MNT/f"
        assert_regex "$stderr" "Permission denied"
        run_cmd -1 chown 0 "$MNT/f"
        assert_regex "$stderr" "Operation not permitted"
}

@test "nopermcheck: no modes are checked, but nothing is given away" {
        require_ordinary_user
        mount_store -o nopermcheck
        echo text >"$MNT/f"
        chmod 0 "$MNT/f"
        run_cmd cat "$MNT/f"
        run_cmd -1 chown 0 "$MNT/f"
        assert_regex "$stderr" "Operation not permitted"
        run_cmd -1 chgrp 0 "$MNT/f"
        assert_regex "$stderr" "Operation not permitted"
        run_cmd chgrp "$(id -g)" "$MNT/f"
        assert_equal "$(stat -c '%u %g' "$MNT/f")" "$(id -u) $(id -g)"
}

@test "files of mode 0 and 0444 can be written through the descriptor that made them" {
        mount_store
        run_cmd python3 -c '
import os, sys
for mode in 0, 0o444:
    fd = os.open(sys.argv[1] + "/m%o" % mode, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    os.write(fd, b"text")
    os.close(fd)
' "$MNT"
        assert_equal "$(stat -c '%a %s' "$MNT/m444")" "444 4"
        assert_equal "$(stat -c '%a %s' "$MNT/m0")" "0 4"
}

@test "a mapping of a user's is written back although the kernel does it" {
        shared_file 600
        as_user truncate -s 8192 "$MNT/s"
        as_user /usr/bin/python3 -c '
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
m = mmap.mmap(fd, 8192)
m[5000:5004] = b"user"
m.flush()
' "$MNT/s"
        umount_store
        mount_store
        assert_equal "$(tail -c +5001 "$MNT/s" | head -c 4)" user
}

# wants ERRNO of FS_IOC_SYNC on a file or directory
sync_gives() {
        local want=$1
        shift
        run_cmd "${@:2}" /usr/bin/python3 -c '
import errno, fcntl, os, sys
try:
    fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0xbb << 8 | 2)
    print("OK")
except OSError as e:
    print(errno.errorcode[e.errno])
' "$1"
        assert_equal "$stdout" "$want"
}

@test "the control interface is the owner's and root's, on the root directory" {
        shared_file 644
        mkdir "$MNT/d"
        sync_gives OK "$MNT"
        sync_gives EPERM "$MNT" as_user
        sync_gives ENOTTY "$MNT/d"
        sync_gives ENOTTY "$MNT/s"
}

@test "what has no x is not executable, for root and without checks too" {
        if [ "$(id -u)" -eq 0 ]; then mount_store; else mount_store -o nopermcheck; fi
        echo 'echo ran' >"$MNT/script"
        mkdir "$MNT/dir"
        chmod 600 "$MNT/script"
        run_cmd -1 test -x "$MNT/script"
        run_cmd test -r "$MNT/script" -a -w "$MNT/script"
        run_cmd -any "$MNT/script"
        assert_regex "$output" "Permission denied"
        chmod 700 "$MNT/script"
        run_cmd test -x "$MNT/script"
        run_cmd test -x "$MNT/dir"
        run_cmd find "$MNT" -type f -executable
        assert_output "$MNT/script"
}
