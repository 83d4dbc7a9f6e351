"""Draws the Chain rule panel: the product with its numbered factors, their shapes under them."""

from __future__ import annotations

from backprop_tui.format import cell_width, cut
from backprop_tui.view.models import ChainModel
from backprop_tui.view.text import Line, Span, fit, width_of, wrapped


def draw(model: ChainModel, width: int, height: int) -> list[Line]:
    """The panel's lines; a product too wide for one line is broken at its signs."""
    if not model.factors:
        return [
            part for given in model.lines for part in ([fit(given, width)] if width_of(given) <= width else _rewrap(given, width))
        ]
    head: tuple[Span, ...] = (Span(model.left, "product"), Span("  =  "))
    indent = min(width_of(head), max(width // 3, 8))
    if width_of(head) > width // 2:
        head = (Span(fit((Span(model.left),), width // 2 - 5)[0].text, "product"), Span("  =  "))
    rows: list[tuple[list[Span], list[Span]]] = [([*head], [])]
    for text, role, shape in model.factors:
        upper, lower = rows[-1]
        if width_of(upper) + max(cell_width(text), cell_width(shape)) > width and width_of(upper) > indent:
            rows.append(([Span(" " * indent)], []))
            upper, lower = rows[-1]
        if cell_width(text) > width - indent and " " in text:
            # a factor wider than the panel keeps its number
            body, _, number = text.rpartition(" ")
            text = f"{cut(body, width - indent - cell_width(number) - 1)} {number}"
        if shape:
            # a shape stands under the beginning of its factor, clear of the one before
            clear = width_of(lower) + 2 - width_of(upper)
            if lower and clear > 0:
                upper.append(Span(" " * clear))
            lower.append(Span(" " * (width_of(upper) - width_of(lower)) + shape, "dim"))
        upper.append(Span(text, role))
    lines: list[Line] = []
    with_shapes = 2 * len(rows) + 1 <= height
    for upper, lower in rows:
        lines.append(fit(tuple(upper), width))
        if with_shapes:
            lines.append(fit(tuple(lower), width))
    lines += [fit(given, width) for given in model.lines]
    note: Line = (Span(model.note, "dim"),)
    room = width - width_of(lines[0]) - 3
    if len(rows) == 1 and cell_width(model.note) <= room:
        lines[0] = (*lines[0], Span(" " * (room + 3 - cell_width(model.note))), *note)
    else:
        lines += [fit(note, width)]
    return lines


def _rewrap(given: Line, width: int) -> list[Line]:
    return wrapped("".join(part.text for part in given), width, given[0].role)
