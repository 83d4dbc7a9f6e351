"""A trace made elsewhere: JSON lines, read as a stranger's file is read.

One object a line, as ``backprop-tui trace --format jsonl`` writes them. Of a line are needed ``kind`` (forward, seed, backward
or update), ``node``, in a backward line ``operand``, and one of its kind's numbers; ``iteration`` counts from 0 and may be left
out where there is only one. The summary is passed over, and so are keys that the format does not know.
"""

from __future__ import annotations

import json
import math
import stat
from array import array
from collections.abc import Generator, Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np

from backprop_tui.errors import CommandError, did_you_mean
from backprop_tui.format import clean, cut
from backprop_tui.ops.op import Array
from backprop_tui.scenario import Limits
from backprop_tui.stops import CHUNK

#: What a step is: iteration, kind, node, operand.
Key = tuple[int, str, str, str]
#: The numbers of a step, by their key in the trace; a scalar of a trace is a plain number.
Facts = dict[str, Array | float]

#: The numbers of a line by its kind; the step's own result stands first.
NUMBERS: dict[str, tuple[str, ...]] = {
    "forward": ("value",),
    "seed": ("grad",),
    "backward": ("contribution", "grad", "local", "upstream"),
    "update": ("after", "grad", "before"),
}
NAMES = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
#: A line may have so many bytes, a name so many characters, an array so many axes, an iteration so high a number.
MOST_LINE, MOST_NAME, MOST_AXES, MOST_ITERATIONS = 64 * 2**20, 100_000, 32, 2**53
#: The other keys of a line that are handed on, and what they are.
TEXTS, WHOLES, LISTS = ("op",), ("step", "line"), ("operands", "shape", "summed_axes")


