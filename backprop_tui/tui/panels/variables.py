"""Draws the Variables panel: name, shape, value, gradient, and what changed."""

from __future__ import annotations

from collections.abc import Callable

from backprop_tui.format import cell_width, cut, pad
from backprop_tui.tui.panels.arrays import inline
from backprop_tui.view.models import VariableRow, VariablesModel
from backprop_tui.view.text import Line, Lines, Span, fit, padded

#: The width of a difference, in cells.
FAR = 10


class Table:
    """Draws the panel, and keeps the lines of variables that a step did not change: it changes one or two of them."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, VariableRow, Line]] = {}

    def draw(self, model: VariablesModel, width: int, height: int) -> Lines:
        """A heading and a line for each variable."""
        return draw(model, width, height, self._row)

    def _row(self, row: VariableRow, *widths: int) -> Line:
        key = (id(row.value), id(row.gradient), *row._replace(value=None, gradient=None), widths)
        known = self._known.get(row.node)
        if known is None or known[0] != key:
            # the row is kept with its line, so that no other array can take the place of its own
            known = self._known[row.node] = (key, row, _row(row, *widths))
        return known[2]


def draw(model: VariablesModel, width: int, _height: int, draw_row: Callable[..., Line] | None = None) -> Lines:
    """A heading and a line for each variable."""
    make = draw_row or _row
    compared = any(row.far is not None for row in model.rows)
    names = min(max([4, *[cell_width(row.name) for row in model.rows]]), max(width // 5, 4))
    shapes = 2 * FAR if compared else min(max([6, *[cell_width(row.shape) for row in model.rows]]), 11)
    room = width - names - shapes - 8  # the rest are the gaps, and two cells before each array for its mark
    left = max(room // 2, 8)
    right = max(room - left, 8)
    head: Line = (
        Span(pad("name", names + 2), "dim"),
        Span(pad(pad("Δ value", FAR) + "Δ gradient" if compared else "shape", shapes + 1), "warning" if compared else "dim"),
        Span(pad("  value", left + 3), "dim"),
        Span("  gradient", "dim"),
    )
    head = fit(head, width)
    rows = model.rows
    return Lines(len(rows) + 1, lambda i: make(rows[i - 1], names, shapes, left, right, width) if i else head)


def _middle(row: VariableRow, width: int) -> Line:
    """The shape; while another run is compared, how far value and gradient are from its own."""
    if row.far is None:
        return (Span(pad(cut(row.shape, width), width + 1), "dim"),)
    return (*tuple(Span(pad(cut(text, FAR - 1), FAR), "dim" if text in ("", "=") else "warning") for text in row.far), Span(" "))


def _row(row: VariableRow, names: int, shapes: int, left: int, right: int, width: int) -> Line:
    name_role = "strong" if row.value_changed or row.gradient_changed else "dim" if row.kind == "data" else ""
    value: Line = (Span(row.value_note, "dim"),) if row.value is None else inline(row.value, "forward", left)
    gradient: Line = (Span(row.gradient_note, "dim"),) if row.gradient is None else inline(row.gradient, "upstream", right)
    marked_value = Span("▸ " if row.value_changed else "  ", "forward")
    marked_gradient = Span("◂ " if row.gradient_changed else "  ", "product")
    return fit(
        (
            Span(pad(cut(row.name, names), names), name_role),
            Span("✎ " if row.edited else "  ", "warning" if row.edited else name_role),
            *_middle(row, shapes),
            *padded(fit((marked_value, *value), left + 2), left + 3),
            marked_gradient,
            *fit(gradient, right),
        ),
        width,
    )
