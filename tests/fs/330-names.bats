#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Every name that a file may have.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        mount_store
}

odd_names=(
        "with space"
        " leading and trailing "
        $'two\nlines'
        $'tab\there'
        -rf
        --help
        "*"
        "?[a]"
        "quote'double\"back\\slash"
        '$HOME `id` $(id)'
        "#comment;&|<>"
        .hidden
        ...
        "~"
        $'\xff\xfe not utf-8 \x80'
        $'\x01\x7f\x1b[31m'
        "äöü 漢字 🙂"
        "user.bucketmap.refcount"
        "con:nul,lpt1%00"
)

@test "odd names, in the root and below a directory" {
        mkdir "$MNT/dir"
        for dir in "$MNT" "$MNT/dir"; do
                for name in "${odd_names[@]}"; do
                        printf '%s' "$name" >"$dir/$name"
                done
        done
        for round in 1 2; do
                for dir in "$MNT" "$MNT/dir"; do
                        for name in "${odd_names[@]}"; do
                                printf '%s' "$name" | cmp - "$dir/$name"
                        done
                        found=$(find "$dir" -maxdepth 1 -type f -printf . | wc -c)
                        assert_equal "$found" "${#odd_names[@]}"
                        # the listing has the very bytes
                        find "$dir" -maxdepth 1 -type f -printf '%f\0' | sort -z >have
                        printf '%s\0' "${odd_names[@]}" | sort -z >wanted
                        run_cmd cmp wanted have
                done
                [ "$round" = 2 ] || remount_store
        done
        run_cmd mv -- "$MNT/-rf" "$MNT/"$'two\nlines moved'
        run_cmd rm -r -- "$MNT/dir" "$MNT/--help" "$MNT/*"
        empty_root
        run_cmd root_names
        assert_output ""
        umount_store
        check_store
}

@test "odd names of directories, and as link targets" {
        for name in "${odd_names[@]}"; do
                mkdir -- "$MNT/$name"
                echo inner >"$MNT/$name/$name"
                ln -s -- "$name" "$MNT/$name/link to itself"
        done
        remount_store
        for name in "${odd_names[@]}"; do
                run_cmd cat "$MNT/$name/$name"
                assert_output "inner"
                assert_equal "$(readlink -- "$MNT/$name/link to itself")" "$name"
        done
}

@test "names of 255 bytes, and no longer ones" {
        long=$(printf 'n%.0s' {1..255})
        wide=$(printf '漢%.0s' {1..85})
        echo long >"$MNT/$long"
        mkdir "$MNT/$wide"
        echo wide >"$MNT/$wide/$wide"
        remount_store
        run_cmd cat "$MNT/$long" "$MNT/$wide/$wide"
        assert_output "long
wide"
        for name in "${long}n" "${wide}n"; do
                run_cmd -1 touch "$MNT/$name"
                assert_output --partial "File name too long"
                run_cmd -1 cat "$MNT/$name"
                assert_output --partial "File name too long"
                run_cmd -1 mkdir "$MNT/$name"
                assert_output --partial "File name too long"
                run_cmd -1 mv "$MNT/$long" "$MNT/$name"
                assert_output --partial "File name too long"
        done
        assert_equal "$(root_names | wc -l)" 2
}

@test "names of one byte, all of them" {
        require_command python3
        run_cmd python3 -c '
import os, sys
top = os.fsencode(sys.argv[1])
names = {bytes([i]) for i in range(1, 256)} - {b"/", b"."}
for name in names:
    with open(top + b"/" + name, "wb") as file:
        file.write(name * 3)
assert set(os.listdir(top)) - {b"aged"} == names
for name in names:
    with open(top + b"/" + name, "rb") as file:
        assert file.read() == name * 3
' "$MNT"
}

@test "names that differ in case or in normalisation are different" {
        echo lower >"$MNT/name"
        echo upper >"$MNT/NAME"
        echo composed >"$MNT/"$'\xc3\xa9'
        echo decomposed >"$MNT/"$'e\xcc\x81'
        assert_equal "$(root_names | wc -l)" 4
        run_cmd cat "$MNT/name" "$MNT/NAME" "$MNT/"$'\xc3\xa9' "$MNT/"$'e\xcc\x81'
        assert_output "lower
upper
composed
decomposed"
}

@test "a path of 100 directories" {
        path=$MNT
        for i in {1..100}; do
                path+=/directory-$i
                mkdir "$path"
        done
        echo bottom >"$path/file"
        remount_store
        run_cmd cat "$path/file"
        assert_output "bottom"
        run_cmd rm -r "$MNT/directory-1"
        run_cmd root_names
        assert_output ""
}
