"""A saved session played on the screen as it happened, until somebody takes the wheel."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual.timer import Timer

from backprop_tui.replay import Player
from backprop_tui.view.models import ReplayModel

if TYPE_CHECKING:
    from backprop_tui.tui.screens.stepper import StepperScreen

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
TICK = 1 / 20


class Replaying:
    """Drives a player by the clock and by keys."""

    def __init__(self, screen: StepperScreen, player: Player) -> None:
        self._screen = screen
        self.player = player
        self._speed = SPEEDS.index(1.0)
        self._timer: Timer | None = None
        self._last = 0.0

    def model(self) -> ReplayModel:
        """What the last line says of it."""
        player = self.player
        markers = tuple(marker.seconds for marker in player.markers)
        speed, last = SPEEDS[self._speed], player.moments[player.done - 1].line if player.done else ""
        return ReplayModel(player.seconds, player.duration, markers, self._timer is not None, speed, last, len(player.differences))

    def play(self) -> None:
        """Plays on, or again from the beginning."""
        if self.player.ended:
            self.player.seek(0.0)
        self._last = time.monotonic()
        self._timer = self._screen.set_interval(TICK, self._tick)
        self._show()

    def pause(self) -> None:
        """Stands still."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _tick(self) -> None:
        now = time.monotonic()
        done = self.player.play((now - self._last) * SPEEDS[self._speed])
        self._last = now
        if self.player.ended:
            self.pause()
        if done or self.player.ended:
            self._show()
        else:
            self._screen.show_footer()

    def _show(self) -> None:
        self._screen.take(self.player.session)
        self._screen.show_all()

    def takes(self, name: str) -> bool:
        """Carries out what a command means while it plays; answers False for one that takes the wheel."""
        player = self.player
        if name == "play":
            if self._timer is None:
                self.play()
            else:
                self.pause()
        elif name in ("faster", "slower"):
            self._speed = max(0, min(len(SPEEDS) - 1, self._speed + (1 if name == "faster" else -1)))
        elif name in ("step", "next", "step_back", "next_back"):
            self.pause()
            player.one(-1 if name.endswith("back") else 1)
        elif name in ("next_phase", "previous_phase"):
            by = 1 if name == "next_phase" else -1
            marker = player.marker(by)
            player.seek(marker.seconds if marker is not None else player.duration if by > 0 else 0.0)
        elif name in ("home", "end", "restart"):
            player.seek(player.duration if name == "end" else 0.0)
        else:
            return False
        self._show()
        return True
