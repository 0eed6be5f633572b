# SPDX-License-Identifier: MIT
"""The mount against a daemon that does nothing, ext4 (or what --dir is on) and tmpfs.

Each phase is done on all of them in turn before the next, so that a noisy
machine is noisy for all. With one client it and the daemon share a processor:
the time is what both cost together. Several have all processors. What tells is
the ratio to the daemon that does nothing; that one stays in the session of the
clients, where it is woken fastest, ours has its own as a daemon does.
"""
import argparse
import io
import json
import os
import shutil
import subprocess
import tarfile

import frame
from subjects import Bucketmap, Load, Nothing, Place, Tmpfs, cpus_for, timed

FIRST, GOAL = 1.25, 1.1
SMALL = ["create", "stat", "first-read", "cached-read", "overwrite", "append", "replace", "miss",
         "list", "unlink"]
LARGE = ["large-write", "large-read", "random-read", "random-write", "grow"]
DURABLE = ["create-fsync"]
SIZES = {100: "100 B", 4096: "4 KiB", 65536: "64 KiB"}


def run_phases(figures, places, phases, label, clients, files, size):
    loads = [Load(place, clients, files, size, cpus_for(clients)) for place in places]
    for turn, phase in enumerate(phases):
        for load in loads[turn % len(loads):] + loads[:turn % len(loads)]:
            figures.add(f"{phase}, {label}", load.place.name, **load.run(phase))
    for load in loads:
        load.close()
        shutil.rmtree(load.dir)


def run_tree(figures, places, tree):
    """cp -a, grep -r and rm -r of a real tree; microseconds a file."""
    files = sum(len(names) for _, _, names in os.walk(tree))
    cpus = cpus_for(1)
    steps = {"cp -a": lambda copy: ["cp", "-a", tree, copy],
             "grep -r": lambda copy: ["grep", "-rlF", "struct sockaddr", copy],
             "rm -r": lambda copy: ["rm", "-r", copy]}
    for place in places:
        place.pin(cpus)
    for turn, (name, command) in enumerate(steps.items()):
        for place in places[turn % len(places):] + places[:turn % len(places)]:
            us = timed(command(os.path.join(place.root, "tree")), cpus)
            figures.add(f"{name}, a tree", place.name, us_per_op=us / files)


def make_durable(places):
    """What other phases left to be written is not for the first fsync of the next to pay."""
    for place in places:
        path = os.path.join(place.root, "durable")
        with open(path, "wb") as probe:
            os.fsync(probe.fileno())
        os.unlink(path)
    os.sync()


# fio's own name of what is done, bytes at once
FIO = {"fio-write": ("write", 131072), "fio-read": ("read", 131072),
       "fio-randread": ("randread", 4096), "fio-randwrite": ("randwrite", 4096)}


def run_fio(figures, places, megabytes):
    """Sequential and random I/O of one large file, as fio does it; the file stays for the next."""
    cpus = cpus_for(1)
    for place in places:
        place.pin(cpus)
    for turn, (name, (kind, block)) in enumerate(FIO.items()):
        for place in places[turn % len(places):] + places[:turn % len(places)]:
            ops = (megabytes << 20) // block if block > 4096 else 2048
            told = subprocess.run(
                ["fio", "--output-format=json", "--ioengine=psync", "--thread", f"--name={name}",
                 f"--filename={place.root}/fio", f"--rw={kind}", f"--bs={block}",
                 f"--size={megabytes}M", f"--io_size={ops * block}", "--allow_file_create=1",
                 "--fallocate=none"],
                check=True, capture_output=True, text=True,
                preexec_fn=lambda: os.sched_setaffinity(0, cpus)).stdout
            way = json.loads(told)["jobs"][0]["read" if "read" in kind else "write"]
            figures.add(f"{name}, {megabytes} MiB", place.name, us_per_op=way["lat_ns"]["mean"] / 1e3)
    for place in places:
        os.unlink(os.path.join(place.root, "fio"))


def write_archive(path, files, size):
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for i in range(files):
            info = tarfile.TarInfo(f"imported/f{i:07d}")
            info.size = size
            tar.addfile(info, io.BytesIO(os.urandom(size)))


def run_import(figures, scratch, place, files):
    """Importing against creating one by one, both with all processors."""
    path = os.path.join(scratch.path, "archive.tar")
    cpus = cpus_for(2)
    write_archive(path, files, 100)
    load = Load(place, 1, files, 100, cpus)
    figures.add("import, 100 B", "one by one", us_per_op=load.run("create")["mean_us_per_op"])
    load.close()
    with open(path, "rb") as tar:
        us = timed([place.binary, "import", place.root], cpus, tar)
    figures.add("import, 100 B", "bucketmap", us_per_op=us / files)
    shutil.rmtree(load.dir)
    shutil.rmtree(os.path.join(place.root, "imported"))
    os.unlink(path)


