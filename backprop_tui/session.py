"""What a person does with a run: the debugger, and beside it watches, bookmarks, notes typed in, and what is searched for."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from backprop_tui.conditions import NotThereError, reader, watched
from backprop_tui.debugger import Debugger
from backprop_tui.errors import CommandError, ShapeError
from backprop_tui.format import clean
from backprop_tui.formula import Formula
from backprop_tui.ops.op import Array
from backprop_tui.scenario import Scenario
from backprop_tui.steps import BackwardStep, ForwardStep, SeedStep, UpdateStep
from backprop_tui.stops import CHUNK
from backprop_tui.wording import wording_of

if TYPE_CHECKING:
    from backprop_tui.beside import Beside


class Watched(NamedTuple):
    """A watch at a position: its value before the step and after it, or in words why there is none."""

    text: str
    before: Array | None
    after: Array | None
    why: str = ""

    @property
    def changed(self) -> bool:
        """Whether the step changed it."""
        if self.before is None or self.after is None:
            return self.before is not self.after
        return not np.array_equal(self.before, self.after, equal_nan=True)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done: a line of commands, and when, in seconds since the session began.

    A move done several times in a row is one event: ``count`` times, the last of them at ``until``. After it one stood at
    ``position``, and the entries of what the step there wrote added up to ``result``.
    """

    seconds: float
    line: str
    count: int
    until: float
    position: int
    result: float | None


