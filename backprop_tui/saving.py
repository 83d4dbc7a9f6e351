"""A session as a document, and back: everything a person did, with the scenario itself, so that it can be given away.

The document is JSON, version 1: the scenario's text, its digest and the files it names; where one stands; the changes that
made each recording; breakpoints, watches, bookmarks, notes; and the log of what was done, with the number that stood on the
screen after each. It is a stranger's file when it is read: parsed, bounded, each field checked, nothing evaluated but what
the command line would take.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import tempfile
import tomllib
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from backprop_tui import whatif
from backprop_tui.breakpoints import read as read_breakpoint
from backprop_tui.conditions import watched
from backprop_tui.errors import BackpropError, CommandError, ScenarioError
from backprop_tui.format import clean
from backprop_tui.recording import Recording
from backprop_tui.scenario import Limits, Scenario, loads
from backprop_tui.session import Event, Session

FORMAT, VERSION = "backprop-tui session", 1
#: A session's file may have so many bytes.
MOST_BYTES = 256 * 2**20
#: So many of each thing a session may have, and so many characters a text of it.
MOST_THINGS, MOST_TEXT = 1_000_000, 20_000_000
#: A scenario's name has at most so many characters: messages begin with it.
MOST_NAME = 200
#: A move may be done so many times in a row, and a session may go on for so many seconds.
MOST_TIMES, MOST_SECONDS = 10**9, 1e10

Document = dict[str, Any]


def digest(text: str) -> str:
    """The SHA-256 digest of a scenario's text, in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# Writing


def document(session: Session) -> Document:
    """The session as a document. Raises CommandError where a file that the scenario names is gone."""
    debugger, scenario = session.debugger, session.scenario
    return {
        "format": FORMAT,
        "version": VERSION,
        "scenario": {
            "name": scenario.name,
            "digest": digest(scenario.text),
            "text": scenario.text,
            "files": session.files if session.files is not None else _files(scenario),
        },
        "position": debugger.position,
        "stage": debugger.stage_number,
        "detail": debugger.detail,
        "recording": debugger.run_number,
        "recordings": [_lineage(session, run) for run in debugger.recordings],
        "breakpoints": [[stop.number, stop.text, stop.enabled] for stop in debugger.stops.breakpoints],
        "watches": [formula.text for formula in session.watches],
        "bookmarks": session.bookmarks,
        "notes": {str(position): text for position, text in session.notes.items()},
        "search": session.sought,
        "seconds": round(session.seconds, 3),
        "log": [[e.seconds, e.line, e.count, e.until, e.position, as_json(e.result)] for e in session.log],
    }


def as_json(number: float | None) -> float | str | None:
    """A number as JSON has it: what is not finite is a string."""
    return number if number is None or math.isfinite(number) else str(number)


def _lineage(session: Session, run: Recording) -> list[list[object]]:
    """The changes that lead to a recording, each with its position, the oldest first."""
    found: list[list[object]] = []
    while run.parent is not None:
        found.append([run.fork, session.debugger.changes[run]])
        run = run.parent
    return found[::-1]


def _files(scenario: Scenario) -> dict[str, str]:
    """The files that a scenario names, as base64, by the names it has for them."""
    if scenario.path is None:
        return {}
    found: dict[str, str] = {}
    tables = tomllib.loads(scenario.text)
    for table in (tables.get("data", {}), tables.get("parameters", {})):
        for entry in table.values():
            name = entry.get("file") if isinstance(entry, dict) else None
            if isinstance(name, str) and name not in found:
                try:
                    found[name] = base64.b64encode((scenario.path.parent / name).read_bytes()).decode("ascii")
                except OSError as error:
                    raise CommandError(f"cannot save: the file '{name}' cannot be read: {error.strerror or error}") from None
    return found


# Reading


