"""One step of a recording, made when somebody asks for it: the same facts as a line of the trace.

Everything here is a pure function of what the recording keeps. The local derivative and the product are computed when
they are read, with the very rule that executed the step.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from backprop_tui.ops.op import Array, Call, How, LocalDerivative, Shape, product_shape, summed_axes
from backprop_tui.plan import Phase, Place

if TYPE_CHECKING:
    from backprop_tui.recording import Recording


def frozen(value: Array) -> Array:
    """The same array, made read-only; a NumPy scalar cannot be written anyway."""
    if isinstance(value, np.ndarray) and value.flags.writeable:
        value.setflags(write=False)
    return value


class Step:
    """What all steps have: number (from 1), iteration (from 0), kind, and the node they are about."""

    kind: Phase

    def __init__(self, recording: Recording, place: Place) -> None:
        self._recording = recording
        self._place = place
        self.number = place.step
        self.iteration = place.iteration
        self.node_index = recording.plan.node_at(place)

    @property
    def node(self) -> str:
        """What the node is called."""
        return self._recording.graph.label(self.node_index)

    def __repr__(self) -> str:
        return f"<step {self.number}: {self.kind} {self.node}>"


class _OpStep(Step):
    """What the steps of an application have, forward and backward."""

    @property
    def op(self) -> str:
        """The op's name."""
        return self._recording.graph.op_of(self.node_index).name

    @property
    def line(self) -> int:
        """The line of the program."""
        return self._recording.graph.line_of(self.node_index)


class ForwardStep(_OpStep):
    """An op applied."""

    kind: Phase = "forward"

    @property
    def operand_indices(self) -> tuple[int, ...]:
        """The operands' nodes."""
        return tuple(self._recording.graph.operands_of(self.node_index))

    @property
    def operands(self) -> tuple[str, ...]:
        """What the operands are called."""
        return tuple(self._recording.graph.label(i) for i in self.operand_indices)

    @property
    def shape(self) -> Shape:
        """The result's shape."""
        return self._recording.graph.shapes[self.node_index]

    @property
    def value(self) -> Array:
        """The result."""
        return self._recording.value(self.iteration, self.node_index)

    @property
    def operand_values(self) -> tuple[Array, ...]:
        """The operands' values."""
        return tuple(self._recording.value(self.iteration, i) for i in self.operand_indices)


class SeedStep(Step):
    """∂L/∂L = 1."""

    kind: Phase = "seed"

    @property
    def grad(self) -> Array:
        """The seed."""
        return self._recording.written(self.iteration, 0)


