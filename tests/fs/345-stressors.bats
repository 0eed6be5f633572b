# SPDX-License-Identifier: MIT
# Programs whose purpose is to find what a filesystem does wrong.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        mount_store
}

sound() {
        umount_store
        check_store
}

@test "stress-ng: its stressors of files and filesystems" {
        require_command stress-ng
        mkdir "$MNT/dir"
        chmod 777 "$MNT/dir"
        for name in access chdir chmod dentry dir dirdeep dup fallocate fcntl filename flock fpunch fstat \
                getdent hdd iomix link locka lockf lockofd mknod open rename seek sync-file symlink touch \
                utime xattr; do
                size=()
                case $name in
                hdd | fallocate | iomix | sync-file) size=("--$name-bytes" 8M) ;;
                seek) size=(--seek-size 8M) ;;
                esac
                run_cmd -any stress-ng --temp-path "$MNT/dir" --no-rand-seed --oomable --quiet --verify \
                        "--$name" 2 "--$name-ops" 10 --timeout 60 "${size[@]}"
                # 4: it cannot run here, 3: not enough of something
                [[ $status = [034] ]] || fail "stress-ng --$name: $status: $output"
        done
        sound
}

@test "fio: what was written at random places is verified" {
        require_command fio
        for engine in psync mmap libaio; do
                run_cmd fio --name=job --directory="$MNT" --ioengine="$engine" --rw=randrw --bsrange=512-64k \
                        --size=16m --numjobs=2 --verify=crc32c --verify_fatal=1 --do_verify=1 \
                        --randseed=42 --allrandrepeat=1 --fallocate=none --minimal
        done
        run_cmd fio --name=direct --directory="$MNT" --ioengine=psync --direct=1 --rw=randwrite --bs=4k \
                --size=8m --verify=md5 --verify_fatal=1 --do_verify=1 --fallocate=posix --minimal
        run_cmd fio --name=trim --directory="$MNT" --ioengine=falloc --rw=randtrim --bs=64k --size=8m --minimal
        sound
}

@test "dbench" {
        require_command dbench
        run_cmd dbench -D "$MNT" -t 5 -c /usr/share/dbench/client.txt 2
        assert_output --partial "Throughput"
        refute_output --regexp 'ERROR|handle .* not found|failed for handle'
        sound
}
