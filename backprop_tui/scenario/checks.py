"""What a scenario says about its program, held to the program's graph; and the limits of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from functools import cached_property
from typing import Any, cast

from backprop_tui.errors import ProgramError
from backprop_tui.formula import Formula, parse
from backprop_tui.graph import Graph
from backprop_tui.ops.op import Shape, show_shape
from backprop_tui.scenario.document import Document, figure, quoted
from backprop_tui.scenario.model import Breakpoint, Claim, Limits, Note, Training, Verdict, Watch
from backprop_tui.scenario.toml_text import Path
from backprop_tui.scenario.values import MAX_AXES, entries, over_bytes

MAX_SYMBOL = 40
VERDICTS = ("correct", "shape", "value")
NOTE_PHASES = ("forward", "backward", "update")
PHASES = ("forward", "seed", "backward", "update")
#: What a condition may read of the step it is held to, besides the program's names.
OF_A_STEP = frozenset({"value", "grad", "upstream", "local", "contribution"})

CLAIM_KEYS = ("gradient", "formula", "verdict", "note")
NOTE_KEYS = ("at", "line", "phase", "text")
BREAKPOINT_KEYS = ("at", "line", "phase", "when")
WATCH_KEYS = ("expression",)


class Checker:
    """Reads the tables that speak of a program's variables and lines; every method raises ScenarioError, placed."""

    def __init__(self, document: Document, graph: Graph, lines: int) -> None:
        self.document = document
        self.graph = graph
        self.lines = lines

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name that stands for a node: variables, leaves, and names inside calls; no constants."""
        graph = self.graph
        named = {name for index, name in graph.names.items() if not self._constant(index)}
        return frozenset(named | graph.variables.keys())

    def _constant(self, index: int) -> bool:
        return index < self.graph.leaves and self.graph.kinds[index] == "constant"

    def variable(self, name: str, path: Path, where: str) -> int:
        """The node that a name stands for."""
        index = self.graph.resolve(name)
        if index is None or self._constant(index):
            raise self.document.error(path, *self.document.unknown(name, self.names, "name", where))
        return index

    # Expected answers and symbols

    def shape(self, name: str, path: Path, where: str) -> Shape:
        """The shape of a variable."""
        return self.graph.shapes[self.variable(name, path, where)]

    def updated_shape(self, name: str, path: Path, training: Training | None) -> Shape:
        """The shape of a parameter that training updates."""
        where = " in expected.updated"
        index = self.variable(name, path, where)
        if name not in self.graph.parameters:
            raise self.document.error(path, *self.document.unknown(name, self.graph.parameters, "parameter", where))
        if training is None:
            hint = "add [training] with a learning_rate"
            raise self.document.error(path, f"{quoted(name)}{where} is never updated", hint)
        if name not in training.update:
            hint = "name it in update of [training]"
            raise self.document.error(path, f"{quoted(name)}{where} is never updated", hint)
        return self.graph.shapes[index]

    def same_shape(self, given: Shape, wanted: Shape, path: Path, kind: str) -> None:
        """Refuses an expected answer of another shape than what it is compared with."""
        if given != wanted:
            what = f"the {kind} of {quoted(str(path[-1]))}"
            message = f"the expected {what.removeprefix('the ')} {_has_shape(given)}"
            raise self.document.error(path, message, f"{what} {_has_shape(wanted)}")

    def symbols(self) -> dict[str, str]:
        """How names are shown."""
        table = self.document.subtable(self.document.table, ("symbols",))
        for name, symbol in table.items():
            path = ("symbols", name)
            self.variable(name, path, " in [symbols]")
            if not isinstance(symbol, str):
                raise self.document.wrong(path, symbol, f'text: {name} = "…"', " in [symbols]")
            if not symbol or len(symbol) > MAX_SYMBOL:
                message = f"the symbol of {quoted(name)} has {len(symbol):,} characters"
                raise self.document.error(path, message, f"it must have 1 to {MAX_SYMBOL}")
        return dict(table)

    # Arrays of tables

    def claims(self) -> tuple[Claim, ...]:
        """[[claims]]: a claim without a verdict is claimed to be correct."""
        claims = []
        for i, table in enumerate(self.document.tables("claims")):
            path, where = ("claims", i), " in [[claims]]"
            self.document.known(table, path, CLAIM_KEYS, where)
            gradient = self._required(table, (*path, "gradient"), 'gradient = "W1"')
            self.variable(gradient, (*path, "gradient"), where)
            text = self._required(table, (*path, "formula"), 'formula = "…"')
            formula = self._formula(text, (*path, "formula"), self.names)
            verdict = self.document.choice(table, (*path, "verdict"), VERDICTS, where) or "correct"
            note = self.document.text(table, (*path, "note"), where) or ""
            claims.append(Claim(gradient, formula, text, cast(Verdict, verdict), note, self.document.line(path)))
        return tuple(claims)

    def notes(self) -> tuple[Note, ...]:
        """[[notes]]: each at a variable or at a line."""
        notes = []
        for i, table in enumerate(self.document.tables("notes")):
            path, where = ("notes", i), " in [[notes]]"
            self.document.known(table, path, NOTE_KEYS, where)
            at, line = self._where(table, path, where)
            phase = self.document.choice(table, (*path, "phase"), NOTE_PHASES, where)
            if at is None and line is None:
                raise self.document.error(path, "a note without a place", 'write at = "z2" or line = 3')
            notes.append(Note(at, line, phase, self._required(table, (*path, "text"), 'text = "…"')))
        return tuple(notes)

    def breakpoints(self) -> tuple[Breakpoint, ...]:
        """[[breakpoints]]: each at a variable, at a line, or in a phase."""
        breakpoints = []
        for i, table in enumerate(self.document.tables("breakpoints")):
            path, where = ("breakpoints", i), " in [[breakpoints]]"
            self.document.known(table, path, BREAKPOINT_KEYS, where)
            at, line = self._where(table, path, where)
            phase = self.document.choice(table, (*path, "phase"), PHASES, where)
            if at is None and line is None and phase is None:
                hint = 'write at = "W1", line = 3 or phase = "backward"'
                raise self.document.error(path, "a breakpoint without a place", hint)
            when = self.document.text(table, (*path, "when"), where)
            condition = None if when is None else self._formula(when, (*path, "when"), self.names | OF_A_STEP)
            breakpoints.append(Breakpoint(at, line, phase, condition))
        return tuple(breakpoints)

    def watches(self) -> tuple[Watch, ...]:
        """[[watches]]: expressions over the program's names."""
        watches = []
        for i, table in enumerate(self.document.tables("watches")):
            path = ("watches", i)
            self.document.known(table, path, WATCH_KEYS, " in [[watches]]")
            text = self._required(table, (*path, "expression"), 'expression = "norm(grad(W1))"')
            watches.append(Watch(self._formula(text, (*path, "expression"), self.names), text))
        return tuple(watches)

    def _required(self, table: dict[str, Any], path: Path, example: str) -> str:
        where = f" in [[{path[0]}]]"
        value = self.document.text(table, path, where)
        if value is None:
            self.document.missing(path, f"no {path[-1]}{where}", f"write {example}")
        return value

    def _where(self, table: dict[str, Any], path: Path, where: str) -> tuple[str | None, int | None]:
        """The variable or the line of the program that a table names."""
        at = self.document.text(table, (*path, "at"), where)
        line = self.document.whole(table, (*path, "line"), 1, where)
        if at is not None and line is not None:
            raise self.document.error((*path, "line"), f"'at' and 'line' are both given{where}", "keep one of them")
        if at is not None:
            self.variable(at, (*path, "at"), where)
        if line is not None and line > self.lines:
            message = f"the program has no line {figure(line)}"
            raise self.document.error((*path, "line"), message, f"its last line is {self.lines}")
        return at, line

    def _formula(self, text: str, path: Path, known: Collection[str]) -> Formula:
        """The parsed formula; what is wrong with it is placed in the file."""
        try:
            formula = parse(text, known)
        except (RecursionError, MemoryError):
            raise self.document.error(path, "the formula is nested too deeply", "make it shorter") from None
        except ProgramError as error:
            lines = text.strip().split("\n")
            before = lines[: max(0, min(error.line or 1, len(lines)) - 1)]
            offset = len(text) - len(text.lstrip()) + sum(map(len, before)) + len(before) + (error.column or 1) - 1
            place = self.document.places.in_string(path, offset) or self.document.places.place(path)
            error.line, error.column = place or (None, None)
            self.document.finish(error)
            raise
        for name in formula.gradients:
            if name not in self.names:
                raise self.document.error(path, *self.document.unknown(name, self.names, "name", f" in '{path[-1]}'"))
        return formula


