"""The table of commands, from which bindings, help, palette and README are made."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.keys import Keys

from backprop_tui.commands import BY_NAME, COMMANDS, GROUPS, Command, key_text, keys_text, markdown_table
from backprop_tui.console import find
from backprop_tui.tui.panels.base import Panel
from backprop_tui.tui.screens.board import Board
from backprop_tui.tui.screens.help import text as help_text
from backprop_tui.tui.screens.stepper import StepperScreen, binding

README = Path(__file__).parent.parent / "README.md"
ACTIONS = {**vars(Board), **vars(StepperScreen)}
every_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)


@every_command
def test_a_command_has_a_group_and_help(command: Command) -> None:
    assert command.group in GROUPS
    assert command.help
    assert command.help[0].islower()
    assert not command.help.endswith(".")
    assert command.name.isidentifier()
    assert len(command.short) <= 12
    assert f"  {command.help}\n" in help_text()
    if command.takes or not command.keys:
        assert f":{command.name} {command.takes}".rstrip() + "\n" in help_text()


def test_names_keys_and_helps_are_unique() -> None:
    for things in (
        [command.name for command in COMMANDS],
        [key for command in COMMANDS for key in command.keys],
        [key_text(key) for command in COMMANDS for key in command.keys],
        [command.help for command in COMMANDS],
    ):
        assert [thing for thing, count in Counter(things).items() if count > 1] == []
    assert {command.name: command for command in COMMANDS} == BY_NAME


@every_command
def test_a_command_moves_the_debugger_or_is_an_action_of_the_screen(command: Command) -> None:
    action = ACTIONS.get(f"action_{command.name}")
    assert (command.move is None and command.act is None) == callable(action)
    assert command.move is None or command.act is None
    bound = binding(command)
    assert bound.id == command.name
    assert bound.key == ",".join(command.keys)
    assert bound.action == (command.name if callable(action) else f"do('{command.name}')")


def test_every_action_of_the_screen_that_takes_no_argument_is_a_command_or_escape_or_enter() -> None:
    own = {name.removeprefix("action_") for name in ACTIONS if name.startswith("action_")}
    of_the_screen = {command.name for command in COMMANDS if command.move is None and command.act is None}
    assert own - {"do", "back", "choose", "remove"} == of_the_screen


@every_command
def test_keys_are_keys_that_textual_knows_and_terminals_can_send(command: Command) -> None:
    signs = {"plus", "minus", "question_mark", "left_square_bracket", "right_square_bracket"}
    known = {key.value for key in Keys} | signs | {"slash", "comma", "full_stop", "apostrophe", "colon"}
    known |= {"equals_sign", "left_curly_bracket", "right_curly_bracket"}
    for key in command.keys:
        *modifiers, last = key.split("+")
        assert len(last) == 1 or last in known, key
        assert set(modifiers) <= {"ctrl", "shift"}
        # a multiplexer takes some of these; others are Enter, Tab and Escape
        assert key not in ("ctrl+a", "ctrl+b", "ctrl+space", "ctrl+j", "ctrl+m", "ctrl+i", "ctrl+c")
        assert not key.startswith(("ctrl+shift", "alt"))


def test_a_panels_own_keys_take_none_of_the_commands() -> None:
    own = {key for entry in Panel.BINDINGS if isinstance(entry, Binding) for key in entry.key.split(",")}
    assert own & {key for command in COMMANDS for key in command.keys} == set()
    assert own >= {"h", "j", "k", "l", "up", "down"}


def test_letters_come_before_function_keys() -> None:
    for command in COMMANDS:
        assert not any(re.fullmatch(r"f\d+", key) for key in command.keys[:1])


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        *(("s", "s"), ("S", "S"), ("1", "1"), ("right", "→"), ("left", "←"), ("up", "↑"), ("down", "↓")),
        *(("right_square_bracket", "]"), ("left_square_bracket", "["), ("question_mark", "?")),
        *(("plus", "+"), ("minus", "-"), ("space", "Space"), ("home", "Home"), ("f11", "F11")),
        *(("shift+f11", "Shift+F11"), ("ctrl+p", "Ctrl+P"), ("escape", "Escape")),
    ],
)
def test_key_text(key: str, shown: str) -> None:
    assert key_text(key) == shown


def test_keys_text() -> None:
    assert keys_text(BY_NAME["step"]) == "s  →  F11"
    assert keys_text(BY_NAME["finish"]) == "f  Shift+F11"


def test_the_table_of_the_readme_is_made_from_the_commands() -> None:
    text = README.read_text(encoding="utf-8")
    start, end = "<!-- commands -->", "<!-- /commands -->"
    assert text.count(start) == text.count(end) == 1
    table = text.partition(start)[2].partition(end)[0].strip()
    assert table == markdown_table()
    rows = table.split("\n")
    assert rows[0] == "| key | name | what it does |"
    assert len(rows) == len(COMMANDS) + 2
    for command, row in zip(COMMANDS, rows[2:], strict=True):
        assert row.endswith(f"| {command.help} |")
        assert all(f"`{key_text(key)}`" in row for key in command.keys)
        assert f"| `{command.name}` |" in row
        assert row.replace("\\|", "").count("|") == 4


@every_command
def test_every_command_is_found_by_name_and_by_each_of_its_keys_on_the_command_line(command: Command) -> None:
    assert find(command.name) is command
    assert find(command.name.replace("_", "-")) is command
    for key in command.keys:
        assert find(key_text(key)) is command
