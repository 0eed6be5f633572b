# SPDX-License-Identifier: MIT
"""Bytes on disk a file: a store against ext4, btrfs and a tar archive.

Files of 100 bytes and of 1 KiB, and a real tree; then each file written anew
twice, then half of them removed. ext4 and btrfs are made with their defaults
in images of their own; an inode counts where the filesystem keeps it. Of a store
all of its directory counts, closed, index included.
"""
import argparse
import os
import subprocess
import time

import frame
import plots
from subjects import Bucketmap, Load, Place, cpus_for, timed

FIRST, GOAL = 260, 200  # bytes for a file of 100
EXT4_INODE = 256
STATES = {"loaded": [], "written anew twice": ["overwrite", "replace"], "half removed": ["unlink-half"]}
PLOTTED = [10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000]


def allocated(path):
    """Bytes of all below a directory."""
    out = subprocess.run(["du", "-s", "--block-size=1", path], check=True, capture_output=True, text=True)
    return int(out.stdout.split()[0])


class Store(Bucketmap):
    def __init__(self, scratch):
        super().__init__(scratch)
        super().close()
        self.before = allocated(self.store)
        self.mount()

    def settle(self):
        """Background work is done when the store has stopped to shrink."""
        size, same = None, 0
        while same < 4:
            time.sleep(0.5)
            now = allocated(self.store)
            same = same + 1 if now == size else 0
            size = now

    def used(self):
        self.settle()
        super().close()
        size = allocated(self.store)
        self.mount()
        return size - self.before


class Image(Place):
    """A filesystem in a file of its own."""

    def __init__(self, scratch, kind, size, options):
        super().__init__(kind, scratch.sub(kind))
        self.file = os.path.join(scratch.path, kind + ".image")
        with open(self.file, "wb") as image:
            image.truncate(size)
        subprocess.run(["mkfs." + kind, "-q", *options, self.file], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", self.file, self.root], check=True)
        self.inode = EXT4_INODE if kind == "ext4" else 0
        self.before = self.taken()

    def taken(self):
        subprocess.run(["sync", "-f", self.root], check=True)
        st = os.statvfs(self.root)
        return (st.f_blocks - st.f_bfree) * st.f_frsize + (st.f_files - st.f_ffree) * self.inode

    def used(self):
        return self.taken() - self.before

    def close(self):
        subprocess.run(["umount", self.root], check=True)
        os.unlink(self.file)


def has(program):
    paths = os.environ["PATH"].split(":") + ["/sbin", "/usr/sbin"]
    return any(os.access(os.path.join(path, program), os.X_OK) for path in paths)


def places_in(scratch, size):
    # as many inodes as it may need; the bytes that they take are counted one by one
    yield Store(scratch)
    yield Image(scratch, "ext4", size, ["-F", "-i", "2048", "-I", str(EXT4_INODE)])
    if has("mkfs.btrfs"):
        yield Image(scratch, "btrfs", size, ["-m", "single"])


def measure_sizes(figures, options, files):
    """The sizes of the picture; of larger files fewer."""
    for size in PLOTTED:
        n = max(1000, min(files, (1 << 30) // max(size, 4096)))
        with frame.Scratch(options.dir) as scratch:
            for place in places_in(scratch, max(1 << 30, n * (size * 3 // 2 + 8192))):
                try:
                    measure_files(figures, place, n, size, {"loaded": []})
                finally:
                    place.close()


def measure_files(figures, place, files, size, states=STATES):
    load = Load(place, 1, files, size, cpus_for(1))
    load.run("create")
    left = files
    for state, phases in states.items():
        for phase in phases:
            load.run(phase)
        if state == "half removed":
            left = files - files // 2
        figures.add(f"{size} bytes, {state}", place.name, bytes_per_file=used_without(load, place) / left)
    load.close()


def used_without(load, place):
    """A store is closed to be measured: the load lets go of it meanwhile."""
    if not isinstance(place, Store):
        return place.used()
    load.close()
    used = place.used()
    load.reopen()
    return used


def measure_tree(figures, place, tree):
    place.pin(cpus_for(1))
    timed(["cp", "-a", tree, os.path.join(place.root, "tree")], cpus_for(1))
    files = sum(len(names) for _, _, names in os.walk(tree))
    figures.add(f"tree of {files} files", place.name, bytes_per_file=place.used() / files)


def tar_sizes(figures, tree, size):
    """What tar makes of it: a header of 512 bytes, and blocks of as many."""
    for each in size:
        figures.add(f"{each} bytes, loaded", "tar", bytes_per_file=512 + -(-each // 512) * 512)
    files = sum(len(names) for _, _, names in os.walk(tree))
    tar = subprocess.Popen(["tar", "-C", tree, "-cf", "-", "."], stdout=subprocess.PIPE)
    total = 0
    while block := tar.stdout.read(1 << 20):
        total += len(block)
    tar.wait()
    figures.add(f"tree of {files} files", "tar", bytes_per_file=total / files)


def show(figures):
    names = ["bucketmap", "ext4", "btrfs", "tar"]
    rows = [["bytes a file", *names, "x less than ext4", "mark"]]
    for phase in figures.phases():
        ours, ext4 = (figures.get(phase, name, "bytes_per_file") for name in names[:2])
        rows.append([phase, *(frame.number(figures.get(phase, name, "bytes_per_file"), 0) for name in names),
                     frame.number(ext4 / ours),
                     frame.mark(ours, FIRST, GOAL) if phase.startswith("100 bytes") else ""])
    frame.table(rows)


def main():
    p = frame.parser(__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--tree", metavar="DIR", default="/usr/include", help="the real tree (%(default)s)")
    p.add_argument("--files", type=int, metavar="N", help="files of each size")
    p.add_argument("--plot", metavar="DIR",
                   help="write DIR/bytes-a-file.svg: files of several sizes, as written; nothing else is measured")
    options = p.parse_args()
    if os.geteuid() != 0:
        p.error("only root can mount images")
    files = options.files or (40_000 if options.quick else 1_000_000)
    figures = frame.Figures()
    print(frame.machine(options.dir), flush=True)
    if options.plot:
        measure_sizes(figures, options, files)
        plots.bytes_a_file(options.plot, {size: {name: figures.get(f"{size} bytes, loaded", name, "bytes_per_file")
                                                 for name in ("bucketmap", "ext4", "btrfs")}
                                          for size in PLOTTED})
        show(figures)
        return
    for size in (100, 1024, None):
        with frame.Scratch(options.dir) as scratch:
            for place in places_in(scratch, max(1 << 30, files * 6000)):
                try:
                    if size:
                        measure_files(figures, place, files // 2 if options.quick and size > 100 else files, size)
                    else:
                        measure_tree(figures, place, options.tree)
                finally:
                    place.close()
    tar_sizes(figures, options.tree, (100, 1024))
    print()
    show(figures)
    if options.json:
        figures.write(options.json)


if __name__ == "__main__":
    main()
