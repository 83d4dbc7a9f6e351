"""What opens when a panel's arrays are enlarged: tabs of arrays, with the written-out sum of the cell under the cursor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from backprop_tui.debugger import Debugger
from backprop_tui.format import plain
from backprop_tui.steps import BackwardStep, ForwardStep, SeedStep, UpdateStep
from backprop_tui.study.entries import written_entry
from backprop_tui.tui.screens.matrix import MatrixTab
from backprop_tui.view.models import VariableRow
from backprop_tui.wording import Wording

Describe = Callable[[tuple[int, ...]], Sequence[str]]


def step_tabs(debugger: Debugger, wording: Wording) -> tuple[str, list[MatrixTab], int]:
    """The title, the arrays of the current step, and which of them comes first."""
    step = debugger.current
    if isinstance(step, BackwardStep):
        name = wording.name(step.node_index)
        describe = _written(debugger, step, wording) if step.jacobian_entries <= 10**6 else None
        tabs = [
            MatrixTab(f"forward {name}", "forward", debugger.recording.value(step.iteration, step.node_index), None),
            MatrixTab(f"upstream {wording.gradient(step.node_index)}", "upstream", step.upstream, None),
            MatrixTab(f"local {wording.local(step)}", "local", step.local_block, None),
            MatrixTab("contribution", "product", step.contribution, describe),
            MatrixTab(f"gradient {wording.gradient(step.operand_index)}", "gradient", step.grad, None),
        ]
        return f"{name} → {wording.name(step.operand_index)}", tabs, 3
    if isinstance(step, ForwardStep):
        name = wording.name(step.node_index)
        tabs = [MatrixTab(name, "forward", step.value, _written(debugger, step, wording))]
        for index in dict.fromkeys(step.operand_indices):
            tabs.append(MatrixTab(wording.name(index), "forward", debugger.recording.value(step.iteration, index), None))
        return name, tabs, 0
    if isinstance(step, SeedStep):
        return "seed", [MatrixTab(f"∂{wording.loss}/∂{wording.loss}", "upstream", step.grad, None)], 0
    if isinstance(step, UpdateStep):
        name = wording.name(step.node_index)
        tabs = [
            MatrixTab("before", "value", step.before, None),
            MatrixTab("gradient", "gradient", step.grad, None),
            MatrixTab("after", "product", step.after, None),
        ]
        return f"update {name}", tabs, 2
    return "", [], 0


def _written(debugger: Debugger, step: BackwardStep | ForwardStep, wording: Wording) -> Describe:
    def describe(index: tuple[int, ...]) -> Sequence[str]:
        entry = written_entry(debugger.recording, step, index, wording)
        return [f"{entry.left} = {entry.symbols}", f"= {entry.numbers} = {plain(entry.result, 4)}"]

    return describe


def variable_tabs(row: VariableRow) -> tuple[str, list[MatrixTab]]:
    """The value and the gradient of a variable, as far as they are there."""
    tabs = []
    if row.value is not None:
        tabs.append(MatrixTab(f"value of {row.name}", "forward", row.value, None))
    if row.gradient is not None:
        tabs.append(MatrixTab(f"gradient of {row.name}", "gradient", row.gradient, None))
    return row.name, tabs
