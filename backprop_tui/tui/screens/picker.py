"""The picker: the bundled scenarios, what each teaches, and how many steps it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from backprop_tui.errors import BackpropError
from backprop_tui.format import clean
from backprop_tui.library import Entry, entries

if TYPE_CHECKING:
    from backprop_tui.tui.app import BackpropApp


class PickerScreen(Screen[None]):
    """A list at the left, what the highlighted scenario teaches at the right."""

    app: BackpropApp
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "down", show=False),
        Binding("k", "cursor_up", "up", show=False),
        Binding("escape", "close", "back", show=False),
        Binding("q,ctrl+q", "leave", "quit", show=False),
        Binding("T", "theme", "dark or light", show=False),
    ]
    DEFAULT_CSS = """
    PickerScreen { background: $background; }
    #title { height: 1; background: $background; color: $foreground; text-style: bold; padding: 0 1; }
    #choices { width: 46; height: 1fr; border: round $edge; background: $background; }
    #choices { text-wrap: nowrap; text-overflow: ellipsis; }
    #choices:focus { border: round $accent; }
    #about { width: 1fr; height: 1fr; border: round $edge; padding: 0 1; }
    #about Static { height: auto; }
    #keys { height: 1; color: $dim; padding: 0 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Entry] = []

    def compose(self) -> ComposeResult:
        """The list and the text beside it."""
        yield Static(Content("backprop-tui: step through backpropagation"), id="title")
        with Horizontal():
            yield OptionList(id="choices")
            with VerticalScroll(id="about", can_focus=False):
                yield Static("", id="text")
        yield Static(Content("Enter opens   j k or the arrows move   T dark or light   Esc back   q quits"), id="keys")

    def on_mount(self) -> None:
        """Reads the scenarios."""
        try:
            self.entries = entries()
        except BackpropError as error:
            self.query_one("#text", Static).update(Content(clean(str(error))))
        choices = self.query_one("#choices", OptionList)
        choices.border_title = "Scenarios"
        choices.border_subtitle = "and their steps"
        width = max((len(entry.name) for entry in self.entries), default=0)
        for index, entry in enumerate(self.entries):
            choices.add_option(Option(Content(f"{entry.name:<{width}} {entry.steps:>5}"), id=str(index)))
        choices.highlighted = 0
        choices.focus()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Shows what the highlighted scenario teaches."""
        entry = self.entries[event.option_index]
        tags = ", ".join(entry.tags)
        text = Content.assemble(
            (clean(entry.title), "bold"),
            "\n",
            (f"{entry.steps} steps" + (f" · {clean(tags)}" if tags else ""), "dim"),
            "\n\n",
            clean(entry.description.strip(), keep_newlines=True),
        )
        self.query_one("#text", Static).update(text)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Opens a scenario."""
        self.app.open_scenario(self.entries[event.option_index].name)

    def action_cursor_down(self) -> None:
        """Moves down."""
        self.query_one("#choices", OptionList).action_cursor_down()

    def action_cursor_up(self) -> None:
        """Moves up."""
        self.query_one("#choices", OptionList).action_cursor_up()

    def action_theme(self) -> None:
        """Switches between dark and light."""
        self.app.theme = "backprop-light" if self.app.current_theme.dark else "backprop-dark"

    def action_close(self) -> None:
        """Back to the scenario one came from, or out."""
        if self.app.stepper is None:
            self.app.exit()
        else:
            self.app.pop_screen()

    def action_leave(self) -> None:
        """Quits."""
        self.app.exit()
