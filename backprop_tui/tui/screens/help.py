"""The help screen, made from the table of commands."""

from __future__ import annotations

from itertools import groupby
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from backprop_tui.commands import COMMANDS, keys_text

READING = """\
What the colours mean, everywhere on the screen
  forward value   what an operation computed
  upstream        the gradient that is already complete, coming from the loss
  local           the local derivative: how the result moves when this operand moves
  product         upstream times local: what is added to the operand's gradient
The darker a cell's shade, the smaller its entry is beside the largest of its array.

In a list: j and k or the arrows select, Enter or t runs there, a double click too.
In enlarged arrays the cursor's cell shows its written-out sum."""


def text() -> str:
    """Every command with its keys, by group, and how to read the screen."""
    lines: list[str] = []
    ordered = sorted(COMMANDS, key=lambda command: ("Move", "Jump", "Look", "Program").index(command.group))
    for group, commands in groupby(ordered, key=lambda command: command.group):
        lines.append(group)
        lines += [f"  {keys_text(command):<12}  {command.help}" for command in commands]
        lines.append("")
    return "\n".join([*lines, READING])


class HelpScreen(ModalScreen[None]):
    """Every key, and how to read the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "app.pop_screen", "close", show=False),
        Binding("j", "scroll('down')", "down", show=False),
        Binding("k", "scroll('up')", "up", show=False),
    ]
    DEFAULT_CSS = """
    HelpScreen { align: center middle; background: $background 60%; }
    #help { width: 92; max-width: 96%; height: 90%; border: round $accent; background: $panel; padding: 1 2; }
    #help Static { height: auto; }
    """

    def compose(self) -> ComposeResult:
        """The text, scrolled."""
        with VerticalScroll(id="help") as box:
            box.border_title = "Help"
            box.border_subtitle = "Esc closes"
            yield Static(Content(text()))

    def action_scroll(self, direction: str) -> None:
        """Scrolls by a line."""
        box = self.query_one("#help", VerticalScroll)
        if direction == "down":
            box.scroll_down(animate=False)
        else:
            box.scroll_up(animate=False)
