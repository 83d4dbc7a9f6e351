"""Arrays as blocks of lines: entries aligned on the decimal point, shaded by size; too large ones summarised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from backprop_tui.format import DISPLAY, cell_width, cut, number, plain, shade, shape_text, style_for, summary
from backprop_tui.ops.op import Array
from backprop_tui.view.models import Block
from backprop_tui.view.text import BLANK, Line, Span, fit, padded, width_of

#: The width of a cell, the same for every entry of every array, so that nothing moves from step to step.
CORNER = 2


@dataclass(frozen=True)
class Drawn:
    """A block of lines, all of one width; its entries begin at line ``first``."""

    lines: tuple[Line, ...]
    width: int
    first: int


def as_rows(array: Array) -> Array:
    """An array as the matrix that is drawn: vectors are one row, of more axes the first matrix is taken."""
    matrix = np.asarray(array)
    while matrix.ndim > 2:
        matrix = matrix[0] if matrix.shape[0] else matrix.reshape(0, matrix.shape[-1])
    return matrix.reshape(1, -1) if matrix.ndim < 2 else matrix


def entry_lines(array: Array, role: str) -> list[Line]:
    """Every entry of an array, a row a line, each on a shade of the role's colour."""
    matrix = as_rows(array)
    if matrix.size == 0:
        return [(Span("(no entries)", "dim"),)]
    style, largest = style_for(matrix, width=DISPLAY.cell), _largest(matrix)
    texts = [[number(x, style) for x in row] for row in matrix]
    # an entry that fills its cell would touch the one before it
    apart = " " if any(not text.startswith(" ") for row in texts for text in row[1:]) else ""
    return [
        tuple(Span(apart + text, f"{role}.{shade(x, largest)}") for text, x in zip(row, entries, strict=True))
        for row, entries in zip(texts, matrix, strict=True)
    ]


def _largest(matrix: Array) -> float:
    """The largest magnitude of the finite entries, which the others are shaded by."""
    finite = np.abs(matrix[np.isfinite(matrix)])
    return float(finite.max()) if finite.size else 0.0


