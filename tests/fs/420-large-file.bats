# SPDX-License-Identifier: MIT
# A large file, written, read and overwritten at random places, in little of
# the daemon's memory: 1 GiB, or 10 with BUCKETMAP_SOAK, or BUCKETMAP_LARGE_MIB.

load ../lib/bucketmap

# kilobytes of the daemon's own memory; what it maps of its files is the page cache's
memory() {
        awk '/^RssAnon/ { print $2 }' "/proc/$(daemon_pid)/status"
}

@test "a large file takes less than 200 MiB of memory, and reads as written" {
        require_fuse
        require_command python3
        size=1024
        [ -z "${BUCKETMAP_SOAK:-}" ] || size=10240
        size=${BUCKETMAP_LARGE_MIB:-$size}
        free=$(df --output=avail -m "$SCRATCH" | tail -n 1)
        [ "$free" -gt $((3 * size + 1024)) ] || skip "$((3 * size + 1024)) MiB of free disk"
        mount_store
        cat >work.py <<'END'
import hashlib, os, random, sys
path, mib, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]
size = mib << 20

def block(i, version):
    return hashlib.shake_128(b"%d %d" % (i, version)).digest(64) * 1024

versions = [0] * (size >> 16)
random.seed(42)
places = [random.randrange(len(versions)) for _ in range(len(versions) // 2)]
if what == "write":
    with open(path, "wb", buffering=0) as f:
        for i in range(len(versions)):
            f.write(block(i, 0))
elif what == "overwrite":
    fd = os.open(path, os.O_RDWR)
    for i in places:
        versions[i] += 1
        os.pwrite(fd, block(i, versions[i]), i << 16)
    os.fsync(fd)
else:
    for i in places if what == "read-last" else []:
        versions[i] += 1
    with open(path, "rb", buffering=0) as f:
        for i in range(len(versions)):
            assert f.read(1 << 16) == block(i, versions[i]), i
        assert f.read(1) == b""
END
        for what in write read-first overwrite read-last; do
                run_cmd python3 work.py "$MNT/large" "$size" "$what"
                echo "after $what: $(memory) kB"
                [ "$(memory)" -lt 204800 ]
        done
        remount_store
        run_cmd python3 work.py "$MNT/large" "$size" read-last
        rm "$MNT/large"
        umount_store
        check_store
}