class Session:
    """A debugger and everything that a person put beside it. ``clock`` answers seconds."""

    def __init__(self, scenario: Scenario, clock: Callable[[], float] = time.monotonic) -> None:
        self.scenario = scenario
        self.debugger = Debugger(scenario)
        self.wording = wording_of(scenario)
        self.watches: list[Formula] = [watch.expression for watch in scenario.watches]
        #: Positions by name.
        self.bookmarks: dict[str, int] = {}
        #: The run that this one is compared with, if any is.
        self._beside: Beside | None = None
        #: What was typed in, by position.
        self.notes: dict[int, str] = {}
        self.sought = ""
        #: What was done, in order: played again, it leads here.
        self.log: list[Event] = []
        #: The files that the scenario names, where it came out of a saved session: by name, as base64.
        self.files: dict[str, str] | None = None
        self._clock = clock
        self._began = clock()

    # What was done

    @property
    def seconds(self) -> float:
        """How long the session has been going on."""
        return self._clock() - self._began

    def goes_on_from(self, seconds: float) -> None:
        """Sets its time: a session that was saved goes on where it was."""
        self._began = self._clock() - seconds

    def remember(self, line: str, *, repeats: bool = False) -> None:
        """Adds what was done to the log; the same move again is counted."""
        now, position, result = round(self.seconds, 3), self.debugger.position, self.result()
        last = self.log[-1] if self.log else None
        if repeats and last is not None and last.line == line:
            self.log[-1] = replace(last, count=last.count + 1, until=now, position=position, result=result)
        else:
            self.log.append(Event(now, line, 1, now, position, result))

    def result(self) -> float | None:
        """The sum of the entries that the step at the position wrote: what a replay is held against. None at the start."""
        step = self.debugger.current
        if step is None:
            return None
        wrote: Array
        if isinstance(step, ForwardStep):
            wrote = step.value
        elif isinstance(step, UpdateStep):
            wrote = step.after
        else:
            assert isinstance(step, SeedStep | BackwardStep)
            wrote = step.grad
        with np.errstate(all="ignore"):
            return float(np.sum(wrote))

    # Another run beside it

    @property
    def beside(self) -> Beside | None:
        """The run that the present recording is compared with; a comparison is one of two recordings, not of others."""
        return self._beside if self._beside is not None and self._beside.run is self.debugger.run else None

    def compare_with(self, beside: Beside | None) -> None:
        """Steps in lockstep with another run, or alone again."""
        self._beside = beside

    # Watches

    def add_watch(self, text: str) -> None:
        """Watches an expression over the program's names. Raises CommandError."""
        formula = watched(text, self.debugger.graph)
        if any(known.text == formula.text for known in self.watches):
            raise CommandError(f"'{formula.text}' is watched already")
        self.watches.append(formula)

    def drop_watch(self, number: int) -> str:
        """Takes a watch away, by its number from 1; answers what it was. Raises CommandError."""
        if not 1 <= number <= len(self.watches):
            raise CommandError(f"no watch {number}; there are {len(self.watches)}")
        return self.watches.pop(number - 1).text

    def watched(self) -> list[Watched]:
        """Every watch, before the current step and after it."""
        position = self.debugger.position
        found = []
        for formula in self.watches:
            after, why = self.evaluated(formula, position)
            before = self.evaluated(formula, position - 1)[0] if position else None
            found.append(Watched(formula.text, before, after, why))
        return found

    def evaluated(self, formula: Formula, position: int) -> tuple[Array | None, str]:
        """An expression's value at a position, or None and in words why it has none there."""
        values, gradients = reader(self.debugger.run, position)
        with np.errstate(all="ignore"):
            try:
                return formula.evaluate(values, gradients), ""
            except NotThereError as error:
                return None, f"{error} is not there yet"
            except ShapeError as error:
                return None, error.message + (f"; {error.hint}" if error.hint else "")

    # Bookmarks

    def bookmark(self, name: str) -> str:
        """Marks the position; without a name, by the first free number. Answers the name."""
        name = name or next(str(n) for n in range(1, len(self.bookmarks) + 2) if str(n) not in self.bookmarks)
        self.bookmarks[name] = self.debugger.position
        return name

    def bookmarked(self, name: str) -> int:
        """Where a bookmark is; without a name, the next one after the position, or the first. Raises CommandError."""
        if not self.bookmarks:
            raise CommandError("there is no bookmark yet; m sets one")
        if not name:
            places = sorted(self.bookmarks.values())
            return next((place for place in places if place > self.debugger.position), places[0])
        if name not in self.bookmarks:
            raise CommandError(f"no bookmark '{name}'; there are: {', '.join(self.bookmarks)}")
        return self.bookmarks[name]

    # Search

    def search(self, text: str, *, forward: bool = True) -> Generator[int, None, int | None]:
        """Looks for a text in steps, names and notes, from the position on and round the end; yields how many it has seen.

        Upper and lower case are one where the text has no capital letter.
        """
        total, start = self.debugger.total, self.debugger.position
        if not forward:
            start = max(start, 1)  # before the start comes the end, as it does before step 1
        around = range(1, total + 1) if forward else range(total - 1, -1, -1)
        for seen, offset in enumerate(around, 1):
            number = (start + offset - 1) % total + 1
            if self._matches(number, text):
                return number
            if seen % (CHUNK // 8) == 0:
                yield seen
        return None

    def _matches(self, number: int, text: str) -> bool:
        debugger, plan = self.debugger, self.debugger.plan
        place = plan.place(number)
        node = plan.node_at(place)
        parts = [place.phase, debugger.graph.label(node), self.wording.step(plan, place), self.notes.get(number, "")]
        if place.phase == "backward":
            parts.append(debugger.graph.label(plan.targets[place.index]))
        parts += [note.text for note in self.scenario.notes if debugger.layout.applies(note, place)]
        whole = "\n".join(parts)
        return text in (whole if text != text.lower() else whole.lower())

    # In words

    def where(self) -> str:
        """The position on one line: the step, what it is about, how far inside it, and why one stopped here."""
        debugger = self.debugger
        place = debugger.place
        if place is None:
            return f"start, before step 1 of {debugger.total}"
        text = f"step {place.step} of {debugger.total}: {place.phase} {self.wording.step(debugger.plan, place)}"
        if debugger.plan.iterations > 1:
            text += f", iteration {place.iteration + 1} of {debugger.plan.iterations}"
        if debugger.stage is not None:
            text += f", {debugger.stage}"
        return clean(f"{text}; stopped by {debugger.reason}" if debugger.reason else text)
