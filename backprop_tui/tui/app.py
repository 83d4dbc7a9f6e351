"""The app: themes, screens, signals. What is stepped through lives in the stepper screen."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from textual import events
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen

from backprop_tui import commands
from backprop_tui.commands import COMMANDS
from backprop_tui.errors import BackpropError
from backprop_tui.format import DISPLAY, clean
from backprop_tui.scenario import Limits, Scenario, load
from backprop_tui.session import Session
from backprop_tui.settings import Settings
from backprop_tui.settings import load as load_settings
from backprop_tui.tui.screens.stepper import StepperScreen, binding
from backprop_tui.tui.theme import DARK, LIGHT

if TYPE_CHECKING:
    from backprop_tui.replay import Player


class BackpropApp(App[None]):
    """Opens a scenario, or the picker if there is none."""

    TITLE = "backprop-tui"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = []
    CSS = "Toast { background: $panel; color: $foreground; }"

    def __init__(
        self,
        scenario: Scenario | None = None,
        limits: Limits | None = None,
        *,
        player: Player | None = None,
        keeps: bool = False,
        settings: Settings | None = None,
        problems: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.settings = settings or Settings()
        #: What is wrong with the settings' file, a line each.
        self.problems = problems
        commands.rebind(self.settings.keys)
        DISPLAY.decimals = self.settings.decimals
        if self.settings.keys:
            self.set_keymap({name: ",".join(keys) for name, keys in self.settings.keys.items()})
        self._scenario = scenario
        self._player = player
        #: Whether sessions are kept where one left.
        self._keeps = keeps
        self._limits = limits or Limits()
        self.stepper: StepperScreen | None = None
        self._pressed_on: WeakKeyDictionary[events.Key, Screen[Any]] = WeakKeyDictionary()
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = self._chosen_theme()

    def _chosen_theme(self) -> str:
        """The theme of the settings, unless the environment names one; what is no theme is a problem, not an error."""
        environment = os.environ.get("TEXTUAL_THEME")
        wanted = environment or {"dark": DARK.name, "light": LIGHT.name}.get(self.settings.theme, self.settings.theme)
        if wanted in self.available_themes:
            return wanted
        if not environment:
            self.problems += (f"settings.toml: no theme '{wanted}'; write dark, light, or a theme of Textual's",)
        return DARK.name

    def get_default_screen(self) -> Screen[None]:
        """The stepper, or the picker where no scenario was named."""
        if self._player is not None:
            self.stepper = StepperScreen(self._player.session, self._player)
            return self.stepper
        if self._scenario is not None:
            self.stepper = StepperScreen(Session(self._scenario), keeps=self._keeps)
            return self.stepper
        from backprop_tui.tui.screens.picker import PickerScreen

        return PickerScreen()

    def on_mount(self) -> None:
        """Ends whole when the system asks: without this, the terminal would be left in the alternate screen."""
        self.call_after_refresh(_collect_garbage_again)
        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None:
                try:
                    loop.add_signal_handler(number, self.exit, None, 128 + number)
                except (NotImplementedError, RuntimeError, ValueError):
                    return  # no signals on this platform, or not in the main thread

    async def on_event(self, event: events.Event) -> None:
        """Remembers for which screen a key was pressed: until it has come through the widgets, there may be another."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            self._pressed_on[event] = self.screen
        await super().on_event(event)

    def on_key(self, event: events.Key) -> None:
        """Keys pressed while the command line was being opened belong into it."""
        screen = self.screen
        write_ahead = getattr(screen, "write_ahead", None)  # the command line has it; it is imported when it is opened
        if write_ahead is not None and self._pressed_on.get(event, screen) is not screen:
            event.prevent_default()
            write_ahead(event)

    def open_scenario(self, source: str) -> None:
        """Opens another scenario in place of the present one; what is wrong with it is said, and nothing is lost."""
        try:
            opened = StepperScreen(Session(load(source, limits=self._limits)), keeps=self._keeps)
        except BackpropError as error:
            self.notify(clean(str(error)), severity="error", timeout=10, markup=False)
            return
        self._show(opened)

    def show_session(self, session: Session, kept_in: Path | None) -> None:
        """Goes on with a session that was kept in a file, in place of the present one."""
        opened = StepperScreen(session, keeps=self._keeps)
        opened.kept_in = kept_in
        self.stepper = None
        self._show(opened)

    def _show(self, opened: StepperScreen) -> None:
        before, self.stepper = self.stepper, opened
        if before is not None:
            self.pop_screen()  # the picker, which lies over the present scenario
        if len(self.screen_stack) > 1:
            self.switch_screen(self.stepper)
        else:  # the first screen of all stays where it is: Textual cannot switch it
            self.push_screen(self.stepper)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: every command of the table."""
        if not isinstance(screen, StepperScreen):
            return
        for command in COMMANDS:
            if command.name == "command_palette":
                continue
            action = binding(command).action

            def run(action: str = action) -> None:
                self.call_later(screen.run_action, action)

            yield SystemCommand(command.name.replace("_", " ").capitalize(), command.help, run)


def _collect_garbage_again() -> None:
    """After the first frame: what is there by then stays, so collections need not look through it at every key."""
    gc.freeze()
    gc.enable()


def run(scenario: Scenario | None, limits: Limits, player: Player | None = None) -> int:
    """Runs the screen to its end and answers the exit status."""
    settings, problems = load_settings()
    app = BackpropApp(scenario, limits, player=player, keeps=True, settings=settings, problems=problems)
    app.run()
    return app.return_code or 0
