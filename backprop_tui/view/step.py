"""The Step panel's model: the multiplication itself, or what stands in its place in the other phases."""

from __future__ import annotations

import numpy as np

from backprop_tui.debugger import Debugger, Stage
from backprop_tui.format import plain, shape_text
from backprop_tui.recording import Recording
from backprop_tui.steps import BackwardStep, ForwardStep, SeedStep, UpdateStep
from backprop_tui.view.models import Block, StepModel
from backprop_tui.view.sentences import as_entered, backward_sentences, forward_sentences
from backprop_tui.view.text import Line, Span
from backprop_tui.wording import Wording

SIGN = {"elementwise": "⊙", "left": "@", "right": "@", "broadcast": "⊙", "rearrange": "↦", "dense": "·"}
STAGES: tuple[Stage, ...] = ("upstream", "local", "product", "sum", "accumulate")


def step_model(debugger: Debugger, wording: Wording) -> StepModel:
    """The model at the debugger's position."""
    step = debugger.current
    recording = debugger.recording
    if isinstance(step, ForwardStep):
        return _forward(recording, step, wording)
    if isinstance(step, SeedStep):
        return _seed(step, wording)
    if isinstance(step, BackwardStep):
        return _backward(recording, step, wording, debugger.stage)
    if isinstance(step, UpdateStep):
        return _update(recording, step, wording)
    return _start(debugger, wording)


def _start(debugger: Debugger, wording: Wording) -> StepModel:
    plan = debugger.plan
    return StepModel(
        "start",
        "",
        (),
        "",
        None,
        (),
        (),
        (),
        "",
        "",
        "",
        "",
        (
            f"{plan.forward_steps} operations forward compute {wording.loss}; "
            f"{plan.backward_steps} multiplications backward find how much {wording.loss} minds each parameter moving.",
        ),
        (
            "Nothing is executed yet.",
            "s or → takes one step, S or ← takes it back, ? shows every key.",
        ),
    )


def _forward(recording: Recording, step: ForwardStep, wording: Wording) -> StepModel:
    name = wording.name(step.node_index)
    definition = wording.definition(step.node_index)
    op = recording.graph.op_of(step.node_index)
    blocks = []
    seen: set[int] = set()
    for index in step.operand_indices:
        if index not in recording.graph.constants and index not in seen:
            blocks.append(Block("forward", "operand", wording.name(index), recording.value(step.iteration, index)))
            seen.add(index)
    sign = {"add": "+", "subtract": "−", "multiply": "⊙", "divide": "/", "matmul": "@"}.get(op.name)
    inline = sign is not None and len(blocks) == len(step.operand_indices) == 2
    result = Block("forward.result", "forward value", name if name != definition else definition, step.value)
    signs = (sign or "", "=") if inline else ("",) * max(len(blocks) - 1, 0) + (("→",) if blocks else ())
    named = recording.graph.names.get(step.node_index) is not None
    equation: Line = (Span(name, "forward"), Span("  =  "), Span(definition)) if named else (Span(definition, "forward"),)
    return StepModel(
        f"forward {name}",
        "forward",
        equation,
        op.name.replace("_", " "),
        None,
        (*blocks, result),
        signs,
        (),
        "",
        "",
        _not_finite(recording, step, wording),
        "",
        tuple(forward_sentences(recording, step, wording)),
    )


def _not_finite(recording: Recording, step: ForwardStep, wording: Wording) -> str:
    """Where a nan or an infinity in a value comes from: here, or from an operand that has one already."""
    value = np.asarray(step.value)
    bad = value.size - int(np.count_nonzero(np.isfinite(value)))
    if not bad:
        return ""
    count = "It is" if value.size == 1 else f"{bad} of {value.size} entries are"
    operands = dict.fromkeys(step.operand_indices)
    from_where = [i for i in operands if not np.isfinite(recording.value(step.iteration, i)).all()]
    if not from_where:
        return f"{count} not finite, and the operands are: it first arises here."
    names = " and ".join(wording.name(i) for i in from_where)
    text = f"{count} not finite; {names} {'has' if len(from_where) == 1 else 'have'} such entries already."
    finite = np.array(True)
    try:
        for i in operands:
            finite = finite & np.isfinite(recording.value(step.iteration, i))
        here = int(np.count_nonzero(finite & ~np.isfinite(value)))
    except ValueError:  # entries of the operands do not stand beside each other
        return text
    if finite.shape == value.shape and here:
        text += f" {here} of them arise{'s' if here == 1 else ''} here, from finite operands."
    return text