def summary_lines(array: Array, role: str, widest: int, *, brief: bool = False) -> list[Line]:
    """A large array in a width: its corner in whole entries, and its extremes, mean and norm; if ``brief``, a line of each."""
    matrix = as_rows(array)
    room = max((widest - 2) // (DISPLAY.cell + 1), 1)
    rows, columns = min(1 if brief else CORNER, matrix.shape[0]), min(CORNER, matrix.shape[1], room)
    corner = entry_lines(matrix[:rows, :columns], role)
    if matrix.shape[1] > columns:
        corner = [(*row, Span(" …", "dim")) for row in corner]
    facts = summary(array)
    low, high = plain(facts.minimum, 3), plain(facts.maximum, 3)
    mean, norm = plain(facts.mean, 3), plain(facts.norm, 3)
    words = [f"min {low}  max {high}", f"mean {mean}  norm {norm}"]
    if max(map(cell_width, words)) > widest:
        words = [f"min {low}", f"max {high}", f"norm {norm}"]
    elif matrix.shape[0] > rows:
        corner.append((Span("⋮".rjust(DISPLAY.cell), "dim"),))
    unsound = ", ".join(f"{count} {name}" for count, name in ((facts.nans, "nan"), (facts.infs, "inf")) if count)
    if unsound:
        words = [unsound, f"the rest: {words[0]}", *words[1:]]
        if cell_width(words[1]) > widest:
            words[1] = words[1].removeprefix("the ")
    if brief:
        words = [unsound or f"norm {norm}"]
    return [*corner, *[(Span(word, "dim"),) for word in words]]


class Budget(NamedTuple):
    """How many rows and columns of entries an array may have to be drawn whole; ``brief`` shortens what a summary says."""

    rows: int
    columns: int
    brief: bool = False

    def whole(self, array: Array) -> bool:
        """Whether an array is drawn whole."""
        array = np.asarray(array)
        if array.ndim > 2 and int(np.prod(array.shape[:-2])) != 1:
            return False
        matrix = as_rows(array)
        return bool(matrix.shape[0] <= self.rows and matrix.shape[1] <= self.columns)


def draw_block(block: Block, budget: Budget, *, widest: int = 200) -> Drawn:
    """A block with its headings and its shape; an array beyond the budget is summarised."""
    role = block.role.partition(".")[0]
    if block.array is None:
        body: list[Line] = [(Span("·".rjust(DISPLAY.cell), "dim"),)]
        shape = more = ""
    else:
        whole = budget.whole(block.array)
        body = entry_lines(block.array, role) if whole else summary_lines(block.array, role, widest, brief=budget.brief)
        shape = shape_text(np.shape(block.array))
        more = "" if whole else "  z enlarges" if cell_width(shape) + 12 <= widest else " (z)"
    shape += more
    heads = [Span(block.title, role), Span(block.name, role)]
    both = f"{shape}, {block.note}" if shape and block.note else shape or block.note
    body_width = max([width_of(row) for row in body] + [cell_width(h.text) for h in heads])
    together = cell_width(both) <= body_width
    foot = [Span(text, "dim") for text in ((both,) if together else (shape, block.note)) if text]
    width = max([width_of(row) for row in body] + [cell_width(s.text) for s in (*heads, *foot)])
    width = min(width, widest)
    lines: list[Line] = [(Span(cut(h.text, width), h.role),) for h in heads]
    lines += [fit(row, width) for row in body]
    lines += [(Span(cut(f.text, width), f.role),) for f in foot]
    return Drawn(tuple(padded(row, width) for row in lines), width, len(heads))


def beside(drawn: list[Drawn], signs: tuple[str, ...]) -> list[Line]:
    """Blocks side by side, their signs between them on the line of the first entries."""
    height = max((len(d.lines) for d in drawn), default=0)
    lines: list[Line] = []
    for i in range(height):
        parts: list[Span] = []
        for k, block in enumerate(drawn):
            if k:
                sign = signs[k - 1] if k - 1 < len(signs) else ""
                text = f" {sign} " if sign else "  "
                parts.append(Span(text if i == block.first else " " * cell_width(text)))
            row = block.lines[i] if i < len(block.lines) else BLANK
            parts.extend(padded(row, block.width))
        lines.append(tuple(parts))
    return lines


def width_beside(drawn: list[Drawn], signs: tuple[str, ...]) -> int:
    """The width of `beside`."""
    gaps = [cell_width(f" {s} ") if s else 2 for s in (*signs, *[""] * len(drawn))][: max(len(drawn) - 1, 0)]
    return sum(d.width for d in drawn) + sum(gaps)


def inline(array: Array, role: str, width: int) -> Line:
    """An array on one line of a width: its entries if they fit, rows divided by a bar; else the first of them and an ellipsis."""
    array = np.asarray(array)
    matrix = as_rows(array)
    if array.size == 0:
        return (Span("(no entries)", "dim"),)
    unsound = array.size - int(np.count_nonzero(np.isfinite(array)))
    if unsound and array.size > 1:
        sign = Span(cut(f" {unsound} not finite", width), "warning")
        room = width - len(sign.text)
        return (*(_entries(matrix, array.size, role, room) if room > DISPLAY.cell else ()), sign)
    return _entries(matrix, array.size, role, width)


def _entries(matrix: Array, size: int, role: str, width: int) -> Line:
    """The entries that have room on a line, and an ellipsis where there are more."""
    bars = matrix.shape[0] - 1
    style, largest = style_for(matrix, width=DISPLAY.cell), _largest(matrix)
    seen = [number(x, style) for x in matrix.flat[1 : width // DISPLAY.cell + 1]]
    cell = DISPLAY.cell + any(not text.startswith(" ") for text in seen)  # it would touch the one before it
    whole = size == matrix.size and matrix.size * cell + bars <= width
    parts: list[Span] = []
    used = 0
    for i, row in enumerate(matrix):
        for j, x in enumerate(row):
            bar = i > 0 and j == 0
            if not whole and used + cell + bar + 1 > width:
                return (*parts, Span("…", "dim"))
            if bar:
                parts.append(Span("│", "dim"))
            parts.append(Span(number(x, style).rjust(cell), f"{role}.{shade(x, largest)}"))
            used += cell + bar
    return tuple(parts) if whole else (*parts, Span("…", "dim"))
