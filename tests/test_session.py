"""A session: watches, bookmarks, notes and search beside a debugger, and the log of what was done."""

from __future__ import annotations

import numpy as np
import pytest

import backprop_tui as bt
from backprop_tui import whatif
from backprop_tui.console import execute
from backprop_tui.errors import CommandError
from backprop_tui.session import Session, Watched

#: Its steps: 1 to 9 forward (1 h, 2 h @ W, 3 layer.z, 4 h#2, 5 h#2 @ W, 6 layer#2.z, 7 h#3, 8 yhat, 9 L), 10 the seed,
#: 11 to 21 backward, 22 and 23 updates; and once more.
TEXT = '''
format = 1
title = "two turns"
program = """
def layer(a, W, b):
    z = a @ W + b
    return tanh(z)
h = x
for t in range(2):
    h = layer(h, W, b)
yhat = h[0]
L = squared_error(yhat, y)
"""
[data]
x = [0.5, -1.0]
y = 0.25
[parameters]
W = [[0.5, -0.25], [0.125, 1.0]]
b = [0.0, 0.5]
[training]
steps = 2
learning_rate = 0.5
[[notes]]
at = "yhat"
phase = "backward"
text = "Only One entry gets a gradient."
[[watches]]
expression = "norm(grad(W))"
'''
PERIOD, TOTAL = 23, 46


def session_of(*lines: str, text: str = TEXT) -> Session:
    """A session in which some lines were carried out."""
    session = Session(bt.loads(text))
    for line in lines:
        execute(session, line)
    return session


def program_session(program: str, parameters: str = "w = 2", more: str = "") -> Session:
    return session_of(text=f"format = 1\ntitle = 't'\nprogram = '''\n{program}\n'''\n[parameters]\n{parameters}\n{more}\n")


def only(session: Session) -> Watched:
    (seen,) = session.watched()
    return seen


def test_the_run_of_these_tests() -> None:
    session = session_of()
    assert (session.debugger.plan.period, session.debugger.total) == (PERIOD, TOTAL)
    assert session.where() == f"start, before step 1 of {TOTAL}"


# Watches


def test_the_watches_of_the_scenario_are_there_from_the_start() -> None:
    assert [seen.text for seen in session_of().watched()] == ["norm(grad(W))"]


def test_a_watch_has_its_value_before_the_step_and_after_it() -> None:
    session = session_of("unwatch 1", "watch W[0, 0]", "go_to 21")
    assert (only(session).before, only(session).after, only(session).changed) == (0.5, 0.5, False)
    execute(session, "step")
    seen = only(session)
    gradient = session.debugger.run.gradient(0, session.debugger.graph.leaf("W"))
    assert seen.before == 0.5
    assert seen.after == 0.5 - 0.5 * gradient[0, 0]
    assert seen.changed
    execute(session, "step")
    assert only(session).before == only(session).after == seen.after


def test_the_gradient_of_a_name_is_watched_as_far_as_it_has_accumulated() -> None:
    session = session_of("unwatch 1", "watch grad(W)", "go_to 17")
    run, node = session.debugger.run, session.debugger.graph.leaf("W")
    first = only(session)
    assert first.before is None
    assert first.changed
    assert np.array_equal(np.asarray(first.after), run.state(17).gradient(node))
    execute(session, "go_to 21")
    second = only(session)
    assert np.array_equal(np.asarray(second.before), np.asarray(first.after))
    assert np.array_equal(np.asarray(second.after), run.gradient(0, node))
    assert second.changed


def test_norms_entries_and_arithmetic_are_watched() -> None:
    session = session_of("unwatch 1", *(f"watch {text}" for text in ("norm(W)", "W[1, -1] * 2", "max(abs(W @ b))", "x @ W")))
    w, b, x = np.array([[0.5, -0.25], [0.125, 1.0]]), np.array([0.0, 0.5]), np.array([0.5, -1])
    wanted = [np.sqrt(np.sum(w * w)), 2.0, np.max(np.abs(w @ b)), x @ w]
    for seen, want in zip(session.watched(), wanted, strict=True):
        np.testing.assert_allclose(np.asarray(seen.after), want, rtol=1e-15)
        assert seen.before is None  # there is no step before the start
    execute(session, "step")
    assert not any(seen.changed for seen in session.watched())


