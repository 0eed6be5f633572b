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
        # some count no operations; these end by the time
        limit=(10 3)
        [ -z "${BUCKETMAP_SOAK:-}" ] || limit=(1000 5)
        # "class 'filesystem' stressors: NAME..."
        read -ra names < <(stress-ng --class 'filesystem?' | sed -n 's/.*stressors: *//p')
        [ "${#names[@]}" -gt 40 ] || fail "stress-ng names but ${#names[@]} stressors"
        for name in "${names[@]}" aio mmap msync readahead revio seek sendfile; do
                size=()
                case $name in
                # not about the files below --temp-path
                bind-mount | binderfs | eventfd | io | ioprio | procfs) continue ;;
                hdd | fallocate | iomix | sync-file) size=("--$name-bytes" 8M) ;;
                seek) size=(--seek-size 8M) ;;
                esac
                run_cmd -any stress-ng --temp-path "$MNT/dir" --no-rand-seed --oomable --quiet --verify \
                        "--$name" 2 "--$name-ops" "${limit[0]}" --timeout "${limit[1]}" "${size[@]}"
                # 4: it cannot run here
                [[ $status = [04] ]] || fail "stress-ng --$name: $status: $output"
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
