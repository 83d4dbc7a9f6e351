"""Lines of commands: names and keys, counts, comments, what is wrong with a line; and text that means no good."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_session import PERIOD, TEXT, TOTAL, session_of

import backprop_tui as bt
from backprop_tui.commands import COMMANDS, Command, key_text
from backprop_tui.console import MOST_TIMES, carried_out, execute, find, moving, split
from backprop_tui.errors import CommandError
from backprop_tui.session import Session

#: A line of each command that does something to a session, fit for the scenario of these tests at step 12 after `PREPARED`.
LINES = {
    "run_to": "8",
    "go_to": "W",
    "search": "yhat",
    "jump": "here",
    "bookmark": "there",
    "break": "b in backward if norm(grad) > 1",
    "condition": "1 value > 0",
    "toggle": "1",
    "delete": "1",
    "edit": "W[0, 1] = grad(yhat)",
    "switch": "1",
    "note": "look at this",
    "watch": "grad(W)",
    "unwatch": "1",
    "print": "norm(W)",
}
PREPARED = ("edit x = 1", "break yhat", "search h", "bookmark here", "compare 1", "go_to 12")
works_here = pytest.mark.parametrize("command", [c for c in COMMANDS if c.move or c.act], ids=lambda c: c.name)
of_the_screen = pytest.mark.parametrize("command", [c for c in COMMANDS if not c.move and not c.act], ids=lambda c: c.name)


def prepared() -> Session:
    return session_of(*PREPARED)


def refused(session: Session, line: str) -> str:
    with pytest.raises(CommandError) as caught:
        execute(session, line)
    return str(caught.value)


# Every command


@works_here
def test_every_command_works_by_its_name_and_says_something(command: Command, tmp_path: Path) -> None:
    rest = str(tmp_path / "file") if command.name == "save" else LINES.get(command.name, "")
    assert rest or not command.needs
    for name in {command.name, command.name.replace("_", "-")}:
        assert execute(prepared(), f"{name} {rest}").strip()


@works_here
def test_every_key_of_a_command_does_what_its_name_does(command: Command, tmp_path: Path) -> None:
    rest = str(tmp_path / "file") if command.name == "save" else LINES.get(command.name, "")
    by_name = prepared()
    said = execute(by_name, f"{command.name} {rest}")
    for key in command.keys:
        session = prepared()
        assert execute(session, f"{key_text(key)} {rest}") == said
        assert session.where() == by_name.where()
        assert session.log[-1].line == by_name.log[-1].line


@of_the_screen
def test_what_only_the_screen_can_do_is_said_to_need_it(command: Command) -> None:
    session = prepared()
    for name in (command.name, *map(key_text, command.keys)):
        assert refused(session, name) == f"{command.name} needs the screen"
    assert len(session.log) == len(prepared().log)


@works_here
def test_a_command_that_only_looks_changes_nothing(command: Command, tmp_path: Path) -> None:
    session = prepared()
    before = (session.where(), list(session.log), dict(session.bookmarks), len(session.debugger.recordings))
    execute(session, f"{command.name} {tmp_path / 'file' if command.name == 'save' else LINES.get(command.name, '')}")
    after = (session.where(), list(session.log), dict(session.bookmarks), len(session.debugger.recordings))
    assert (before == after) == command.looks


def test_find_takes_names_with_either_hyphen_and_keys_as_they_are_shown() -> None:
    assert find("step_back").name == find("step-back").name == find("S").name == find("←").name == "step_back"
    assert find("/").name == "search"
    assert find("'").name == "jump"
    assert find("]").name == "next_phase"
    assert find("F11").name == "step"
    assert find("Shift+F11").name == "finish"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("stepp", "no command 'stepp'; did you mean 'step'?"),
        ("contniue", "no command 'contniue'; did you mean 'continue'?"),
        ("step-bak", "no command 'step-bak'; did you mean 'step_back'?"),
        ("brek", "no command 'brek'; did you mean 'break'?"),
        ("zqxv", "no command 'zqxv'"),
        ("STEP", "no command 'STEP'"),
        ("55", "no command '55'"),
    ],
)
def test_an_unknown_command_is_said_with_the_nearest(word: str, said: str) -> None:
    session = session_of()
    assert refused(session, word) == refused(session, f"  {word} 3 4") == said


# Lines


@pytest.mark.parametrize("line", ["", "   ", "\t", "# a comment", "   # step", "#step", "##"])
def test_blank_lines_and_comments_say_nothing(line: str) -> None:
    session = session_of()
    assert split(line) is None
    assert execute(session, line) == ""
    assert (session.debugger.position, session.log) == (0, [])


def test_a_line_is_a_command_and_what_it_takes() -> None:
    found = split("   break   W1 if  norm(grad) > 1   ")
    assert found is not None
    assert (found[0].name, found[1]) == ("break", "W1 if  norm(grad) > 1")
    for line in ("s", "  s  ", "s\n", "s\r\n"):
        session = session_of()
        execute(session, line)
        assert session.debugger.position == 1


def test_a_tab_parts_a_command_from_what_it_takes() -> None:
    session = session_of()
    execute(session, "s\t5")
    assert session.debugger.position == 5


# Counts


def test_a_move_takes_how_often() -> None:
    session = session_of()
    assert execute(session, "s 20").startswith(f"step 20 of {TOTAL}")
    assert execute(session, "step_back 3").startswith("step 17 of")
    assert execute(session, "] 2").startswith(f"step {PERIOD} of")
    assert execute(session, "[ 4").startswith("start")
    assert execute(session, "n 3").startswith("step 7 of")
    session = session_of("break yhat")
    assert execute(session, "c 3").startswith(f"step {PERIOD + 8} of")
    assert execute(session, "C 2").startswith("step 8 of")


def test_a_count_counts_stages_where_detail_is_on() -> None:
    session = session_of("go_to 10", "detail")
    assert execute(session, "s 2").endswith(", local")
    assert execute(session, "S 2").startswith("step 10 of")


def test_a_count_larger_than_the_run_goes_to_its_end_at_once() -> None:
    session = session_of()
    assert execute(session, f"s {MOST_TIMES}").startswith(f"step {TOTAL} of")
    assert execute(session, "s 5") == "this is the end of the run"
    assert execute(session, f"S {MOST_TIMES}") == f"start, before step 1 of {TOTAL}"
    assert execute(session, "S") == "this is the start of the run"
    assert [(event.line, event.count) for event in session.log] == [("step", TOTAL), ("step_back", TOTAL)]


@pytest.mark.parametrize("count", ["0", "-1", "1.5", "1e3", "x", "3 4", "²", str(MOST_TIMES + 1), "9" * 30, "9" * 6000, "(2)"])
def test_what_is_no_count_is_refused(count: str) -> None:
    session = session_of("go_to 5")
    assert refused(session, f"step {count}") == f"'{count}' is no count: step takes how often, as in step 20"
    assert session.debugger.position == 5


@pytest.mark.parametrize("name", ["step", "next", "finish", "continue", "next_phase", "end"])
def test_at_the_end_every_move_on_says_so(name: str) -> None:
    assert execute(session_of("end"), name) == "this is the end of the run"


@pytest.mark.parametrize("name", ["step_back", "next_back", "finish_back", "reverse_continue", "previous_phase", "home", "restart"])
def test_at_the_start_every_move_back_says_so(name: str) -> None:
    assert execute(session_of(), name) == "this is the start of the run"


# In parts


def test_a_long_way_is_gone_in_parts_and_moves_only_at_its_end() -> None:
    program = "a = w\nfor t in range(20000):\n    a = a * 1\nL = a"
    session = Session(bt.loads(f"format = 1\ntitle = 't'\nprogram = '''\n{program}\n'''\n[parameters]\nw = 1\n"))
    execute(session, "break w if value > 10")
    parts = moving(session, find("continue"))
    seen = [next(parts) for _ in range(3)]
    assert sorted(seen) == seen
    assert session.debugger.position == 0
    parts.close()
    assert session.debugger.position == 0
    assert [event.line for event in session.log] == ["break w if value > 10"]
    parts = carried_out(session, find("search"), "zebra")
    assert next(parts) > 0
    parts.close()
    assert session.debugger.position == 0


def test_a_count_of_moves_that_is_left_keeps_what_was_done() -> None:
    program = "a = w\nfor t in range(20000):\n    a = a * 1\nL = a"
    session = Session(bt.loads(f"format = 1\ntitle = 't'\nprogram = '''\n{program}\n'''\n[parameters]\nw = 1\n"))
    execute(session, "break step 3")
    parts = moving(session, find("continue"), 2)
    while session.debugger.position != 3:
        next(parts)
    next(parts)
    parts.close()
    assert session.debugger.position == 3
    assert [(event.line, event.count) for event in session.log if event.line == "continue"] == [("continue", 1)]


# Text that means no good

HOSTILE = (
    *("[bold]", "[/x]", "[/]", "[red]x[/red]", "\\[bold]", "{}", "{0}", "{x!r}", "%s", "%(x)s", "$HOME", "`id`", "; quit", "&&"),
    *("\x1b[2J", "\x1b]0;title\x07", "\x00", "\x07", "\u202e", "\u200b", "a\nb", "a\r\nb", "\ud800", "\U0001f600", "ﬁ", "é"),
    *("'", '"', "\\", "'''", "#", "=", "==", ":=", ".", "..", "../..", "-1", "--", "²", "٣", "nan", "None", "True", "pi"),
    *("(" * 3000, "(" * 3000 + "1" + ")" * 3000, "[" * 3000, "-" * 30000 + "1", "x" * 30000, "1" * 30000, "W" + "[0]" * 3000),
    *("W" + ".T" * 5000, "1" + " + 1" * 9000, "1" + " ** 9" * 300, "grad(" * 2000 + "W" + ")" * 2000, "a" + " " * 30000 + "b"),
    *("W if", "W if (", "in backward", "W in", "change", "change grad(", "change grad()", "op", "line", "line 0", "step", "step 0"),
    *(
        "step 99999999999999999999",
        "phase",
        "phase x",
        "small-gradient nan",
        "small-gradient 1e999",
        "kink if 1",
        "all",
        "1 (",
        "1 W",
    ),
    *("W = ", "W[ = 1", "W[[0]] = 1", "W = W = W", "grad(W = 1", "grad(grad(W)) = 1", "W = __import__('os').system('id')"),
    *(
        "W = open('x')",
        "W.__class__ = 1",
        "W = W.__class__",
        "W = lambda: 1",
        "W = [1 for x in W]",
        "W = broadcast_to(1, (99999, 99999))",
    ),
)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@works_here
def test_hostile_text_gives_one_clear_line_or_a_harmless_answer(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # one of them saves files
    session = prepared()
    for text in HOSTILE:
        try:
            execute(session, f"{command.name} {text}")
        except CommandError as error:
            said = str(error)
            assert said.strip()
            # of what was written itself there may be more than one line in it
            assert said.count("\n") <= text.count("\n"), said[:200]
            assert "Traceback" not in said
            assert "Error" not in said
            assert len(said) <= len(text) + 500
        # it can be gone on with
        assert session.where()
        assert execute(session, "watches")
        assert execute(session, "breakpoints")
        assert execute(session, "recordings")
    assert execute(session, "step 2").startswith(("step", "this is the end"))


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_hostile_text_is_no_command(text: str) -> None:
    session = prepared()
    for line in (text, f"{text} 3"):
        try:
            said = execute(session, line)
        except CommandError as error:
            said = str(error)
            assert said.count("\n") <= line.count("\n")
        assert len(said) <= len(line) + 200


@given(st.text(max_size=60), st.sampled_from([c.name for c in COMMANDS if c.name != "save"]))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_line_that_is_carried_out_or_refused(text: str, name: str) -> None:
    session = session_of("go_to 12")
    for line in (text, f"{name} {text}"):
        with contextlib.suppress(CommandError):
            execute(session, line)
    assert 0 <= session.debugger.position <= TOTAL


@given(st.lists(st.sampled_from([c for c in COMMANDS if (c.move or c.act) and c.name != "save"]), max_size=12))
@settings(max_examples=150, deadline=None)
def test_any_commands_in_any_order_leave_a_session_that_can_be_done_again(commands: list[Command]) -> None:
    session = session_of()
    for command in commands:
        try:
            said = execute(session, f"{command.name} {LINES.get(command.name, '')}")
        except CommandError as error:
            said = str(error)
        assert said
        assert not CONTROL.search(said)
    again = Session(bt.loads(TEXT))
    for event in session.log:
        for _ in range(event.count):
            execute(again, event.line)
    assert again.where() == session.where()
    assert execute(again, "watches") == execute(session, "watches")
    assert execute(again, "breakpoints") == execute(session, "breakpoints")
    assert execute(again, "recordings") == execute(session, "recordings")
    assert execute(again, "show") == execute(session, "show")


def test_the_lines_that_the_readme_shows_can_be_carried_out(tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    lines = text.partition("```\n# a place:")[2].partition("```")[0].split("\n")[1:]
    assert len(lines) > 12
    session = Session(bt.load("notes/sigmoid"))
    for line in lines:
        said = execute(session, line.replace("wrong.json", str(tmp_path / "wrong.json")))
        assert bool(said) != (not line.strip() or line.startswith("#"))
    assert (tmp_path / "wrong.json").exists()
