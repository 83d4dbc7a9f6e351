"""Functions timed in turn, and the row that a benchmark reports."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One figure. ``ratio`` is None where the peer is missing; ``wanted`` is the most it may be, None where it informs."""

    what: str
    peer: str
    ratio: float | None
    wanted: float | None = None
    detail: str = ""

    @property
    def missed(self) -> bool:
        return self.ratio is not None and self.wanted is not None and self.ratio > self.wanted


def installed(name: str) -> Any:
    """A module that may be missing, or None."""
    try:
        return import_module(name)
    except ImportError:
        return None


def skipped(what: str, peer: str, wanted: float | None = None, detail: str = "") -> Row:
    return Row(what, peer, None, wanted, f"{peer.split()[0]} is not installed: skipped. {detail}".rstrip())


def in_turn(functions: list[Callable[[], object]], rounds: int, least: float = 0.02) -> tuple[list[float], list[float]]:
    """Median seconds of each function, and the median over the rounds of its ratio to the first one.

    In every round each function has its turn of at least ``least`` seconds, every other round in the opposite order.
    """
    repeats = []
    for function in functions:
        function()
        begun = time.perf_counter()
        function()
        repeats.append(max(1, int(least / max(time.perf_counter() - begun, 1e-9))))
    table: list[list[float]] = []
    gc.collect()
    gc.freeze()  # what stands in memory already, such as an imported PyTorch, is not walked through for anybody
    for turn in range(rounds):
        row = [0.0] * len(functions)
        order = range(len(functions))
        for i in order if turn % 2 == 0 else reversed(order):
            begun = time.perf_counter()
            for _ in range(repeats[i]):
                functions[i]()
            row[i] = (time.perf_counter() - begun) / repeats[i]
        table.append(row)
    gc.unfreeze()
    columns = list(zip(*table, strict=True))
    ratios = [statistics.median(row[i] / row[0] for row in table) for i in range(len(functions))]
    return [statistics.median(column) for column in columns], ratios
