"""Reading a trace made elsewhere: what a line needs, and what is said of a line that cannot be used."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backprop_tui as bt
from backprop_tui.scenario import Limits
from backprop_tui.study import traces
from backprop_tui.study.traces import Trace

SEED = '{"kind": "seed", "node": "L", "grad": 1}'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("traces")


def read(folder: Path, text: str | bytes, limits: Limits | None = None, name: str = "t.jsonl") -> Trace:
    """The trace in a text, read to its end."""
    path = folder / "t.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    trace = Trace(path, name, limits)
    for _ in trace.ready():
        pass
    return trace


def said(folder: Path, text: str | bytes, limits: Limits | None = None) -> str:
    """What is said of a text that cannot be used: one printable line that begins with the file's name."""
    with pytest.raises(bt.CommandError) as caught:
        read(folder, text, limits)
    message = str(caught.value)
    assert message.startswith("t.jsonl:")
    assert message.isprintable()
    assert len(message) < 300
    return message.removeprefix("t.jsonl:")


def forward(**more: Any) -> str:
    return json.dumps({"kind": "forward", "node": "h", "value": 1, **more})


# What is read.


def test_the_numbers_of_each_kind_are_read(folder: Path) -> None:
    lines = [
        {"kind": "forward", "node": "h", "iteration": 2, "value": [[1, 2.5], [3, "nan"]], "colour": {"deep": [[]]}},
        {"kind": "seed", "node": "L", "grad": 1},
        {"kind": "backward", "node": "L", "operand": "h", "local": {"how": "left", "value": 3}, "upstream": "-inf"},
        {"kind": "update", "node": "w", "before": 1, "grad": [], "after": [[], []]},
        {"kind": "summary", "loss": "whatever"},
    ]
    trace = read(folder, "\n\n".join(map(json.dumps, lines)) + "\n")
    assert len(trace) == 4
    assert list(trace.each_key()) == [
        (2, "forward", "h", ""),
        (0, "seed", "L", ""),
        (0, "backward", "L", "h"),
        (0, "update", "w", ""),
    ]
    np.testing.assert_array_equal(trace.facts(1)["value"], [[1, 2.5], [3, math.nan]])
    assert trace.facts(2) == {"grad": 1.0}
    assert trace.facts(3) == {"local": 3.0, "upstream": -math.inf}
    assert (trace.how(3), trace.how(2)) == ("left", "")
    assert [np.shape(trace.facts(4)[name]) for name in ("before", "grad", "after")] == [(), (0,), (2, 0)]
    assert [trace.place(number) for number in (1, 2, 4)] == ["line 1", "line 3", "line 7"]
    assert trace.line(2) == lines[1]
    assert trace.line(1) == {key: value for key, value in lines[0].items() if key != "colour"}


def test_the_order_of_the_numbers_in_a_line_is_its_own(folder: Path) -> None:
    line = '{"value": 1, "node": "h", "kind": "forward"}'
    assert json.dumps(read(folder, line).line(1)) == line


def test_what_python_writes_for_numbers_that_are_none_is_read(folder: Path) -> None:
    trace = read(folder, '{"kind": "forward", "node": "h", "value": [NaN, -Infinity, Infinity, 1e999, "nan"]}')
    np.testing.assert_array_equal(trace.facts(1)["value"], [math.nan, -math.inf, math.inf, math.inf, math.nan])
    assert trace.line(1)["value"] == ["nan", "-inf", "inf", "inf", "nan"]


def test_line_ends_of_every_kind_and_a_byte_order_mark_are_taken(folder: Path) -> None:
    assert len(read(folder, f"\ufeff{SEED}\r\n{SEED}\r\n\r\n{SEED}")) == 3


def test_of_a_handed_on_line_everything_is_what_the_format_says(folder: Path) -> None:
    odd = {"step": "x", "op": 3, "operands": [["deep"]], "shape": {}, "summed_axes": "no", "line": True, "operand": "w"}
    assert read(folder, forward(**odd)).line(1) == {"kind": "forward", "node": "h", "value": 1}
    odd = {"kind": "backward", "operand": "w", "grad": 1, "local": {"text": [], "how": "left"}}
    assert read(folder, json.dumps({"node": "h", **odd})).line(1) == {"node": "h", "kind": "backward", "operand": "w", "grad": 1}


