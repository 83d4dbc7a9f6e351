"""Rows of a widget as strips, kept while they do not change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.segment import Segment
from textual.filter import ANSIToTruecolor
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from backprop_tui.format import cell_width
from backprop_tui.tui.theme import Palette
from backprop_tui.view.text import Line


def palette_of(widget: Widget) -> Palette:
    """The styles of the app's present theme."""
    variables = widget.app.theme_variables
    key = (widget.app.theme, variables.get("background"))
    cached: tuple[Any, Palette] | None = getattr(widget.app, "_palette", None)
    if cached is None or cached[0] != key:
        cached = (key, Palette(variables))
        widget.app._palette = cached  # type: ignore[attr-defined]  # one palette an app, kept where its theme is
    return cached[1]


def strip_of(line: Line, width: int, palette: Palette) -> Strip:
    """A line as a strip of exactly a width, in as few segments as it takes: each costs the terminal some forty bytes."""
    segments: list[Segment] = []
    role, text = "", ""
    for part in line:
        # a blank has no colour of its own: it takes that of what is before it, unless that shades its ground
        if part.role == role or (part.text.isspace() and part.role in _INK and role in _INK):
            text += part.text
        else:
            if text:
                segments.append(Segment(text, palette.style(role)))
            role, text = part.role, part.text
    if text:
        segments.append(Segment(text, palette.style(role)))
    return Strip(segments).adjust_cell_length(width, palette.base)


#: The roles that colour what is written and not the ground behind it.
_INK = frozenset(("", "dim", "strong", "key", "warning", "forward", "upstream", "local", "product", "edge", "edge.focus"))


def changed(before: Line, after: Line, width: int) -> int:
    """The column up to which two lines differ. From where on is of no use: Textual writes a widget's row from its start."""
    for old, new in zip(reversed(before), reversed(after), strict=False):
        if old != new:
            break
        width -= cell_width(new.text)
    return max(width, 1)


def changes(before: Sequence[Line], after: Sequence[Line], width: int) -> list[Region]:
    """What is to be drawn again of rows that are all as wide as ``width``."""
    return [Region(0, y, changed(old, new, width), 1) for y, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]


class Rows(Widget):
    """A widget that draws its rows itself, border and all, and keeps them: Textual need not style, filter and join them.

    A row is the line that ``row(y)`` answers; as long as it is the same object, its strip is the same too.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._strips: dict[int, tuple[Line, int, Palette, Strip]] = {}

    def row(self, y: int) -> Line:
        """The line that stands in row ``y`` of the widget."""
        raise NotImplementedError

    def render_line(self, y: int) -> Strip:
        """One row as a strip."""
        return self._strip(y, palette_of(self))

    def _strip(self, y: int, palette: Palette) -> Strip:
        line, width = self.row(y), self.outer_size.width
        known = self._strips.get(y)
        if known is None or known[0] is not line or known[1:3] != (width, palette):
            known = self._strips[y] = (line, width, palette, strip_of(line, width, palette))
        return known[3]

    def render_lines(self, crop: Region) -> list[Strip]:
        """Rows of a part of the widget; what a filter must change, such as all colours, goes the usual way."""
        if any(not isinstance(line_filter, ANSIToTruecolor) for line_filter in self.get_line_filters()):
            return super().render_lines(crop)
        start, end = crop.column_span
        palette = palette_of(self)
        strips = [self._strip(y, palette) for y in crop.line_range]
        if (start, end) == (0, self.outer_size.width):
            return strips
        return [strip.crop(start, end) for strip in strips]
