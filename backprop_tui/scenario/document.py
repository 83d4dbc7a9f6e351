"""A TOML document as a reader wants it: typed keys, unknown ones refused, and errors that know their place."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from typing import Any, NoReturn, TypeVar

from backprop_tui.errors import ScenarioError, did_you_mean
from backprop_tui.format import clean, cut
from backprop_tui.scenario.toml_text import Path, Places

#: The longest file that is read, in bytes.
MAX_FILE = 16 * 2**20
MAX_KEY_PARTS = 100
#: To how many known names an unknown one is compared, at most.
MAX_COMPARED = 20_000
#: The longest name or value, and the longest message or hint, in characters.
MAX_SHOWN, MAX_MESSAGE = 60, 400

E = TypeVar("E", bound=ScenarioError)

_MANY_DIGITS = re.compile(r"[0-9][0-9_]{4000,}")
_TWICE = re.compile(r"Cannot (?:declare|mutate|redefine|overwrite) ")
_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class Document:
    """A parsed TOML file: its table, and errors placed in its text. ``file`` is what the messages call it."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.places = Places("")
        try:
            size = len(text) if text.isascii() else len(text.encode())
        except UnicodeEncodeError:
            raise self.error((), "the text is not valid Unicode", "save it as UTF-8") from None
        if size > MAX_FILE:
            raise too_large(size, file)
        self.places = Places(text)
        if self.places.deepest > MAX_KEY_PARTS:
            raise self._at(self.places.deepest_key, f"a key has more than {MAX_KEY_PARTS} parts", "write a shorter one")
        self.table = self._parse(text)

    def _parse(self, text: str) -> dict[str, Any]:
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            message = str(error)
            at = _AT.search(message)
            message = message[: at.start()] if at else message
            wrong = ScenarioError(f"not TOML: {message[:1].lower()}{message[1:]}")
            if _TWICE.match(message):
                wrong = ScenarioError("not TOML: a key or a table is there twice", hint="keep one of them")
            if at and at.group(1):
                wrong.line, wrong.column = int(at.group(1)), int(at.group(2))
            elif at:
                wrong.line, wrong.column = self.places.line_column(len(self.places.text))
            raise self.finish(wrong) from None
        except (RecursionError, MemoryError):
            message, hint = "lists and tables are nested too deeply", "an array needs one level an axis"
            raise self._at(self.places.deepest_value, message, hint) from None
        except ValueError:  # Python converts no longer digits to a whole number
            digits = _MANY_DIGITS.search(self.places.text)
            message, hint = "a whole number has too many digits", "write it with an exponent, as in 1e30"
            raise self._at(digits.start() if digits else 0, message, hint) from None

    # Errors

    def _at(self, offset: int, message: str, hint: str) -> ScenarioError:
        line, column = self.places.line_column(offset)
        return self.finish(ScenarioError(message, hint=hint, line=line, column=column))

    def error(self, path: Path, message: str, hint: str | None = None) -> ScenarioError:
        """An error at the key at ``path``, or at the nearest key above it."""
        line, column = self.places.place(path) or (1, 1)
        return self.finish(ScenarioError(message, hint=hint, line=line, column=column))

    def finish(self, error: E) -> E:
        """Gives an error the file's name, and makes it one line without control characters."""
        error.file = clean(self.file)
        error.message = shorten(error.message, MAX_MESSAGE)
        if error.hint is not None:
            error.hint = shorten(error.hint, MAX_MESSAGE)
        error.args = (error.message,)
        return error

    def line(self, path: Path) -> int:
        """The line of the key at ``path``; 1 where that cannot be told."""
        return (self.places.place(path) or (1, 1))[0]

    def unknown(self, name: str, known: Collection[str], kind: str, where: str) -> tuple[str, str | None]:
        """Message and hint of a name that is none of the known names."""
        names: Collection[str] = known
        if len(known) > MAX_COMPARED:
            names = [near for near in known if abs(len(near) - len(name)) <= 1][:MAX_COMPARED]
        return f"unknown {kind} {quoted(name)}{where}", did_you_mean(shorten(name), names)

    # Typed keys

    def known(self, table: Mapping[str, Any], path: Path, keys: Collection[str], where: str = "") -> None:
        """Refuses keys outside ``keys``, naming the nearest."""
        for key in table:
            if key not in keys:
                raise self.error((*path, key), f"unknown key {quoted(key)}{where}", did_you_mean(shorten(key), keys))

    def wrong(self, path: Path, value: object, wanted: str, where: str = "") -> ScenarioError:
        """The error of a value that is not of the kind that its key wants."""
        return self.error(path, f"{quoted(str(path[-1]))}{where} is {described(value)}", f"it must be {wanted}")

    def text(self, table: Mapping[str, Any], path: Path, where: str = "") -> str | None:
        """The text at the key that ends ``path``; None if it is not there."""
        value = table.get(str(path[-1]))
        if value is None or isinstance(value, str):
            return value
        raise self.wrong(path, value, f'text: {path[-1]} = "…"', where)

    def texts(self, table: Mapping[str, Any], path: Path, where: str = "") -> tuple[str, ...] | None:
        """The texts of the list at the key that ends ``path``; None if it is not there."""
        value = table.get(str(path[-1]))
        if value is None:
            return None
        wanted = f'a list of texts: {path[-1]} = ["…", "…"]'
        if not isinstance(value, list):
            raise self.wrong(path, value, wanted, where)
        for i, part in enumerate(value):
            if not isinstance(part, str):
                message = f"entry {i + 1} of '{path[-1]}'{where} is {described(part)}"
                raise self.error((*path, i), message, f"it must be {wanted}")
        return tuple(value)

    def whole(self, table: Mapping[str, Any], path: Path, least: int, where: str = "") -> int | None:
        """The whole number at the key that ends ``path``, at least ``least``; None if it is not there."""
        value = table.get(str(path[-1]))
        if value is None:
            return None
        if type(value) is not int or value < least:
            raise self.wrong(path, value, f"a whole number, at least {least}", where)
        return value

    def number(self, table: Mapping[str, Any], path: Path, where: str = "") -> float | None:
        """The number at the key that ends ``path``; None if it is not there."""
        value = table.get(str(path[-1]))
        if value is None:
            return None
        try:
            if type(value) in (int, float):
                return float(value)
        except OverflowError:
            pass
        raise self.wrong(path, value, "a number that fits into 64 bits" if type(value) is int else "a number", where)

    def choice(self, table: Mapping[str, Any], path: Path, choices: tuple[str, ...], where: str = "") -> str | None:
        """The text at the key that ends ``path``, one of ``choices``; None if it is not there."""
        value = self.text(table, path, where)
        if value is not None and value not in choices:
            listed = ", ".join(f"'{choice}'" for choice in choices[:-1])
            raise self.wrong(path, value, f"{listed} or '{choices[-1]}'", where)
        return value

    def subtable(self, table: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """The table at the key that ends ``path``; an empty one if it is not there."""
        value = table.get(str(path[-1]), {})
        if not isinstance(value, dict):
            raise self.wrong(path, value, f"a table: [{'.'.join(map(str, path))}]")
        return value

    def tables(self, name: str) -> list[dict[str, Any]]:
        """The tables of the array of tables ``name``; none if it is not there."""
        value = self.table.get(name, [])
        wanted = f"tables, each under [[{name}]]"
        if not isinstance(value, list):
            raise self.wrong((name,), value, wanted)
        for i, part in enumerate(value):
            if not isinstance(part, dict):
                raise self.error((name, i), f"entry {i + 1} of '{name}' is {described(part)}", f"it must be {wanted}")
        return value

    def missing(self, path: Path, message: str, hint: str) -> NoReturn:
        """Raises the error of a key that must be there."""
        raise self.error(path, message, hint)


def too_large(size: int, file: str) -> ScenarioError:
    """The error of a scenario file of ``size`` bytes, which is more than `MAX_FILE`."""
    return ScenarioError(
        f"too large: {size:,} bytes, and at most {MAX_FILE:,} are read",
        hint='put large arrays into files of their own, as in { file = "W1.npy" }',
        file=clean(file),
    )


def shorten(text: str, width: int = MAX_SHOWN) -> str:
    """Foreign text as one line of at most ``width`` cells."""
    return cut(clean(text[: 2 * width]) if len(text) > 2 * width else clean(text), width)


def quoted(text: str) -> str:
    """A name from the file, fit for a message."""
    return f"'{shorten(text)}'"


def figure(n: int) -> str:
    """A whole number of any size, fit for a message."""
    if abs(n) < 10**18:
        return f"{n:,}"
    return f"{'less than −' if n < 0 else 'more than '}10¹⁸"


def described(value: object) -> str:
    """What a TOML value is, in words."""
    if isinstance(value, str):
        return f"the text {quoted(value)}" if value else "an empty text"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return figure(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return "a list"
    return "a table" if isinstance(value, dict) else "a date or time"
