# SPDX-License-Identifier: MIT
"""What the mount is measured against: places where the load finds a directory."""
import contextlib
import os
import signal
import subprocess
import time

import frame


def cpus_for(clients):
    """One client shares a processor with its daemon: the time is what both cost together."""
    everywhere = os.sched_getaffinity(0)
    return {min(everywhere)} if clients == 1 else everywhere


class Place:
    """A directory as it is."""

    def __init__(self, name, root):
        self.name = name
        self.root = root
        self.pid = None

    def pin(self, cpus):
        """The daemon, with all its threads, to CPUS."""
        if self.pid is None:
            return
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            with contextlib.suppress(ProcessLookupError):  # one that ended meanwhile
                os.sched_setaffinity(int(thread), cpus)

    def close(self):
        pass


class Nothing(Place):
    """The daemon that does nothing: the floor."""

    def __init__(self, scratch):
        super().__init__("nothing", scratch.sub("nothing"))
        self.process = subprocess.Popen([frame.built("tests", "bench", "mount", "nothing"), "-f",
                                         self.root], stdout=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL)
        self.process.stdout.readline()
        os.stat(self.root)
        self.pid = self.process.pid

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


class Bucketmap(Place):
    def __init__(self, scratch, binary=None, options=()):
        super().__init__("bucketmap", scratch.sub("mnt"))
        self.binary = binary or frame.built("fs", "bucketmap")
        self.store = os.path.join(scratch.path, "store")
        self.mount(options)

    def mount(self, options=()):
        subprocess.run([self.binary, "mount", *options, self.store, self.root], check=True,
                       stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(os.path.join(self.store, "lock"), encoding="utf-8") as lock:
            self.pid = int(lock.read().split()[0])

    def close(self):
        subprocess.run([self.binary, "umount", self.root], check=True, stdin=subprocess.DEVNULL)


class Tmpfs(Place):
    def __init__(self, scratch):
        super().__init__("tmpfs", scratch.sub("tmpfs"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", self.root], check=True)

    def close(self):
        subprocess.run(["umount", self.root], check=True)


class Load:
    """The load generator, waiting for phases, in a fresh directory of a place."""

    numbers = iter(range(1 << 30))

    def __init__(self, place, clients, files, size, cpus):
        self.dir = os.path.join(place.root, f"load{next(Load.numbers)}")
        os.mkdir(self.dir)
        self.command = [frame.built("tests", "bench", "mount", "load"), place.root, self.dir,
                        str(clients), str(files), str(size)]
        self.cpus = cpus
        self.place = place
        self.reopen()

    def reopen(self):
        """Goes on where a closed one left its files."""
        self.place.pin(self.cpus)
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True,
                                        preexec_fn=lambda: os.sched_setaffinity(0, self.cpus))

    def run(self, phase):
        """Microseconds and requests an operation; requests are None where nobody tells."""
        print(phase, file=self.process.stdin, flush=True)
        words = self.process.stdout.readline().split()
        if len(words) != 4:
            raise RuntimeError(f"{self.place.name}: {phase} failed")
        return {"us_per_op": float(words[1]), "mean_us_per_op": float(words[2]),
                "requests_per_op": None if words[3] == "-" else float(words[3])}

    def close(self):
        self.process.stdin.close()
        if self.process.wait():
            raise RuntimeError(f"{self.place.name}: the load failed")


def timed(command, cpus, stdin=subprocess.DEVNULL):
    """Microseconds that a command takes; 1 is grep's way to say that it found nothing."""
    start = time.monotonic_ns()
    done = subprocess.run(command, check=False, stdin=stdin, stdout=subprocess.DEVNULL,
                          preexec_fn=lambda: os.sched_setaffinity(0, cpus))
    us = (time.monotonic_ns() - start) / 1e3
    if done.returncode not in ((0, 1) if command[0] == "grep" else (0,)):
        raise RuntimeError(f"{' '.join(command)} failed")
    return us
