"""Draws the Variables panel: name, shape, value, gradient, and what changed."""

from __future__ import annotations

from backprop_tui.format import cell_width, cut, pad
from backprop_tui.tui.panels.arrays import inline
from backprop_tui.view.models import VariableRow, VariablesModel
from backprop_tui.view.text import Line, Lines, Span, fit, padded


def draw(model: VariablesModel, width: int, _height: int) -> Lines:
    """A heading and a line for each variable."""
    names = min(max([4, *[cell_width(row.name) for row in model.rows]]), max(width // 5, 4))
    shapes = min(max([6, *[cell_width(row.shape) for row in model.rows]]), 11)
    room = width - names - shapes - 8  # the rest are the gaps, and two cells before each array for its mark
    left = max(room // 2, 8)
    right = max(room - left, 8)
    head: Line = (
        Span(pad("name", names + 2) + pad("shape", shapes + 1), "dim"),
        Span(pad("  value", left + 3), "dim"),
        Span("  gradient", "dim"),
    )
    head = fit(head, width)
    rows = model.rows
    return Lines(len(rows) + 1, lambda i: _row(rows[i - 1], names, shapes, left, right, width) if i else head)


def _row(row: VariableRow, names: int, shapes: int, left: int, right: int, width: int) -> Line:
    name_role = "strong" if row.value_changed or row.gradient_changed else "dim" if row.kind == "data" else ""
    value: Line = (Span(row.value_note, "dim"),) if row.value is None else inline(row.value, "forward", left)
    gradient: Line = (Span(row.gradient_note, "dim"),) if row.gradient is None else inline(row.gradient, "upstream", right)
    marked_value = Span("▸ " if row.value_changed else "  ", "forward")
    marked_gradient = Span("◂ " if row.gradient_changed else "  ", "product")
    return fit(
        (
            Span(pad(cut(row.name, names), names + 2), name_role),
            Span(pad(cut(row.shape, shapes), shapes + 1), "dim"),
            *padded(fit((marked_value, *value), left + 2), left + 3),
            marked_gradient,
            *fit(gradient, right),
        ),
        width,
    )
