"""Stops on facts: what no other debugger knows to ask of a step. Each is one switch, some with a bound.

A fact is looked for in many steps at once: the arrays of a stretch of a recording are laid end to end, and one pass over
all their entries answers for every step. A stretch lies within one iteration and one phase.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from backprop_tui.ops.op import Array
from backprop_tui.plan import Phase, Plan
from backprop_tui.recording import Recording

#: So many entries are laid end to end at most.
MOST_ENTRIES = 1 << 20


@dataclass(frozen=True)
class Fact:
    """One fact: its name, in which phase it is looked for, what it is in words, and its usual bound if it has one.

    ``find(recording, iteration, start, stop, bound)`` answers which steps of a stretch of the phase (indices from 0) it
    holds at. ``first``: only the first such step of a run counts, since what comes after follows from it.
    """

    name: str
    phase: Phase
    text: str
    find: Callable[[Recording, int, int, int, float], Array]
    bound: float | None = None
    first: bool = False


def _sizes(plan: Plan) -> tuple[Array, Array]:
    """How many entries each forward value and each written gradient (without the seed) has."""
    known = _SIZES.get(plan)
    if known is None:
        counts = {shape: math.prod(shape) for shape in set(plan.graph.shapes)}
        entries = np.array([counts[shape] for shape in plan.graph.shapes], np.int64)
        targets = np.frombuffer(plan.targets, np.int64) if plan.targets else np.empty(0, np.int64)
        known = _SIZES[plan] = (entries[plan.graph.leaves :], entries[targets])
    return known


_SIZES: WeakKeyDictionary[Plan, tuple[Array, Array]] = WeakKeyDictionary()


def _flat(arrays: Sequence[Array], sizes: Array) -> tuple[Array, Array, Array]:
    """Arrays end to end; where each one that has entries begins; and which have any."""
    some = np.flatnonzero(sizes)
    if not len(some):
        return np.empty(0), np.empty(0, np.int64), some
    flat = np.asarray(arrays) if len(some) == sizes.sum() == len(arrays) else np.concatenate(arrays, axis=None)
    return flat.reshape(-1), np.concatenate(([0], np.cumsum(sizes[some])[:-1])), some


def _any(marks: Array, begins: Array, some: Array, count: int) -> Array:
    """For each of ``count`` arrays, whether any of its entries is marked."""
    found = np.zeros(count, bool)
    if len(some) == len(marks):
        found[some] = marks
    elif len(some):
        found[some] = np.logical_or.reduceat(marks, begins)
    return found


def stretches(sizes: Array, start: int, stop: int) -> list[tuple[int, int]]:
    """A stretch cut so that each part has few enough entries; an array that is larger has a part of its own."""
    if int(sizes[start:stop].sum()) <= MOST_ENTRIES:
        return [(start, stop)]
    parts, begin, entries = [], start, 0
    for i, size in enumerate(sizes[start:stop].tolist(), start):
        if entries + size > MOST_ENTRIES and i > begin:
            parts.append((begin, i))
            begin, entries = i, 0
        entries += size
    parts.append((begin, stop))
    return parts


def _unsound_values(recording: Recording, iteration: int, start: int, stop: int, _bound: float) -> Array:
    leaves = recording.graph.leaves
    arrays = recording.iteration(iteration).values[leaves + start : leaves + stop]
    flat, begins, some = _flat(arrays, _sizes(recording.plan)[0][start:stop])
    return start + np.flatnonzero(_any(~np.isfinite(flat), begins, some, stop - start))


def _written(recording: Recording, iteration: int, start: int, stop: int) -> tuple[Array, Array, Array]:
    arrays = recording.iteration(iteration).written[start + 1 : stop + 1]
    return _flat(arrays, _sizes(recording.plan)[1][start:stop])


def _unsound_gradients(recording: Recording, iteration: int, start: int, stop: int, _bound: float) -> Array:
    flat, begins, some = _written(recording, iteration, start, stop)
    return start + np.flatnonzero(_any(~np.isfinite(flat), begins, some, stop - start))


def _earlier(recording: Recording, start: int, stop: int) -> Array:
    return np.frombuffer(recording.plan.earlier, np.int64)[start:stop]


def _zero_gradients(recording: Recording, iteration: int, start: int, stop: int, _bound: float) -> Array:
    flat, begins, some = _written(recording, iteration, start, stop)
    zero = ~_any(flat != 0, begins, some, stop - start)
    zero[_sizes(recording.plan)[1][start:stop] == 0] = False
    found = np.flatnonzero(zero)
    written, earlier = recording.iteration(iteration).written, _earlier(recording, start, stop)
    became = [k for k in found if earlier[k] < 0 or np.any(written[earlier[k]])]
    return start + np.array(became, np.int64)


def _norms(recording: Recording, iteration: int, start: int, stop: int) -> Array:
    flat, begins, some = _written(recording, iteration, start, stop)
    norms = np.zeros(stop - start)
    if len(some):
        with np.errstate(all="ignore"):
            norms[some] = np.abs(flat) if len(some) == len(flat) else np.sqrt(np.add.reduceat(np.square(flat), begins))
    return norms


def _crossing(recording: Recording, iteration: int, start: int, stop: int, holds: Callable[[Array], Array]) -> Array:
    """The writes after which a gradient's norm is beyond a bound, and was not before it."""
    found = np.flatnonzero(holds(_norms(recording, iteration, start, stop)))
    written, earlier = recording.iteration(iteration).written, _earlier(recording, start, stop)
    new = [k for k in found if earlier[k] < 0 or not holds(np.sqrt(np.sum(np.square(written[earlier[k]]))))]
    return start + np.array(new, np.int64)


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
    plan, kept = recording.plan, recording.iteration(iteration)
    sizes = _sizes(plan)[1][start:stop]
    flat, begins, some = _written(recording, iteration, start, stop)
    earlier = _earlier(recording, start, stop)
    nothing = {size: np.zeros(size)[()] if size != 1 else np.float64(0) for size in set(sizes.tolist())}
    pairs = zip(earlier.tolist(), sizes.tolist(), strict=True)
    before: list[Any] = [kept.written[e] if e >= 0 else nothing[size] for e, size in pairs]
    changed = (flat != _flat(before, sizes)[0]) & ~np.isnan(flat)
    candidates = np.flatnonzero(~_any(changed, begins, some, stop - start) & (sizes > 0))
    return start + np.array([k for k in candidates if _zero_local(recording, iteration, start + int(k))], np.int64)


