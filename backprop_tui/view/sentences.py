"""What a step means, in plain words made from the real names."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backprop_tui.debugger import Stage
from backprop_tui.format import shape_text
from backprop_tui.ops.op import Array, Shape
from backprop_tui.recording import Recording
from backprop_tui.steps import BackwardStep, ForwardStep
from backprop_tui.wording import Wording

#: The most steps that are named one by one.
MOST_NAMED = 3


def forward_sentences(recording: Recording, step: ForwardStep, wording: Wording) -> Iterator[str]:
    """What an op does, and which local derivatives will be needed of it on the way back."""
    graph, plan = recording.graph, recording.plan
    yield _of_op(recording, step)
    readers = readers_of(recording, step.node_index)
    name = wording.name(step.node_index)
    if readers:
        steps = [str(plan.step_of(step.iteration, "backward", k)) for k in readers[:MOST_NAMED]]
        more = "" if len(readers) <= MOST_NAMED else f" and {len(readers) - MOST_NAMED} more"
        plural = "s" if len(readers) > 1 else ""
        yield f"{name} is stored: the local derivative{plural} of step{plural} {', '.join(steps)}{more} will read it."
    elif not graph.needs[step.node_index]:
        yield f"No parameter stands behind {name}, so the backward pass will not come here."
    elif plan.last_write[step.node_index] < 0:
        yield f"{wording.loss} does not depend on {name}, so the backward pass will leave it out."


def _of_op(recording: Recording, step: ForwardStep) -> str:
    """What the op does; a number written in the program receives nothing, so of such a call only that is said."""
    graph = recording.graph
    sentence = graph.op_of(step.node_index).sentence
    if not any(operand in graph.constants for operand in step.operand_indices):
        return sentence
    if step.op == "identity":
        return "Gives a number a name."
    return sentence.partition("; ")[0].rstrip(".") + "."


def readers_of(recording: Recording, node: int) -> list[int]:
    """The backward steps (as indices into the phase) whose local derivative reads a node's value; a bounded look-up."""
    plan, graph = recording.plan, recording.graph
    near = [node] if node >= graph.leaves else []
    near += [int(user) for user in plan.uses_of(node)[:64]]
    found: set[int] = set()
    for source in near:
        for operand in dict.fromkeys(graph.operands_of(source)):
            for k in plan.writes_to(operand)[:256]:
                if plan.sources[int(k)] == source and node in plan.derivative(int(k))[2]:
                    found.add(int(k))
    return sorted(found)


def backward_sentences(recording: Recording, step: BackwardStep, wording: Wording, stage: Stage | None) -> Iterator[str]:
    """What is multiplied with what, and why; inside a multiplication, what this stage does."""
    if stage is not None:
        yield _stage_sentence(step, wording, stage)
        return
    node, operand = wording.name(step.node_index), wording.name(step.operand_index)
    loss = wording.loss
    local = wording.local(step)
    if step.how in ("left", "right"):
        yield from _matrix_sentences(recording, step, wording)
    elif step.op == "identity":
        yield f"The local derivative is 1, since {node} = {operand}: the upstream gradient is passed on as it is."
    elif step.how == "elementwise" and _is_one(step):
        yield f"{node} moves exactly as {operand} does: the local derivative is 1, so the upstream gradient is passed on as it is."
    elif step.how == "elementwise":
        yield (
            f"Moving {operand} a little moves {node} by {local} as much. The upstream gradient says how much {loss} "
            f"minds {node} moving; the product, how much {loss} minds {operand} moving."
        )
    elif step.how == "broadcast":
        if step.op == "matmul":
            yield f"Each entry of {operand} is weighted by its partner in {local}, so it receives the upstream gradient times that."
        else:
            yield (
                f"Many entries of {operand} become one of {node}: each moves it by its entry of {local}, so the upstream "
                "gradient is spread over them and multiplied with it."
            )
    elif step.how == "rearrange":
        yield f"{node} holds entries of {operand} in other places, unchanged: {step.derivative.note or 'they go back'}."
    else:
        yield (
            f"Every entry of {node} along the axis depends on every entry of {operand}, so the local derivative is a "
            f"Jacobian matrix; the upstream gradient is multiplied with its columns."
        )
        if np.ndim(step.local_block) < 2 * len(step.call.out):
            yield "Drawn is the first row's block: rows do not influence each other, so the blocks between them are 0."
    if step.summed_axes:
        yield _broadcast_sentence(step, operand)
    number, count = step.contribution_number
    if count > 1 and number > 1:
        yield f"{operand} reaches {loss} in several ways: what they contribute is added up, this is number {number} of {count}."


