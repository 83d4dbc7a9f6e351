"""Functions timed in turn, and the row that a benchmark reports."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from importlib import import_module
from statistics import median
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One figure. ``ratio`` is None where nothing was compared, ``wanted`` (at most) None where the figure informs."""

    what: str
    peer: str
    ratio: float | None
    wanted: float | None
    detail: str


def installed(name: str) -> Any:
    """A module, or None where it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        return None


def in_turn(functions: list[Callable[[], object]], rounds: int, least: float = 0.02) -> list[tuple[float, float]]:
    """Of each function the median seconds, and the median over the rounds of its ratio to the first one.

    In every round each has its turn of at least ``least`` seconds, every other round in the opposite order.
    """
    repeats, table = [], []
    for function in functions:
        function()
        begun = time.perf_counter()
        function()
        repeats.append(max(1, int(least / max(time.perf_counter() - begun, 1e-9))))
    gc.collect()
    gc.freeze()  # what was imported for one of them is not walked through at the expense of another
    for turn in range(rounds):
        row = [0.0] * len(functions)
        for i in sorted(range(len(functions)), reverse=turn % 2 == 1):
            begun = time.perf_counter()
            for _ in range(repeats[i]):
                functions[i]()
            row[i] = (time.perf_counter() - begun) / repeats[i]
        table.append(row)
    gc.unfreeze()
    return [(median(row[i] for row in table), median(row[i] / row[0] for row in table)) for i in range(len(functions))]
