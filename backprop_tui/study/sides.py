"""The sides of a comparison: a run of a scenario, or a trace made elsewhere, asked in the same words.

A side has steps, numbered from 1, each with a key (what step it is) and facts (the numbers of its line of the trace).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Protocol

from backprop_tui.errors import CommandError
from backprop_tui.export.jsonl import MOST_JACOBIAN, step_object
from backprop_tui.format import clean, cut
from backprop_tui.recording import Recording
from backprop_tui.scenario import Limits, load
from backprop_tui.scenario.library import find_trace
from backprop_tui.steps import BackwardStep
from backprop_tui.stops import CHUNK
from backprop_tui.study.traces import Facts, Key, Trace


class Side(Protocol):
    """What a comparison asks of a run or of a trace."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def complete(self) -> bool:
        """Whether every step it has done is told: a trace made elsewhere may leave some out."""

    @property
    def single(self) -> bool:
        """Whether its numbers are of single precision."""

    def __len__(self) -> int:
        """How many steps it has, once it is ready."""

    def ready(self) -> Generator[int, None, None]:
        """Makes every step available, in parts; yields how many are. Raises CommandError."""

    def each_key(self) -> Iterator[Key]:
        """What each step is, in order."""

    def key(self, number: int) -> Key:
        """What the step of that number is."""

    def facts(self, number: int) -> Facts:
        """The numbers of a step, by their key in the trace."""

    def how(self, number: int) -> str:
        """How the local derivative of a backward step is multiplied in; nothing where that is not told."""

    def line(self, number: int) -> dict[str, Any]:
        """The step as an object of the trace."""

    def place(self, number: int) -> str:
        """Where the step stands, in words."""


class Run:
    """A recording as a side, executed to its end when it is asked for."""

    complete = True

    def __init__(self, recording: Recording, name: str) -> None:
        self.recording = recording
        self.name = name
        self.single = recording.scenario.precision == "float32"
        self._steps = self._of_an_iteration()

    def _of_an_iteration(self) -> list[tuple[str, str, str]]:
        """Kind, node and operand of the steps of one iteration: all of them have the same."""
        plan, label = self.recording.plan, self.recording.graph.label
        names: dict[int, str] = {}

        def name(node: int) -> str:
            if node not in names:
                names[node] = label(node)
            return names[node]

        leaves = self.recording.graph.leaves
        steps = [("forward", name(leaves + k), "") for k in range(plan.forward_steps)]
        steps.append(("seed", name(self.recording.graph.loss), ""))
        steps += [("backward", name(source), name(target)) for source, target in zip(plan.sources, plan.targets, strict=True)]
        steps += [("update", name(node), "") for node in plan.updated]
        return steps

    def __len__(self) -> int:
        return self.recording.plan.total

    def ready(self) -> Generator[int, None, None]:
        """Executes it to its end, in parts."""
        for to in range(len(self.recording), len(self) + CHUNK, CHUNK):
            self.recording.advance(to)
            yield min(to, len(self))

    def each_key(self) -> Iterator[Key]:
        """What each step is, in order."""
        for iteration in range(self.recording.plan.iterations):
            for kind, node, operand in self._steps:
                yield iteration, kind, node, operand

    def key(self, number: int) -> Key:
        """What the step of that number is."""
        iteration, index = divmod(number - 1, self.recording.plan.period)
        return iteration, *self._steps[index]

    def facts(self, number: int) -> Facts:
        """The numbers of a step, by their key in the trace."""
        recording, plan = self.recording.owner(number), self.recording.plan
        iteration, index = divmod(number - 1, plan.period)
        if index < plan.forward_steps:
            return {"value": recording.value(iteration, recording.graph.leaves + index)}
        index -= plan.forward_steps + 1
        if index < 0:
            return {"grad": recording.written(iteration, 0)}
        if index >= plan.backward_steps:
            index -= plan.backward_steps
            before, grad = (find(iteration, plan.updated[index]) for find in (recording.value, recording.gradient))
            return {"after": recording.updated(iteration, index), "before": before, "grad": grad}
        found: Facts = {
            "contribution": recording.contribution(iteration, index),
            "grad": recording.written(iteration, index + 1),
            "upstream": recording.written(iteration, plan.uppers[index]),
        }
        derivative, call, reads = plan.derivative(index)
        if call.out == call.shapes[plan.slots[index]] == ():  # what `local` of a step is, without making the step
            found["local"] = derivative.value(*[recording.value(iteration, node) for node in reads])
            return found
        step = recording.step(number)
        assert isinstance(step, BackwardStep)
        if step.jacobian_entries <= MOST_JACOBIAN:
            found["local"] = step.local
        return found

    def how(self, number: int) -> str:
        """How the local derivative of a backward step is multiplied in."""
        plan = self.recording.plan
        return plan.derivative((number - 1) % plan.period - plan.forward_steps - 1)[0].how

    def line(self, number: int) -> dict[str, Any]:
        """The step as an object of the trace."""
        return step_object(self.recording.step(number), self.recording.owner(number))

    def place(self, number: int) -> str:
        """Where the step stands, in words."""
        return f"step {number}"

    def same_steps(self, other: Run) -> bool:
        """Whether an iteration of the other has the same steps in the same order."""
        return self.recording.plan is other.recording.plan or self._steps == other._steps

    def shared(self, other: Run) -> int:
        """How many steps both have in common, because one was forked from the other or both from a third."""
        limits = dict(_ancestry(self.recording))
        return max((min(limit, limits.get(run, 0)) for run, limit in _ancestry(other.recording)), default=0)


def _ancestry(run: Recording) -> Iterator[tuple[Recording, int]]:
    """A recording and those it was forked from, each with the last step that is its own to answer for."""
    limit, at = run.plan.total, run
    while True:
        yield at, limit
        if at.parent is None:
            return
        limit, at = min(limit, at.fork), at.parent


def opened(source: str, limits: Limits | None = None) -> Side:
    """The side in a file: a JSON-lines trace or a scenario; else the bundled trace or scenario of that name.

    A file is a trace where its name ends in ``.jsonl`` or its first character is a brace. Raises CommandError or ScenarioError.
    """
    limits = limits or Limits()
    path = Path(source)
    try:
        there = path.stat().st_mode
    except (OSError, ValueError):
        there = None
    if there is None and source.endswith(".jsonl"):
        bundled = find_trace(source)
        if bundled is None:
            raise CommandError(
                f"no file and no bundled trace '{cut(clean(source), 60)}'; a trace is written by trace --format jsonl"
            )
        return Trace(bundled, source, limits)
    if there is not None and not stat.S_ISDIR(there) and (source.endswith(".jsonl") or _begins_with_a_brace(path, there)):
        return Trace(path, source, limits)
    return Run(Recording(load(source, limits=limits)), source)


def _begins_with_a_brace(path: Path, mode: int) -> bool:
    if not stat.S_ISREG(mode) or not os.access(path, os.R_OK):
        return False
    with path.open("rb") as stream:
        return stream.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
