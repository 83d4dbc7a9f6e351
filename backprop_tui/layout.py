"""Where the steps of a plan belong: to which phase, to which line, and to which calls. What the larger moves go by."""

from __future__ import annotations

from typing import NamedTuple

from backprop_tui.plan import Phase, Place, Plan
from backprop_tui.scenario import Note


class Call(NamedTuple):
    """One level of the call stack: what is called (nothing for the program itself), the line being executed in it, its loops."""

    name: str
    line: int
    loops: tuple[tuple[str, int, int, int], ...]

    @property
    def text(self) -> str:
        """It on one line."""
        turns = "".join(f", {name} = {value} ({turn} of {total})" for name, value, turn, total in self.loops)
        return f"{self.name or 'the program'}, line {self.line}{turns}"


class Layout:
    """The phases, statements and frames of a plan's steps, by the steps' numbers (from 1)."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def phase_end(self, step: int) -> int:
        """The last step of the phase that a step is in."""
        place = self.plan.place(step)
        return self.plan.step_of(place.iteration, place.phase, self.plan.phase_steps(place.phase) - 1)

    def phase_start(self, step: int) -> int:
        """The first step of the phase that a step is in."""
        place = self.plan.place(step)
        return self.plan.step_of(place.iteration, place.phase)

    def statement(self, step: int) -> int | None:
        """The execution of a statement that a step belongs to; None for seed and update steps."""
        place = self.plan.place(step)
        if place.phase not in ("forward", "backward"):
            return None
        return self.plan.graph.statement_of[self.plan.node_at(place) - self.plan.graph.leaves]

    def depth(self, step: int) -> int:
        """How many calls a step is inside of."""
        statement = self.statement(step)
        return 0 if statement is None else self.plan.graph.frames[self.plan.graph.statements[statement].frame].depth

    def level(self, position: int) -> int:
        """The depth of calls one stands in at a position: that of the frame that both neighbouring steps are in."""
        if position <= 0 or position >= self.plan.total:
            return 0
        mine, other = self.frames(position), self.frames(position + 1)
        if self.plan.place(position).phase != self.plan.place(position + 1).phase:
            return 0
        depth = 0
        while depth + 1 < min(len(mine), len(other)) and mine[depth + 1] == other[depth + 1]:
            depth += 1
        return depth

    def frames(self, step: int) -> list[int]:
        """The frames a step is executed in, from the program in."""
        statement = self.statement(step)
        frame = 0 if statement is None else self.plan.graph.statements[statement].frame
        chain = [frame]
        while chain[-1]:
            chain.append(self.plan.graph.frames[chain[-1]].parent)
        return chain[::-1]

    def group(self, step: int, level: int) -> tuple[int, Phase, int]:
        """What a line is, seen from a depth of calls: the iteration, the phase, and the statement executed there."""
        place = self.plan.place(step)
        statement = self.statement(step)
        if statement is None:
            return place.iteration, place.phase, -1 - place.index
        frame = self.plan.graph.frames[self.plan.graph.statements[statement].frame]
        while frame.depth > level:
            statement, frame = frame.statement, self.plan.graph.frames[frame.parent]
        return place.iteration, place.phase, statement

    def run_of_frame(self, step: int) -> tuple[int, int]:
        """The first and the last step of the call that a step is in, in its phase."""
        frames = self.frames(step)
        depth, frame = len(frames) - 1, frames[-1]
        start, end = self.phase_start(step), self.phase_end(step)

        def inside(other: int) -> bool:
            chain = self.frames(other)
            return len(chain) > depth and chain[depth] == frame

        first = last = step
        while first > start and inside(first - 1):
            first -= 1
        while last < end and inside(last + 1):
            last += 1
        return first, last

    def calls(self, step: int) -> list[Call]:
        """The calls that a step is in, the innermost first; the last is the program itself."""
        statement = self.statement(step)
        graph, found = self.plan.graph, []
        while statement is not None:
            here = graph.statements[statement]
            frame = graph.frames[here.frame]
            found.append(Call(frame.name, here.line, here.loops))
            statement = frame.statement if here.frame else None
        return found

    def applies(self, note: Note, place: Place | None) -> bool:
        """Whether a note of the scenario is about the step at a place."""
        if place is None or (note.phase is not None and note.phase != place.phase):
            return False
        plan, graph = self.plan, self.plan.graph
        node = plan.node_at(place)
        if place.phase == "seed":
            return False
        if note.line is not None:
            return place.phase in ("forward", "backward") and graph.line_of(node) == note.line
        wanted = graph.resolve(note.node_name) if note.node_name else None
        if wanted is None:
            return False
        if place.phase == "backward":
            return wanted == plan.targets[place.index] or wanted == node == graph.loss
        return wanted == node
