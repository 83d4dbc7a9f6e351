"""The main screen: the commands, what takes long, playing."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.timer import Timer

from backprop_tui import console
from backprop_tui.commands import BY_NAME, COMMANDS, Command
from backprop_tui.errors import BackpropError, CommandError
from backprop_tui.format import clean
from backprop_tui.session import Session
from backprop_tui.settings import SPEEDS
from backprop_tui.tui import selection
from backprop_tui.tui.panels import bars
from backprop_tui.tui.panels.base import Panel
from backprop_tui.tui.screens.board import Board
from backprop_tui.tui.work import AT_ONCE, SLICE, Work

if TYPE_CHECKING:
    from backprop_tui.replay import Player
    from backprop_tui.tui.app import BackpropApp
    from backprop_tui.tui.keeping import Keeper
    from backprop_tui.tui.replaying import Replaying
    from backprop_tui.tui.screens.prompt import PromptScreen


def binding(command: Command) -> Binding:
    """A command's keys as Textual binds them; its id is the command's name."""
    of_the_screen = command.move is None and command.act is None
    action = command.name if of_the_screen else f"do('{command.name}')"
    return Binding(",".join(command.keys), action, command.help, show=False, id=command.name)


class StepperScreen(Board):
    """Steps through one scenario."""

    app: BackpropApp
    BINDINGS: ClassVar[list[BindingType]] = [
        *[binding(command) for command in COMMANDS if command.keys],
        Binding("escape", "back", "leave what is enlarged, stop what takes long", show=False),
        Binding("enter", "choose", "run to what is selected", show=False),
        Binding("delete,backspace", "remove", "take away what is selected", show=False),
    ]

    def __init__(self, session: Session, player: Player | None = None, *, keeps: bool = False) -> None:
        super().__init__(session)
        self.replaying: Replaying | None = None
        self.keeper: Keeper | None = None
        self._player = player
        #: Whether the session is kept by itself; and where, if it is one that was.
        self.keeps = keeps
        self.kept_in: Path | None = None
        #: What was written on the command line.
        self.history: list[str] = []
        self._work: Work[Any] | None = None
        self._timer: Timer | None = None
        self._speed = SPEEDS.index(2.0)

    def on_mount(self) -> None:
        """Begins with what was kept, or with the replay."""
        self._speed = SPEEDS.index(self.app.settings.speed)
        self.debugger.detail = self.debugger.detail or self.app.settings.detail
        super().on_mount()
        if self._player is not None:
            from backprop_tui.tui.replaying import Replaying

            self.replaying = Replaying(self, self._player)
            self.replaying.play()
        elif self.kept_in is not None:
            self._greet()
        else:
            self.call_after_refresh(self._greet)  # the first frame need not wait for it

    def _greet(self) -> None:
        """Says what is wrong with the settings, and where one left the last time."""
        problems = self.app.problems
        parts = [f"{problems[0]}{f' (and {len(problems) - 1} more: :settings)' if problems[1:] else ''}"] if problems else []
        if self.keeps:
            from backprop_tui.tui.keeping import Keeper

            self.keeper = Keeper(self)
            parts += [said] if (said := self.keeper.begin()) else []
            self.keeper.touched()
        if parts and self.debugger.position == 0:
            self.say(" · ".join(parts), wrong=bool(problems))

    def show_all(self) -> None:
        """Draws the position, and keeps what was done."""
        super().show_all()
        if self.keeper is not None:
            self.keeper.touched()

    def show_footer(self) -> None:
        """The commands one needs most; while a session is replayed, how far it is."""
        if self.replaying is not None:
            self.bar("footer").show(self.replaying.model())
        else:
            super().show_footer()

    def take_over(self) -> None:
        """Ends the replay: from here on, the session goes its own way."""
        if self.replaying is not None:
            self.replaying.pause()
            self.take(self.replaying.player.let_go())
            self.replaying = None
            self.show_all()
            self.say("The replay ends here; the session is yours, and :save FILE keeps it.")

    # Commands

    async def action_do(self, name: str) -> None:
        """Carries out a command that moves the debugger, or does something to the session."""
        command = BY_NAME[name]
        if self._busy() or self._replays(name):
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

    def _replays(self, name: str) -> bool:
        """Whether a command drives the replay; any other one takes the wheel first."""
        if self.replaying is None:
            return False
        if self.replaying.takes(name):
            return True
        self.take_over()
        return False

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
        self.take_over()
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
        elif not said.startswith(self.session.where()):  # where one is, the whole screen says
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
        if self._replays("play"):
            return
        if self._timer is not None:
            self.stop_playing()
        elif self.debugger.position >= self.debugger.total and self.debugger.stage is None:
            self.say("This is the end of the run; r restarts it.")
        else:
            self._play()
        self.show_all()

    def _play(self) -> None:
        self._timer = self.set_interval(1 / SPEEDS[self._speed], self._play_one)
        self.playing = True

    def stop_playing(self) -> None:
        """Pauses."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
            self.playing = False

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
            self._play()
        self.say(f"{SPEEDS[self._speed]:g} steps a second")

    def action_faster(self) -> None:
        """Plays faster."""
        if not self._replays("faster"):
            self._change_speed(1)

    def action_slower(self) -> None:
        """Plays slower."""
        if not self._replays("slower"):
            self._change_speed(-1)

    def action_back(self) -> None:
        """Stops what takes long; leaves what is enlarged; takes over from a replay."""
        if self._work is not None:
            self._work.stop()
            self._work = None
            self.show_all()
            self.say("Stopped looking; nothing has moved.")
        elif self.enlarged is not None:
            self.leave_enlarged()
        else:
            self.take_over()

    # The program around it

    def action_theme(self) -> None:
        """Switches between dark and light."""
        self.app.theme = "backprop-light" if self.app.current_theme.dark else "backprop-dark"
        self.show_all()

    def action_open(self) -> None:
        """Opens the picker."""
        from backprop_tui.tui.screens.picker import PickerScreen

        self.stop_playing()
        self.keep_now()
        self.app.push_screen(PickerScreen())

    def on_unmount(self) -> None:
        """However it ends, what was done is kept."""
        self.keep_now()

    def keep_now(self) -> None:
        """Keeps what was done, at once."""
        if self.keeper is not None:
            self.keeper.now()

    def action_resume(self) -> None:
        """Goes on where one left the last time."""
        left = self.keeper.left if self.keeper is not None else None
        if left is None:
            self.say("Nothing is kept of this scenario from before.")
            return
        from backprop_tui.saving import restored

        try:
            scenario = self.session.scenario
            session = restored(left.found, left.path.name, scenario=scenario if left.fits(scenario) else None)
        except BackpropError as error:
            self.say(f"It cannot be gone on with: {error}", wrong=True)
            return
        self.keep_now()
        path = self.keeper.path if self.keeper is not None else None
        self.keeper = None
        self.app.show_session(session, path)

    def action_settings(self) -> None:
        """Shows the settings, where they are, and what is wrong with them."""
        from backprop_tui.settings import described
        from backprop_tui.tui.screens.output import TextScreen

        self.app.push_screen(TextScreen("Settings", described(self.app.settings, self.app.problems)))

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
        """Quits; what was done is kept."""
        self.keep_now()
        self.app.exit()
