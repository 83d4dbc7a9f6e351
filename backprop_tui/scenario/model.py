"""What a scenario is, once it is read and checked: plain frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from backprop_tui.formula import Formula
from backprop_tui.graph import Graph
from backprop_tui.ops.op import Array

Precision = Literal["float64", "float32"]
Verdict = Literal["correct", "shape", "value"]


class Limits(NamedTuple):
    """How much a run may take: steps of all iterations together, and bytes of values."""

    max_steps: int = 2_000_000
    max_bytes: int = 1 << 30


class Training(NamedTuple):
    """Gradient descent: ``steps`` iterations (at least 1), the learning rate η, and the parameters that are updated."""

    steps: int
    learning_rate: float
    update: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Expected:
    """Known answers by variable: values and gradients of the last iteration, parameters after the last update.

    ``tolerance`` is absolute and positive. Each array has the shape of what it is compared with.
    """

    tolerance: float = 1e-9
    values: Mapping[str, Array] = field(default_factory=dict)
    gradients: Mapping[str, Array] = field(default_factory=dict)
    updated: Mapping[str, Array] = field(default_factory=dict)


class Claim(NamedTuple):
    """A hand-derived gradient: of which variable, the formula, what is expected of it; ``line`` is the file's."""

    gradient: str
    formula: Formula
    text: str
    verdict: Verdict
    note: str
    line: int


class Note(NamedTuple):
    """What a learner reads when a step is reached: at a variable or at a line of the program, in a phase or in all."""

    node_name: str | None
    line: int | None
    phase: str | None
    text: str


class Breakpoint(NamedTuple):
    """Where to stop: at a variable, at a line of the program, or in a phase; ``when`` is its condition."""

    at: str | None
    line: int | None
    phase: str | None
    when: Formula | None


class Watch(NamedTuple):
    """An expression that is shown all the time."""

    expression: Formula
    text: str


@dataclass(frozen=True, eq=False)
class Scenario:
    """A scenario that can be run.

    ``text`` is the file's whole text, ``path`` the file it came from, if it came from one. Line 1 of ``program`` stands
    on line ``program_line`` of the text. The arrays of ``data`` and ``parameters`` are read-only and of the scenario's
    precision; where the shape is (), they are NumPy scalars. Texts are kept as the file has them, not cleaned.
    """

    path: Path | None
    name: str
    text: str
    title: str
    description: str
    source: str
    tags: tuple[str, ...]
    precision: Precision
    seed: int
    program: str
    program_line: int
    loss: str | None
    data: Mapping[str, Array]
    parameters: Mapping[str, Array]
    symbols: Mapping[str, str]
    training: Training | None
    expected: Expected
    claims: tuple[Claim, ...]
    notes: tuple[Note, ...]
    breakpoints: tuple[Breakpoint, ...]
    watches: tuple[Watch, ...]
    limits: Limits
    graph: Graph
