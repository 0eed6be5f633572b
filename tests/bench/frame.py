# SPDX-License-Identifier: MIT
"""What the benchmarks have in common: options, the machine, tables, marks.

Figures are kept as {phase: {subject: {quantity: number}}}, which is also what
--json writes.
"""
import argparse
import json
import mmap
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time


def parser(description):
    p = argparse.ArgumentParser(description=description)
    p.add_argument("--quick", action="store_true", help="less of everything: about a minute")
    p.add_argument("--json", metavar="FILE", help="write the figures there")
    p.add_argument("--dir", metavar="DIR", default=os.environ.get("TMPDIR", "/var/tmp"),
                   help="where stores and files are made; its disk is the one measured (%(default)s)")
    return p


class Figures:
    """Samples of quantities; several of one are told as their median."""

    def __init__(self):
        self.samples = {}

    def add(self, phase, subject, **quantities):
        cell = self.samples.setdefault(phase, {}).setdefault(subject, {})
        for name, value in quantities.items():
            if value is not None:
                cell.setdefault(name, []).append(value)

    def get(self, phase, subject, quantity):
        """None if it was not measured."""
        values = self.samples.get(phase, {}).get(subject, {}).get(quantity)
        return statistics.median(values) if values else None

    def phases(self):
        return list(self.samples)

    def write(self, path):
        told = {phase: {subject: {name: round(statistics.median(values), 3)
                                  for name, values in cell.items()}
                        for subject, cell in subjects.items()}
                for phase, subjects in self.samples.items()}
        with open(path, "w", encoding="utf-8") as out:
            json.dump(told, out, indent=1)
            out.write("\n")


def mark(ratio, first, goal):
    """How a ratio that shall be small stands to what is to be reached."""
    if ratio is None:
        return ""
    if ratio <= goal:
        return "goal"
    return "first" if ratio <= first else f"SHORT of {first:g}"


def number(value, digits=1):
    return "-" if value is None else f"{value:,.{digits}f}"


def table(rows):
    """Prints rows of strings, the first the heads; all columns but the first to the right."""
    if len(rows) == 1:
        return
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for i, row in enumerate(rows):
        cells = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip())
        if i == 0:
            print("  ".join("-" * w for w in widths))
    print(flush=True)


FRESH_PAGES = 32768


def fresh_page_us():
    """What the first touch of a page costs. Some virtual machines give free memory back to
    their host, and a page of it then takes several times as long: who writes a log pays that."""
    with mmap.mmap(-1, FRESH_PAGES * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as fresh:
        fresh.madvise(mmap.MADV_NOHUGEPAGE)
        start = time.monotonic_ns()
        fresh[::mmap.PAGESIZE] = b"x" * FRESH_PAGES
        return (time.monotonic_ns() - start) / 1e3 / FRESH_PAGES


def machine(directory):
    """One line about what the figures come from."""
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        for line in info:
            if line.startswith("model name"):
                model = " ".join(line.split(":", 1)[1].split())
                break
    kind = subprocess.run(["stat", "-f", "-c", "%T", directory], capture_output=True, text=True,
                          check=True).stdout.strip()
    load = os.getloadavg()[0]
    return (f"{os.cpu_count()} x {model}, Linux {platform.release()}, "
            f"{directory} on {kind}, load {load:.1f} at the start, "
            f"{fresh_page_us():.1f} us for a fresh page")


class Scratch:
    """A directory of one's own, which goes away with all that was mounted below it."""

    def __init__(self, parent):
        self.path = tempfile.mkdtemp(prefix="bucketmap-bench.", dir=parent)
        self.at_end = []

    def __enter__(self):
        return self

    def sub(self, name):
        path = os.path.join(self.path, name)
        os.makedirs(path, exist_ok=True)
        return path

    def mounted(self, path):
        self.at_end.append(lambda: subprocess.run(["umount", path], check=False))

    def __exit__(self, *_):
        for action in reversed(self.at_end):
            action()
        with open("/proc/self/mountinfo", encoding="utf-8") as info:
            if any(line.split()[4].startswith(self.path + "/") for line in info):
                raise RuntimeError(f"{self.path}: something is still mounted there")
        shutil.rmtree(self.path)


def be_first():
    """On a machine that does other things, the measured goes before them; for root only."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    except PermissionError:
        pass


def built(*path):
    return os.path.join(os.environ["BENCH_BUILD"], *path)


def bucketmap(*args, **kwargs):
    return subprocess.run([built("fs", "bucketmap"), *args], check=True, stdin=subprocess.DEVNULL,
                          stderr=kwargs.pop("stderr", subprocess.DEVNULL), **kwargs)
