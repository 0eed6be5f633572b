#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Each file of a store damaged in each way, or replaced by something else: it
# is refused with exit code 1 and a word about check, nothing is changed,
# nothing waits or crashes; read-only what is left can be read.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        require_command python3
        mount_store
        # the record of the root is in the first segment, with others
        for i in {1..60}; do head -c 8000 /dev/urandom >"file$i"; cp "file$i" "$MNT/file$i"; done
        mkdir "$MNT/directory"
        echo below >"$MNT/directory/file"
        run_bm sync "$MNT"
        umount_store
        cp -a "$STORE" whole
        local segment
        for segment in whole/segments/*; do
                case $(od -An -tu1 -j 24 -N 1 "$segment") in
                *1) [ -n "${log:-}" ] || log=${segment#whole/} ;;
                *3) index=${segment#whole/} ;;
                esac
        done
        [ -n "$log" ] && [ -n "$index" ]
}

again() {
        rm -rf "$STORE"
        cp -a whole "$STORE"
}

become() {
        rm -r "${STORE:?}/$1"
        case $2 in
        nothing) ;;
        directory) mkdir "$STORE/$1" ;;
        fifo) mkfifo "$STORE/$1" ;;
        symlink) ln -s "$SCRATCH/whole/$1" "$STORE/$1" ;;
        file) echo something >"$STORE/$1" ;;
        esac
}

digest() {
        (cd "$1" && find . -printf '%p %y %s %m\n' | grep -v '^./lock f' | sort
                find . -type f ! -name lock -exec md5sum {} + | sort)
}

# refused CODE: mount and check say so, and change nothing.
refused() {
        local before
        before=$(digest "$STORE")
        run_bm "-$1" mount "$STORE" "$MNT"
        assert_equal "$(digest "$STORE")" "$before"
        [ "$1" -ne 1 ] || [[ $stderr = *"damaged"*"bucketmap check"* ]]
        [ -d whole ] && assert_equal "$(digest whole)" "$whole_before"
}

# readable MANY: read-only, that many files at least are right and the others EIO.
readable() {
        local before right=0
        before=$(digest "$STORE")
        mount_store -o ro
        ls -l "$MNT" >/dev/null 2>&1 || true
        for i in {1..60}; do
                if cat "$MNT/file$i" >out 2>error; then
                        cmp out "file$i"
                        right=$((right + 1))
                else
                        grep -qE "Input/output error|No such file" error
                fi
        done
        umount_store
        [ "$right" -ge "$1" ] || fail "$right files are right, not $1"
        assert_equal "$(digest "$STORE")" "$before"
}

@test "one copy of the superblock, one manifest: as good as whole, and check tells" {
        for place in 'superblock 100' 'superblock 4196' 'manifest 60' 'manifest 4156'; do
                again
                # shellcheck disable=SC2086 # two words
                flip "$STORE/${place% *}" "${place#* }"
                run_bm -1 check "$STORE"
                readable 60
                mount_store
                umount_store
        done
}

@test "superblocks" {
        whole_before=$(digest whole)
        again
        flip "$STORE/superblock" 100
        flip "$STORE/superblock" 4196
        refused 1
        for kind in nothing directory fifo file; do
                again
                become superblock "$kind"
                refused 2
                [[ $stderr = *"not a bucketmap store"* ]]
                run_bm -2 check "$STORE"
        done
        again
        become superblock symlink
        refused 2
}

@test "manifests" {
        whole_before=$(digest whole)
        for kind in nothing directory fifo symlink; do
                again
                become manifest "$kind"
                refused 1
                run_bm -1 check "$STORE"
                readable 60
        done
}

@test "a log segment" {
        whole_before=$(digest whole)
        for what in 'flip 1' 'flip 40' 'become nothing' 'become directory' 'become fifo' 'become symlink' \
                'become file' 'cut 0' 'cut 100' 'cut 100000'; do
                again
                case $what in
                flip*) flip "$STORE/$log" "${what#* }" ;;
                become*) become "$log" "${what#* }" ;;
                cut*) truncate -s "${what#* }" "$STORE/$log" ;;
                esac
                refused 1
                run_bm -1 check "$STORE"
                readable 25
        done
        # longer than it says: what is behind its end is nobody's
        again
        truncate -s 400000 "$STORE/$log"
        check_store
        readable 60
}

@test "an index segment: made anew from the records, or refused" {
        whole_before=$(digest whole)
        for kind in nothing directory fifo symlink file; do
                again
                become "$index" "$kind"
                run_bm -1 check "$STORE"
                readable 60
                # of another file nobody knows whether it held records
                if [ "$kind" = nothing ]; then
                        mount_store
                        for i in 1 30 60; do cmp "file$i" "$MNT/file$i"; done
                        umount_store
                else
                        refused 1
                fi
        done
}

@test "the record of the root, and the index of it" {
        whole_before=$(digest whole)
        again
        flip "$STORE/$log" 600
        refused 1
        run_bm -1 check "$STORE"
        readable 59
}

@test "the other files" {
        whole_before=$(digest whole)
        for file in lock reserve; do
                for kind in directory fifo symlink; do
                        again
                        become "$file" "$kind"
                        refused 1
                done
        done
        for kind in nothing file symlink; do
                again
                become segments "$kind"
                refused 1
                run_bm -1 check "$STORE"
        done
}

@test "what may not be read" {
        require_ordinary_user
        whole_before=$(digest whole)
        for file in superblock manifest "$log" segments; do
                again
                chmod 0 "$STORE/$file"
                run_bm -2 mount "$STORE" "$MNT"
                [[ $stderr = *"Permission denied"* ]]
                run_bm -2 check "$STORE"
                chmod 700 "$STORE/$file"
        done
        again
        check_store
}

@test "a drive of another store, or in another place" {
        mkdir a b
        run_bm create --drive="$SCRATCH/a/drive" a/store
        run_bm create --drive="$SCRATCH/b/drive" b/store
        for wrong in b/drive whole; do
                STORE=$SCRATCH/a/store
                before=$(digest a; digest b; digest whole)
                run_bm -2 mount -o "drive=$SCRATCH/$wrong" "$STORE" "$MNT"
                [[ $stderr = *drive* ]]
                assert_equal "$(digest a; digest b; digest whole)" "$before"
        done
        run_bm check a/store
        mount_store
        umount_store
}
