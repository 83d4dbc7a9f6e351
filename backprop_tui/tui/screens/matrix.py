"""Arrays enlarged: one at a time, whole, scrolled without being laid out whole, with a cursor that reads a cell.

A row is made when it is seen, so the size of an array costs nothing; its figures are computed aside where it is large.
What is drawn around the entries are lines of spans, made by functions that know no terminal.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.screen import Screen
from textual.scroll_view import ScrollView
from textual.strip import Strip

from backprop_tui.format import ArraySummary, cell_width, clean, cut, number, shade, shape_text, style_for, summary
from backprop_tui.ops.op import Array
from backprop_tui.tui.panels.base import Bar
from backprop_tui.tui.panels.rows import palette_of, strip_of
from backprop_tui.view.text import BLANK, Line, Span, fit, width_of, wrapped

#: The figures of an array of more entries are computed in a thread; its style is chosen from about so many.
EAGER, SAMPLE = 100_000, 20_000
#: The roles that have no colour of their own.
_COLOURS = {"gradient": "upstream", "value": "forward"}


@dataclass(frozen=True)
class MatrixTab:
    """One array of the screen; ``describe`` says more about the entry under the cursor."""

    name: str
    role: Literal["forward", "upstream", "local", "product", "gradient", "value"]
    array: Array
    describe: Callable[[tuple[int, ...]], Sequence[str]] | None = None


class Sheet:
    """A tab as the matrix that is drawn of it: a vector is one row, of more axes the leading ones are held."""

    def __init__(self, tab: MatrixTab) -> None:
        self.tab, self.name, self.role = tab, clean(tab.name), _COLOURS.get(tab.role, tab.role)
        self.array = np.asarray(tab.array)
        self.shape = self.array.shape
        self.leads = self.shape[:-2]
        self.rows, self.columns = (1, 1, *self.shape)[-2:]
        self.lead = self.row = self.column = 0
        self.facts: ArraySummary | None = summary(self.array) if self.array.size <= EAGER else None
        self.asked = False
        # One style and one scale of shades for all of the array, so that nothing changes while it is scrolled.
        steps = [math.ceil(n / SAMPLE ** (1 / self.array.ndim)) or 1 for n in self.shape]
        sample = np.asarray(self.array[tuple(slice(None, None, step) for step in steps)], np.float64)
        self.style = style_for(sample)
        self.largest = float(np.max(np.abs(sample), initial=0.0, where=np.isfinite(sample)))
        #: The width of a cell, and of the row's index before the cells.
        self.cell = max(self.style.width, len(str(self.columns))) + 1
        self.margin = len(str(self.rows - 1)) + 3 if len(self.shape) > 1 else 1

    @property
    def held(self) -> tuple[int, ...]:
        """The leading index that is shown."""
        return tuple(int(k) for k in np.unravel_index(self.lead, self.leads)) if self.leads and self.array.size else ()

    @property
    def index(self) -> tuple[int, ...]:
        """The index of the entry under the cursor."""
        return (*self.held, self.row, self.column)[max(2 - len(self.shape), 0) :]

    def entries(self, row: int, first: int, last: int) -> Array:
        """A stretch of a row."""
        entries: Array = self.array[self.held][row] if len(self.shape) > 1 else np.atleast_1d(self.array)
        return entries[first:last]

    def move(self, row: int, column: int) -> None:
        """Puts the cursor on a cell, or on the nearest there is."""
        self.row, self.column = max(0, min(row, self.rows - 1)), max(0, min(column, self.columns - 1))

    @property
    def place(self) -> str:
        """Which part of which shape is shown."""
        held = f"[{', '.join(map(str, self.held))}, :, :] of " if self.leads else ""
        return held + shape_text(self.shape)


class MatrixGrid(ScrollView, can_focus=True):
    """The entries of a sheet, their indices held in place at the top and at the left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1, 0)", "up", id="matrix_up", tooltip="The entry above", show=False),
        Binding("down,j", "move(1, 0)", "down", id="matrix_down", tooltip="The entry below", show=False),
        Binding("left,h", "move(0, -1)", "left", id="matrix_left", tooltip="The entry before", show=False),
        Binding("right,l", "move(0, 1)", "right", id="matrix_right", tooltip="The entry after", show=False),
        Binding("pageup", "page(-1)", "page up", id="matrix_page_up", tooltip="A page up", show=False),
        Binding("pagedown", "page(1)", "page down", id="matrix_page_down", tooltip="A page down", show=False),
        Binding("home", "edge(0, -1)", "row start", id="matrix_home", tooltip="The first entry of the row", show=False),
        Binding("end", "edge(0, 1)", "row end", id="matrix_end", tooltip="The last entry of the row", show=False),
        Binding("ctrl+home", "edge(-1, -1)", "first", id="matrix_first", tooltip="The first entry", show=False),
        Binding("ctrl+end", "edge(1, 1)", "last", id="matrix_last", tooltip="The last entry", show=False),
    ]
    DEFAULT_CSS = """
    MatrixGrid {
        height: 1fr; background: $background; scrollbar-size: 1 1; scrollbar-color: $foreground 15%;
        scrollbar-background: $background; scrollbar-corner-color: $background;
    }
    """

    class Moved(Message):
        """The cursor stands on another cell."""

    def __init__(self, sheet: Sheet, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.sheet = sheet

    def show(self, sheet: Sheet) -> None:
        """Draws a sheet, with its cursor in sight."""
        self.sheet = sheet
        # A line of indices, the rows; beside the columns a margin for what says that there are more.
        self.virtual_size = Size(sheet.margin + sheet.columns * sheet.cell + 2, sheet.rows + 1)
        self.refresh()
        self.call_after_refresh(self.reveal)

    @property
    def window(self) -> tuple[int, int, int, int]:
        """The first row in sight and how many have room; the same of the columns, which are seen whole or not at all."""
        sheet, (width, height), (x, y) = self.sheet, self.scrollable_content_region.size, self.scroll_offset
        columns = (width - sheet.margin - 2) // sheet.cell
        return y, max(height - 1, 1), math.ceil(x / sheet.cell), max(columns, 1)

    def on_resize(self) -> None:
        """Keeps the cursor in sight."""
        self.call_after_refresh(self.reveal)

    def notify_style_update(self) -> None:
        """Draws anew in another theme's colours."""
        super().notify_style_update()
        self.refresh()

    def line_at(self, y: int) -> Line:
        """The line that stands in row ``y`` of the widget."""
        sheet, (top, _, first, count) = self.sheet, self.window
        last, row = min(first + count, sheet.columns), top + y - 1
        more = Span(" …", "dim") if last < sheet.columns else Span("")
        if not sheet.array.size:
            return (Span(" no entries", "dim"),) if y == 1 else BLANK
        if row >= sheet.rows or not (y or sheet.shape):
            return BLANK
        if y == 0:
            roles = ["strong" if column == sheet.column else "dim" for column in range(first, last)]
            indices = [Span(f"{k:>{sheet.cell - 1}} ", role) for k, role in enumerate(roles, first)]
            return (Span(" " * sheet.margin), *indices, more)
        label = f"{row:>{sheet.margin - 2}}  " if len(sheet.shape) > 1 else " "
        cells = [
            Span(number(x, sheet.style).rjust(sheet.cell - 1) + " ", self._role(row, first + k, x))
            for k, x in enumerate(sheet.entries(row, first, last))
        ]
        return (Span(label, "strong" if row == sheet.row else "dim"), *cells, more)

    def _role(self, row: int, column: int, x: Any) -> str:
        sheet = self.sheet
        if (row, column) == (sheet.row, sheet.column):
            return f"{sheet.role}.mark"
        return f"{sheet.role}.{shade(x, sheet.largest)}" if math.isfinite(x) else "warning"

    def render_line(self, y: int) -> Strip:
        """One line of what is in sight."""
        return strip_of(self.line_at(y), self.size.width, palette_of(self))

    def reveal(self) -> None:
        """Scrolls as little as brings the cursor in sight."""
        sheet, (top, rows, first, columns) = self.sheet, self.window
        column = min(max(first, sheet.column - columns + 1), sheet.column)
        row = min(max(top, sheet.row - rows + 1), sheet.row)
        if (column, row) != (first, top):
            self.scroll_to(column * sheet.cell, row, animate=False)

    def go_to(self, row: int, column: int) -> None:
        """Puts the cursor on a cell; only the lines that it leaves and enters are drawn again."""
        before = self.sheet.row
        self.sheet.move(row, column)
        for y in (0, *(k + 1 - self.scroll_offset.y for k in {before, self.sheet.row})):
            self.refresh(Region(0, y, self.size.width, 1))
        self.reveal()
        self.post_message(self.Moved())

    def action_move(self, down: int, right: int) -> None:
        """Moves by a cell."""
        self.go_to(self.sheet.row + down, self.sheet.column + right)

    def action_page(self, down: int) -> None:
        """Moves by as many rows as are seen."""
        top, rows, *_ = self.window
        self.scroll_to(y=top + down * rows, animate=False)
        self.go_to(self.sheet.row + down * rows, self.sheet.column)

    def action_edge(self, down: int, right: int) -> None:
        """Moves to the beginning or the end of the row (``down`` 0), or of the matrix."""
        self.go_to((self.sheet.row, self.sheet.rows - 1, 0)[down], self.sheet.columns - 1 if right > 0 else 0)

    def on_click(self, event: events.Click) -> None:
        """Puts the cursor where it was clicked."""
        sheet, (top, _, first, columns), offset = self.sheet, self.window, event.get_content_offset(self)
        if offset is None or offset.y < 1 or offset.x < sheet.margin:
            return
        row, column = top + offset.y - 1, (offset.x - sheet.margin) // sheet.cell
        if row < sheet.rows and column < min(columns, sheet.columns - first):
            self.go_to(row, first + column)


# The lines around the entries.


def title_line(title: str, place: str, width: int) -> Line:
    """The title at the left, and at the right what part of which shape is shown."""
    shown = cut(title, max(width - cell_width(place) - 4, 0))
    gap = width - cell_width(shown) - cell_width(place) - 2
    return fit((Span(f" {shown}", "strong"), Span(" " * max(gap, 1)), Span(place, "dim"), Span(" ")), width)


def tab_spans(sheets: Sequence[Sheet], active: int, width: int) -> list[Span]:
    """The tabs, numbered as their keys; where there is little room, the others' names are cut, then left out."""

    def spans(others: int, own: int) -> list[Span]:
        names = [cut(sheet.name, own if k == active else others) for k, sheet in enumerate(sheets)]
        labels = [f" {k} {name}".rstrip() + " " for k, name in enumerate(names, 1)]
        roles = [f"{sheet.role}.mark" if k == active else sheet.role for k, sheet in enumerate(sheets)]
        return [Span(*pair) for pair in zip(labels, roles, strict=True)]

    longest = max(cell_width(sheet.name) for sheet in sheets)
    own = cell_width(sheets[active].name)
    for others in (longest, *range(longest - 1, 7, -1), 0):
        if width_of(found := spans(others, own)) <= width:
            return found
    return spans(0, max(own - (width_of(found) - width), 1))


def cell_lines(sheet: Sheet, room: int, width: int, elsewhere: str) -> list[Line]:
    """The index and exact value under the cursor, and ``room`` lines that describe it."""
    if not sheet.array.size:
        return [BLANK] * (room + 1)
    index, value = sheet.index, sheet.array[sheet.index]
    place = f"[{', '.join(map(str, index))}]" if index else "scalar"
    lines: list[Line] = [fit((Span(f" {place}  ", sheet.role), Span(str(value).replace("-", "−"), "strong")), width)]
    if sheet.tab.describe is not None:
        text, role = "\n".join(clean(text) for text in sheet.tab.describe(index)), ""
    else:
        text, role = elsewhere, "dim"
    kept = re.sub(r",\s(?=[^][]*\])", ",\0", text)  # an index is not broken
    described = [part.text.replace("\0", " ") for line in wrapped(kept, width - 2) for part in line]
    if len(described) > room > 0:
        described[room - 1] = cut(described[room - 1], width - 4).removesuffix("…") + " …"
    lines += [(Span(f" {line}", role),) for line in described[:room]]
    return lines + [BLANK] * (room + 1 - len(lines))


def facts_line(sheet: Sheet, width: int) -> Line:
    """The shape, the extremes, the mean and the norm, and how many entries are nan, inf or zero."""
    known = (shape_text(sheet.shape), "its figures are being computed") if sheet.facts is None else sheet.facts.lines()
    known = known if sheet.array.size > 1 else known[:1]
    return fit((Span(" " + "   ".join(known), "dim"),), width)


def keys_line(sheet: Sheet, tabs: int, width: int) -> Line:
    """As many of the keys as have room, the most needed first."""
    keys = [("Esc", "close"), ("↑↓←→ hjkl", "move")]
    keys += [(f"Tab 1–{tabs}", "array")] * (tabs > 1) + [("< >", "slice")] * bool(sheet.leads)
    keys += [("PgUp PgDn", "page"), ("Home End", "row"), ("Ctrl+Home Ctrl+End", "corner")]
    spans: list[Span] = []
    for key, what in keys:
        more = [Span(f" {key}", "key"), Span(f" {what}  ", "dim")]
        if width_of((*spans, *more)) <= width:
            spans += more
    return tuple(spans)


class MatrixScreen(Screen[None]):
    """The arrays of a step or of a variable, a tab each."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,z,q", "close", "close", id="matrix_close", tooltip="Back to where one came from", show=False),
        Binding("tab", "turn(1)", "next array", id="matrix_next", tooltip="The next array", show=False),
        Binding("shift+tab", "turn(-1)", "previous array", id="matrix_previous", tooltip="The array before", show=False),
        Binding("<", "slice(-1)", "previous slice", id="matrix_slice_before", tooltip="The slice before", show=False),
        Binding(">", "slice(1)", "next slice", id="matrix_slice_after", tooltip="The slice after", show=False),
        *(Binding(str(k), f"open({k - 1})", f"array {k}", id=f"matrix_{k}", tooltip=f"Array {k}", show=False) for k in range(1, 7)),
    ]
    DEFAULT_CSS = "MatrixScreen { background: $background; } MatrixScreen #keys { dock: bottom; }"

    def __init__(self, title: str, tabs: Sequence[MatrixTab], start: int = 0) -> None:
        super().__init__()
        self.heading = clean(title)
        self.sheets = [Sheet(tab) for tab in tabs]
        self.active = max(0, min(start, len(self.sheets) - 1))
        described = [f"{k} {sheet.name}" for k, sheet in enumerate(self.sheets, 1) if sheet.tab.describe is not None]
        self.elsewhere = f"Tab {described[0]} writes out the sum behind the entry." if described else ""
        self.room = self.air = 0

    @property
    def sheet(self) -> Sheet:
        """The sheet that is shown."""
        return self.sheets[self.active]

    def compose(self) -> ComposeResult:
        """Title and tabs, the entries, what is under the cursor, the keys."""
        yield Bar(lambda _, width: self._head(width), id="head")
        yield MatrixGrid(self.sheet)
        yield Bar(lambda _, width: self._foot(width), id="foot")
        yield Bar(lambda _, width: [keys_line(self.sheet, len(self.sheets), width)], id="keys")

    def on_mount(self) -> None:
        """Draws the first sheet."""
        self.on_resize()
        self.open(self.active)

    def on_resize(self) -> None:
        """Gives the entries as many lines as the largest sheet needs, or as there are: nothing moves between tabs."""
        width, height = self.app.size
        self.air = int(height >= 20)  # blank lines above and below the entries
        bars = [sheet.margin + sheet.columns * sheet.cell + 3 > width for sheet in self.sheets]
        needed = max(sheet.rows + 1 + bar for sheet, bar in zip(self.sheets, bars, strict=True))
        left = height - needed - 2 * self.air - 5  # title, tabs, the cell, the figures, the keys
        self.room = max(2 if height < 16 else 3, min(left, 6)) if self.elsewhere else 0
        head, foot = 2 + self.air, 2 + self.room + self.air
        for name, lines in (("#head", head), ("#foot", foot), ("MatrixGrid", min(needed, height - head - foot - 1))):
            self.query_one(name).styles.height = max(lines, 2)

    def _head(self, width: int) -> list[Line]:
        tabs = fit(tuple(tab_spans(self.sheets, self.active, width)), width)
        return [title_line(self.heading, self.sheet.place, width), tabs]

    def _foot(self, width: int) -> list[Line]:
        cell = cell_lines(self.sheet, self.room, width, self.elsewhere)
        return [*[BLANK] * self.air, facts_line(self.sheet, width), *cell]

    def on_matrix_grid_moved(self) -> None:
        """Reads the cell under the cursor."""
        self.query_one("#foot", Bar).show(self)

    def open(self, index: int) -> None:
        """Shows a sheet; one of the same shape keeps the cursor where it is."""
        before, sheet, self.active = self.sheet, self.sheets[index], index
        if sheet.shape == before.shape:
            sheet.lead, sheet.row, sheet.column = before.lead, before.row, before.column
        if sheet.facts is None and not sheet.asked:
            sheet.asked = True
            self.run_worker(lambda: self._summarise(sheet), thread=True, exit_on_error=False)
        self.query_one(MatrixGrid).show(sheet)
        for bar in self.query(Bar):
            bar.show(self)

    def _summarise(self, sheet: Sheet) -> None:
        sheet.facts = summary(sheet.array)
        if self.is_attached:
            self.app.call_from_thread(self.on_matrix_grid_moved)

    def action_open(self, index: int) -> None:
        """Shows the array of a number."""
        if index < len(self.sheets):
            self.open(index)

    def action_turn(self, by: int) -> None:
        """Shows the next array, or the one before."""
        self.open((self.active + by) % len(self.sheets))

    def action_slice(self, by: int) -> None:
        """Shows the next slice of an array of more than two axes, or the one before."""
        sheet = self.sheet
        sheet.lead = max(0, min(sheet.lead + by, math.prod(sheet.leads) - 1))
        self.open(self.active)

    def on_click(self, event: events.Click) -> None:
        """A click on a tab opens it."""
        if event.widget is not None and event.widget.id == "head" and event.y == 1:
            spans = tab_spans(self.sheets, self.active, self.size.width)
            ends = [width_of(spans[: k + 1]) for k in range(len(spans))]
            self.action_open(bisect_right(ends, event.x))

    def action_close(self) -> None:
        """Back to where one came from."""
        self.dismiss(None)
