"""The written-out entries: of every op, every example and every operand, the terms add up to what the step did."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

import backprop_tui as bt
from backprop_tui.format import plain
from backprop_tui.ops import OPS
from backprop_tui.ops.op import Call, Op, show_index, show_option
from backprop_tui.study.entries import WrittenEntry, written_entry
from backprop_tui.wording import wording_of

NAMES = "abcd"


def scenario_of(op: Op, call: Call) -> bt.Scenario:
    """A small program that applies the op once, and sums the result with weights, so that upstream entries differ."""
    names = NAMES[: len(call.shapes)]
    if op.name == "index":
        text = f"a[{show_index(call.options['index'])}]"
    elif op.symbol is not None:
        text = f" {op.symbol} ".join(names) if len(names) > 1 else f"{op.symbol}{names}"
    else:
        options = [f"{name}={show_option(value)}" for name, value in call.options.items()]
        text = f"{op.name}({', '.join((*names, *options))})" if op.name != "identity" else names
    low, high = op.domain
    shape = list(call.out)
    parameters = "\n".join(
        f"{name} = {{ uniform = {list(shape)}, low = {low}, high = {high} }}"
        for name, shape in zip(names, call.shapes, strict=True)
    )
    program = f"z = {text}\nL = sum(z * w)"
    data = f"w = {{ uniform = {shape}, low = 0.5, high = 2.0 }}"
    source = f"format = 1\ntitle = 't'\nprogram = '''\n{program}\n'''\n[data]\n{data}\n[parameters]\n{parameters}\n"
    return bt.loads(source)


def loaded(program: str, data: str = "", parameters: str = "") -> bt.Recording:
    head = f"format = 1\ntitle = 't'\nprogram = '''\n{program}\n'''\n"
    return bt.record(bt.loads(f"{head}[data]\n{data}\n[parameters]\n{parameters}\n"))


def indices(shape: tuple[int, ...], count: int = 5) -> Iterator[tuple[int, ...]]:
    rng = np.random.default_rng(len(shape))
    size = int(np.prod(shape))
    for flat in sorted({*rng.integers(0, size, count).tolist(), 0, size - 1}) if size else ():
        yield tuple(int(k) for k in np.unravel_index(flat, shape))


def entry(recording: bt.Recording, number: int, *index: int) -> WrittenEntry:
    step = recording.step(number)
    assert isinstance(step, (bt.BackwardStep, bt.ForwardStep))
    return written_entry(recording, step, index, wording_of(recording.scenario))


def backward(recording: bt.Recording, operand: str, slot: int = 0) -> bt.BackwardStep:
    return [s for s in recording if isinstance(s, bt.BackwardStep) and s.operand == operand][slot]


CALLS = [
    pytest.param(op, call, id=f"{op.name}{list(call.shapes)}{dict(call.options)}") for op in OPS.values() for call in op.examples
]


@pytest.mark.parametrize(("op", "call"), CALLS)
def test_the_terms_add_up_to_the_step(op: Op, call: Call) -> None:
    recording = bt.record(scenario_of(op, call))
    wording = wording_of(recording.scenario)
    for step in recording:
        if isinstance(step, bt.BackwardStep):
            whole = np.asarray(step.contribution)
        elif isinstance(step, bt.ForwardStep):
            whole = np.asarray(step.value)
        else:
            continue
        for index in indices(whole.shape):
            for again in (step, recording.step(step.number)):  # with the contribution at hand, and without it
                assert isinstance(again, (bt.BackwardStep, bt.ForwardStep))
                written = written_entry(recording, again, index, wording)
                assert written.sum_of_terms == pytest.approx(whole[index], rel=1e-12, abs=1e-12)
                assert written.result == pytest.approx(whole[index], rel=1e-12, abs=1e-12)
                assert written.left.endswith(f"[{', '.join(map(str, index))}]" if index else written.left)
            if isinstance(step, bt.BackwardStep) and len(written.terms) <= 6:
                for upstream, local in written.terms:
                    assert plain(upstream, 4) in written.numbers
                    assert plain(local, 4) in written.numbers or step.how == "rearrange"


def test_a_matrix_product_in_symbols_and_numbers() -> None:
    recording = loaded("z2 = h @ W2\nL = sum(z2 * z2)", "h = [[0.5, 2.0], [0.25, 3.0]]", "W2 = [[1.0, -1.0], [0.5, 0.125]]")
    step = backward(recording, "W2")
    written = entry(recording, step.number, 1, 0)
    assert written.left == "∂L/∂W₂[1, 0]"
    assert written.symbols == "Σᵢ hᵀ[1, i] · ∂L/∂z₂[i, 0]"
    assert written.numbers == "2 · 3 + 3 · 3.5"
    assert written.terms == ((3.0, 2.0), (3.5, 3.0))
    assert written.result == written.sum_of_terms == 16.5
    forward = entry(recording, 1, 0, 1)
    assert forward.left == "z₂[0, 1]"
    assert forward.symbols == "Σᵢ h[0, i] · W₂[i, 1]"
    assert forward.numbers == "0.5 · −1 + 2 · 0.125"
    assert forward.result == -0.25


@pytest.mark.parametrize(
    ("program", "shapes", "operand", "index", "symbols"),
    [
        ("z = x @ W", ((2, 3), (3, 4)), "x", (1, 2), "Σᵢ ∂L/∂z[1, i] · Wᵀ[i, 2]"),
        ("z = x @ W", ((3,), (3, 4)), "W", (1, 2), "x[1] · ∂L/∂z[2]"),
        ("z = x @ W", ((3,), (3, 4)), "x", (1,), "Σᵢ ∂L/∂z[i] · Wᵀ[i, 1]"),
        ("z = x @ W", ((2, 3), (3,)), "x", (1, 2), "∂L/∂z[1] · W[2]"),
        ("z = x @ W", ((2, 3), (3,)), "W", (2,), "Σᵢ xᵀ[2, i] · ∂L/∂z[i]"),
        ("z = x @ W", ((3,), (3,)), "W", (2,), "∂L/∂z · x[2]"),
        ("z = x @ W", ((2, 3, 4), (4, 5)), "W", (3, 1), "Σᵢⱼ x[i, j, 3] · ∂L/∂z[i, j, 1]"),
        ("z = x @ W", ((2, 3, 4), (4,)), "W", (3,), "Σᵢⱼ x[i, j, 3] · ∂L/∂z[i, j]"),
        ("z = x @ W", ((4,), (2, 4, 3)), "x", (3,), "Σᵢⱼ ∂L/∂z[i, j] · W[i, 3, j]"),
        ("z = x @ W", ((4,), (2, 4, 3)), "W", (1, 3, 2), "x[3] · ∂L/∂z[1, 2]"),
        ("z = x + W", ((2, 3), (3,)), "W", (2,), "Σᵢ ∂L/∂z[i, 2] · 1"),
        ("z = x + W", ((1, 3), (3,)), "W", (2,), "Σᵢ ∂L/∂z[i, 2] · 1"),
        ("z = x - W", ((2, 3), (2, 1)), "W", (1, 0), "Σᵢ ∂L/∂z[1, i] · (−1)"),
        ("z = x * W", ((2, 3), ()), "W", (), "Σᵢⱼ ∂L/∂z[i, j] · x[i, j]"),
        ("z = sigmoid(W)", ((), (2, 3)), "W", (0, 1), "∂L/∂z[0, 1] · z[0, 1] (1 − z[0, 1])"),
        ("z = sum(W, axis=0)", ((), (2, 3)), "W", (1, 2), "∂L/∂z[2] · 1"),
        ("z = half_squared_error(W, x)", ((2, 3), (2, 3)), "W", (1, 2), "∂L/∂z · (W[1, 2] − x[1, 2])"),
        ("z = half_squared_error(x, W)", ((2, 3), (3,)), "W", (2,), "Σᵢ ∂L/∂z · (W[2] − x[i, 2])"),
        ("z = softmax(W)", ((), (2, 3)), "W", (1, 2), "Σᵢ ∂L/∂z[1, i] · ∂z[1, i]/∂W[1, 2]"),
        ("z = transpose(W)", ((), (2, 3)), "W", (1, 2), "∂L/∂z[2, 1]"),
        ("z = W[1:3]", ((), (4,)), "W", (0,), "0: this entry was not taken"),
        ("z = W[::-2]", ((), (5,)), "W", (0,), "∂L/∂z[2]"),
        ("z = concatenate(x, W)", ((2, 3), (2, 3)), "W", (1, 2), "∂L/∂z[3, 2]"),
    ],
)
def test_the_symbols(program: str, shapes: tuple[tuple[int, ...], ...], operand: str, index: tuple[int, ...], symbols: str) -> None:
    x, w = (f"{{ normal = {list(shape)} }}" for shape in shapes)
    recording = loaded(f"{program}\nL = sum(z * z)", "", f"x = {x}\nW = {w}")
    assert entry(recording, backward(recording, operand).number, *index).symbols == symbols


@pytest.mark.parametrize(
    ("program", "index", "symbols", "numbers"),
    [
        ("z = sigmoid(W)", (0, 1), "σ(W[0, 1])", "σ(−2)"),
        ("z = W + b", (1, 1), "W[1, 1] + b[1]", "4 + 0.25"),
        ("z = W - b", (0, 1), "W[0, 1] − b[1]", "−2 − 0.25"),
        ("z = W * b", (0, 1), "W[0, 1] b[1]", "−2 · 0.25"),
        ("z = W ** 2", (0, 1), "W[0, 1]²", "(−2)²"),
        ("z = 2 * W", (0, 1), "2 W[0, 1]", "2 · −2"),
        ("z = leaky_relu(W, negative_slope=0.2)", (1, 0), "leaky_relu(W[1, 0], negative_slope = 0.2)", None),
        ("z = sum(W, axis=0)", (1,), "Σᵢ W[i, 1]", "−2 + 4"),
        ("z = sum(W)", (), "Σᵢⱼ W[i, j]", "1 + −2 + 3 + 4"),
        ("z = mean(W, axis=1, keepdims=True)", (1, 0), "(Σᵢ W[1, i]) / 2", "(3 + 4) / 2"),
        ("z = max(W, axis=1)", (0,), "maxᵢ W[0, i]", "max(1, −2)"),
        ("z = half_squared_error(W, b)", (), "½ Σᵢⱼ (W[i, j] − b[j])²", "½ (0.5² + (−2.25)² + 2.5² + 3.75²)"),
        ("z = softmax(W)", (1, 0), "exp(W[1, 0]) / Σᵢ exp(W[1, i])", "exp(3) / (exp(3) + exp(4))"),
        ("z = W.T", (0, 1), "Wᵀ[0, 1]", "3"),
        ("z = broadcast_to(b, shape=(3, 2)) + 0 * sum(W)", (2, 1), None, None),
    ],
)
def test_the_symbols_of_values(program: str, index: tuple[int, ...], symbols: str | None, numbers: str | None) -> None:
    recording = loaded(f"{program}\nL = sum(z)", "", "W = [[1.0, -2.0], [3.0, 4.0]]\nb = [0.5, 0.25]")
    step = next(s for s in recording if isinstance(s, bt.ForwardStep) and s.node == "z")
    written = entry(recording, step.number, *index)
    assert symbols is None or written.symbols == symbols
    assert numbers is None or written.numbers == numbers
    assert written.result == np.asarray(step.value)[index]


def test_a_long_sum_shows_its_beginning_and_its_end() -> None:
    recording = loaded("z = x @ W\nL = sum(z)", "x = { normal = [126, 2] }", "W = [[1.0], [2.0]]")
    written = entry(recording, backward(recording, "W").number, 1, 0)
    assert "… (122 more) …" in written.numbers
    assert written.numbers.count(" · ") == 4
    assert len(written.terms) == 126
    six = loaded("z = x @ W\nL = sum(z)", "x = { normal = [6, 2] }", "W = [[1.0], [2.0]]")
    assert entry(six, backward(six, "W").number, 1, 0).numbers.count(" · ") == 6


def test_a_letter_is_none_of_the_names() -> None:
    recording = loaded("k = i @ j\nL = sum(k)", "i = [[1.0, 2.0]]", "j = [[1.0], [2.0]]")
    assert entry(recording, backward(recording, "j").number, 1, 0).symbols == "Σₗ iᵀ[1, l] · ∂L/∂k[l, 0]"


def test_one_of_several_contributions_says_so() -> None:
    recording = loaded("a = w * 3\nz = a + w\nL = sum(z)", "", "w = [1.0, 2.0]")
    steps = [s for s in recording if isinstance(s, bt.BackwardStep) and s.operand == "w"]
    assert [entry(recording, s.number, 1).left for s in steps] == ["∂L/∂w[1], part 1 of 2", "∂L/∂w[1], part 2 of 2"]
    assert [entry(recording, s.number, 1).result for s in steps] == [1.0, 3.0]


def test_what_is_not_finite_is_written_too() -> None:
    recording = loaded("z = log(w)\nL = sum(z * w)", "", "w = [0.0, -1.0]")
    for step in recording:
        if isinstance(step, (bt.BackwardStep, bt.ForwardStep)):
            shape = np.shape(step.value if isinstance(step, bt.ForwardStep) else step.contribution)
            for index in indices(shape):
                written_entry(recording, step, index, wording_of(recording.scenario))


def test_an_index_that_is_no_entry() -> None:
    recording = loaded("z = w * 2\nL = sum(z)", "", "w = [1.0, 2.0]")
    for index in ((), (2,), (-1,), (0, 0)):
        with pytest.raises(IndexError):
            entry(recording, 1, *index)


@pytest.mark.parametrize(
    "program",
    [
        "z = x @ W",
        "z = x * W",
        "z = sigmoid(W)",
        "z = softmax(W)",
        "z = max(W, axis=0)",
        "z = W.T",
        "z = reshape(W, shape=(500, 2000))",
        "z = W[1:]",
        "z = concatenate(x, W, axis=1)",
        "z = softmax_cross_entropy(W, x)",
        "z = mean(W, axis=0)",
    ],
)
def test_the_cost_is_that_of_the_sum(program: str) -> None:
    recording = loaded(f"{program}\nL = sum(z * z)", "x = { uniform = [1000, 1000] }", "W = { uniform = [1000, 1000], low = 0.1 }")
    number, wording = backward(recording, "W").number, wording_of(recording.scenario)
    step = recording.step(number)
    assert isinstance(step, bt.BackwardStep)
    tracemalloc.start()
    begun = time.perf_counter()
    written = written_entry(recording, step, (7, 11), wording)
    took, (_, peak) = time.perf_counter() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(written.terms) <= 1000
    assert peak < 1_000_000  # an array is 8 MB
    assert took < 1
