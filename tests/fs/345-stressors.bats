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
                size=() ops=("--$name-ops" "${limit[0]}")
                case $name in
                # both work in a directory that the first to end removes: they end by the time
                chattr | chmod | chown | fcntl) ops=() ;;
                # not about the files below --temp-path
                bind-mount | binderfs | eventfd | io | ioprio | procfs) continue ;;
                hdd | fallocate | iomix | sync-file) size=("--$name-bytes" 8M) ;;
                seek) size=(--seek-size 8M) ;;
                esac
                run_cmd -any stress-ng --temp-path "$MNT/dir" --no-rand-seed --oomable --quiet --verify \
                        "--$name" 2 "${ops[@]}" --timeout "${limit[1]}" "${size[@]}"
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

@test "fs_mark" {
        # not in Debian, so nobody's fault
        command -v fs_mark >/dev/null || skip "missing: fs_mark"
        for method in 1 2 3 4 5 6; do
                run_cmd fs_mark -d "$MNT/marks" -t 4 -n 200 -s 5000 -S "$method" -k -l fs_mark.log
        done
        assert_equal "$(find "$MNT/marks" -type f -size 5000c | wc -l)" 4800
        sound
}

@test "many small files, synced in every way that fs_mark does, outlive a kill" {
        require_command python3
        cat >mark.py <<'END'
import os, sys, threading
top, what = sys.argv[1:]
THREADS, FILES, SIZE = 4, 100, 5000
METHODS = "each", "directory", "after", "backwards", "sync"

def content(path):
    return (os.path.basename(path).encode() * SIZE)[:SIZE]

def sync(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)

def make(path, now):
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    os.write(fd, content(path))
    if now:
        os.fsync(fd)
    os.close(fd)

def work(method, thread):
    place = "%s/%s/%d" % (top, method, thread)
    os.makedirs(place)
    paths = ["%s/%08d-%d" % (place, i, thread) for i in range(FILES)]
    for path in paths:
        make(path, method in ("each", "directory"))
        if method == "directory":
            sync(place)
    if method == "after":
        for path in paths:
            sync(path)
    elif method == "backwards":
        for path in reversed(paths):
            sync(path)
    elif method == "sync":
        sync(place)

for method in METHODS:
    if what == "make":
        threads = [threading.Thread(target=work, args=(method, i)) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    names = [os.path.join(place, name) for place, _, files in os.walk(top + "/" + method) for name in files]
    assert len(names) == THREADS * FILES, (method, len(names))
    for path in names:
        with open(path, "rb") as file:
            assert file.read() == content(path), path
END
        mkdir "$MNT/marks"
        run_cmd python3 mark.py "$MNT/marks" make
        kill_daemon
        mount_store
        run_cmd python3 mark.py "$MNT/marks" look
        sound
}