def _zero_local(recording: Recording, iteration: int, index: int) -> bool:
    derivative, _, reads = recording.plan.derivative(index)
    if derivative.how in ("rearrange", "dense") or not reads:
        return False
    values = recording.iteration(iteration).values
    with np.errstate(all="ignore"):
        return not np.any(derivative.value(*[values[i] for i in reads]))


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
    Fact("nan-value", "forward", "the first nan or inf in a value", _unsound_values, first=True),
    Fact("nan-gradient", "backward", "the first nan or inf in a gradient", _unsound_gradients, first=True),
    Fact("zero-gradient", "backward", "a gradient becomes exactly zero", _zero_gradients),
    Fact("small-gradient", "backward", "a gradient's norm falls below {bound}", _small_gradients, 1e-6),
    Fact("large-gradient", "backward", "a gradient's norm rises above {bound}", _large_gradients, 1e3),
    Fact("fan-out", "backward", "a second contribution arrives at a node", _fan_outs),
    Fact("zero-local", "backward", "a local derivative is zero everywhere", _zero_locals),
    Fact("kink", "backward", "a convention is used where a derivative does not exist", _kinks),
)
#: Every fact by its name.
FACTS: dict[str, Fact] = {fact.name: fact for fact in _ALL}


def holding(fact: Fact, bound: float | None, recording: Recording, start: int, stop: int) -> list[int]:
    """The numbers of the steps after ``start`` and up to ``stop``, all executed, at which a fact holds."""
    plan = recording.plan
    first = plan.step_of(0, fact.phase)
    count = plan.phase_steps(fact.phase)
    sizes = _sizes(plan)[0 if fact.phase == "forward" else 1]
    found: list[int] = []
    limit = bound if bound is not None else fact.bound or 0.0
    for iteration in range(start // plan.period, (max(stop, 1) - 1) // plan.period + 1):
        offset = iteration * plan.period + first  # the number of the phase's first step
        low, high = max(0, start + 1 - offset), min(count, stop + 1 - offset)
        if low >= high:
            continue
        for begin, end in stretches(sizes, low, high):
            found += [offset + int(k) for k in fact.find(recording, iteration, begin, end, limit)]
    return found
