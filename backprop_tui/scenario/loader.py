"""Files and texts → scenarios."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from backprop_tui.errors import ScenarioError, did_you_mean
from backprop_tui.format import clean
from backprop_tui.scenario import library
from backprop_tui.scenario.document import MAX_FILE, Document, quoted, too_large
from backprop_tui.scenario.model import Limits, Scenario
from backprop_tui.scenario.reader import read_scenario

_DEFAULT = Limits()


def load(source: str | os.PathLike[str], *, limits: Limits = _DEFAULT) -> Scenario:
    """The scenario in a file, or the bundled one of that name (``notes/sigmoid``, with or without ``.toml``).

    A file goes before a bundled scenario of the same name. Raises ScenarioError, one line, whatever is wrong.
    """
    given = os.fspath(source)
    path, name = Path(given), Path(given).stem
    try:
        kind = path.stat().st_mode
    except (OSError, ValueError):
        kind = None
    if kind is None or stat.S_ISDIR(kind):
        bundled = library.find(given)
        if bundled is not None:
            name = given.removesuffix(".toml")
            path, given, kind = bundled, str(bundled), stat.S_IFREG
    text = _text(path, given, kind)
    return _scenario(text, name=name, path=path, folder=path.parent, file=given, limits=limits)


def loads(text: str, *, name: str = "scenario", folder: Path | None = None, limits: Limits = _DEFAULT) -> Scenario:
    """The scenario in a text; ``folder`` is where the files it names lie (None: it may name none).

    Messages call the text by its ``name``. Raises ScenarioError, one line, whatever is wrong.
    """
    return _scenario(text, name=name, path=None, folder=folder, file=name, limits=limits)


def _scenario(text: str, *, name: str, path: Path | None, folder: Path | None, file: str, limits: Limits) -> Scenario:
    text = text.removeprefix("\ufeff")
    return read_scenario(Document(text, file), text, name, path, folder, limits)


def _text(path: Path, given: str, kind: int | None) -> str:
    """The text of a file that has the mode ``kind``, None if it is not there; ``given`` is what the person wrote."""
    if kind is None:
        hint = did_you_mean(given, [entry.name for entry in library.bundled()])
        raise ScenarioError(f"no file and no bundled scenario {quoted(given)}", hint=hint)
    file = clean(given)
    if stat.S_ISDIR(kind):
        raise ScenarioError("a folder, not a scenario", hint="name one of the .toml files in it", file=file)
    if not stat.S_ISREG(kind):
        raise ScenarioError("not a regular file", hint="a scenario is a TOML file", file=file)
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > MAX_FILE:
                raise too_large(size, given)
            raw = stream.read(MAX_FILE + 1)
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise ScenarioError(message, hint="check the file and its rights", file=file) from None
    if len(raw) > MAX_FILE:
        raise too_large(len(raw), given)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        begin = raw.rfind(b"\n", 0, error.start) + 1
        column = len(raw[begin : error.start].decode(errors="replace")) + 1
        message = f"not UTF-8: the byte 0x{raw[error.start]:02x}"
        raise ScenarioError(message, hint="save the file as UTF-8", line=line, column=column, file=file) from None
