"""The screen keeps what was done by itself, offers to go on there, and plays saved sessions until one takes over."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from test_panels import scenario_of
from test_screen import rows, said, stepper_of, until
from textual.pilot import Pilot

import backprop_tui as bt
from backprop_tui import store
from backprop_tui.console import execute
from backprop_tui.replay import Player
from backprop_tui.saving import document
from backprop_tui.session import Session
from backprop_tui.tui.app import BackpropApp
from backprop_tui.tui.keeping import ago

NAME = "notes/sigmoid"
pytestmark = pytest.mark.usefixtures("home")


def run(test: Callable[[BackpropApp, Pilot[None]], Awaitable[None]], app: BackpropApp) -> None:
    async def body() -> None:
        async with app.run_test(size=(120, 36), notifications=True) as pilot:
            await pilot.pause()
            await test(app, pilot)

    asyncio.run(body())


def keeping() -> BackpropApp:
    return BackpropApp(scenario_of(NAME), keeps=True)


def test_what_was_done_is_kept_after_a_moment_and_offered_the_next_time() -> None:
    async def first(app: BackpropApp, pilot: Pilot[None]) -> None:
        assert said(app) == ""
        await pilot.press("s", "s", "s", "b")
        await until(pilot, lambda: store.left(scenario_of(NAME)) is not None)

    async def second(app: BackpropApp, pilot: Pilot[None]) -> None:
        assert said(app) == "You left at step 3, just now: R goes on there"
        await pilot.press("R")
        await pilot.pause()
        stepper = stepper_of(app)
        assert stepper.debugger.position == 3
        assert [stop.text for stop in stepper.debugger.stops.breakpoints] == ["line 3"]
        assert said(app) == ""
        await pilot.press("s")
        await pilot.press("q")

    async def third(app: BackpropApp, _pilot: Pilot[None]) -> None:
        assert said(app) == "You left at step 4, just now: R goes on there"

    for test in (first, second, third):
        run(test, keeping())


def test_quitting_keeps_it_at_once_and_doing_nothing_keeps_nothing() -> None:
    async def nothing(_app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("1", "T", "q")

    async def something(_app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("s", "q")

    run(nothing, keeping())
    assert store.left(scenario_of(NAME)) is None
    run(something, keeping())
    left = store.left(scenario_of(NAME))
    assert left is not None
    assert left.position == 1


def test_who_does_not_go_on_there_does_not_lose_it() -> None:
    async def go(_app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("end", "q")

    async def other(_app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("s", "s", "q")

    run(go, keeping())
    run(other, keeping())
    place = store.place(scenario_of(NAME))
    assert store.read(place)["position"] == 2
    assert store.read(place.with_suffix(".before.json"))["position"] == 14


def test_a_session_that_is_damaged_is_no_obstacle() -> None:
    place = store.place(scenario_of(NAME))
    place.parent.mkdir(parents=True)
    found = document(Session(scenario_of(NAME)))
    found["watches"] = [3]
    place.write_text(json.dumps(found), encoding="utf-8")

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("R")
        assert said(app).startswith("It cannot be gone on with: notes-sigmoid-")
        await pilot.press("s")
        assert stepper_of(app).debugger.position == 1

    run(test, keeping())


def test_with_nothing_kept_going_on_says_so() -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("R")
        assert said(app) == "Nothing is kept of this scenario from before."

    run(test, keeping())
    run(test, BackpropApp(scenario_of(NAME)))


def test_a_place_that_cannot_be_written_to_is_said_once_and_stepping_goes_on() -> None:
    store.folder().parent.mkdir(parents=True)
    store.folder().write_bytes(b"")

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        await until(pilot, lambda: "cannot be kept" in said(app))
        await pilot.press("s")
        assert said(app) == ""
        assert stepper_of(app).debugger.position == 2

    run(test, keeping())


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "just now"), (61, "1 minute ago"), (7300, "2 hours ago"), (200000, "2 days ago")]
)
def test_how_long_ago(seconds: float, words: str) -> None:
    assert ago(seconds) == words


# Saving and replaying.


def test_save_writes_a_file_that_can_be_played(tmp_path: Path) -> None:
    path = tmp_path / "it.json"

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("s", "s")
        stepper_of(app).carry_out(f"save {path}")
        await pilot.pause()
        assert said(app).startswith(f"saved to {path}"[:60])

    run(test, BackpropApp(scenario_of(NAME)))
    assert store.read(path)["position"] == 2


def player_of(*lines: str, pause: float = 1.0) -> Player:
    now = [0.0]
    session = Session(scenario_of(NAME), clock=lambda: now[0])
    for line in lines:
        now[0] += pause
        execute(session, line)
    return Player(document(session), "it.json")


LINES = ("step 3", "break 5", "edit W2[0, 0] = 7", "continue", "end")


def test_a_replay_is_played_paused_sought_and_left() -> None:
    player = player_of(*LINES)

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        stepper = stepper_of(app)
        assert "▶ replay  0:00 of 0:05" in rows(app)[-1]
        await pilot.press("space")
        assert "‖ replay" in rows(app)[-1]
        assert "◆" in rows(app)[-1]
        await pilot.press("home", "s", "s")
        assert stepper.debugger.position == 2
        await pilot.press("S")
        assert stepper.debugger.position == 1
        await pilot.press("right_square_bracket", "right_square_bracket")
        assert len(stepper.debugger.recordings) == 2
        await pilot.press("left_square_bracket")
        assert len(stepper.debugger.recordings) == 1
        await pilot.press("end")
        assert stepper.debugger.position == 14
        await pilot.press("left_square_bracket", "escape")
        assert "the session is yours" in said(app)
        place = stepper.debugger.position
        await pilot.press("s")
        assert stepper.debugger.position == place + 1
        assert said(app) == ""

    run(test, BackpropApp(None, player=player))


def test_a_replay_runs_by_the_clock_to_its_end_and_begins_again() -> None:
    player = player_of(*LINES, pause=0.05)

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: player.ended)
        await until(pilot, lambda: "‖ replay" in rows(app)[-1])
        assert stepper_of(app).debugger.position == 14
        await pilot.press("plus", "plus")
        assert "4×" in rows(app)[-1]
        await pilot.press("space")
        await until(pilot, lambda: player.ended)

    run(test, BackpropApp(None, player=player))


def test_any_other_command_takes_over_and_is_carried_out() -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("space", "home", "s", "s", "b")
        stepper = stepper_of(app)
        assert stepper.replaying is None
        assert [stop.text for stop in stepper.debugger.stops.breakpoints] == ["line 2"]

    run(test, BackpropApp(None, player=player_of(*LINES)))


def test_a_replay_of_a_scenario_with_an_edit_shows_its_numbers() -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("end", "5")
        assert "recording 2 of 2" in rows(app)[0]
        run_of = stepper_of(app).debugger.run
        assert bt.Recording is type(run_of)
        assert float(run_of.state(14).value(run_of.graph.parameters["W2"])[0, 0]) == 7.0

    run(test, BackpropApp(None, player=player_of(*LINES)))
