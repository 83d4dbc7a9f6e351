"""A saved session played again: what was done, in its order and its time, from the beginning on.

The player knows nothing of a screen: it is told how much time has gone by, and carries out what was done in it.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, overload

from backprop_tui.console import execute, split
from backprop_tui.debugger import exhausted
from backprop_tui.errors import BackpropError, CommandError
from backprop_tui.saving import Document, as_json, log_of, scenario_of
from backprop_tui.scenario import Limits
from backprop_tui.session import Event, Session

#: A pause is played for so long at most, in seconds.
LONGEST_PAUSE = 3.0
#: Numbers are the same when they differ by no more than this part of the larger one.
TOLERANCE = 1e-9
#: Commands that one goes back to: they change what is there, or mark a place of it.
MARKS = ("edit", "undo", "switch", "bookmark", "note", "break", "toggle", "watch", "compare")


class Marker(NamedTuple):
    """A moment to go to: when, in seconds of the playing, and what was done then."""

    seconds: float
    text: str


class Moment(NamedTuple):
    """One thing that was done, once: when, in seconds of the playing, its line, and its event where it is the last of it."""

    seconds: float
    line: str
    event: Event | None


class Moments(Sequence[Moment]):
    """Every single thing that was done, in its time; long pauses are shortened.

    A moment is made when somebody asks for one: what was done a million times is one event.
    """

    def __init__(self, log: Sequence[Event]) -> None:
        self._log = log
        #: For each event: when it begins, how long it is from one of its moments to the next, and how many come up to its end.
        self._begins, self._pauses, self._ends = array("d"), array("d"), array("q")
        now, before, count = 0.0, 0.0, 0
        for event in log:
            now += _pause(event.seconds - before)
            pause = _pause((event.until - event.seconds) / (event.count - 1)) if event.count > 1 else 0.0
            count += event.count
            self._begins.append(now)
            self._pauses.append(pause)
            self._ends.append(count)
            now, before = now + pause * (event.count - 1), max(before, event.seconds, event.until)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> Moment: ...
    @overload
    def __getitem__(self, index: slice) -> list[Moment]: ...
    def __getitem__(self, index: int | slice) -> Moment | list[Moment]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        event, turn = self.event(range(len(self))[index])
        return Moment(self.seconds(index), event.line, event if turn == event.count - 1 else None)

    def event(self, index: int) -> tuple[Event, int]:
        """The event that a moment belongs to, and the how manieth of it the moment is, from 0."""
        at = bisect_right(self._ends, index)
        return self._log[at], index - self._ends[at] + self._log[at].count

    def seconds(self, index: int) -> float:
        """When a moment is, in seconds of the playing."""
        index = range(len(self))[index]
        at = bisect_right(self._ends, index)
        return self._begins[at] + self._pauses[at] * (index - self._ends[at] + self._log[at].count)

    def markers(self) -> Iterator[Marker]:
        """The moments to go to."""
        for event, seconds in zip(self._log, self._begins, strict=True):
            if event.line.partition(" ")[0] in MARKS:
                yield Marker(seconds, event.line)

    def up_to(self, seconds: float) -> int:
        """How many moments are over by then."""
        return bisect_right(range(len(self)), seconds, key=self.seconds)


def _pause(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_PAUSE)


class Player:
    """Plays a document. Raises CommandError or ScenarioError where it is none, or something in it cannot be done."""

    def __init__(self, found: Document, name: str, limits: Limits | None = None) -> None:
        self.name = name
        self._scenario = scenario_of(found, name, limits)
        self._log = log_of(found, name)
        self.moments = Moments(self._log)
        #: How long it takes, in seconds.
        self.duration = self.moments.seconds(-1) if self._log else 0.0
        self.markers = list(self.moments.markers())
        #: What was not as it was when it was saved, in words.
        self.differences: list[str] = []
        self.seconds = 0.0
        self.done = 0
        self.session = Session(self._scenario)

    @property
    def ended(self) -> bool:
        """Whether everything has been done."""
        return self.done >= len(self.moments)

    def play(self, seconds: float) -> bool:
        """Lets so much time go by; answers whether anything was done in it."""
        return self._until(min(self.seconds + seconds, self.duration))

    def seek(self, seconds: float) -> bool:
        """Goes to a moment; back, by beginning again. Answers whether anything was done."""
        seconds = max(0.0, min(seconds, self.duration))
        again = seconds < self.seconds
        if again:
            self.session = Session(self._scenario)
            self.done, self.seconds = 0, 0.0
            self.differences.clear()
        return self._until(seconds) or again

    def one(self, by: int) -> bool:
        """Goes to the next thing that was done, or before the last one; answers whether there is one."""
        wanted = self.done + by
        if not 0 <= wanted <= len(self.moments):
            return False
        if by < 0:
            self.session = Session(self._scenario)
            self.done, self.seconds = 0, 0.0
            self.differences.clear()
        self._to(wanted)
        self.seconds = self.moments.seconds(wanted - 1) if wanted else 0.0
        return True

    def let_go(self) -> Session:
        """The session at this moment, to go on with: its log is what was played of the saved one."""
        session = self.session
        session.log, rest = [], self.done
        for event in self._log:
            if rest >= event.count:
                session.log.append(event)
            elif rest > 0:
                session.log.append(replace(event, count=rest, position=session.debugger.position, result=session.result()))
            rest -= event.count
        session.goes_on_from(session.log[-1].until if session.log else 0.0)
        return session

    def marker(self, by: int) -> Marker | None:
        """The marker after the present moment, or the one before it."""
        if by > 0:
            return next((marker for marker in self.markers if marker.seconds > self.seconds), None)
        return next((marker for marker in reversed(self.markers) if marker.seconds < self.seconds), None)

    def _until(self, seconds: float) -> bool:
        before = self.done
        self._to(self.moments.up_to(seconds))
        self.seconds = seconds
        return self.done > before

    def _to(self, count: int) -> None:
        while self.done < count:
            event, turn = self.moments.event(self.done)
            times = min(event.count - turn, count - self.done)
            try:
                self._do(event, times)
            except BackpropError as error:
                if turn + times == event.count:  # of what cannot be done, once is enough
                    self.differences.append(f"{self.name}: '{event.line}' cannot be done any more: {error}")
            self.done += times
            if turn + times == event.count:
                self._compare(self.done, event)

    def _do(self, event: Event, times: int) -> None:
        known = split(event.line)
        if known is None or known[0].looks:  # no log has one, and save would write to a file of a stranger's choice
            raise CommandError("a session remembers only what changes it")
        command, rest = known
        if command.move is not None and not rest:
            for _ in range(times):  # not through the console, which would keep a log of what is in one already
                done = command.move(self.session.debugger)
                if not (exhausted(done) if isinstance(done, Generator) else done):
                    break
        elif event.count > 1:
            raise CommandError("only moves are done several times in a row")
        else:
            execute(self.session, event.line)

    def _compare(self, number: int, event: Event) -> None:
        session = self.session
        position, result = session.debugger.position, session.result()
        if position != event.position:
            self.differences.append(f"after {number}, '{event.line}': at step {position}, saved at step {event.position}")
        elif not same(result, event.result):
            now, then = as_json(result), as_json(event.result)
            self.differences.append(f"after {number}, '{event.line}', step {position}: {now} now, {then} saved")


def same(a: float | None, b: float | None) -> bool:
    """Whether two numbers are the same but for rounding; nan is nan."""
    if a is None or b is None:
        return a is b
    if not (math.isfinite(a) and math.isfinite(b)):
        return a == b or (math.isnan(a) and math.isnan(b))
    return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=1e-12)


def checked(found: Document, name: str, limits: Limits | None = None) -> Player:
    """Plays everything at once, and answers the player, with what differs. Raises CommandError or ScenarioError."""
    player = Player(found, name, limits)
    player.seek(player.duration)
    return player
