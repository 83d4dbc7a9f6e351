"""What a comparison came to, as text and as an object for programs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from backprop_tui.export.jsonl import plain as as_json
from backprop_tui.format import array_text, clean, plain, shape_text
from backprop_tui.study.compare import Apart, Comparison, Difference

#: What the numbers of a step are called in words, where that is not their key in the trace.
WORDS = {"grad": "gradient", "local": "local derivative"}
#: To so many significant digits two numbers are written: the fewest of these that tell them apart.
DIGITS = (6, 10, 17)


def count(number: int, one: str) -> str:
    """A number of things: ``1 step``, ``2 steps``."""
    return f"{number:,} {one}" if number == 1 else f"{number:,} {one}s"


def lines(found: Comparison) -> Iterator[str]:
    """A comparison as text for people, line by line."""
    for letter, side in (("A", found.a), ("B", found.b)):
        yield f"{letter}  {clean(side.name)}, {count(len(side), 'step')}"
    pairs = f"{count(found.compared, 'pair')} of steps compared, tolerance {plain(found.tolerance)}"
    largest = f"largest difference {plain(found.largest_difference)}"
    if found.first is None:
        yield f"the same: {pairs}, {largest}"
    else:
        yield f"different: {count(found.differences, 'step')}; {pairs}, {largest}"
        yield f"the first that differs: {clean(found.first.name)}"
        for line in difference_lines(found, found.first):
            yield f"  {line}"
    yield from passed_over(found)


def passed_over(found: Comparison) -> Iterator[str]:
    """How many steps of a side were compared with none of the other's, without that being a difference."""
    expected = sum(found.counterpart(step) is None for step in found.differing), len(found.only_b)
    sides = (("A", "B"), ("B", "A"))
    for (one, other), unpaired, differences in zip(sides, found.unpaired, expected, strict=True):
        if unpaired > differences:
            yield f"passed over: {count(unpaired - differences, 'step')} of {one} that {other} does not tell"


def difference_lines(found: Comparison, difference: Difference) -> Iterator[str]:
    """One step that differs: where it stands, and what differs, by how much."""
    places = {"A": (found.a, difference.a), "B": (found.b, difference.b)}
    there = {letter: side.place(number) for letter, (side, number) in places.items() if number is not None}
    if len(there) == 1:
        ((letter, place),) = there.items()
        other = "B" if letter == "A" else "A"
        yield f"only {letter} has it, {place}; {other} has no such step"
        return
    yield ", ".join(f"{letter} {place}" for letter, place in there.items())
    for words, apart in _merged(difference.numbers):
        yield words
        for letter, value in (("A", apart.a), ("B", apart.b)):
            yield f"  {letter}  {array_text(value)}"
        yield f"  {by_how_much(apart)}"


def _merged(numbers: Sequence[Apart]) -> list[tuple[str, Apart]]:
    """The numbers with their names; those that are the same on both sides as the ones before are named together."""
    found: list[tuple[str, Apart]] = []
    for apart in numbers:
        words = WORDS.get(apart.field, apart.field)
        if found and all(np.array_equal(x, y, equal_nan=True) for x, y in zip(apart[1:3], found[-1][1][1:3], strict=True)):
            found[-1] = (f"{found[-1][0]}, {words}", found[-1][1])
        else:
            found.append((words, apart))
    return found


def by_how_much(apart: Apart, sides: tuple[str, str] = ("A", "B")) -> str:
    """How far two numbers are from each other, in words; ``sides`` is what the two runs are called."""
    of_a, of_b = sides
    if apart.entry is None:
        return f"unlike shapes: {of_a} {shape_text(apart.a.shape)}, {of_b} {shape_text(apart.b.shape)}"
    one, two = float(apart.a[apart.entry]), float(apart.b[apart.entry])
    finite = math.isfinite(apart.difference)
    text = f"apart by {plain(apart.difference)}" if finite else "infinitely far apart"
    if not apart.entry:
        return text
    shown = [(plain(one, digits), plain(two, digits)) for digits in DIGITS]
    a, b = next((pair for pair in shown if pair[0] != pair[1]), shown[-1])
    at = ", ".join(map(str, apart.entry))
    return f"{text}{', most' if finite else ''} at [{at}]: {of_a} {a}, {of_b} {b}"


def as_object(found: Comparison) -> dict[str, Any]:
    """A comparison as one object: whether it is the same, and the two lines of the trace that differ first."""
    first = found.first
    a = found.a.line(first.a) if first is not None and first.a is not None else None
    b = found.b.line(first.b) if first is not None and first.b is not None else None
    return {
        "same": found.same,
        "compared": found.compared,
        "largest_difference": as_json(np.float64(found.largest_difference)),  # type: ignore[arg-type]  # a scalar is an Array here
        "first": {"a": a, "b": b},
    }
