"""Every benchmark, each figure a ratio measured side by side in one run: python tests/benchmarks/run.py

Needs the project and pyte; autograd, torch and micrograd are compared with where they are installed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from itertools import chain
from pathlib import Path

ENVIRONMENT = dict(os.environ)
for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB"):
    os.environ[library + ("_MAXIMUM_THREADS" if library == "VECLIB" else "_NUM_THREADS")] = "1"

import engine  # noqa: E402 - NumPy reads the number of threads when it is imported
import terminal  # noqa: E402

LINE = "{:<45} {:<18} {:>6} {:>7}  {:<5}  {}"


def main() -> int:
    names = ("start", "layers", "scalar", "depth")  # the terminal comes first, while this process is still small
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--only", action="append", choices=names, help="this one; may be given again")
    parser.add_argument("--command", help="what is started in the terminal (default: backprop-tui beside this Python)")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a wanted ratio is missed")
    options = parser.parse_args()
    beside = Path(sys.executable).with_name("backprop-tui")
    command = options.command or (str(beside) if beside.exists() else shutil.which("backprop-tui"))
    if command is None:
        parser.error("backprop-tui is not installed: pip install -e '.[test]'")
    few, missed = options.quick, 0
    print(LINE.format("what", "peer", "ratio", "wanted", "holds", "measured"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = {
            "start": lambda: terminal.start(folder, 2 if few else 7, ENVIRONMENT, command, engine.network()[0]),
            "layers": lambda: chain(
                engine.layers(folder, 5 if few else 25, (1, 2, 2, 1), 2.5),
                engine.layers(folder, 5 if few else 25, (64, 784, 128, 10), 1.15),
            ),
            "scalar": lambda: engine.scalar(3 if few else 11),
            "depth": lambda: engine.depth(2 if few else 5),
        }
        for row in chain.from_iterable(parts[name]() for name in options.only or names):
            judged = row.ratio is not None and row.wanted is not None
            bad = row.ratio is not None and row.wanted is not None and row.ratio > row.wanted
            missed += bad
            ratio, wanted = (f"{row.ratio:.2f}" if row.ratio else "-"), (f"≤ {row.wanted:g}" if row.wanted else "")
            holds = ("no" if bad else "yes") if judged else ""
            print(LINE.format(row.what, row.peer, ratio, wanted, holds, row.detail), flush=True)
    return int(options.strict and missed > 0)


if __name__ == "__main__":
    sys.exit(main())
