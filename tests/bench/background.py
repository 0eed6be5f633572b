# SPDX-License-Identifier: MIT
"""What callers notice of checkpoints and compaction: latencies beside them and alone."""
import argparse
import os
import subprocess

import frame

QUANTITIES = ["p50_us", "p99_us", "p9999_us", "max_us"]
# p99 beside, against alone: nothing is asked of inserts
WANTED = {"hit beside compaction": ("hit alone", 2, 2),
          "insert beside checkpoints": ("insert alone", None, None)}


def main():
    p = frame.parser(__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--keys", type=int, metavar="N", help="so many, of 8 bytes")
    p.add_argument("--buckets", type=int, default=16, metavar="N", help="of the map (%(default)s)")
    options = p.parse_args()
    keys = options.keys or (300_000 if options.quick else 2_000_000)

    figures = frame.Figures()
    frame.be_first()
    print(frame.machine(options.dir), flush=True)
    with frame.Scratch(options.dir) as scratch:
        for turn in range(1 if options.quick else 3):
            store = os.path.join(scratch.path, f"store{turn}")
            told = subprocess.run([frame.built("tests", "bench", "background", "bench-background"),
                                   store, str(keys), str(options.buckets)], check=True,
                                  capture_output=True, text=True).stdout
            for line in told.splitlines():
                if not line.startswith("#"):
                    phase, *values = line.split("\t")
                    figures.add(phase, "bucketmap", **dict(zip(QUANTITIES, map(float, values))))
    rows = [["us", "p50", "p99", "p99.99", "max", "p99 x alone", "mark"]]
    for phase in figures.phases():
        ours = [figures.get(phase, "bucketmap", q) for q in QUANTITIES]
        alone, first, goal = WANTED.get(phase, (None, None, None))
        times = ours[1] / figures.get(alone, "bucketmap", "p99_us") if alone else None
        rows.append([phase, *map(frame.number, ours), frame.number(times, 2) if times else "",
                     frame.mark(times, first, goal) if first else ""])
    print()
    frame.table(rows)
    if options.json:
        figures.write(options.json)


if __name__ == "__main__":
    main()
