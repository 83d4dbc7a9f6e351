"""What the panels draw, as text: at every width and height, of small arrays and large ones, with any names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from test_view import CALLS, lit

import backprop_tui as bt
from backprop_tui import view
from backprop_tui.debugger import Debugger
from backprop_tui.format import cell_width, circled
from backprop_tui.steps import BackwardStep, ForwardStep
from backprop_tui.tui.panels import bars, chain, notes, program, step, steps, variables
from backprop_tui.tui.panels.arrays import Budget, draw_block, inline
from backprop_tui.view.models import Block, FooterModel, NotesModel, ProgramModel, StepRow
from backprop_tui.view.text import Line, plain
from backprop_tui.wording import wording_of

SIZES = [(width, height) for width in (30, 47, 76, 120) for height in (5, 14, 40)]
NAMES = ("notes/sigmoid", "notes/biases", "notes/square", "examples/mazur", "examples/cs231n-sigmoid-neuron", "calls")
NUMBER = re.compile(r"(?:−|(?<![\w.]))(?:[0-9]+(?:\.[0-9]+)?(?:e−?[0-9]+)?|inf|nan)(?![\w.])")
HOSTILE = """
format = 1
title = "[bold]loud[/bold] [/x] \\u001b]52;c;aGk=\\u0007 \\u009b31m end"
description = "about [/y] \\u001b[2J \\u202e text"
source = "from [link] \\u001b[1m"
program = '''
h = W * x  # [/comment] [red]
L = sum(h)
'''
[data]
x = [1.0, 2.0]
[parameters]
W = [3.0, 4.0]
[symbols]
W = "W[0][bold]"
h = "[/x]"
[[notes]]
at = "h"
phase = "forward"
text = "note [/z] \\u001b]0;owned\\u0007"
"""


def numbers(text: str) -> list[tuple[float, float]]:
    """The numbers in a text, each with half a unit of its last digit."""
    found = []
    for word in NUMBER.findall(text):
        ascii_word = word.replace("−", "-")
        mantissa, _, exponent = ascii_word.partition("e")
        digits = len(mantissa.partition(".")[2])
        found.append((float(ascii_word), 0.5 * 10.0 ** (int(exponent or 0) - digits)))
    return found


def shows(text: str, array: Any) -> bool:
    """Whether every row of an array stands in the text, its entries side by side, one row under the other."""
    matrix = np.asarray(array, dtype=float)
    matrix = matrix.reshape(1, -1) if matrix.ndim < 2 else matrix.reshape(-1, matrix.shape[-1])
    lines = [numbers(line) for line in text.split("\n")]
    at = 0
    for row in matrix:
        while at < len(lines) and not _has_row(lines[at], row):
            at += 1
        if at == len(lines):
            return False
        at += 1
    return True


def _has_row(line: list[tuple[float, float]], row: Any) -> bool:
    return any(
        all(_is(shown, x) for shown, x in zip(line[i : i + len(row)], row, strict=True)) for i in range(len(line) - len(row) + 1)
    )


def _is(shown: tuple[float, float], x: float) -> bool:
    value, half = shown
    return value == x or (np.isnan(value) and np.isnan(x)) or abs(value - x) <= half * (1 + 1e-9)


def text_of(lines: Sequence[Line]) -> str:
    return "\n".join(plain(line) for line in lines)


@cache
def scenario_of(name: str) -> bt.Scenario:
    return bt.loads({"calls": CALLS, "hostile": HOSTILE}[name]) if name in ("calls", "hostile") else bt.load(name)


def at(name: str, position: int) -> Debugger:
    debugger = Debugger(scenario_of(name))
    debugger.go_to(position)
    return debugger


def draw_all(debugger: Debugger, width: int, height: int) -> dict[str, Sequence[Line]]:
    """Every panel and bar at one position."""
    wording = wording_of(debugger.scenario)
    rows = view.steps_model(debugger, wording)
    return {
        "program": program.draw(view.program_model(debugger), width, height),
        "steps": [steps.draw_row(rows, number, width) for number in range(1, min(rows.total, 30) + 1)],
        "step": step.draw(view.step_model(debugger, wording), width, height),
        "chain": chain.draw(view.chain_model(debugger, wording), width, height),
        "variables": variables.draw(view.variables_model(debugger, wording), width, height),
        "notes": notes.draw(view.notes_model(debugger), width, height),
        "timeline": bars.timeline(view.timeline_model(debugger), width),
        "footer": [bars.footer(FooterModel(), width)],
    }


# Shapes.


@pytest.mark.parametrize("name", [*NAMES, "hostile"])
def test_no_line_is_wider_than_its_panel_and_none_is_silent(name: str) -> None:
    debugger = Debugger(scenario_of(name))
    positions = sorted({*range(0, debugger.total + 1, max(1, debugger.total // 9)), 1, debugger.total})
    for position in positions:
        debugger.go_to(position)
        for width, height in SIZES:
            for panel, lines in draw_all(debugger, width, height).items():
                assert text_of(lines).strip(), (panel, position, width)
                for line in lines:
                    assert cell_width(plain(line)) <= width, (panel, position, width, height, plain(line))
                    assert "\n" not in plain(line)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_header_is_exactly_as_wide_as_the_window_and_says_the_step(width: int) -> None:
    for name in NAMES:
        for position in (0, 3, scenario_total(name)):
            debugger = at(name, position)
            for playing in (False, True):
                text = plain(bars.header(view.header_model(debugger, playing=playing), width))
                assert cell_width(text) <= width
                assert re.search(rf"step +{position} of {debugger.total}\b", text)


def scenario_total(name: str) -> int:
    return Debugger(scenario_of(name)).total


@pytest.mark.parametrize("width", [20, 80, 200])
def test_the_timeline_has_one_dot_that_only_moves_to_the_right(width: int) -> None:
    for name in NAMES:
        debugger, dots = Debugger(scenario_of(name)), []
        period = debugger.plan.period
        for position in range(period + 1):
            debugger.go_to(position)
            bar, names = (plain(line) for line in bars.timeline(view.timeline_model(debugger), width))
            assert bar.count("●") == 1
            assert cell_width(bar) <= width
            assert cell_width(names) <= width
            dots.append(bar.index("●"))
        assert dots == sorted(dots)


# Nothing yet.


def test_every_panel_says_something_when_there_is_nothing_yet() -> None:
    bare = Debugger(bt.loads("format = 1\ntitle = 't'\nprogram = 'L = w'\n[parameters]\nw = 1.0\n"))
    texts = {panel: text_of(lines) for panel, lines in draw_all(bare, 60, 12).items()}
    assert "Nothing is executed yet" in texts["step"]
    assert "backward pass" in texts["chain"]
    assert "no notes" in texts["notes"]
    assert "in step 1" in texts["variables"]
    assert "forward" in texts["steps"]
    assert "L = w" in texts["program"]


def test_that_there_is_no_note_here_does_not_say_that_there_is_none_at_all() -> None:
    debugger = Debugger(scenario_of("calls"))
    text = text_of(notes.draw(view.notes_model(debugger), 60, 12))
    assert "no notes" not in text
    assert "No note at this step" in text


# Numbers.


@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_small_arrays_is_there(name: str) -> None:
    debugger, wording = Debugger(scenario_of(name)), wording_of(scenario_of(name))
    while debugger.step():
        model, now = view.step_model(debugger, wording), debugger.current
        for width, height in ((82, 60), (140, 60)):
            text = text_of(step.draw(model, width, height))
            for block in (*model.blocks, *model.totals):
                if block.array is not None and np.size(block.array) <= 12:
                    assert shows(text, block.array), (debugger.position, width, block, text)
            if isinstance(now, BackwardStep):
                for word in ("forward value", "upstream", "local derivative", "product", "gradient of"):
                    assert word in text
        table = text_of(variables.draw(view.variables_model(debugger, wording), 220, 40))
        for row in view.variables_model(debugger, wording).rows:
            (line,) = (part for part in table.split("\n") if part.startswith(row.name + " "))
            for array in (row.value, row.gradient):
                if array is not None:
                    assert shows(line, np.ravel(array))


@pytest.mark.parametrize(("width", "height"), [(76, 11), (80, 24), (30, 40), (50, 5)])
def test_a_scalar_multiplication_is_whole_at_any_size(width: int, height: int) -> None:
    debugger, wording = Debugger(scenario_of(NAMES[4])), wording_of(scenario_of(NAMES[4]))
    while debugger.step():
        model = view.step_model(debugger, wording)
        text = text_of(step.draw(model, width, height))
        for block in (*model.blocks, *model.totals):
            assert block.array is None or shows(text, block.array)


def test_vectors_of_two_are_whole_in_the_variables_beside_the_notes() -> None:
    debugger = at("notes/sigmoid", 12)
    table = text_of(variables.draw(view.variables_model(debugger, wording_of(debugger.scenario)), 52, 20))
    (line,) = (part for part in table.split("\n") if part.startswith("ŷ "))
    assert shows(line, [0.7216325609518421, 0.3253964899471409])
    assert shows(line, [-0.27836743904815786, 2.325396489947141])


LARGE = """
format = 1
title = "large"
program = '''
h = x @ W
L = sum(h * h)
'''
[data]
x = { uniform = [30, 40], low = -1.0, high = 1.0 }
[parameters]
W = { uniform = [40, 20], low = -1.0, high = 1.0 }
"""


@pytest.mark.parametrize(("width", "height"), [(60, 20), (82, 24), (150, 40)])
def test_large_arrays_are_summarised_and_say_so(width: int, height: int) -> None:
    debugger = Debugger(bt.loads(LARGE))
    wording = wording_of(debugger.scenario)
    while debugger.step():
        model = view.step_model(debugger, wording)
        text = text_of(step.draw(model, width, height))
        if any(np.size(block.array) > 100 for block in model.blocks if block.array is not None):
            assert "enlarges" in text or "…" in text
            assert "…" in text or "⋮" in text
    debugger.go_to(1)
    text = text_of(step.draw(view.step_model(debugger, wording), 150, 40))
    assert "30 × 20  z enlarges" in text
    assert "40 × 20  z enlarges" in text
    value = np.asarray(debugger.state.value(debugger.graph.variables["h"]))
    for figure in (value.min(), value.max(), value.mean(), np.linalg.norm(value)):
        assert any(abs(shown - figure) <= max(2 * half, 1e-3 * abs(figure)) for shown, half in numbers(text))
    table = text_of(variables.draw(view.variables_model(debugger, wording), 52, 20))
    (row,) = (part for part in table.split("\n") if part.startswith("W "))
    assert "40 × 20" in row
    assert "…" in row


@pytest.mark.parametrize(
    "array",
    [
        *(np.zeros((0, 3)), np.float64(3.5), np.array([np.nan, np.inf, -np.inf, 0.0]), np.array([[1e300, 1e-30]])),
        *(np.arange(24.0).reshape(2, 3, 4), np.array([[1e-9], [123456.789]]), np.full((2, 2), -0.0)),
    ],
    ids=lambda array: str(np.shape(array)),
)
def test_any_array_is_drawn(array: Any) -> None:
    for rows, columns in ((24, 16), (3, 3), (1, 1)):
        for widest in (16, 40, 200):
            drawn = draw_block(Block("local", "local", "name", array, "note"), Budget(rows, columns), widest=widest)
            assert {cell_width(plain(line)) for line in drawn.lines} == {drawn.width}
            assert drawn.width <= widest
    for width in (8, 20, 100):
        assert cell_width(plain(inline(array, "local", width))) <= max(width, len("(no entries)"))
    if np.ndim(array) < 3:
        assert shows(text_of(list(draw_block(Block("local", "", "", array), Budget(24, 16)).lines)), array) or not np.size(array)


# The chain rule.


@pytest.mark.parametrize("name", NAMES)
def test_the_factors_are_numbered_in_a_row(name: str) -> None:
    debugger, wording = Debugger(scenario_of(name)), wording_of(scenario_of(name))
    while debugger.step():
        model = view.chain_model(debugger, wording)
        for width, height in ((48, 30), (78, 4), (120, 7)):
            lines = chain.draw(model, width, height)
            text = text_of(lines)
            found = [n for n in range(1, 21) if circled(n) in text]
            if not model.factors:
                assert found == []
                continue
            (own,) = lit(model)
            last = next(n for n in range(1, 21) if own.endswith(circled(n)))
            assert last in found
            if cell_width(own) < width:
                spans = [span.text for line in lines for span in line if span.role == "lit"]
                assert "".join(spans) == own
            if last <= 12 and width > 48:
                assert found == list(range(1, last + 1))
            assert "from L" in text or "from" in model.note


def test_shapes_stand_under_their_factors() -> None:
    debugger = at("notes/sigmoid", 14)
    model = view.chain_model(debugger, wording_of(debugger.scenario))
    upper, lower = (plain(line) for line in chain.draw(model, 150, 7)[:2])
    for text, _, shape in model.factors:
        if shape:
            column = upper.index(text)
            assert lower[column : column + len(shape)] == shape


# The program.


def marked(lines: Sequence[Line]) -> str:
    return "\n".join(span.text for line in lines for span in line if span.role.endswith(".mark"))


@pytest.mark.parametrize("name", NAMES)
def test_the_executing_sub_expression_is_marked(name: str) -> None:
    debugger = Debugger(scenario_of(name))
    graph = debugger.graph
    while debugger.step():
        model = view.program_model(debugger)
        lines = program.draw(model, 100, 40)
        now = debugger.current
        if isinstance(now, ForwardStep | BackwardStep):
            k = now.node_index - graph.leaves
            assert marked(lines) == graph.source[graph.starts[k] : graph.ends[k]]
            arrow = "▸" if now.kind == "forward" else "◂"
            (row,) = (i for i, line in enumerate(lines, 1) if plain(line)[1] == arrow)
            assert row == model.marks[0][0] == program.current_line(model) + 1
            assert plain(lines[row - 1]).split()[1] == str(row)


@pytest.mark.parametrize("end", [12, 60, 73])
def test_the_mark_of_a_long_line_is_seen_whole_in_a_narrow_panel(end: int) -> None:
    text = "y = " + " + ".join(f"a{i:02}" for i in range(12))
    assert len(text) == 73
    for start in (0, end - 8, end - 20):
        if start >= 0:
            mark = text[start:end]
            lines = program.draw(ProgramModel((text,), ((1, start, end),), "forward", frozenset(), ()), 34, 5)
            assert cell_width(plain(lines[0])) <= 34
            if len(mark) <= 26:
                assert marked(lines) == mark
            else:
                assert mark.startswith(marked(lines).rstrip("…"))


def test_calls_are_shown_by_their_lines() -> None:
    debugger = at("calls", 1)
    text = text_of(program.draw(view.program_model(debugger), 60, 20)).split("\n")
    assert [i for i, line in enumerate(text, 1) if "↳" in line] == [4]


# Names and texts from files.


@pytest.mark.parametrize("width", [30, 60, 120])
def test_names_are_shown_as_they_are_and_nothing_reaches_the_terminal(width: int) -> None:
    debugger = Debugger(scenario_of("hostile"))
    together = ""
    for position in range(debugger.total + 1):
        debugger.go_to(position)
        texts = [text_of(lines) for lines in draw_all(debugger, width, 20).values()]
        texts.append(plain(bars.header(view.header_model(debugger), 120)))
        texts.append(view.step_model(debugger, wording_of(debugger.scenario)).title)
        texts.append(view.chain_model(debugger, wording_of(debugger.scenario)).title)
        together += "\n".join(texts)
    assert all(char == "\n" or char.isprintable() for char in together)
    for shown in ("[bold]loud[/bold] [/x]", "␛]52;c;aGk=␇", "W[0][bold]", "[/x]", "note [/z]", "␛]0;owned␇"):
        assert shown in together
    if width >= 60:
        assert "h = W * x  # [/comment] [red]" in together
        assert "Source: from [link] ␛[1m" in together


def test_notes_come_before_the_description_and_keep_their_words() -> None:
    model = NotesModel(("one [/a]", "two"), "about it", "a book")
    assert text_of(notes.draw(model, 40, 10)) == "one [/a]\n\ntwo"
    assert text_of(notes.draw(model._replace(here=()), 60, 10)).split("\n") == [
        "No note at this step.",
        "",
        "about it",
        "",
        "Source: a book",
    ]


def test_the_list_of_steps_marks_the_current_one_and_makes_only_the_rows_that_are_seen() -> None:
    debugger = at("examples/mazur", 7)
    made: list[int] = []
    model = view.steps_model(debugger, wording_of(debugger.scenario))

    def row(number: int) -> StepRow:
        made.append(number)
        return model.row(number)

    counted = model._replace(row=row)
    rows = [plain(steps.draw_row(counted, number, 40)) for number in range(5, 10)]
    assert made == [5, 6, 7, 8, 9]
    assert [row[0] for row in rows] == [" ", " ", "▸", " ", " "]
    assert [int(row[1:].split()[0]) for row in rows] == made
