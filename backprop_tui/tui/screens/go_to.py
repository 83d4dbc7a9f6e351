"""Asks where to go: a step number, a name or a phase. What is wrong is said under the line, and nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

if TYPE_CHECKING:
    from backprop_tui.tui.screens.stepper import StepperScreen

HINT = "a step number; a name: where it is computed, a parameter where its gradient is complete; or a phase"


class GoToScreen(ModalScreen[None]):
    """One line to type a target into."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.pop_screen", "close", show=False)]
    DEFAULT_CSS = """
    GoToScreen { align: center middle; background: $background 60%; }
    #box { width: 64; max-width: 90%; height: auto; border: round $accent; background: $panel; padding: 0 1; }
    #box Input { border: none; background: $panel; height: 1; padding: 0; }
    #answer { height: auto; color: $dim; }
    """

    def __init__(self, stepper: StepperScreen) -> None:
        super().__init__()
        self._stepper = stepper

    def compose(self) -> ComposeResult:
        """The box, the line and the answer."""
        with Vertical(id="box") as box:
            box.border_title = "Go to"
            yield Input(placeholder="step, name or phase", id="target")
            yield Static(Content(HINT), id="answer")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Goes there, or says what is wrong."""
        if not event.value.strip():
            self.app.pop_screen()
            return
        wrong = self._stepper.go_to(event.value)
        if wrong is None:
            self.app.pop_screen()
        else:
            self.query_one("#answer", Static).update(Content(wrong))
