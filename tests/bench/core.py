# SPDX-License-Identifier: MIT
"""libbucketmap against other stores on one load: rates, latencies, disk, memory.

The loads are run one after the other by the program bench-core; in each all
stores take turns. hit_many and ref_many take 16 keys at once, by the store's own call if it has one;
their latencies are those of 16. Ratios are against the best of the others in that line, but the floor:
"memory" is a hash table in memory that finds and does nothing else."""
import argparse
import json
import os
import subprocess

import frame
import plots

OURS = "bucketmap"
FLOOR = "memory"  # no store: what one operation after the other costs at least
PHASES = ["insert", "hit", "hit_many", "miss", "scan", "ref", "ref_many", "overwrite_same",
          "overwrite_other", "delete"]

# what DESIGN.md wants of a rate, as ratios to the best other: first, goal
RATES = {"insert": (1.2, 1.5), "miss": (1.2, 1.5), "hit": (1.3, 2), "delete": (1.0, 1.5),
         "ref": (1.5, 2)}
SYNCED = {"1000": (2, 3), "each": (1.0, 1.2)}
DISK = {"loaded": (1.5, 1.45), "overwritten": (2.0, 1.6)}
THREADS = {"hit": (1.7, 1.9), "insert": (1.1, 1.3)}
INSERT_P9999_US, INSERT_MAX_US = (200, 100), (20000, 5000)


def loads(quick):
    """Names and arguments of bench-core's runs; the first one is the headline."""
    if quick:
        return [("", ["--keys=200000"]),
                (" 1000 a sync", ["--keys=100000", "--sync=1000", "--insert-only"]),
                (" each synced", ["--keys=1000", "--sync=each", "--insert-only"])]
    return [("", ["--keys=1000000"]),
            (" 2 threads", ["--keys=1000000", "--threads=2"]),
            (" 1000 a sync", ["--keys=500000", "--sync=1000", "--insert-only"]),
            (" each synced", ["--keys=20000", "--sync=each", "--insert-only"]),
            (" each synced, 2 threads", ["--keys=20000", "--sync=each", "--threads=2", "--insert-only"]),
            (" 1 KiB", ["--keys=200000", "--workload=kib"]),
            (" files", ["--keys=50000", "--workload=files"]),
            (" 10 M", ["--keys=10000000"])]


def run(arguments, options, scratch):
    path = os.path.join(scratch.path, "figures.json")
    command = [frame.built("tests", "bench", "core", "bench-core"), f"--dir={scratch.path}",
               f"--json={path}", *arguments]
    if options.peers:
        command.append(f"--peers={options.peers}")
    subprocess.run(command, check=True)
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def at_least(ratio, first, goal):
    """As frame.mark, for what shall be large."""
    return frame.mark(1 / ratio, 1 / first, 1 / goal).replace(f"{1 / first:g}", f"{first:g}")


def show(name, figures, keys):
    """One load: a line a phase, a column a store, and the ratio to the best other."""
    stores = list(figures["settings"])
    rows = [["thousands a second", *stores, "ratio", ""]]
    for phase in PHASES:
        cells = figures.get(phase)
        if not cells:
            continue
        rates = {store: cells[store]["ops_per_s"] for store in stores}
        others = [rate for store, rate in rates.items() if store not in (OURS, FLOOR)]
        row = [phase + name, *(frame.number(rates[s] / 1000, 1) for s in stores)]
        if OURS in rates and others:
            ratio = rates[OURS] / max(others)
            wanted = wanted_rate(name, phase)
            row += [f"{ratio:.2f}", at_least(ratio, *wanted) if wanted else ""]
        rows.append(row + [""] * (len(rows[0]) - len(row)))
    print(f"{keys:,} keys{name}")
    frame.table(rows)
    for what, head in (("cpu_us_per_op", "CPU, us"), ("p9999_us", "p99.99, us"), ("max_us", "max, us")):
        rows = [[head, *stores]]
        for phase in PHASES:
            cells = figures.get(phase)
            if cells and what in cells[stores[0]]:
                rows.append([phase, *(frame.number(cells[s][what], 2) for s in stores)])
        frame.table(rows)
    rows = [["of the logical bytes", *stores, ""]]
    for moment, wanted in DISK.items():
        cells = figures.get(moment)
        if cells:
            ratios = [cells[s]["disk_over_logical"] for s in stores]
            row = [moment, *(f"{ratio:.2f}" if s != FLOOR else "" for s, ratio in zip(stores, ratios))]
            judged = name in ("", " 10 M") and stores[0] == OURS
            rows.append(row + [frame.mark(ratios[0], *wanted) if judged else ""])
    frame.table(rows)


