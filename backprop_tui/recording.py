"""Executes planned steps one at a time and keeps what each did; the state at any position.

A recording is only written forward. It keeps the values of the nodes and what each backward step wrote into a gradient;
whatever else a step shows is computed from these when somebody looks. What it hands out is read-only.

What if a value were another one? `Recording.forked` makes a second recording that shares everything up to a position with
the first and goes its own way from there: what lies before the fork is the first one's to answer for, and stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backprop_tui.graph import Graph
from backprop_tui.ops.op import Array
from backprop_tui.plan import AS_IT_IS, MANY, NO_READ, NONE, Plan, plan_of
from backprop_tui.scenario import Scenario
from backprop_tui.steps import Step, frozen, step_at


@dataclass(slots=True)
class Iteration:
    """What is kept of an iteration: values by node, gradients by write (0: the seed), parameters after their update."""

    values: list[Array]
    written: list[Array]
    updated: list[Array]


class Recording:
    """A run of a scenario, executed as far as it was asked for: `len` of it is the number of executed steps."""

    def __init__(self, scenario: Scenario, plan: Plan | None = None) -> None:
        self.scenario = scenario
        self.plan = plan_of(scenario) if plan is None else plan
        self.graph: Graph = self.plan.graph
        self._dtype = np.float32 if scenario.precision == "float32" else np.float64
        self._iterations: list[Iteration] = []
        self._executed = 0
        self.learning_rate = self.plan.learning_rate
        #: The recording this one was forked from, and after how many steps.
        self.parent: Recording | None = None
        self.fork = 0
        #: The node that was changed at the fork, and whether its gradient was; None where it was the learning rate.
        self.changed: tuple[int, bool] | None = None

    def __len__(self) -> int:
        return self._executed

    def _leaves(self) -> list[Array]:
        graph, scenario = self.graph, self.scenario
        values: list[Any] = []
        for index, name in enumerate(graph.leaf_names):
            kind = graph.kinds[index]
            if kind == "constant":
                values.append(self._dtype(graph.constants[index]))
            else:
                values.append((scenario.data if kind == "data" else scenario.parameters)[name])
        return values

    def _begin(self) -> Iteration:
        """A new iteration, from the leaves or from the parameters that the one before left."""
        if not self._iterations:
            iteration = Iteration(self._leaves(), [], [])
        else:
            before = self._iterations[-1]
            values = before.values[: self.graph.leaves]
            for parameter, value in zip(self.plan.updated, before.updated, strict=True):
                values[parameter] = value
            iteration = Iteration(values, [], [])
        self._iterations.append(iteration)
        return iteration

    def advance(self, to: int) -> None:
        """Executes steps until ``to`` of them are done; those that are done already are not done again."""
        plan = self.plan
        to = min(to, plan.total)
        if to <= self._executed:
            return
        with np.errstate(all="ignore"):
            while self._executed < to:
                index = self._executed % plan.period
                begun = len(self._iterations) > self._executed // plan.period
                iteration = self._iterations[-1] if begun else self._begin()
                stop = min(plan.period, index + to - self._executed)
                self._execute(iteration, index, stop)
                self._executed += stop - index

    def _execute(self, iteration: Iteration, start: int, stop: int) -> None:
        plan = self.plan
        forward, backward = plan.forward_steps, plan.backward_steps
        if start < forward:
            self._forward(iteration.values, start, min(stop, forward))
        if start <= forward < stop:
            iteration.written.append(self._dtype(1.0))  # type: ignore[arg-type]  # a NumPy scalar is an Array here
        begin = forward + 1
        if stop > begin and start < begin + backward:
            self._backward(iteration, max(start - begin, 0), min(stop - begin, backward))
        for k in range(max(start - begin - backward, 0), stop - begin - backward):
            parameter = plan.updated[k]
            after = iteration.values[parameter] - self.learning_rate * self._gradient(iteration, parameter)
            iteration.updated.append(after)

    def _forward(self, values: list[Array], start: int, stop: int) -> None:
        plan = self.plan
        columns: tuple[Any, ...] = (plan.functions, plan.first, plan.second)
        if stop - start < plan.forward_steps:
            columns = tuple(column[start:stop] for column in columns)
        packs, append = plan.packs, values.append
        for function, a, b in zip(*columns, strict=True):
            if a < 0:
                append(function(*[values[i] for i in packs[b]]))
            elif b < 0:
                append(function(values[a]))
            else:
                append(function(values[a], values[b]))

    def _backward(self, iteration: Iteration, start: int, stop: int) -> None:
        plan = self.plan
        columns: tuple[Any, ...] = (plan.pulls, plan.uppers, plan.reads, plan.more_reads, plan.earlier)
        if stop - start < plan.backward_steps:
            columns = tuple(column[start:stop] for column in columns)
        values, written, packs = iteration.values, iteration.written, plan.packs
        append = written.append
        for pull, upper, a, b, earlier in zip(*columns, strict=True):
            if a >= 0:
                contribution = pull(written[upper], values[a]) if b < 0 else pull(written[upper], values[a], values[b])
            elif a == AS_IT_IS:
                contribution = written[upper]
            elif a == NO_READ:
                contribution = pull(written[upper])
            else:
                contribution = pull(written[upper], *[values[i] for i in packs[b]])
            append(contribution if earlier < 0 else written[earlier] + contribution)

    def _gradient(self, iteration: Iteration, node: int) -> Array:
        """A node's complete gradient; zeros where the loss does not depend on it."""
        last = self.plan.last_write[node]
        if last == NONE:
            return np.zeros_like(iteration.values[node])[()]
        return iteration.written[last]

    # What is kept

    def iteration(self, index: int) -> Iteration:
        """What is kept of an iteration that has begun."""
        return self._iterations[index]

    def value(self, iteration: int, node: int) -> Array:
        """A node's value in an iteration, before its updates."""
        return frozen(self._iterations[iteration].values[node])

    def written(self, iteration: int, write: int) -> Array:
        """A gradient after the ``write``-th write of an iteration's backward pass; write 0 is the seed."""
        return frozen(self._iterations[iteration].written[write])

    def contribution(self, iteration: int, index: int) -> Array:
        """What the ``index``-th backward step of an iteration adds, computed as it was when it was executed."""
        plan, kept = self.plan, self._iterations[iteration]
        pull, upper, a, b = plan.pulls[index], plan.uppers[index], plan.reads[index], plan.more_reads[index]
        upstream = kept.written[upper]
        if pull is None:
            return upstream
        reads = plan.packs[b] if a == MANY else tuple(i for i in (a, b) if i >= 0)
        with np.errstate(all="ignore"):
            return pull(upstream, *[kept.values[i] for i in reads])

    def updated(self, iteration: int, index: int) -> Array:
        """The ``index``-th updated parameter after its update."""
        return frozen(self._iterations[iteration].updated[index])

    def gradient(self, iteration: int, node: int) -> Array:
        """A node's complete gradient in an iteration whose backward pass is done."""
        return frozen(self._gradient(self._iterations[iteration], node))

    def step(self, number: int) -> Step:
        """The step with this number, from 1; executed if it was not yet. Raises IndexError."""
        if not 1 <= number <= self.plan.total:
            raise IndexError(f"step {number} is not one of 1 to {self.plan.total}")
        self.advance(number)
        return step_at(self.owner(number), number)

    def __iter__(self) -> Iterator[Step]:
        return (step_at(self.owner(number), number) for number in range(1, self._executed + 1))

    def __getitem__(self, index: int) -> Step:
        if not -self._executed <= index < self._executed:
            raise IndexError(f"the recording has {self._executed} steps")
        return self.step(index % self._executed + 1)

    def state(self, position: int) -> State:
        """Values and gradients as they stand after ``position`` steps, executed if they were not yet."""
        if not 0 <= position <= self.plan.total:
            raise IndexError(f"position {position} is not one of 0 to {self.plan.total}")
        run = self.keeper(position)
        run.advance(position)
        if not run._iterations:
            run._begin()
        return State(run, position)

    # What if

    def owner(self, step: int) -> Recording:
        """The recording that executed a step: this one, or the one it was forked from."""
        return self.keeper(step - 1)

    def keeper(self, position: int) -> Recording:
        """The recording that answers for a position: this one from its fork on, before it the one it was forked from."""
        run = self
        while run.parent is not None and position < run.fork:  # a loop: there is no end to changes of changes
            run = run.parent
        return run

    def edited(self, position: int, since: int = 0) -> set[tuple[int, bool]]:
        """What was changed at positions from ``since`` up to one: the nodes, and whether it was their gradient."""
        found: set[tuple[int, bool]] = set()
        run: Recording | None = self
        while run is not None:
            if run.changed is not None and since <= run.fork <= position:
                found.add(run.changed)
            run = run.parent
        return found

    def forked(self, position: int) -> Recording:
        """A recording that has done the same up to a position, and may do other things from there."""
        if self.keeper(position) is not self:
            return self.keeper(position).forked(position)
        state = self.state(position)
        new = Recording(self.scenario, self.plan)
        new.parent, new.fork, new.learning_rate, new._executed = self, position, self.learning_rate, position
        kept = self._iterations[state.iteration]
        plan, done = self.plan, position - state.iteration * self.plan.period
        written = max(0, min(done - plan.forward_steps, plan.backward_steps + 1))
        new._iterations = [
            *self._iterations[: state.iteration],
            Iteration(
                kept.values[: self.graph.leaves + min(done, plan.forward_steps)],
                kept.written[:written],
                kept.updated[: max(0, done - (plan.period - plan.update_steps))],
            ),
        ]
        return new

    def change_value(self, node: int, value: Array) -> None:
        """Changes a value at the fork, before anything after it is executed."""
        self.changed = (node, False)
        index = self.plan.update_of.get(node)
        kept = self._iterations[-1]
        if index is not None and index < len(kept.updated):
            kept.updated[index] = value
        else:
            kept.values[node] = value

    def change_gradient(self, node: int, gradient: Array) -> None:
        """Changes a gradient, as far as it has accumulated, at the fork."""
        self.changed = (node, True)
        write = State(self, self.fork).write(node)
        assert write is not None
        self._iterations[-1].written[write] = gradient

    # What a finished run comes to

    @property
    def _done(self) -> int:
        """The last iteration whose backward pass is complete; runs to the end of the first if none is."""
        if self._executed < self.plan.forward_steps + 1 + self.plan.backward_steps:
            self.advance(self.plan.forward_steps + 1 + self.plan.backward_steps)
        complete = self._executed + self.plan.update_steps
        return complete // self.plan.period - 1

    @property
    def gradients(self) -> dict[str, Array]:
        """The last complete iteration's gradient of every parameter; zeros where the loss does not depend on it."""
        return {name: self.gradient(self._done, node) for name, node in self.graph.parameters.items()}

    @property
    def loss(self) -> Array:
        """The last complete iteration's loss."""
        return self.value(self._done, self.graph.loss)

    @property
    def losses(self) -> list[Array]:
        """The loss of each complete iteration."""
        return [self.value(i, self.graph.loss) for i in range(self._done + 1)]

    @property
    def parameters(self) -> dict[str, Array]:
        """Every parameter's value at the end of what was executed."""
        return {name: self.state(self._executed).value(node) for name, node in self.graph.parameters.items()}

    @property
    def values(self) -> Mapping[str, Array]:
        """Every variable's value in the last complete iteration, by name."""
        iteration = self._done
        return {name: self.value(iteration, node) for name, node in self.graph.variables.items()}


