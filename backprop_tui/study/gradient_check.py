"""Every local derivative and every gradient, checked numerically: central differences along random directions.

The check is the inner-product test: for a random direction v of the operand and a random upstream gradient u,
⟨u, J v⟩ by finite differences must equal ⟨contribution of u, v⟩ by the rule. It runs in float64 whatever the scenario's
precision is. Where a function has a kink just where it is evaluated, there is nothing to compare, and that is said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from backprop_tui.ops.op import Array, unbroadcast
from backprop_tui.plan import Plan, plan_of
from backprop_tui.recording import Recording
from backprop_tui.scenario import Scenario
from backprop_tui.steps import BackwardStep

#: The difference allowed, relative to the size of what is compared. Central differences with steps of 6e-6 are good to
#: about 1e-9 of that for smooth functions of moderate curvature.
TOLERANCE = 1e-5
#: At most so many backward steps are checked one by one; of a longer run, as many spread over it.
MOST_STEPS = 5_000
#: Gradients of parameters with at most so many entries in all are checked entry by entry, others along directions.
MOST_ENTRIES = 400
#: A full Jacobian of more entries is not made to be checked.
MOST_SHOWN = 1_000_000
EPSILON = 6e-6


@dataclass(frozen=True)
class Finding:
    """One comparison: what was compared, the two sides, and whether they agree (None: there was nothing to compare)."""

    what: str
    rule: float
    numeric: float
    holds: bool | None
    why: str = ""

    def __str__(self) -> str:
        if self.holds is None:
            return f"{self.what}: not checked, {self.why}"
        if self.why:
            return f"{self.what}: {self.why}"
        return f"{self.what}: by the rule {self.rule:.12g}, numerically {self.numeric:.12g}"


@dataclass(frozen=True)
class GradientReport:
    """All findings of a check, and how many of the run's backward steps were looked at."""

    locals: tuple[Finding, ...]
    gradients: tuple[Finding, ...]
    steps: int

    @property
    def failures(self) -> list[Finding]:
        """The comparisons that do not hold."""
        return [f for f in (*self.locals, *self.gradients) if f.holds is False]

    @property
    def undecided(self) -> list[Finding]:
        """The comparisons that could not be made."""
        return [f for f in (*self.locals, *self.gradients) if f.holds is None]


def check_gradients(scenario: Scenario) -> GradientReport:
    """Checks the first iteration of a scenario."""
    exact = _in_double(scenario)
    recording = Recording(exact, plan_of(scenario))
    plan = recording.plan
    first = plan.forward_steps + 1
    recording.advance(first + plan.backward_steps)
    rng = np.random.default_rng(0)
    count = min(plan.backward_steps, MOST_STEPS)
    chosen = np.unique(np.linspace(0, max(plan.backward_steps - 1, 0), count).astype(int))
    with np.errstate(all="ignore"):
        steps = [recording.step(first + 1 + int(k)) for k in chosen] if plan.backward_steps else []
        locals_ = tuple(_check_local(recording, step, rng) for step in steps if isinstance(step, BackwardStep))
        kinks = [f.what for f in locals_ if f.holds is None]
        gradients = tuple(_check_gradients(recording, rng, kinks))
    return GradientReport(locals_, gradients, plan.backward_steps)


def _in_double(scenario: Scenario) -> Scenario:
    def cast(values: Mapping[str, Array]) -> dict[str, Array]:
        return {name: np.asarray(value, dtype=np.float64)[()] for name, value in values.items()}

    return replace(scenario, precision="float64", data=cast(scenario.data), parameters=cast(scenario.parameters))


def _agree(rule: float, numeric: float, size: float) -> bool:
    return abs(rule - numeric) <= TOLERANCE * max(abs(rule), abs(numeric), size)


def _step_for(value: Array) -> float:
    largest = float(np.max(np.abs(value), initial=0.0))
    return EPSILON * max(1.0, largest)


def _check_local(recording: Recording, step: BackwardStep, rng: np.random.Generator) -> Finding:
    what = f"step {step.number}: ∂({step.node})/∂({step.operand})"
    if step.kinks is not None:
        return Finding(what, 0.0, 0.0, None, step.derivative.convention or "the derivative does not exist there")
    graph = recording.graph
    operands = [np.asarray(recording.value(0, i)) for i in graph.operands_of(step.node_index)]
    value = operands[step.slot]
    direction = np.asarray(rng.normal(size=value.shape))
    upstream = np.asarray(rng.normal(size=step.call.out))
    function = graph.op_of(step.node_index).bind(step.call)
    h = _step_for(value)

    def moved(by: float) -> Array:
        changed = [o[()] for o in operands]
        changed[step.slot] = (value + by * direction)[()]
        return np.asarray(function(*changed))

    numeric_each = (moved(h) - moved(-h)) / (2 * h)
    product = np.broadcast_to(step.derivative.apply(upstream[()], *step.read_values), step.product_shape)
    if not _as_shown(step, upstream, product):
        return Finding(what, 0.0, 0.0, False, "the local derivative that is shown is not the one multiplied in")
    rule_each = unbroadcast(np.asarray(product), value.shape) * direction
    rule, numeric = float(np.sum(rule_each)), float(np.sum(upstream * numeric_each))
    if not np.isfinite(rule) or not np.isfinite(numeric):
        return Finding(what, rule, numeric, None, "not everything in it is finite there")
    size = float(np.sum(np.abs(rule_each))) + float(np.sum(np.abs(upstream * numeric_each)))
    # differences cancel: what rounding leaves of values this large is no disagreement
    floor = 1e-9 * float(np.max(np.abs(np.asarray(function(*[o[()] for o in operands]))), initial=0.0)) / (h * 1e6)
    holds = _agree(rule, numeric, size) or abs(rule - numeric) <= floor
    if not holds and _kink_near(moved, h, numeric_each):
        return Finding(what, rule, numeric, None, "a kink lies within the step of the difference")
    return Finding(what, rule, numeric, holds)


