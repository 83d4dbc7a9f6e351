"""The trace as text: every step as a short paragraph, for people and for screen readers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backprop_tui.format import array_text, clean, plain, shape_text
from backprop_tui.recording import Recording
from backprop_tui.steps import BackwardStep, ForwardStep, SeedStep, Step, UpdateStep
from backprop_tui.wording import Wording, wording_of

#: A full Jacobian of more entries is not made to be summarised.
MOST_JACOBIAN = 1_000_000
SIGNS = {
    "elementwise": "upstream ⊙ local",
    "left": "local @ upstream",
    "right": "upstream @ local",
    "broadcast": "upstream, spread along the reduced axes, ⊙ local",
    "rearrange": "upstream, each entry put back where it came from",
    "dense": "upstream times the full Jacobian",
}


def step_lines(step: Step, wording: Wording) -> Iterator[str]:
    """One step as lines of text."""
    name = wording.name(step.node_index)
    if isinstance(step, ForwardStep):
        definition = wording.definition(step.node_index)
        head = name if definition == name else f"{name} = {definition}"
        yield f"step {step.number}  forward  {head}  (line {step.line}, {step.op})"
        yield f"    value         {array_text(step.value)}  {shape_text(step.shape)}"
    elif isinstance(step, SeedStep):
        yield f"step {step.number}  seed  ∂{name}/∂{name} = 1"
    elif isinstance(step, BackwardStep):
        operand = wording.name(step.operand_index)
        yield f"step {step.number}  backward  {name} → {operand}  (line {step.line}, {step.op})"
        yield f"    upstream      {wording.gradient(step.node_index)} = {array_text(step.upstream)}"
        constants = wording.graph.constants
        reads = ", ".join(wording.name(i) for i in dict.fromkeys(step.read_indices) if i not in constants)
        local = f"    local         {wording.local(step)}"
        if step.jacobian_entries > MOST_JACOBIAN:
            local += f", a full Jacobian of {step.jacobian_entries:,} entries, not written out"
        elif step.how != "rearrange":
            local += f" = {array_text(step.local)}"
        yield local + (f"  reads {reads}" if reads else "")
        if step.kinks is not None:
            yield f"    convention    {step.derivative.convention}"
        if step.summed_axes:
            axes = ", ".join(map(str, step.summed_axes))
            why = f"summed over axis {axes}, along which {operand} was broadcast"
            yield f"    product       {array_text(step.product)}, {why}"
        how = SIGNS["elementwise"] if step.how == "broadcast" and step.product_shape == np.shape(step.upstream) else SIGNS[step.how]
        summed = "the sum of the product" if step.summed_axes else how
        yield f"    contribution  {summed} = {array_text(step.contribution)}"
        number, count = step.contribution_number
        grad = f"    gradient      {wording.gradient(step.operand_index)} = {array_text(step.grad)}"
        yield grad + (f"  (contribution {number} of {count})" if count > 1 else "")
    elif isinstance(step, UpdateStep):
        rate = plain(step.rate)
        yield f"step {step.number}  update  {name} ← {name} − η {wording.gradient(step.node_index)}  (η = {rate})"
        yield f"    before        {array_text(step.before)}"
        yield f"    gradient      {array_text(step.grad)}"
        yield f"    after         {array_text(step.after)}"


def lines(recording: Recording) -> Iterator[str]:
    """The trace of a finished recording, line by line."""
    wording = wording_of(recording.scenario)
    yield clean(recording.scenario.title)
    plan = recording.plan
    iteration = -1
    for step in recording:
        if step.iteration != iteration and plan.iterations > 1:
            iteration = step.iteration
            yield f"iteration {iteration + 1} of {plan.iterations}"
        yield from step_lines(step, wording)
    yield f"{len(recording)} steps; {wording.loss} = {plain(recording.loss, 10)}"
    for name, value in recording.gradients.items():
        yield f"gradient of {wording.name(recording.graph.parameters[name])}  {array_text(value)}"
