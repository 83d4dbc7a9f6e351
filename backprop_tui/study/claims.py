"""Hand-derived gradients, judged: correct, of the wrong shape, or of the right shape and the wrong value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from backprop_tui.errors import ShapeError
from backprop_tui.ops.op import Array, show_shape
from backprop_tui.recording import Recording
from backprop_tui.scenario import Claim

Verdict = Literal["correct", "shape", "value"]
#: How far, relative to the largest entry of the true gradient, a correct claim may be off.
TOLERANCE = {"float64": 1e-9, "float32": 1e-4}


@dataclass(frozen=True)
class Judgement:
    """What a claim comes to, and why in one sentence."""

    claim: Claim
    verdict: Verdict
    why: str

    @property
    def as_expected(self) -> bool:
        """Whether it is what the scenario says it is."""
        return self.verdict == self.claim.verdict


def judge(recording: Recording, claim: Claim) -> Judgement:
    """Compares a claim with the true gradient, in the first iteration."""
    graph = recording.graph
    recording.advance(recording.plan.forward_steps + 1 + recording.plan.backward_steps)

    def node(name: str) -> int:
        found = graph.resolve(name)
        assert found is not None  # names were checked when the scenario was read
        return found

    def gradient(name: str) -> Array:
        return recording.gradient(0, node(name))

    true = np.asarray(gradient(claim.gradient))
    try:
        with np.errstate(all="ignore"):
            claimed = np.asarray(claim.formula.evaluate(lambda name: recording.value(0, node(name)), gradient))
    except ShapeError as error:
        return Judgement(claim, "shape", error.message)
    if claimed.shape != true.shape:
        why = f"it has the shape {_shape(claimed.shape)}, the gradient of {claim.gradient} has {_shape(true.shape)}"
        return Judgement(claim, "shape", why)
    largest = float(np.max(np.abs(true), initial=0.0, where=np.isfinite(true)))
    allowed = TOLERANCE[recording.scenario.precision] * max(1e-300, largest)
    same = np.isclose(claimed, true, rtol=0.0, atol=allowed, equal_nan=True)
    if same.all():
        return Judgement(claim, "correct", "it equals the gradient")
    index = tuple(int(i) for i in np.argwhere(~same)[0])
    place = f"entry [{', '.join(map(str, index))}]" if index else "it"
    digits = next((n for n in (6, 9, 12) if f"{claimed[index]:.{n}g}" != f"{true[index]:.{n}g}"), 17)
    why = f"{place} is {claimed[index]:.{digits}g}, in the gradient {true[index]:.{digits}g}"
    return Judgement(claim, "value", why)


def _shape(shape: tuple[int, ...]) -> str:
    return f"({show_shape(shape)})"
