"""Two runs compared step by step: which step is the first that differs, which others do, and by how much.

Steps are paired by what they are, not by where they stand: iteration, kind, node, operand, and which of several such steps
it is (a node can contribute twice to one operand, as in ``x * x``). Of a pair, the numbers that both sides tell are compared:

- An entry differs where it is further from the other than the tolerance times the largest finite entry of the two arrays; for
  a gradient the largest of the contribution counts too, for a parameter after its update the largest of what it was before: a
  sum may come near 0 and keep the rounding of its terms. A nan equals a nan, an infinity itself; nothing else equals them.
- Arrays of unlike shapes differ. A local derivative is compared where both sides multiply it in alike and write it out; an
  elementwise one may be written in a shape that spreads to the other's.
- The differences of nan and number, and of unlike shapes, count as infinite.

A step that only one side has is a difference where the other must be thought to lack it: between two recordings always; where
one is a trace made elsewhere, for a backward or an update step if the other tells of any such step in that iteration. A trace
need not tell every value, nor every phase: what it leaves out that way is counted, and nothing more.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from backprop_tui.errors import CommandError
from backprop_tui.ops.op import Array
from backprop_tui.stops import CHUNK
from backprop_tui.study.sides import Run, Side
from backprop_tui.study.traces import NUMBERS, Facts, Key

#: How far two honest implementations may be from each other, relative to the largest entry: in double and single precision.
TOLERANCE, SINGLE_TOLERANCE = 1e-9, 1e-5
#: What a number was added up from: near 0 it keeps the rounding of that.
ADDED_FROM = {"grad": "contribution", "after": "before"}


class Apart(NamedTuple):
    """One number of a step told by both sides: ``difference`` is the largest of an entry, at ``entry``.

    ``entry`` is None where the shapes differ. ``differs`` is whether it is more than the tolerance allows.
    """

    field: str
    a: Array
    b: Array
    difference: float
    entry: tuple[int, ...] | None
    differs: bool


@dataclass(frozen=True)
class Difference:
    """A step that differs: its number on either side (None where that side has no such step), and its numbers that differ."""

    iteration: int
    kind: str
    node: str
    operand: str
    a: int | None
    b: int | None
    numbers: tuple[Apart, ...] = ()

    @property
    def name(self) -> str:
        """What the step is about, as the trace has it."""
        about = f"{self.kind} {self.node} → {self.operand}" if self.operand else f"{self.kind} {self.node}"
        return f"{about}, iteration {self.iteration + 1}" if self.iteration else about


@dataclass
class Comparison:
    """Two sides and what became of comparing them; steps are numbered as their side has them."""

    a: Side
    b: Side
    tolerance: float
    #: How many pairs of steps were compared.
    compared: int = 0
    #: The largest difference of an entry, whether the tolerance allows it or not.
    largest_difference: float = 0.0
    #: The steps of a that differ from their counterparts or should have one, ascending.
    differing: array[int] = field(default_factory=lambda: array("q"))
    #: The steps of b that should have a counterpart and have none, ascending.
    only_b: array[int] = field(default_factory=lambda: array("q"))
    #: How many steps of each side have no counterpart, whether that is a difference or not.
    unpaired: tuple[int, int] = (0, 0)
    #: The first difference, in the order of a's steps; one that only b has stands after the step of a that b has before it.
    first: Difference | None = None
    _to_b: array[int] = field(default_factory=lambda: array("q"))
    _to_a: array[int] = field(default_factory=lambda: array("q"))

    def __post_init__(self) -> None:
        #: Whether a side has no more than single precision.
        self.single = self.a.single or self.b.single

    @property
    def same(self) -> bool:
        """Whether no step differs."""
        return self.first is None

    @property
    def differences(self) -> int:
        """How many steps differ, on either side."""
        return len(self.differing) + len(self.only_b)

    def counterpart(self, step: int) -> int | None:
        """The step of b that is paired with a step of a."""
        return (self._to_b[step] or None) if 0 < step < len(self._to_b) else None

    def counterpart_of_b(self, step: int) -> int | None:
        """The step of a that is paired with a step of b."""
        return (self._to_a[step] or None) if 0 < step < len(self._to_a) else None

    def differs(self, step: int) -> bool:
        """Whether a step of a differs."""
        index = bisect_left(self.differing, step)
        return index < len(self.differing) and self.differing[index] == step

    def at(self, step: int) -> Difference | None:
        """What differs at a step of a; None where nothing does."""
        if not self.differs(step):
            return None
        other = self.counterpart(step)
        apart = () if other is None else tuple(n for n in self.numbers(step, other) if n.differs)
        return Difference(*self.a.key(step), step, other, apart)

    def at_b(self, step: int) -> Difference | None:
        """What differs at a step of b."""
        if self._to_a[step]:
            return self.at(self._to_a[step])
        index = bisect_left(self.only_b, step)
        known = index < len(self.only_b) and self.only_b[index] == step
        return Difference(*self.b.key(step), None, step) if known else None

    def numbers(self, step: int, other: int) -> list[Apart]:
        """The numbers that a step of a and one of b both tell, held against each other; the step's own result first."""
        kind, mine, theirs = self.a.key(step)[1], self.a.facts(step), self.b.facts(other)
        found = []
        for name in NUMBERS[kind]:
            if name not in mine or name not in theirs:
                continue
            one, two = doubled(mine[name], self.single), doubled(theirs[name], self.single)
            if name == "local":
                how = _how(self.a.how(step), self.b.how(other))
                if how is None:
                    continue
                if how in ("elementwise", "broadcast"):
                    one, two = _spread(one, two)
            difference, entry, scale = apart(one, two)
            found.append(Apart(name, one, two, difference, entry, self._beyond(difference, scale, name, mine, theirs)))
        return found

    def _beyond(self, difference: float, scale: float, name: str, mine: Facts, theirs: Facts) -> bool:
        """Whether a difference is more than the tolerance allows of numbers that are so large."""
        if difference > self.tolerance * scale and name in ADDED_FROM:
            scale = max(scale, *(_largest(side.get(ADDED_FROM[name], 0.0)) for side in (mine, theirs)))
        return difference > self.tolerance * scale

    def _look(self, step: int, expected: _Expected) -> bool:
        """Compares a step of a with its counterpart, and answers whether it differs."""
        other = self._to_b[step]
        if not other:
            return expected.of_b(self.a.key(step))
        compared, difference, differs = self.quick(step, other)
        self.compared += compared
        self.largest_difference = max(self.largest_difference, difference)
        return differs

    def quick(self, step: int, other: int) -> tuple[bool, float, bool]:
        """Of a pair of steps, whether there was anything to compare, the largest difference, and whether it differs.

        It answers as `numbers` does, but sooner where all numbers are scalars.
        """
        mine, theirs = self.a.facts(step), self.b.facts(other)
        both = [name for name in mine if name in theirs]
        largest, differs = 0.0, False
        for name in both:
            one, two = mine[name], theirs[name]
            if one is two:
                continue
            if isinstance(one, np.ndarray) or isinstance(two, np.ndarray) or self.single:
                break
            x, y = float(one), float(two)
            if x == y or (x != x and y != y):
                continue
            if name == "local" and _how(self.a.how(step), self.b.how(other)) is None:
                break
            difference = abs(x - y)
            if not difference < math.inf:
                break
            largest = max(largest, difference)
            differs = differs or self._beyond(difference, max(abs(x), abs(y)), name, mine, theirs)
        else:
            return bool(both), largest, differs
        found = self.numbers(step, other)
        return bool(found), max((n.difference for n in found), default=0.0), any(n.differs for n in found)


