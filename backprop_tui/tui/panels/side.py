"""Draws the watches, the stops and the call stack."""

from __future__ import annotations

from backprop_tui.format import cell_width, cut, pad
from backprop_tui.tui.panels.arrays import inline
from backprop_tui.view.models import CallsModel, StopsModel, WatchesModel, WatchRow
from backprop_tui.view.text import Line, Span, fit, padded, wrapped


def lines_each(width: int) -> int:
    """How many lines a watch takes: in a narrow panel its value stands under it."""
    return 2 if width < 44 else 1


def draw_watches(model: WatchesModel, width: int, _height: int) -> list[Line]:
    """Each watch with what it was before the step, where that is another, and what it is."""
    if not model.rows:
        return wrapped("Nothing is watched. w watches an expression, such as norm(grad(W1)).", width, "dim")
    if lines_each(width) == 2:
        pairs = [(_name(row, width), _watched(row, width)) for row in model.rows]
        return [fit(part, width) for pair in pairs for part in pair]
    names = min(max(cell_width(row.text) for row in model.rows), max(width * 2 // 5, 6))
    return [fit((*padded(_name(row, names), names), *_watched(row, width - names)), width) for row in model.rows]


def _name(row: WatchRow, width: int) -> Line:
    return (Span(cut(row.text, width), "strong" if row.changed else ""),)


def _watched(row: WatchRow, width: int) -> Line:
    """The value in a width, after a mark that says whether the step changed it."""
    mark, room = Span("  ▸ " if row.changed else "    ", "product"), width - 4
    if row.after is None:
        cut_short = cell_width(row.why) > room and row.why.endswith("is not there yet")
        return (mark, Span("not there yet" if cut_short else row.why, "dim"))
    if not row.changed or row.before is None or room < 20:
        return (mark, *inline(row.after, "forward", room))
    half = (room - 3) // 2
    before = fit(inline(row.before, "forward", half), half)
    return (mark, *before, Span(" → ", "dim"), *inline(row.after, "forward", half))


def draw_stops(model: StopsModel, width: int, _height: int) -> list[Line]:
    """A line for each stop, with its switch; those that stop here are marked."""
    digits = max((len(str(row.number)) for row in model.rows if row.number is not None), default=0)
    named = max((cell_width(row.text) for row in model.rows if row.words), default=0)
    lines: list[Line] = []
    for row in model.rows:
        number = f"{row.number or '':>{digits}} " if digits else ""
        hits = Span(f"  {row.hits}" if row.hits else "", "dim")
        room = max(width - cell_width(number) - 4 - cell_width(hits.text), 8)
        role = "strong" if row.here else "" if row.on else "dim"
        text: Line = (
            Span(pad(row.text, named) if row.words else row.text, role),
            Span(f"  {row.words}" if row.words else "", "dim"),
        )
        if row.words and room < named + 12:
            text = text[:1]  # so narrow, half a sentence says less than the name
        switch = Span("● " if row.on else "○ ", "breakpoint" if row.on else "dim")
        left: Line = (Span("▸ " if row.here else "  ", "product"), switch, Span(number, "dim"), *fit(text, room))
        lines.append(fit((*padded(left, width - cell_width(hits.text)), hits), width))
    return lines


def draw_calls(model: CallsModel, width: int, _height: int) -> list[Line]:
    """A line for each call, the innermost first, and the turns of its loops under it."""
    if not model.rows:
        return wrapped(model.why, width, "dim")
    lines: list[Line] = []
    for depth, row in enumerate(model.rows):
        name = row.name or "the program"
        mark = Span("▸ " if depth == 0 else "↳ ", "strong" if depth == 0 else "dim")
        lines.append(fit((mark, Span(name, "strong"), Span(f", line {row.line}")), width))
        lines += [(Span("    "), *line) for line in wrapped(row.turns, max(width - 4, 1), "forward") if row.turns]
        lines.append(fit((Span("    "), Span(row.source, "dim")), width))
    return lines
