"""Where to stop: breakpoints on places of a program, stops on facts, watchpoints; and at which steps each of them holds.

A stop is a question about one step of a recording, answered from what the recording keeps.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from backprop_tui.conditions import LONGEST, condition, names_of, nodes_of
from backprop_tui.errors import CommandError, did_you_mean
from backprop_tui.facts import FACTS
from backprop_tui.formula import Formula
from backprop_tui.graph import Graph
from backprop_tui.ops.op import Array
from backprop_tui.plan import PHASES, Phase, Plan
from backprop_tui.recording import Recording
from backprop_tui.scenario.model import Breakpoint as Given
from backprop_tui.steps import BackwardStep

Kind = Literal["line", "name", "step", "op", "phase", "fact", "value", "gradient"]


@dataclass(frozen=True)
class Breakpoint:
    """One stop. ``target`` is a line (from 1), a step's number, or a name; ``bound`` is a fact's figure, if it has one.

    With ``phase``, a place holds in that phase only. A line or a phase without a condition stops once, at its first step;
    with one, at each of its steps where the condition holds.
    """

    number: int
    kind: Kind
    target: str
    phase: Phase | None = None
    when: Formula | None = None
    bound: float | None = None
    enabled: bool = True

    @property
    def text(self) -> str:
        """What it is, as it is written on the command line."""
        if self.kind == "fact":
            return self.target if self.bound is None else f"{self.target} {_figure(self.bound)}"
        name = f"name {self.target}" if self.target in _TAKEN else self.target
        place = {"name": name, "value": f"change {self.target}", "gradient": f"change grad({self.target})"}
        text = place.get(self.kind, f"{self.kind} {self.target}")
        if self.phase is not None and self.kind != "phase":
            text += f" in {self.phase}"
        return f"{text} if {self.when.text}" if self.when is not None else text

    @property
    def question(self) -> tuple[object, ...]:
        """What it asks of a step: its number and whether it is on have no say in where it holds."""
        bound = FACTS[self.target].bound if self.kind == "fact" and self.bound is None else self.bound
        return self.kind, self.target, self.phase, self.when and self.when.text, bound

    @property
    def words(self) -> str:
        """What it is, in words."""
        if self.kind != "fact":
            return self.text
        fact = FACTS[self.target]
        bound = fact.bound if self.bound is None else self.bound
        return fact.text if bound is None else fact.text.format(bound=_figure(bound))


def _figure(bound: float) -> str:
    """A bound as short as it can be written and read again."""
    return f"{bound:g}" if float(f"{bound:g}") == bound else repr(bound)


def from_scenario(given: Given, number: int) -> Breakpoint:
    """A breakpoint of a scenario file."""
    phase = next((p for p in PHASES if p == given.phase), None)
    if given.line is not None:
        return Breakpoint(number, "line", str(given.line), phase, given.when)
    if given.at is not None:
        return Breakpoint(number, "name", given.at, phase, given.when)
    return Breakpoint(number, "phase", str(phase), phase, given.when)


# Reading one from a command line

#: A place of that name is no variable; ``name update`` is.
_TAKEN = frozenset((*PHASES, *FACTS))

_CONDITION = re.compile(r"(?:^|\s)(?P<word>if|when)(?:\s+(?P<when>.+))?$", re.S)
_PHASE = re.compile(r"\s+in\s+(?P<phase>\w+)$")


def read(text: str, graph: Graph, total: int, number: int) -> Breakpoint:
    """A breakpoint from its text: ``3``, ``line 3``, ``step 12``, ``op relu``, ``backward``, ``W1 if norm(grad) > 1``,
    ``change grad(W1)``, or a fact, ``small-gradient 1e-9``; ``name update`` where a name is also a phase. Raises CommandError.
    """
    if len(text) > LONGEST:
        raise CommandError(f"the breakpoint has {len(text):,} characters; at most {LONGEST:,} are read")
    place, when, phase = text.strip(), None, None
    if match := _CONDITION.search(place):
        if match["when"] is None:
            raise CommandError(f"a condition is wanted after '{match['word']}', such as norm(grad) > 1")
        when, place = condition(match["when"], graph), place[: match.start()].strip()
    if match := _PHASE.search(place):
        phase, place = _known(match["phase"], PHASES, "phase"), place[: match.start()]
    word, _, rest = place.partition(" ")
    rest = rest.strip()
    if (word == "name" and rest) or (place in names_of(graph) and place not in _TAKEN):
        name = rest if word == "name" and rest else place
        nodes_of(graph, name)
        return Breakpoint(number, "name", name, phase, when)
    if phase is not None and (word in (*FACTS, "step", "phase") or place in PHASES):
        raise CommandError(f"'{place}' takes no phase")
    if not place:
        raise CommandError("a breakpoint needs a place: a line, a name, a phase, or `step N`, `op NAME`, or a fact")
    if word in FACTS:
        return _fact(word, rest, when, number)
    if word == "change":
        if not rest:
            raise CommandError("change of what? a name, as in change W1, or a gradient, as in change grad(W1)")
        inner = re.fullmatch(r"grad\(\s*(.+?)\s*\)", rest)
        name = inner[1] if inner else rest
        nodes_of(graph, name)
        return Breakpoint(number, "gradient" if inner else "value", name, phase, when)
    if word == "step":
        if not rest.isdecimal() or not 1 <= int(rest[:19]) <= total:
            raise CommandError(f"the run has no step '{rest}': it has the steps 1 to {total}")
        return Breakpoint(number, "step", str(int(rest)), None, when)
    if word == "op" and rest:
        _known(rest, {op.name for op in graph.ops}, "op", " in the program")
        return Breakpoint(number, "op", rest, phase, when)
    if word == "phase" or place in PHASES:
        found = _known(rest if word == "phase" else place, PHASES, "phase")
        return Breakpoint(number, "phase", found, found, when)
    if word == "line" or place.isdecimal():
        return _line(rest if word == "line" else place, graph, phase, when, number)
    nodes_of(graph, place)  # it may be the first of several that a name is assigned: h#1
    return Breakpoint(number, "name", place, phase, when)


def _fact(name: str, rest: str, when: Formula | None, number: int) -> Breakpoint:
    if when is not None:
        raise CommandError(f"{name} takes no condition; it is one")
    if not rest:
        return Breakpoint(number, "fact", name)
    if FACTS[name].bound is None:
        raise CommandError(f"{name} takes no bound")
    try:
        bound = float(rest)
    except ValueError:
        bound = -1.0
    if not 0 < bound < float("inf"):
        raise CommandError(f"'{rest}' is no bound: write a positive number, as in {name} {FACTS[name].bound:g}")
    return Breakpoint(number, "fact", name, bound=bound)


def _line(text: str, graph: Graph, phase: Phase | None, when: Formula | None, number: int) -> Breakpoint:
    last = graph.source.rstrip("\n").count("\n") + 1
    if not text.isdecimal() or not 1 <= int(text[:19]) <= last:
        raise CommandError(f"the program has no line '{text}': it has the lines 1 to {last}")
    line = int(text)
    executed = sorted({statement.line for statement in graph.statements})
    if line not in executed:  # it may be a later line of a statement that is written on several
        for statement, start, end in zip(graph.statement_of, graph.starts, graph.ends, strict=True):
            if graph.place(start)[0] <= line <= graph.place(end)[0]:
                line = graph.statements[statement].line
                break
    if line not in executed:
        near = min(executed, key=lambda other: (abs(other - line), other))
        raise CommandError(f"nothing is executed on line {line}; the nearest line that is: {near}")
    return Breakpoint(number, "line", str(line), phase, when)


def _known(word: str, known: Sequence[Phase] | set[str], kind: str, where: str = "") -> Phase:
    if word not in known:
        hint = did_you_mean(word, known)
        raise CommandError(f"no {kind} '{word}'{where}" + (f"; {hint}" if hint else ""))
    return word  # type: ignore[return-value]  # it is one of the known


# What it is about


def candidates(stop: Breakpoint, plan: Plan) -> Array:
    """The steps of one iteration (from 1) that a breakpoint is about, its condition aside; ascending."""
    graph = plan.graph
    sources = np.frombuffer(plan.sources, np.int64) if plan.sources else np.empty(0, np.int64)
    targets = np.frombuffer(plan.targets, np.int64) if plan.targets else np.empty(0, np.int64)
    backward = plan.forward_steps + 2  # the number of the first backward step
    if stop.kind == "step":
        return np.arange(0)
    if stop.kind in ("name", "value", "gradient"):
        nodes = np.array(nodes_of(graph, stop.target), np.int64)
        computed = nodes[nodes >= graph.leaves] - graph.leaves + 1
        received = np.flatnonzero(np.isin(targets, nodes)) + backward
        seeded = [plan.forward_steps + 1] if graph.loss in nodes else []
        updated = [backward + plan.backward_steps + plan.update_of[n] for n in nodes.tolist() if n in plan.update_of]
        if stop.kind == "value":
            received, seeded = np.empty(0, np.int64), []
        elif stop.kind == "gradient":
            computed, updated = np.empty(0, np.int64), []
        steps = np.sort(np.concatenate((computed, seeded, received, updated)).astype(np.int64))
        return _in_phase(steps, stop.phase, plan)
    if stop.kind == "op":
        marks = np.array([op.name == stop.target for op in graph.ops], bool)
        steps = np.concatenate((np.flatnonzero(marks) + 1, np.flatnonzero(marks[sources - graph.leaves]) + backward))
        return _in_phase(steps, stop.phase, plan)
    if stop.kind == "line":
        statements = np.array(_executions(graph, int(stop.target)), np.int64)[np.frombuffer(graph.statement_of, np.int64)]
        every = np.concatenate((statements, statements[sources - graph.leaves]))
        numbers = np.concatenate((np.arange(len(statements)) + 1, np.arange(len(sources)) + backward))
        every, numbers = every[every >= 0], numbers[every >= 0]
        if stop.when is None and len(numbers):
            back = numbers >= backward
            first = np.concatenate(([True], (every[1:] != every[:-1]) | (back[1:] != back[:-1])))
            numbers = numbers[first]
        return _in_phase(numbers, stop.phase, plan)
    phase = next(p for p in PHASES if p == stop.target)
    start = plan.step_of(0, phase)
    count = plan.phase_steps(phase)
    return np.arange(start, start + (min(count, 1) if stop.when is None else count))


def _executions(graph: Graph, line: int) -> list[int]:
    """For each statement the execution of a line that it is, or is called from; −1 where it is neither."""
    found: list[int] = []
    for index, statement in enumerate(graph.statements):
        caller = graph.frames[statement.frame].statement if statement.frame else -1
        found.append(index if statement.line == line else found[caller] if caller >= 0 else -1)
    return found


def _in_phase(steps: Array, phase: Phase | None, plan: Plan) -> Array:
    if phase is None:
        return steps
    start = plan.step_of(0, phase)
    return steps[(steps >= start) & (steps < start + plan.phase_steps(phase))]


def changes(recording: Recording, step: int) -> bool:
    """Whether a step leaves the value or the gradient it writes to other than it was."""
    at = recording.step(step)
    if isinstance(at, BackwardStep):
        return at.before is None or not np.array_equal(at.before, at.grad, equal_nan=True)
    before = getattr(at, "before", None)
    return before is None or not np.array_equal(before, at.after, equal_nan=True)  # type: ignore[attr-defined]  # an update
