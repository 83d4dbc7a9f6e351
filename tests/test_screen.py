"""The screen, driven by its keys at three sizes: after each key the panels say what the recording holds."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from test_panels import HOSTILE, scenario_of, shows
from test_view import depth_of, truth_of
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

import backprop_tui as bt
from backprop_tui.commands import BY_NAME, COMMANDS, key_text
from backprop_tui.debugger import Debugger, exhausted
from backprop_tui.format import circled
from backprop_tui.library import entries
from backprop_tui.steps import BackwardStep, ForwardStep, UpdateStep
from backprop_tui.tui.app import BackpropApp
from backprop_tui.tui.arrangement import PANELS
from backprop_tui.tui.panels.base import Panel, StepsPanel
from backprop_tui.tui.screens.help import HelpScreen
from backprop_tui.tui.screens.picker import PickerScreen
from backprop_tui.tui.screens.prompt import PromptScreen
from backprop_tui.tui.screens.stepper import StepperScreen
from backprop_tui.view.text import plain
from backprop_tui.wording import wording_of

SIZES = [(80, 24), (120, 36), (200, 60)]
sizes = pytest.mark.parametrize("size", SIZES, ids=lambda size: "{}x{}".format(*size))
Test = Callable[[BackpropApp, "Pilot[None]"], Awaitable[None]]


def drive(test: Test, scenario: bt.Scenario | None, size: tuple[int, int] = (120, 36)) -> BackpropApp:
    """Runs the app without a terminal; whatever it raises is raised here."""
    app = BackpropApp(scenario)

    async def run() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await test(app, pilot)

    asyncio.run(run())
    return app


def stepper_of(app: BackpropApp) -> StepperScreen:
    assert app.stepper is not None
    assert app.screen is app.stepper
    return app.stepper


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pilot looks every 5 ms, not every 20, whether the app has become idle."""
    monkeypatch.setattr("textual._wait.SLEEP_GRANULARITY", 0.005)


def strips(app: BackpropApp) -> list[Any]:
    """What stands on the terminal, put together from what the widgets have drawn."""
    return list(app.screen._compositor.render_strips())


def rows(app: BackpropApp) -> list[str]:
    return [strip.text for strip in strips(app)]


def text(panel: Panel[Any]) -> str:
    """What is seen inside a panel."""
    return "\n".join(plain(panel.line_at(y)) for y in range(panel.inner.height))


def said(app: BackpropApp) -> str:
    """What is said for now, in the last line; nothing where that line shows the commands."""
    last = rows(app)[-1].strip()
    return "" if last.startswith("s step") else last


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    """Waits for something that takes its time; how long is not asserted."""
    for _ in range(500):
        if holds():
            return
        await pilot.pause(0.02)
    raise AssertionError("it did not happen")


async def resize(app: BackpropApp, pilot: Pilot[None], size: tuple[int, int]) -> None:
    """Another size, and the whole frame drawn for it: Textual waits a moment before it rearranges anything."""
    await pilot.resize_terminal(*size)
    await until(pilot, lambda: [strip.cell_length for strip in strips(app)] == [size[0]] * size[1])
    await pilot.pause()


