# SPDX-License-Identifier: MIT
"""The README's two pictures, drawn by gnuplot from what the benchmarks measured."""
import os
import subprocess
import tempfile

COLOURS = ["#0060ad", "#dd181f", "#5aa02c", "#c88a00", "#7a3fa0", "#008b8b", "#888888", "#000000"]


def draw(path, settings, curves):
    """CURVES: name -> list of (x, y); a point without y is left out."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        parts = []
        for i, (name, points) in enumerate(curves.items()):
            data = os.path.join(folder, f"{i}.dat")
            with open(data, "w", encoding="utf-8") as out:
                out.writelines(f"{x} {y}\n" for x, y in points if y is not None)
            width = 3 if i == 0 else 1.5
            parts.append(f"'{data}' with linespoints lw {width} pt 7 ps 0.4 lc rgb '{COLOURS[i]}' title '{name}'")
        script = [f"set terminal svg size 800,480 font 'sans,13' background '#ffffff'",
                  f"set output '{path}'", "set grid lc rgb '#dddddd'", *settings, "plot " + ", ".join(parts)]
        subprocess.run(["gnuplot"], input="\n".join(script), text=True, check=True)
    with open(path, encoding="utf-8") as picture:
        first, rest = picture.read().split("\n", 1)
    with open(path, "w", encoding="utf-8") as picture:
        picture.write(f"{first}\n<!-- SPDX-License-Identifier: MIT -->\n{rest}")
    print(f"written: {path}")


def insert_latency(folder, cells):
    """The longest of 10 000 insertions each, while the store grows."""
    curves = {store: [(point["keys"] / 1e6, point["p9999_us"]) for point in cell["course"]]
              for store, cell in cells.items()}
    draw(os.path.join(folder, "insert-latency.svg"),
         ["set logscale y", "set xlabel 'million keys'", "set ylabel 'insert, p99.99, microseconds'",
          "set key outside right"], curves)


def bytes_a_file(folder, sizes):
    """SIZES: size -> store -> bytes on disk a file."""
    names = next(iter(sizes.values()))
    curves = {name: [(size, cells[name]) for size, cells in sizes.items()] for name in names}
    curves["contents alone"] = [(size, size) for size in sizes]
    draw(os.path.join(folder, "bytes-a-file.svg"),
         ["set logscale xy", "set xlabel 'bytes of contents a file'", "set ylabel 'bytes on disk a file'",
          "set key top left"], curves)
