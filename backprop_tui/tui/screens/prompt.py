"""The command line: one line at the bottom, with what it could go on with above it, and what was written before."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from backprop_tui.completion import completions
from backprop_tui.console import split
from backprop_tui.errors import CommandError
from backprop_tui.format import cut

if TYPE_CHECKING:
    from backprop_tui.tui.screens.stepper import StepperScreen

HINT = "a command's name or key, and what it takes; Tab completes, ↑ ↓ go through what was written before, ? lists them all"


class PromptScreen(ModalScreen[None]):
    """One line to write a command into. What is wrong with it is said above it, and nothing is lost."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "close", show=False),
        Binding("tab", "complete", "complete", show=False, priority=True),
        Binding("up", "history(-1)", "before", show=False, priority=True),
        Binding("down", "history(1)", "after", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    PromptScreen { align: left bottom; background: transparent; }
    #prompt-box { height: auto; width: 1fr; background: $panel; border-top: solid $accent; }
    #prompt-box Horizontal { height: 1; }
    #prompt-sign { width: 2; padding: 0 0 0 1; color: $accent; text-style: bold; }
    #prompt { border: none; background: $panel; height: 1; padding: 0; width: 1fr; }
    #prompt-says { height: auto; max-height: 3; padding: 0 1; color: $dim; }
    #prompt-says.wrong { color: $warning; text-style: bold; }
    """

    def __init__(self, stepper: StepperScreen, line: str = "") -> None:
        super().__init__()
        self._stepper = stepper
        self._line = line
        self._back = 0
        self._written = ""
        self._ahead: list[events.Key] | None = []

    def compose(self) -> ComposeResult:
        """What is said, and the line under it."""
        with Vertical(id="prompt-box"):
            yield Static(Content(HINT), id="prompt-says")
            with Horizontal():
                yield Static(":", id="prompt-sign")
                yield Input(self._line, id="prompt", select_on_focus=False)

    def on_mount(self) -> None:
        """The cursor stands at the end of what is written already."""
        line = self.query_one("#prompt", Input)
        line.cursor_position = len(line.value)
        self._advise(line.value)
        ahead, self._ahead = self._ahead or [], None
        for event in ahead:
            self.write_ahead(event)

    def write_ahead(self, event: events.Key) -> None:
        """Takes a key that was pressed before the line was there."""
        if self._ahead is not None:
            self._ahead.append(event)
            return
        line = self.query_one("#prompt", Input)
        if event.key == "enter":
            self._submit(line.value)
        elif event.key == "escape":
            self.app.pop_screen()
        elif event.key == "backspace":
            line.action_delete_left()
        elif event.is_printable and event.character:
            line.insert_text_at_cursor(event.character)

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Says something above the line."""
        says = self.query_one("#prompt-says", Static)
        says.set_class(wrong, "wrong")
        says.update(Content(text))

    def _advise(self, line: str) -> None:
        """What the line could go on with; where nothing, what its command does."""
        found = completions(self._stepper.session, line)[1] if line.strip() else []
        text = HINT
        try:
            known = split(line) if " " in line else None
        except CommandError as error:
            self.say(str(error), wrong=True)
            return
        if known is not None:
            text = f"{known[0].name} {known[0].takes} · {known[0].help}"
        if found:
            words = cut("  ".join(found), max(self.app.size.width - 4, 10))
            text = f"{text}\n{words}" if known is not None else words
        self.say(text)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Says what the line could go on with."""
        self._advise(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Carries the line out, or says what is wrong with it."""
        self._submit(event.value)

    def _submit(self, text: str) -> None:
        line = text.strip()
        if not line:
            self.app.pop_screen()
            return
        history = self._stepper.history
        if not history or history[-1] != line:
            history.append(line)
        self._back = 0
        self._stepper.carry_out(line, self)

    def action_complete(self) -> None:
        """Writes what all that is possible begins with; where that is only one word, a space after it."""
        line = self.query_one("#prompt", Input)
        before, words = completions(self._stepper.session, line.value)
        if not words:
            return
        same = 0  # the words are sorted: what the first and the last begin with, all do
        while same < len(words[0]) and words[0][same] == words[-1][same : same + 1]:
            same += 1
        line.value = before + words[0][:same] + (" " if len(words) == 1 else "")
        line.cursor_position = len(line.value)

    def action_history(self, by: int) -> None:
        """Goes through the lines that were carried out."""
        history, line = self._stepper.history, self.query_one("#prompt", Input)
        if self._back == 0:
            self._written = line.value
        self._back = max(0, min(len(history), self._back - by))
        line.value = history[-self._back] if self._back else self._written
        line.cursor_position = len(line.value)
