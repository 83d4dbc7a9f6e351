"""A saved session played again: in its time, from any moment, and held against the numbers that were saved."""

from __future__ import annotations

import copy
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_panels import scenario_of

from backprop_tui.commands import COMMANDS
from backprop_tui.console import execute
from backprop_tui.errors import CommandError
from backprop_tui.replay import LONGEST_PAUSE, Moments, Player, checked, same
from backprop_tui.saving import Document, document
from backprop_tui.session import Event, Session

LINES = ("step 3", "break op sigmoid", "continue", "edit W2[0, 0] = 7", "step 4", "bookmark x", "step_back 2", "watch L", "end")


def session_of(lines: tuple[str, ...] = LINES, pause: float = 1.0) -> Session:
    now = [0.0]
    session = Session(scenario_of("notes/sigmoid"), clock=lambda: now[0])
    for line in lines:
        now[0] += pause
        execute(session, line)
    return session


def saved(lines: tuple[str, ...] = LINES, pause: float = 1.0) -> Document:
    found = json.loads(json.dumps(document(session_of(lines, pause))))
    assert isinstance(found, dict)
    return found


def test_played_to_its_end_it_leads_to_where_the_session_ended() -> None:
    session, player = session_of(), checked(saved(), "it.json")
    assert player.ended
    assert player.differences == []
    assert player.session.debugger.position == session.debugger.position
    assert len(player.session.debugger.recordings) == 2
    for key, (value, gradient) in session.debugger.state.snapshot().items():
        np.testing.assert_equal(player.session.debugger.state.snapshot()[key], (value, gradient))


def test_it_is_played_in_its_time() -> None:
    player = Player(saved(), "it.json")
    assert player.duration == pytest.approx(9.0)
    seen = []
    for _ in range(9):
        player.play(1.0)
        seen.append(player.session.debugger.position)
    assert seen == [3, 3, 4, 4, 8, 8, 6, 6, 14]
    assert not player.play(1.0)
    assert player.ended


def test_a_long_pause_is_shortened_and_a_repeated_move_keeps_its_rhythm() -> None:
    log = [Event(100.0, "step", 3, 102.0, 3, 1.0), Event(500.0, "end", 1, 500.0, 14, 1.0)]
    found = Moments(log)
    assert [moment.line for moment in found] == ["step", "step", "step", "end"]
    assert [moment.seconds for moment in found] == [LONGEST_PAUSE, LONGEST_PAUSE + 1, LONGEST_PAUSE + 2, 2 * LONGEST_PAUSE + 2]
    assert [moment.event is not None for moment in found] == [False, False, True, True]


def test_what_was_done_a_billion_times_takes_no_room_and_ends_with_the_run() -> None:
    found = saved(("step 3", "step_back", "end"))
    found["log"][0][2] = found["log"][1][2] = 10**9
    player = Player(found, "it.json")
    assert len(player.moments) == 2 * 10**9 + 1
    player.one(1)
    assert player.session.debugger.position == 1
    player.seek(player.duration)
    assert player.done == len(player.moments)
    assert player.session.debugger.position == 14
    assert [text.partition(":")[0] for text in player.differences] == [
        "after 1000000000, 'step'",
        "after 2000000000, 'step_back'",
    ]


@given(
    st.lists(st.tuples(st.floats(0, 20), st.integers(1, 4), st.floats(0, 20)), max_size=5),
    st.floats(0, 100),
)
def test_moments_come_in_the_order_of_their_time_and_no_pause_is_too_long(given: list[tuple[float, int, float]], at: float) -> None:
    now, log = 0.0, []
    for pause, count, span in given:
        log.append(Event(now + pause, "step", count, now + pause + span * (count > 1), 1, None))
        now = log[-1].until
    found = Moments(log)
    times = [0.0, *(moment.seconds for moment in found)]
    assert len(times) == 1 + sum(event.count for event in log)
    assert [moment.event for moment in found if moment.event] == log
    assert all(-1e-9 <= b - a <= LONGEST_PAUSE + 1e-9 for a, b in itertools.pairwise(times))
    assert found.up_to(at) == sum(time <= at for time in times[1:])
    assert found[-1:] == ([found[len(found) - 1]] if log else [])


def test_any_moment_is_reached_from_any_other() -> None:
    player = Player(saved(), "it.json")
    for seconds in (5.0, 2.0, 9.0, 0.0, 7.5, 7.0, 100.0, -3.0):
        player.seek(seconds)
        fresh = Player(saved(), "it.json")
        fresh.play(max(seconds, 0.0))
        assert player.session.debugger.position == fresh.session.debugger.position
        assert player.done == fresh.done
        assert player.differences == []


def test_one_by_one_forward_and_back() -> None:
    player = Player(saved(), "it.json")
    places = []
    while player.one(1):
        places.append(player.session.debugger.position)
    assert places[:4] == [1, 2, 3, 3]
    back = []
    while player.one(-1):
        back.append(player.session.debugger.position)
    assert back == [*places[:-1][::-1], 0]