async def check(app: BackpropApp, pilot: Pilot[None], name: str) -> None:
    """Everything on the screen says the numbers of the recording at the debugger's position."""
    await pilot.pause()
    screen, truth = stepper_of(app), truth_of(name)
    debugger, position = screen.debugger, screen.debugger.position
    step = truth[position - 1] if position else None
    shown = {panel: screen.panel(panel) for panel in PANELS if screen.shows(panel)}
    drawn = strips(app)
    assert re.search(rf"step +{position} of {len(truth)}\b", drawn[0].text)
    assert (step.kind if step else "start") in drawn[0].text
    assert sum("●" in strip.text for strip in drawn[-3:]) == 1
    for panel in shown.values():
        region = panel.region
        for y in range(panel.inner.height):
            on_screen = drawn[region.y + 1 + y].crop(region.x + 2, region.right - 2).text
            assert on_screen.rstrip() == plain(panel.line_at(y))[: panel.inner.width].rstrip()
    if "program" in shown:
        check_program(shown["program"], step, truth)
    if "steps" in shown:
        check_steps(shown["steps"], position)
    if debugger.stage is not None:
        assert debugger.stage in drawn[0].text
        return
    if "step" in shown:
        check_step(shown["step"], step, truth)
    if "chain" in shown:
        check_chain(shown["chain"], step, truth)
    if "variables" in shown:
        check_variables(shown["variables"], truth, position)
    if "notes" in shown and step is not None:
        node = step.operand_index if isinstance(step, BackwardStep) else step.node_index
        for note in truth.scenario.notes:
            if note.phase == step.kind and truth.graph.resolve(note.node_name or "") == node:
                assert note.text.split()[:5] == text(shown["notes"]).split()[:5]


def check_program(panel: Panel[Any], step: Any, truth: bt.Recording) -> None:
    marked = "\n".join(
        span.text for y in range(panel.inner.height) for span in panel.line_at(y) if span.role.split("+")[0].endswith(".mark")
    )
    if isinstance(step, ForwardStep | BackwardStep):
        k = step.node_index - truth.graph.leaves
        source = truth.graph.source[truth.graph.starts[k] : truth.graph.ends[k]]
        assert marked == source or (marked.endswith("…") and source.startswith(marked[:-1]))
    elif step is None or isinstance(step, UpdateStep):
        assert marked == ""


def check_steps(panel: Panel[Any], position: int) -> None:
    current = [line for line in text(panel).split("\n") if line.startswith("▸")]
    assert [int(line[1:].split()[0]) for line in current] == ([position] if position else [])


def check_step(panel: Panel[Any], step: Any, truth: bt.Recording) -> None:
    shown, wording = text(panel), wording_of(truth.scenario)
    if panel.count > panel.inner.height:  # the rest is reached by scrolling, and the border says so
        shown = "\n".join(plain(line) for line in panel.lines)
    if step is None:
        assert "Nothing is executed yet" in shown
        return
    assert panel.title.startswith(f"Step · {step.kind} ")
    assert wording.name(step.node_index) in panel.title
    if isinstance(step, ForwardStep):
        arrays = [*(truth.value(step.iteration, i) for i in step.operand_indices), step.value]
    elif isinstance(step, BackwardStep):
        value = truth.value(step.iteration, step.node_index)
        arrays = [value, step.upstream, step.local, step.product, step.contribution, step.grad]
        assert wording.name(step.operand_index) in panel.title
        for word in ("upstream", "local derivative", "product", "gradient of"):
            assert word in shown
    elif isinstance(step, UpdateStep):
        arrays = [step.before, step.grad, step.after]
    else:
        arrays = [step.grad]
    for array in arrays:
        entry = np.ravel(array)[:1]
        assert shows(shown, entry), (step, entry, shown)
        if np.size(array) <= 9 and panel.inner.height >= 18 and np.ndim(array) < 3:
            assert shows(shown, array), (step, array, shown)


def check_chain(panel: Panel[Any], step: Any, truth: bt.Recording) -> None:
    lines = [panel.line_at(y) for y in range(panel.inner.height)]
    lit = "".join(span.text for line in lines for span in line if span.role.split("+")[0] == "lit")
    if isinstance(step, BackwardStep):
        assert lit.endswith(circled(depth_of(truth, step)))
    else:
        assert lit == ""
        assert text(panel).strip()


