"""Every command, once: its name, keys, group and help, and what it does.

The key bindings, the help screen, the palette, the command line and the README's table are made from `COMMANDS`. A command
moves the debugger (``move``), does something to the session (``act``), or is carried out by the screen, which has a method
``action_NAME`` for it. To add a command, add its entry here, and that method if it needs the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Literal

from backprop_tui import actions
from backprop_tui.debugger import Debugger
from backprop_tui.session import Session

Act = Callable[[Session, str], str | actions.Parts]
Move = Callable[[Debugger], bool | Generator[int, None, bool]]

Group = Literal["Move", "Jump", "Stop", "Change", "Look", "Program"]
#: The groups in the order of the help screen.
GROUPS: tuple[Group, ...] = ("Move", "Jump", "Stop", "Change", "Look", "Program")


@dataclass(frozen=True)
class Command:
    """One command. ``keys`` are Textual's names for them, the first is the one that is shown; ``short`` fits in the footer.

    ``move`` moves the debugger; ``act`` does something to a session and answers what to say, and takes what ``takes`` tells:
    what stands in brackets may be left out. Both may do it in parts. A command with neither needs the screen. One that
    ``looks`` changes nothing; one that ``leads`` somewhere by what is not kept is remembered as where it led. One without
    keys is reached by the palette and the command line.
    """

    name: str
    keys: tuple[str, ...]
    group: Group
    help: str
    short: str = ""
    move: Move | None = None
    act: Act | None = None
    takes: str = ""
    looks: bool = False
    leads: bool = False

    @property
    def needs(self) -> bool:
        """Whether it can do nothing without being told what."""
        return bool(self.takes) and not self.takes.startswith("[")


def _move(name: str, keys: tuple[str, ...], group: Group, move: Move, help_text: str, short: str = "") -> Command:
    return Command(name, keys, group, help_text, short, move)


def _act(name: str, keys: tuple[str, ...], group: Group, act: Act, help_text: str, takes: str = "", short: str = "") -> Command:
    return Command(name, keys, group, help_text, short, None, act, takes)


def _look(name: str, keys: tuple[str, ...], group: Group, act: Act, help_text: str, takes: str = "") -> Command:
    return Command(name, keys, group, help_text, "", None, act, takes, looks=True)


def _travel(debugger: Debugger) -> Generator[int, None, bool]:
    return debugger.travel(forward=True)


def _travel_back(debugger: Debugger) -> Generator[int, None, bool]:
    return debugger.travel(forward=False)


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
    _move("continue", ("c", "f5"), "Move", _travel, "continue: to the next stop, or to the end", "continue"),
    _move("reverse_continue", ("C",), "Move", _travel_back, "reverse-continue: back to the stop before, or to the start"),
    _move("next_phase", ("right_square_bracket",), "Jump", Debugger.next_phase, "next phase boundary"),
    _move("previous_phase", ("left_square_bracket",), "Jump", Debugger.previous_phase, "previous phase boundary"),
    _move("home", ("home",), "Jump", Debugger.home, "start of the run"),
    _move("end", ("end",), "Jump", Debugger.end, "end of the run"),
    _act("run_to", ("t",), "Jump", actions.run_to, "run to the selected line or step, or to a line", "LINE"),
    _act("go_to", ("g",), "Jump", actions.go_to, "go to a step number, a name or a phase", "STEP, NAME or PHASE", "go to"),
    _act("search", ("slash",), "Jump", actions.search, "search in steps, names and notes, round the end", "TEXT"),
    _act("next_match", ("full_stop",), "Jump", actions.next_match, "next match of the search"),
    _act("previous_match", ("comma",), "Jump", actions.previous_match, "previous match of the search"),
    _act("bookmark", ("m",), "Jump", actions.bookmark, "bookmark the position", "[NAME]"),
    _act("jump", ("apostrophe",), "Jump", actions.jump, "jump to the next bookmark, or to one by name", "[NAME]"),
    _look("bookmarks", (), "Jump", actions.bookmarks, "list the bookmarks"),
    _act(
        *("break", ("b", "f9"), "Stop", actions.break_, "breakpoint at the line of the step, or at a place, with a condition"),
        *("[PLACE [in PHASE] [if CONDITION]]", "break"),
    ),
    _act("condition", ("B",), "Stop", actions.condition_, "give a breakpoint a condition, or none", "N [CONDITION]"),
    _act("toggle", (), "Stop", actions.toggle, "switch a breakpoint or a stop on a fact on or off", "N or FACT [BOUND]"),
    _act("delete", (), "Stop", actions.delete, "delete a breakpoint, or all", "N or all"),
    _look("breakpoints", (), "Stop", actions.breakpoints, "list the breakpoints, with their hits so far"),
    _look("facts", (), "Stop", actions.facts, "list the stops on facts"),
    _act(
        *("edit", ("e",), "Change", actions.edit, "change a value: a second recording goes on from here", "NAME[ENTRY] = VALUE"),
        "edit",
    ),
    _act("undo", ("u",), "Change", actions.undo, "take the last change of a value back"),
    _look("recordings", (), "Change", actions.recordings, "list the recordings, one for each change"),
    _act("switch", (), "Change", actions.switch, "go on in another recording, at the same position", "[N]"),
    _look(
        *("compare", ("equals_sign",), "Change", actions.compare, "compare with a recording, a scenario or a trace, in lockstep"),
        "[N or FILE]",
    ),
    Command(
        *("next_difference", ("right_curly_bracket",), "Change", "next step that differs from the compared run"),
        act=actions.next_difference,
        leads=True,
    ),
    Command(
        *("previous_difference", ("left_curly_bracket",), "Change", "previous step that differs from it"),
        act=actions.previous_difference,
        leads=True,
    ),
    _act("note", (), "Change", actions.note, "write a note at the position, or remove it", "[TEXT]"),
    _act("watch", ("w",), "Look", actions.watch, "watch an expression", "EXPRESSION", "watch"),
    _act("unwatch", (), "Look", actions.unwatch, "watch it no more", "N"),
    _look("watches", (), "Look", actions.watches, "list the watches, before the step and after it"),
    _look("print", (), "Look", actions.print_, "print the value of an expression", "EXPRESSION"),
    _look("show", (), "Look", actions.show, "print the current step with its numbers"),
    _look("where", (), "Look", actions.where, "print the call stack: calls and turns of loops"),
    _move("restart", ("r",), "Jump", Debugger.restart, "restart; what is recorded stays"),
    Command("play", ("space",), "Move", "play, pause", "play"),
    Command("faster", ("plus",), "Move", "play faster"),
    Command("slower", ("minus",), "Move", "play slower"),
    _act("detail", ("d",), "Look", actions.detail, "detail: step also stops inside a multiplication", short="detail"),
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
    Command("focus_watches", ("7",), "Look", "focus the watches"),
    Command("focus_stops", ("8",), "Look", "focus the breakpoints and stops"),
    Command("focus_calls", ("9",), "Look", "focus the call stack"),
    Command("command_line", ("colon",), "Program", "the command line: every command by name, counts too, as in :s 20", "command"),
    _look("save", (), "Program", actions.save, "save the session to a file, to replay it or give it away", "FILE"),
    Command("resume", ("R",), "Program", "go on where you left this scenario the last time"),
    Command("settings", (), "Program", "show the settings, where they are, and what is wrong with them"),
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
    "slash": "/",
    "comma": ",",
    "full_stop": ".",
    "apostrophe": "'",
    "colon": ":",
    "equals_sign": "=",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
}


def key_text(key: str) -> str:
    """A key as it is written for people: ``→``, ``]``, ``Shift+F11``."""
    if key in _SHOWN:
        return _SHOWN[key]
    if len(key) == 1:
        return key
    return "+".join(part.upper() if len(part) == 1 else part.capitalize() for part in key.split("+"))


#: The keys of the commands that a person has given others.
_REBOUND: dict[str, tuple[str, ...]] = {}


def rebind(keys: Mapping[str, tuple[str, ...]]) -> None:
    """Gives commands, by their names, other keys than usual; those that are not named get their own back."""
    _REBOUND.clear()
    _REBOUND.update(keys)


def keys_of(command: Command) -> tuple[str, ...]:
    """The keys that a command has, as the person wants them."""
    return _REBOUND.get(command.name, command.keys)


def keys_text(command: Command) -> str:
    """All keys of a command."""
    return "  ".join(key_text(key) for key in keys_of(command))


def markdown_table() -> str:
    """The table of commands as the README has it."""
    rows = [f"| {' '.join(f'`{key_text(key)}`' for key in c.keys)} | `{c.name}` | {c.help} |" for c in COMMANDS]
    return "\n".join(["| key | name | what it does |", "| --- | --- | --- |", *rows])