def test_it_is_read_in_parts_and_only_once(folder: Path) -> None:
    path = folder / "long.jsonl"
    path.write_text("\n".join([SEED] * 5000), encoding="utf-8")
    trace = Trace(path, "long")
    seen = list(trace.ready())
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert list(trace.ready()) == []
    assert len(trace) == 5000


def test_a_file_that_was_changed_after_it_was_read_is_said_to_be(folder: Path) -> None:
    trace = read(folder, f"{forward()}\n{SEED}\n")
    for text in ("", forward() + "\n", " " * len(forward()) + "[[[[", forward() + "\n" + forward()):
        (folder / "t.jsonl").write_text(text, encoding="utf-8")
        with pytest.raises(bt.CommandError, match=r"^t\.jsonl:2: not what it was: the file was changed meanwhile$"):
            trace.line(2)


# What is said.


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hello", "not JSON: expecting value at column 1; a trace has one JSON object a line"),
        ('{"kind": "seed",', "not JSON: expecting property name enclosed in double quotes at column 17; a trace has"),
        ("[1]", 'not a JSON object; a trace has one a line, such as {"kind": "seed", …}'),
        ("3", "not a JSON object"),
        ("{}", "no 'kind'; it is one of forward, seed, backward, update or summary"),
        ('{"kind": "forwards"}', "the kind is 'forwards'; it is one of forward, seed"),
        ('{"kind": ["seed"]}', "the kind is a list; it is one of"),
        ('{"kind": "seed"}', "no 'node'; it is what the program calls it, or its source text"),
        ('{"kind": "seed", "node": ""}', "'node' is ''; it is what the program calls it"),
        ('{"kind": "seed", "node": 3}', "'node' is 3; it is what"),
        ('{"kind": "backward", "node": "L", "grad": 1}', "no 'operand'; it is what"),
        (forward(iteration=-1), "'iteration' is -1; it is a whole number, counted from 0"),
        (forward(iteration=1.5), "'iteration' is 1.5; it is a whole number"),
        (forward(iteration=True), "'iteration' is true; it is"),
        (forward(iteration=10**300), "'iteration' is a number of many digits; it is"),
        ('{"kind": "forward", "node": "h"}', "a forward line without numbers: it has 'value'"),
        (
            '{"kind": "update", "node": "w", "afterwards": 1}',
            "an update line without numbers: it has 'after' or 'grad' or 'before'; did you mean 'after'?",
        ),
        ('{"kind": "backward", "node": "L", "operand": "w", "local": 1, "grad": 1}', "'local' is no object; it is written {"),
        (forward(value=[[1, 2], [3]]), "the rows of 'value' have different lengths; the rows of an array have one length"),
        (forward(value=[1, [2]]), "'value' has numbers and lists side by side; an array has the same depth everywhere"),
        (forward(value="one"), '\'value\' has \'one\' in it; numbers, "nan", "inf" and "-inf" are values'),
        (forward(value=["NaN"]), "'value' has 'NaN' in it"),
        (forward(value=[1, None]), "'value' has null in it"),
        (forward(value=[True]), "'value' has true in it"),
        (forward(value={"a": 1}), "'value' has an object in it"),
        (forward(value=["\x1b[2J\n" * 100]), "'value' has '␛[2J␊"),
        (forward(value=10**400), "'value' has a number too large for 64 bits in it; write \"inf\""),
        (forward(value=[[10**400]]), "'value' has a number too large"),
        (forward().replace("1", "1" * 5000), "a number of thousands of digits; 64 bits hold about 17"),
        (forward(value=eval("[" * 33 + "1" + "]" * 33)), "'value' has more than 32 axes"),
        (forward(node="h" * 100_001), "'node' has more than 100,000 characters"),
        (forward(node="h").replace("h", "\x00"), "not JSON: invalid control character"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_with_what_would_be_right(folder: Path, line: str, message: str) -> None:
    assert said(folder, f"{SEED}\n{line}\n{SEED}\n").startswith(f"2: {message}")


def test_lists_nested_without_end_are_refused(folder: Path) -> None:
    assert said(folder, forward(value="x").replace('"x"', "[" * 200_000 + "]" * 200_000)).startswith("1: lists nested too deep")
    assert said(folder, "[" * 200_000).startswith("1: ")
    deep = forward(colour="x").replace('"x"', "[" * 900 + "]" * 900)
    assert read(folder, deep).line(1) == {"kind": "forward", "node": "h", "value": 1}


def test_bytes_that_are_no_text_are_refused(folder: Path) -> None:
    assert said(folder, SEED.encode() + b"\n\xff\xfe{}") == "2: not UTF-8; a trace is JSON in UTF-8"


@pytest.mark.parametrize("text", ["", "\n \n", '{"kind": "summary"}'])
def test_a_file_without_a_step_is_no_trace(folder: Path, text: str) -> None:
    assert said(folder, text).startswith(" no steps in it; a trace has one JSON object a line")


def test_there_are_bounds_and_they_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = f"{SEED}\n{SEED}\n"
    assert said(folder, two, Limits(max_steps=1)) == "2: more than 1 steps; raise the limit with --max-steps"
    assert said(folder, two, Limits(max_bytes=50)) == " 82 bytes, more than 50; raise the limit with --max-bytes"
    monkeypatch.setattr(traces, "MOST_LINE", 50)
    assert len(read(folder, two)) == 2
    assert said(folder, f"{SEED}\n{SEED}{' ' * 20}") == "2: a line of more than 50 bytes; a trace has one step a line"


def test_a_file_that_grows_while_it_is_read_is_bounded_too(folder: Path) -> None:
    path = folder / "growing.jsonl"
    path.write_text(f"{SEED}\n" * 3000, encoding="utf-8")
    trace = Trace(path, "g", Limits(max_bytes=path.stat().st_size))
    parts = trace.ready()
    next(parts)
    with path.open("a") as more:
        more.write(f"{SEED}\n" * 3000)
    with pytest.raises(bt.CommandError, match=r"^g: more than [\d,]+ bytes; raise the limit with --max-bytes$"):
        list(parts)


@pytest.mark.parametrize(
    ("path", "reason"),
    [(".", "not a regular file"), ("nowhere", "cannot be read: No such file"), ("/dev/null", "not a regular file")],
)
def test_what_is_no_file_is_named(path: str, reason: str) -> None:
    with pytest.raises(bt.CommandError) as caught:
        list(Trace(Path(path), "t").ready())
    assert str(caught.value).startswith(f"t: {reason}")


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(folder: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("there are no named pipes here")
    os.mkfifo(folder / "pipe")
    with pytest.raises(bt.CommandError, match="not a regular file"):
        list(Trace(folder / "pipe", "t").ready())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["nan", "forward", "left"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["text", "how", "value", "x"]), inner, max_size=3),
    max_leaves=8,
)
fields = ["iteration", "operand", "value", "grad", "local", "upstream", "contribution", "before", "after", "op", "shape"]
objects = st.fixed_dictionaries(
    {"kind": st.sampled_from(["forward", "seed", "backward", "update"]), "node": st.text(min_size=1, max_size=3)},
    optional=dict.fromkeys(fields, json_values),
)


@given(st.lists(objects | json_values, max_size=4))
@settings(max_examples=150, deadline=None)
def test_whatever_the_lines_hold_it_is_read_or_refused_in_one_line(folder: Path, values: list[Any]) -> None:
    try:
        trace = read(folder, "\n".join(map(json.dumps, values)))
    except bt.CommandError:
        assert said(folder, "\n".join(map(json.dumps, values)))
        return
    for number in range(1, len(trace) + 1):
        assert trace.facts(number)
        json.dumps(trace.line(number), allow_nan=False)


@given(st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_read_or_refused_in_one_line(folder: Path, raw: bytes) -> None:
    assert said(folder, raw)
