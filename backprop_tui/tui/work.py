"""What takes long, done in slices, so that the screen goes on listening and one may stop it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

from backprop_tui.errors import CommandError

Answer = TypeVar("Answer")

#: So long, in seconds, something may take before one is told how far it is; and so long is a slice of it after that.
AT_ONCE, SLICE = 0.05, 0.025


class Work(Generic[Answer]):
    """Parts that are being done. ``done`` gets what they answer, ``failed`` what is wrong."""

    def __init__(self, parts: Generator[int, None, Answer], done: Callable[[Answer], None], failed: Callable[[str], None]) -> None:
        self._parts = parts
        self._done = done
        self._failed = failed
        #: How many steps it has looked at.
        self.looked = 0
        self._start: int | None = None

    def go_on(self, seconds: float) -> bool:
        """Does parts for so long; answers whether that was all."""
        until = time.perf_counter() + seconds
        try:
            while True:
                at = next(self._parts)
                self._start = at if self._start is None else self._start
                self.looked = at - self._start
                if time.perf_counter() > until:
                    return False
        except StopIteration as end:
            self._done(end.value)
        except CommandError as error:
            self._failed(str(error))
        return True

    def stop(self) -> None:
        """Leaves the rest undone."""
        self._parts.close()