def test_what_is_not_there_yet_is_said() -> None:
    session = session_of("watch L", "watch W + grad(b)")
    assert [(seen.before, seen.after, seen.why) for seen in session.watched()] == [
        (None, None, "grad(W) is not there yet"),
        (None, None, "L is not there yet"),
        (None, None, "grad(b) is not there yet"),
    ]
    assert not any(seen.changed for seen in session.watched())
    execute(session, "go_to L")
    seen = session.watched()[1]
    assert (seen.before, seen.changed, seen.why) == (None, True, "")
    execute(session, f"go_to {PERIOD + 1}")
    seen = session.watched()[1]  # in the next iteration it is not there again
    assert (seen.before is None, seen.after, seen.changed) == (False, None, True)


def test_a_value_that_stays_nan_has_not_changed() -> None:
    session = program_session("a = log(w)\nL = a * 2", "w = -1")
    execute(session, "watch a")
    execute(session, "go_to 2")
    assert not only(session).changed
    assert np.isnan(np.asarray(only(session).after))


def test_shapes_that_do_not_conform_are_said_without_a_place_in_a_file() -> None:
    session = session_of("unwatch 1", "watch W[0, 9]")
    assert only(session).after is None
    assert only(session).why.startswith("index 9 is out of bounds for axis 1 of size 2")


def test_a_watch_in_a_changed_recording_shows_what_the_change_made_of_it() -> None:
    session = session_of("unwatch 1", "watch W[0, 0]", "go_to 5", "edit W = 3")
    assert (only(session).before, only(session).after) == (0.5, 3)
    execute(session, "step")
    assert (only(session).before, only(session).after) == (3, 3)
    execute(session, "go_to 4")
    assert (only(session).before, only(session).after) == (0.5, 0.5)
    execute(session, "switch 1")
    execute(session, "go_to 6")
    assert (only(session).before, only(session).after) == (0.5, 0.5)


@pytest.mark.parametrize("name", ["value", "grad", "upstream", "local", "contribution"])
def test_a_watch_knows_what_a_program_calls_so_and_no_more(name: str) -> None:
    if name != "grad":  # which the language has for itself
        session = program_session(f"{name} = w * 3\na = {name} + 1\nL = a * 5")
        execute(session, f"watch {name}")
        for position in range(1, session.debugger.total + 1):
            session.debugger.go_to(position)
            assert only(session).after == 6
    with pytest.raises(CommandError, match=name if name == "grad" else f"unknown name '{name}'"):
        program_session("L = w * 3").add_watch(name)


def test_an_expression_is_watched_once() -> None:
    session = session_of()
    with pytest.raises(CommandError, match=r"^'norm\(grad\(W\)\)' is watched already$"):
        session.add_watch("  norm(grad(W)) ")
    assert len(session.watches) == 1


def test_a_watch_is_taken_away_by_its_number() -> None:
    session = session_of("watch W", "watch b")
    assert session.drop_watch(2) == "W"
    assert [seen.text for seen in session.watched()] == ["norm(grad(W))", "b"]
    for number in (0, 3, -1):
        with pytest.raises(CommandError, match=f"^no watch {number}; there are 2$"):
            session.drop_watch(number)


# Bookmarks


def test_bookmarks_without_a_name_are_numbered() -> None:
    session = session_of("go_to 5")
    assert [session.bookmark(""), session.bookmark("here"), session.bookmark("")] == ["1", "here", "2"]
    assert session.bookmarks == {"1": 5, "here": 5, "2": 5}
    del session.bookmarks["1"]
    assert session.bookmark("") == "1"


def test_a_bookmark_of_the_same_name_is_moved() -> None:
    session = session_of("go_to 5", "bookmark here", "go_to 9", "bookmark here")
    assert session.bookmarks == {"here": 9}


def test_without_a_name_the_next_bookmark_comes_and_after_the_last_the_first() -> None:
    session = session_of("go_to 9", "m b", "go_to 3", "m a", "home")
    found = []
    for _ in range(4):
        session.debugger.go_to(session.bookmarked(""))
        found.append(session.debugger.position)
    assert found == [3, 9, 3, 9]
    assert session.bookmarked("a") == 3
    with pytest.raises(CommandError, match=r"^no bookmark 'c'; there are: b, a$"):
        session.bookmarked("c")
    with pytest.raises(CommandError, match=r"^there is no bookmark yet; m sets one$"):
        session_of().bookmarked("")


