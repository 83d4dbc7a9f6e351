"""Files of sessions: written whole or not at all, and kept by themselves where a person left.

A file is written beside its place, synced, and renamed into it, so that whoever is killed at any moment leaves the last
state that was saved, or the one before, whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backprop_tui.errors import BackpropError, CommandError
from backprop_tui.format import clean
from backprop_tui.saving import MOST_BYTES, Document, digest, document, parsed
from backprop_tui.scenario import Scenario
from backprop_tui.session import Session

#: What the name of a file that is being written begins and ends with.
_BESIDE = (".", ".saving")
#: A neighbour that is older than so many seconds was left by a process that is gone.
_LEFT = 3600.0


def write(path: Path, found: Document) -> None:
    """Writes a document into a file, whole. Raises CommandError where the file cannot be written."""
    raw = json.dumps(found, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")
    if len(raw) > MOST_BYTES:
        raise CommandError(f"cannot save: the session has {len(raw) / 2**20:,.0f} MiB, more than {MOST_BYTES // 2**20}")
    beside = None
    try:
        handle, beside = tempfile.mkstemp(prefix=f"{_BESIDE[0]}{path.name}.", suffix=_BESIDE[1], dir=path.parent)
        with os.fdopen(handle, "wb") as stream:
            stream.write(raw)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, path)
        beside = None
        _sync_folder(path.parent)
    except (OSError, ValueError) as error:  # a ValueError: a name that no file can have
        raise CommandError(f"cannot save to {clean(str(path))}: {getattr(error, 'strerror', None) or error}") from None
    finally:
        if beside is not None:
            with contextlib.suppress(OSError):
                os.unlink(beside)


def _sync_folder(folder: Path) -> None:
    """Makes the new name last, where the platform can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read(path: Path) -> Document:
    """The document in a file. Raises CommandError, one line, whatever is wrong."""
    name = clean(str(path))
    try:
        with path.open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise CommandError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > MOST_BYTES:
        raise CommandError(f"{name}: larger than {MOST_BYTES // 2**20} MiB: no session of this program")
    return parsed(raw, name)


def save(session: Session, path: Path) -> None:
    """Saves a session to a file. Raises CommandError."""
    if os.path.isdir(path):  # which answers no for a name that no file can have
        raise CommandError(f"cannot save to {clean(str(path))}: it is a folder; name a file")
    write(path, document(session))


# Where one left


@dataclass(frozen=True)
class Left:
    """A session that was kept by itself: its file, its document, and when that was, in seconds since the epoch."""

    path: Path
    found: Document
    when: float

    @property
    def position(self) -> int:
        """Where one stood."""
        position = self.found.get("position")
        return position if isinstance(position, int) else 0

    def fits(self, scenario: Scenario) -> bool:
        """Whether the scenario is the one that it was."""
        inside = self.found.get("scenario")
        return isinstance(inside, dict) and inside.get("digest") == digest(scenario.text)


def folder() -> Path:
    """Where sessions are kept on this platform."""
    from platformdirs import user_state_path  # only who keeps a session needs it

    return user_state_path("backprop-tui", appauthor=False) / "sessions"


def place(scenario: Scenario) -> Path:
    """The file in which a scenario's session is kept: one for each scenario's file."""
    where = str(scenario.path.resolve()) if scenario.path is not None else scenario.name
    safe = re.sub(r"[^A-Za-z0-9]+", "-", scenario.name)[:40].strip("-") or "scenario"
    return folder() / f"{safe}-{hashlib.sha256(where.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}.json"


def left(scenario: Scenario) -> Left | None:
    """What was kept of a scenario; a file that is no session is set aside, and the one before it is taken."""
    path = place(scenario)
    for candidate in (path, path.with_suffix(".before.json")):
        try:
            when = candidate.stat().st_mtime
        except OSError:
            continue
        try:
            return Left(candidate, read(candidate), when)
        except BackpropError:
            with contextlib.suppress(OSError):
                os.replace(candidate, candidate.with_suffix(".damaged"))
    return None


def keep(found: Document, path: Path, *, set_aside: bool = False) -> str:
    """Keeps a document in its place; with ``set_aside``, what is there stays beside it. Answers what is wrong, if anything is.

    A place that cannot be written to is no error of the person's: what they do goes on.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if set_aside and path.exists():
            os.replace(path, path.with_suffix(".before.json"))
        _tidy(path.parent)
        write(path, found)
    except (OSError, CommandError) as error:
        return f"this session cannot be kept: {getattr(error, 'strerror', None) or error}"
    return ""


def _tidy(folder: Path) -> None:
    """Takes away what killed processes left half-written."""
    for other in _halves(folder):
        with contextlib.suppress(OSError):
            if time.time() - other.stat().st_mtime > _LEFT:
                other.unlink()


def _halves(folder: Path) -> Sequence[Path]:
    return [*folder.glob(f"{_BESIDE[0]}*{_BESIDE[1]}")]