def parsed(raw: bytes, name: str) -> Document:
    """A document from the bytes of a file called ``name``. Raises CommandError, one line, where it is none."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise CommandError(f"{name}: no saved session: it is not JSON") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise CommandError(f"{name}: no saved session: it does not say that its format is '{FORMAT}'")
    version = found.get("version")
    if version != VERSION or isinstance(version, bool):
        shown = clean(str(version)[:20])
        raise CommandError(
            f"{name}: a session of version {shown}; this program reads version {VERSION}: use the one it was made with"
        )
    return found


class _Reader:
    """Typed fields of a document. ``name`` is what messages call its file."""

    def __init__(self, name: str) -> None:
        self.name = name

    def wrong(self, field: str, wanted: str) -> CommandError:
        return CommandError(f"{self.name}: '{field}' is not {wanted}; the file was changed or is damaged")

    def text(self, value: object, field: str) -> str:
        if not isinstance(value, str) or len(value) > MOST_TEXT:
            raise self.wrong(field, "a text")
        return value

    def whole(self, value: object, field: str, least: int = 0, most: int = 2**53) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.wrong(field, f"a whole number from {least} to {most}" if most < 2**53 else "a whole number")
        return value

    def number(self, value: object, field: str) -> float:
        try:
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                return float(value)
        except OverflowError:
            pass  # JSON's whole numbers have any length
        raise self.wrong(field, "a number")

    def seconds(self, value: object, field: str) -> float:
        found = self.number(value, field)
        if not 0 <= found <= MOST_SECONDS:
            raise self.wrong(field, "a time in seconds since the session began")
        return found

    def switch(self, value: object, field: str) -> bool:
        if not isinstance(value, bool):
            raise self.wrong(field, "true or false")
        return value

    def items(self, value: object, field: str, each: int | None = None) -> list[Any]:
        if not isinstance(value, list) or len(value) > MOST_THINGS:
            raise self.wrong(field, "a list")
        if each is not None and any(not isinstance(item, list) or len(item) != each for item in value):
            raise self.wrong(field, f"a list of lists of {each}")
        return value

    def table(self, value: object, field: str) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > MOST_THINGS:
            raise self.wrong(field, "an object")
        return value


def scenario_of(found: Document, name: str, limits: Limits | None = None) -> Scenario:
    """The scenario inside a document. Raises CommandError or ScenarioError."""
    read = _Reader(name)
    inside = read.table(found.get("scenario"), "scenario")
    text = read.text(inside.get("text"), "scenario.text")
    if inside.get("digest") != digest(text):
        raise CommandError(f"{name}: the scenario inside does not fit its digest; the file was changed or is damaged")
    files = read.table(inside.get("files", {}), "scenario.files")
    called = clean(read.text(inside.get("name"), "scenario.name"))[:MOST_NAME]
    if not files:
        return loads(text, name=called, limits=limits or Limits())
    with tempfile.TemporaryDirectory(prefix="backprop-tui-") as folder:
        for file, content in files.items():
            place = PurePosixPath(file)
            if place.is_absolute() or ".." in place.parts or "\\" in file or ":" in file or "\0" in file:
                raise read.wrong("scenario.files", "of files beside the scenario")
            target = Path(folder) / place
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(base64.b64decode(read.text(content, "scenario.files"), validate=True))
            except (ValueError, OSError):
                raise read.wrong("scenario.files", "of files in base64") from None
        return loads(text, name=called, folder=Path(folder), limits=limits or Limits())


def log_of(found: Document, name: str) -> list[Event]:
    """What was done in a session, in order. Raises CommandError."""
    read = _Reader(name)
    log = []
    for seconds, line, count, until, position, result in read.items(found.get("log"), "log", 6):
        number = None if result is None else float(result) if result in ("nan", "inf", "-inf") else read.number(result, "log")
        began, ended, times = read.seconds(seconds, "log"), read.seconds(until, "log"), read.whole(count, "log", 1, MOST_TIMES)
        log.append(Event(began, read.text(line, "log"), times, ended, read.whole(position, "log"), number))
    return log


def restored(found: Document, name: str, limits: Limits | None = None, scenario: Scenario | None = None) -> Session:
    """The session as it was saved; of ``scenario``, where that is open already. Raises CommandError or ScenarioError."""
    read = _Reader(name)
    session = Session(scenario or scenario_of(found, name, limits))
    session.files = read.table(read.table(found.get("scenario"), "scenario").get("files", {}), "scenario.files")
    debugger = session.debugger
    total = debugger.total
    try:
        _recordings(session, read.items(found.get("recordings"), "recordings"), read)
        own = {stop.text: stop for stop in debugger.stops.breakpoints}  # a file may have some that nobody could write
        debugger.stops.breakpoints.clear()
        numbers: set[int] = set()
        for number, words, on in read.items(found.get("breakpoints"), "breakpoints", 3):
            given, text = read.whole(number, "breakpoints", 1), read.text(words, "breakpoints")
            if given in numbers:
                raise read.wrong("breakpoints", f"a list with one breakpoint {given}")
            numbers.add(given)
            known = replace(own[text], number=given) if text in own else None
            debugger.stops.add(known or read_breakpoint(text, debugger.graph, total, given))
            debugger.stops.change(given, enabled=read.switch(on, "breakpoints"))
        watches = [read.text(text, "watches") for text in read.items(found.get("watches"), "watches")]
        session.watches = [watched(text, debugger.graph) for text in watches]
    except ScenarioError:
        raise
    except BackpropError as error:
        text = str(error)
        raise CommandError(text if text.startswith(f"{name}:") else f"{name}: {text}") from None
    marks = read.table(found.get("bookmarks"), "bookmarks")
    session.bookmarks = {mark: read.whole(place, "bookmarks", 0, total) for mark, place in marks.items()}
    for place, text in read.table(found.get("notes"), "notes").items():
        position = int(place) if place.isdecimal() and len(place) < 16 else -1
        session.notes[read.whole(position, "notes", 0, total)] = read.text(text, "notes")
    session.sought = read.text(found.get("search"), "search")
    session.log = log_of(found, name)
    session.goes_on_from(read.seconds(found.get("seconds"), "seconds"))
    runs = debugger.recordings
    run = runs[read.whole(found.get("recording"), "recording", 1, len(runs)) - 1]
    debugger.stand(run, read.whole(found.get("position"), "position", 0, total))
    debugger.detail = read.switch(found.get("detail"), "detail")
    stage = found.get("stage")
    if stage is not None:
        debugger.stage_number = read.whole(stage, "stage", 0, max(len(debugger.stages) - 2, 0))
    return session


def _recordings(session: Session, lineages: list[Any], read: _Reader) -> None:
    """Makes the recordings again, from the changes that made them."""
    debugger = session.debugger
    made: dict[tuple[tuple[int, str], ...], Recording] = {(): debugger.recordings[0]}
    runs = []
    for lineage in lineages:
        key: tuple[tuple[int, str], ...] = ()
        for place, text in read.items(lineage, "recordings", 2):
            before = made[key]
            key = (*key, (read.whole(place, "recordings", 0, debugger.total), read.text(text, "recordings")))
            if key not in made:
                debugger.stand(before, key[-1][0])
                made[key] = whatif.forked(before, whatif.read(key[-1][1], debugger))
                debugger.changes[made[key]] = key[-1][1]
        runs.append(made[key])
    if not runs or runs[0] is not debugger.recordings[0]:
        raise read.wrong("recordings", "the scenario's own recording and those made of it")
    debugger.recordings[:] = runs
