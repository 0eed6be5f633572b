# SPDX-License-Identifier: MIT
# How many requests ordinary commands take, against the least that is
# possible: each costs more than the work that it asks for. The daemon's -d
# output names every request.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        mount_foreground -d
        # what the kernel learns once for a mount: CREATE, OPEN, FLUSH, OPENDIR, ACCESS
        echo warm >"$MNT/warm"
        cat "$MNT/warm" >/dev/null
        ls -l "$MNT" >/dev/null
        rm "$MNT/warm"
        : >"$MNT/file"
        stat "$MNT/file" >/dev/null
}

# The requests since line $1 of the log, but FORGET, which comes when it likes.
requests_since() {
        tail -n "+$(($1 + 1))" "$SCRATCH/daemon.log" |
                sed -n 's/.*opcode: \([A-Z0-9_]*\) .*/\1/p' | grep -v FORGET | tr '\n' ' '
}

log_length() {
        wc -l <"$SCRATCH/daemon.log"
}

# wants REQUESTS COMMAND...: these and in this order.
wants() {
        local want=$1 start
        shift
        start=$(log_length)
        "$@" >/dev/null
        assert_equal "$(requests_since "$start")" "${want:+$want }"
}

write_to() {
        echo text >"$1"
}

append_to() {
        echo text >>"$1"
}

@test "a new file with contents: LOOKUP MKNOD WRITE, and one GETXATTR of the kernel's own" {
        wants "LOOKUP MKNOD GETXATTR WRITE" write_to "$MNT/new"
}

@test "a new file where the kernel knows that there is none" {
        wants "LOOKUP" test ! -e "$MNT/new"
        wants "MKNOD GETXATTR WRITE" write_to "$MNT/new"
}

@test "overwriting: SETATTR WRITE, and one GETXATTR of the kernel's own" {
        write_to "$MNT/file"
        wants "SETATTR GETXATTR WRITE" write_to "$MNT/file"
}

@test "appending: WRITE" {
        append_to "$MNT/file"
        wants "WRITE" append_to "$MNT/file"
        wants "WRITE" append_to "$MNT/file"
}

@test "reading: once GETATTR and READ, then nothing" {
        write_to "$MNT/file"
        wants "GETATTR READ" cat "$MNT/file"
        # the kernel lets go of the access time after a READ
        wants "GETATTR" cat "$MNT/file"
        wants "" cat "$MNT/file"
        wants "" cat "$MNT/file"
}

@test "what was appended is read, and the rest is not read again" {
        local start i
        head -c 1000000 /dev/zero >"$MNT/big"
        cat "$MNT/big" >/dev/null
        start=$(log_length)
        for i in 1 2 3 4 5; do
                append_to "$MNT/big"
                stat -c %s "$MNT/big"
                cat "$MNT/big" >/dev/null
        done
        run grep -c READ <<<"$(requests_since "$start" | tr ' ' '\n')"
        assert_output 0
}

@test "a repeated miss: nothing" {
        wants "LOOKUP" test ! -e "$MNT/none"
        wants "" test ! -e "$MNT/none"
        wants "" test ! -e "$MNT/none"
}

@test "a repeated stat: nothing" {
        wants "" stat "$MNT/file"
        wants "" stat "$MNT/file"
}

@test "rm: UNLINK" {
        wants "UNLINK" rm "$MNT/file"
}

@test "mkdir and rmdir" {
        wants "LOOKUP MKDIR" mkdir "$MNT/dir"
        wants "RMDIR" rmdir "$MNT/dir"
}

@test "a temporary file renamed over another" {
        write_to "$MNT/tmp"
        # the kernel never takes a rename's target from its cache
        wants "LOOKUP RENAME" python3 -c 'import os, sys; os.rename(*sys.argv[1:])' "$MNT/tmp" "$MNT/file"
}

@test "cp of a small file" {
        echo small >"$SCRATCH/source"
        # cp looks whether it is there, then insists with O_EXCL that it is not
        wants "LOOKUP LOOKUP MKNOD GETXATTR WRITE" cp "$SCRATCH/source" "$MNT/copy"
}

# one request of the kernel's reads several dozen entries with their attributes
@test "ls -l of 1000 files: no request for a single file" {
        local start seen i
        # one listing of a directory at a time is cached, and of a close the kernel tells when it has time
        cached() {
                start=$(log_length)
                ls -l "$MNT" >/dev/null
                seen=" $(requests_since "$start") "
                [[ $seen != *" READDIR"* ]]
        }
        for ((i = 0; i < 1000; i++)); do
                : >"$MNT/f$i"
        done
        # a new mount, so that nothing is cached
        umount_any "$MNT"
        wait "$daemon"
        mount_foreground -d
        ls -l "$MNT" >/dev/null
        run grep -c opcode "$SCRATCH/daemon.log"
        assert [ "$output" -lt 200 ]
        # and with all of it cached
        wait_until cached
        seen=${seen//" RELEASEDIR "/ }
        assert [ "$(wc -w <<<"$seen")" -le 4 ]
}

@test "fsync is answered by no worker: more are in flight than there are workers" {
        many_in_flight() {
                local i
                for i in 1 2 3 4 5 6 7 8; do
                        (echo "$i" >>"$MNT/f$i" && sync "$MNT/f$i") 3>&- &
                done
                wait
                awk '/opcode: FSYNC / { sub(",", "", $2); due[$2] = 1; n++; if (n > most) most = n }
                     /unique: .*(success|error)/ { sub(",", "", $2); if ($2 in due) { delete due[$2]; n-- } }
                     END { exit !(most > 2) }' "$SCRATCH/daemon.log"
        }
        # the daemon is a job of this shell, for which wait would wait
        disown -a
        wait_until many_in_flight
}
