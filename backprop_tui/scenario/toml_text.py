"""Where in a TOML text a key stands. `tomllib` gives values without their places; errors want the places.

A scanner that knows just enough of TOML's grammar: tables, arrays of tables, keys, and where each value begins and
ends. It never raises, whatever the text, and takes time in proportion to it: one pass finds the keys of all tables, and
the inside of an inline table or an array is looked at when somebody asks for a place in it, once.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property

#: A path into a document: keys, and positions (from 0) in arrays and arrays of tables.
Path = tuple[str | int, ...]

#: Keys of more dotted parts than this are cut; `Places.deepest` tells how many there are.
DEEP = 8

_BLANK = re.compile(r"[ \t\n]*(?:#[^\n]*\n?[ \t\n]*)*")
_KEY_PART = re.compile(r"""[ \t]*(?:([A-Za-z0-9_-]+)|"((?:[^"\\\n]|\\.)*)"|'([^'\n]*)')[ \t]*""")
_IN_BRACKETS = re.compile(r"""[\[\]{}#"']""")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_TRIPLE_END = re.compile(r'\\.|"""', re.DOTALL)
_STRING_END = re.compile(r'\\.|["\n]')
_ESCAPE = re.compile(r"\\(?:([btnfre\"\\])|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|[ \t]*\n[ \t\n]*|x[0-9A-Fa-f]{2})")
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\", "e": "\x1b"}