# Search


def found(session: Session, line: str, times: int) -> list[int]:
    """Where a line of search, next_match or previous_match goes, so many times."""
    places = []
    for _ in range(times):
        execute(session, line)
        places.append(session.debugger.position)
    return places


def matching(text: str) -> list[int]:
    """The steps that have a text in them, by looking from right before each one."""
    hits = []
    for number in range(1, TOTAL + 1):
        session = session_of(f"go_to {number - 1}")
        execute(session, f"search {text}")
        if session.debugger.position == number:
            hits.append(number)
    return hits


def test_search_goes_to_the_next_step_that_has_the_text_and_round_the_end() -> None:
    session = session_of()
    assert found(session, "search yhat", 5) == [8, 11, 12, 8 + PERIOD, 11 + PERIOD]
    assert found(session, "next_match", 3) == [12 + PERIOD, 8, 11]


@pytest.mark.parametrize("text", ["yhat", "update", "layer", "b", "tanh", "seed"])
def test_the_matches_back_are_the_matches_on_in_opposite_order(text: str) -> None:
    hits = matching(text)
    assert hits
    forward = session_of()
    assert found(forward, f"search {text}", len(hits) + 1) == [*hits, hits[0]]
    # the search stands at the first match now: from there back
    backward = session_of(f"go_to {hits[0] - 1}", f"search {text}")
    assert found(backward, "previous_match", len(hits) + 1) == [*hits[::-1], hits[-1]]


def test_from_the_start_the_match_before_is_the_last_one() -> None:
    session = session_of("end", "note the last", "search the last", "home")
    assert found(session, "previous_match", 1) == [TOTAL]
    session = session_of("search update", "home")
    assert found(session, "previous_match", 3) == [TOTAL, TOTAL - 1, PERIOD]
    session = session_of("search update", "go_to 1")
    assert found(session, "previous_match", 3) == [TOTAL, TOTAL - 1, PERIOD]


def test_a_single_match_is_found_from_itself() -> None:
    session = session_of("go_to 30", "note something rare", "search something rare")
    assert session.debugger.position == 30
    assert found(session, "next_match", 2) == [30, 30]
    assert found(session, "previous_match", 2) == [30, 30]


def test_notes_are_searched_the_scenarios_and_ones_own() -> None:
    session = session_of("go_to 17", "note Remember THIS", "home")
    assert found(session, "search gets a gradient", 3) == [11, 11 + PERIOD, 11]
    assert found(session, "search remember this", 1) == [17]


def test_a_capital_letter_in_the_text_makes_it_exact() -> None:
    session = session_of("go_to 17", "note Remember THIS", "home")
    for text in ("Remember THIS", "this", "remember"):
        assert found(session, f"search {text}", 1) == [17]
    for text in ("Remember this", "THis", "ONLY one"):
        with pytest.raises(CommandError, match=f"^no step, name or note has '{text}' in it$"):
            execute(session, f"search {text}")


def test_a_phase_a_name_and_what_a_step_shows_are_found() -> None:
    assert matching("seed") == [10, 10 + PERIOD]
    assert matching("update") == [22, 23, 22 + PERIOD, 23 + PERIOD]
    assert 8 in matching("ŷ")
    assert set(matching("layer#2.z")) == {6, 7, 13, 14, 15, 6 + PERIOD, 7 + PERIOD, 13 + PERIOD, 14 + PERIOD, 15 + PERIOD}


def test_a_search_that_finds_nothing_moves_nowhere() -> None:
    session = session_of("go_to 5")
    with pytest.raises(CommandError, match=r"^no step, name or note has 'zebra' in it$"):
        execute(session, "search zebra")
    assert session.debugger.position == 5


def test_searching_many_steps_is_done_in_parts_that_can_be_left() -> None:
    session = program_session("a = w\nfor t in range(2000):\n    a = a * w\nL = a", "w = 1")
    parts = session.search("zebra")
    seen = [next(parts), next(parts)]
    assert 0 < seen[0] < seen[1] < session.debugger.total
    assert session.debugger.position == 0


# Where one is


