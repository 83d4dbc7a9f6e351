"""The debugger: a position in a recording, and the moves in both directions of time.

The position is the number of executed steps that one stands after: 0 before anything, ``total`` at the end. Moving
forward executes what is not executed yet; moving back executes nothing and undoes nothing. Every move answers whether
the position changed.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal

from backprop_tui.breakpoints import Breakpoint, candidates, from_scenario
from backprop_tui.errors import CommandError, did_you_mean
from backprop_tui.layout import Layout
from backprop_tui.plan import PHASES, Place
from backprop_tui.recording import Recording, State
from backprop_tui.scenario import Scenario
from backprop_tui.steps import BackwardStep, Step
from backprop_tui.stops import CHUNK, Stops

Stage = Literal["upstream", "local", "product", "sum", "accumulate"]


def exhausted(parts: Generator[int, None, bool]) -> bool:
    """Carries a move in parts to its end and answers what it answers."""
    while True:
        try:
            next(parts)
        except StopIteration as end:
            return bool(end.value)


class Debugger:
    """Steps through a scenario; executes a step when it is first reached and keeps what it did."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        #: The recordings: the first is the scenario's own, each other one comes of a change.
        self.recordings = [Recording(scenario)]
        self._run = self.recordings[0]
        #: What was changed to make a recording, as it was written.
        self.changes: dict[Recording, str] = {}
        #: In which recording one stood when a change made another: where undoing it goes back to.
        self._came_from: dict[Recording, Recording] = {}
        self.plan = self._run.plan
        self.graph = self.plan.graph
        self.layout = Layout(self.plan)
        self._position = 0
        self.stops = Stops([from_scenario(given, number) for number, given in enumerate(scenario.breakpoints, 1)])
        #: Why the last move stopped where it did, in words; nothing where it just arrived.
        self.reason = ""
        self._stage: int | None = None
        self._detail = False

    @property
    def position(self) -> int:
        """How many steps of the run lie behind."""
        return self._position

    @property
    def total(self) -> int:
        """How many steps the run has."""
        return self.plan.total

    @property
    def run(self) -> Recording:
        """The recording that is stepped through."""
        return self._run

    @property
    def run_number(self) -> int:
        """Which of the recordings it is, from 1."""
        return self.recordings.index(self._run) + 1

    def add_run(self, run: Recording, change: str) -> None:
        """Goes on in a recording that was forked at the position; ``change`` says what is another there."""
        self.recordings.append(run)
        self.changes[run] = change
        self._came_from[run] = self._run
        self._switch(run)

    def drop_run(self) -> None:
        """Goes back to the recording in which the change was made that made this one, and forgets this one. Needs a fork."""
        gone = before = self._run
        self.recordings.remove(gone)
        while before not in self.recordings:  # what one came from may have been dropped too
            parent = self._came_from.get(before, before.parent)
            assert parent is not None
            before = parent
        self._switch(before)

    def switch(self, number: int) -> None:
        """Goes on in another of the recordings, at the same position. Raises CommandError."""
        if not 1 <= number <= len(self.recordings):
            raise CommandError(f"there is no recording {number}: there are 1 to {len(self.recordings)}")
        self._switch(self.recordings[number - 1])

    def _switch(self, run: Recording) -> None:
        self._run = run
        run.advance(self._position)
        self._stage = None
        self.reason = ""

    @property
    def recording(self) -> Recording:
        """The recording that executed the current step: before a fork, the one that was forked."""
        return self._run.owner(self._position)

    @property
    def place(self) -> Place | None:
        """Where the step just executed stands; None at the start."""
        return self.plan.place(self._position) if self._position else None

    @property
    def current(self) -> Step | None:
        """The step just executed; None at the start."""
        return self._run.step(self._position) if self._position else None

    @property
    def state(self) -> State:
        """Values and gradients at the position; inside a multiplication, as they were before it."""
        return self._run.state(self._position - (self._stage is not None))

    @property
    def detail(self) -> bool:
        """Whether `step` also stops inside a multiplication; switched off inside one, it ends that one."""
        return self._detail

    @detail.setter
    def detail(self, on: bool) -> None:
        """Switches it; inside a multiplication, off ends that one."""
        self._detail = on
        if not on:
            self._stage = None

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of the current step's multiplication; none where it is no multiplication."""
        step = self.current
        if not isinstance(step, BackwardStep):
            return ()
        return ("upstream", "local", "product", *(("sum",) if step.summed_axes else ()), "accumulate")

    @property
    def stage(self) -> Stage | None:
        """How far inside the current multiplication one stands; None where the step is done."""
        return None if self._stage is None else self.stages[self._stage]

    @property
    def stage_number(self) -> int | None:
        """The place of `stage` among `stages`, from 0; None where the step is done."""
        return self._stage

    @stage_number.setter
    def stage_number(self, number: int | None) -> None:
        """Stands inside the current multiplication; the last stage is the step itself done."""
        self._stage = number if number is not None and number + 1 < len(self.stages) else None

    def stand(self, run: Recording, position: int) -> None:
        """Stands at a position of a recording, however one came there."""
        self._run = run
        self._move(position)

    def _move(self, position: int) -> bool:
        position = max(0, min(position, self.total))
        self._run.advance(position)
        self.reason = ""
        moved = position != self._position or self._stage is not None
        self._position = position
        self._stage = None
        return moved

    # Pairs of moves, forward and back in time

    def step(self) -> bool:
        """One op forward, one multiplication backward, one update; with `detail`, one stage of a multiplication."""
        if self._stage is not None:
            self._stage = self._stage + 1 if self._stage + 2 < len(self.stages) else None
            return True
        moved = self._move(self._position + 1)
        if moved and self.detail and self.stages:
            self._stage = 0
        return moved

    def step_back(self) -> bool:
        """Back before the step just executed; with `detail`, back before the stage."""
        if self.detail and self.stages:
            stage = len(self.stages) - 1 if self._stage is None else self._stage
            if stage > 0:
                self._stage = stage - 1
                return True
        return self._move(self._position - 1)

    def next(self) -> bool:
        """To the end of the line of the program that comes next, over its calls."""
        if self._position >= self.total:
            return self._move(self.total)  # which ends a multiplication that one stands inside of
        level = self.layout.level(self._position)
        group = self.layout.group(self._position + 1, level)
        position = self._position + 1
        while position < self.total and self.layout.group(position + 1, level) == group:
            position += 1
        return self._move(position)

    def next_back(self) -> bool:
        """Back before the line just executed, over its calls: where `next` would have come from."""
        if self._position <= 0:
            return False
        level = self.layout.level(self._position)
        group = self.layout.group(self._position, level)
        position = self._position - 1
        while position > 0 and self.layout.group(position, level) == group:
            position -= 1
        return self._move(position)

    def finish(self) -> bool:
        """Out of the call, or to the end of the phase."""
        if self._position >= self.total:
            return self._move(self.total)  # which ends a multiplication that one stands inside of
        depth = self.layout.depth(self._position + 1)
        if depth == 0:
            return self._move(self.layout.phase_end(self._position + 1))
        return self._move(self.layout.run_of_frame(self._position + 1)[1])

    def finish_back(self) -> bool:
        """Back before the call, or to the start of the phase."""
        if self._position <= 0:
            return False
        if self.layout.depth(self._position) == 0:
            return self._move(self.layout.phase_start(self._position) - 1)
        return self._move(self.layout.run_of_frame(self._position)[0] - 1)

    def continue_(self) -> bool:
        """To the next stop, or to the end."""
        return exhausted(self.travel(forward=True))

    def reverse_continue(self) -> bool:
        """Back to the stop before, or to the start."""
        return exhausted(self.travel(forward=False))

    def travel(self, *, forward: bool) -> Generator[int, None, bool]:
        """Continue or reverse-continue, in parts: yields how far it has looked, so that one may stop it in between.

        It moves only at its end, and answers whether it did.
        """
        start = self._position
        if forward and start >= self.total:
            return self._move(start)
        found = yield from self.stops.search(self._run, start, forward=forward)
        if found is None:
            # the run is executed in parts too: nothing may have asked for it yet
            for at in range(len(self._run), self.total if forward else 0, CHUNK):
                self._run.advance(at)
                yield at
        moved = self._move(found if found is not None else self.total if forward else 0)
        self.reason = self.why()
        return moved

    def why(self) -> str:
        """Which stops hold at the position, in words, with the count of their hits; nothing where none does."""
        found = self.stops.at(self._run, self._position) if self._position else []
        return "; ".join(f"breakpoint {b.number}, {b.words}, {hits.count(self._position)}" for b, hits in found)

    def next_phase(self) -> bool:
        """To the end of the phase that comes next: its last step is the last one done."""
        return self._move(self.layout.phase_end(min(self._position + 1, self.total)))

    def previous_phase(self) -> bool:
        """Back to the phase boundary before the position."""
        return self._move(self.layout.phase_start(self._position) - 1 if self._position else 0)

    def home(self) -> bool:
        """To the start, before anything is executed."""
        return self._move(0)

    def end(self) -> bool:
        """To the end of the run."""
        return self._move(self.total)

    def restart(self) -> bool:
        """To the start; what was executed stays recorded, and is not executed again."""
        return self._move(0)

    # Going to a place

    def go_to(self, position: int) -> bool:
        """To a position. Raises CommandError where the run has no such step."""
        if not 0 <= position <= self.total:
            raise CommandError(f"the run has no step {position}: it has the steps 1 to {self.total}")
        return self._move(position)

    def run_to_line(self, line: int) -> bool:
        """Forward to the next step of a line of the program (from 1); False where none comes."""
        graph, plan = self.graph, self.plan
        lines = {graph.statements[statement].line for statement in set(graph.statement_of)}
        if line not in lines:  # one that only calls: to where its call is entered
            entered = candidates(Breakpoint(0, "line", str(line)), plan)
            turns = range(max(self._position - 1, 0) // plan.period, plan.iterations if len(entered) else 0)
            every = (turn * plan.period + int(step) for turn in turns for step in entered)
            found = next((step for step in every if step > self._position), None)
            return found is not None and self._move(found)
        for position in range(self._position + 1, self.total + 1):
            place = plan.place(position)
            if place.phase in ("forward", "backward"):
                k = plan.node_at(place) - graph.leaves
                if graph.statements[graph.statement_of[k]].line == line:
                    return self._move(position)
        return False

    def find(self, target: str) -> int:
        """The position that a step number, a name or a phase stands for. Raises CommandError."""
        text = target.strip()
        if text.isdecimal():
            return self._find_number(text)
        if text in PHASES:
            return self._find_phase(text)
        graph = self.graph
        node = graph.resolve(text)
        if node is None or node in graph.constants:
            known = [*graph.variables, *(n for n, i in graph.by_name.items() if i not in graph.constants), *PHASES]
            hint = did_you_mean(text, known)
            raise CommandError(f"no step, name or phase '{text}'" + (f"; {hint}" if hint else ""))
        return self._find_node(node)

    def _find_number(self, text: str) -> int:
        position = int(text) if len(text) < 20 else self.total + 1
        if position > self.total:
            shown = text if len(text) < 20 else text[:19] + "…"
            raise CommandError(f"the run has no step {shown}: it has the steps 1 to {self.total}")
        return position

    def _find_phase(self, text: str) -> int:
        phase = next(p for p in PHASES if p == text)
        if not self.plan.phase_steps(phase):
            raise CommandError(f"the run has no {phase} steps")
        iteration = self.place.iteration if self.place else 0
        return self.plan.step_of(iteration, phase)

    def _find_node(self, node: int) -> int:
        """Where a node is computed; a leaf, where its gradient is complete, or the start if it gets none."""
        iteration = self.place.iteration if self.place else 0
        if node >= self.graph.leaves:
            return self.plan.step_of(iteration, "forward", node - self.graph.leaves)
        last = self.plan.last_write[node]
        if last < 1:
            return 0
        return self.plan.step_of(iteration, "backward", last - 1)