def check_variables(panel: Panel[Any], truth: bt.Recording, position: int) -> None:
    state, wording, graph = truth.state(position), wording_of(truth.scenario), truth.graph
    marks, nodes = 0, {*graph.variables.values(), *graph.named_applications}
    for line in text(panel).split("\n")[1:]:
        found = [node for node in nodes if line.startswith(wording.name(node) + " ")]
        if not found:
            continue
        marks += ("▸" in line) + ("◂" in line)
        (node,) = found
        if state.has_value(node):
            assert shows(line, np.ravel(state.value(node))[:1])
        gradient = state.gradient(node)
        assert gradient is None or shows(line, np.ravel(gradient)[:1])
    step = truth[position - 1] if position else None
    if step is not None:
        changed = step.operand_index if isinstance(step, BackwardStep) else step.node_index
        assert marks == (changed in nodes)


# Moving.


@sizes
def test_after_each_key_the_panels_say_the_right_numbers(size: tuple[int, int]) -> None:
    """Forward through everything and back; then each of the other moves, held against a debugger without a screen."""
    name = "notes/sigmoid"
    mirror = Debugger(scenario_of(name))
    keys = ["s"] * 3 + ["right", "f11", "S", "left", "n", "N", "n", "n", "f", "F", "f", "s", "s", "S", "s"]
    keys += ["n", "n", "c", "S", "S", "N", "C", "right_square_bracket", "right_square_bracket"]
    keys += ["right_square_bracket", "left_square_bracket", "end", "left", "home", "f5", "r", "f10", "shift+f11"]
    by_key = {key: command for command in COMMANDS for key in command.keys}

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await check(app, pilot, name)
        seen = set()
        for key in keys:
            move = by_key[key].move
            assert move is not None
            moved = move(mirror)
            if not isinstance(moved, bool):
                exhausted(moved)
            await pilot.press(key)
            assert stepper_of(app).debugger.position == mirror.position
            await check(app, pilot, name)
            seen.add(mirror.position)
        assert len(seen) >= 12
        assert said(app) == ""

    drive(test, scenario_of(name), size)


