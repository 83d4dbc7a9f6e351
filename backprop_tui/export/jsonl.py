"""The trace as JSON lines: one object a step, a summary at the end. Numbers round-trip; non-finite ones are strings."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from backprop_tui.ops.op import Array
from backprop_tui.recording import Recording
from backprop_tui.steps import BackwardStep, ForwardStep, SeedStep, Step, UpdateStep
from backprop_tui.wording import wording_of

#: A full Jacobian of more entries is not written out: its text says so.
MOST_JACOBIAN = 1_000_000
#: Control and direction characters that JSON leaves as they are: DEL, C1, line separators, marks and overrides.
COMMANDING = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def dumps(value: Any, indent: int | None = None) -> str:
    """JSON as people read it, but for what would command the terminal: that stays escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return COMMANDING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def plain(value: Array) -> Any:
    """An array as nested lists, a scalar as a number, nan and infinities as strings."""
    array = np.asarray(value)
    nested = _shortest(array) if array.dtype == np.float32 else array.tolist()
    return nested if np.isfinite(array).all() else _spelled(nested)


def _shortest(array: Array) -> Any:
    """Lists of the shortest decimals that read back as the same float32."""
    if array.ndim == 0:
        return float(str(array[()]))
    return [_shortest(row) for row in array]


def _spelled(nested: Any) -> Any:
    if isinstance(nested, list):
        return [_spelled(entry) for entry in nested]
    if math.isfinite(nested):
        return nested
    return "nan" if math.isnan(nested) else "inf" if nested > 0 else "-inf"


def step_object(step: Step, recording: Recording) -> dict[str, Any]:
    """One step as an object of the trace."""
    head: dict[str, Any] = {"kind": step.kind, "step": step.number, "iteration": step.iteration, "node": step.node}
    if isinstance(step, ForwardStep):
        return {
            **head,
            "op": step.op,
            "operands": list(step.operands),
            "line": step.line,
            "shape": list(step.shape),
            "value": plain(step.value),
        }
    if isinstance(step, SeedStep):
        return {**head, "grad": plain(step.grad)}
    if isinstance(step, BackwardStep):
        local, large = wording_of(recording.scenario).local(step), step.jacobian_entries > MOST_JACOBIAN
        if step.how == "rearrange":
            local += "; value: the flat place in the result that each entry went to, -1 for none"
        if large:
            local += f", a full Jacobian of {step.jacobian_entries:,} entries, not written out"
        return {
            **head,
            "op": step.op,
            "operand": step.operand,
            "line": step.line,
            "upstream": plain(step.upstream),
            "local": {
                "text": local,
                "how": step.how,
                "value": [] if large else plain(step.local),
            },
            "summed_axes": list(step.summed_axes),
            "contribution": plain(step.contribution),
            "grad": plain(step.grad),
        }
    assert isinstance(step, UpdateStep)
    return {**head, "before": plain(step.before), "grad": plain(step.grad), "after": plain(step.after)}


def summary_object(recording: Recording) -> dict[str, Any]:
    """The last line of the trace."""
    return {
        "kind": "summary",
        "steps": len(recording),
        "loss": plain(recording.loss),
        "losses": [plain(loss) for loss in recording.losses],
        "gradients": {name: plain(value) for name, value in recording.gradients.items()},
        "parameters": {name: plain(value) for name, value in recording.parameters.items()},
    }


def lines(recording: Recording) -> Iterator[str]:
    """The trace of a finished recording, line by line, without line ends."""
    for step in recording:
        yield dumps(step_object(step, recording))
    yield dumps(summary_object(recording))