def _as_shown(step: BackwardStep, upstream: Array, product: Array) -> bool:
    """Whether the array that is shown as the local derivative makes the same product as the faster rule."""
    derivative = step.derivative
    own = step.call.shapes[step.slot]
    if derivative.pull is None or (step.how == "dense" and math.prod(step.call.out + own) > MOST_SHOWN):
        return True
    shown = derivative.multiply(upstream[()], derivative.value(*step.read_values))
    shown = np.broadcast_to(shown, step.product_shape)
    largest = float(np.max(np.abs(shown), initial=0.0, where=np.isfinite(shown)))
    return bool(np.isclose(product, shown, rtol=1e-9, atol=1e-9 * largest, equal_nan=True).all())


def _kink_near(moved: object, h: float, central: Array) -> bool:
    """Whether the one-sided slopes differ as they do only across a kink."""
    assert callable(moved)
    here = moved(0.0)
    ahead, behind = (moved(h) - here) / h, (here - moved(-h)) / h
    return bool(np.max(np.abs(ahead - behind), initial=0.0) > 0.05 * (1e-3 + np.max(np.abs(central), initial=0.0)))


def _loss_of(recording: Recording, plan: Plan, changed: int, value: Array) -> float:
    """The loss with one leaf changed; what stop_gradient holds stays as it was recorded."""
    graph = plan.graph
    recorded = recording.iteration(0).values
    values = recorded[: graph.leaves]
    values[changed] = value
    for k, function in enumerate(plan.functions):
        node = graph.leaves + k
        if graph.ops[k].name == "stop_gradient":
            values.append(recorded[node])
        else:
            values.append(function(*[values[i] for i in graph.operands_of(node)]))
    return float(values[graph.loss])


def _check_gradients(recording: Recording, rng: np.random.Generator, kinks: list[str]) -> list[Finding]:
    plan = recording.plan
    parameters = plan.graph.parameters
    entries = sum(np.size(recording.value(0, node)) for node in parameters.values())
    cheap = entries * plan.forward_steps <= 2_000_000 and entries <= MOST_ENTRIES
    findings: list[Finding] = []
    for name, node in parameters.items():
        value = np.asarray(recording.value(0, node), dtype=np.float64)
        gradient = np.asarray(recording.gradient(0, node))
        directions: list[tuple[str, Array]] = []
        if cheap:
            for index in np.ndindex(value.shape):
                one_hot = np.zeros(value.shape)
                one_hot[index] = 1.0
                place = f"[{', '.join(map(str, index))}]" if index else ""
                directions.append((f"gradient of {name}{place}", one_hot))
        elif plan.forward_steps * len(parameters) <= 4_000_000:
            direction = np.asarray(rng.normal(size=value.shape))
            directions.append((f"gradient of {name} along a random direction", direction))
        else:
            findings.append(Finding(f"gradient of {name}", 0.0, 0.0, None, "the run is too long to be repeated for it"))
        for what, direction in directions:
            findings.append(_check_direction(recording, what, node, value, gradient, direction, kinks))
    return findings


def _check_direction(
    recording: Recording, what: str, node: int, value: Array, gradient: Array, direction: Array, kinks: list[str]
) -> Finding:
    plan = recording.plan
    moved = direction != 0  # an entry that does not move has no say, not even as a nan
    rule = float(np.sum(gradient[moved] * direction[moved]))
    h = _step_for(value)

    def at(by: float) -> float:
        return _loss_of(recording, plan, node, np.where(moved, value + by * direction, value)[()])

    numeric = (at(h) - at(-h)) / (2 * h)
    if not np.isfinite(rule) or not np.isfinite(numeric):
        which = "the loss beside it" if np.isfinite(rule) else "it"
        return Finding(what, rule, numeric, None, f"{which} is not finite")
    loss = at(0.0)
    floor = 1e-9 * abs(loss) / (h * 1e6) + 1e-10
    size = float(np.max(np.abs(gradient), initial=0.0)) * 1e-3
    holds = _agree(rule, numeric, size) or abs(rule - numeric) <= floor
    if not holds:
        ahead, behind = (at(h) - loss) / h, (loss - at(-h)) / h
        if abs(ahead - behind) > 0.02 * (1e-6 + abs(numeric)):
            cause = kinks[0] if kinks else "the loss"
            return Finding(what, rule, numeric, None, f"{cause} has a kink there")
    return Finding(what, rule, numeric, holds)
