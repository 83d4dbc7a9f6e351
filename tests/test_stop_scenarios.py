"""The chapter `stops`: each fact first stops where its scenario says it does, in both directions of time."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

import backprop_tui as bt
from backprop_tui.console import execute
from backprop_tui.facts import FACTS
from backprop_tui.scenario import bundled
from backprop_tui.session import Session


class First(NamedTuple):
    """The step at which a fact first holds: its number, node and operand, and the turn of a loop it is in (from 1)."""

    step: int
    node: str
    operand: str | None
    turn: int | None = None


FIRST = {
    ("log-of-zero", "nan-value"): First(7, "log(p)", None),
    ("log-of-zero", "nan-gradient"): First(18, "log(p)", "p"),
    ("sqrt-at-zero", "nan-gradient"): First(13, "same", "sum(square(gap))"),
    ("ten-sigmoids", "small-gradient"): First(111, "h#3", "a * weight + bias", 2),
    ("ten-sigmoids", "small-gradient 1e-3"): First(76, "h#8", "a * weight + bias", 7),
    ("dead-relu", "zero-local"): First(12, "h", "z"),
    ("dead-relu", "zero-gradient"): First(12, "h", "z"),
    ("exploding", "large-gradient"): First(57, "h#5", "h#4", 4),
    ("skip-connection", "fan-out"): First(11, "z", "h"),
    ("relu-kink", "kink"): First(9, "h", "x @ W1"),
}
each = pytest.mark.parametrize(("name", "fact"), FIRST)


def session_of(name: str, *lines: str) -> Session:
    session = Session(bt.load(f"stops/{name}"))
    for line in lines:
        execute(session, line)
    return session


def standing(session: Session) -> First:
    step = session.debugger.current
    assert step is not None
    loops: tuple[tuple[str, int, int, int], ...] = ()
    if isinstance(step, (bt.ForwardStep, bt.BackwardStep)):
        for call in session.debugger.layout.calls(step.number):
            loops = loops or call.loops
    return First(step.number, step.node, getattr(step, "operand", None), loops[-1][2] if loops else None)


@each
def test_the_fact_first_stops_at_the_named_step(name: str, fact: str) -> None:
    session = session_of(name, f"toggle {fact}", "continue")
    assert standing(session) == FIRST[name, fact]
    assert FACTS[fact.split()[0]].text.split("{")[0] in session.debugger.reason


@each
def test_back_from_the_end_it_is_the_last_stop(name: str, fact: str) -> None:
    session = session_of(name, f"toggle {fact}", "end")
    reached = []
    while session.debugger.reverse_continue():
        reached.append(session.debugger.position)
    assert reached[-2:] == [FIRST[name, fact].step, 0]


def test_the_stop_after_which_the_root_of_zero_is_no_number() -> None:
    session = session_of("sqrt-at-zero", "toggle nan-gradient", "continue")
    assert execute(session, "print grad(same)") == "grad(same) = 1"
    session.debugger.step()
    session.debugger.step()
    step = session.debugger.current
    assert isinstance(step, bt.BackwardStep)
    assert str(step.contribution) == "[nan nan]"


def test_the_dead_layer_is_stopped_at_in_every_iteration_at_the_same_place() -> None:
    session = session_of("dead-relu", "toggle zero-local")
    reached = []
    while session.debugger.continue_():
        reached.append((session.debugger.position, session.debugger.reason.rpartition(", ")[2]))
    assert reached == [(12, "1st hit of 3"), (30, "2nd hit of 3"), (48, "3rd hit of 3"), (54, "")]


def test_only_the_logarithm_that_is_made_safe_afterwards_loses_its_gradient() -> None:
    session = session_of("log-of-zero", "end")
    assert execute(session, "print grad(q)") == "grad(q) = [1, 0.25, 0]"
    assert execute(session, "print grad(p)") == "grad(p) = [1, 0.25, nan]"


def test_every_fact_has_a_scenario_on_which_it_fires() -> None:
    assert {fact.split()[0] for _, fact in FIRST} == set(FACTS)
    assert {f"stops/{name}" for name, _ in FIRST} == {entry.name for entry in bundled() if entry.name.startswith("stops/")}


@pytest.mark.parametrize("name", dict.fromkeys(name for name, _ in FIRST))
def test_the_description_names_the_commands_and_the_steps(name: str) -> None:
    text = bt.load(f"stops/{name}").description
    for command in re.findall(r"`:([^`]*)`", text):
        execute(session_of(name, "end"), command)
    for (other, fact), first in FIRST.items():
        if other == name and " " not in fact:
            assert f"`:toggle {fact}`" in text
            assert f"step {first.step}" in text or fact == "zero-gradient"
