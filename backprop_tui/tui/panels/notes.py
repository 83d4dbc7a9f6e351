"""Draws the Notes panel: what the scenario says at this step, and of itself."""

from __future__ import annotations

from backprop_tui.view.models import NotesModel
from backprop_tui.view.text import BLANK, Line, wrapped


def draw(model: NotesModel, width: int, _height: int) -> list[Line]:
    """This step's notes first; without one, the scenario's description."""
    lines: list[Line] = []
    if model.typed:
        lines += [*wrapped(f"✎ {model.typed}", width, "strong"), BLANK]
    for note in model.here:
        lines += [*wrapped(note, width), BLANK]
    if not model.here and not model.typed:
        if not model.about and not model.source and not model.elsewhere:
            return wrapped("This scenario has no notes.", width, "dim")
        lines += [*wrapped("No note at this step.", width, "dim"), BLANK]
        lines += wrapped(model.about, width, "dim")
        lines.append(BLANK)
        if model.source:
            lines += wrapped(f"Source: {model.source}", width, "dim")
    return lines[:-1] if lines and not lines[-1] else lines
