"""The command line of the screen, and the keys that open it: what is written is carried out, and what is wrong is said."""

from __future__ import annotations

import re

import pytest
from test_panels import scenario_of
from test_screen import check, drive, rows, said, sizes, stepper_of, text, until
from textual.pilot import Pilot
from textual.widgets import Input, Static

import backprop_tui as bt
from backprop_tui.commands import COMMANDS
from backprop_tui.tui.app import BackpropApp
from backprop_tui.tui.screens.output import TextScreen
from backprop_tui.tui.screens.prompt import PromptScreen
from backprop_tui.tui.work import Work

NAME = "notes/sigmoid"


def line(app: BackpropApp) -> Input:
    assert isinstance(app.screen, PromptScreen)
    return app.screen.query_one(Input)


def advice(app: BackpropApp) -> str:
    assert isinstance(app.screen, PromptScreen)
    return str(app.screen.query_one("#prompt-says", Static).content)


async def write(pilot: Pilot[None], words: str) -> None:
    """Opens the command line, writes a line and sends it."""
    app = pilot.app
    assert isinstance(app, BackpropApp)
    await pilot.press("colon")
    line(app).value = words
    await pilot.press("enter")
    await pilot.pause()


@sizes
def test_counts_names_and_keys_are_carried_out(size: tuple[int, int]) -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        for words, position in (("s 5", 5), ("step_back 2", 3), ("go_to W1", 14), ("C", 0), ("] 2", 7), ("next-back", 6)):
            await write(pilot, words)
            assert stepper_of(app).debugger.position == position
            await check(app, pilot, NAME)

    drive(test, scenario_of(NAME), size)


def test_what_is_wrong_is_said_and_the_line_is_kept() -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        for words, wrong in (
            ("stepp", "no command 'stepp'; did you mean 'step'?"),
            ("break W9", "W9"),
            ("s -3", "'-3' is no count"),
            ("edit [bold] = 1", "[bold]"),
            ("watch [/x]", ""),
        ):
            await write(pilot, words)
            assert line(app).value == words
            assert wrong in advice(app)
            assert app.screen.query_one("#prompt-says").has_class("wrong")
            await pilot.press("escape")
            assert stepper_of(app).debugger.position == 0

    drive(test, scenario_of(NAME))


def test_tab_completes_and_says_what_is_possible() -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("colon", *"brea")
        assert advice(app) == "break  breakpoints"
        await pilot.press("tab")
        assert line(app).value == "break"
        await pilot.press("p", "tab")
        assert line(app).value == "breakpoints "
        line(app).value = "go_to ba"
        await pilot.press("end", "tab", "enter")
        assert stepper_of(app).debugger.place is not None
        assert stepper_of(app).debugger.place.phase == "backward"

    drive(test, scenario_of(NAME))


def test_the_arrows_go_through_what_was_written_before() -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        for words in ("s 2", "s 3"):
            await write(pilot, words)
        await pilot.press("colon", "x", "up")
        assert line(app).value == "s 3"
        await pilot.press("up")
        assert line(app).value == "s 2"
        await pilot.press("up", "down", "down")
        assert line(app).value == "x"
        await pilot.press("up", "enter")
        assert stepper_of(app).debugger.position == 8

    drive(test, scenario_of(NAME))


def test_what_answers_on_several_lines_is_shown_in_a_box_of_its_own() -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await write(pilot, "facts")
        assert isinstance(app.screen, TextScreen)
        assert "nan-gradient" in "\n".join(rows(app))
        await pilot.press("escape")
        await check(app, pilot, NAME)

    drive(test, scenario_of(NAME))


def test_every_command_can_be_given_on_the_command_line() -> None:
    """None of them raises, whatever it says; quitting comes last."""
    takes = {"run_to": "3", "go_to": "3", "search": "f1", "condition": "1 value > 0", "toggle": "kink", "delete": "all"}
    takes |= {"edit": "W2[0, 0] = 3", "watch": "L", "unwatch": "1", "print": "W1", "break": "4"}
    last = ("suspend", "open", "quit")

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        for command in COMMANDS:
            if command.name in last:
                continue
            stepper = stepper_of(app)
            stepper.carry_out(f"{command.name} {takes.get(command.name, '')}".rstrip())
            await pilot.pause()
            while app.screen is not stepper:
                await pilot.press("escape")
        assert len(stepper_of(app).debugger.recordings) >= 1
        stepper_of(app).carry_out("quit")
        await pilot.pause()

    drive(test, scenario_of(NAME))


# Keys that act on what is selected.


def test_b_sets_a_breakpoint_where_one_stands_and_where_a_line_or_a_step_is_selected_and_takes_it_away_again() -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        stops = stepper_of(app).debugger.stops
        await pilot.press("s", "s", "b")
        assert [stop.text for stop in stops.breakpoints] == ["line 2"]
        assert "●" in text(stepper_of(app).panel("program")).split("\n")[1]
        await pilot.press("b")
        assert stops.breakpoints == []
        await pilot.press("1", "j", "j", "b", "2", "j", "b")
        assert [stop.kind for stop in stops.breakpoints] == ["line", "step"]
        await pilot.press("b")
        assert [stop.kind for stop in stops.breakpoints] == ["line"]
        await pilot.press("c")
        await check(app, pilot, NAME)
        assert said(app) == "stopped by breakpoint 2, line 4, 1st hit of 2"

    drive(test, scenario_of(NAME))


