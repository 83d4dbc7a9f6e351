"""The models of the panels, at every position of some scenarios: what they say is what the recording holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

import backprop_tui as bt
from backprop_tui import view, whatif
from backprop_tui.debugger import Debugger
from backprop_tui.format import circled, shape_text
from backprop_tui.steps import BackwardStep, ForwardStep, SeedStep, UpdateStep
from backprop_tui.study.chain_rule import way_to
from backprop_tui.view.models import Block, ChainModel, VariableRow
from backprop_tui.view.text import plain
from backprop_tui.wording import Wording, wording_of

CALLS = """
format = 1
title = "Calls, a loop, a broadcast sum and a fan-out, trained twice"
program = '''
def layer(a, w):
    z = a * w + b
    return tanh(z)
h = layer(x, w)
for i in range(2):
    h = layer(h, w)
unused = w * 2
u = sigmoid(c)
L = sum(h * h) + sum(softmax(h)) * u
'''
[data]
x = [[0.5, -1.0, 0.25], [1.5, 0.75, -0.5]]
[parameters]
w = [0.3, 0.7, -0.2]
b = [[0.1], [0.2]]
c = 0.4
idle = [1.0, 2.0]
[training]
steps = 2
learning_rate = 0.1
[[notes]]
at = "h"
phase = "forward"
text = "forward h"
[[notes]]
at = "w"
phase = "backward"
text = "backward w"
[[notes]]
at = "w"
phase = "update"
text = "update w"
[[notes]]
line = 9
text = "line nine"
"""
NAMES = (
    *("notes/sigmoid", "notes/batch", "notes/biases", "notes/square", "notes/scalar-sum"),
    *("examples/mazur", "examples/mazur-second-step", "examples/karpathy-fan-out", "examples/cs231n-sigmoid-neuron"),
    *("examples/baydin-table", "calls"),
)
SCALARS = ("examples/cs231n-sigmoid-neuron", "examples/baydin-table", "examples/karpathy-neuron")
every_scenario = pytest.mark.parametrize("name", NAMES)


@cache
def scenario_of(name: str) -> bt.Scenario:
    return bt.loads(CALLS) if name == "calls" else bt.load(name)


@cache
def truth_of(name: str) -> bt.Recording:
    """The run to its end, apart from any debugger."""
    return bt.record(scenario_of(name))


def positions(name: str) -> Iterator[tuple[Debugger, Wording, bt.Recording]]:
    """A debugger stepped through every position, and the recording it is compared with."""
    debugger, wording = Debugger(scenario_of(name)), wording_of(scenario_of(name))
    yield debugger, wording, truth_of(name)
    while debugger.step():
        yield debugger, wording, truth_of(name)


def same(block: Block | None, array: Any) -> None:
    assert block is not None
    assert block.array is not None
    np.testing.assert_array_equal(block.array, array)
    assert np.shape(block.array) == np.shape(array)


# The header, the timeline, the list of steps.


@every_scenario
def test_header_timeline_and_steps_say_where_one_is(name: str) -> None:
    for debugger, wording, truth in positions(name):
        header, timeline = view.header_model(debugger), view.timeline_model(debugger)
        steps = view.steps_model(debugger, wording)
        position = debugger.position
        assert (header.step, header.total, header.title) == (position, len(truth), scenario_of(name).title)
        assert (timeline.position, steps.position, steps.total) == (position, position, len(truth))
        assert timeline.start <= position <= timeline.end
        if position == 0:
            assert header.phase is None
            continue
        step = truth[position - 1]
        assert (header.phase, header.iteration) == (step.kind, step.iteration + 1)
        inside = [phase for phase, first, last in timeline.spans if first <= position <= last]
        assert inside == [step.kind]


@every_scenario
def test_every_row_of_the_list_names_its_step(name: str) -> None:
    scenario, truth = scenario_of(name), truth_of(name)
    wording = wording_of(scenario)
    steps = view.steps_model(Debugger(scenario), wording)
    for step in truth:
        row = steps.row(step.number)
        assert (row.number, row.kind) == (step.number, step.kind)
        assert wording.name(step.node_index) in row.text
        if isinstance(step, BackwardStep):
            assert row.text == f"{wording.name(step.node_index)} → {wording.name(step.operand_index)}"


# The program.


def leading_lines(source: str) -> int:
    return len(source) - len(source.lstrip("\n"))


@every_scenario
def test_the_mark_is_on_the_sub_expression_that_is_executing(name: str) -> None:
    for debugger, _, _ in positions(name):
        model = view.program_model(debugger)
        graph, place = debugger.graph, debugger.place
        assert list(model.lines) == graph.source.strip("\n").split("\n")
        if place is None or place.phase == "update":
            assert model.marks == ()
            continue
        marked = [model.lines[line - 1][start:end] for line, start, end in model.marks]
        if place.phase == "seed":
            assert marked == [model.lines[graph.line_of(graph.loss) - 1 - leading_lines(graph.source)]]
        else:
            k = debugger.plan.node_at(place) - graph.leaves
            assert "\n".join(marked) == graph.source[graph.starts[k] : graph.ends[k]]


def test_the_lines_that_were_called_from_are_known() -> None:
    seen = set()
    for debugger, _, _ in positions("calls"):
        model, context = view.program_model(debugger), view.header_model(debugger).context
        seen.add((model.calls, context))
        for line in model.calls:
            assert "layer(" in model.lines[line - 1]
    contexts = {context for _, context in seen}
    assert any("in layer" in context for context in contexts)
    assert any(calls == (6,) for calls, _ in seen)
    assert any(calls == (4,) for calls, _ in seen)


# The multiplication.


@every_scenario
def test_the_blocks_of_a_step_are_the_recordings_arrays(name: str) -> None:
    kinds = set()
    for debugger, wording, truth in positions(name):
        model = view.step_model(debugger, wording)
        if not debugger.position:
            assert model.blocks == ()
            assert model.empty
            continue
        step = truth[debugger.position - 1]
        kinds.add(step.kind)
        assert model.title.startswith(step.kind)
        assert wording.name(step.node_index) in model.title
        if isinstance(step, ForwardStep):
            assert model.forward is None
            same(model.blocks[-1], step.value)
            shown = dict.fromkeys(i for i in step.operand_indices if i not in truth.graph.constants)
            assert [block.name for block in model.blocks[:-1]] == [wording.name(i) for i in shown]
            for block, index in zip(model.blocks, shown, strict=False):
                same(block, truth.value(step.iteration, index))
        elif isinstance(step, SeedStep):
            assert [float(block.array) for block in model.blocks if block.array is not None] == [1.0]
        elif isinstance(step, BackwardStep):
            check_multiplication(model.blocks, step)
            same(model.forward, truth.value(step.iteration, step.node_index))
            check_totals(model.totals, step)
            assert model.contribution == "contribution {} of {}".format(*step.contribution_number)
        elif isinstance(step, UpdateStep):
            before, gradient, after = (block.array for block in model.blocks)
            rate = truth.plan.learning_rate
            np.testing.assert_allclose(np.asarray(after), np.asarray(before) - rate * np.asarray(gradient), rtol=1e-15)
            same(model.blocks[1], step.grad)
    assert kinds >= {"forward", "seed", "backward"}


def check_multiplication(blocks: tuple[Block, ...], step: BackwardStep) -> None:
    """Upstream and local stand in the order in which they are multiplied; their product is what it says."""
    first, second, product = blocks
    upstream, local = (second, first) if step.how == "left" else (first, second)
    assert (upstream.title, local.title, product.title) == ("upstream", "local derivative", "product")
    assert upstream.array is not None
    np.testing.assert_array_equal(np.ravel(upstream.array), np.ravel(step.upstream))
    same(product, step.product)
    if np.ndim(step.local) < 4:
        same(local, step.local)
    assert local.array is not None
    if step.how in ("left", "right"):
        multiplied = np.asarray(first.array) @ np.asarray(second.array)
    elif step.how in ("elementwise", "broadcast"):
        multiplied = np.asarray(first.array) * np.asarray(second.array)
    else:
        return
    np.testing.assert_allclose(np.ravel(multiplied), np.ravel(step.product), rtol=1e-12, atol=1e-300)


def check_totals(totals: tuple[Block, ...], step: BackwardStep) -> None:
    """The gradient before, plus what is added, is the gradient after."""
    before, added, after = totals
    assert (before.array is None) == (step.before is None)
    assert before.note == ("nothing yet" if step.before is None else "")
    same(added, step.contribution)
    same(after, step.grad)
    total = np.asarray(step.contribution) if before.array is None else np.asarray(before.array) + step.contribution
    np.testing.assert_array_equal(np.asarray(after.array), total)
    if step.summed_axes:
        summed = np.sum(step.product, axis=step.summed_axes).reshape(np.shape(step.contribution))
        np.testing.assert_allclose(np.asarray(added.array), summed, rtol=1e-12, atol=1e-15)
        assert "axis" in added.title


def test_inside_a_multiplication_only_what_is_reached_is_there() -> None:
    debugger = Debugger(scenario_of("calls"))
    wording = wording_of(debugger.scenario)
    debugger.detail = True
    seen = set()
    while debugger.step():
        step = debugger.current
        if debugger.stage is None or not isinstance(step, BackwardStep):
            continue
        model = view.step_model(debugger, wording)
        reached = ("upstream", "local", "product", "sum", "accumulate").index(debugger.stage)
        seen.add(debugger.stage)
        local = next(block for block in model.blocks if block.title == "local derivative")
        upstream = next(block for block in model.blocks if block.title == "upstream")
        assert upstream.array is not None
        assert (local.array is not None) == (reached >= 1)
        assert (model.blocks[2].array is not None) == (reached >= 2)
        _, added, after = model.totals
        assert (added.array is not None) == (reached >= (3 if step.summed_axes else 2))
        assert after.array is None or debugger.stage == "accumulate"
        assert model.sentences[0].lower().startswith(debugger.stage)
        changed = [row for row in view.variables_model(debugger, wording).rows if row.gradient_changed]
        assert changed == []
    assert seen >= {"upstream", "local", "product", "sum"}


def test_a_kink_and_an_overflow_are_pointed_out() -> None:
    warnings = []
    scenario = bt.loads(
        "format = 1\ntitle = 't'\nprogram = '''\na = relu(w)\nL = sum(a) + exp(exp(v) * 0.1)\n'''\n"
        "[parameters]\nw = [0.0, 1.0]\nv = 9.0\n"
    )
    debugger = Debugger(scenario)
    while debugger.step():
        warnings.append(view.step_model(debugger, wording_of(scenario)).warning)
    assert any("does not exist at 1 of 2 entries" in warning for warning in warnings)
    assert any("ot finite" in warning for warning in warnings)


# Sentences.


@every_scenario
def test_sentences_contain_the_real_names(name: str) -> None:
    for debugger, wording, truth in positions(name):
        model = view.step_model(debugger, wording)
        assert model.sentences
        assert all(model.sentences)
        if not debugger.position:
            continue
        step, text = truth[debugger.position - 1], " ".join(model.sentences)
        if isinstance(step, BackwardStep):
            assert wording.name(step.operand_index) in text
            assert wording.name(step.operand_index) in plain(model.equation)
        else:
            assert wording.name(step.node_index) in text or isinstance(step, ForwardStep)


@every_scenario
def test_the_steps_that_will_read_a_stored_value_do_read_it(name: str) -> None:
    for debugger, wording, truth in positions(name):
        step = truth[debugger.position - 1] if debugger.position else None
        if not isinstance(step, ForwardStep):
            continue
        text = " ".join(view.step_model(debugger, wording).sentences)
        found = re.search(r"is stored: the local derivatives? of steps? ([0-9, ]+)(?: and (\d+) more)? will read it", text)
        readers = [
            other.number
            for other in truth
            if isinstance(other, BackwardStep) and other.iteration == step.iteration and step.node_index in other.read_indices
        ]
        assert bool(found) == bool(readers)
        if found:
            named = [int(number) for number in found.group(1).split(",")]
            assert named == readers[: len(named)]
            assert len(named) + int(found.group(2) or 0) == len(readers)


@every_scenario
def test_what_is_said_of_the_other_order_is_true(name: str) -> None:
    for debugger, wording, truth in positions(name):
        step = truth[debugger.position - 1] if debugger.position else None
        if not isinstance(step, BackwardStep) or step.how not in ("left", "right"):
            continue
        model = view.step_model(debugger, wording)
        text = " ".join(model.sentences)
        first, second = (np.asarray(block.array) for block in model.blocks[:2])
        own = f"Shapes: ({shape_text(first.shape)}) @ ({shape_text(second.shape)}) = {shape_text(step.product_shape)}"
        assert own in text
        other = f"The other order, ({shape_text(second.shape)}) @ ({shape_text(first.shape)}),"
        assert other in text
        said = text.partition(other)[2].strip()
        try:
            shape = (second @ first).shape
        except ValueError:
            assert said.startswith("does not conform")
            continue
        if shape == step.product_shape:
            assert said.startswith("has the same shape here and is wrong all the same")
        else:
            assert said.startswith(f"is {shape_text(shape)}.")


def test_where_a_wrong_order_conforms_it_is_said() -> None:
    texts = [" ".join(view.step_model(debugger, wording).sentences) for debugger, wording, _ in positions("notes/square")]
    assert any("shapes alone prove nothing" in text for text in texts)


# The chain rule.


def lit(model: ChainModel) -> list[str]:
    return [text for text, role, _ in model.factors if role == "lit"]


def numbers_in(model: ChainModel) -> list[int]:
    circles = {circled(n): n for n in range(1, 21)}
    found = [text.rsplit(" ", 1)[-1] for text, _, _ in model.factors]
    return [
        circles[word] if word in circles else int(word[1:-1]) for word in found if word in circles or re.fullmatch(r"\(\d+\)", word)
    ]


def ways_to(truth: bt.Recording, target: int) -> int:
    """How many ways lead from the loss to a node, walked one by one."""
    if target == truth.graph.loss:
        return 1
    return sum(ways_to(truth, truth.plan.sources[int(k)]) for k in truth.plan.writes_to(target))


def depth_of(truth: bt.Recording, step: BackwardStep) -> int:
    """How many factors lie on the way: up from the step, each time through the first contribution."""
    depth, node = 1, step.node_index
    while node != truth.graph.loss:
        node = truth.plan.sources[int(truth.plan.writes_to(node)[0])]
        depth += 1
    return depth


@every_scenario
def test_the_last_factor_is_lit_and_has_the_number_of_its_place(name: str) -> None:
    for debugger, wording, truth in positions(name):
        model = view.chain_model(debugger, wording)
        step = truth[debugger.position - 1] if debugger.position else None
        if not isinstance(step, BackwardStep):
            assert model.factors == ()
            assert model.lines
            continue
        depth = depth_of(truth, step)
        (text,) = lit(model)
        assert text.endswith(f" {circled(depth)}")
        assert wording.local(step).strip("()") in text
        assert sorted(numbers_in(model)) == list(range(max(1, depth - 12), depth + 1))
        ways = way_to(debugger.recording, step).ways
        assert model.left == ("" if ways == 1 else "part of ") + wording.gradient(step.operand_index)
        pieces = [piece for piece in model.factors if not piece[0].startswith("Σ axis") and piece[0] != ")"]
        assert pieces[0 if step.how == "left" else -1][1] == "lit"


@every_scenario
def test_how_many_ways_lead_to_an_operand(name: str) -> None:
    for debugger, wording, truth in positions(name):
        step = truth[debugger.position - 1] if debugger.position else None
        if isinstance(step, BackwardStep):
            ways = ways_to(truth, step.operand_index)
            note = view.chain_model(debugger, wording).note
            assert re.match(r"[\d,]+", note.replace(",", "")).group() == str(ways)  # type: ignore[union-attr]  # it matches, or the test fails
            if step.contribution_number[1] > 1:
                assert "contribution {} of {}".format(*step.contribution_number) in note


@pytest.mark.parametrize("name", SCALARS)
def test_the_product_of_the_factors_of_the_only_way_is_the_gradient(name: str) -> None:
    checked = 0
    truth = truth_of(name)
    for step in truth:
        if isinstance(step, BackwardStep) and ways_to(truth, step.operand_index) == 1:
            product, here = float(step.local), step.node_index
            while here != truth.graph.loss:
                (k,) = truth.plan.writes_to(here)
                above = truth.step(truth.plan.step_of(step.iteration, "backward", int(k)))
                assert isinstance(above, BackwardStep)
                product, here = product * float(above.local), above.node_index
            assert product == pytest.approx(float(step.grad), rel=1e-12)
            checked += 1
    assert checked > 3


def test_of_a_long_way_the_last_factors_are_written_out() -> None:
    program = "h = w\nfor i in range(30):\n    h = h * 0.9\nL = h"
    scenario = bt.loads(f"format = 1\ntitle = 't'\nprogram = '''\n{program}\n'''\n[parameters]\nw = 2.0\n")
    debugger = Debugger(scenario)
    debugger.end()
    model = view.chain_model(debugger, wording_of(scenario))
    total = debugger.plan.backward_steps
    hidden = next(text for text, _, _ in model.factors if "factors" in text)
    count = int(re.sub(r"\D", "", hidden))
    assert sorted(numbers_in(model)) == list(range(count + 1, total + 1))
    assert lit(model)[0].endswith(f"({total})")
    assert model.note.startswith("1 way")


def test_forward_names_the_local_derivatives_to_come_and_their_steps() -> None:
    for debugger, wording, truth in positions("notes/sigmoid"):
        step = truth[debugger.position - 1] if debugger.position else None
        if not isinstance(step, ForwardStep):
            continue
        lines = [plain(line) for line in view.chain_model(debugger, wording).lines]
        promised = [int(number) for line in lines for number in re.findall(r"step (\d+)$", line)]
        later = [s for s in truth if isinstance(s, BackwardStep) and s.node_index == step.node_index]
        assert sorted(promised) == [s.number for s in later]
        for s in later:
            (line,) = (line for line in lines if line.endswith(f"step {s.number}"))
            assert f"will be  {wording.local(s)} " in line


# The variables.


@every_scenario
def test_variables_mark_exactly_what_changed(name: str) -> None:
    for debugger, wording, truth in positions(name):
        rows = view.variables_model(debugger, wording).rows
        position, plan = debugger.position, truth.plan
        changed_values, changed_gradients = set(), set()
        if position:
            now, before = truth.state(position), truth.state(position - 1)
            step = truth[position - 1]
            for row in rows:
                node = row.node
                if position > 1 and before.iteration != now.iteration:
                    # what belonged to the iteration before is gone; new is only what this step computed
                    if row.value is not None and node >= truth.graph.leaves:
                        changed_values.add(node)
                    continue
                if now.has_value(node) != before.has_value(node) or (step.kind == "update" and step.node_index == node):
                    changed_values.add(node)
                if now.write(node) != before.write(node):
                    changed_gradients.add(node)
        assert {row.node for row in rows if row.value_changed} == changed_values
        assert {row.node for row in rows if row.gradient_changed} == changed_gradients
        assert len(changed_values) + len(changed_gradients) <= 1
        parameters = [row.node for row in rows if row.kind == "parameter"]
        assert parameters == list(plan.graph.parameters.values())


@every_scenario
def test_variables_show_the_state_and_say_truly_when_the_rest_comes(name: str) -> None:
    for debugger, wording, truth in positions(name):
        state = truth.state(debugger.position)
        for row in view.variables_model(debugger, wording).rows:
            assert row.name == wording.name(row.node)
            assert row.shape == shape_text(truth.graph.shapes[row.node])
            assert (row.value is not None) == state.has_value(row.node)
            if row.value is not None:
                np.testing.assert_array_equal(row.value, state.value(row.node))
            gradient = state.gradient(row.node)
            assert (row.gradient is None) == (gradient is None)
            if gradient is not None:
                np.testing.assert_array_equal(np.asarray(row.gradient), gradient)
            promises_hold(row, truth, debugger.position)


def promises_hold(row: VariableRow, truth: bt.Recording, position: int) -> None:
    """``in step 7`` means: not there after step 6, there after step 7."""
    if row.value is None:
        (number,) = re.fullmatch(r"in step (\d+)", row.value_note).groups()  # type: ignore[union-attr]  # it matches, or the test fails
        assert int(number) > position
        assert not truth.state(int(number) - 1).has_value(row.node)
        assert truth.state(int(number)).has_value(row.node)
    if row.gradient is not None:
        assert row.gradient_note == ""
        return
    found = re.fullmatch(r"in step (\d+)", row.gradient_note)
    if found:
        number = int(found.group(1))
        assert number > position
        assert truth.state(number - 1).gradient(row.node) is None
        assert truth.state(number).gradient(row.node) is not None
        return
    assert all(truth.state(p).gradient(row.node) is None for p in range(len(truth) + 1))
    needed = bool(truth.graph.needs[row.node])
    assert row.gradient_note == ("0: not in the loss" if needed else "gets none")


def test_what_the_loss_does_not_need_is_said() -> None:
    debugger = Debugger(scenario_of("calls"))
    debugger.end()
    notes = {row.name: row.gradient_note for row in view.variables_model(debugger, wording_of(debugger.scenario)).rows}
    assert notes["x"] == "gets none"
    assert notes["idle"] == notes["unused"] == "0: not in the loss"


def test_of_very_many_variables_those_around_the_step_are_shown() -> None:
    program = "h0 = w * 1.0\n" + "\n".join(f"h{i} = h{i - 1} * 1.0" for i in range(1, 500)) + "\nL = h499"
    scenario = bt.loads(f"format = 1\ntitle = 't'\nprogram = '''\n{program}\n'''\n[parameters]\nw = 2.0\n")
    debugger = Debugger(scenario)
    for position in (1, 250, 500, 760, debugger.total):
        debugger.go_to(position)
        rows = view.variables_model(debugger, wording_of(scenario)).rows
        assert len(rows) <= 210
        assert len([row for row in rows if row.value_changed or row.gradient_changed]) == 1


# The notes.


@pytest.mark.parametrize("name", ["notes/sigmoid", "notes/batch", "notes/biases", "examples/mazur", "calls"])
def test_notes_appear_at_their_steps_and_nowhere_else(name: str) -> None:
    scenario = scenario_of(name)
    seen = set()
    for debugger, _, truth in positions(name):
        step = truth[debugger.position - 1] if debugger.position else None
        here = []
        for note in scenario.notes:
            if step is None or isinstance(step, SeedStep) or note.phase not in (None, step.kind):
                continue
            if note.line is not None:
                fits = isinstance(step, ForwardStep | BackwardStep) and step.line == note.line
            else:
                wanted = truth.graph.resolve(note.node_name or "")
                fits = wanted == (step.operand_index if isinstance(step, BackwardStep) else step.node_index)
                fits |= isinstance(step, BackwardStep) and wanted == step.node_index == truth.graph.loss
            if fits:
                here.append(note.text)
        model = view.notes_model(debugger)
        assert list(model.here) == here
        seen |= set(here)
    assert seen == {note.text for note in scenario.notes}


def test_a_step_that_reads_what_was_changed_after_the_forward_value_says_that_they_do_not_belong_together() -> None:
    debugger = Debugger(bt.load("notes/sigmoid"))
    debugger.go_to(9)
    whatif.apply(debugger, "W2[0, 0] = 9")
    wording = wording_of(debugger.scenario)
    warned = {}
    for position in range(10, debugger.total + 1):
        debugger.go_to(position)
        warned[position] = view.step_model(debugger, wording).warning
    assert warned.pop(11) == "W⁽²⁾ was changed by hand after the forward value of z₂: the two do not belong together."
    assert set(warned.values()) == {""}
    debugger.switch(1)
    debugger.go_to(11)
    assert view.step_model(debugger, wording).warning == ""
