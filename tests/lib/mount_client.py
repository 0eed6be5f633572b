# SPDX-License-Identifier: MIT
"""usage: mount_client.py DIR NUMBER OPERATIONS SEED
One of several clients of a mount: random operations on files of its own, in
DIR/NUMBER, whose contents and names it knows; on counts that all share, in
DIR/shared; and reads of what the others do. Ends with exit code 1 at the first
thing that is not as it must be. Prints by how much it changed the shared counts.
"""
import errno
import os
import random
import sys

COUNT, HASH = "user.bucketmap.refcount", "user.bucketmap.xxh3"
N_NAMES = 40


class Client:
    def __init__(self, root, number, seed):
        self.random = random.Random(f"{seed}.{number}")
        self.root = root
        self.home = os.path.join(root, str(number))
        self.shared = os.path.join(root, "shared")
        self.files = {}  # name: contents, names of one file share a list
        self.added = [0, 0, 0]  # to each shared count
        os.mkdir(self.home)

    def path(self, name):
        return os.path.join(self.home, name)

    def name(self):
        return f"n{self.random.randrange(N_NAMES)}"

    def bytes(self):
        # inline in its record, in one chunk, in several
        size = self.random.choice([0, 100, 4000, 15000, 30000, 90000])
        return self.random.randbytes(self.random.randint(0, size))

    # of its own files

    def create(self):
        name, value = self.name(), self.bytes()
        if name in self.files:
            assert fails(errno.EEXIST, open, self.path(name), "xb")
            return
        with open(self.path(name), "xb", buffering=0) as file:
            write_all(file, value)
        self.files[name] = [value]

    def read(self):
        name = self.name()
        if name not in self.files:
            assert fails(errno.ENOENT, open, self.path(name), "rb")
            return
        with open(self.path(name), "rb") as file:
            assert file.read() == self.files[name][0], name

    def overwrite(self):
        name, value = self.name(), self.bytes()
        if name in self.files:
            with open(self.path(name), "wb", buffering=0) as file:
                write_all(file, value)
                if self.random.random() < 0.1:
                    os.fsync(file.fileno())
            self.files[name][0] = value

    def write_within(self):
        name, value = self.name(), self.bytes()
        if name in self.files:
            old = self.files[name][0]
            at = self.random.randint(0, len(old))
            with open(self.path(name), "r+b", buffering=0) as file:
                file.seek(at)
                write_all(file, value)
            self.files[name][0] = old[:at] + value + old[at + len(value):]

    def truncate(self):
        name = self.name()
        if name in self.files:
            old = self.files[name][0]
            size = self.random.randint(0, len(old) + 100)
            os.truncate(self.path(name), size)
            self.files[name][0] = old[:size] + bytes(size - len(old[:size]))

    def rename(self):
        name, new = self.name(), self.name()
        # of two names of one file both stay
        if name in self.files and self.files.get(new) is not self.files[name]:
            os.rename(self.path(name), self.path(new))
            self.files[new] = self.files.pop(name)

    def link(self):
        name, new = self.name(), self.name()
        if name in self.files and new not in self.files:
            os.link(self.path(name), self.path(new))
            self.files[new] = self.files[name]

    def unlink(self):
        name = self.name()
        if name in self.files:
            with open(self.path(name), "rb") as file:
                os.unlink(self.path(name))
                assert file.read() == self.files.pop(name)[0], name

    def list(self):
        seen = sorted(os.listdir(self.home))
        assert seen == sorted(self.files), (seen, sorted(self.files))

    def hash(self):
        name = self.name()
        if name in self.files:
            assert len(os.getxattr(self.path(name), HASH)) == 16

    # of what all share

    def count(self):
        key = self.random.randrange(3)
        step = self.random.choice([1, 1, -1])
        if step > 0 or self.added[key] > 0:
            os.setxattr(os.path.join(self.shared, f"k{key}"), COUNT, b"%+d" % step)
            self.added[key] += step

    def look_around(self):
        """At what may go at any moment."""
        for other in os.listdir(self.root):
            directory = os.path.join(self.root, other)
            for name in os.listdir(directory)[:3]:
                try:
                    with open(os.path.join(directory, name), "rb") as file:
                        file.read()
                except FileNotFoundError:
                    pass


def fails(number, function, *args):
    try:
        function(*args).close()
    except OSError as error:
        return error.errno == number
    return False


def write_all(file, value):
    while value:
        value = value[file.write(value):]


def main():
    root, number, operations, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    client = Client(root, number, seed)
    steps = [client.create] * 4 + [client.read] * 4 + [client.overwrite] * 3 + [
        client.write_within, client.truncate, client.rename, client.rename, client.link,
        client.unlink, client.unlink, client.list, client.hash, client.count, client.count,
        client.look_around]
    for _ in range(operations):
        client.random.choice(steps)()
    client.list()
    for name, contents in client.files.items():
        with open(client.path(name), "rb") as file:
            assert file.read() == contents[0], name
    print(sum(client.added))


main()
