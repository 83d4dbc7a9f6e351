"""The widgets that draw lines of spans: a panel of lines, and a panel of rows that are made only where they are seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from backprop_tui.tui.panels import steps as steps_panel
from backprop_tui.tui.theme import Palette
from backprop_tui.view.models import StepsModel
from backprop_tui.view.text import BLANK, Line, Span, padded

Model = TypeVar("Model")


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
    """A line as a strip of exactly a width."""
    segments = [Segment(part.text, palette.style(part.role)) for part in line if part.text]
    return Strip(segments).adjust_cell_length(width, palette.style("")).apply_style(palette.base)


class Bar(Widget):
    """One or more lines without a border: the header, the timeline, the footer."""

    DEFAULT_CSS = "Bar { height: 1; }"

    def __init__(self, draw: Callable[[Any, int], list[Line]], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._draw = draw
        self._model: Any = None

    def show(self, model: Any) -> None:
        """Draws a model, if it is another one."""
        if model != self._model:
            self._model = model
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line."""
        width = self.size.width
        lines = self._draw(self._model, width) if self._model is not None else []
        return strip_of(lines[y] if y < len(lines) else BLANK, width, palette_of(self))


class Panel(ScrollView, Generic[Model], can_focus=True, inherit_bindings=False):
    """A bordered panel that draws one frozen model as lines. ``number`` is the key that focuses it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("h", "sideways(-4)", "left", show=False),
        Binding("l", "sideways(4)", "right", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
    ]
    DEFAULT_CSS = """
    Panel {
        border: round $edge;
        border-title-color: $dim;
        padding: 0 1;
        scrollbar-size: 0 0;
        border-subtitle-color: $dim;
        &:focus { border: round $accent; border-title-color: $foreground; }
    }
    """

    class Chosen(Message):
        """A line or a row was chosen, by Enter or by a click; ``index`` counts from 0."""

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
        draw: Callable[[Model, int, int], list[Line]],
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
        self._draw = draw
        self._model: Model | None = None
        self._lines: list[Line] = []
        self._laid_out: tuple[Any, int, int] | None = None
        self.set_title(title)

    def set_title(self, title: str) -> None:
        """The title in the border; text from a scenario is shown as it is."""
        content = Content(f"{self.number} {title}")
        if self.border_title != content:
            self.border_title = content  # type: ignore[assignment]  # Content is taken as it is, a str is markup

    def show(self, model: Model) -> None:
        """Draws a model."""
        self._model = model
        self._lay_out()

    def on_resize(self) -> None:
        """Lays out anew for another size."""
        self._lay_out()

    def notify_style_update(self) -> None:
        """Draws anew in another theme's colours."""
        super().notify_style_update()
        self.refresh()

    def _lay_out(self) -> None:
        size = self.scrollable_content_region.size
        if self._model is None or not size.width or not self.display:
            return
        key = (self._model, size.width, size.height)
        if self._laid_out is not None and self._laid_out[1:] == key[1:] and self._laid_out[0] is self._model:
            return
        self._laid_out = key
        self._lines = self._draw(self._model, size.width, size.height)
        self.virtual_size = Size(size.width, len(self._lines))
        self._say_what_is_below()
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Keeps the sign of hidden lines true."""
        super().watch_scroll_y(old_value, new_value)
        self._say_what_is_below()

    def _say_what_is_below(self) -> None:
        """In the border: how many lines are out of sight. A scrollbar would take a column, and come and go."""
        height = self.scrollable_content_region.height
        top = self.scroll_offset.y
        below = max(self.virtual_size.height - top - height, 0)
        parts = [f"↑ {top}"] * (top > 0) + [f"↓ {below}"] * (below > 0)
        text = f"{' '.join(parts)} more" if parts and height else ""
        if str(self.border_subtitle or "") != text:
            self.border_subtitle = Content(text)  # type: ignore[assignment]  # as above

    @property
    def lines(self) -> list[Line]:
        """The lines as they are drawn."""
        return self._lines

    def render_line(self, y: int) -> Strip:
        """One line of what is in sight."""
        if y >= self.headings:  # headings stay where they are
            y += self.scroll_offset.y
        width = self.scrollable_content_region.size.width
        line = self._lines[y] if y < len(self._lines) else BLANK
        if self.selected is not None and y == self.selected + self.headings and self.has_focus:
            line = tuple(Span(part.text, f"{part.role}+select" if part.role else "select") for part in padded(line, width))
        return strip_of(line, width, palette_of(self))

    def reveal(self, index: int) -> None:
        """Scrolls so that a line is in sight, without moving if it is."""
        height = self.scrollable_content_region.height
        top = self.scroll_offset.y
        if height and not top + self.headings <= index < top + height:
            middle = index - self.headings - (height - self.headings) // 2
            self.scroll_to(y=max(0, middle), animate=False, force=True, immediate=True)

    def action_move(self, by: int) -> None:
        """Moves the selection, or scrolls."""
        if not self.selects:
            self.scroll_relative(y=by, animate=False)
            return
        count = len(self._lines) - self.headings
        if count > 0:
            self.selected = max(0, min(count - 1, (0 if self.selected is None else self.selected + by)))
            self.reveal(self.selected + self.headings)
            self.refresh()

    def action_sideways(self, by: int) -> None:
        """Scrolls sideways."""
        self.scroll_relative(x=by, animate=False)

    def action_page(self, by: int) -> None:
        """Moves by a page."""
        self.action_move(by * max(self.scrollable_content_region.height - 1, 1))

    def on_click(self, event: events.Click) -> None:
        """A click selects; a double click chooses."""
        if self.selects:
            offset = event.get_content_offset(self)
            if offset is not None:
                self.select_line(offset.y + self.scroll_offset.y, event.chain > 1)

    def select_line(self, index: int, choose: bool) -> None:
        """Selects the line with this index among all, and chooses it if asked to."""
        index -= self.headings
        if 0 <= index < len(self._lines) - self.headings:
            self.selected = index
            self.refresh()
            if choose:
                self.post_message(self.Chosen(self, index))


class StepsPanel(Panel[StepsModel], inherit_bindings=True):
    """The list of steps. It has as many rows as the run has steps and makes those that are seen."""

    def __init__(self, number: int, title: str, **arguments: Any) -> None:
        super().__init__(number, title, lambda model, width, height: [], selects=True, **arguments)

    def _lay_out(self) -> None:
        model = self._model
        size = self.scrollable_content_region.size
        if model is None or not size.width or not self.display:
            return
        total = Size(size.width, model.total)
        if self.virtual_size != total:
            self.virtual_size = total
        if not self.has_focus:
            self.selected = None
        if self._laid_out is None or self._laid_out[0] is not model:
            self._laid_out = (model, size.width, size.height)
            if model.position:
                self._keep_in_sight(model.position - 1, size.height)
            else:
                self.scroll_to(y=0, animate=False, force=True)
        self.refresh()

    def _keep_in_sight(self, index: int, height: int) -> None:
        """Moves the list only when the current row comes near its edge, and then to the middle."""
        top = self.scroll_offset.y
        margin = min(2, height // 3)
        if not top + margin <= index < top + height - margin:
            self.scroll_to(y=max(0, index - height // 2), animate=False, force=True, immediate=True)

    def render_line(self, y: int) -> Strip:
        """One row."""
        model = self._model
        width = self.scrollable_content_region.size.width
        number = y + self.scroll_offset.y + 1
        if model is None or number > model.total:
            return strip_of(BLANK, width, palette_of(self))
        chosen = self.has_focus and self.selected == number - 1
        row = steps_panel.draw_row(model, number, width, chosen)
        if chosen:
            row = tuple(Span(part.text, f"{part.role}+select" if part.role else "select") for part in row)
        return strip_of(row, width, palette_of(self))

    def action_move(self, by: int) -> None:
        """Moves the selection from the current row on."""
        if self._model is None or not self._model.total:
            return
        start = max(self._model.position - 1, 0) if self.selected is None else self.selected
        self.selected = max(0, min(self._model.total - 1, start + by))
        self.reveal(self.selected)
        self.refresh()

    def select_line(self, index: int, choose: bool) -> None:
        """Selects a row, and chooses it if asked to."""
        if self._model is not None and 0 <= index < self._model.total:
            self.selected = index
            self.refresh()
            if choose:
                self.post_message(self.Chosen(self, index))
