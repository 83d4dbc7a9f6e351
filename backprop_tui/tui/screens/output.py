"""What a command answers on several lines: shown until it is closed."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static


class TextScreen(ModalScreen[None]):
    """A text in a box, scrolled."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "app.pop_screen", "close", show=False),
        Binding("j", "scroll('down')", "down", show=False),
        Binding("k", "scroll('up')", "up", show=False),
    ]
    DEFAULT_CSS = """
    TextScreen { align: center middle; background: $background 60%; }
    #text-box { width: 92; max-width: 96%; height: auto; max-height: 90%; border: round $accent; background: $panel; padding: 0 1; }
    #text-box Static { height: auto; }
    """

    def __init__(self, title: str, text: str, closes: str = "") -> None:
        super().__init__()
        self.heading = title
        self.text = text
        self._closes = closes
        if closes:
            self._bindings.bind(closes, "app.pop_screen", show=False)

    def compose(self) -> ComposeResult:
        """The text, scrolled."""
        with VerticalScroll(id="text-box") as box:
            box.border_title = Content(self.heading)
            box.border_subtitle = "Esc closes"
            yield Static(Content(self.text))

    def action_scroll(self, direction: str) -> None:
        """Scrolls by a line."""
        box = self.query_one("#text-box", VerticalScroll)
        if direction == "down":
            box.scroll_down(animate=False)
        else:
            box.scroll_up(animate=False)
