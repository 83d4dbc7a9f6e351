"""Every command, once: its name, keys, group and help, and what it does.

The key bindings, the help screen, the palette and the README's table are made from `COMMANDS`. A command either moves
the debugger (``move``) or is carried out by the screen, which has a method ``action_NAME`` for it. To add a command, add
its entry here, and that method if it needs the screen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from backprop_tui.debugger import Debugger

Group = Literal["Move", "Jump", "Look", "Program"]


@dataclass(frozen=True)
class Command:
    """One command. ``keys`` are Textual's names for them, the first is the one that is shown; ``short`` fits in the footer."""

    name: str
    keys: tuple[str, ...]
    group: Group
    help: str
    short: str = ""
    move: Callable[[Debugger], bool] | None = None


def _move(
    name: str, keys: tuple[str, ...], group: Group, move: Callable[[Debugger], bool], help_text: str, short: str = ""
) -> Command:
    return Command(name, keys, group, help_text, short, move)


COMMANDS: tuple[Command, ...] = (
    _move(
        "step",
        ("s", "right", "f11"),
        "Move",
        Debugger.step,
        "step: one op forward, one multiplication backward, into calls",
        "step",
    ),
    _move("step_back", ("S", "left"), "Move", Debugger.step_back, "step back", "back"),
    _move("next", ("n", "f10"), "Move", Debugger.next, "next: one line of the program, over calls", "line"),
    _move("next_back", ("N",), "Move", Debugger.next_back, "back over one line of the program"),
    _move("finish", ("f", "shift+f11"), "Move", Debugger.finish, "finish: out of this call, or to the end of the phase"),
    _move("finish_back", ("F",), "Move", Debugger.finish_back, "back out of this call, or to the start of the phase"),
    _move("continue", ("c", "f5"), "Move", Debugger.continue_, "continue: to the end", "continue"),
    _move("reverse_continue", ("C",), "Move", Debugger.reverse_continue, "reverse-continue: back to the start"),
    _move("next_phase", ("right_square_bracket",), "Jump", Debugger.next_phase, "next phase boundary"),
    _move("previous_phase", ("left_square_bracket",), "Jump", Debugger.previous_phase, "previous phase boundary"),
    _move("home", ("home",), "Jump", Debugger.home, "start of the run"),
    _move("end", ("end",), "Jump", Debugger.end, "end of the run"),
    Command("run_to", ("t",), "Jump", "run to the selected line or step"),
    Command("go_to", ("g",), "Jump", "go to a step number, a name or a phase", "go to"),
    _move("restart", ("r",), "Jump", Debugger.restart, "restart; what is recorded stays"),
    Command("play", ("space",), "Move", "play, pause", "play"),
    Command("faster", ("plus",), "Move", "play faster"),
    Command("slower", ("minus",), "Move", "play slower"),
    Command("detail", ("d",), "Look", "detail: step also stops inside a multiplication", "detail"),
    Command(
        "enlarge",
        ("z",),
        "Look",
        "enlarge the focused panel, and back; arrays open whole, with a cell cursor",
        "enlarge",
    ),
    Command("focus_program", ("1",), "Look", "focus the program"),
    Command("focus_steps", ("2",), "Look", "focus the list of steps"),
    Command("focus_step", ("3",), "Look", "focus the multiplication"),
    Command("focus_chain", ("4",), "Look", "focus the chain rule"),
    Command("focus_variables", ("5",), "Look", "focus the variables"),
    Command("focus_notes", ("6",), "Look", "focus the notes"),
    Command("theme", ("T",), "Program", "switch between dark and light"),
    Command("open", ("o",), "Program", "open another scenario", "open"),
    Command("help", ("question_mark", "f1"), "Program", "this help", "help"),
    Command("command_palette", ("ctrl+p",), "Program", "the palette: every command by name"),
    Command("suspend", ("ctrl+z",), "Program", "suspend, and come back with fg"),
    Command("quit", ("q", "ctrl+q"), "Program", "quit"),
)

#: Every command by its name.
BY_NAME: dict[str, Command] = {command.name: command for command in COMMANDS}

_SHOWN = {
    "right": "→",
    "left": "←",
    "up": "↑",
    "down": "↓",
    "right_square_bracket": "]",
    "left_square_bracket": "[",
    "question_mark": "?",
    "plus": "+",
    "minus": "-",
}


def key_text(key: str) -> str:
    """A key as it is written for people: ``→``, ``]``, ``Shift+F11``."""
    if key in _SHOWN:
        return _SHOWN[key]
    if len(key) == 1:
        return key
    return "+".join(part.upper() if len(part) == 1 else part.capitalize() for part in key.split("+"))


def keys_text(command: Command) -> str:
    """All keys of a command."""
    return "  ".join(key_text(key) for key in command.keys)


def markdown_table() -> str:
    """The table of commands as the README has it."""
    rows = [f"| {' '.join(f'`{key_text(key)}`' for key in c.keys)} | {c.help} |" for c in COMMANDS]
    return "\n".join(["| key | command |", "| --- | --- |", *rows])
