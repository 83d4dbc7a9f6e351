"""The chain rule along one way: the local derivatives from the loss to an operand, in the order they are multiplied in.

Where a node feeds several others there are several ways, and its gradient is the sum over them. The way shown is the
one walked now: it ends with the step one stands at, and above it follows the first contribution each node received.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backprop_tui.ops.op import How, Shape
from backprop_tui.recording import Recording
from backprop_tui.steps import BackwardStep

#: At most so many factors are looked up above the current one; the rest stands as one.
MOST_FACTORS = 12
#: Ways are counted exactly while their union has at most so many backward steps.
MOST_STEPS = 4_000


@dataclass(frozen=True)
class Factor:
    """One local derivative on the way: ``number`` counts from the loss, ``step`` is the step that multiplies it in."""

    number: int
    step: BackwardStep
    how: How
    summed_axes: tuple[int, ...]
    shape: Shape
    current: bool


@dataclass(frozen=True)
class Way:
    """The factors from the loss to the operand.

    ``hidden`` is how many before the first one listed are not; ``ways`` is None where there are too many to count.
    """

    factors: tuple[Factor, ...]
    hidden: int
    ways: int | None


def way_to(recording: Recording, step: BackwardStep) -> Way:
    """The way from the loss to the operand of a backward step, through that step."""
    plan = recording.plan
    first = plan.step_of(step.iteration, "backward")
    indices = [step.number - first]
    node = step.node_index
    while node != plan.graph.loss and len(indices) <= MOST_FACTORS:
        index = int(plan.writes_to(node)[0])
        indices.append(index)
        node = plan.sources[index]
    hidden = plan.level[node]
    factors = []
    for offset, index in enumerate(reversed(indices), 1):
        found = recording.step(first + index)
        assert isinstance(found, BackwardStep)
        factors.append(
            Factor(
                hidden + offset,
                found,
                found.how,
                found.summed_axes,
                np.shape(found.local_block),
                index == indices[0],
            )
        )
    return Way(tuple(factors), hidden, count_ways(recording, step.operand_index))


def count_ways(recording: Recording, target: int) -> int | None:
    """How many ways lead from the loss to a node; None where they are too many to count."""
    plan = recording.plan
    loss = plan.graph.loss
    counts: dict[int, int] = {loss: 1}
    waiting = [target]
    seen = 0
    while waiting:
        node = waiting[-1]
        if node in counts:
            waiting.pop()
            continue
        sources = [plan.sources[int(i)] for i in plan.writes_to(node)]
        missing = [s for s in sources if s not in counts]
        if missing:
            waiting.extend(missing)
            continue
        seen += len(sources)
        if seen > MOST_STEPS or len(waiting) > MOST_STEPS:
            return None
        counts[node] = sum(counts[s] for s in sources)
        waiting.pop()
    return counts[target]
