"""The panels of one session on the screen: drawn, arranged, focused, enlarged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Static

from backprop_tui import view
from backprop_tui.format import clean
from backprop_tui.session import Session
from backprop_tui.tui import arrangement
from backprop_tui.tui.arrangement import PANELS, SIDE
from backprop_tui.tui.panels import bars, chain, notes, program, side, step, variables
from backprop_tui.tui.panels.base import Bar, Panel, StepsPanel
from backprop_tui.view.models import FooterModel


class Board(Screen[None]):
    """Shows a session at its position."""

    SCOPED_CSS = False
    DEFAULT_CSS = arrangement.CSS

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.take(session)
        self.enlarged: str | None = None
        #: Which panel stands at the lower right, where there is room for one.
        self.side = "notes"
        self.playing = False
        #: The panels that have been made.
        self._there = {name for name in PANELS if name not in SIDE}

    def take(self, session: Session) -> None:
        """Shows another session, of the same program."""
        self.session = session
        self.debugger = session.debugger
        self.wording = session.wording

    def compose(self) -> ComposeResult:
        """The header, the panels, the timeline and the footer."""
        yield Bar(lambda model, width: [bars.header(model, width)], id="header")
        yield Static("", id="small")
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield Panel(1, "Program", program.draw, selects=True, id="program")
                yield StepsPanel(2, "Steps", id="steps")
            with Vertical(id="right"):
                yield Panel(3, "Step", step.draw, id="step")
                yield Panel(4, "Chain rule", chain.draw, id="chain")
                with Horizontal(id="lower"):
                    yield Panel(5, "Variables", variables.Table().draw, selects=True, headings=1, id="variables")
                    yield Container(id="side")
        yield Bar(bars.timeline, id="timeline")
        yield Bar(lambda model, width: [bars.footer(model, width)], id="footer")

    def on_mount(self) -> None:
        """The multiplication has the focus: it is what one looks at."""
        lines = len(self.debugger.graph.source.strip("\n").split("\n"))
        self.panel("program").styles.height = lines + 2
        self.fit_panels()
        self.panel("step").focus()
        self.show_all()

    def panel(self, name: str) -> Panel[Any]:
        """A panel by its name."""
        return self.query_one(f"#{name}", Panel)

    def shows(self, name: str) -> bool:
        """Whether a panel is there and seen."""
        return name in self._there and self.panel(name).display

    def make(self, name: str) -> None:
        """Makes a panel of those at the lower right when it is first needed: most are not, and the first frame waits for none."""
        if name in self._there:
            return
        self._there.add(name)
        number = PANELS.index(name) + 1
        panels: dict[str, Callable[[], Panel[Any]]] = {
            "notes": lambda: Panel(number, "Notes", notes.draw, id="notes"),
            "watches": lambda: Panel(number, "Watches", side.draw_watches, selects=True, id="watches"),
            "stops": lambda: Panel(number, "Stops", side.draw_stops, selects=True, id="stops"),
            "calls": lambda: Panel(number, "Calls", side.draw_calls, id="calls"),
        }
        after = [other for other in SIDE[SIDE.index(name) + 1 :] if other in self._there]
        self.query_one("#side").mount(panels[name](), before=f"#{after[0]}" if after else None)

    def bar(self, name: str) -> Bar:
        """A bar by its name."""
        return self.query_one(f"#{name}", Bar)

    # Drawing

    def show_all(self) -> None:
        """Draws the position: makes the model of each panel that is seen. What was said of another one is said no more."""
        self.show_footer()
        self.bar("header").show(view.header_model(self.debugger, playing=self.playing))
        self.bar("timeline").show(view.timeline_model(self.debugger))
        for name in PANELS:
            if self.shows(name):
                self.show_panel(name)

    def show_footer(self) -> None:
        """Draws the last line as it is when nothing is said."""
        beside = self.session.beside
        self.bar("footer").show(FooterModel() if beside is None else FooterModel(beside.words(self.debugger.position)))

    def show_panel(self, name: str) -> None:
        """Draws one panel."""
        debugger, wording, panel = self.debugger, self.wording, self.panel(name)
        if name == "program":
            model = view.program_model(debugger)
            panel.show(model, program.current_line(model))
        elif name == "steps":
            panel.show(view.steps_model(debugger, wording, self.session.beside))
        elif name == "step":
            multiplication = view.step_model(debugger, wording)
            panel.show(multiplication, title=f"Step · {multiplication.title}")
        elif name == "chain":
            product = view.chain_model(debugger, wording)
            panel.show(product, title=product.title)
        elif name == "variables":
            table = view.variables_model(debugger, wording, self.session.beside)
            changed = [i for i, row in enumerate(table.rows) if row.value_changed or row.gradient_changed]
            panel.show(table, changed[0] + 1 if changed and not panel.has_focus else None)
        elif name == "notes":
            panel.show(view.notes_model(debugger, self.session.notes.get(debugger.position, "")))
        elif name == "watches":
            panel.show(view.watches_model(self.session))
        elif name == "stops":
            panel.show(view.stops_model(self.session))
        else:
            panel.show(view.calls_model(self.session))

    def fit_panels(self) -> None:
        """Shows the panels that this size has room for, or the enlarged one alone."""
        arrangement.arrange(self, self.app.size)

    def on_resize(self) -> None:
        """Rearranges for another size; a panel that is seen only now gets its model, the others have theirs."""
        shown = [name for name in PANELS if self.shows(name)]
        self.fit_panels()
        if [name for name in PANELS if self.shows(name)] != shown:
            self.show_all()

    def say(self, text: str, *, wrong: bool = False) -> None:
        """A short message in the last line, where it covers nothing, until the next move."""
        self.bar("footer").show(FooterModel(clean(text), wrong))

    # Looking

    def _focus(self, name: str) -> None:
        if name in SIDE:
            self.side = name
        if not self.shows(name):
            self.enlarged = None
            self.fit_panels()
            if not self.shows(name):  # this size has no room for it among the others
                self.enlarged = name
                self.fit_panels()
            self.show_all()
        self.panel(name).focus()

    def action_focus_program(self) -> None:
        """Focuses the program."""
        self._focus("program")

    def action_focus_steps(self) -> None:
        """Focuses the steps."""
        self._focus("steps")

    def action_focus_step(self) -> None:
        """Focuses the multiplication."""
        self._focus("step")

    def action_focus_chain(self) -> None:
        """Focuses the chain rule."""
        self._focus("chain")

    def action_focus_variables(self) -> None:
        """Focuses the variables."""
        self._focus("variables")

    def action_focus_notes(self) -> None:
        """Focuses the notes."""
        self._focus("notes")

    def action_focus_watches(self) -> None:
        """Focuses the watches."""
        self._focus("watches")

    def action_focus_stops(self) -> None:
        """Focuses the stops."""
        self._focus("stops")

    def action_focus_calls(self) -> None:
        """Focuses the call stack."""
        self._focus("calls")

    def leave_enlarged(self) -> None:
        """Shows all panels again."""
        if self.enlarged is not None:
            self.enlarged = None
            self.fit_panels()
            if self.focused is None or not self.focused.display:
                self.panel("step").focus()
            self.show_all()

    def action_enlarge(self) -> None:
        """Enlarges the focused panel; the arrays of the multiplication and of a variable open whole."""
        name = self.focused.id if isinstance(self.focused, Panel) else "step"
        if name == "step":
            self._open_step()
        elif name == "variables" and self.panel("variables").selected is not None:
            self._open_variable(self.panel("variables").selected or 0)
        elif self.enlarged is not None:
            self.leave_enlarged()
        else:
            self.enlarged = name
            self.fit_panels()
            self.show_all()

    def _open_step(self) -> None:
        from backprop_tui.tui.enlarge import step_tabs
        from backprop_tui.tui.screens.matrix import MatrixScreen

        title, tabs, start = step_tabs(self.debugger, self.wording)
        if tabs:
            self.app.push_screen(MatrixScreen(title, tabs, start))
        else:
            self.say("There is nothing to enlarge yet.")

    def _open_variable(self, index: int) -> None:
        from backprop_tui.tui.enlarge import variable_tabs
        from backprop_tui.tui.screens.matrix import MatrixScreen

        rows = view.variables_model(self.debugger, self.wording).rows
        title, tabs = variable_tabs(rows[min(index, len(rows) - 1)])
        if tabs:
            self.app.push_screen(MatrixScreen(title, tabs))
        else:
            self.say(f"{title} has no value yet.")