class Trace:
    """The steps of a trace, numbered as they come, from 1. ``name`` is what messages call its file.

    Its file may have as many bytes as ``limits`` gives to values, and as many steps as it gives to a run.
    """

    complete = False
    single = False

    def __init__(self, path: Path, name: str, limits: Limits | None = None) -> None:
        self.name = name
        self._path = path
        self._limits = limits or Limits()
        self._keys: list[Key] = []
        self._facts: list[Facts] = []
        self._hows: dict[int, str] = {}
        self._lines = array("q")
        self._offsets = array("q")

    def __len__(self) -> int:
        return len(self._keys)

    def wrong(self, message: str, line: int | None = None) -> CommandError:
        """An error that says where: in the file, or on a line of it."""
        place = clean(self.name) if line is None else f"{clean(self.name)}:{line}"
        return CommandError(f"{place}: {message}")

    # Reading

    def ready(self) -> Generator[int, None, None]:
        """Reads the file, in parts; yields how many steps it has read. Raises CommandError."""
        if self._keys:
            return
        with self._open() as stream:
            for number, offset, raw in self._raw(stream):
                if not raw.removeprefix(b"\xef\xbb\xbf").strip():
                    continue
                found = self._parsed(raw, number)
                if found.get("kind") == "summary":
                    continue
                if len(self._keys) >= self._limits.max_steps:
                    more = f"more than {self._limits.max_steps:,} steps; raise the limit with --max-steps"
                    raise self.wrong(more, number)
                self._add(found, number, offset)
                if len(self._keys) % (CHUNK // 4) == 0:
                    yield len(self._keys)
        if not self._keys:
            raise self.wrong("no steps in it; a trace has one JSON object a line, as trace --format jsonl writes them")

    def _open(self) -> IO[bytes]:
        try:
            found = self._path.stat()
            if not stat.S_ISREG(found.st_mode):  # a pipe would have to be waited for
                raise self.wrong("not a regular file; write the trace to one first")
            if found.st_size > self._limits.max_bytes:
                raise self.wrong(f"{found.st_size:,} bytes, more than {self._limits.max_bytes:,}; raise the limit with --max-bytes")
            return self._path.open("rb")
        except OSError as error:
            raise self.wrong(f"cannot be read: {error.strerror or error}") from None

    def _raw(self, stream: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
        """The lines with their numbers and offsets; no more bytes than a file may have, though it grow meanwhile."""
        number, offset = 0, 0
        while offset <= self._limits.max_bytes:
            try:
                raw = stream.readline(MOST_LINE + 1)
            except OSError as error:
                raise self.wrong(f"cannot be read: {error.strerror or error}", number + 1) from None
            if not raw:
                return
            number += 1
            if len(raw) > MOST_LINE:
                raise self.wrong(f"a line of more than {MOST_LINE:,} bytes; a trace has one step a line", number)
            yield number, offset, raw
            offset += len(raw)
        raise self.wrong(f"more than {self._limits.max_bytes:,} bytes; raise the limit with --max-bytes")

    def _parsed(self, raw: bytes, number: int) -> dict[str, Any]:
        try:
            found = json.loads(raw.decode("utf-8-sig").rstrip())
        except RecursionError:
            raise self.wrong("lists nested too deep; an array has as many levels as axes", number) from None
        except json.JSONDecodeError as error:
            reason = f"not JSON: {error.msg[:1].lower()}{error.msg[1:]} at column {error.colno}"
            raise self.wrong(f"{reason}; a trace has one JSON object a line", number) from None
        except UnicodeDecodeError:
            raise self.wrong("not UTF-8; a trace is JSON in UTF-8", number) from None
        except ValueError:
            raise self.wrong("a number of thousands of digits; 64 bits hold about 17", number) from None
        if not isinstance(found, dict):
            raise self.wrong('not a JSON object; a trace has one a line, such as {"kind": "seed", …}', number)
        return found

    def _add(self, found: dict[str, Any], line: int, offset: int) -> None:
        kind = found.get("kind")
        if not isinstance(kind, str) or kind not in NUMBERS:
            listed = "forward, seed, backward, update or summary"
            if "kind" not in found:
                raise self.wrong(f"no 'kind'; it is one of {listed}", line)
            raise self.wrong(f"the kind is {_shown(kind)}; it is one of {listed}", line)
        node = self._name(found, "node", line)
        operand = self._name(found, "operand", line) if kind == "backward" else ""
        iteration = found.get("iteration", 0)
        if type(iteration) is not int or not 0 <= iteration < MOST_ITERATIONS:
            raise self.wrong(f"'iteration' is {_shown(iteration)}; it is a whole number, counted from 0", line)
        facts: Facts = {}
        for field in NUMBERS[kind]:
            if field not in found:
                continue
            given = found[field]
            if field == "local":
                if not isinstance(given, dict):
                    raise self.wrong('\'local\' is no object; it is written {"text": …, "how": …, "value": …}', line)
                if isinstance(given.get("how"), str):
                    self._hows[len(self._keys) + 1] = given["how"][:MOST_NAME]
                if "value" not in given or given["value"] == []:  # not written out
                    continue
                given = given["value"]
            facts[field] = self._numbers(given, field, line)
        if not facts:
            wanted = " or ".join(f"'{field}'" for field in NUMBERS[kind])
            raise self.wrong(self._without_numbers(found, kind, wanted), line)
        self._keys.append((iteration, kind, node, operand))
        self._facts.append(facts)
        self._lines.append(line)
        self._offsets.append(offset)

    @staticmethod
    def _without_numbers(found: dict[str, Any], kind: str, wanted: str) -> str:
        unknown = [key for key in found if key not in ("kind", "node", "operand", "iteration", *TEXTS, *WHOLES, *LISTS)]
        hint = did_you_mean(unknown[0][:60], NUMBERS[kind]) if unknown and len(NUMBERS[kind]) > 1 else None
        article = "an" if kind == "update" else "a"
        return f"{article} {kind} line without numbers: it has {wanted}" + (f"; {hint}" if hint and "mean" in hint else "")

    def _name(self, found: dict[str, Any], key: str, line: int) -> str:
        name = found.get(key)
        if not isinstance(name, str) or not name:
            message = f"'{key}' is {_shown(name)}" if key in found else f"no '{key}'"
            raise self.wrong(f"{message}; it is what the program calls it, or its source text", line)
        if len(name) > MOST_NAME:
            raise self.wrong(f"'{key}' has more than {MOST_NAME:,} characters", line)
        return name

    def _numbers(self, given: Any, field: str, line: int) -> Array | float:
        """A number, or an array from nested lists, looked at level by level."""
        try:
            if not isinstance(given, list):
                return _number(given)
            level: list[Any] = [given]
            shape: tuple[int, ...] = ()
            while True:
                lengths = set(map(len, level))
                if len(lengths) > 1:
                    raise self.wrong(f"the rows of '{field}' have different lengths; the rows of an array have one length", line)
                shape = (*shape, lengths.pop())
                if len(shape) > MOST_AXES:
                    raise self.wrong(f"'{field}' has more than {MOST_AXES} axes", line)
                flat = list(chain.from_iterable(level))
                kinds = set(map(type, flat))
                if kinds != {list}:
                    break
                level = flat
            if list in kinds:
                raise self.wrong(f"'{field}' has numbers and lists side by side; an array has the same depth everywhere", line)
            if not kinds <= {int, float}:
                flat = list(map(_number, flat))
            return np.array(flat, dtype=np.float64).reshape(shape)
        except ValueError as error:
            raise self.wrong(f'\'{field}\' has {error} in it; numbers, "nan", "inf" and "-inf" are values', line) from None
        except OverflowError:
            raise self.wrong(f"'{field}' has a number too large for 64 bits in it; write \"inf\"", line) from None

    # Answers

    def each_key(self) -> Iterator[Key]:
        """What each step is, in order."""
        return iter(self._keys)

    def key(self, number: int) -> Key:
        """What the step of that number is."""
        return self._keys[number - 1]

    def facts(self, number: int) -> Facts:
        """The numbers of a step, by their key in the trace."""
        return self._facts[number - 1]

    def how(self, number: int) -> str:
        """How the local derivative of a backward step is multiplied in; nothing where that is not told."""
        return self._hows.get(number, "")

    def place(self, number: int) -> str:
        """Where the step stands in the file, in words."""
        return f"line {self._lines[number - 1]}"

    def line(self, number: int) -> dict[str, Any]:
        """The step as an object of the trace: its line, read again, with the keys that the format knows."""
        line = self._lines[number - 1]
        with self._open() as stream:
            stream.seek(self._offsets[number - 1])
            raw = stream.readline(MOST_LINE)
        try:
            found = json.loads(raw.decode("utf-8-sig"), parse_constant=_CONSTANTS.__getitem__, parse_float=_float)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or found.get("kind") != self.key(number)[1]:
            raise self.wrong("not what it was: the file was changed meanwhile", line)
        return {key: value for key, value in found.items() if _known(key, value, found["kind"])}


_CONSTANTS = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}


def _float(text: str) -> float | str:
    """A number, or the name of one that is none: 1e999 is inf."""
    number = float(text)
    return number if math.isfinite(number) else str(number)


def _number(given: Any) -> float:
    """A number or the name of one. Raises ValueError, which says what it is, and OverflowError."""
    if type(given) in (int, float):
        return float(given)
    if isinstance(given, str) and given in NAMES:
        return NAMES[given]
    raise ValueError(_shown(given))


def _known(key: str, value: Any, kind: str) -> bool:
    """Whether a key of a line is handed on: its numbers were looked at when it was read, the others must be what they are."""
    if key in TEXTS:
        return isinstance(value, str)
    if key in WHOLES:
        return type(value) is int
    if key in LISTS:
        return isinstance(value, list) and all(isinstance(entry, str | int) for entry in value)
    if key == "local":
        known = isinstance(value, dict) and value.keys() <= {"text", "how", "value"}
        return known and all(isinstance(value.get(part, ""), str) for part in ("text", "how"))
    return key in ("kind", "iteration", "node", *NUMBERS[kind]) or (key == "operand" and kind == "backward")


def _shown(value: Any) -> str:
    """What a value is, in a few words."""
    if isinstance(value, str):
        return f"'{cut(clean(value), 40)}'"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        return cut(str(value) if not isinstance(value, int) or abs(value) < 10**40 else "a number of many digits", 40)
    return "a list" if isinstance(value, list) else "an object"