def _is_one(step: BackwardStep) -> bool:
    return bool(np.all(np.asarray(step.local) == 1)) and not step.read_indices


def _broadcast_sentence(step: BackwardStep, operand: str) -> str:
    sizes = [step.product_shape[axis] for axis in step.summed_axes]
    times = int(np.prod(sizes))
    axes = ", ".join(map(str, step.summed_axes))
    if times == 1:
        return f"{operand} was given the axis {axes} of size 1 by broadcasting; the sum over it takes it away again."
    return f"Broadcasting used {operand} {times} times, so its gradient is the sum over axis {axes} of the product."


def _matrix_sentences(recording: Recording, step: BackwardStep, wording: Wording) -> Iterator[str]:
    operand, local = wording.name(step.operand_index), wording.local(step)
    other_index = recording.graph.operands_of(step.node_index)[1 - step.slot]
    other = wording.name(other_index)
    side = "left" if step.how == "left" else "right"
    yield f"{other} multiplies {operand} from the {side}, so {local} is multiplied in from the {side}."
    first, second, wrong = other_order(step)
    right_first, right_second = second, first
    yield (
        f"Shapes: {_bracketed(right_first)} @ {_bracketed(right_second)} = {shape_text(step.product_shape)}, as {operand}. "
        + _other_order_text(first, second, wrong, step.product_shape)
    )


def _other_order_text(first: Shape, second: Shape, wrong: Shape | None, right: Shape) -> str:
    head = f"The other order, {_bracketed(first)} @ {_bracketed(second)},"
    if wrong is None:
        return f"{head} does not conform."
    if wrong == right:
        return f"{head} has the same shape here and is wrong all the same: shapes alone prove nothing."
    return f"{head} is {shape_text(wrong)}."


def as_entered(step: BackwardStep) -> Array:
    """The upstream gradient in the shape in which it enters the product."""
    entered = step.derivative.upstream_as
    if entered is None or step.how not in ("left", "right", "broadcast"):
        return step.upstream
    return np.reshape(step.upstream, entered)


def other_order(step: BackwardStep) -> tuple[Shape, Shape, Shape | None]:
    """The shapes of a matrix product's factors in the order in which they do not belong, and of its result if it has one."""
    first, second = np.shape(step.local), np.shape(as_entered(step))
    if step.how == "left":
        first, second = second, first
    try:
        result: Shape | None = np.matmul(np.empty(first), np.empty(second)).shape
    except ValueError:
        result = None
    return first, second, result


def _bracketed(shape: Shape) -> str:
    return f"({shape_text(shape)})"


def _stage_sentence(step: BackwardStep, wording: Wording, stage: Stage) -> str:
    node, operand = wording.name(step.node_index), wording.name(step.operand_index)
    gradient, loss = wording.gradient(step.node_index), wording.loss
    if stage == "upstream":
        return f"Upstream: {gradient} is complete, it says how much {loss} minds {node} moving. Nothing more will be added to it."
    if stage == "local":
        reads = ", ".join(wording.name(i) for i in dict.fromkeys(step.read_indices))
        source = f"made from the stored value of {reads}" if reads else "it needs no stored value"
        return f"Local: how {node} moves when {operand} moves is {wording.local(step)}; {source}."
    if stage == "product":
        return f"Product: the upstream gradient and the local derivative are multiplied; the result is about {operand}."
    if stage == "sum":
        return "Sum: " + _broadcast_sentence(step, operand)
    if step.before is None:
        return f"Accumulate: {operand} has no gradient yet, so the contribution becomes it."
    return f"Accumulate: the contribution is added to what {operand} has received before."
