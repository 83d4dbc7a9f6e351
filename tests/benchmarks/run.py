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
os.environ.update({f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}, VECLIB_MAXIMUM_THREADS="1")

import engine  # noqa: E402 - NumPy reads the number of threads when it is imported
import stops  # noqa: E402  # the same
import terminal  # noqa: E402  # the same

LINE = "{:<45} {:<18} {:>6} {:>7}  {:<5}  {}"


def main() -> int:
    names = ("start", "layers", "scalar", "depth", "stops")  # the terminal comes first, while this process is still small
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--only", action="append", choices=names, help="this one; may be given again")
    parser.add_argument("--command", help="what is started in the terminal (default: backprop-tui beside this Python)")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a wanted ratio is missed")
    options = parser.parse_args()
    beside = Path(sys.executable).with_name("backprop-tui")
    command: str = options.command or (str(beside) if beside.exists() else shutil.which("backprop-tui") or "")
    if not command:
        parser.error("backprop-tui is not installed: pip install -e '.[test]'")
    few, missed = options.quick, False
    print(LINE.format("what", "peer", "ratio", "wanted", "holds", "measured"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in options.only or names:
            if part == "start":
                rows = terminal.start(folder, 3 if few else 9, ENVIRONMENT, command, engine.network()[0])
            elif part == "layers":
                sizes = ((1, 2, 2, 1), 2.5), ((64, 784, 128, 10), 1.15)
                rows = chain.from_iterable(engine.layers(folder, 5 if few else 25, *size) for size in sizes)
            elif part == "stops":
                rows = stops.stops(3 if few else 9)
            else:
                rows = engine.scalar(3 if few else 11) if part == "scalar" else engine.depth(2 if few else 5)
            for what, peer, ratio, wanted, detail in rows:
                shown, limit, holds = "-" if ratio is None else f"{ratio:.2f}", "", ""
                if wanted is not None:
                    limit, holds = f"≤ {wanted:g}", "" if ratio is None else "yes" if ratio <= wanted else "no"
                print(LINE.format(what, peer, shown, limit, holds, detail), flush=True)
                missed |= holds == "no"
    return int(options.strict and missed)


if __name__ == "__main__":
    sys.exit(main())
