# SPDX-License-Identifier: MIT
# With a service manager: Type=notify, and the example units.
load ../lib/bucketmap

# notify_socket NAME: writes what comes there to $SCRATCH/notes, a line each
notify_socket() {
        python3 -c '
import socket, sys
name = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\0" + name[1:] if name[0] == "@" else name)
notes = open("notes", "a")
open("listening", "w").close()
while True:
    note = s.recv(4096).decode()
    notes.write(note + "\n")
    notes.flush()
    if note == "STOPPING=1":
        break
' "$1" </dev/null 3>&- &
        listener=$!
        wait_until [ -e listening ]
}

@test "READY when the mount answers, STOPPING before the store is closed" {
        require_fuse
        require_command python3
        local name
        for name in "$SCRATCH/socket" "@bucketmap-test-$$-$BATS_TEST_NUMBER"; do
                rm -f listening notes
                notify_socket "$name"
                NOTIFY_SOCKET=$name "$BUCKETMAP" mount -f "$STORE" "$MNT" >daemon.log 2>&1 3>&- &
                wait_until grep -q READY notes
                is_mounted "$MNT"
                assert_equal "$(cat notes)" "READY=1"
                umount_store
                wait "$listener"
                assert_equal "$(cat notes)" "READY=1
STOPPING=1"
        done
}

@test "no READY from a mount that fails, none from a daemon in the background" {
        require_fuse
        require_command python3
        notify_socket "$SCRATCH/socket"
        run_cmd -2 env NOTIFY_SOCKET="$SCRATCH/socket" "$BUCKETMAP" mount -f -o nocreate "$STORE" "$MNT"
        run_cmd env NOTIFY_SOCKET="$SCRATCH/socket" "$BUCKETMAP" mount "$STORE" "$MNT"
        umount_store
        assert_equal "$(cat notes)" ""
        kill "$listener"
}

@test "a manager that does not listen is no reason to fail" {
        require_fuse
        NOTIFY_SOCKET=$SCRATCH/none mount_foreground
        wait_until grep -q "cannot tell the service manager: No such file or directory" daemon.log
        echo 1 >"$MNT/a"
        umount_store
        wait "$daemon"
}

@test "the example units are understood" {
        require_command systemd-analyze
        local unit
        [ -n "${BUCKETMAP_BUILD:-}" ] || missing "BUCKETMAP_BUILD"
        for unit in "$BUCKETMAP_BUILD"/fs/examples/*.service; do
                sed "s,^\(Exec[A-Za-z]*=\)[^ ]*,\1$BUCKETMAP," "$unit" >"${unit##*/}"
                run_cmd systemd-analyze verify --man=no "./${unit##*/}"
                assert_equal "$output" ""
        done
}
