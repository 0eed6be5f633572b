# SPDX-License-Identifier: MIT
# Databases, and the locks that they rely on.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        require_command python3
        mount_store
}

@test "SQLite under four writing processes, with a rollback journal and with a write-ahead log" {
        cat >writers.py <<'END'
import multiprocessing, sqlite3, sys
path, mode = sys.argv[1:]

def connect():
    db = sqlite3.connect(path, timeout=600, isolation_level=None)
    db.execute("pragma synchronous=normal")
    return db

db = connect()
assert db.execute("pragma journal_mode=" + mode).fetchone()[0] == mode
db.execute("create table account(id integer primary key, sum integer)")
db.executemany("insert into account values(?, 1000)", [(i,) for i in range(8)])
db.execute("create table note(who integer, n integer, text blob, primary key(who, n))")
db.close()

def write(who):
    db = connect()
    for n in range(40):
        db.execute("begin immediate")
        a, b = (who + n) % 8, (who * 3 + n * 5 + 1) % 8
        db.execute("update account set sum = sum - 7 where id = ?", (a,))
        db.execute("update account set sum = sum + 7 where id = ?", (b,))
        db.execute("insert into note values(?, ?, ?)", (who, n, b"x" * 3000))
        db.execute("rollback" if n % 10 == 9 else "commit")
    db.close()

processes = [multiprocessing.Process(target=write, args=(who,)) for who in range(4)]
for p in processes:
    p.start()
for p in processes:
    p.join()
    assert p.exitcode == 0
db = connect()
assert db.execute("pragma integrity_check").fetchone()[0] == "ok"
assert db.execute("select sum(sum) from account").fetchone()[0] == 8000
assert db.execute("select count(*) from note").fetchone()[0] == 4 * 36
END
        for mode in delete wal; do
                run_cmd python3 writers.py "$MNT/$mode.db" "$mode"
        done
        remount_store
        for mode in delete wal; do
                run_cmd python3 -c '
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
assert db.execute("pragma integrity_check").fetchone()[0] == "ok"
assert db.execute("select count(*) from note").fetchone()[0] == 144' "$MNT/$mode.db"
        done
}

@test "fcntl, open-file-description and flock locks between processes" {
        cat >locks.py <<'END'
import errno, fcntl, multiprocessing, os, struct, sys
path = sys.argv[1]
with open(path, "wb") as f:
    f.write(bytes(100))

def try_lock(how, start, length, kind, result):
    fd = os.open(path, os.O_RDWR)
    try:
        if how == "flock":
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        elif how == "posix":
            fcntl.lockf(fd, kind | fcntl.LOCK_NB, length, start)
        else:
            lock = struct.pack("hhqqi4x", fcntl.F_WRLCK if kind == fcntl.LOCK_EX else fcntl.F_RDLCK, 0, start, length, 0)
            fcntl.fcntl(fd, 37, lock) # F_OFD_SETLK
        result.value = 0
    except OSError as e:
        result.value = e.errno

def other(*args):
    "what another process gets"
    result = multiprocessing.Value("i", -1)
    p = multiprocessing.Process(target=try_lock, args=(*args, result))
    p.start()
    p.join()
    return result.value

busy = (errno.EAGAIN, errno.EACCES)
EX, SH = fcntl.LOCK_EX, fcntl.LOCK_SH
fd = os.open(path, os.O_RDWR)
for how in "posix", "ofd":
    fcntl.lockf(fd, EX, 10, 20)
    assert other(how, 25, 1, SH) in busy, how
    assert other(how, 30, 5, EX) == 0, how
    fcntl.lockf(fd, SH, 10, 20)
    assert other(how, 25, 1, SH) == 0, how
    assert other(how, 25, 1, EX) in busy, how
    fcntl.lockf(fd, fcntl.LOCK_UN, 10, 20)
    assert other(how, 25, 1, EX) == 0, how
fcntl.flock(fd, EX)
assert other("flock", 0, 0, SH) in busy
fcntl.flock(fd, SH)
assert other("flock", 0, 0, SH) == 0 and other("flock", 0, 0, EX) in busy
os.close(fd)
assert other("flock", 0, 0, EX) == 0
# one who waits gets it when its holder dies
ready, got = multiprocessing.Event(), multiprocessing.Event()
def hold():
    fd = os.open(path, os.O_RDWR)
    fcntl.lockf(fd, EX)
    ready.set()
    os.kill(os.getpid(), 19)
def wait():
    fcntl.lockf(os.open(path, os.O_RDWR), EX)
    got.set()
holder, waiter = multiprocessing.Process(target=hold), multiprocessing.Process(target=wait)
holder.start()
ready.wait()
waiter.start()
holder.kill()
waiter.join()
assert got.is_set()
END
        run_cmd python3 locks.py "$MNT/file"
}

@test "a mapping shared by processes is what read and write see" {
        run_cmd python3 -c '
import mmap, multiprocessing, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 1 << 20)
m = mmap.mmap(fd, 1 << 20)
def child():
    other = os.open(sys.argv[1], os.O_RDWR)
    n = mmap.mmap(other, 1 << 20)
    for i in range(0, 1 << 20, 4096):
        assert n[i:i + 3] == b"map", i
        n[i:i + 3] = b"sub"
    os.pwrite(other, b"written", 500000)
for i in range(0, 1 << 20, 4096):
    m[i:i + 3] = b"map"
p = multiprocessing.Process(target=child)
p.start()
p.join()
assert p.exitcode == 0
assert all(m[i:i + 3] == b"sub" for i in range(0, 1 << 20, 4096))
assert m[500000:500007] == b"written"
m[7:10] = b"new"
assert os.pread(fd, 3, 7) == b"new"
assert os.pread(os.open(sys.argv[1], os.O_RDONLY), 3, 7) == b"new"
' "$MNT/file"
}

@test "O_SYNC and O_DSYNC write, then sync; an append of several processes loses nothing" {
        require_command jq
        count() {
                "$BUCKETMAP" stats --json "$MNT" | jq .requests.fsync.requests
        }
        for flag in O_SYNC O_DSYNC; do
                before=$(count)
                run_cmd python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | getattr(os, sys.argv[2]))
for i in range(5):
    os.write(fd, b"x")' "$MNT/$flag" "$flag"
                assert_equal $(($(count) - before)) 5
        done
        run_cmd python3 -c '
import multiprocessing, os, sys
def append(who):
    fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for n in range(300):
        os.write(fd, b"%d %d %s\n" % (who, n, b"x" * (1 + who * 100 + n)))
ps = [multiprocessing.Process(target=append, args=(who,)) for who in range(4)]
[p.start() for p in ps]
[p.join() for p in ps]
lines = open(sys.argv[1], "rb").read().splitlines()
seen = [[], [], [], []]
for line in lines:
    who, n, xs = line.split()
    assert xs == b"x" * (1 + int(who) * 100 + int(n))
    seen[int(who)].append(int(n))
assert seen == [list(range(300))] * 4' "$MNT/log"
}
