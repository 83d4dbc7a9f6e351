"""The watches, the stops and the call stack: their models and what is drawn of them."""

from __future__ import annotations

import pytest
from test_panels import scenario_of

import backprop_tui as bt
from backprop_tui import view
from backprop_tui.console import execute
from backprop_tui.facts import FACTS
from backprop_tui.session import Session
from backprop_tui.tui.panels.side import draw_calls, draw_stops, draw_watches
from backprop_tui.view.text import Line, plain, width_of

WIDTHS = (22, 38, 76)


def texts(lines: list[Line]) -> list[str]:
    return [plain(line).rstrip() for line in lines]


def session_of(name: str, *lines: str) -> Session:
    session = Session(scenario_of(name))
    for line in lines:
        execute(session, line)
    return session


def test_a_watch_shows_its_value_before_the_step_and_after_it() -> None:
    session = session_of("notes/sigmoid", "watch norm(grad(f1))", "watch z1[0, 0]", "watch L", "step 11")
    rows = view.watches_model(session).rows
    assert [(row.text, row.changed) for row in rows] == [("norm(grad(f1))", True), ("z1[0, 0]", False), ("L", False)]
    assert rows[0].before is None
    assert rows[0].after is not None
    first, second, third = texts(draw_watches(view.watches_model(session), 60, 5))
    assert "1.1482" in first
    assert "▸" in first
    assert second.split() == ["z1[0,", "0]", "3"]
    assert "2.7425" in third
    execute(session, "go_to 0")
    lines = texts(draw_watches(view.watches_model(session), 60, 5))
    assert all("not there yet" in lines[number] for number in (0, 2))


def test_a_watch_that_a_step_changes_shows_both_values() -> None:
    scenario = scenario_of("examples/mazur")
    session = Session(scenario)
    execute(session, "watch W2[0, 0]")
    update = session.debugger.plan.step_of(0, "update", session.debugger.plan.update_of[session.debugger.graph.parameters["W2"]])
    execute(session, f"go_to {update}")
    text = texts(draw_watches(view.watches_model(session), 60, 5))[0]
    assert "0.4000 →" in text or "0.4 →" in text
    assert "0.3589" in text


def test_without_watches_it_says_how_to_make_one() -> None:
    lines = draw_watches(view.watches_model(session_of("notes/sigmoid")), 40, 5)
    assert "w watches an expression" in " ".join(texts(lines))


def test_stops_on_facts_keep_their_places_when_they_are_switched() -> None:
    session = session_of("notes/sigmoid", "break 3")
    before = [row.name for row in view.stops_model(session).rows]
    assert before == ["1", *FACTS]
    execute(session, "toggle large-gradient 0.5")
    rows = view.stops_model(session).rows
    assert [row.name for row in rows] == before
    assert [row.name for row in rows if row.on] == ["1", "large-gradient"]
    assert next(row for row in rows if row.name == "large-gradient").text == "large-gradient 0.5"


def test_a_stop_says_how_often_it_was_hit_so_far_and_is_marked_where_it_stops() -> None:
    session = session_of("notes/sigmoid", "break op sigmoid", "step")
    row = view.stops_model(session).rows[0]
    assert (row.hits, row.here) == ("", False)
    execute(session, "step")
    row = view.stops_model(session).rows[0]
    assert (row.hits, row.here) == ("1 hit", True)
    execute(session, "end")
    row = view.stops_model(session).rows[0]
    assert (row.hits, row.here) == ("4 hits", False)
    execute(session, "toggle 1")
    assert not view.stops_model(session).rows[0].on
    assert "○ 1" in texts(draw_stops(view.stops_model(session), 76, 20))[0]


def test_far_from_what_was_looked_at_hits_are_said_to_be_counted_up_to_there() -> None:
    source = "[parameters]\nx = 1.0\n"
    program = "h = x\nfor i in range(9000):\n    h = h * 1\nL = h\n"
    session = Session(bt.loads(f"format = 1\ntitle = 'long'\nprogram = '''\n{program}'''\n{source}"))
    execute(session, "break op multiply")
    session.debugger.go_to(9000)
    assert view.stops_model(session).rows[0].hits == "no hit up to step 0"


def test_the_call_stack_names_the_innermost_call_first_with_the_turns_of_its_loops() -> None:
    session = session_of("calls")
    seen = set()
    for position in range(session.debugger.total + 1):
        session.debugger.go_to(position)
        model = view.calls_model(session)
        if not model.rows:
            assert model.why
            continue
        seen.add(len(model.rows))
        assert model.rows[-1].name == ""
        assert texts(draw_calls(model, 76, 10))[0].startswith("▸ ")
        step = session.debugger.current
        assert model.rows[0].line == getattr(step, "line", None)
        assert model.rows[0].source in session.debugger.graph.source
    assert max(seen) > 1


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_its_panel(width: int) -> None:
    session = session_of("calls", "break 2 if norm(value) > 1", "toggle kink", "watch 1 + 1", "step 4")
    for lines in (
        draw_watches(view.watches_model(session), width, 9),
        draw_stops(view.stops_model(session), width, 9),
        draw_calls(view.calls_model(session), width, 9),
    ):
        assert lines
        assert all(width_of(line) <= width for line in lines)