@sizes
@pytest.mark.parametrize("name", ["examples/cs231n-sigmoid-neuron", "calls"])
def test_through_a_whole_run_of_scalars_and_one_with_calls_and_training(size: tuple[int, int], name: str) -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        debugger = stepper_of(app).debugger
        stride = max(1, debugger.total // 16)
        for position in [*range(0, debugger.total, stride), debugger.total]:
            stepper_of(app).carry_out(f"go_to {position}")
            await pilot.pause()
            await check(app, pilot, name)
        await pilot.press("S")
        await check(app, pilot, name)

    drive(test, scenario_of(name), size)


def test_at_both_ends_it_is_said_that_there_is_no_more() -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("S")
        assert said(app) == "This is the start of the run."
        await pilot.press("end", "s")
        assert said(app) == "This is the end of the run."
        await until(pilot, lambda: any("This is the end of the run." in row for row in rows(app)))
        await pilot.press("space")
        assert stepper_of(app)._timer is None

    drive(test, scenario_of("notes/sigmoid"))


@sizes
def test_detail_stops_inside_a_multiplication(size: tuple[int, int]) -> None:
    name = "notes/biases"
    mirror = Debugger(scenario_of(name))

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        mirror.detail = True
        mirror.go_to(mirror.plan.step_of(0, "backward", 2) - 1)
        stepper_of(app).carry_out(f"go_to {mirror.position}")
        await pilot.press("d")
        assert said(app) == "detail is on: step also stops inside a multiplication"
        stages = []
        for key in ["s"] * 9 + ["S"] * 4:
            BY_NAME["step" if key == "s" else "step_back"].move(mirror)  # type: ignore[misc]  # both of them move
            await pilot.press(key)
            debugger = stepper_of(app).debugger
            assert (debugger.position, debugger.stage) == (mirror.position, mirror.stage)
            await check(app, pilot, name)
            stages.append(debugger.stage)
            if debugger.stage == "local":
                step = truth_of(name)[debugger.position - 1]
                assert isinstance(step, BackwardStep)
                assert shows(text(stepper_of(app).panel("step")), np.ravel(step.local)[:1])
        assert {"upstream", "local", "product", None} <= set(stages)
        await pilot.press("d", "s")
        assert stepper_of(app).debugger.stage is None

    drive(test, scenario_of(name), size)


def test_play_plays_to_the_end_and_can_be_paused() -> None:
    name = "notes/sigmoid"

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("minus")
        assert said(app) == "1 steps a second" or "a second" in said(app)
        await pilot.press(*["plus"] * 6)
        assert said(app) == "32 steps a second"
        await pilot.press("space")
        assert "▶ playing" in rows(app)[0]
        await until(pilot, lambda: stepper_of(app).debugger.position >= 2)
        await pilot.press("space")
        paused = stepper_of(app).debugger.position
        await pilot.pause(0.1)
        assert stepper_of(app).debugger.position == paused
        await check(app, pilot, name)
        assert "▶ playing" not in rows(app)[0]
        await pilot.press("space")
        await until(pilot, lambda: stepper_of(app).debugger.position == len(truth_of(name)))
        await until(pilot, lambda: stepper_of(app)._timer is None)
        await check(app, pilot, name)

    drive(test, scenario_of(name))


# Going somewhere.


@sizes
def test_go_to_a_number_a_name_a_phase_and_nonsense(size: tuple[int, int]) -> None:
    name = "notes/sigmoid"
    mirror = Debugger(scenario_of(name))

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        for target in ("11", "0", "W1", "f2", "backward", "seed", "forward"):
            await pilot.press("g")
            assert isinstance(app.screen, PromptScreen)
            assert app.screen.query_one(Input).value == "go_to "
            app.screen.query_one(Input).value += target
            await pilot.press("enter")
            mirror.go_to(mirror.find(target))
            assert stepper_of(app).debugger.position == mirror.position
            await check(app, pilot, name)
        for nonsense in ("99", "[/x]", "update") if size == SIZES[0] else ("nosuch",):
            await pilot.press("g")
            app.screen.query_one(Input).value += nonsense
            await pilot.press("enter")
            assert isinstance(app.screen, PromptScreen)
            answer = str(app.screen.query_one("#prompt-says", Static).content)
            assert "the run has no" in answer or f"no step, name or phase '{nonsense}'" in answer
            drawn = " ".join(" ".join(rows(app)).replace("│", " ").split())
            assert answer in drawn
            await pilot.press("escape")
            assert stepper_of(app).debugger.position == mirror.position
            await check(app, pilot, name)

    drive(test, scenario_of(name), size)


def test_what_is_typed_into_go_to_moves_nothing() -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("g", "s", "q", "o", "c", "left", "home")
        assert isinstance(app.screen, PromptScreen)
        assert app.screen.query_one(Input).value == "go_to sqoc"
        await pilot.press("escape")
        assert stepper_of(app).debugger.position == 0

    drive(test, scenario_of("notes/sigmoid"))


@sizes
def test_run_to_a_selected_step_and_to_a_selected_line(size: tuple[int, int]) -> None:
    name = "notes/sigmoid"

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        assert "Select a step" in said(app)
        await pilot.press("t")
        assert isinstance(app.screen, PromptScreen)
        await pilot.press("escape")
        await pilot.press("2")
        steps = stepper_of(app).panel("steps")
        assert isinstance(steps, StepsPanel)
        assert steps.has_focus
        await pilot.press("j", "j", "k", "j")
        assert steps.selected == 2
        await pilot.press("t")
        assert stepper_of(app).debugger.position == 3
        await check(app, pilot, name)
        await pilot.press("pagedown", "enter")
        assert stepper_of(app).debugger.position == steps.selected + 1 > 4
        await check(app, pilot, name)
        await pilot.press("escape", "home", "1")
        program = stepper_of(app).panel("program")
        assert program.has_focus
        await pilot.press("j", "j", "j", "j")
        line = program.selected
        assert line is not None
        await pilot.press("enter")
        step = truth_of(name)[stepper_of(app).debugger.position - 1]
        assert isinstance(step, ForwardStep)
        assert step.line == line + 1
        await check(app, pilot, name)
        await pilot.press("end", "t")
        assert f"no step after this one is on line {line + 1}" in said(app)

    drive(test, scenario_of(name), size)


# Looking.


@pytest.mark.parametrize("size", SIZES[:2])
def test_every_panel_can_be_focused_and_scrolled(size: tuple[int, int]) -> None:
    name = "notes/batch"

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        stepper_of(app).carry_out("go_to backward")
        for number, panel_name in enumerate(PANELS, 1):
            await pilot.press(str(number))
            panel = stepper_of(app).panel(panel_name)
            assert panel.has_focus
            assert panel.display
            await pilot.pause()
            region = panel.region
            assert f"{number} " in rows(app)[region.y][region.x : region.right]
            await pilot.press("j", "j", "l", "h", "h", "k", "down", "up")
            assert panel.shift == 0
            if panel_name in ("step", "chain", "notes"):
                await check(app, pilot, name)
        await pilot.press("escape", "3")
        await check(app, pilot, name)

    drive(test, scenario_of(name), size)


@sizes
def test_enlarge_and_back(size: tuple[int, int]) -> None:
    name = "notes/sigmoid"

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        stepper_of(app).carry_out("go_to 6")
        for number, panel_name in enumerate(PANELS, 1):
            if panel_name in ("step", "variables"):
                continue
            await pilot.press(str(number))
            before = stepper_of(app).panel(panel_name).size
            if stepper_of(app).enlarged is None:
                await pilot.press("z")
            await pilot.pause()
            panel = stepper_of(app).panel(panel_name)
            assert [p for p in PANELS if stepper_of(app).shows(p)] == [panel_name]
            assert panel.size.width == size[0]
            assert panel.size.height >= before.height
            await check(app, pilot, name)
            await pilot.press("s")
            await check(app, pilot, name)
            await pilot.press("z")
            assert stepper_of(app).enlarged is None
            await check(app, pilot, name)

    drive(test, scenario_of(name), size)


@sizes
def test_the_arrays_of_a_step_and_of_a_variable_open_and_close(size: tuple[int, int]) -> None:
    matrix = pytest.importorskip("backprop_tui.tui.screens.matrix")
    name = "notes/sigmoid"

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("z")
        assert said(app) == "There is nothing to enlarge yet."
        stepper_of(app).carry_out("go_to 14")
        await pilot.press("z")
        assert isinstance(app.screen, matrix.MatrixScreen)
        step = truth_of(name)[13]
        assert isinstance(step, BackwardStep)
        assert shows("\n".join(row[4:] for row in rows(app)), step.contribution)
        await pilot.press("escape")
        await check(app, pilot, name)
        await pilot.press("5", "j", "z")
        assert isinstance(app.screen, matrix.MatrixScreen)
        await pilot.press("escape", "escape")
        await check(app, pilot, name)

    drive(test, scenario_of(name), size)


def test_dark_and_light_say_the_same() -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("s", "s")
        dark, colours = rows(app), {segment.style for strip in strips(app) for segment in strip}
        assert app.current_theme.dark
        await pilot.press("T")
        await pilot.pause()
        assert not app.current_theme.dark
        assert rows(app) == dark
        assert {segment.style for strip in strips(app) for segment in strip} != colours
        await pilot.press("s")
        await check(app, pilot, "notes/sigmoid")
        await pilot.press("T")
        assert app.current_theme.dark
        await check(app, pilot, "notes/sigmoid")

    drive(test, scenario_of("notes/sigmoid"))


# Sizes.


def test_it_rearranges_itself_and_goes_on_saying_the_right_numbers() -> None:
    name = "notes/batch"

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        stepper_of(app).carry_out("go_to backward")
        for size in [*SIZES, (60, 16), (99, 60), (160, 20), (120, 36), (300, 80), (80, 24)]:
            await resize(app, pilot, size)
            assert {len(row) for row in rows(app)} == {size[0]}
            await check(app, pilot, name)
            await pilot.press("s")
            await check(app, pilot, name)
        for panel_name in ("steps", "notes"):
            await pilot.press(str(PANELS.index(panel_name) + 1))
            for size in ((120, 36), (80, 24)):
                await resize(app, pilot, size)
                await check(app, pilot, name)

    drive(test, scenario_of(name), (120, 36))


def test_too_small_a_window_says_so_and_goes_on_where_one_was() -> None:
    name = "notes/sigmoid"

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        for back in SIZES:
            await resize(app, pilot, (50, 12))
            drawn = "\n".join(rows(app))
            assert "The window is 50 × 12" in drawn
            assert "backprop-tui needs 60 × 16" in drawn
            assert "Step" not in drawn
            await pilot.press("s", "s", "S", "s", "j", "2", "z", "escape", "3", "d", "d", "T")
            await resize(app, pilot, back)
            await check(app, pilot, name)
        await resize(app, pilot, (1, 1))
        await pilot.press("s")
        await resize(app, pilot, SIZES[0])
        await check(app, pilot, name)

    drive(test, scenario_of(name), (80, 24))


def test_a_window_that_is_too_small_at_the_start() -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        assert "The window is 50 × 12" in "\n".join(rows(app))
        await pilot.press("s")
        await resize(app, pilot, (120, 36))
        await check(app, pilot, "notes/sigmoid")

    drive(test, scenario_of("notes/sigmoid"), (50, 12))


# Around it.


@sizes
def test_the_picker_opens_a_scenario_and_another(size: tuple[int, int]) -> None:
    found = entries()

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        assert isinstance(app.screen, PickerScreen)
        names = [entry.name for entry in found]
        drawn = "\n".join(rows(app))
        assert all(name in drawn for name in names[: size[1] - 6])
        await pilot.press("j", "j", "k")
        assert app.screen.query_one(OptionList).highlighted == 1
        await pilot.pause()
        assert found[1].title.split()[0] in "\n".join(rows(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.stepper)
        assert stepper_of(app).debugger.scenario.name == found[1].name
        await pilot.press("s", "o")
        assert isinstance(app.screen, PickerScreen)
        await pilot.press("escape")
        assert stepper_of(app).debugger.position == 1
        await check(app, pilot, found[1].name)
        first = app.stepper
        await pilot.press("o")
        app.screen.query_one(OptionList).highlighted = names.index("notes/sigmoid")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.stepper and app.stepper is not first)
        await pilot.press("s", "s")
        await check(app, pilot, "notes/sigmoid")
        assert len(app.screen_stack) <= 2  # the picker may lie under it

    drive(test, None, size)


def test_a_scenario_that_is_wrong_is_said_and_nothing_is_lost(tmp_path: Any) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("format = 1\ntitle = '[/x]'\nprogram = 'L = nosuch'\n")

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("s", "s")
        app.open_scenario(str(bad))
        await pilot.pause()
        assert any("nosuch" in notification.message for notification in app._notifications)
        app.clear_notifications()
        await until(pilot, lambda: not app.screen.query("Toast"))
        await check(app, pilot, "notes/sigmoid")

    drive(test, scenario_of("notes/sigmoid"))


@sizes
def test_help_lists_every_command(size: tuple[int, int]) -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        shown = str(app.screen.query_one("#text-box Static", Static).content)
        for command in COMMANDS:
            assert f"  {command.help}\n" in shown
            for key in command.keys:
                assert key_text(key) in shown
        assert "step: one op forward, one multiplication backward" in "\n".join(rows(app))
        before = rows(app)
        await pilot.press("j", "j", "k")
        await pilot.pause()
        assert rows(app) != before
        await pilot.press("escape")
        await check(app, pilot, "notes/sigmoid")
        await pilot.press("f1")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("q")
        await check(app, pilot, "notes/sigmoid")

    drive(test, scenario_of("notes/sigmoid"), size)


def test_the_palette_has_every_command_and_carries_one_out() -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        screen = stepper_of(app)
        found = {command.title: command for command in app.get_system_commands(screen)}
        titles = {command.name.replace("_", " ").capitalize() for command in COMMANDS}
        assert set(found) == titles - {"Command palette"}
        assert {command.help for command in COMMANDS} >= {command.help for command in found.values()}
        found["Step"].callback()
        await pilot.pause()
        found["End"].callback()
        await pilot.pause()
        await check(app, pilot, "notes/sigmoid")
        assert screen.debugger.position == screen.debugger.total
        found["Focus notes"].callback()
        await pilot.pause()
        assert screen.panel("notes").has_focus
        await pilot.press("ctrl+p")
        await until(pilot, lambda: app.screen is not screen)
        await pilot.press(*"restart")
        await until(pilot, lambda: any("Restart" in row for row in rows(app)))
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.screen is screen and screen.debugger.position == 0)
        await pilot.pause()
        await check(app, pilot, "notes/sigmoid")

    drive(test, scenario_of("notes/sigmoid"))


