"""The bundled pairs: a right scenario, and beside it the trace of a run with one classic mistake, which is found."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_pairs import PAIRS, WRONG, lines

import backprop_tui as bt
from backprop_tui.scenario import bundled
from backprop_tui.scenario.library import find_trace
from backprop_tui.study.compare import Comparison, compare
from backprop_tui.study.sides import Run, opened

each = pytest.mark.parametrize("name", WRONG)


def compared(name: str) -> Comparison:
    return compare(opened(f"pairs/{name}"), opened(f"pairs/{name}.jsonl"))


def assert_close(one: Any, two: Any) -> None:
    """The same texts and keys; numbers but for the rounding of another machine's NumPy."""
    assert type(one) is type(two)
    if isinstance(one, dict):
        assert list(one) == list(two)
        for key, value in one.items():
            assert_close(value, two[key])
    elif isinstance(one, list):
        assert len(one) == len(two)
        for mine, theirs in zip(one, two, strict=True):
            assert_close(mine, theirs)
    elif isinstance(one, float):
        assert one == pytest.approx(two, rel=1e-12, abs=1e-15)
    else:
        assert one == two


@each
def test_the_file_is_what_the_wrong_program_writes(name: str) -> None:
    written = [json.loads(line) for line in (PAIRS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    assert_close(written, lines(name))


def test_every_pair_is_a_bundled_scenario_with_its_trace_beside_it() -> None:
    assert {entry.name for entry in bundled() if entry.name.startswith("pairs/")} == {f"pairs/{name}" for name in WRONG}
    assert {path.stem for path in PAIRS.glob("*.jsonl")} == set(WRONG)
    for name in WRONG:
        assert find_trace(f"pairs/{name}.jsonl") is not None
    assert find_trace("pairs/fan-out") is None
    assert find_trace("notes/sigmoid.jsonl") is None


@each
def test_the_description_says_how_to_find_the_mistake(name: str) -> None:
    scenario = bt.load(f"pairs/{name}")
    assert f"`backprop-tui compare pairs/{name} pairs/{name}.jsonl`" in scenario.description
    assert re.search(r"trace of a run that \w+", scenario.description.replace("\n", " "))
    assert "pairs" in scenario.tags


@pytest.mark.parametrize(
    ("name", "first", "told", "numbers"),
    [
        ("update-order", ("h @ W2", "h", 0), (13, 15), ["contribution", "grad", "local"]),
        ("fan-out", ("d", "a", 0), (9, 9), ["grad"]),
        ("missed-factor", ("yhat", "h", 0), (6, 6), ["contribution", "grad"]),
        ("missing-sum", ("yhat", "b", 0), (7, 7), ["contribution", "grad"]),
        ("not-zeroed", ("yhat", "b", 1), (17, 17), ["grad"]),
    ],
)
def test_the_first_wrong_step_is_the_one_with_the_mistake(
    name: str, first: tuple[str, str, int], told: tuple[int, int], numbers: list[str]
) -> None:
    found = compared(name).first
    assert found is not None
    assert (found.kind, found.node, found.operand, found.iteration) == ("backward", *first)
    assert (found.a, found.b) == told
    assert [apart.field for apart in found.numbers] == numbers


@each
def test_every_step_of_the_right_run_has_its_counterpart(name: str) -> None:
    found = compared(name)
    assert found.compared == len(found.a) == len(found.b)
    assert not found.same


def test_the_wrong_order_of_updates_ends_in_the_published_error() -> None:
    losses = [line["value"] for line in lines("update-order") if line["kind"] == "forward" and line["node"] == "L"]
    assert round(losses[1], 9) == 0.291027924
    assert round(float(bt.record(bt.load("pairs/update-order")).loss), 14) == 0.29102777369360


def test_writing_over_forgets_all_contributions_but_the_last() -> None:
    last = {line["operand"]: line["grad"] for line in lines("fan-out") if line["kind"] == "backward"}
    assert (last["a"], last["b"]) == (3, -2)


def test_the_missed_factor_is_hidden_by_the_shapes() -> None:
    found = compared("missed-factor")
    assert list(found.differing) == [6, 8]
    assert found.largest_difference < np.inf


def test_without_the_sum_every_example_gets_a_bias_of_its_own_and_the_loss_falls_faster() -> None:
    found = [line for line in lines("missing-sum") if line["node"] in ("b", "L") and line["kind"] in ("update", "forward")]
    assert [np.shape(line.get("after", 0)) for line in found] == [(), (3, 2), (), (3, 2)]
    right = [float(loss) for loss in bt.record(bt.load("pairs/missing-sum")).losses]
    assert found[0]["value"] == right[0]
    assert found[2]["value"] < right[1]


def test_without_zeroing_the_first_iteration_and_the_values_of_the_second_are_right() -> None:
    found = compared("not-zeroed")
    assert isinstance(found.a, Run)
    plan = found.a.recording.plan
    first_wrong = found.differing[0]
    assert plan.place(first_wrong).iteration == 1
    assert plan.place(first_wrong).phase == "backward"


def test_a_pair_is_found_by_its_name_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not compared("fan-out").same