def doubled(value: Array | float, single: bool) -> Array:
    """A number or an array in double precision; rounded to single precision before, where a side has no more."""
    with np.errstate(all="ignore"):
        return np.asarray(value, dtype=np.float32 if single else np.float64).astype(np.float64)


def apart(one: Array, two: Array) -> tuple[float, tuple[int, ...] | None, float]:
    """The largest difference of an entry, where it is, and the largest finite entry of both arrays."""
    if one.shape != two.shape:
        return (0.0, None, 0.0) if not one.size and not two.size else (math.inf, None, 0.0)
    if not one.size:
        return 0.0, None, 0.0
    with np.errstate(all="ignore"):
        difference = np.where((one == two) | (np.isnan(one) & np.isnan(two)), 0.0, np.abs(one - two))
    difference = np.where(np.isnan(difference), np.inf, difference)
    entry = tuple(int(i) for i in np.unravel_index(int(np.argmax(difference)), difference.shape))
    return float(difference[entry]), entry, max(_largest(one), _largest(two))


def _largest(value: Array | float) -> float:
    """The largest magnitude of a finite entry."""
    if not isinstance(value, np.ndarray):
        size = abs(float(value))
        return size if size < math.inf else 0.0
    sizes = np.abs(value.astype(np.float64))
    return float(sizes.max(initial=0.0, where=np.isfinite(sizes)))


def _how(one: str, two: str) -> str | None:
    """How both sides multiply a local derivative in; None where they do it in different ways, so that it says nothing."""
    return one or two if one == two or not one or not two else None


def _spread(one: Array, two: Array) -> tuple[Array, Array]:
    """Both arrays in the shape of one of them, where the other spreads to it."""
    try:
        shape = np.broadcast_shapes(one.shape, two.shape)
    except ValueError:
        return one, two
    return (np.broadcast_to(one, shape), np.broadcast_to(two, shape)) if shape in (one.shape, two.shape) else (one, two)


