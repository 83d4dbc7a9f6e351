"""Stops on facts: what no other debugger knows to ask of a step. Each is one switch, some with a bound.

A fact is looked for in many steps at once: the arrays of a stretch of a recording are laid end to end, and one pass over
all their entries answers for every step. A stretch lies within one iteration and one phase.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from backprop_tui.ops.op import Array
from backprop_tui.plan import Phase, Plan
from backprop_tui.recording import Recording

#: So many entries are laid end to end at most.
MOST_ENTRIES = 1 << 20


Find = Callable[[Recording, int, int, int, float], Array]


@dataclass(frozen=True)
class Fact:
    """One fact: its name, what it is in words, how it is looked for in which phases, and its usual bound if it has one.

    ``finds[phase](recording, iteration, start, stop, bound)`` answers which steps of a stretch of the phase (indices from
    0) it holds at. ``first``: only the first such step of a run counts, since what comes after follows from it.
    """

    name: str
    text: str
    finds: Mapping[Phase, Find]
    bound: float | None = None
    first: bool = False


class Extents:
    """How many entries each of some arrays has, and whether it is a scalar: how they lie when they are laid end to end."""

    def __init__(self, sizes: Array, scalars: Array) -> None:
        self.sizes = sizes
        self.scalars = scalars

    def __len__(self) -> int:
        return len(self.sizes)

    def chosen(self, indices: Array) -> Extents:
        """Those of a choice of the arrays."""
        return Extents(self.sizes[indices], self.scalars[indices])

    def part(self, start: int, stop: int) -> Extents:
        """Those of a stretch of the arrays."""
        whole = start == 0 and stop == len(self.sizes)
        return self if whole else Extents(self.sizes[start:stop], self.scalars[start:stop])

    @cached_property
    def entries(self) -> int:
        """How many entries they have together."""
        return int(self.sizes.sum())

    @cached_property
    def _some(self) -> Array:
        return np.flatnonzero(self.sizes)

    @cached_property
    def _begins(self) -> Array:
        return np.concatenate(([0], np.cumsum(self.sizes[self._some])[:-1]))

    @cached_property
    def _alike(self) -> bool:
        return bool(self.scalars.all())

    @cached_property
    def zeros(self) -> list[Array]:
        """For each of the arrays zeros of its size."""
        made = {size: np.zeros(size) for size in set(self.sizes[~self.scalars].tolist())}
        one: Any = np.float64(0)
        return [one if scalar else made[size] for size, scalar in zip(self.sizes.tolist(), self.scalars, strict=True)]

    def flat(self, arrays: Sequence[Array]) -> Array:
        """The arrays end to end."""
        return np.array(arrays) if self._alike else np.concatenate(arrays, axis=None)

    def any(self, marks: Array) -> Array:
        """For each array, whether any of its entries is marked."""
        if self._alike:
            return marks
        found = np.zeros(len(self), bool)
        if self.entries:
            found[self._some] = np.logical_or.reduceat(marks, self._begins)
        return found

    def norms(self, arrays: Sequence[Array]) -> Array:
        """The norm of each array; nan for one without entries."""
        flat = self.flat(arrays)
        if self._alike:
            return np.abs(flat)
        norms = np.full(len(self), np.nan)
        if self.entries:
            with np.errstate(all="ignore"):
                norms[self._some] = np.sqrt(np.add.reduceat(np.square(flat, dtype=np.float64), self._begins))
        return norms


def _extents(plan: Plan, phase: Phase) -> Extents:
    """Those of the values, of the written gradients (without the seed), or of the updated parameters."""
    known = _EXTENTS.get(plan)
    if known is None:
        graph = plan.graph
        counts = {shape: math.prod(shape) for shape in set(graph.shapes)}
        sizes = np.array([counts[shape] for shape in graph.shapes], np.int64)
        scalars = np.array([not shape for shape in graph.shapes], bool)
        every, leaves = Extents(sizes, scalars), graph.leaves
        nodes = {"forward": np.arange(leaves, len(graph)), "backward": plan.targets, "update": plan.updated}
        known = _EXTENTS[plan] = {phase: every.chosen(np.array(chosen, np.int64)) for phase, chosen in nodes.items()}
    return known[phase]


_EXTENTS: WeakKeyDictionary[Plan, dict[str, Extents]] = WeakKeyDictionary()


def stretches(extents: Extents, start: int, stop: int) -> list[tuple[int, int]]:
    """A stretch cut so that each part has few enough entries; an array that is larger has a part of its own."""
    if extents.entries <= MOST_ENTRIES:
        return [(start, stop)]
    parts, begin, entries = [], start, 0
    for i, size in enumerate(extents.sizes[start:stop].tolist(), start):
        if entries + size > MOST_ENTRIES and i > begin:
            parts.append((begin, i))
            begin, entries = i, 0
        entries += size
    parts.append((begin, stop))
    return parts


def _unsound(arrays: Sequence[Array], extents: Extents) -> Array:
    return np.flatnonzero(extents.any(~np.isfinite(extents.flat(arrays))))


def _unsound_values(recording: Recording, iteration: int, start: int, stop: int, _bound: float) -> Array:
    leaves = recording.graph.leaves
    arrays = recording.iteration(iteration).values[leaves + start : leaves + stop]
    return start + _unsound(arrays, _extents(recording.plan, "forward").part(start, stop))


def _unsound_updates(recording: Recording, iteration: int, start: int, stop: int, _bound: float) -> Array:
    arrays = recording.iteration(iteration).updated[start:stop]
    return start + _unsound(arrays, _extents(recording.plan, "update").part(start, stop))


def _unsound_gradients(recording: Recording, iteration: int, start: int, stop: int, _bound: float) -> Array:
    arrays = recording.iteration(iteration).written[start + 1 : stop + 1]
    return start + _unsound(arrays, _extents(recording.plan, "backward").part(start, stop))


def _zero_gradients(recording: Recording, iteration: int, start: int, stop: int, _bound: float) -> Array:
    extents, written = _extents(recording.plan, "backward").part(start, stop), recording.iteration(iteration).written
    some = extents.any(extents.flat(written[start + 1 : stop + 1]) != 0)
    found = np.flatnonzero(~some & (extents.sizes > 0))
    earlier = recording.plan.earlier
    return np.array([k for k in (start + found).tolist() if earlier[k] < 0 or np.any(written[earlier[k]])], np.int64)


def _crossing(recording: Recording, iteration: int, start: int, stop: int, holds: Callable[[Array], Array]) -> Array:
    """The writes after which a gradient's norm is beyond a bound, and was not before it."""
    extents, written = _extents(recording.plan, "backward").part(start, stop), recording.iteration(iteration).written
    marks = holds(extents.norms(written[start + 1 : stop + 1]))
    if not marks.any():
        return np.empty(0, np.int64)
    earlier = np.array(recording.plan.earlier[start:stop], np.int64)
    again = np.flatnonzero(marks & (earlier >= 0))
    if len(again):
        marks[again] = ~holds(extents.chosen(again).norms([written[e] for e in earlier[again].tolist()]))
    return start + np.flatnonzero(marks)