def _has_shape(shape: Shape) -> str:
    return f"has the shape {show_shape(shape)}" if shape else "is a scalar"


def check_limits(document: Document, graph: Graph, training: Training | None, itemsize: int, limits: Limits) -> None:
    """Refuses a run of more steps or more bytes of values than the limits allow, before anything is computed."""
    iterations = training.steps if training else 1
    made = Counter(graph.shapes[graph.leaves :])
    shapes = graph.shapes
    contributed = Counter([shapes[operand] for _, _, operand in graph.backward_pairs()])
    path = ("training", "steps") if iterations > 1 else ("program",)
    deepest = max(map(len, made), default=0)
    if deepest > MAX_AXES:
        message = f"an array of the program has {deepest:,} axes"
        raise document.error(("program",), message, f"at most {MAX_AXES} are computed")
    updates = len(training.update) if training else 0
    steps = iterations * (len(graph.ops) + 1 + contributed.total() + updates)
    if steps > limits.max_steps:
        message = f"the run would take {figure(steps)} steps, more than the limit of {figure(limits.max_steps)}"
        raise document.error(path, message, "raise it with --max-steps")
    taken = iterations * itemsize * sum(entries(shape) * count for shape, count in (made + contributed).items())
    if taken > limits.max_bytes:
        raise document.error(path, *over_bytes("the values of this run", taken, limits))
