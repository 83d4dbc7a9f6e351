"""Draws rows of the Steps panel; only those that are seen are asked for."""

from __future__ import annotations

from backprop_tui.view.models import StepsModel
from backprop_tui.view.text import Line, Span, fit, padded

ROLE = {"forward": "forward", "seed": "upstream", "backward": "upstream", "update": "product"}


def draw_row(model: StepsModel, number: int, width: int, selected: bool = False) -> Line:
    """One row: the number, the phase, and what the step is about; steps not yet reached are fainter."""
    row = model.row(number)
    digits = len(str(model.total))
    current = number == model.position
    ahead = number > model.position
    phase = f"{ROLE[row.kind]}.faint" if ahead else ROLE[row.kind]
    parts: Line = (
        Span("▸" if current else "›" if selected else " ", "strong"),
        Span(f"{number:>{digits}} ", "dim" if ahead else ""),
        Span(f"{row.kind:<9}", phase),
        Span(row.text, "dim" if ahead else ""),
    )
    room = width - 2 if row.differs else width
    parts = padded(fit(parts, room), room)
    if row.differs:
        parts = (*parts, Span(" ≠", "warning"))
    if current:
        return tuple(Span(part.text, f"{part.role}+select" if part.role else "select") for part in parts)
    return parts
