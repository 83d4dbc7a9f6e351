"""Another run beside the one that is stepped through, in lockstep: where it stands, and how far its numbers are from these."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import NamedTuple

import numpy as np

from backprop_tui.format import plain
from backprop_tui.ops.op import Array
from backprop_tui.recording import Recording
from backprop_tui.study.compare import Apart, Comparison, apart, doubled
from backprop_tui.study.differences import WORDS, by_how_much
from backprop_tui.study.sides import Run


class Far(NamedTuple):
    """How far a value and a gradient are from the other run's: None where one of the two has none."""

    value: float | None
    gradient: float | None


def _apart(number: Apart) -> str:
    """How far a number is from the other run's, and both of them."""
    text = by_how_much(number, ("here", "there"))
    return f"{text}: here {plain(float(number.a))}, there {plain(float(number.b))}" if number.entry == () else text


class Beside:
    """A comparison as it is stepped through: ``run`` is the recording one stands in, and the other side is beside it."""

    def __init__(self, found: Comparison, run: Recording, name: str) -> None:
        self.found = found
        #: What the other run is called.
        self.name = name
        self.run = run
        self._last: tuple[int, int] = (0, 0)
        self._values: dict[tuple[int, str], int] | None = None
        self._gradients: dict[tuple[int, str], list[int]] = {}

    @property
    def differing(self) -> int:
        """How many steps differ, on either side."""
        return self.found.differences

    @property
    def first(self) -> int | None:
        """The first step of this run that differs."""
        return self.found.differing[0] if self.found.differing else None

    def differs(self, step: int) -> bool:
        """Whether a step differs."""
        return self.found.differs(step)

    def next(self, position: int, *, forward: bool = True) -> int | None:
        """The next step that differs, or the one before."""
        steps = self.found.differing
        index = bisect_right(steps, position) if forward else bisect_left(steps, position) - 1
        return steps[index] if 0 <= index < len(steps) else None

    def stands(self, position: int) -> int:
        """Where the other run stands when this one is at a position: at the counterpart of its last step that has one."""
        step = position
        while step > 0:
            if step == self._last[0]:
                return self._last[1]
            other = self.found.counterpart(step)
            if other is not None:
                self._last = position, other
                return other
            step -= 1
        return 0

    def words(self, position: int) -> str:
        """What the comparison says of the position, on one line."""
        found = self.found
        if found.same:
            return f"compared with {self.name}: the same, {found.compared:,} pairs of steps"
        count = f"{self.differing:,} step{'' if self.differing == 1 else 's'} differ"
        place = f"the first is {self.first}" if self.first is not None else "all of them only there"
        known = found.at(position) if position else None
        if known is None:
            return f"= {self.name} here; {count}, {place}"
        if known.b is None:
            return f"≠ {self.name}: it has no such step; {count}, {place}"
        numbers = [f"{WORDS.get(n.field, n.field)} {_apart(n)}" for n in known.numbers[:1]]
        return f"≠ {self.name}: {numbers[0]}; {count}, {place}" if numbers else f"≠ {self.name}; {count}, {place}"

    # Variables

    def far(self, position: int, iteration: int, name: str, value: Array | None, gradient: Array | None) -> Far:
        """How far a variable's value and gradient are from the other run's, where both have them."""
        theirs = self._theirs(self.stands(position), iteration, name)
        return Far(self._apart(value, theirs[0]), self._apart(gradient, theirs[1]))

    def _apart(self, mine: Array | None, theirs: Array | None) -> float | None:
        if mine is None or theirs is None:
            return None
        difference = apart(doubled(mine, self.found.single), doubled(theirs, self.found.single))[0]
        return 0.0 if self._rounding(difference, mine) else difference

    def _rounding(self, difference: float, mine: Array) -> bool:
        """Whether a difference is no more than two honest implementations have."""
        with np.errstate(all="ignore"):
            largest = float(np.max(np.abs(mine), initial=0.0))
        return math.isfinite(largest) and difference <= self.found.tolerance * largest

    def _theirs(self, other: int, iteration: int, name: str) -> tuple[Array | None, Array | None]:
        side = self.found.b
        if isinstance(side, Run):
            state, graph = side.recording.state(other), side.recording.graph
            node = graph.by_name.get(name, graph.resolve(name))
            if node is None:
                return None, None
            return (state.value(node) if state.has_value(node) else None), state.gradient(node)
        return self._told(other, iteration, name)

    def _told(self, other: int, iteration: int, name: str) -> tuple[Array | None, Array | None]:
        """What a trace has told of a variable up to its line."""
        side = self.found.b
        if self._values is None:
            self._values = {}
            for number, (turn, kind, node, operand) in enumerate(side.each_key(), 1):
                if kind == "forward":
                    self._values[turn, node] = number
                elif kind in ("backward", "seed"):
                    self._gradients.setdefault((turn, operand or node), []).append(number)
        told = self._values.get((iteration, name))
        value = side.facts(told).get("value") if told is not None and told <= other else None
        written = [number for number in self._gradients.get((iteration, name), ()) if number <= other]
        gradient = side.facts(written[-1]).get("grad") if written else None
        return (None if value is None else np.asarray(value)), (None if gradient is None else np.asarray(gradient))