def test_markers_are_what_was_changed_or_marked() -> None:
    player = Player(saved(), "it.json")
    assert [marker.text for marker in player.markers] == ["break op sigmoid", "edit W2[0, 0] = 7", "bookmark x", "watch L"]
    first = player.marker(1)
    assert first is not None
    player.seek(first.seconds)
    assert player.marker(-1) is None
    second = player.marker(1)
    assert second is not None
    assert second.text.startswith("edit")


def test_who_takes_over_goes_on_from_that_moment_and_can_save_it_again() -> None:
    player = Player(saved(), "it.json")
    player.seek(1.0)
    player.one(1)
    player.one(-1)
    session = player.let_go()
    assert session.debugger.position == 3
    execute(session, "step 2")
    again = checked(json.loads(json.dumps(document(session))), "again.json")
    assert again.differences == []
    assert again.session.debugger.position == 5


def test_taking_over_in_the_middle_of_a_repeated_move_keeps_what_was_done_of_it() -> None:
    player = Player(saved(("step 9", "end")), "it.json")
    for _ in range(4):
        player.one(1)
    session = player.let_go()
    assert [(event.line, event.count, event.position) for event in session.log] == [("step", 4, 4)]


@pytest.mark.parametrize(("place", "value"), [(5, 1.0), (4, 13), (5, None), (5, "nan"), (1, "step_back")])
def test_a_number_that_is_not_the_saved_one_is_found_and_named(place: int, value: object) -> None:
    found = saved()
    found["log"][3][place] = value
    differences = checked(found, "it.json").differences
    assert differences
    assert "6" in differences[0]


def test_a_scenario_that_computes_something_else_is_found() -> None:
    from backprop_tui.saving import digest

    found = saved()
    text = found["scenario"]["text"].replace("half_squared_error", "squared_error")
    assert text != found["scenario"]["text"]
    found["scenario"] |= {"text": text, "digest": digest(text)}
    assert checked(found, "it.json").differences


def test_what_cannot_be_done_any_more_is_a_difference_and_the_rest_is_played() -> None:
    found = saved()
    found["log"][3][1] = "edit W9[0, 0] = 7"
    player = checked(found, "it.json")
    assert player.ended
    assert "'edit W9[0, 0] = 7' cannot be done any more: unknown name 'W9'" in player.differences[0]


@pytest.mark.parametrize("line", ["save {}", "print W1", "# nothing", "", "compare {}", "quit", "save-all {}"])
def test_a_line_that_no_log_has_is_not_carried_out(tmp_path: Path, line: str) -> None:
    victim = tmp_path / "mine.txt"
    victim.write_text("mine", encoding="utf-8")
    found = saved()
    found["log"][3][1] = line.format(victim)
    player = checked(found, "it.json")
    assert victim.read_text(encoding="utf-8") == "mine"
    assert "cannot be done any more" in player.differences[0]
    assert player.ended


def test_only_a_move_is_done_several_times_in_a_row() -> None:
    found = saved()
    found["log"][3][2] = 10**9
    player = checked(found, "it.json")
    assert len(player.session.debugger.recordings) == 1
    assert "only moves are done several times in a row" in player.differences[0]


def test_a_log_that_is_no_log_is_refused() -> None:
    found = copy.deepcopy(saved())
    found["log"] = [["x"]]
    with pytest.raises(CommandError, match="'log'"):
        Player(found, "it.json")


def test_an_empty_session_has_nothing_to_play() -> None:
    player = Player(saved(()), "it.json")
    assert player.ended
    assert player.duration == 0.0
    assert not player.one(1)
    assert not player.one(-1)


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (1.0, 1.0 + 1e-12, True),
        (1.0, 1.0 + 1e-6, False),
        (0.0, 1e-15, True),
        (math.nan, math.nan, True),
        (math.inf, math.inf, True),
        (math.inf, -math.inf, False),
        (None, None, True),
        (None, 0.0, False),
    ],
)
def test_numbers_are_the_same_but_for_rounding(a: float | None, b: float | None, equal: bool) -> None:
    assert same(a, b) is equal
    assert same(b, a) is equal


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from((*LINES, "step_back", "undo", "switch", "home", "next", "detail", "kink")), max_size=14))
def test_whatever_was_done_is_done_again(lines: list[str]) -> None:
    session = Session(scenario_of("notes/sigmoid"))
    for line in lines:
        try:
            execute(session, line)
        except CommandError:
            continue
    player = checked(json.loads(json.dumps(document(session))), "it.json")
    assert player.differences == []
    assert player.session.debugger.position == session.debugger.position
    assert player.session.debugger.stage == session.debugger.stage


def test_a_strangers_log_writes_no_file_and_reads_none(tmp_path: Path) -> None:
    found = saved()
    target = tmp_path / "written.json"
    found["log"][1][1] = f"save {target}"
    player = checked(found, "it.json")
    assert not target.exists()
    assert "a session remembers only what changes it" in player.differences[0]
    for command in COMMANDS:
        if command.move is None and command.name not in ("edit", "undo", "switch", "note"):
            assert command.looks or command.act is None or "FILE" not in command.takes