def _seed(step: SeedStep, wording: Wording) -> StepModel:
    loss = wording.loss
    return StepModel(
        f"seed ∂{loss}/∂{loss}",
        "upstream",
        (Span(f"∂{loss}/∂{loss}", "upstream"), Span("  =  1")),
        "the seed",
        None,
        (Block("upstream", "seed", f"∂{loss}/∂{loss}", step.grad),),
        (),
        (),
        "",
        "",
        "",
        "",
        (
            f"{loss} moves exactly as much as itself. From this 1 the backward pass walks from {loss} towards the "
            "parameters, multiplying in one local derivative after another.",
        ),
    )


def _update(recording: Recording, step: UpdateStep, wording: Wording) -> StepModel:
    name, gradient = wording.name(step.node_index), wording.gradient(step.node_index)
    rate, iterations = recording.learning_rate, recording.plan.iterations
    change = np.asarray(step.after) - np.asarray(step.before)
    return StepModel(
        f"update {name}",
        "product",
        (Span(name, "product"), Span("  ←  "), Span(name, "forward"), Span("  −  η "), Span(gradient, "upstream")),
        f"η = {plain(rate)}",
        None,
        (
            Block("forward", "before", name, step.before),
            Block("upstream", "gradient", gradient, step.grad),
            Block("product", "after", name, step.after),
        ),
        (f"− {plain(rate)} ·", "="),
        (),
        "",
        "",
        "",
        "",
        (
            f"{name} moves {'against' if rate >= 0 else 'along'} its gradient, by {plain(abs(rate))} times it"
            f"{'' if rate >= 0 else ', since η is negative'}; the largest change of an entry is "
            f"{plain(float(np.max(np.abs(change), initial=0.0)))}."
            + (" The gradients start from nothing again in the next iteration." if step.iteration + 1 < iterations else ""),
        ),
    )


def _backward(recording: Recording, step: BackwardStep, wording: Wording, stage: Stage | None) -> StepModel:
    node, operand = wording.name(step.node_index), wording.name(step.operand_index)
    up_name, own_name = wording.gradient(step.node_index), wording.gradient(step.operand_index)
    local_text = wording.local(step)
    reached = STAGES.index(stage) if stage is not None else len(STAGES)
    reads = _reads(step, wording)
    local_name = wording.derivative(wording.enclosed(step.node_index), step.operand_index)
    local_title = "local derivative"
    if step.how == "rearrange":  # its array is no derivative, but where each entry has gone
        local_title, local_name = "places of entries", f"in {node}; −1: in none"
    sign = SIGN[step.how]
    upstream = Block("upstream", "upstream", up_name, as_entered(step), _entered_note(step))
    local_note = f"reads {reads}" if reads else ""
    local_array = step.local_block
    local = Block("local", local_title, local_name, local_array if reached >= 1 else None, local_note)
    product = Block("product", "product", f"to {own_name}", step.product if reached >= 2 else None)
    left = step.how == "left"
    pair = (local, upstream) if left else (upstream, local)
    local_span = Span(local_text, "local")
    up_span = Span(up_name, "upstream")
    middle: Line = (local_span, Span(f"  {sign}  "), up_span) if left else (up_span, Span(f"  {sign}  "), local_span)
    axes = ", ".join(map(str, step.summed_axes))
    if step.summed_axes:
        middle = (Span(f"Σ axis {axes} ( "), *middle, Span(" )"))
    equation: Line = (Span(own_name, "product"), Span("  =  "), *middle)
    several = step.contribution_number[1] > 1
    if several:
        equation = (Span("this contribution to ", "dim"), *equation)
    forward = Block(
        "forward",
        "forward value",
        _definition(recording, step, wording),
        recording.value(step.iteration, step.node_index),
    )
    totals = _totals(step, wording, reached)
    number, count = step.contribution_number
    return StepModel(
        f"backward {node} → {operand}",
        "upstream",
        equation,
        _because(recording, step, wording),
        forward,
        (*pair, product),
        (sign, "="),
        totals,
        wording.name(step.operand_index),
        f"contribution {number} of {count}",
        _edited(recording, step, wording) or _warning(step),
        _entry(recording, step, wording) if reached >= 2 else "",
        tuple(backward_sentences(recording, step, wording, stage)),
    )