def wanted_rate(name, phase):
    if name in ("", " 10 M"):
        return RATES.get(phase.removesuffix("_many"))
    if phase == "insert" and name == " 1000 a sync":
        return SYNCED["1000"]
    if phase == "insert" and name == " each synced":
        return SYNCED["each"]
    return None


def show_ours(results):
    """What is asked of ours alone."""
    rows = [["ours", "", ""]]
    one, two = results.get(""), results.get(" 2 threads")
    for name, figures in results.items():
        cell = figures.get("insert", {}).get(OURS)
        if cell and name in ("", " 10 M"):
            rows.append([f"insert{name}, p99.99 us", frame.number(cell["p9999_us"]),
                         frame.mark(cell["p9999_us"], *INSERT_P9999_US)])
            rows.append([f"insert{name}, max us", frame.number(cell["max_us"]),
                         frame.mark(cell["max_us"], *INSERT_MAX_US)])
    if one and two and OURS in one["settings"]:
        for phase, wanted in THREADS.items():
            ratio = two[phase][OURS]["ops_per_s"] / one[phase][OURS]["ops_per_s"]
            rows.append([f"{phase}, two threads to one", f"{ratio:.2f}", at_least(ratio, *wanted)])
    if len(rows) > 1:
        frame.table(rows)


def stores_of(cells):
    return {store: cell for store, cell in cells.items() if store != FLOOR}


def merged(results):
    """{phase: {store: figures}}, the phases of all loads but the first with the load's name.
    The floor has phases of its own, so that nobody takes it for a store."""
    told = {}
    for name, figures in results.items():
        for phase, cells in figures.items():
            if isinstance(cells, dict):
                told[phase + name] = stores_of(cells)
                if FLOOR in cells and phase in PHASES:
                    told["floor of " + phase + name] = {FLOOR: cells[FLOOR]}
    return told


def main():
    p = frame.parser(__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--peers", metavar="NAME,...", help="only these stores")
    p.add_argument("--plot", metavar="DIR",
                   help="write DIR/insert-latency.svg: insert over the last load's course (10 M keys)")
    p.add_argument("--keys", type=int, metavar="N", help="only the first load, with so many keys")
    options = p.parse_args()
    if options.plot and options.quick:
        p.error("--plot wants the full form, or --keys")
    chosen = [("", [f"--keys={options.keys}"])] if options.keys else loads(options.quick)
    results = {}

    frame.be_first()
    print(frame.machine(options.dir), flush=True)
    with frame.Scratch(options.dir) as scratch:
        for name, arguments in chosen:
            if options.plot and name == chosen[-1][0]:
                arguments = arguments + ["--plotted"]
            results[name] = run(arguments, options, scratch)
    print()
    for store, settings in next(iter(results.values()))["settings"].items():
        print(f"{store}: {settings['told']}")
    print()
    for name, figures in results.items():
        show(name, figures, figures["keys"])
    show_ours(results)
    if options.plot:
        plots.insert_latency(options.plot, stores_of(results[chosen[-1][0]]["insert"]))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(merged(results), out, indent=1)
            out.write("\n")


if __name__ == "__main__":
    main()
