"""The widgets that draw lines of spans: a panel of lines, and a panel of rows that are made only where they are seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message

from backprop_tui.format import cell_width, cut
from backprop_tui.tui.panels import steps as steps_panel
from backprop_tui.tui.panels.rows import Rows, changes
from backprop_tui.view.models import StepsModel
from backprop_tui.view.text import BLANK, Line, Span, fit, padded, width_of

Model = TypeVar("Model")


class Bar(Rows):
    """One or more lines without a border: the header, the timeline, the footer."""

    DEFAULT_CSS = "Bar { height: 1; }"

    def __init__(self, draw: Callable[[Any, int], list[Line]], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._draw = draw
        self._model: Any = None
        self._lines: list[Line] = []
        self._width = 0

    def show(self, model: Any) -> None:
        """Draws what a model changes."""
        self._model = model
        before, width = self._lines, self.outer_size.width
        if not before or width != self._width:
            self._lines = []  # nothing of it is on the screen, or for another width
            return
        regions = changes(before, self._laid_out(width), width)
        if regions:
            self.refresh(*regions)

    def _laid_out(self, width: int) -> list[Line]:
        self._width = width
        lines = self._draw(self._model, width) if self._model is not None and width else []
        made = [padded(fit(line, width), width) for line in lines]
        known = self._lines if len(self._lines) == len(made) else made
        self._lines = [old if old == new else new for old, new in zip(known, made, strict=True)]
        return self._lines

    def on_resize(self) -> None:
        """Draws for another width."""
        self._laid_out(self.outer_size.width)

    def row(self, y: int) -> Line:
        """One line; the first time, and for another width, all of them are made."""
        lines = self._lines if self._lines and self._width == self.outer_size.width else self._laid_out(self.outer_size.width)
        return lines[y] if y < len(lines) else BLANK


class Panel(Rows, Generic[Model], can_focus=True):
    """A bordered panel that draws one frozen model as lines. ``number`` is the key that focuses it.

    It draws its own border and scrolls by itself, so that a new title or another line in sight is a changed line like any
    other: only the lines that differ from those on the screen are drawn again, and nothing is laid out anew.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("h", "sideways(-4)", "left", show=False),
        Binding("l", "sideways(4)", "right", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
    ]

    class Chosen(Message):
        """A line or a row was chosen, by a double click; ``index`` counts from 0."""

        def __init__(self, panel: Panel[Any], index: int) -> None:
            super().__init__()
            self.panel = panel
            self.index = index

        @property
        def control(self) -> Panel[Any]:
            """The panel it was chosen in."""
            return self.panel

    def __init__(
        self,
        number: int,
        title: str,
        draw: Callable[[Model, int, int], Sequence[Line]],
        *,
        selects: bool = False,
        headings: int = 0,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.number = number
        self.selects = selects
        self.headings = headings
        self.selected: int | None = None
        self.top = 0
        self.shift = 0
        self._draw = draw
        self._model: Model | None = None
        self._in_sight: int | None = None
        self._lines: Sequence[Line] = []
        self._on_screen: list[Line] = []
        self._inside: list[Line] = []
        self._framed_as: tuple[int, str] | None = None
        self._laid_out_for = Size(0, 0)
        self.title = title

    def show(self, model: Model, in_sight: int | None = None, *, title: str | None = None) -> None:
        """Draws a model, with a certain line in sight; before the panel has a size, it is kept until it has one."""
        self._model = model
        self._in_sight = in_sight
        if title is not None:
            self.title = title
        self.lay_out()

    @property
    def inner(self) -> Size:
        """The size inside the border."""
        return Size(max(self.outer_size.width - 4, 0), max(self.outer_size.height - 2, 0))

    def on_resize(self) -> None:
        """Lays out anew for another size, if drawing has not done so already."""
        if self._laid_out_for != self.outer_size:
            self.lay_out()

    # What is drawn

    def lay_out(self) -> None:
        """Makes the lines of the model for the present size."""
        size = self.inner
        if self._model is not None and size.width and size.height:
            self._lines = self._draw(self._model, size.width, size.height)
            self.top = max(0, min(self.top, self.count - size.height))
            lit = (i for i, line in enumerate(self._lines) if any(part.role == "lit" for part in line))
            wanted = next(lit, None) if self._in_sight is None else self._in_sight
            if wanted is not None:
                self.reveal(wanted)
            self.draw_changes()
        else:
            self._laid_out_for = Size(0, 0)  # it is not seen: when it is, the model is another

    @property
    def count(self) -> int:
        """How many lines there are, seen or not."""
        return len(self._lines)

    @property
    def lines(self) -> Sequence[Line]:
        """All lines, as they are drawn where they are seen."""
        return self._lines

    def line_at(self, y: int) -> Line:
        """The line that stands in row ``y`` of the panel."""
        index = y if y < self.headings else y + self.top
        line = self._lines[index] if index < len(self._lines) else BLANK
        if self.selects and index == (self.selected or 0) + self.headings and self.selected is not None and self.has_focus:
            line = selected(padded(line, self.inner.width))
        return shifted(line, self.shift) if self.shift else line

    def draw_changes(self) -> None:
        """Draws the rows that are not on the screen yet."""
        width, height = self.outer_size
        rows = self._framed() if width > 4 and height > 2 else []
        before = self._on_screen
        self._on_screen = rows
        if self._laid_out_for != self.outer_size or len(before) != len(rows):
            self._laid_out_for = self.outer_size
            self.refresh()
            return
        regions = changes(before, rows, width)
        if regions:
            self.refresh(*regions)

    def _framed(self) -> list[Line]:
        """The rows with their border: the title in its upper edge, how many lines are out of sight in its lower one."""
        width, height = self.inner
        edge = "edge.focus" if self.has_focus else "edge"
        title = Span(f" {cut(f'{self.number} {self.title}', width - 4)} ", "strong" if self.has_focus else "dim")
        below = max(self.count - self.top - height, 0)
        parts = [f"↑ {self.top:,}"] * (self.top > 0) + [f"↓ {below:,}"] * (below > 0)
        more = f" {' '.join(parts)} more " if parts else ""
        top: Line = (Span("╭─", edge), title, Span("─" * (width + 1 - cell_width(title.text)) + "╮", edge))
        bottom: Line = (Span("╰" + "─" * (width + 1 - len(more)), edge), Span(more, "dim"), Span("─╯", edge))
        side, blank = Span("│ ", edge), Span(" │", edge)
        inside = [self.line_at(y) for y in range(height)]
        key = (width, edge)
        known = zip(self._inside, self._on_screen[1:], strict=False) if self._framed_as == key else ()
        reused = {y: row for y, (line, row) in enumerate(known) if y < height and inside[y] == line}
        self._inside, self._framed_as = inside, key
        rows = [reused[y] if y in reused else (side, *padded(fit(line, width), width), blank) for y, line in enumerate(inside)]
        return [top, *rows, bottom]

    def row(self, y: int) -> Line:
        """One row of what is in sight."""
        if self._laid_out_for != self.outer_size:
            self.lay_out()
        rows = self._on_screen
        return rows[y] if y < len(rows) else BLANK

    # Moving

    def reveal(self, index: int) -> None:
        """Scrolls so that a line is in sight, without moving if it is."""
        height = self.inner.height
        if height and not self.top + self.headings <= index < self.top + height:
            middle = index - self.headings - (height - self.headings) // 2
            self.scroll_to_line(middle)

    def scroll_to_line(self, top: int) -> None:
        """Makes a line the first that is seen."""
        self.top = max(0, min(top, self.count - self.inner.height))
        self.draw_changes()

    def action_move(self, by: int) -> None:
        """Moves the selection, or scrolls."""
        if not self.selects:
            self.scroll_to_line(self.top + by)
            return
        count = self.count - self.headings
        if count > 0:
            start = self.first_selected if self.selected is None else self.selected
            self.selected = max(0, min(count - 1, start + by))
            self.reveal(self.selected + self.headings)
            self.draw_changes()

    @property
    def first_selected(self) -> int:
        """What the selection starts from."""
        return self.top if self._in_sight is None else max(self._in_sight - self.headings, 0)

    def action_sideways(self, by: int) -> None:
        """Scrolls sideways, no further than the longest line in sight."""
        seen = self._lines[self.top : self.top + self.inner.height]
        longest = max((width_of(line) for line in seen), default=0)
        self.shift = max(0, min(self.shift + by, longest - self.inner.width))
        self.draw_changes()

    def action_page(self, by: int) -> None:
        """Moves by a page."""
        self.action_move(by * max(self.inner.height - 1, 1))

    def watch_has_focus(self, has_focus: bool) -> None:
        """Shows by the border and the selection where the keys go."""
        super().watch_has_focus(has_focus)
        self.draw_changes()

    def on_mouse_scroll_down(self) -> None:
        """Scrolls down."""
        self.scroll_to_line(self.top + 3)

    def on_mouse_scroll_up(self) -> None:
        """Scrolls up."""
        self.scroll_to_line(self.top - 3)

    def on_click(self, event: events.Click) -> None:
        """A click selects; a double click chooses."""
        offset = event.get_content_offset(self)
        if not self.selects or offset is None or not self.headings < offset.y <= self.inner.height:
            return
        index = offset.y - 1 + self.top - self.headings
        if index < self.count - self.headings:
            self.selected = index
            self.draw_changes()
            if event.chain > 1:
                self.post_message(self.Chosen(self, index))


class StepsPanel(Panel[StepsModel]):
    """The list of steps. It has as many rows as the run has steps and makes those that are seen."""

    def __init__(self, number: int, title: str, **arguments: Any) -> None:
        super().__init__(number, title, lambda model, width, height: [], selects=True, **arguments)
        self._rows: dict[tuple[int, int, int, bool], Line] = {}
        self._compared: object = None

    @property
    def count(self) -> int:
        """How many steps the run has."""
        return self._model.total if self._model is not None else 0

    @property
    def first_selected(self) -> int:
        """The current step."""
        return max(self._model.position - 1, 0) if self._model is not None else 0

    def lay_out(self) -> None:
        """Moves the list only when the current row comes near its edge, and then to the middle."""
        model, height = self._model, self.inner.height
        if model is None or not height:
            self.draw_changes()
            return
        if not self.has_focus:
            self.selected = None
        index, margin = max(model.position - 1, 0), min(2, height // 3)
        edge = self.top + margin <= index < self.top + height - margin
        if not edge:
            self.top = max(0, min(index - height // 2, model.total - height))
        self.draw_changes()

    def line_at(self, y: int) -> Line:
        """The row of a step, made now."""
        model, number = self._model, y + self.top + 1
        if model is None or number > model.total:
            return BLANK
        chosen = self.has_focus and self.selected == number - 1
        key = (number, (number > model.position) - (number < model.position), self.inner.width, chosen)
        if len(self._rows) > 1000 or model.compared is not self._compared:
            self._rows.clear()
            self._compared = model.compared
        if key not in self._rows:  # a step takes two of the rows in sight to another state
            row = steps_panel.draw_row(model, number, self.inner.width, chosen)
            self._rows[key] = selected(row) if chosen else row
        return self._rows[key]


def selected(line: Line) -> Line:
    """A line as the selected one."""
    return tuple(Span(part.text, f"{part.role}+select" if part.role else "select") for part in line)


def shifted(line: Line, by: int) -> Line:
    """A line without its first cells; that something is left out is shown."""
    rest: list[Span] = []
    left = by + 1
    for part in line:
        width = cell_width(part.text)
        if left >= width:
            left -= width
        elif left:
            kept = next(i for i in range(1, len(part.text) + 1) if cell_width(part.text[:i]) >= left)
            rest.append(Span(part.text[kept:], part.role))
            left = 0
        else:
            rest.append(part)
    return (Span("…", "dim"), *rest) if rest else BLANK
