"""A debugger that steps through backpropagation, one multiplication at a time, in both directions of time.

::

    import backprop_tui as bt

    scenario = bt.load("notes/sigmoid")        # a file or a bundled name; ScenarioError says what is wrong
    recording = bt.record(scenario)            # runs to the end
    recording.gradients["W1"], recording.loss, len(recording)
    for step in recording: ...                 # the same facts as the lines of the trace

    debugger = bt.Debugger(scenario)           # executes as it is stepped, keeps what it did
    debugger.step(); debugger.step_back(); debugger.position

The map of the house. Data flows one way, text → scenario → graph → plan → recording → view → screen, and a module
imports only from what stands above it here; nothing outside ``tui`` imports Textual, nothing imports ``cli``::

    errors          the exception tree
    format          numbers and arrays as text of a given width; cleaning text from files
    symbols         names as mathematics: yhat → ŷ
    notation        formulas as mathematics
    ops/            every op, one entry each: forward, shape rule, local derivatives
    graph           nodes, operands, spans, shapes, in columns
    language        expression text → postfix code, without recursion
    unrolling       how much a program is sure to unroll to
    program         program text → graph: functions as frames, loops unrolled
    formula         claims, conditions and watches, computed on arrays
    scenario/       TOML → Scenario
    plan            graph → the ordered steps of a run
    steps           one step of a recording, made when somebody asks
    recording       executes planned steps and keeps what each did; State at any position
    layout          to which phases, lines and calls the steps of a plan belong
    facts           stops on facts: nan, zero, small and large gradients, fan-out, kinks
    conditions      expressions held to a step: conditions and watches
    breakpoints     where to stop: places, facts, changes
    stops           at which steps of a recording each of them stops
    wording         what nodes and derivatives are called in one scenario
    library         the bundled scenarios, as the picker and `list` show them
    debugger        the position and the moves
    whatif          changes of values: a second recording that goes its own way
    export/         the trace as text and JSON lines
    study/          the chain rule along a way, claims, the numerical check, two runs compared
    beside          another run, stepped through in lockstep
    session         what a person does with a run: watches, bookmarks, notes, search
    saving          a session as a document, and back
    store           files of sessions, written whole or not at all
    actions         what the commands do to a session, and what they say
    commands        every command once: keys, group, help, what it does
    console         lines of commands, read and carried out
    replay          a saved session, played again
    settings        what a person prefers: theme, numbers, keys
    completion      what a line of commands could go on with
    view/           Debugger → frozen models of the panels, in plain text and numbers
    tui/            the screen
    cli             the command line
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backprop_tui.debugger import Debugger
    from backprop_tui.errors import BackpropError, CommandError, ProgramError, ScenarioError, ShapeError
    from backprop_tui.recording import Recording, State, record
    from backprop_tui.scenario import Limits, Scenario, load, loads
    from backprop_tui.steps import BackwardStep, ForwardStep, SeedStep, Step, UpdateStep

__version__ = "0.1.0"

#: Where each public name lives. They are imported when first asked for, so that `-h` need not wait for NumPy.
_HOMES = {
    "debugger": ("Debugger",),
    "errors": ("BackpropError", "CommandError", "ProgramError", "ScenarioError", "ShapeError"),
    "recording": ("Recording", "State", "record"),
    "scenario": ("Limits", "Scenario", "load", "loads"),
    "steps": ("BackwardStep", "ForwardStep", "SeedStep", "Step", "UpdateStep"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BackpropError",
    "BackwardStep",
    "CommandError",
    "Debugger",
    "ForwardStep",
    "Limits",
    "ProgramError",
    "Recording",
    "Scenario",
    "ScenarioError",
    "SeedStep",
    "ShapeError",
    "State",
    "Step",
    "UpdateStep",
    "load",
    "loads",
    "record",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'backprop_tui' has no attribute '{name}'")
    value = getattr(import_module(f"backprop_tui.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
