# SPDX-License-Identifier: MIT
"""The calls of Python's os module in the directory that is the argument."""
import errno
import os
import shutil
import stat
import sys
import tempfile


def fails(error, call, *args, **kwargs):
    """CALL fails with that errno."""
    try:
        call(*args, **kwargs)
    except OSError as found:
        assert found.errno == error, (call, args, found)
    else:
        raise AssertionError((call, args, "did not fail"))


def write(name, data):
    with open(name, "wb") as file:
        file.write(data)


def read(name):
    with open(name, "rb") as file:
        return file.read()


def opening():
    fd = os.open("new", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    fails(errno.EEXIST, os.open, "new", os.O_CREAT | os.O_EXCL | os.O_RDWR)
    assert os.write(fd, b"0123456789") == 10
    assert os.pread(fd, 4, 3) == b"3456"
    assert os.pwrite(fd, b"XY", 8) == 2
    assert os.lseek(fd, 0, os.SEEK_END) == 10
    assert os.pread(fd, 100, 0) == b"01234567XY"
    assert os.pread(fd, 100, 10) == b""
    os.ftruncate(fd, 4)
    assert os.fstat(fd).st_size == 4
    os.fsync(fd)
    os.fdatasync(fd)
    os.close(fd)
    fails(errno.EISDIR, os.open, ".", os.O_WRONLY)
    fails(errno.ENOTDIR, os.open, "new", os.O_DIRECTORY)
    fails(errno.ENOENT, os.open, "none/new", os.O_CREAT)
    fd = os.open("new", os.O_WRONLY | os.O_APPEND)
    os.lseek(fd, 0, os.SEEK_SET)
    os.write(fd, b"end")
    os.close(fd)
    assert read("new") == b"0123end"
    os.unlink("new")


def vectors():
    fd = os.open("vector", os.O_CREAT | os.O_RDWR, 0o644)
    assert os.writev(fd, [b"abc", b"", b"defg"]) == 7
    parts = [bytearray(2), bytearray(10)]
    assert os.preadv(fd, parts, 1) == 6
    assert bytes(parts[0]) == b"bc" and bytes(parts[1][:4]) == b"defg"
    os.close(fd)
    os.unlink("vector")


def directories():
    os.mkdir("dir", 0o755)
    fails(errno.EEXIST, os.mkdir, "dir")
    write("dir/file", b"x")
    fails(errno.ENOTEMPTY, os.rmdir, "dir")
    fails(errno.ENOTDIR, os.rmdir, "dir/file")
    assert os.listdir("dir") == ["file"]
    before = os.stat("dir").st_mtime_ns
    os.unlink("dir/file")
    assert os.stat("dir").st_mtime_ns > before
    os.makedirs("dir/a/b/c")
    fd = os.open("dir", os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.mkdir("d", dir_fd=fd)
    assert sorted(os.listdir(fd)) == ["a", "d"]
    os.close(fd)
    with os.scandir("dir") as entries:
        assert all(entry.is_dir() and entry.inode() == entry.stat().st_ino for entry in entries)
    shutil.rmtree("dir")
    fails(errno.ENOENT, os.listdir, "dir")


def renaming():
    write("a", b"a")
    write("b", b"b")
    inode = os.stat("a").st_ino
    os.rename("a", "b")
    assert read("b") == b"a" and os.stat("b").st_ino == inode
    fails(errno.ENOENT, os.rename, "a", "c")
    os.rename("b", "b")
    os.mkdir("dir")
    os.mkdir("dir2")
    fails(errno.EISDIR, os.rename, "b", "dir")
    fails(errno.ENOTDIR, os.rename, "dir", "b")
    write("dir2/file", b"x")
    fails(errno.ENOTEMPTY, os.rename, "dir", "dir2")
    os.unlink("dir2/file")
    os.rename("dir", "dir2")
    fails(errno.EINVAL, os.rename, "dir2", "dir2/inner")
    os.rmdir("dir2")
    os.unlink("b")


def times():
    write("file", b"x")
    os.utime("file", ns=(1, 2))
    status = os.stat("file")
    assert (status.st_atime_ns, status.st_mtime_ns) == (1, 2)
    os.utime("file", ns=(-1500000000, 4102444800999999999))
    status = os.stat("file")
    assert (status.st_atime_ns, status.st_mtime_ns) == (-1500000000, 4102444800999999999)
    os.utime("file")
    assert abs(os.stat("file").st_mtime - os.stat("file").st_ctime) < 1
    os.symlink("file", "link")
    os.utime("link", ns=(5, 6), follow_symlinks=False)
    assert os.lstat("link").st_mtime_ns == 6
    assert os.stat("file").st_mtime_ns != 6
    os.unlink("link")
    os.unlink("file")


def kinds():
    write("file", b"x")
    os.symlink("file", "link")
    fails(errno.EEXIST, os.symlink, "x", "link")
    fails(errno.EINVAL, os.readlink, "file")
    assert stat.S_ISLNK(os.lstat("link").st_mode) and os.lstat("link").st_size == 4
    assert os.lstat("link").st_ino != os.stat("link").st_ino
    assert os.stat("file").st_nlink == 1
    assert os.stat(".").st_ino == 1
    assert os.stat("file").st_blksize > 0
    os.link("file", "second")
    assert os.stat("file").st_nlink == 2
    assert os.stat("file").st_ino == os.stat("second").st_ino
    fails(errno.EEXIST, os.link, "file", "link")
    os.mkfifo("fifo")
    assert stat.S_ISFIFO(os.stat("fifo").st_mode) and os.stat("fifo").st_size == 0
    assert {"fifo", "file", "link", "second"} <= set(os.listdir("."))
    os.unlink("fifo")
    os.unlink("second")
    assert os.stat("file").st_nlink == 1
    os.unlink("link")
    os.unlink("file")


def sizes():
    write("file", b"")
    for size in (2**44 - 1, 2**40, 0):
        os.truncate("file", size)
        assert os.stat("file").st_size == size
    fails(errno.EFBIG, os.truncate, "file", 2**44)
    assert os.stat("file").st_size == 0
    fd = os.open("file", os.O_RDWR)
    fails(errno.EFBIG, os.pwrite, fd, b"x", 2**44)
    assert os.pwrite(fd, b"x", 2**44 - 2) == 1
    assert os.pread(fd, 10, 2**44 - 3) == b"\0x"
    os.close(fd)
    os.unlink("file")


def temporary():
    with tempfile.NamedTemporaryFile(dir=".") as file:
        file.write(b"x" * 100000)
        file.flush()
        assert os.stat(file.name).st_size == 100000
    with tempfile.TemporaryDirectory(dir=".") as name:
        write(name + "/file", b"x")
    with tempfile.TemporaryFile(dir=".") as file:
        file.write(b"unnamed")
        file.seek(0)
        assert file.read() == b"unnamed"
    assert set(os.listdir(".")) <= {"aged"}


def copying():
    data = os.urandom(700000)
    write("file", data)
    shutil.copyfile("file", "copy")
    assert read("copy") == data
    source, target = os.open("file", os.O_RDONLY), os.open("sent", os.O_CREAT | os.O_WRONLY)
    done = 0
    while done < len(data):
        done += os.sendfile(target, source, done, len(data) - done)
    os.close(source)
    os.close(target)
    assert read("sent") == data
    for name in ("file", "copy", "sent"):
        os.unlink(name)


def main():
    os.chdir(sys.argv[1])
    for part in (opening, vectors, directories, renaming, times, kinds, sizes, temporary, copying):
        part()
        assert set(os.listdir(".")) <= {"aged"}, part


main()
