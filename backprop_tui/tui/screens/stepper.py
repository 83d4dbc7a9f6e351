"""The main screen: the panels, the header, the timeline, and the commands."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static

from backprop_tui import console, view
from backprop_tui.commands import BY_NAME, COMMANDS, Command
from backprop_tui.errors import CommandError
from backprop_tui.format import clean
from backprop_tui.scenario import Scenario
from backprop_tui.session import Session
from backprop_tui.tui import arrangement, selection
from backprop_tui.tui.arrangement import PANELS, SIDE
from backprop_tui.tui.panels import bars, chain, notes, program, side, step, variables
from backprop_tui.tui.panels.base import Bar, Panel, StepsPanel
from backprop_tui.tui.work import AT_ONCE, SLICE, Work
from backprop_tui.view.models import FooterModel

if TYPE_CHECKING:
    from backprop_tui.tui.screens.prompt import PromptScreen

SPEEDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


def binding(command: Command) -> Binding:
    """A command's keys as Textual binds them; its id is the command's name."""
    of_the_screen = command.move is None and command.act is None
    action = command.name if of_the_screen else f"do('{command.name}')"
    return Binding(",".join(command.keys), action, command.help, show=False, id=command.name)


class StepperScreen(Screen[None]):
    """Steps through one scenario."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *[binding(command) for command in COMMANDS if command.keys],
        Binding("escape", "back", "leave what is enlarged, stop what takes long", show=False),
        Binding("enter", "choose", "run to what is selected", show=False),
        Binding("delete,backspace", "remove", "take away what is selected", show=False),
    ]
    SCOPED_CSS = False
    DEFAULT_CSS = arrangement.CSS

    def __init__(self, scenario: Scenario) -> None:
        super().__init__()
        self.session = Session(scenario)
        self.debugger = self.session.debugger
        self.wording = self.session.wording
        self.enlarged: str | None = None
        #: Which panel stands at the lower right, where there is room for one.
        self.side = "notes"
        #: What was written on the command line.
        self.history: list[str] = []
        self._work: Work[Any] | None = None
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
                    with Container(id="side"):
                        yield Panel(6, "Notes", notes.draw, id="notes")
                        yield Panel(7, "Watches", side.draw_watches, selects=True, id="watches")
                        yield Panel(8, "Stops", side.draw_stops, selects=True, id="stops")
                        yield Panel(9, "Calls", side.draw_calls, id="calls")
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
        shown = [name for name in PANELS if self.panel(name).display]
        self.fit_panels()
        if [name for name in PANELS if self.panel(name).display] != shown:
            self.show_all()

    # Commands

    async def action_do(self, name: str) -> None:
        """Carries out a command that moves the debugger, or does something to the session."""
        command = BY_NAME[name]
        if self._busy():
            return
        if command.move is not None:
            travelled = name in ("continue", "reverse_continue")
            self._start(console.moving(self.session, command), lambda moved: self._moved(moved, travelled))
            if self._work is None:
                # every panel asks for its redrawing before the screen does it: one frame, not one now and one a tick later
                for _ in range(4):
                    await asyncio.sleep(0)
            return
        about = selection.line_for(self, command)
        if about is None and not command.needs:
            about = command.name
        if about is None or about.endswith(" "):
            self.ask(about or f"{name} ")
        else:
            self.carry_out(about)

    def _moved(self, moved: bool, travelled: bool) -> None:
        self.show_all()
        if not moved:
            start = self.debugger.position == 0
            self.say("This is the start of the run." if start else "This is the end of the run.")
        elif self.debugger.reason:
            self.say(f"stopped by {self.debugger.reason}")
        elif travelled and self.debugger.stops.breakpoints:
            self.say(f"nothing stopped it: this is the {'start' if self.debugger.position == 0 else 'end'} of the run")

    def carry_out(self, line: str, prompt: PromptScreen | None = None) -> None:
        """Carries out a line of commands; what it says stands in the last line, or in a box of its own if it is long.

        The prompt it was written in closes, unless something is wrong with it.
        """

        def wrong(text: str) -> None:
            if prompt is not None and prompt.is_current:
                prompt.say(clean(text), wrong=True)
            else:
                self.say(text, wrong=True)

        def done(said: str) -> None:
            if prompt is not None and prompt.is_current:
                self.app.pop_screen()
            self._did(found[0] if found else None, said)

        if self._busy():
            return
        try:
            found = console.split(line)
        except CommandError as error:
            wrong(str(error))
            return
        if found is not None and found[0].move is None and found[0].act is None:
            if prompt is not None and prompt.is_current:
                self.app.pop_screen()
            self.app.call_later(self.run_action, found[0].name)
        elif found is not None:
            self._start(console.carried_out(self.session, *found), done, wrong)
            if self._work is not None and prompt is not None and prompt.is_current:
                self.app.pop_screen()  # it takes long: how far it is stands in the last line

    def _did(self, command: Command | None, said: str) -> None:
        self.fit_panels()
        self.show_all()
        if "\n" in said and command is not None:
            from backprop_tui.tui.screens.output import TextScreen

            self.app.push_screen(TextScreen(command.name.replace("_", " ").capitalize(), clean(said, keep_newlines=True)))
        elif said != self.session.where():  # where one is, the whole screen says
            self.say(said)
        elif self.debugger.reason:
            self.say(f"stopped by {self.debugger.reason}")

    def ask(self, line: str = "") -> None:
        """Opens the command line, with what is written already."""
        from backprop_tui.tui.screens.prompt import PromptScreen

        self.stop_playing()
        self.app.push_screen(PromptScreen(self, line))

    def action_command_line(self) -> None:
        """Opens the command line."""
        self.ask()

    # What takes long

    def _start(self, parts: Generator[int, None, Any], done: Any, failed: Any = None) -> None:
        work = Work(parts, done, failed or (lambda text: self.say(text, wrong=True)))
        if not work.go_on(AT_ONCE):
            self.stop_playing()
            self._work = work
            self.run_worker(self._go_on(work), exclusive=True)

    async def _go_on(self, work: Work[Any]) -> None:
        while self._work is work:
            self.bar("footer").show(bars.progress(abs(work.looked), self.debugger.total))
            await asyncio.sleep(0.001)
            if self._work is work and work.go_on(SLICE):
                self._work = None

    def _busy(self) -> bool:
        """Whether something is being done that takes long; a key cannot begin another thing then."""
        return self._work is not None

    def say(self, text: str, *, wrong: bool = False) -> None:
        """A short message in the last line, where it covers nothing, until the next move."""
        self.bar("footer").show(FooterModel(clean(text), wrong))

    def action_choose(self) -> None:
        """Runs to what is selected in the focused panel; in Variables, opens the variable; in Stops, switches the stop."""
        panel = self.focused
        if isinstance(panel, Panel) and panel.selected is not None:
            self._choose(panel, panel.selected)
        else:
            self.say("Select a step (2) or a line (1) first, with j and k or the mouse.")

    def on_panel_chosen(self, message: Panel.Chosen) -> None:
        """A double click does what Enter does."""
        self._choose(message.panel, message.index)

    def _choose(self, panel: Panel[Any], index: int) -> None:
        if panel.id == "variables":
            self._open_variable(index)
        else:
            line = selection.chosen(self, panel.id or "", index)
            if line is not None:
                self.carry_out(line)

    def action_remove(self) -> None:
        """Takes away the stop or the watch that is selected."""
        panel = self.focused
        if isinstance(panel, Panel) and panel.selected is not None:
            line = selection.removed(self, panel.id or "", panel.selected)
            if line is not None:
                self.carry_out(line)

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
        if self._work is None:
            self._start(console.moving(self.session, BY_NAME["step"]), self._played)

    def _played(self, moved: bool) -> None:
        if not moved:
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
        if name in SIDE:
            self.side = name
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

    def action_focus_watches(self) -> None:
        """Focuses the watches."""
        self._focus("watches")

    def action_focus_stops(self) -> None:
        """Focuses the stops."""
        self._focus("stops")

    def action_focus_calls(self) -> None:
        """Focuses the call stack."""
        self._focus("calls")

    def action_back(self) -> None:
        """Stops what takes long; leaves what is enlarged."""
        if self._work is not None:
            self._work.stop()
            self._work = None
            self.show_all()
            self.say("Stopped looking; nothing has moved.")
        elif self.enlarged is not None:
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
