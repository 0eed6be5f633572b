# SPDX-License-Identifier: MIT
# Mounting and unmounting in tests. Nothing here waits for readiness: that
# "mount" returns when the mount answers, and "umount" when the store is
# released, are promises of the command that every test thereby checks.

# mount_store [OPTION...]: mounts $STORE at $MNT, making it if need be.
mount_store() {
        run_bm mount "$@" "$STORE" "$MNT"
}

umount_store() {
        run_bm umount "$MNT"
}

remount_store() {
        umount_store
        mount_store "$@"
}

# Every checksum and invariant of $STORE, which must not be mounted.
check_store() {
        run_bm check "$STORE"
}

# mount_foreground [OPTION...]: the same with -f, in the background; sets
# daemon. What it says goes to $SCRATCH/daemon.log.
mount_foreground() {
        "$BUCKETMAP" mount -f "$@" "$STORE" "$MNT" >"$SCRATCH/daemon.log" 2>&1 </dev/null 3>&- &
        daemon=$!
        wait_until is_mounted "$MNT"
}

# What is in the root of the mount, but for what an aged store brings along.
root_names() {
        ls -A --ignore=aged "$MNT"
}

empty_root() {
        find "$MNT" -mindepth 1 -maxdepth 1 ! -name aged -exec rm -r {} +
}

is_mounted() {
        mountpoint -q "$1"
}

# The process that has STORE ($STORE) open, by its lock file.
daemon_pid() {
        local store=${1:-$STORE} pid rest
        read -r pid rest <"$store/lock" || [ -n "$pid" ] || return 1
        is_daemon "$pid" || return 1
        echo "$pid"
}

is_daemon() {
        [ "$(cat "/proc/$1/comm" 2>/dev/null)" = bucketmap ] && ! process_gone "$1"
}

# Gone, or dead and merely not reaped by its parent.
process_gone() {
        local stat
        stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
        [[ ${stat##*) } = [ZX]* ]]
}

# kill_daemon [SIGNAL]: ends the daemon of $STORE with SIGKILL or that, and
# waits for its end.
kill_daemon() {
        local pid
        pid=$(daemon_pid)
        kill -s "${1:-KILL}" "$pid"
        wait_until process_gone "$pid"
}

# Mount points below DIR, deepest last.
mounts_below() {
        local point
        while read -r _ _ _ _ point _; do
                point=$(printf '%b' "$point")
                [[ $point = "$1"/* ]] && printf '%s\n' "$point"
        done </proc/self/mountinfo | sort
        return 0
}

# release_mounts DIR: unmounts what is mounted below DIR and sees the end of
# the daemons whose stores lie there. A daemon that does not end by itself
# after the unmount is killed, and that is a failure.
release_mounts() {
        local pids=() pid point result=0
        for point in "$1"/*/lock "$1"/*/*/lock; do
                pid=$(daemon_pid "${point%/lock}" 2>/dev/null) && pids+=("$pid")
        done
        while read -r point; do
                umount_any "$point"
        done < <(mounts_below "$1" | tac)
        for pid in "${pids[@]}"; do
                wait_until process_gone "$pid" || {
                        echo "the daemon $pid did not end with its mount"
                        kill -s KILL "$pid"
                        result=1
                }
        done
        return "$result"
}

umount_any() {
        if [ "$(id -u)" -eq 0 ]; then
                umount "$1" 2>/dev/null || umount -l "$1"
        else
                fusermount3 -u "$1" 2>/dev/null || fusermount3 -uz "$1"
        fi
}
