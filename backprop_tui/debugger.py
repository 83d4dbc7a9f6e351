"""The debugger: a position in a recording, and the moves in both directions of time.

The position is the number of executed steps that one stands after: 0 before anything, ``total`` at the end. Moving
forward executes what is not executed yet; moving back executes nothing and undoes nothing. Every move answers whether
the position changed.
"""

from __future__ import annotations

from typing import Literal

from backprop_tui.errors import CommandError, did_you_mean
from backprop_tui.plan import PHASES, Phase, Place
from backprop_tui.recording import Recording, State
from backprop_tui.scenario import Scenario
from backprop_tui.steps import BackwardStep, Step

Stage = Literal["upstream", "local", "product", "sum", "accumulate"]


class Debugger:
    """Steps through a scenario; executes a step when it is first reached and keeps what it did."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.recording = Recording(scenario)
        self.plan = self.recording.plan
        self.graph = self.plan.graph
        self._position = 0
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
    def place(self) -> Place | None:
        """Where the step just executed stands; None at the start."""
        return self.plan.place(self._position) if self._position else None

    @property
    def current(self) -> Step | None:
        """The step just executed; None at the start."""
        return self.recording.step(self._position) if self._position else None

    @property
    def state(self) -> State:
        """Values and gradients at the position; inside a multiplication, as they were before it."""
        return self.recording.state(self._position - (self._stage is not None))

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

    def _move(self, position: int) -> bool:
        position = max(0, min(position, self.total))
        self.recording.advance(position)
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
            return False
        level = self._level(self._position)
        group = self._group(self._position + 1, level)
        position = self._position + 1
        while position < self.total and self._group(position + 1, level) == group:
            position += 1
        return self._move(position)

    def next_back(self) -> bool:
        """Back before the line just executed, over its calls: where `next` would have come from."""
        if self._position <= 0:
            return False
        level = self._level(self._position)
        group = self._group(self._position, level)
        position = self._position - 1
        while position > 0 and self._group(position, level) == group:
            position -= 1
        return self._move(position)

    def finish(self) -> bool:
        """Out of the call, or to the end of the phase."""
        if self._position >= self.total:
            return False
        depth = self._depth(self._position + 1)
        if depth == 0:
            return self._move(self._phase_end(self._position + 1))
        return self._move(self._run_of_frame(self._position + 1)[1])

    def finish_back(self) -> bool:
        """Back before the call, or to the start of the phase."""
        if self._position <= 0:
            return False
        if self._depth(self._position) == 0:
            return self._move(self._phase_start(self._position) - 1)
        return self._move(self._run_of_frame(self._position)[0] - 1)

    def continue_(self) -> bool:
        """To the next stop, or to the end."""
        return self._move(self.total)

    def reverse_continue(self) -> bool:
        """Back to the stop before, or to the start."""
        return self._move(0)

    def next_phase(self) -> bool:
        """To the end of the phase that comes next: its last step is the last one done."""
        return self._move(self._phase_end(min(self._position + 1, self.total)))

    def previous_phase(self) -> bool:
        """Back to the phase boundary before the position."""
        return self._move(self._phase_start(self._position) - 1 if self._position else 0)

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
        leaves = self.graph.leaves
        for position in range(self._position + 1, self.total + 1):
            place = self.plan.place(position)
            if place.phase in ("forward", "backward"):
                k = self.plan.node_at(place) - leaves
                if self.graph.statements[self.graph.statement_of[k]].line == line:
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

    # Where the steps belong

    def _phase_end(self, step: int) -> int:
        place = self.plan.place(step)
        return self.plan.step_of(place.iteration, place.phase, self.plan.phase_steps(place.phase) - 1)

    def _phase_start(self, step: int) -> int:
        place = self.plan.place(step)
        return self.plan.step_of(place.iteration, place.phase)

    def _statement(self, step: int) -> int | None:
        """The execution of a statement that a step belongs to; None for seed and update steps."""
        place = self.plan.place(step)
        if place.phase not in ("forward", "backward"):
            return None
        return self.graph.statement_of[self.plan.node_at(place) - self.graph.leaves]

    def _depth(self, step: int) -> int:
        statement = self._statement(step)
        return 0 if statement is None else self.graph.frames[self.graph.statements[statement].frame].depth

    def _level(self, position: int) -> int:
        """The depth of calls one stands in at a position: that of the frame that both neighbouring steps are in."""
        if position <= 0 or position >= self.total:
            return 0
        mine, other = self._frames(position), self._frames(position + 1)
        if self.plan.place(position).phase != self.plan.place(position + 1).phase:
            return 0
        depth = 0
        while depth + 1 < min(len(mine), len(other)) and mine[depth + 1] == other[depth + 1]:
            depth += 1
        return depth

    def _frames(self, step: int) -> list[int]:
        """The frames a step is executed in, from the program in."""
        statement = self._statement(step)
        frame = 0 if statement is None else self.graph.statements[statement].frame
        chain = [frame]
        while chain[-1]:
            chain.append(self.graph.frames[chain[-1]].parent)
        return chain[::-1]

    def _group(self, step: int, level: int) -> tuple[int, Phase, int]:
        """What a line is, seen from a depth of calls: the iteration, the phase, and the statement executed there."""
        place = self.plan.place(step)
        statement = self._statement(step)
        if statement is None:
            return place.iteration, place.phase, -1 - place.index
        frame = self.graph.frames[self.graph.statements[statement].frame]
        while frame.depth > level:
            statement, frame = frame.statement, self.graph.frames[frame.parent]
        return place.iteration, place.phase, statement

    def _run_of_frame(self, step: int) -> tuple[int, int]:
        """The first and the last step of the call that a step is in, in its phase."""
        frames = self._frames(step)
        depth, frame = len(frames) - 1, frames[-1]
        start, end = self._phase_start(step), self._phase_end(step)

        def inside(other: int) -> bool:
            chain = self._frames(other)
            return len(chain) > depth and chain[depth] == frame

        first = last = step
        while first > start and inside(first - 1):
            first -= 1
        while last < end and inside(last + 1):
            last += 1
        return first, last
