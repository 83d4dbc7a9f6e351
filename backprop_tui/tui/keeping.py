"""Keeps what a person does by itself, and offers to go on where one left."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from textual.timer import Timer

from backprop_tui import saving, store
from backprop_tui.commands import BY_NAME, keys_text
from backprop_tui.errors import BackpropError

if TYPE_CHECKING:
    from backprop_tui.tui.screens.stepper import StepperScreen

#: So many seconds after something was done, it is kept.
DELAY = 1.0


def ago(seconds: float) -> str:
    """How long ago something was, in words."""
    for unit, size in (("day", 86400.0), ("hour", 3600.0), ("minute", 60.0)):
        count = int(seconds // size)
        if count:
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


class Keeper:
    """Keeps the session of a screen in its scenario's place."""

    def __init__(self, screen: StepperScreen) -> None:
        self._screen = screen
        self.path = screen.kept_in or store.place(screen.session.scenario)
        self._timer: Timer | None = None
        #: What was done before there was anything to keep it: a session that was kept has that in its place already.
        self._kept: object = self._state() if screen.kept_in else None
        self._complained = False
        #: What was kept the last time, until one goes on there.
        self.left: store.Left | None = None
        self._aside = False

    def begin(self) -> str:
        """Looks whether something was kept, and answers what to say of it; nothing where one goes on with it already."""
        left = store.left(self._screen.session.scenario)
        self._aside = left is not None
        if left is None or self._screen.kept_in:
            return ""
        self.left = left
        key = keys_text(BY_NAME["resume"]).split("  ")[0]
        changed = "" if left.fits(self._screen.session.scenario) else ", with the scenario as it was then"
        return f"You left at step {left.position}, {ago(max(time.time() - left.when, 0.0))}: {key} goes on there{changed}"

    def touched(self) -> None:
        """Something was done: it is kept in a moment."""
        if self._timer is None and self._screen.session.log and self._state() != self._kept:
            self._timer = self._screen.set_timer(DELAY, self._keep)

    def _state(self) -> object:
        log = self._screen.session.log
        return (len(log), log[-1] if log else None)

    async def _keep(self) -> None:
        self._timer = None
        state = self._state()
        wrong, found = self._made()
        if found is not None:
            aside, self._aside = self._aside, False
            wrong = await asyncio.to_thread(store.keep, found, self.path, set_aside=aside)
        self._done(state, wrong)

    def now(self) -> None:
        """Keeps it at once: one is leaving."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self._screen.session.log and self._state() != self._kept:
            state = self._state()
            wrong, found = self._made()
            if found is not None:
                wrong = store.keep(found, self.path, set_aside=self._aside)
                self._aside = False
            self._done(state, wrong)

    def _made(self) -> tuple[str, saving.Document | None]:
        try:
            return "", saving.document(self._screen.session)
        except BackpropError as error:
            return str(error), None

    def _done(self, state: object, wrong: str) -> None:
        self._kept = state
        if wrong and not self._complained:
            self._complained = True
            self._screen.say(wrong, wrong=True)
