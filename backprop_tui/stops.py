"""Where breakpoints stop in a recording: found once, from the start on, and kept as long as the recording.

The answers do not depend on the way one came, so both directions of time stop at the same places.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np

from backprop_tui.breakpoints import Breakpoint, candidates, changes
from backprop_tui.conditions import holding_at
from backprop_tui.errors import CommandError
from backprop_tui.facts import FACTS, holding
from backprop_tui.ops.op import Array
from backprop_tui.recording import Recording

#: So many steps are looked at between two looks at whether to go on.
CHUNK = 4096


class Hits:
    """The steps of a recording at which a breakpoint holds, found from the start on as far as somebody looks.

    It holds its recording weakly: `Stops` keeps it only as long as somebody keeps the recording.
    """

    def __init__(self, breakpoint: Breakpoint, recording: Recording, before: Hits | None = None) -> None:
        self.breakpoint = breakpoint
        self._recording = ref(recording)
        #: All steps up to this one have been looked at.
        self.scanned = 0
        self.steps: list[int] = []
        self._before = before
        self._candidates: Array | None = None
        if before is not None:
            self._candidates = before._candidates
        elif breakpoint.kind != "fact":
            self._candidates = candidates(breakpoint, recording.plan)

    @property
    def recording(self) -> Recording:
        """The recording that is looked through."""
        recording = self._recording()
        assert recording is not None, "the recording is gone"
        return recording

    def scan(self, to: int) -> None:
        """Looks at the steps up to ``to``; those of a recording that this one was made from are its to answer for."""
        chain = [(self, to)]
        while (before := chain[-1][0]._before) is not None:  # a loop: there is no end to changes of changes
            chain.append((before, min(chain[-1][0].recording.fork, chain[-1][1])))
        for hits, end in chain[::-1]:
            hits._scan(end)

    def _scan(self, to: int) -> None:
        fork = min(self.recording.fork, to)
        if self._before is not None and self.scanned < fork:
            known = self._before.steps
            self.steps += known[bisect_right(known, self.scanned) : bisect_right(known, fork)]
            self.scanned = fork
        if self.scanned < to:
            found = self._found(self.scanned, to)
            self.steps += found[: max(1 - len(self.steps), 0)] if self._once else found
            self.scanned = to

    @property
    def _once(self) -> bool:
        return self.breakpoint.kind == "fact" and FACTS[self.breakpoint.target].first

    def _found(self, start: int, to: int) -> list[int]:
        recording, stop = self.recording, self.breakpoint
        if self._candidates is None:
            recording.advance(to)
            return holding(FACTS[stop.target], stop.bound, recording, start, to)
        period = recording.plan.period
        steps: list[int] = []
        for iteration in range(start // period, (max(to, 1) - 1) // period + 1):
            offset = iteration * period
            low, high = np.searchsorted(self._candidates, (start - offset, to - offset), side="right")
            steps += (self._candidates[low:high] + offset).tolist()
        if stop.kind == "step":
            steps = [int(stop.target)] if start < int(stop.target) <= to else []
        if steps and (stop.when is not None or stop.kind in ("value", "gradient")):
            recording.advance(to)
            if stop.kind in ("value", "gradient"):
                steps = [step for step in steps if changes(recording, step)]
            if stop.when is not None:
                steps = holding_at(stop.when, recording, steps)
        return steps

    def after(self, position: int) -> int | None:
        """The first step after a position at which it holds, of those that were looked at."""
        index = bisect_right(self.steps, position)
        return self.steps[index] if index < len(self.steps) else None

    def before(self, position: int) -> int | None:
        """The last step before a position at which it holds, of those that were looked at."""
        index = bisect_left(self.steps, position)
        return self.steps[index - 1] if index else None

    def up_to(self, position: int) -> int:
        """How often it held up to a position, of what was looked at."""
        return bisect_right(self.steps, position)

    def count(self, position: int) -> str:
        """Which hit a position is, in words: of how many only where that is known."""
        number = self.up_to(position)
        known = self.scanned >= self.recording.plan.total
        ordinal = f"{number}{'th' if 10 <= number % 100 < 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
        return f"{ordinal} hit of {len(self.steps)}" if known else f"{ordinal} hit"


class Stops:
    """The breakpoints of a run, and where they stop in each of its recordings."""

    def __init__(self, breakpoints: Sequence[Breakpoint] = ()) -> None:
        self.breakpoints = list(breakpoints)
        self._highest = 0
        self._hits: WeakKeyDictionary[Recording, dict[object, Hits]] = WeakKeyDictionary()

    def add(self, breakpoint: Breakpoint) -> None:
        """Adds a breakpoint; its number must be free."""
        self.breakpoints.append(breakpoint)
        self.next_number()

    def next_number(self) -> int:
        """A number that none has had yet."""
        self._highest = max([self._highest, *(b.number for b in self.breakpoints)])
        return self._highest + 1

    def numbered(self, number: int) -> Breakpoint:
        """The breakpoint of that number. Raises CommandError."""
        for breakpoint in self.breakpoints:
            if breakpoint.number == number:
                return breakpoint
        known = ", ".join(str(b.number) for b in self.breakpoints)
        raise CommandError(f"no breakpoint {number}; " + (f"there are: {known}" if known else "there is none yet"))

    def remove(self, number: int) -> None:
        """Takes a breakpoint away. Raises CommandError."""
        self.next_number()  # it is not given away again
        self.breakpoints.remove(self.numbered(number))

    def change(self, number: int, **fields: Any) -> Breakpoint:
        """Replaces fields of a breakpoint. Raises CommandError."""
        before = self.numbered(number)
        after = replace(before, **fields)
        self.breakpoints[self.breakpoints.index(before)] = after
        return after

    def hits(self, breakpoint: Breakpoint, recording: Recording) -> Hits:
        """Where one of them holds in a recording, as far as somebody has looked."""
        question = breakpoint.question
        missing: list[Recording] = []
        run: Recording | None = recording
        known: Hits | None = None
        while run is not None and (known := self._hits.setdefault(run, {}).get(question)) is None:
            missing.append(run)
            run = run.parent
        for run in missing[::-1]:
            known = self._hits[run][question] = Hits(breakpoint, run, known)
        assert known is not None
        return known

    def enabled(self, recording: Recording) -> list[tuple[Breakpoint, Hits]]:
        """Those that are switched on, with their hits."""
        return [(b, self.hits(b, recording)) for b in self.breakpoints if b.enabled]

    def at(self, recording: Recording, step: int) -> list[tuple[Breakpoint, Hits]]:
        """Those that stop at a step, of what was looked at."""
        found = []
        for breakpoint, hits in self.enabled(recording):
            index = bisect_left(hits.steps, step)
            if index < len(hits.steps) and hits.steps[index] == step:
                found.append((breakpoint, hits))
        return found

    def search(self, recording: Recording, position: int, *, forward: bool) -> Generator[int, None, int | None]:
        """Looks for the next step to stop at, or the one before; yields how far it has looked, answers the step or None."""
        enabled = [hits for _, hits in self.enabled(recording)]
        if not enabled:
            return None
        last = recording.plan.total if forward else position - 1
        at = min(hits.scanned for hits in enabled)
        while True:
            if forward:
                found = [step for hits in enabled if (step := hits.after(position)) is not None and step <= at]
                if found:
                    return min(found)
            if at >= last:
                break
            at = min(at + CHUNK, last)
            for hits in enabled:
                hits.scan(at)
            yield at
        if forward:
            return None
        earlier = [step for hits in enabled if (step := hits.before(position)) is not None]
        return max(earlier, default=None)