class BackwardStep(_OpStep):
    """One multiplication: the upstream gradient of a node, its local derivative by one operand, the contribution."""

    kind: Phase = "backward"

    @property
    def operand_index(self) -> int:
        """The operand's node."""
        return self._recording.plan.targets[self._place.index]

    @property
    def slot(self) -> int:
        """Which operand of the application it is, from 0."""
        return self._recording.plan.slots[self._place.index]

    @property
    def operand(self) -> str:
        """What the operand is called."""
        return self._recording.graph.label(self.operand_index)

    @cached_property
    def _rule(self) -> tuple[LocalDerivative, Call, tuple[int, ...]]:
        return self._recording.plan.derivative(self._place.index)

    @property
    def derivative(self) -> LocalDerivative:
        """The rule of the local derivative."""
        return self._rule[0]

    @property
    def call(self) -> Call:
        """Shapes and options of the application."""
        return self._rule[1]

    @property
    def how(self) -> How:
        """How the local derivative is multiplied in."""
        return self.derivative.how

    @property
    def read_indices(self) -> tuple[int, ...]:
        """The nodes whose forward values the local derivative reads."""
        return self._rule[2]

    @cached_property
    def read_values(self) -> tuple[Array, ...]:
        """Those values."""
        return tuple(self._recording.value(self.iteration, i) for i in self.read_indices)

    @property
    def upstream(self) -> Array:
        """The complete gradient of the node that is walked back through."""
        return self._recording.written(self.iteration, self._recording.plan.uppers[self._place.index])

    @cached_property
    def local(self) -> Array:
        """The local derivative: for `elementwise` in the result's shape, else as its rule gives it."""
        with np.errstate(all="ignore"):
            local = np.asarray(self.derivative.value(*self.read_values))
        wanted = {"elementwise": self.call.out, "broadcast": self.product_shape}.get(self.how, local.shape)
        if local.shape != wanted:
            local = np.broadcast_to(local, wanted)
        return frozen(local[()])

    @property
    def jacobian_entries(self) -> int:
        """How many entries `local` has where it is a full Jacobian; 0 where it is none."""
        return math.prod((*self.call.out, *self.call.shapes[self.slot])) if self.how == "dense" else 0

    @cached_property
    def local_block(self) -> Array:
        """`local`, but of a Jacobian over several vectors only the first one's block: the blocks between them are 0."""
        axis = self.call.options.get("axis")
        value = self.read_values[0] if self.read_values else None
        if self.how != "dense" or value is None or not isinstance(axis, int) or np.ndim(value) < 2:
            return self.local
        vector = np.moveaxis(np.asarray(value), axis, -1).reshape(-1, np.shape(value)[axis])[0]
        one = Call((vector.shape,), vector.shape, {**self.call.options, "axis": -1})
        rule = self._recording.graph.op_of(self.node_index).derivative(one, self.slot)
        assert rule is not None
        with np.errstate(all="ignore"):
            return frozen(rule.value(vector))

    @cached_property
    def kinks(self) -> Array | None:
        """Where the local derivative does not exist and a convention was used; None where there is no such entry."""
        if self.derivative.kinks is None:
            return None
        marks = np.asarray(self.derivative.kinks(*self.read_values))
        return frozen(marks) if marks.any() else None

    @property
    def product_shape(self) -> Shape:
        """The product's shape, before the sum over broadcast axes."""
        return product_shape(self.derivative, self.call, self.slot)

    @cached_property
    def product(self) -> Array:
        """Upstream gradient and local derivative multiplied, before the sum over broadcast axes."""
        with np.errstate(all="ignore"):
            product = self.derivative.apply(self.upstream, *self.read_values)
        return np.broadcast_to(product, self.product_shape)[()]

    @property
    def summed_axes(self) -> tuple[int, ...]:
        """The axes of the product that are summed because the operand was broadcast along them."""
        return summed_axes(self.product_shape, self.call.shapes[self.slot])

    @cached_property
    def contribution(self) -> Array:
        """What the step adds to the operand's gradient: the product, summed over its broadcast axes."""
        return frozen(self._recording.contribution(self.iteration, self._place.index))

    @property
    def before(self) -> Array | None:
        """The operand's gradient before the step; None for nothing yet."""
        earlier = self._recording.plan.earlier[self._place.index]
        return None if earlier < 0 else self._recording.written(self.iteration, earlier)

    @property
    def grad(self) -> Array:
        """The operand's gradient after the step."""
        return self._recording.written(self.iteration, self._place.index + 1)

    @property
    def contribution_number(self) -> tuple[int, int]:
        """Which contribution to the operand's gradient it is (from 1), and of how many."""
        writes = self._recording.plan.writes_to(self.operand_index)
        return int(np.searchsorted(writes, self._place.index)) + 1, len(writes)


class UpdateStep(Step):
    """p ← p − η ∂L/∂p."""

    kind: Phase = "update"

    @property
    def before(self) -> Array:
        """The parameter before."""
        return self._recording.value(self.iteration, self.node_index)

    @property
    def grad(self) -> Array:
        """Its gradient."""
        return self._recording.gradient(self.iteration, self.node_index)

    @property
    def rate(self) -> float:
        """The learning rate it was made with: after a change another one than the scenario's."""
        return self._recording.learning_rate

    @property
    def after(self) -> Array:
        """The parameter after."""
        return self._recording.updated(self.iteration, self._place.index)


_KINDS: dict[Phase, type[Step]] = {
    "forward": ForwardStep,
    "seed": SeedStep,
    "backward": BackwardStep,
    "update": UpdateStep,
}


def step_at(recording: Recording, number: int) -> Step:
    """The step with this number (from 1) of a recording that has executed it."""
    place = recording.plan.place(number)
    return _KINDS[place.phase](recording, place)
