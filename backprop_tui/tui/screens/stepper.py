"""The main screen: six panels, the header, the timeline, and the commands."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static

from backprop_tui import view
from backprop_tui.commands import BY_NAME, COMMANDS, Command
from backprop_tui.debugger import Debugger
from backprop_tui.errors import CommandError
from backprop_tui.format import clean
from backprop_tui.tui.panels import bars, chain, notes, program, step, variables
from backprop_tui.tui.panels.base import Bar, Panel, StepsPanel
from backprop_tui.view.models import FooterModel
from backprop_tui.wording import wording_of

SPEEDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
SMALLEST = (60, 16)
#: Below so many lines, the multiplication takes the room of the chain rule: what it shows comes first.
LOW = 22
PANELS = ("program", "steps", "step", "chain", "variables", "notes")


def binding(command: Command) -> Binding:
    """A command's keys as Textual binds them; its id is the command's name."""
    action = command.name if command.move is None else f"move('{command.name}')"
    return Binding(",".join(command.keys), action, command.help, show=False, id=command.name)


class StepperScreen(Screen[None]):
    """Steps through one scenario."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *[binding(command) for command in COMMANDS],
        Binding("escape", "back", "leave what is enlarged", show=False),
        Binding("enter", "choose", "run to what is selected", show=False),
    ]
    SCOPED_CSS = False
    DEFAULT_CSS = """
    StepperScreen { background: $background; }
    #timeline { height: 2; }
    #body, #left, #right, #lower { height: 1fr; }
    #left { width: 36; }
    #right { width: 1fr; }
    #program { height: auto; max-height: 45%; min-height: 5; }
    #steps, #step { height: 1fr; }
    #chain { height: 5; }
    #lower { height: 12; }
    #variables { width: 58; height: 1fr; }
    #notes { width: 1fr; height: 1fr; }
    #small { display: none; width: 1fr; height: 1fr; content-align: center middle; text-align: center; }
    StepperScreen.wide #left { width: 54; }
    StepperScreen.wide #variables { width: 2fr; }
    StepperScreen.wide #chain { height: 7; }
    StepperScreen.wide #lower { height: 22; }
    StepperScreen.narrow #timeline { height: 1; }
    StepperScreen.narrow #program { height: 5; min-height: 5; max-height: 5; }
    StepperScreen.narrow #chain { height: 4; }
    StepperScreen.low #program { height: 3; min-height: 3; max-height: 3; }
    """

    def __init__(self, debugger: Debugger) -> None:
        super().__init__()
        self.debugger = debugger
        self.wording = wording_of(debugger.scenario)
        self.enlarged: str | None = None
        self._timer: Timer | None = None
        self._speed = 2

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
                    yield Panel(6, "Notes", notes.draw, id="notes")
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

    def bar(self, name: str) -> Bar:
        """A bar by its name."""
        return self.query_one(f"#{name}", Bar)

    # Drawing

    def show_all(self) -> None:
        """Draws the position: makes the model of each panel that is seen. What was said of another one is said no more."""
        self.bar("footer").show(FooterModel())
        self.bar("header").show(view.header_model(self.debugger, playing=self._timer is not None))
        self.bar("timeline").show(view.timeline_model(self.debugger))
        for name in PANELS:
            if self.panel(name).display:
                self.show_panel(name)

    def show_panel(self, name: str) -> None:
        """Draws one panel."""
        debugger, wording, panel = self.debugger, self.wording, self.panel(name)
        if name == "program":
            model = view.program_model(debugger)
            panel.show(model, program.current_line(model))
        elif name == "steps":
            panel.show(view.steps_model(debugger, wording))
        elif name == "step":
            multiplication = view.step_model(debugger, wording)
            panel.show(multiplication, title=f"Step · {multiplication.title}")
        elif name == "chain":
            product = view.chain_model(debugger, wording)
            panel.show(product, title=product.title)
        elif name == "variables":
            table = view.variables_model(debugger, wording)
            changed = [i for i, row in enumerate(table.rows) if row.value_changed or row.gradient_changed]
            panel.show(table, changed[0] + 1 if changed and not panel.has_focus else None)
        else:
            panel.show(view.notes_model(debugger))

    def fit_panels(self) -> None:
        """Shows the panels that this size has room for, or the enlarged one alone."""
        width, height = self.app.size
        small = width < SMALLEST[0] or height < SMALLEST[1]
        narrow = width < 100 or height < 30
        self.set_class(narrow, "narrow")
        self.set_class(height < LOW, "low")
        self.set_class(width >= 160 and height >= 44, "wide")
        self.query_one("#small").display = small
        for name in ("header", "body", "timeline", "footer"):
            self.query_one(f"#{name}").display = not small
        if small:
            text = f"The window is {width} × {height};\nbackprop-tui needs {SMALLEST[0]} × {SMALLEST[1]}."
            self.query_one("#small", Static).update(Content(text))
            return
        shown = {"program", "step", "chain"} if narrow else set(PANELS)
        if height < LOW:
            shown -= {"chain"}
        if self.enlarged is not None:
            shown = {self.enlarged}
        body = self.query_one("#body")
        body.styles.layout = "vertical" if narrow else "horizontal"
        for name in PANELS:
            self.panel(name).display = name in shown
        left, right, lower = (self.query_one(f"#{name}") for name in ("left", "right", "lower"))
        left.display = bool(shown & {"program", "steps"})
        right.display = bool(shown & {"step", "chain", "variables", "notes"})
        lower.display = bool(shown & {"variables", "notes"})
        left.styles.width = "1fr" if narrow or not right.display else None
        left.styles.height = "auto" if narrow and right.display else None
        big = self.enlarged
        self.panel("program").styles.max_height = "100%" if big == "program" else None
        for name in ("program", "chain"):
            lines = len(self.debugger.graph.source.strip("\n").split("\n")) + 2 if name == "program" else None
            normal = None if narrow else lines
            self.panel(name).styles.height = "1fr" if big == name else normal
        lower.styles.height = "1fr" if big in ("variables", "notes") else None
        self.panel("variables").styles.width = "1fr" if big == "variables" else None

    def on_resize(self) -> None:
        """Rearranges for another size; a panel that is seen only now gets its model, the others have theirs."""
        shown = [name for name in PANELS if self.panel(name).display]
        self.fit_panels()
        if [name for name in PANELS if self.panel(name).display] != shown:
            self.show_all()

    # Commands

    async def action_move(self, name: str) -> None:
        """Carries out a command that moves the debugger."""
        move = BY_NAME[name].move
        assert move is not None
        if move(self.debugger):
            self.show_all()
            # every panel asks for its redrawing before the screen does it: one frame, not one now and one a tick later
            for _ in range(4):
                await asyncio.sleep(0)
        else:
            start = self.debugger.position == 0
            self.say("This is the start of the run." if start else "This is the end of the run.")

    def say(self, text: str, *, wrong: bool = False) -> None:
        """A short message in the last line, where it covers nothing, until the next move."""
        self.bar("footer").show(FooterModel(clean(text), wrong))

    def go_to(self, target: str) -> str | None:
        """Goes to a step number, a name or a phase; answers what is wrong with it, if anything is."""
        try:
            moved = self.debugger.go_to(self.debugger.find(target))
        except CommandError as error:
            return str(error)
        if moved:
            self.show_all()
        return None

    def action_go_to(self) -> None:
        """Asks where to go."""
        from backprop_tui.tui.screens.go_to import GoToScreen

        self.app.push_screen(GoToScreen(self))

    def action_run_to(self) -> None:
        """Runs to the selected step or line."""
        self.action_choose()

    def action_choose(self) -> None:
        """Runs to what is selected in the focused panel; in Variables, opens the variable."""
        panel = self.focused
        if not isinstance(panel, Panel) or panel.selected is None:
            self.say("Select a step (2) or a line (1) first, with j and k or the mouse.")
        elif panel.id == "variables":
            self._open_variable(panel.selected)
        else:
            self._run_to(panel, panel.selected)

    def on_panel_chosen(self, message: Panel.Chosen) -> None:
        """A double click runs to a step or a line, and opens a variable."""
        if message.panel.id == "variables":
            self._open_variable(message.index)
        else:
            self._run_to(message.panel, message.index)

    def _run_to(self, panel: Panel[Any], index: int) -> None:
        if panel.id == "steps":
            self.debugger.go_to(index + 1)
            self.show_all()
        elif panel.id == "program":
            skipped = len(self.debugger.graph.source) - len(self.debugger.graph.source.lstrip("\n"))
            if self.debugger.run_to_line(index + 1 + skipped):
                self.show_all()
            else:
                self.say(f"No step after this one is on line {index + 1}.")

    def action_detail(self) -> None:
        """Switches stopping inside a multiplication on and off."""
        self.debugger.detail = not self.debugger.detail
        state = "on: step also stops inside a multiplication" if self.debugger.detail else "off"
        self.show_all()
        self.say(f"Detail is {state}.")

    # Playing

    def action_play(self) -> None:
        """Plays, or pauses."""
        if self._timer is not None:
            self.stop_playing()
        elif self.debugger.position >= self.debugger.total and self.debugger.stage is None:
            self.say("This is the end of the run; r restarts it.")
        else:
            self._timer = self.set_interval(1 / SPEEDS[self._speed], self._play_one)
        self.show_all()

    def stop_playing(self) -> None:
        """Pauses."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _play_one(self) -> None:
        if not self.debugger.step():
            self.stop_playing()
        self.show_all()

    def _change_speed(self, by: int) -> None:
        self._speed = max(0, min(len(SPEEDS) - 1, self._speed + by))
        if self._timer is not None:
            self.stop_playing()
            self._timer = self.set_interval(1 / SPEEDS[self._speed], self._play_one)
        self.say(f"{SPEEDS[self._speed]:g} steps a second")

    def action_faster(self) -> None:
        """Plays faster."""
        self._change_speed(1)

    def action_slower(self) -> None:
        """Plays slower."""
        self._change_speed(-1)

    # Looking

    def _focus(self, name: str) -> None:
        panel = self.panel(name)
        if not panel.display:
            self.enlarged = None
            self.fit_panels()
            if not panel.display:  # this size has no room for it among the others
                self.enlarged = name
                self.fit_panels()
            self.show_all()
        panel.focus()

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

    def action_back(self) -> None:
        """Leaves what is enlarged."""
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
            self.action_back()
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

    # The program around it

    def action_theme(self) -> None:
        """Switches between dark and light."""
        self.app.theme = "backprop-light" if self.app.current_theme.dark else "backprop-dark"
        self.show_all()

    def action_open(self) -> None:
        """Opens the picker."""
        from backprop_tui.tui.screens.picker import PickerScreen

        self.stop_playing()
        self.app.push_screen(PickerScreen())

    def action_help(self) -> None:
        """Opens the help screen."""
        from backprop_tui.tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen())

    def action_command_palette(self) -> None:
        """Opens the palette."""
        self.app.action_command_palette()

    def action_suspend(self) -> None:
        """Suspends the program."""
        self.app.action_suspend_process()

    def action_quit(self) -> None:
        """Quits."""
        self.app.exit()
