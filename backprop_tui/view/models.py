"""The frozen models of the panels: everything a panel draws, and nothing it could ask further."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from backprop_tui.ops.op import Array
from backprop_tui.plan import Phase
from backprop_tui.view.text import Line


class HeaderModel(NamedTuple):
    """The line at the top. ``phase`` is None at the start; iterations count from 1."""

    title: str
    name: str
    phase: Phase | None
    step: int
    total: int
    iteration: int
    iterations: int
    playing: bool
    stage: str | None
    context: str


class TimelineModel(NamedTuple):
    """The line at the bottom: where the phases of the shown iteration lie, and how far one is. Steps count from 1."""

    spans: tuple[tuple[Phase, int, int], ...]
    position: int
    start: int
    end: int


class FooterModel(NamedTuple):
    """The last line: what is said for now, or nothing: then it shows the commands one needs most."""

    message: str = ""
    wrong: bool = False


class ReplayModel(NamedTuple):
    """The last line while a saved session is played: times in seconds, what was done last, and how much is not as it was."""

    seconds: float
    duration: float
    markers: tuple[float, ...]
    playing: bool
    speed: float
    last: str
    differences: int


class ProgramModel(NamedTuple):
    """The source and what is executing: ``marks`` are (line from 1, start column, end column) of the sub-expression."""

    lines: tuple[str, ...]
    marks: tuple[tuple[int, int, int], ...]
    phase: Phase | None
    breakpoints: frozenset[int]
    calls: tuple[int, ...]
    """The lines from which the frames one stands in were called."""
    off: frozenset[int] = frozenset()
    """The lines whose breakpoints are all switched off."""


class StepRow(NamedTuple):
    """One row of the list of steps."""

    number: int
    kind: Phase
    text: str
    differs: bool = False


class StepsModel(NamedTuple):
    """The list of steps: a row is made only where it is seen. ``row`` takes a step's number (from 1)."""

    position: int
    total: int
    row: Callable[[int], StepRow]
    compared: object = None
    """What the rows are compared with: with another one they are others."""


class Block(NamedTuple):
    """One array of a multiplication: its role, what it is, and where it comes from. ``array`` None: not there yet."""

    role: str
    title: str
    name: str
    array: Array | None
    note: str = ""


class StepModel(NamedTuple):
    """The multiplication itself. ``blocks`` stand side by side, ``signs[i]`` between block i and i + 1.

    ``forward`` is the node's own value; ``totals`` is what happens to the gradient of ``operand``: before, contribution, after.
    """

    title: str
    role: str
    equation: Line
    because: str
    forward: Block | None
    blocks: tuple[Block, ...]
    signs: tuple[str, ...]
    totals: tuple[Block, ...]
    operand: str
    contribution: str
    warning: str
    entry: str
    """One entry of the product as the written-out sum."""
    sentences: tuple[str, ...]
    empty: tuple[str, ...] = ()


class ChainModel(NamedTuple):
    """The product along the way. ``factors`` are spans in reading order; ``shapes`` stand under them at the same columns."""

    title: str
    left: str
    factors: tuple[tuple[str, str, str], ...]
    """(text, role, shape): signs have no shape."""
    note: str
    lines: tuple[Line, ...] = ()


class VariableRow(NamedTuple):
    """One variable: value and gradient, or in words why there is none yet; what changed in this step is marked."""

    node: int
    name: str
    shape: str
    value: Array | None
    value_note: str
    gradient: Array | None
    gradient_note: str
    value_changed: bool
    gradient_changed: bool
    kind: str
    edited: str = ""
    """``value`` or ``gradient`` where it was changed by hand, what if."""
    far: tuple[str, str] | None = None
    """How far value and gradient are from those of the run that is compared, as text; None where none is."""


class VariablesModel(NamedTuple):
    """The variables, in a fixed order."""

    rows: tuple[VariableRow, ...]


class NotesModel(NamedTuple):
    """What the scenario has to say here. ``here`` are the notes of this step; ``about`` is the scenario's own text."""

    here: tuple[str, ...]
    about: str
    source: str
    elsewhere: bool = False
    """Whether there are notes at all."""
    typed: str = ""
    """What was typed in at this position."""


class WatchRow(NamedTuple):
    """One watch: its value before the step and after it; ``why`` says in words why there is none after it."""

    number: int
    text: str
    before: Array | None
    after: Array | None
    why: str
    changed: bool


class WatchesModel(NamedTuple):
    """The watches, in the order they were made."""

    rows: tuple[WatchRow, ...]


class StopRow(NamedTuple):
    """One stop: ``number`` is None for one on a fact; ``here`` marks those that stop at the position."""

    number: int | None
    text: str
    """How it is written on the command line."""
    words: str
    """What it is in words, where that is another thing."""
    on: bool
    hits: str
    here: bool
    name: str
    """What the commands call it: its number, or the fact's name."""


class StopsModel(NamedTuple):
    """The breakpoints, then the stops on facts."""

    rows: tuple[StopRow, ...]


class CallRow(NamedTuple):
    """One level of the call stack, the innermost first: what is called, the line it is at, the turns of its loops."""

    name: str
    line: int
    turns: str
    source: str


class CallsModel(NamedTuple):
    """The call stack; without calls, ``why`` says in words why there is none."""

    rows: tuple[CallRow, ...]
    why: str
