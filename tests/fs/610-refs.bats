# SPDX-License-Identifier: MIT
# refs: the counts of files.
load ../lib/bucketmap

set_count() {
        setfattr -n user.bucketmap.refcount -v "$2" "$1"
}

@test "count, tab, name" {
        require_fuse
        require_command setfattr
        mount_store
        touch "$MNT/one" "$MNT/many" "$MNT/none"
        set_count "$MNT/many" 4611686018427387903
        set_count "$MNT/none" 0
        run_bm refs "$MNT/one"
        assert_equal "$output" $'1\t'"$MNT/one"
        cd "$MNT"
        run_bm refs one many none
        assert_equal "$output" $'1\tone\n4611686018427387903\tmany\n0\tnone'
        run_bm refs -- many
        assert_equal "$output" $'4611686018427387903\tmany'
}

@test "odd names come back through a shell" {
        require_fuse
        local odd=$'it\'s\ta\nkey \377' line
        mount_store
        cd "$MNT"
        touch "$odd" "with blank"
        run_bm refs "$odd" "with blank"
        assert_equal "${#lines[@]}" 2
        line=${lines[0]#*$'\t'}
        eval "line=$line"
        assert_equal "$line" "$odd"
        assert_equal "${lines[1]}" $'1\t'"'with blank'"
}

@test "what has no count is named, the others are printed, exit code 1" {
        require_fuse
        mount_store
        cd "$MNT"
        touch file
        mkdir dir
        mkfifo fifo
        # a link is followed
        ln -s file link
        run_bm -1 refs file none dir fifo / ../mnt link
        assert_equal "$stdout" $'1\tfile\n1\tlink'
        assert_equal "$stderr" "bucketmap: none: No such file or directory
bucketmap: dir: has no count: not a regular file
bucketmap: fifo: has no count: not a regular file
bucketmap: /: has no count: not a file of a mounted store
bucketmap: ../mnt: has no count: not a regular file"
        touch "$SCRATCH/elsewhere"
        run_bm -1 refs ../elsewhere
        assert_equal "$stderr" "bucketmap: ../elsewhere: has no count: not a file of a mounted store"
        run_bm -2 refs
        [[ $stderr = "bucketmap refs: FILE is missing"* ]]
}

@test "JSON: names as text or bytes, counts as strings" {
        require_fuse
        require_command jq setfattr
        mount_store
        cd "$MNT"
        touch plain $'\377\n'
        set_count plain 4611686018427387903
        run_bm refs --json plain $'\377\n'
        assert_equal "$output" '{"name":{"text":"plain"},"count":"4611686018427387903"}
{"name":{"bytes":"/wo="},"count":"1"}'
        run_cmd -2 bash -c "'$BUCKETMAP' refs plain >/dev/full"
}
