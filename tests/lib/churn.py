# SPDX-License-Identifier: MIT
"""usage: churn.py work DIR PROGRESS CALLS SEED | churn.py verify DIR

work: changes what is in DIR in every way, with files that tell themselves whether they are whole,
and writes a byte to PROGRESS after each 50 changes. Stops quietly when the mount is gone, or the
disk is full, which it then makes some room on. verify: every file in DIR is whole.
"""

import ctypes
import errno
import hashlib
import os
import random
import sys

libc = ctypes.CDLL(None, use_errno=True)
DIGEST = 32
GONE = (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.ENODEV)


def content(size):
    """Zeros at random places are holes later."""
    body = bytearray(random.randbytes(size))
    if size > 1 << 18:
        start = random.randrange(size)
        body[start:start + (1 << 17)] = bytes(min(1 << 17, size - start))
    return hashlib.blake2b(body, digest_size=DIGEST).digest() + body


def sizes():
    return random.choice([random.randrange(200), random.randrange(5000), random.randrange(60000),
                          random.randrange(200), random.randrange(5000), random.randrange(1 << 20)])


def write(path, data):
    """Whole under its name, or not there."""
    with open(path + ".new", "wb", buffering=0) as file:
        if random.random() < 0.2:
            libc.fallocate(file.fileno(), 1, ctypes.c_long(0), ctypes.c_long(len(data) * 2))
        left = memoryview(data)
        while left:
            left = left[file.write(left[:random.choice([4096, 65536, 1 << 20])]):]
        file.truncate(len(data))
        hole = data.find(bytes(1 << 16))
        if hole >= 0:
            libc.fallocate(file.fileno(), 3, ctypes.c_long(hole), ctypes.c_long(1 << 16))
        if random.random() < 0.05:
            os.fsync(file.fileno())
    os.rename(path + ".new", path)


def rewrite(path):
    """In place, so short that it is one change."""
    fd = os.open(path, os.O_RDWR)
    try:
        if os.fstat(fd).st_size <= 8192 and os.fstat(fd).st_nlink == 1:
            size = os.fstat(fd).st_size - DIGEST
            if size >= 0:
                os.pwrite(fd, content(size), 0)
    finally:
        os.close(fd)


def change(top, directories, names):
    def pick():
        return f"{random.choice(directories)}/{random.randrange(names)}"

    path, other = pick(), pick()
    what = random.random()
    try:
        if what < 0.45:
            write(path, content(sizes()))
        elif what < 0.6:
            os.unlink(path)
        elif what < 0.7:
            os.rename(path, other)
        elif what < 0.75:
            os.link(path, other)
        elif what < 0.8:
            libc.renameat2(-100, path.encode(), -100, other.encode(), 2)
        elif what < 0.88:
            rewrite(path)
        elif what < 0.92:
            os.setxattr(path, "user.x%d" % random.randrange(20), random.randbytes(random.randrange(2000)))
        elif what < 0.96:
            os.setxattr(path, "user.bucketmap.refcount", b"+1")
        elif what < 0.98:
            place = f"{top}/d{random.randrange(12)}"
            os.rename(place, place + ".moved")
            os.rename(place + ".moved", place)
        else:
            with open(path, "rb") as file:
                held = file.read()
                os.unlink(path)
                file.seek(0)
                assert file.read() == held
    except (FileNotFoundError, FileExistsError):
        pass


def make_room(top):
    for path in files(top):
        if random.random() < 0.3 or path.endswith(".new"):
            os.unlink(path)


def work(top, progress, calls, seed):
    random.seed(int(seed))
    directories = [f"{top}/d{i}/e{i % 3}" for i in range(12)]
    try:
        for path in directories:
            os.makedirs(path, exist_ok=True)
        with open(progress, "ab", buffering=0) as told:
            for i in range(int(calls)):
                try:
                    change(top, directories, 150)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    make_room(top)
                if i % 50 == 49:
                    told.write(b".")
    except OSError as error:
        if error.errno not in GONE:
            raise


def files(top):
    for place, _, names in os.walk(top):
        for name in names:
            yield os.path.join(place, name)


def verify(top):
    n = 0
    for path in files(top):
        if path.endswith(".new"):
            os.unlink(path)
            continue
        with open(path, "rb") as file:
            digest, body = file.read(DIGEST), file.read()
        if hashlib.blake2b(body, digest_size=DIGEST).digest() != digest:
            sys.exit(f"{path} is not whole")
        n += 1
    print(f"{n} files are whole")


globals()[sys.argv[1]](*sys.argv[2:])