def ratio(figures, phase, subject, other):
    ours, theirs = (figures.get(phase, s, "us_per_op") for s in (subject, other))
    return ours / theirs if ours and theirs else None


def show(figures, names):
    rows = [["us an operation", *names, "requests", "of nothing's", "x nothing", "mark"]]
    for phase in figures.phases():
        if "nothing" not in figures.samples[phase] or phase.startswith(DURABLE[0]):
            continue
        times = ratio(figures, phase, "bucketmap", "nothing")
        rows.append([phase, *(frame.number(figures.get(phase, name, "us_per_op")) for name in names),
                     frame.number(figures.get(phase, "bucketmap", "requests_per_op"), 2),
                     frame.number(figures.get(phase, "nothing", "requests_per_op"), 2),
                     frame.number(times, 2), frame.mark(times, FIRST, GOAL)])
    frame.table(rows)


def show_against_disk(figures, disk):
    """What has another measure than the daemon that does nothing."""
    rows = [["us an operation", "bucketmap", "against", "", "x", "mark"]]
    for phase in figures.phases():
        if phase.startswith("create-fsync"):
            other, first, goal = disk, 1 / 2, 1 / 4
            if "4 clients" not in phase:
                first = goal = 1
        elif phase.startswith("import"):
            other, first, goal = "one by one", 1 / 10, 1 / 10
        else:
            continue
        times = ratio(figures, phase, "bucketmap", other)
        rows.append([phase, frame.number(figures.get(phase, "bucketmap", "us_per_op")), other,
                     frame.number(figures.get(phase, other, "us_per_op")),
                     frame.number(1 / times if times else None, 2), frame.mark(times, first, goal)])
    frame.table(rows)


def main():
    p = frame.parser(__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--tree", metavar="DIR", default="/usr/include/linux", help="the real tree (%(default)s)")
    p.add_argument("--rounds", type=int, metavar="N", help="medians of so many")
    p.add_argument("--files", type=int, metavar="N", help="small files a client and round")
    p.add_argument("--only", metavar="small|large|fio|durable|tree|import",
                   help="this part alone",
                   choices=["small", "large", "fio", "durable", "tree", "import"])
    options = p.parse_args()
    rounds = options.rounds or (4 if options.quick else 7)
    files = options.files or (400 if options.quick else 4000)
    if os.geteuid() != 0:
        p.error("only root can mount the tmpfs and pin the daemons")

    figures = frame.Figures()
    frame.be_first()
    with frame.Scratch(options.dir) as scratch:
        disk = subprocess.run(["stat", "-f", "-c", "%T", scratch.path], capture_output=True, text=True,
                              check=True).stdout.strip().replace("ext2/ext3", "ext4")
        print(frame.machine(options.dir), flush=True)
        places = []
        try:
            places += [Nothing(scratch)]
            places += [Bucketmap(scratch)]
            places += [Place(disk, scratch.sub("disk")), Tmpfs(scratch)]
            measure(figures, scratch, places, options, rounds, files)
        finally:
            for place in reversed(places):
                place.close()
        names = [place.name for place in places]
    print()
    show(figures, names)
    show_against_disk(figures, disk)
    if options.json:
        figures.write(options.json)


def measure(figures, scratch, places, options, rounds, files):
    sets = [(100, 1), (4096, 1), (100, 2)] if options.quick else \
        [(size, clients) for clients in (1, 2) for size in SIZES]
    wanted = lambda part: options.only in (None, part)
    ours = next(place for place in places if place.name == "bucketmap")
    for turn in range(rounds):
        order = places[turn % len(places):] + places[:turn % len(places)]
        for size, clients in sets if wanted("small") else []:
            label = f"{SIZES[size]}, {clients} client" + ("s" if clients > 1 else "")
            # several clients take a while until the scheduler has settled them
            few = 1 if size < 65536 else 4
            run_phases(figures, order, SMALL, label, clients,
                       (4 * files if clients > 1 and options.quick else files) // few, size)
        if wanted("tree"):
            run_tree(figures, order, options.tree)
        if wanted("large"):
            run_phases(figures, order, LARGE, "64 MiB", 1, files, 100)
        if wanted("fio") and (turn < 3 or not options.quick):
            run_fio(figures, order, 64 if options.quick else 256)
        for clients in (1, 4) if wanted("durable") else ():
            make_durable(places)
            run_phases(figures, order, DURABLE, f"{clients} client" + ("s" if clients > 1 else ""), clients,
                       max(400, files // 4), 100)
        if wanted("import"):
            run_import(figures, scratch, ours, 10 * files if options.quick else 5 * files)


if __name__ == "__main__":
    main()