def _small_gradients(recording: Recording, iteration: int, start: int, stop: int, bound: float) -> Array:
    return _crossing(recording, iteration, start, stop, lambda norm: norm < bound)


def _large_gradients(recording: Recording, iteration: int, start: int, stop: int, bound: float) -> Array:
    return _crossing(recording, iteration, start, stop, lambda norm: norm > bound)


def _fan_outs(recording: Recording, _iteration: int, start: int, stop: int, _bound: float) -> Array:
    plan = recording.plan
    begun = _second_writes(plan)
    return begun[(begun >= start) & (begun < stop)]


@lru_cache(maxsize=4)
def _second_writes(plan: Plan) -> Array:
    """The backward steps that bring a node its second contribution; the seed of the loss is none."""
    earlier = np.frombuffer(plan.earlier, np.int64) if plan.earlier else np.empty(0, np.int64)
    later = np.flatnonzero(earlier > 0)
    return later[earlier[earlier[later] - 1] <= 0]


def _zero_locals(recording: Recording, iteration: int, start: int, stop: int, _bound: float) -> Array:
    """Only where the gradient was left as it was can the local derivative be zero; there, and only there, it is made."""
    plan, written = recording.plan, recording.iteration(iteration).written
    extents = _extents(plan, "backward").part(start, stop)
    pairs = zip(plan.earlier[start:stop], extents.zeros, strict=True)
    before = extents.flat([written[e] if e >= 0 else nothing for e, nothing in pairs])
    after = extents.flat(written[start + 1 : stop + 1])
    changed = extents.any((after != before) & ~np.isnan(after))
    candidates = start + np.flatnonzero(~changed & (extents.sizes > 0))
    return np.array([k for k in candidates.tolist() if _zero_local(recording, iteration, k)], np.int64)


