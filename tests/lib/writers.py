# SPDX-License-Identifier: MIT
"""usage: writers.py fill|verify|empty MOUNT NOTES ROUND

fill: eight processes write files until three of them did not fit, and note in NOTES.* the sizes
of those that were acknowledged. verify: what they noted is there, byte for byte. empty: removes
it, half of them in any order.
"""

import errno
import os
import random
import sys

what, mount, notes, round_ = sys.argv[1:]
WRITERS = 8


def sizes():
    """Of files, without end: mixed or small."""
    kind = int(round_) % 2
    while True:
        if kind and random.random() < 0.02:
            yield random.randrange(300000)
        else:
            yield random.randrange(1500, 6000) if kind else random.randrange(500, 3000)


def content(path, size):
    name = os.path.basename(path).encode() + b"*"
    return (name * (size // len(name) + 1))[:size]


def write(path, size):
    with open(path, "wb", buffering=0) as file:
        data = memoryview(content(path, size))
        while data:
            data = data[file.write(data):]


def fill(number):
    left, made = 3, []
    size = sizes()
    while left:
        path, n = f"{mount}/{number}-{len(made)}", next(size)
        try:
            write(path, n)
            made.append(n)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            left -= 1
            if os.path.exists(path):
                os.unlink(path)
    with open(f"{notes}.{number}", "w") as file:
        print(*made, file=file)


def made(number):
    with open(f"{notes}.{number}") as file:
        return [int(n) for n in file.read().split()]


def verify(number):
    for i, n in enumerate(made(number)):
        path = f"{mount}/{number}-{i}"
        with open(path, "rb") as file:
            if file.read() != content(path, n):
                sys.exit(f"{path} is not what was written")


def empty(number):
    order = list(range(len(made(number))))
    if number % 2:
        random.shuffle(order)
    for i in order:
        os.unlink(f"{mount}/{number}-{i}")


children = []
for number in range(WRITERS):
    child = os.fork()
    if child == 0:
        random.seed(int(round_) * WRITERS + number)
        globals()[what](number)
        sys.exit(0)
    children.append(child)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0 for child in children))
