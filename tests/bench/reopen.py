# SPDX-License-Identifier: MIT
"""How long opening a store takes, and its memory then: after a clean close;
after a kill when everything had been overwritten; and after the same with a
power cut: nothing is in the page cache any more, and of bucketmap's log all
that was not durable is gone (of the peers nothing is, so theirs is the time
from a cold cache). On tmpfs a cut keeps the cache."""
import argparse
import json
import os
import subprocess

import frame

# ms at 10 M keys: first, goal; None: no mark stands there
WANTED = {"clean": (50, 10), "killed": (3000, 1000), "cut": None}


def main():
    p = frame.parser(__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--peers", metavar="NAME,...", default="bucketmap,tkrzw,lmdb", help="%(default)s")
    options = p.parse_args()
    told = {}

    frame.be_first()
    print(frame.machine(options.dir), flush=True)
    with frame.Scratch(options.dir) as scratch:
        for keys in (1000000,) if options.quick else (1000000, 10000000):
            path = os.path.join(scratch.path, "figures.json")
            subprocess.run([frame.built("tests", "bench", "core", "bench-core"), "--reopen",
                            f"--keys={keys}", f"--peers={options.peers}", f"--dir={scratch.path}",
                            f"--json={path}"], check=True)
            with open(path, encoding="utf-8") as file:
                told[f"reopen {keys} keys"] = json.load(file)["reopen"]
    rows = [["", "clean, ms", "", "killed, ms", "", "power cut, ms", "anonymous, MB"]]
    for phase, stores in told.items():
        for store, cell in stores.items():
            marks = {when: frame.mark(cell[f"{when}_open_ms"], *WANTED[when])
                     if WANTED[when] and store == "bucketmap" and "10000000" in phase else ""
                     for when in WANTED}
            rows.append([f"{phase}: {store}", frame.number(cell["clean_open_ms"]), marks["clean"],
                         frame.number(cell["killed_open_ms"]), marks["killed"],
                         frame.number(cell["cut_open_ms"]),
                         frame.number(cell["killed_anon_bytes"] / 1e6)])
    print()
    frame.table(rows)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(told, out, indent=1)
            out.write("\n")


if __name__ == "__main__":
    main()
