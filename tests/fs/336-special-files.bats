#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# FIFOs, sockets and devices: the kernel makes them work, the store keeps them.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        mount_store
}

@test "a fifo passes bytes between processes" {
        mkfifo -m 640 "$MNT/fifo"
        assert_equal "$(stat -c '%F %a %s' "$MNT/fifo")" "fifo 640 0"
        remount_store
        assert_equal "$(stat -c '%F %a %s' "$MNT/fifo")" "fifo 640 0"
        echo through >"$MNT/fifo" &
        local writer=$!
        assert_equal "$(cat "$MNT/fifo")" through
        wait "$writer"
        ln "$MNT/fifo" "$MNT/other"
        assert_equal "$(stat -c '%F %h' "$MNT/other")" "fifo 2"
        rm "$MNT/fifo"
        [ -p "$MNT/other" ]
}

@test "a socket is bound and connected to" {
        cat >talk.py <<'END'
import os, socket, stat, sys
os.chdir(sys.argv[1])
server = socket.socket(socket.AF_UNIX)
server.bind("socket")
server.listen()
assert stat.S_ISSOCK(os.stat("socket").st_mode)
client = socket.socket(socket.AF_UNIX)
client.connect("socket")
peer, _ = server.accept()
client.send(b"through")
assert peer.recv(100) == b"through"
END
        run_cmd python3 talk.py "$MNT"
        remount_store
        assert_equal "$(stat -c '%F %s' "$MNT/socket")" "socket 0"
        rm "$MNT/socket"
}

@test "devices keep their numbers" {
        [ "$(id -u)" -eq 0 ] || skip "needs root: mknod"
        mknod "$MNT/null" c 1 3 || skip "the system makes no devices here"
        mknod "$MNT/block" b 259 1048575
        remount_store
        assert_equal "$(stat -c '%F %t %T %s' "$MNT/null")" "character special file 1 3 0"
        assert_equal "$(stat -c '%F %t %T' "$MNT/block")" "block special file 103 fffff"
        chmod 600 "$MNT/null"
        mv "$MNT/null" "$MNT/moved"
        ln "$MNT/moved" "$MNT/other"
        assert_equal "$(stat -c '%t %T %a %h' "$MNT/other")" "1 3 600 2"
        # opening one takes a mount that allows it
        run_cmd -1 cat "$MNT/moved"
        assert_regex "$stderr" "Permission denied"
        cp -a "$MNT/block" "$MNT/copy"
        assert_equal "$(stat -c '%t %T' "$MNT/copy")" "103 fffff"
        umount_store
        check_store
}

@test "they are listed with their types" {
        mkfifo "$MNT/fifo"
        : >"$MNT/file"
        mkdir "$MNT/dir"
        ln -s file "$MNT/link"
        ln "$MNT/fifo" "$MNT/dir/fifo too"
        run_cmd python3 -c '
import os, stat, sys
types = {e.name: e for e in os.scandir(sys.argv[1])}
assert types["link"].is_symlink() and types["dir"].is_dir(follow_symlinks=False)
assert types["file"].is_file(follow_symlinks=False)
assert stat.S_ISFIFO(types["fifo"].stat(follow_symlinks=False).st_mode)
' "$MNT"
        assert_equal "$(find "$MNT" -type p | sort)" "$MNT/dir/fifo too"$'\n'"$MNT/fifo"
}
