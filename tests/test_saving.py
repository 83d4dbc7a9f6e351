"""A session as a document, and back: everything a person did is there again, and a damaged document is refused in words."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_panels import scenario_of

import backprop_tui as bt
from backprop_tui.console import execute
from backprop_tui.errors import BackpropError, CommandError
from backprop_tui.saving import document, parsed, restored
from backprop_tui.session import Session

DID = (
    "break 3 if norm(value) > 0.5",
    "break W1 in backward",
    "break change grad(W2)",
    "break op sigmoid",
    "break phase seed",
    "toggle large-gradient 2.5",
    "toggle 4",
    "delete 2",
    "watch norm(grad(W1))",
    "watch W2[0, 0]",
    "step 5",
    "bookmark here",
    "note a thought: [bold] ∂L/∂z",
    "edit W2[0, 0] = 7",
    "step 3",
    "edit grad(yhat) = yhat * 2",
    "continue",
    "switch 1",
    "edit z1 = nan",
    "search f1",
    "switch 2",
)


def made(*lines: str, name: str = "notes/sigmoid") -> Session:
    session = Session(scenario_of(name))
    for line in lines:
        execute(session, line)
    return session


def again(session: Session) -> Session:
    """Through JSON, as if it had been given to somebody else."""
    return restored(parsed(json.dumps(document(session)).encode(), "it.json"), "it.json")


def same(a: Session, b: Session) -> None:
    first, second = a.debugger, b.debugger
    assert (first.position, first.stage, first.detail) == (second.position, second.stage, second.detail)
    assert (first.run_number, len(first.recordings)) == (second.run_number, len(second.recordings))
    assert [stop.text for stop in first.stops.breakpoints] == [stop.text for stop in second.stops.breakpoints]
    assert first.stops.breakpoints == second.stops.breakpoints or [
        (stop.number, stop.question, stop.enabled) for stop in first.stops.breakpoints
    ] == [(stop.number, stop.question, stop.enabled) for stop in second.stops.breakpoints]
    assert [watch.text for watch in a.watches] == [watch.text for watch in b.watches]
    assert (a.bookmarks, a.notes, a.sought) == (b.bookmarks, b.notes, b.sought)
    assert [(e.line, e.count, e.position) for e in a.log] == [(e.line, e.count, e.position) for e in b.log]
    for one, other in zip(first.recordings, second.recordings, strict=True):
        for position in (0, first.total // 2, first.total):
            left, right = one.state(position).snapshot(), other.state(position).snapshot()
            assert left.keys() == right.keys()
            for key, (value, gradient) in left.items():
                np.testing.assert_equal(right[key][0], value)
                np.testing.assert_equal(right[key][1], gradient)


def test_everything_that_was_done_is_there_again() -> None:
    session = made(*DID)
    assert len(session.debugger.recordings) == 4
    same(session, again(session))


def test_a_session_that_was_restored_is_the_same_document() -> None:
    session = made(*DID)
    first, second = document(session), document(again(session))
    for found in (first, second):
        found.pop("seconds")
    assert first == second


def test_a_stage_inside_a_multiplication_is_kept() -> None:
    session = made("go_to 10", "detail", "step", "step")
    assert session.debugger.stage == "local"
    same(session, again(session))


def test_a_recording_whose_parent_was_undone_is_made_again() -> None:
    session = made("step 4", "edit W2[0, 0] = 7", "step 2", "edit f1 = 0", "step 2", "switch 2", "undo")
    assert len(session.debugger.recordings) == 2
    same(session, again(session))


@pytest.mark.parametrize("name", ["examples/mazur", "calls", "notes/batch"])
def test_other_scenarios_are_kept_too(name: str) -> None:
    session = made("step 7", "watch 1 + 1", "end", "step_back 3", name=name)
    same(session, again(session))


def test_the_files_that_a_scenario_names_are_inside(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data" / "x.npy", np.array([[1.0, 2.0]]))
    text = (
        "format = 1\ntitle = 't'\nprogram = 'L = sum(x * w)'\n[data]\nx = { file = 'data/x.npy' }\n[parameters]\nw = [[3.0, 4.0]]\n"
    )
    (tmp_path / "s.toml").write_text(text, encoding="utf-8")
    session = Session(bt.load(tmp_path / "s.toml"))
    execute(session, "step 2")
    found = json.loads(json.dumps(document(session)))
    (tmp_path / "data" / "x.npy").unlink()
    other = restored(found, "it.json")
    same(session, other)
    assert document(other)["scenario"] == found["scenario"]
    with pytest.raises(CommandError, match=r"cannot save: the file 'data/x.npy' cannot be read"):
        document(session)


def test_a_breakpoint_of_the_scenario_that_nobody_could_write_is_kept() -> None:
    text = "format = 1\ntitle = 't'\nprogram = '''\n# nothing\nL = w * w\n'''\n[parameters]\nw = 3.0\n[[breakpoints]]\nline = 1\n"
    session = Session(bt.loads(text))
    assert [stop.text for stop in session.debugger.stops.breakpoints] == ["line 1"]
    execute(session, "step")
    same(session, again(session))


def test_the_time_goes_on() -> None:
    now = [100.0]
    session = Session(scenario_of("notes/sigmoid"), clock=lambda: now[0])
    now[0] = 160.0
    execute(session, "step")
    found = document(session)
    assert found["seconds"] == 60.0
    assert restored(found, "it.json").seconds >= 60.0


# What is no document.


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[]", "it does not say that its format is"),
        (b'{"format": "other"}', "it does not say that its format is"),
        (b'{"format": "backprop-tui session", "version": 2}', "a session of version 2; this program reads version 1"),
        (b'{"format": "backprop-tui session", "version": true}', "a session of version True"),
        (b'{"format": "backprop-tui session"}', "a session of version None"),
    ],
)
def test_what_is_no_session_is_refused_in_words(raw: bytes, why: str) -> None:
    with pytest.raises(CommandError) as caught:
        parsed(raw, "it.json")
    assert str(caught.value).startswith("it.json: ")
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


FOUND = document(made(*DID))


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (("scenario", "text"), "format = 1", "does not fit its digest"),
        (("scenario",), [], "'scenario' is not an object"),
        (("scenario", "files"), {"../x.npy": ""}, "of files beside the scenario"),
        (("scenario", "files"), {"/etc/x.npy": ""}, "of files beside the scenario"),
        (("scenario", "files"), {"x.npy": "%%%"}, "of files in base64"),
        (("position",), 15, "'position' is not a whole number from 0 to 14"),
        (("position",), True, "'position' is not a whole number"),
        (("recording",), 9, "'recording' is not a whole number from 1 to 4"),
        (("recordings",), [], "'recordings' is not the scenario's own recording"),
        (("recordings",), [[], [[5, "W9 = 1"]]], "unknown name 'W9'"),
        (("recordings",), [[], [[99, "W1 = 1"]]], "'recordings' is not a whole number from 0 to 14"),
        (("breakpoints",), [[1, "line 99", True]], "the program has no line '99'"),
        (("breakpoints",), [[1, "line 3", 1]], "'breakpoints' is not true or false"),
        (("breakpoints",), [[1, "line 3"]], "'breakpoints' is not a list of lists of 3"),
        (("watches",), ["__import__('os')"], ""),
        (("watches",), 3, "'watches' is not a list"),
        (("bookmarks",), {"x": -1}, "'bookmarks' is not a whole number"),
        (("notes",), {"x": "y"}, "'notes' is not a whole number"),
        (("breakpoints",), [[1, "line 3", True], [1, "line 4", True]], "'breakpoints' is not a list with one breakpoint 1"),
        (("search",), 3, "'search' is not a text"),
        (("seconds",), 10**400, "'seconds' is not a number"),
        (("seconds",), -1, "'seconds' is not a time in seconds since the session began"),
        (("log",), [[10**400, "step", 1, 0, 1, None]], "'log' is not a number"),
        (("log",), [[0, "step", 1, 1e308, 1, None]], "'log' is not a time in seconds since the session began"),
        (("log",), [[0, "step", 1, 0, 1, 10**400]], "'log' is not a number"),
        (("log",), [[0, "step", 10**12, 0, 1, None]], "'log' is not a whole number from 1 to 1000000000"),
        (("seconds",), "nan", "'seconds' is not a number"),
        (("log",), [[0, "step", 0, 0, 1, None]], "'log' is not a whole number"),
        (("log",), [[0, "step"]], "'log' is not a list of lists of 6"),
        (("stage",), "x", "'stage' is not a whole number"),
        (("detail",), "yes", "'detail' is not true or false"),
    ],
)
def test_a_field_that_is_wrong_is_named(path: tuple[str, ...], value: Any, why: str) -> None:
    found = copy.deepcopy(FOUND)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(BackpropError) as caught:
        restored(found, "it.json")
    assert "it.json" in str(caught.value)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_messages_show_of_a_strangers_file_cannot_command_a_terminal() -> None:
    found = copy.deepcopy(FOUND)
    found["scenario"]["name"] = "a\x1b[31m\nb" + "c" * 1000
    name = restored(found, "it.json").scenario.name
    assert name.isprintable()
    assert len(name) <= 200
    with pytest.raises(CommandError) as caught:
        parsed(json.dumps(found | {"version": "\x1b[2J\n"}).encode(), "it.json")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("field", [key for key in FOUND if key not in ("format", "version", "stage")])
def test_a_field_that_is_missing_is_named(field: str) -> None:
    found = {key: value for key, value in FOUND.items() if key != field}
    with pytest.raises(CommandError, match=field):
        restored(found, "it.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(FOUND)), JSON)
def test_whatever_stands_in_a_field_it_is_restored_or_refused_in_one_line(field: str, value: Any) -> None:
    found = copy.deepcopy(FOUND)
    found[field] = value
    try:
        restored(parsed(json.dumps(found).encode("utf-8", "surrogatepass"), "it.json"), "it.json")
        said = ""
    except BackpropError as error:
        said = str(error)
    assert "\n" not in said