@pytest.mark.parametrize("key", ["q", "ctrl+q"])
@pytest.mark.parametrize("name", ["notes/sigmoid", None])
def test_quit_ends_with_status_0(key: str, name: str | None) -> None:
    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        await pilot.press("j")
        assert app.return_code is None
        app.simulate_key(key)
        while app.return_code is None:
            await asyncio.sleep(0.01)

    assert drive(test, scenario_of(name) if name else None).return_code == 0


@pytest.mark.parametrize("size", SIZES[:2])
def test_a_title_with_markup_changes_nothing_but_the_title(size: tuple[int, int]) -> None:
    title = r'title = "[bold]loud[/bold] [/x] \u001b]52;c;aGk=\u0007 \u009b31m end"'
    assert title in HOSTILE
    seen: list[list[list[str]]] = []

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        pictures = []
        for key in ("home", "s", "s", "s", "s", "5", "j", "6", "escape", "question_mark"):
            await pilot.press(key)
            await pilot.pause()
            pictures.append(rows(app))
        seen.append(pictures)

    drive(test, bt.loads(HOSTILE), size)
    drive(test, bt.loads(HOSTILE.replace(title, 'title = "t"')), size)
    hostile, tame = seen
    assert hostile[0][0].startswith(" [bold]loud[/bold] [/x] ␛]52;c;aGk"[: size[0] - 60])
    for one, other in zip(hostile, tame, strict=True):
        assert one[0][-15:] == other[0][-15:]
        assert one[1:] == other[1:]
    everything = "".join("".join(picture) for picture in hostile)
    assert all(char.isprintable() for char in everything)


def test_what_is_pressed_at_random_raises_nothing() -> None:
    keys = [key for command in COMMANDS for key in command.keys if command.name not in ("quit", "suspend", "command_palette")]
    keys += ["j", "k", "h", "l", "enter", "escape", "escape", "pageup", "pagedown", "tab", "shift+tab", "b", "w", "x"]
    chosen = np.random.default_rng(7).choice(len(keys), 90)

    async def test(app: BackpropApp, pilot: Pilot[None]) -> None:
        for k in chosen:
            await pilot.press(keys[int(k)])
            if app.screen is not app.stepper:
                await pilot.press("escape")
        while app.screen is not app.stepper:
            await pilot.press("escape")
        stepper_of(app).stop_playing()
        await pilot.press("escape", "home", "s")
        assert stepper_of(app).debugger.position == 1

    drive(test, scenario_of("notes/batch"))
