"""The least a Textual app with a header, a footer and one line can be: the floor for the start and for a key."""

from textual.app import App, ComposeResult
from textual.widgets import Footer, Header, Static


class Bare(App[None]):
    BINDINGS = [("s", "step", "step"), ("q", "quit", "quit")]  # noqa: RUF012  # as the bare app of the documentation has it
    position = 0

    def compose(self) -> ComposeResult:
        yield from (Header(), Static("position 0"), Footer())

    def action_step(self) -> None:
        self.position += 1
        self.query_one("Screen > Static", Static).update(f"position {self.position}")


Bare().run()