# Comparing


def compare(a: Side, b: Side, tolerance: float | None = None) -> Comparison:
    """Two sides compared. Raises CommandError where they have no step in common, or one cannot be read."""
    parts = comparing(a, b, tolerance)
    while True:
        try:
            next(parts)
        except StopIteration as end:
            found: Comparison = end.value
            return found


def comparing(a: Side, b: Side, tolerance: float | None = None) -> Generator[int, None, Comparison]:
    """Compares two sides, in parts, so that one may stop it in between: yields how many steps it has looked at.

    Steps are looked at when a side gets ready, when they are paired and when they are compared.
    """
    looked = 0
    for side in (a, b):
        for at in side.ready():
            yield looked + at
        looked += len(side)
    if tolerance is None:
        tolerance = SINGLE_TOLERANCE if a.single or b.single else TOLERANCE
    found = Comparison(a, b, tolerance)
    for at in _pair(found):
        yield looked + at
    looked += len(a) + len(b)
    shared = a.shared(b) if isinstance(a, Run) and isinstance(b, Run) and a.recording.plan is b.recording.plan else 0
    found.compared = shared
    expected = _Expected(found)
    for start in range(shared + 1, len(a) + 1, CHUNK // 4):
        with np.errstate(all="ignore"):
            for step in range(start, min(start + CHUNK // 4, len(a) + 1)):
                if found._look(step, expected):
                    found.differing.append(step)
        yield looked + start
    found.only_b = array("q", [n for n in range(1, len(b) + 1) if not found._to_a[n] and expected.of_a(b.key(n))])
    if not found.compared:
        raise CommandError(_nothing(a, b))
    found.unpaired = found._to_b[1:].count(0), found._to_a[1:].count(0)
    found.first = _first(found)
    return found


def _nothing(a: Side, b: Side) -> str:
    of_a, of_b = (Difference(*side.key(1), None, None).name for side in (a, b))
    return f"{a.name} and {b.name} have no step in common: the one begins with {of_a}, the other with {of_b}"


def _pair(found: Comparison) -> Generator[int, None, None]:
    """Pairs the steps of both sides; yields how many it has looked at."""
    a, b = found.a, found.b
    found._to_b, found._to_a = (array("q", [0]) * (len(side) + 1) for side in (a, b))
    if isinstance(a, Run) and isinstance(b, Run) and a.same_steps(b):
        both = min(len(a), len(b))
        found._to_b[: both + 1] = found._to_a[: both + 1] = array("q", range(both + 1))
        return
    places: dict[tuple[Key, int], int] = {}
    for number, key in enumerate(_numbered(b), 1):
        places[key] = number
        if number % CHUNK == 0:
            yield number
    for number, key in enumerate(_numbered(a), 1):
        other = places.get(key)
        if other is not None:
            found._to_b[number], found._to_a[other] = other, number
        if number % CHUNK == 0:
            yield len(b) + number


def _numbered(side: Side) -> Iterator[tuple[Key, int]]:
    """The keys of a side's steps, each with which of its equals it is."""
    counts: dict[Key, int] = {}
    for key in side.each_key():
        counts[key] = counts.get(key, 0) + 1
        yield key, counts[key]


class _Expected:
    """Which steps one side must be thought to lack, where only the other has them."""

    def __init__(self, found: Comparison) -> None:
        self._found = found
        self._told: dict[int, set[tuple[int, str]]] = {}

    def _lacks(self, side: Side, key: Key) -> bool:
        if self._found.a.complete and self._found.b.complete:
            return True
        if id(side) not in self._told:
            self._told[id(side)] = {(iteration, kind) for iteration, kind, _, _ in side.each_key()}
        return key[1] in ("backward", "update") and key[:2] in self._told[id(side)]

    def of_a(self, key: Key) -> bool:
        """Whether a lacks a step of b."""
        return self._lacks(self._found.a, key)

    def of_b(self, key: Key) -> bool:
        """Whether b lacks a step of a."""
        return self._lacks(self._found.b, key)


def _first(found: Comparison) -> Difference | None:
    """The first difference in a's order: of a's own steps the lowest, of b's the one that stands after the lowest of a."""
    mine = found.differing[0] if found.differing else None
    best: tuple[int, int] | None = None
    lone, last, index = found.only_b, 0, 0
    for number in range(1, len(found.b) + 1):
        if index >= len(lone):
            break
        last = found._to_a[number] or last
        if number == lone[index]:
            index += 1
            if best is None or last < best[0]:
                best = last, number
    if best is not None and (mine is None or best[0] < mine):
        return found.at_b(best[1])
    return None if mine is None else found.at(mine)