def test_continue_stops_at_the_same_places_in_both_directions_and_says_why() -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await write(pilot, "break op sigmoid")
        assert "op sigmoid" in said(app)
        places = []
        for key in "ccccccCCCCCC":
            await pilot.press(key)
            await pilot.pause()
            places.append(stepper_of(app).debugger.position)
        assert places[:6] == [2, 4, 10, 13, 14, 14]
        assert places[6:] == [13, 10, 4, 2, 0, 0]
        await pilot.press("c")
        assert said(app) == "stopped by breakpoint 1, op sigmoid, 1st hit of 4"

    drive(test, scenario_of(NAME))


def test_in_stops_enter_switches_a_fact_on_and_off_and_delete_takes_a_breakpoint_away() -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        stops = stepper_of(app).debugger.stops
        await write(pilot, "break 3")
        await pilot.press("8", "j", "j", "enter")
        assert [(stop.text, stop.enabled) for stop in stops.breakpoints] == [("line 3", True), ("nan-gradient", True)]
        await pilot.press("enter")
        assert [(stop.text, stop.enabled) for stop in stops.breakpoints] == [("line 3", True), ("nan-gradient", False)]
        await pilot.press("k", "k", "k", "delete")
        assert [stop.text for stop in stops.breakpoints] == ["nan-gradient"]

    drive(test, scenario_of(NAME))


@sizes
def test_w_watches_and_e_changes_what_is_selected_in_variables(size: tuple[int, int]) -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("s", "s", "5", "j", "w")
        assert line(app).value == "watch z2 "
        await pilot.press("enter", "7")
        watched = stepper_of(app).session.watches
        assert len(watched) == 1
        assert watched[0].text in text(stepper_of(app).panel("watches"))
        await pilot.press("j", "delete")
        assert watched == []
        await pilot.press("escape", "5", "e")
        assert line(app).value.endswith(" = ")
        line(app).value = "edit W2[0, 0] = 7"
        await pilot.press("enter")
        debugger = stepper_of(app).debugger
        assert (len(debugger.recordings), debugger.run_number) == (2, 2)
        assert "recording 2 of 2" in rows(app)[0]
        await pilot.press("u")
        assert len(debugger.recordings) == 1
        assert "recording" not in rows(app)[0]

    drive(test, scenario_of(NAME), size)


def test_search_goes_round_and_back() -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash")
        assert line(app).value == "search "
        await pilot.press(*"f2", "enter")
        first = stepper_of(app).debugger.position
        await pilot.press("full_stop")
        second = stepper_of(app).debugger.position
        assert 0 < first < second
        await pilot.press("comma")
        assert stepper_of(app).debugger.position == first

    drive(test, scenario_of(NAME))


def test_bookmarks_are_set_and_jumped_to() -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("s", "s", "m", "end", "apostrophe")
        assert stepper_of(app).debugger.position == 2
        await check(app, pilot, NAME)

    drive(test, scenario_of(NAME))


@pytest.mark.parametrize("key", ["6", "7", "8", "9"])
def test_the_panels_at_the_lower_right_take_turns(key: str) -> None:
    names = {"6": "notes", "7": "watches", "8": "stops", "9": "calls"}

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press(key)
        stepper = stepper_of(app)
        assert [name for name in names.values() if stepper.shows(name)] == [names[key]]
        assert stepper.panel(names[key]).has_focus
        await check(app, pilot, NAME)

    drive(test, scenario_of(NAME))


# What takes long.

LONG = """
format = 1
title = "long"
program = '''
h = x
for i in range(300):
    h = h * a
L = h
'''
[data]
x = 1.0
[parameters]
a = 1.0
"""


def test_a_long_search_says_how_far_it_is_and_escape_leaves_it_without_moving(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work is held up here, however fast the machine is, until the test lets it go on."""
    goes_on, held = Work.go_on, [False]
    monkeypatch.setattr(Work, "go_on", lambda self, seconds: not held[0] and goes_on(self, seconds))

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        screen = stepper_of(app)
        screen.carry_out("step 3")
        screen.carry_out("break op multiply if exp(value) > 100")
        held[0] = True
        await pilot.press("c")
        await until(pilot, lambda: said(app).startswith("Looking"))
        assert re.match(r"Looking  █*░+  [\d,]+ of 903 steps  Esc stops", said(app))
        await pilot.press("s")
        assert screen.debugger.position == 3
        await pilot.press("escape")
        assert said(app) == "Stopped looking; nothing has moved."
        assert screen.debugger.position == 3
        await pilot.press("c")
        held[0] = False
        await until(pilot, lambda: screen.debugger.position == 903)
        assert said(app) == "nothing stopped it: this is the end of the run"

    drive(test, bt.loads(LONG))
