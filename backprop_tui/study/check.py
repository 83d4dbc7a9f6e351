"""`check`: everything a scenario states about itself, compared with what it computes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from backprop_tui.graph import Kind
from backprop_tui.ops.op import Array
from backprop_tui.recording import Recording, record
from backprop_tui.scenario import Scenario
from backprop_tui.study.claims import Judgement, judge
from backprop_tui.study.gradient_check import GradientReport, check_gradients


@dataclass(frozen=True)
class Comparison:
    """One expected array against the computed one; ``error`` is the largest difference of an entry."""

    what: str
    error: float
    tolerance: float
    place: tuple[int, ...] = ()
    expected: float = 0.0
    computed: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether every entry is within the tolerance."""
        return self.error <= self.tolerance

    def __str__(self) -> str:
        place = f"[{', '.join(map(str, self.place))}]" if self.place else ""
        both = f"expected {self.expected:.12g}, computed {self.computed:.12g}"
        return f"{self.what}{place}: {both}, tolerance {self.tolerance:g}"


@dataclass(frozen=True)
class CheckReport:
    """What `check` found."""

    scenario: Scenario
    steps: int
    expected: tuple[Comparison, ...]
    gradients: GradientReport
    claims: tuple[Judgement, ...]
    failures: tuple[str, ...] = field(default=())

    @property
    def holds(self) -> bool:
        """Whether everything holds."""
        return not self.failures


def check(scenario: Scenario) -> CheckReport:
    """Runs a scenario and compares everything it states with what it computes."""
    recording = record(scenario)
    complete = _with_every_gradient(recording)
    expected = tuple(_compare_all(recording, complete))
    gradients = check_gradients(scenario)
    claims = tuple(judge(complete, claim) for claim in scenario.claims)
    failures = [str(c) for c in expected if not c.holds]
    failures += [str(f) for f in gradients.failures]
    for judgement in claims:
        if not judgement.as_expected:
            claim = judgement.claim
            said = f"said to be '{claim.verdict}', is '{judgement.verdict}': {judgement.why}"
            failures.append(f"claim ∂/∂{claim.gradient} = {claim.text}: {said}")
    return CheckReport(scenario, len(recording), expected, gradients, claims, tuple(failures))


def _with_every_gradient(recording: Recording) -> Recording:
    """The run with the gradients that are spoken of and that no parameter needs: then data gets one as well."""
    scenario, graph = recording.scenario, recording.graph
    named = {*scenario.expected.gradients}
    for claim in scenario.claims:
        named |= {claim.gradient, *claim.formula.gradients}
    if all(graph.needs[_node(recording, name)] for name in named):
        return recording
    kinds: list[Kind] = ["parameter" if kind == "data" else kind for kind in graph.kinds]
    leaves = {**scenario.data, **scenario.parameters}
    return record(replace(scenario, graph=replace(graph, kinds=kinds), data={}, parameters=leaves))


def _compare_all(recording: Recording, complete: Recording) -> Iterator[Comparison]:
    expected, graph = recording.scenario.expected, recording.graph
    last = recording.plan.iterations - 1
    for name, wanted in expected.values.items():
        value = recording.value(last, _node(recording, name))
        yield _compare(f"value of {name}", wanted, value, expected.tolerance)
    for name, wanted in expected.gradients.items():
        gradient = complete.gradient(last, _node(recording, name))
        yield _compare(f"gradient of {name}", wanted, gradient, expected.tolerance)
    if expected.updated:
        state = recording.state(recording.plan.total)
        for name, wanted in expected.updated.items():
            yield _compare(f"updated {name}", wanted, state.value(graph.parameters[name]), expected.tolerance)


def _node(recording: Recording, name: str) -> int:
    node = recording.graph.resolve(name)
    assert node is not None  # names were checked when the scenario was read
    return node


def _compare(what: str, wanted: Array, computed: Array, tolerance: float) -> Comparison:
    a, b = np.asarray(wanted, dtype=np.float64), np.asarray(computed, dtype=np.float64)
    with np.errstate(all="ignore"):
        difference = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    difference = np.where(np.isnan(difference), np.inf, difference)
    if not difference.size:
        return Comparison(what, 0.0, tolerance)
    place = tuple(int(i) for i in np.unravel_index(int(np.argmax(difference)), difference.shape))
    return Comparison(what, float(difference[place]), tolerance, place, float(a[place]), float(b[place]))
