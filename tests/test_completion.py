"""What a line of commands could go on with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_panels import scenario_of

from backprop_tui.commands import COMMANDS
from backprop_tui.completion import completions
from backprop_tui.console import execute
from backprop_tui.facts import FACTS
from backprop_tui.session import Session


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(scenario_of("notes/sigmoid"))


def test_at_the_start_of_a_line_stand_commands(session: Session) -> None:
    before, words = completions(session, "bre")
    assert before == ""
    assert words == ["break", "breakpoints"]
    assert set(completions(session, "")[1]) == {command.name for command in COMMANDS} - {"command_line"}


@pytest.mark.parametrize(
    ("line", "before", "some", "none"),
    [
        ("go_to W", "go_to ", ["W1", "W2"], ["f1", "nan-value"]),
        ("g ba", "g ", ["backward"], ["forward"]),
        ("break ", "break ", ["W1", "backward", "line", "op", "change", "kink"], ["norm"]),
        ("break op ", "break op ", ["matmul", "sigmoid"], ["W1", "relu"]),
        ("break W1 ", "break W1 ", ["if", "in"], ["W1"]),
        ("break W1 in ", "break W1 in ", ["forward", "backward"], ["W1"]),
        ("break W1 if no", "break W1 if ", ["norm"], ["nan-value"]),
        ("break W1 if abs(con", "break W1 if abs(", ["contribution"], ["W1"]),
        ("break change g", "break change ", ["grad"], ["go_to"]),
        ("condition 1 up", "condition 1 ", ["upstream"], ["W1"]),
        ("toggle nan", "toggle ", ["nan-gradient", "nan-value"], ["kink"]),
        ("edit l", "edit ", ["learning_rate"], ["line"]),
        ("watch norm(grad(W", "watch norm(grad(", ["W1", "W2"], ["contribution"]),
        ("step 1", "step 1", [], ["W1"]),
        ("nosuch W", "nosuch ", [], ["W1"]),
    ],
)
def test_after_a_command_stands_what_it_takes(session: Session, line: str, before: str, some: list[str], none: list[str]) -> None:
    found_before, words = completions(session, line)
    assert found_before == before
    assert set(some) <= set(words)
    assert not set(none) & set(words)
    assert words == sorted(set(words))


def test_every_fact_can_be_completed(session: Session) -> None:
    assert set(FACTS) <= set(completions(session, "toggle ")[1])


def test_bookmarks_can_be_completed() -> None:
    session = Session(scenario_of("notes/sigmoid"))
    execute(session, "bookmark here")
    assert completions(session, "jump h")[1] == ["here"]


@given(st.text(max_size=40))
def test_any_text_at_all_has_completions_that_begin_as_it_does(text: str) -> None:
    session = Session(scenario_of("notes/sigmoid"))
    before, words = completions(session, text)
    assert text.startswith(before)
    assert all(word.startswith(text[len(before) :]) for word in words)
