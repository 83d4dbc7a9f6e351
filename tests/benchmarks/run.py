"""Every benchmark, each figure a ratio measured side by side in this one run: python tests/benchmarks/run.py

    --quick        fewer rounds
    --only NAME    one of start, layers, scalar, depth (may be given again)
    --command X    the installed command that is started in a terminal (default: the one beside this Python)
    --strict       exit 1 when a wanted ratio is missed; without it the benchmarks only inform

Needs the project and its test dependencies; autograd, torch and micrograd are compared with where they are installed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from timing import Row

NAMES = ("start", "layers", "scalar", "depth")


def rows(only: list[str], quick: bool, command: str, folder: Path) -> Iterator[Row]:
    """The rows of the benchmarks asked for. The terminal comes first, while this process is still small."""
    environment = dict(os.environ)
    for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM"):
        os.environ[f"{library}_NUM_THREADS"] = "1"
    import engine  # NumPy reads the number of threads when it is imported
    import terminal

    parts = {
        "start": lambda: terminal.start(folder, 2 if quick else 7, environment, command, engine.network()[0]),
        "layers": lambda: chain(
            engine.layers(folder, 5 if quick else 25, (1, 2, 2, 1), 2.5),
            engine.layers(folder, 5 if quick else 25, (64, 784, 128, 10), 1.15),
        ),
        "scalar": lambda: engine.scalar(3 if quick else 11),
        "depth": lambda: engine.depth(2 if quick else 5),
    }
    for name in only or NAMES:
        yield from parts[name]()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", choices=NAMES, default=[])
    parser.add_argument("--command")
    parser.add_argument("--strict", action="store_true")
    options = parser.parse_args()
    beside = Path(sys.executable).with_name("backprop-tui")
    command = options.command or (str(beside) if beside.exists() else shutil.which("backprop-tui"))
    if command is None:
        parser.error("backprop-tui is not installed: pip install -e '.[test]'")
    line = "{:<47} {:<19} {:>6} {:>7}  {:<5}  {}"
    print(line.format("what", "peer", "ratio", "wanted", "holds", "measured"))
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(options.only, options.quick, command, Path(folder)):
            ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
            wanted = "" if row.wanted is None else f"≤ {row.wanted:g}"
            holds = "" if row.ratio is None or row.wanted is None else "NO" if row.missed else "yes"
            print(line.format(row.what, row.peer, ratio, wanted, holds, row.detail), flush=True)
            missed += row.missed
    return 1 if missed and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