def _zero_local(recording: Recording, iteration: int, index: int) -> bool:
    derivative, call, reads = recording.plan.derivative(index)
    if derivative.how == "rearrange" or not reads:
        return False
    values = [recording.iteration(iteration).values[i] for i in reads]
    with np.errstate(all="ignore"):
        if derivative.how == "dense":  # a full Jacobian may be too large to be made: what it makes of a gradient says it too
            local = derivative.apply(np.random.default_rng(0).normal(size=call.out), *values)
        else:
            local = np.asarray(derivative.value(*values))
    return local.size > 0 and not local.any()


@lru_cache(maxsize=4)
def _with_kinks(plan: Plan) -> Array:
    """The backward steps whose local derivative may fall on a point where it does not exist."""
    return np.array([k for k in range(plan.backward_steps) if plan.derivative(k)[0].kinks is not None], np.int64)


def _kinks(recording: Recording, iteration: int, start: int, stop: int, _bound: float) -> Array:
    steps = _with_kinks(recording.plan)
    found = []
    values = recording.iteration(iteration).values
    for k in steps[(steps >= start) & (steps < stop)]:
        derivative, _, reads = recording.plan.derivative(int(k))
        assert derivative.kinks is not None
        if np.any(derivative.kinks(*[values[i] for i in reads])):
            found.append(int(k))
    return np.array(found, np.int64)


_ALL = (
    Fact("nan-value", "the first nan or inf in a value", {"forward": _unsound_values, "update": _unsound_updates}, first=True),
    Fact("nan-gradient", "the first nan or inf in a gradient", {"backward": _unsound_gradients}, first=True),
    Fact("zero-gradient", "a gradient becomes exactly zero", {"backward": _zero_gradients}),
    Fact("small-gradient", "a gradient's norm falls below {bound}", {"backward": _small_gradients}, 1e-6),
    Fact("large-gradient", "a gradient's norm rises above {bound}", {"backward": _large_gradients}, 1e3),
    Fact("fan-out", "a second contribution arrives at a node", {"backward": _fan_outs}),
    Fact("zero-local", "a local derivative is zero everywhere", {"backward": _zero_locals}),
    Fact("kink", "a convention is used where a derivative does not exist", {"backward": _kinks}),
)
#: Every fact by its name.
FACTS: dict[str, Fact] = {fact.name: fact for fact in _ALL}


def holding(fact: Fact, bound: float | None, recording: Recording, start: int, stop: int) -> list[int]:
    """The numbers of the steps after ``start`` and up to ``stop``, all executed, at which a fact holds."""
    plan = recording.plan
    limit = bound if bound is not None else fact.bound or 0.0
    ways = [(find, plan.step_of(0, phase), plan.phase_steps(phase), _extents(plan, phase)) for phase, find in fact.finds.items()]
    found: list[int] = []
    for iteration in range(start // plan.period, (max(stop, 1) - 1) // plan.period + 1):
        for find, first, count, extents in ways:  # in the order of the phases
            offset = iteration * plan.period + first  # the number of the phase's first step
            low, high = max(0, start + 1 - offset), min(count, stop + 1 - offset)
            if low < high:
                for begin, end in stretches(extents, low, high):
                    found += (offset + find(recording, iteration, begin, end, limit)).tolist()
    return found
