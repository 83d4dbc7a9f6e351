"""What is selected in the focused panel, as a line of commands: a key acts on it where its command can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backprop_tui import view
from backprop_tui.commands import Command
from backprop_tui.tui.panels.base import Panel
from backprop_tui.tui.panels.side import lines_each

if TYPE_CHECKING:
    from backprop_tui.tui.screens.stepper import StepperScreen


def line_of(screen: StepperScreen, index: int) -> int:
    """The line of the source that stands at a place of the Program panel."""
    source = screen.debugger.graph.source
    return index + 1 + len(source) - len(source.lstrip("\n"))


def _selected(screen: StepperScreen) -> tuple[str, int] | None:
    panel = screen.focused
    if isinstance(panel, Panel) and panel.selected is not None and panel.id is not None:
        return panel.id, panel.selected
    return None


def _variable(screen: StepperScreen, index: int) -> str:
    rows = view.variables_model(screen.debugger, screen.wording).rows
    return screen.debugger.graph.label(rows[min(index, len(rows) - 1)].node)


def _place(screen: StepperScreen, panel: str, index: int) -> str | None:
    """A place for a breakpoint, as it is written."""
    if panel == "program":
        return f"line {line_of(screen, index)}"
    return f"step {index + 1}" if panel == "steps" else None


def line_for(screen: StepperScreen, command: Command) -> str | None:
    """The line that a command's key stands for now; one that ends in a space is to be written on; None: nothing is selected."""
    found = _selected(screen)
    place = _place(screen, *found) if found else None
    stops = screen.debugger.stops.breakpoints
    if command.name == "run_to":
        return chosen(screen, *found) if found else None
    if command.name == "break" and place is not None:
        known = [stop.number for stop in stops if stop.text == place]
        return f"delete {known[0]}" if known else f"break {place}"
    if command.name == "condition":
        if place is None:
            line = getattr(screen.debugger.current, "line", None)
            place = None if line is None else f"line {line}"
        number = _number_of(screen, found) or next((stop.number for stop in stops if stop.text.split(" if ")[0] == place), None)
        return f"condition {number} " if number else f"break {place} if " if place else None
    if found and found[0] == "variables" and command.name in ("edit", "watch"):
        name = _variable(screen, found[1])
        return f"edit {name} = " if command.name == "edit" else f"watch {name} "
    return None


def _number_of(screen: StepperScreen, found: tuple[str, int] | None) -> int | None:
    """The number of the breakpoint selected in Stops; a stop on a fact has none."""
    if found is None or found[0] != "stops":
        return None
    rows = view.stops_model(screen.session).rows
    return rows[min(found[1], len(rows) - 1)].number


def chosen(screen: StepperScreen, panel: str, index: int) -> str | None:
    """What Enter does with what is selected."""
    if panel == "steps":
        return f"run_to step {index + 1}"
    if panel == "program":
        return f"run_to {line_of(screen, index)}"
    if panel == "stops":
        rows = view.stops_model(screen.session).rows
        return f"toggle {rows[min(index, len(rows) - 1)].name}"
    return None


def removed(screen: StepperScreen, panel: str, index: int) -> str | None:
    """What Delete does with what is selected."""
    if panel == "stops":
        number = _number_of(screen, (panel, index))
        return None if number is None else f"delete {number}"
    if panel == "watches":
        number = index // lines_each(screen.panel(panel).inner.width) + 1
        return f"unwatch {min(number, len(screen.session.watches))}" if screen.session.watches else None
    return None