def test_where_says_step_phase_iteration_and_stage() -> None:
    session = session_of("go_to 13")
    assert session.where() == f"step 13 of {TOTAL}: backward h#3 → layer#2.z, iteration 1 of 2"
    execute(session, "go_to 35")
    assert session.where() == f"step 35 of {TOTAL}: backward ŷ → h#3, iteration 2 of 2"
    execute(session, "detail")
    execute(session, "step")
    assert session.where() == f"step 36 of {TOTAL}: backward h#3 → layer#2.z, iteration 2 of 2, upstream"
    execute(session, "step")
    assert session.where().endswith(", local")


def test_where_without_training_names_no_iteration() -> None:
    session = program_session("L = w * w")
    execute(session, "step")
    assert session.where() == "step 1 of 4: forward L = w · w"


def test_where_says_what_one_was_stopped_by() -> None:
    session = session_of("break yhat in forward", "continue")
    wanted = f"step 8 of {TOTAL}: forward ŷ = h#3[0], iteration 1 of 2; stopped by breakpoint 1, yhat in forward, 1st hit"
    assert session.where().removesuffix(" of 2") == wanted
    execute(session, "step")
    assert "stopped" not in session.where()


# The log


def test_what_was_done_is_remembered_with_when_and_where() -> None:
    now = [100.0]
    session = Session(bt.loads(TEXT), clock=lambda: now[0])
    for seconds, line in ((1, "step"), (2, "step 3"), (3, "print W"), (4, "break 3"), (5, "step"), (6, "where")):
        now[0] = 100.0 + seconds
        execute(session, line)
    done = [(event.seconds, event.line, event.count, event.until, event.position) for event in session.log]
    assert done == [(1, "step", 4, 2, 4), (4, "break 3", 1, 4, 4), (5, "step", 1, 5, 5)]


def test_what_could_not_be_done_is_not_remembered() -> None:
    session = session_of()
    for line in ("edit nope = 1", "break nope", "go_to 999", "search zebra", "frobnicate", "step_back", "step x"):
        try:
            execute(session, line)
        except CommandError:
            continue
        assert line == "step_back"
    assert session.log == []


def test_the_log_done_again_leads_to_the_same_place() -> None:
    lines = [
        "s 5",
        "break yhat",
        "c",
        "edit h = 0.5",
        "c",
        "C",
        "n 3",
        "watch b",
        "m",
        "note x",
        "f",
        "undo",
        "F",
        "'",
        "detail",
        "s 7",
        "S 2",
    ]
    session = session_of(*lines)
    again = session_of()
    for event in session.log:
        for _ in range(event.count):
            execute(again, event.line)
    assert again.where() == session.where()
    assert again.debugger.position == session.debugger.position
    assert (again.bookmarks, again.notes, len(again.debugger.recordings)) == (session.bookmarks, session.notes, 1)
    assert [seen.text for seen in again.watched()] == [seen.text for seen in session.watched()]
    assert [(e.line, e.count, e.position, e.result) for e in again.log] == [
        (e.line, e.count, e.position, e.result) for e in session.log
    ]


def test_a_session_goes_on_where_its_time_was() -> None:
    now = [0.0]
    session = Session(bt.loads(TEXT), clock=lambda: now[0])
    session.goes_on_from(60)
    now[0] = 2.5
    assert session.seconds == 62.5
    execute(session, "step")
    assert session.log[0].seconds == 62.5


def test_the_result_is_the_sum_of_what_the_step_wrote() -> None:
    session = session_of()
    assert session.result() is None
    run = session.debugger.run
    for position in (3, 10, 17, 22):
        session.debugger.go_to(position)
        step = run.step(position)
        wrote = getattr(step, {"forward": "value", "update": "after"}.get(step.kind, "grad"))
        assert session.result() == float(np.sum(wrote))


def test_sessions_of_one_scenario_have_nothing_in_common() -> None:
    scenario = bt.loads(TEXT)
    one, other = Session(scenario), Session(scenario)
    for line in ("go_to 3", "edit x = 0", "watch b", "m", "note n", "break 3", "detail"):
        execute(one, line)
    assert other.debugger.position == 0
    assert (other.bookmarks, other.notes, other.log, other.debugger.stops.breakpoints) == ({}, {}, [], [])
    assert len(other.watches) == len(scenario.watches) == 1
    assert len(other.debugger.recordings) == 1
    with pytest.raises(CommandError):
        whatif.undo(other.debugger)
