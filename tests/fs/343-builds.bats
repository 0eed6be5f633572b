# SPDX-License-Identifier: MIT
# Work in it: compilers, Python's ways of keeping things, editors.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        mount_store
        export HOME=$SCRATCH
}

@test "make and gcc build a real tree in it" {
        require_command gcc make
        source=${BATS_TEST_DIRNAME}/../../core
        [ -d "$source" ] || skip "the sources are not here"
        cp -r "$source" "$MNT/core"
        cat >"$MNT/core/Makefile" <<'END'
objects := $(patsubst %.c,%.o,$(wildcard *.c base/*.c))
libcore.a: $(objects)
	ar rcs $@ $^
%.o: %.c
	gcc -std=gnu17 -D_GNU_SOURCE -I. -O0 -MMD -c -o $@ $<
-include $(objects:.o=.d)
END
        run_cmd make -s -j2 -C "$MNT/core"
        run_cmd make -q -C "$MNT/core"
        run_cmd nm "$MNT/core/libcore.a"
        assert_line --partial " T bm_open"
        # what depends on a changed header is built again, and nothing else
        touch "$MNT/core/compact.h"
        run_cmd make -C "$MNT/core"
        assert_output --partial "-o compact.o"
        refute_output --partial "-o base/varint.o"
        run_cmd make -q -C "$MNT/core"
}

@test "Python: a virtual environment, shelve and dbm" {
        require_command python3
        python3 -c 'import ensurepip, venv' || missing python3-venv
        run_cmd python3 -m venv --without-pip "$MNT/venv"
        run_cmd env -u PYTHONDONTWRITEBYTECODE "$MNT/venv/bin/python" -c '
import compileall, sys
assert sys.prefix != sys.base_prefix
open(sys.argv[1] + "/module.py", "w").write("answer = 42\n")
sys.path.insert(0, sys.argv[1])
import module
assert module.answer == 42 and "__pycache__" in module.__cached__' "$MNT"
        assert_dir_exists "$MNT/__pycache__"
        run_cmd python3 -c '
import dbm.dumb, os, shelve, sys
os.chdir(sys.argv[1])
with shelve.open("shelf") as s:
    for i in range(500):
        s[str(i)] = {"n": i, "text": "x" * i}
    del s["7"]
with shelve.open("shelf", "r") as s:
    assert len(s) == 499 and s["499"]["text"] == "x" * 499
for kind in "gnu", "ndbm", "dumb":
    try:
        module = __import__("dbm." + kind, fromlist=["open"])
    except ImportError:
        continue
    with module.open(kind, "c") as d:
        for i in range(1000):
            d[b"%d" % i] = b"v" * (i % 300)
    with module.open(kind, "w") as d:
        assert d[b"999"] == b"v" * 99
        for i in range(0, 1000, 2):
            del d[b"%d" % i]
    with module.open(kind, "r") as d:
        assert len(d.keys()) == 500
' "$MNT"
}

@test "nano saves, with a backup too" {
        require_command nano python3
        printf 'one\ntwo\n' >"$MNT/text"
        setfattr -n user.bucketmap.refcount -v 3 "$MNT/text"
        cat >type.py <<'END'
import os, pty, select, sys
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execvp("nano", ["nano", "--ignorercfiles", *sys.argv[1:]])
seen = b""
def until(text):
    global seen
    while text not in seen:
        part = os.read(fd, 4096)
        seen += part
    seen = seen[seen.index(text) + len(text):]
until(b"two")
os.write(fd, b"zero ")
until(b"zero")
os.write(fd, b"\x13") # save
until(b"Wrote")
os.write(fd, b"\x18") # leave
try:
    while os.read(fd, 4096):
        pass
except OSError:
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
        run_cmd python3 type.py "$MNT/text"
        assert_equal "$(head -n 1 "$MNT/text")" "zero one"
        run_cmd python3 type.py --backup "$MNT/text"
        assert_equal "$(head -n 1 "$MNT/text")" "zero zero one"
        assert_equal "$(head -n 1 "$MNT/text~")" "zero one"
        assert_equal "$(getfattr --only-values -n user.bucketmap.refcount "$MNT/text")" 3
}
