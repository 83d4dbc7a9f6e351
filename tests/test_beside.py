"""Another run in lockstep: where it stands, which steps differ, and how far its variables are from these."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from test_panels import scenario_of
from test_screen import rows, said, stepper_of, text

import backprop_tui as bt
from backprop_tui import view
from backprop_tui.console import execute
from backprop_tui.errors import CommandError
from backprop_tui.export.jsonl import step_object
from backprop_tui.session import Session
from backprop_tui.tui.app import BackpropApp

NAME = "notes/sigmoid"


def edited(*lines: str) -> Session:
    session = Session(scenario_of(NAME))
    for line in ("step 9", "edit W2[0, 0] = 9", *lines):
        execute(session, line)
    return session


def doctored(tmp_path: Path, *, forward: bool = True) -> Path:
    """A trace of the scenario in which the gradient of f1 was multiplied by two, as a wrong program would have."""
    path = tmp_path / "wrong.jsonl"
    recording = bt.record(scenario_of(NAME))
    lines = []
    for step in recording:
        found = step_object(step, recording)
        if found["kind"] == "backward" and found["operand"] == "f1":
            for key in ("contribution", "grad"):
                found[key] = (2 * np.asarray(found[key])).tolist()
        if forward or found["kind"] != "forward":
            lines.append(json.dumps(found))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_recording_is_compared_with_the_one_it_was_made_from() -> None:
    session = edited()
    assert "compared" not in execute(session, "compare")
    beside = session.beside
    assert beside is not None
    assert (beside.name, beside.first, beside.differing) == ("recording 1", 11, 3)
    assert [step for step in range(1, 15) if beside.differs(step)] == [11, 13, 14]
    assert execute(session, "next_difference").startswith("step 11 of 14")
    assert "≠ recording 1: contribution apart by 3.57" in execute(session, "go_to 11") + beside.words(11)
    assert execute(session, "} ").startswith("step 13")
    execute(session, "next_difference")
    with pytest.raises(CommandError, match="no step after this one differs"):
        execute(session, "next_difference")
    assert execute(session, "previous_difference").startswith("step 13")


def test_how_far_the_variables_are_is_the_difference_of_the_two_recordings() -> None:
    session = edited("compare 1")
    debugger, wording = session.debugger, session.wording
    for position in range(debugger.total + 1):
        debugger.go_to(position)
        mine, theirs = debugger.run.state(position), debugger.recordings[0].state(position)
        for row in view.variables_model(debugger, wording, session.beside).rows:
            assert row.far is not None
            for shown, one, other in (
                (row.far[0], row.value, theirs.value(row.node) if theirs.has_value(row.node) else None),
                (row.far[1], row.gradient, theirs.gradient(row.node)),
            ):
                if one is None or other is None:
                    assert shown == ""
                elif np.array_equal(one, other):
                    assert shown == "="
                else:
                    assert float(shown) == pytest.approx(float(np.max(np.abs(np.asarray(one) - np.asarray(other)))), rel=1e-3)
        assert mine.position == position


def test_a_comparison_is_of_two_recordings_and_not_of_others() -> None:
    session = edited("compare 1")
    assert session.beside is not None
    execute(session, "switch 1")
    assert session.beside is None
    execute(session, "switch 2")
    assert session.beside is not None
    assert execute(session, "compare") == "compared no more"
    assert session.beside is None


@pytest.mark.parametrize("forward", [True, False])
def test_a_trace_made_elsewhere_is_stepped_in_lockstep(tmp_path: Path, forward: bool) -> None:
    session = Session(scenario_of(NAME))
    execute(session, f"compare {doctored(tmp_path, forward=forward)}")
    beside = session.beside
    assert beside is not None
    assert (beside.first, beside.differing) == (11, 1)
    execute(session, "next_difference")
    far = {row.name: row.far for row in view.variables_model(session.debugger, session.wording, beside).rows}
    f1 = far["f₁"]
    assert f1 is not None
    gradient = session.debugger.state.gradient(session.debugger.graph.variables["f1"])
    assert gradient is not None
    assert float(f1[1]) == pytest.approx(float(np.max(np.abs(gradient))), rel=1e-3)
    assert f1[0] == ("=" if forward else "")
    assert beside.stands(11) == (11 if forward else 5)


def test_of_a_scalar_both_numbers_are_said() -> None:
    session = Session(bt.load("pairs/fan-out"))
    execute(session, "compare pairs/fan-out.jsonl")
    assert session.beside is not None
    words = "≠ pairs/fan-out.jsonl: gradient apart by 6: here −3, there 3; 2 steps differ, the first is 9"
    assert session.beside.words(9) == words


def test_another_scenario_is_stepped_in_lockstep_and_the_same_one_is_the_same() -> None:
    session = Session(scenario_of(NAME))
    assert execute(session, f"compare {NAME}") == f"compared with {NAME}: the same, 14 pairs of steps"
    assert execute(session, "compare examples/mazur").startswith(("= examples/mazur", "≠ examples/mazur"))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("compare", "this run is the only recording"),
        ("compare 2", "this run is the only recording"),
        ("compare nosuch", "no file and no bundled scenario 'nosuch'"),
        ("compare nosuch.jsonl", "no file and no bundled trace"),
        ("next_difference", "nothing is compared"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(line: str, why: str) -> None:
    with pytest.raises(bt.BackpropError) as caught:
        execute(Session(scenario_of(NAME)), line)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_other_recordings_are_named_where_there_is_no_such_one() -> None:
    with pytest.raises(CommandError, match="no other recording 2: there are 1 to 2, and this is 2"):
        execute(edited(), "compare 2")


def test_on_the_screen_the_steps_that_differ_are_marked_and_the_last_line_says_by_how_much() -> None:
    app = BackpropApp(scenario_of(NAME))

    async def run() -> None:
        async with app.run_test(size=(120, 36)) as pilot:
            stepper = stepper_of(app)
            for line in ("step 9", "edit W2[0, 0] = 9", "go_to 0"):
                stepper.carry_out(line)
            await pilot.press("equals_sign")
            assert said(app) == "= recording 1 here; 3 steps differ, the first is 11"
            await pilot.press("right_curly_bracket")
            await pilot.pause()
            assert stepper.debugger.position == 11
            assert said(app).startswith("≠ recording 1: contribution apart by 3.57")
            marked = [line for line in text(stepper.panel("steps")).split("\n") if line.endswith("≠")]
            assert [int(line[1:].split()[0]) for line in marked] == [11, 13, 14]
            assert "Δ value   Δ gradient" in "\n".join(rows(app))
            await pilot.press("s")
            assert said(app).startswith("= recording 1 here")
            await pilot.press("equals_sign")
            assert said(app) == "compared no more"
            await pilot.press("s")
            assert "≠" not in text(stepper.panel("steps"))
            assert "Δ value" not in "\n".join(rows(app))

    asyncio.run(run())