class State:
    """Values and gradients as they stand after a number of steps: a view of a recording, made in no time."""

    __slots__ = ("_done", "iteration", "position", "recording")

    def __init__(self, recording: Recording, position: int) -> None:
        period = recording.plan.period
        self.recording = recording
        self.position = position
        self.iteration = max(position - 1, 0) // period
        self._done = position - self.iteration * period

    def has_value(self, node: int) -> bool:
        """Whether a node's value is there."""
        return node - self.recording.graph.leaves < self._done

    def value(self, node: int) -> Array:
        """A node's value: a leaf's from the start, an updated parameter's new in its update step. Raises KeyError."""
        if not self.has_value(node):
            raise KeyError(self.recording.graph.label(node))
        plan = self.recording.plan
        index = plan.update_of.get(node)
        if index is not None and self._done > plan.period - plan.update_steps + index:
            return self.recording.updated(self.iteration, index)
        return self.recording.value(self.iteration, node)

    def write(self, node: int) -> int | None:
        """The last write into a node's gradient so far (0 is the seed), or None."""
        plan = self.recording.plan
        backward = self._done - plan.forward_steps - 1
        if backward < 0:
            return None
        if node == plan.graph.loss:
            return 0
        writes = plan.writes_to(node)
        count = int(np.searchsorted(writes, backward))
        return int(writes[count - 1]) + 1 if count else None

    def gradient(self, node: int) -> Array | None:
        """A node's gradient as far as it has accumulated, or None before the first contribution."""
        write = self.write(node)
        return None if write is None else self.recording.written(self.iteration, write)

    def snapshot(self) -> dict[str, tuple[Array | None, Array | None]]:
        """Every node's value and gradient, by number and label: for comparing states."""
        graph = self.recording.graph
        return {
            f"{i} {graph.label(i)}": (self.value(i) if self.has_value(i) else None, self.gradient(i)) for i in range(len(graph))
        }


def record(scenario: Scenario) -> Recording:
    """Runs a scenario to its end. Nothing a scenario computes is an error: a nan is recorded like any value."""
    recording = Recording(scenario)
    recording.advance(recording.plan.total)
    return recording
