# SPDX-License-Identifier: MIT
# The daemon logs its start, its end and damage: to standard error with -f,
# else to syslog.
load ../lib/bucketmap

# Work of all kinds that goes well, and some that is refused.
ordinary_work() {
        mkdir "$MNT/dir"
        cp -r /usr/include/linux "$MNT/dir/tree"
        rm -r "$MNT/dir"
        echo 1 >"$MNT/a"
        mv "$MNT/a" "$MNT/b"
        for refused in "cat $MNT/none" "rmdir $MNT/b" "setfattr -n user.bucketmap.refcount -v x $MNT/b"; do
                $refused 2>/dev/null && return 1
        done
        "$BUCKETMAP" sync "$MNT"
}

lines_of() {
        [ "$(grep -c . "$2")" -eq "$1" ]
}

@test "with -f: start and stop on standard error, and nothing between" {
        require_fuse
        run_bm create "$STORE"
        mount_foreground
        ordinary_work
        umount_store
        wait "$daemon"
        assert_equal "$(cat daemon.log)" "bucketmap: $STORE: mounted at $MNT
bucketmap: $STORE: closed, was mounted at $MNT"
        # the same by a signal, as Ctrl-C sends it
        mount_foreground
        wait_until lines_of 1 daemon.log
        kill -s INT "$daemon"
        wait "$daemon"
        assert_equal "$(tail -n 1 daemon.log)" "bucketmap: $STORE: closed, was mounted at $MNT"
        lines_of 2 daemon.log
}

@test "after a kill the start says what was replayed" {
        require_fuse
        mount_store
        echo 1 >"$MNT/a"
        kill_daemon
        mount_foreground
        wait_until grep -qE "mounted at $MNT; it was not closed cleanly, [1-9][0-9]* records replayed$" daemon.log
        umount_store
        wait "$daemon"
        mount_foreground
        wait_until grep -q "mounted at $MNT$" daemon.log
        umount_store
        wait "$daemon"
}

@test "damage is a line, once, however often it is read" {
        require_fuse
        local i
        mount_store
        printf 'the-marked-value' >"$MNT/a"
        umount_store
        damage the-marked-value
        mount_foreground
        for i in 1 2 3 4 5; do
                run_cmd -1 cat "$MNT/a"
        done
        umount_store
        wait "$daemon"
        assert_equal "$(grep -c 'damaged record' daemon.log)" 1
        lines_of 3 daemon.log
}

# Runs the script on stdin where /dev/log is a socket whose datagrams become
# the lines of $SCRATCH/syslog.
with_syslog() {
        require_root
        require_command python3 unshare
        unshare --mount --propagation private true || missing "mount namespaces"
        cat >script
        : >syslog
        run_cmd unshare --mount --propagation private bash -euxc '
                mkdir dev
                mount -t tmpfs -o mode=755 dev dev
                for file in null zero urandom fuse; do
                        touch "dev/$file"
                        mount --bind "/dev/$file" "dev/$file"
                done
                ln -s /proc/self/fd dev/fd
                python3 -c "
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(\"dev/log\")
to = open(\"syslog\", \"a\")
while True:
    to.write(s.recv(8192).decode().rstrip(\"\\n\\0\") + \"\\n\")
    to.flush()
" &
                listener=$!
                trap "umount -l \"$MNT\" 2>/dev/null || true; kill $listener" EXIT
                until [ -S dev/log ]; do sleep 0.02; done
                mount --rbind dev /dev
                . ./script'
}

@test "without -f: to syslog, with the daemon's process id, and nothing more to the caller" {
        require_fuse
        run_bm create "$STORE"
        export -f ordinary_work wait_until lines_of damage
        export STORE MNT BUCKETMAP
        with_syslog <<'SCRIPT'
"$BUCKETMAP" mount "$STORE" "$MNT" >said 2>&1
ordinary_work
printf 'the-marked-value' >"$MNT/marked"
pid=$(cut -d' ' -f1 "$STORE/lock")
wait_until lines_of 1 syslog
kill -s USR1 "$pid"
wait_until lines_of 2 syslog
"$BUCKETMAP" umount "$MNT" >>said 2>&1
wait_until lines_of 3 syslog
damage the-marked-value
"$BUCKETMAP" mount "$STORE" "$MNT" >>said 2>&1
! cat "$MNT/marked"
"$BUCKETMAP" umount "$MNT" >>said 2>&1
wait_until lines_of 6 syslog
echo "$pid" >pid
SCRIPT
        assert_equal "$(cat said)" ""
        # <facility * 8 + level>: daemon, and info or err
        sed "s/^\(<[0-9]*>\).*bucketmap\[[0-9]*\]: /\1/" syslog >lines
        run_cmd cat syslog
        assert_equal "$(sed -n 1p lines)" "<30>$STORE: mounted at $MNT"
        [[ $(sed -n 2p lines) = "<30>$STORE: "*" keys, "*" syncs, "*" checkpoints since the mount" ]]
        assert_equal "$(sed -n 3p lines)" "<30>$STORE: closed, was mounted at $MNT"
        assert_equal "$(sed -n 4p lines)" "<30>$STORE: mounted at $MNT"
        [[ $(sed -n 5p lines) = "<27>$STORE: "*"marked"*"damaged record at byte "* ]]
        assert_equal "$(sed -n 6p lines)" "<30>$STORE: closed, was mounted at $MNT"
        assert_equal "$(grep -c "bucketmap\[$(cat pid)\]: " syslog)" 3
}