class Places:
    """The places of a TOML text. Lines and columns count from 1, in characters."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        #: The largest number of dotted parts of any key or header, and the offset of that key.
        self.deepest = self.deepest_key = 0
        #: The offset at which lists and tables are first nested deeper than anywhere else, as far as they were seen.
        self.deepest_value = 0
        self._depth = 0
        self._children: dict[int, dict[str | int, tuple[int, int]]] = {}
        self._index: dict[Path, tuple[int, int]] = {}
        self._scan()

    def line_column(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset into the text."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def place(self, path: Path) -> tuple[int, int] | None:
        """Line and column of the key at ``path``, or of the deepest key above it; None where it cannot tell."""
        found = self._find(path)
        return None if found is None else self.line_column(found[0])

    def in_string(self, path: Path, offset: int) -> tuple[int, int] | None:
        """Line and column of the character number ``offset`` of the string at ``path``, as its value has it."""
        found = self._find(path, exact=True)
        if found is None or found[1] < 0:
            return None
        return self.line_column(self._raw_offset(found[1], offset))

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    def _find(self, path: Path, *, exact: bool = False) -> tuple[int, int] | None:
        for size in range(len(path), 0, -1):
            found = self._index.get(path[:size])
            if found is None:
                continue
            for part in path[size:]:
                inner = self._inside(found[1]).get(part) if found[1] >= 0 else None
                if inner is None:
                    return None if exact else found
                found = inner
            return found
        return None

    # The pass over the tables

    def _scan(self) -> None:
        text, at = self.text, 0
        table: Path = ()
        counts: dict[Path, int] = {}
        while True:
            at = _blank(text, at)
            if at >= len(text):
                return
            start = at
            many = text.startswith("[[", at)
            if text[at] == "[":
                parts, at = self._key(at + (2 if many else 1))
                if not parts:
                    return
                table = self._header(parts, counts, many, start)
                end = text.find("\n", at)
                at = len(text) if end < 0 else end
                continue
            parts, at = self._key(at)
            if not parts or not text.startswith("=", at):
                return
            value = _spaces(text, at + 1)
            for size in range(1, len(parts) + 1):
                self._index.setdefault(table + parts[:size], (start, value if size == len(parts) else -1))
            at = self._skip(value)
            if at <= value:
                return

    def _header(self, parts: tuple[str, ...], counts: dict[Path, int], many: bool, start: int) -> Path:
        """The path of the table that a header begins."""
        table: Path = ()
        for number, part in enumerate(parts, 1):
            table = (*table, part)
            self._index.setdefault(table, (start, -1))
            if number == len(parts) and many:
                counts[table] = counts.get(table, 0) + 1
            if table in counts:
                table = (*table, counts[table] - 1)
                self._index.setdefault(table, (start, -1))
        return table

    def _key(self, at: int) -> tuple[tuple[str, ...], int]:
        """The parts of a dotted key, at most `DEEP`, and where it ends."""
        parts: list[str] = []
        start, count = at, 0
        while match := _KEY_PART.match(self.text, at):
            at = match.end()
            count += 1
            if count <= DEEP:
                bare, basic, literal = match.groups()
                parts.append(bare if bare is not None else literal if literal is not None else _unescape(basic))
            if not self.text.startswith(".", at):
                break
            at += 1
        if count > self.deepest:
            self.deepest, self.deepest_key = count, start
        return tuple(parts), at

    # Values

    def _skip(self, at: int) -> int:
        """The end of the value that begins at an offset."""
        text = self.text
        if at >= len(text):
            return at
        if text[at] in "\"'":
            return self._skip_string(at)
        if text[at] not in "[{":
            match = _SCALAR.match(text, at)
            return match.end() if match else at
        depth = 0
        while match := _IN_BRACKETS.search(text, at):
            character, at = match.group(), match.end()
            if character in "[{":
                depth += 1
                if depth > self._depth:
                    self._depth, self.deepest_value = depth, at - 1
            elif character in "]}":
                depth -= 1
                if depth == 0:
                    return at
            elif character == "#":
                end = text.find("\n", at)
                at = len(text) if end < 0 else end
            else:
                at = self._skip_string(at - 1)
        return len(text)

    def _skip_string(self, at: int) -> int:
        text, quote = self.text, self.text[at]
        if text.startswith(quote * 3, at):
            if quote == "'":
                end = text.find("'''", at + 3)
            else:
                end = next((m.start() for m in _TRIPLE_END.finditer(text, at + 3) if m.group() == '"""'), -1)
            if end < 0:
                return len(text)
            end += 3
            for _ in range(2):  # one or two quotes may stand before the closing three
                end += text.startswith(quote, end)
            return end
        if quote == "'":
            end = text.find("'", at + 1)
        else:
            end = next((m.start() for m in _STRING_END.finditer(text, at + 1) if m.group() in '"\n'), -1)
        return len(text) if end < 0 else end + 1

    def _inside(self, at: int) -> dict[str | int, tuple[int, int]]:
        """The parts of the inline table or the array that begins at an offset: where each begins, and its value."""
        known = self._children.get(at)
        if known is None:
            opening = self.text[at : at + 1]
            known = self._children[at] = {}
            if opening == "[":
                for number, value in enumerate(self._elements(at + 1)):
                    known[number] = (value, value)
            elif opening == "{":
                for start, parts, value in self._pairs(at + 1):
                    if len(parts) == 1:
                        known.setdefault(parts[0], (start, value))
        return known

    def _elements(self, at: int) -> Iterator[int]:
        while True:
            at = _blank(self.text, at)
            if at >= len(self.text) or self.text[at] == "]":
                return
            yield at
            end = _blank(self.text, self._skip(at))
            if not self.text.startswith(",", end):
                return
            at = end + 1

    def _pairs(self, at: int) -> Iterator[tuple[int, tuple[str, ...], int]]:
        while True:
            start = at = _blank(self.text, at)
            parts, at = self._key(at)
            if not parts or not self.text.startswith("=", at):
                return
            value = _spaces(self.text, at + 1)
            yield start, parts, value
            end = _blank(self.text, self._skip(value))
            if not self.text.startswith(",", end):
                return
            at = end + 1

    def _raw_offset(self, at: int, offset: int) -> int:
        """Where in the text the character number ``offset`` of the string that begins at ``at`` is written."""
        text, quote = self.text, self.text[at : at + 1]
        if quote not in ("'", '"'):
            return at
        if text.startswith(quote * 3, at):
            at += 3
            if text.startswith("\n", at):
                at += 1
        else:
            at += 1
        if quote == "'":
            return min(at + offset, len(text))
        while offset > 0 and at < len(text):
            backslash = text.find("\\", at, at + offset)
            if backslash < 0:
                break
            offset -= backslash - at
            at = backslash
            match = _ESCAPE.match(text, at)
            if match is None:
                break
            while match is not None and "\n" in match.group():  # a line ending in a backslash stands for nothing
                at = match.end()
                match = _ESCAPE.match(text, at)
            if offset > 0 and match is not None:
                offset -= 1
                at = match.end()
        at = min(at + offset, len(text))
        while (match := _ESCAPE.match(text, at)) is not None and "\n" in match.group():
            at = match.end()
        return at


def _blank(text: str, at: int) -> int:
    """The end of the spaces, line ends and comments from an offset on."""
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _spaces(text: str, at: int) -> int:
    while text.startswith((" ", "\t"), at):
        at += 1
    return at


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text

    def one(match: re.Match[str]) -> str:
        simple, short, long = match.groups()
        if simple is not None:
            return _ESCAPED[simple]
        code = int(short or long or "fffd", 16)
        return chr(code) if code < 0x110000 else "\N{REPLACEMENT CHARACTER}"

    return _ESCAPE.sub(one, text)