def _definition(recording: Recording, step: BackwardStep, wording: Wording) -> str:
    definition = wording.definition(step.node_index)
    if recording.graph.names.get(step.node_index) is None:
        return definition
    return f"{wording.name(step.node_index)} = {definition}"


def _reads(step: BackwardStep, wording: Wording) -> str:
    names = [wording.name(i) for i in dict.fromkeys(step.read_indices) if i not in wording.graph.constants]
    return ", ".join(names)


def _entered_note(step: BackwardStep) -> str:
    entered = step.derivative.upstream_as
    own = np.shape(step.upstream)
    return f"from {shape_text(own)}" if entered not in (None, own) else ""


def _edited(recording: Recording, step: BackwardStep, wording: Wording) -> str:
    """What of it was changed by hand since the forward value was computed, if anything was: they do not belong together."""
    if recording.parent is None:
        return ""
    plan = recording.plan
    computed = plan.step_of(step.iteration, "forward", step.node_index - plan.graph.leaves)
    changed = {node for node, gradient in recording.edited(step.number, computed) if not gradient}
    names = [wording.name(node) for node in dict.fromkeys((*step.read_indices, step.node_index)) if node in changed]
    if not names:
        return ""
    own = step.node_index in changed
    value = f"what {names[0]} was computed from" if own else f"the forward value of {wording.name(step.node_index)}"
    return f"{' and '.join(names)} was changed by hand after {value}: the two do not belong together."


def _warning(step: BackwardStep) -> str:
    if step.kinks is not None:
        count = int(np.count_nonzero(step.kinks))
        where = "here" if np.size(step.kinks) == 1 else f"at {count} of {np.size(step.kinks)} entries"
        return f"The derivative does not exist {where}: {step.derivative.convention}."
    product = np.asarray(step.contribution)
    if not np.isfinite(product).all():
        clean_up = np.isfinite(step.upstream).all()
        local_ok = step.how == "rearrange" or np.isfinite(np.asarray(step.local_block)).all()
        if clean_up and local_ok:
            return "The product is not finite although its factors are: it overflows."
        source = "the upstream gradient" if not clean_up else "the local derivative"
        return f"Not finite: it comes from {source}."
    return ""


def _entry(recording: Recording, step: BackwardStep, wording: Wording) -> str:
    """The first entry of the product of a matrix step as its written-out sum, in symbols and in numbers."""
    if step.how not in ("left", "right", "dense") or step.jacobian_entries > 10**6 or not np.size(step.contribution):
        return ""
    from backprop_tui.study.entries import written_entry  # the first frame does not need it

    entry = written_entry(recording, step, (0,) * np.ndim(step.contribution), wording)
    return f"{entry.left}  =  {entry.symbols}  =  {entry.numbers}  =  {plain(entry.result, 4)}"


def _because(recording: Recording, step: BackwardStep, wording: Wording) -> str:
    """Why the local derivative is what it is, in a few words."""
    if step.how in ("left", "right"):
        other = recording.graph.operands_of(step.node_index)[1 - step.slot]
        side = "left" if step.how == "left" else "right"
        return f"because {wording.name(other)} multiplies {wording.name(step.operand_index)} from the {side}"
    if recording.graph.names.get(step.node_index) is None:
        return f"line {step.line}"
    return f"because {_definition(recording, step, wording)}"


def _totals(step: BackwardStep, wording: Wording, reached: int) -> tuple[Block, ...]:
    """The operand's gradient before, what is added, and the gradient after."""
    gradient = wording.gradient(step.operand_index)
    axes = ", ".join(map(str, step.summed_axes))
    added = f"Σ product over axis {axes}" if step.summed_axes else "product"
    known = 3 if step.summed_axes else 2
    return (
        Block("upstream", "before", gradient, step.before, "nothing yet" if step.before is None else ""),
        Block("product", added, "contribution", step.contribution if reached >= known else None),
        Block("upstream", "after", gradient, step.grad if reached >= 4 else None, "not added yet" if reached < 4 else ""),
    )
