"""Values as a scenario writes them → read-only arrays of its precision.

A number, a rectangular nested list of numbers, or a table with one initialiser. What an array would take is held
against the limit before it is made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import chain
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from backprop_tui.errors import ScenarioError, did_you_mean
from backprop_tui.ops.op import Array, Shape
from backprop_tui.scenario.document import Document, described, figure, quoted, shorten
from backprop_tui.scenario.model import Limits
from backprop_tui.scenario.toml_text import Path

MAX_AXES = 32

#: Each initialiser, and the keys that may stand beside it with their defaults (None: no default, it must be there).
INITIALISERS: dict[str, dict[str, float | None]] = {
    "zeros": {},
    "ones": {},
    "full": {"value": None},
    "eye": {},
    "range": {},
    "normal": {"mean": 0.0, "scale": 1.0},
    "uniform": {"low": 0.0, "high": 1.0},
    "file": {},
}
_KEYS = {*INITIALISERS, "array", *(key for beside in INITIALISERS.values() for key in beside)}


class ValueReader:
    """Makes arrays, and keeps count of their bytes.

    ``folder`` is where the files of a scenario lie (None: it has none), ``seed`` that of its random initialisers.
    """

    def __init__(self, document: Document, dtype: type[np.floating[Any]], seed: int, folder: FilePath | None, limits: Limits):
        self.document = document
        self.dtype = np.dtype(dtype)
        self.seed = seed
        self.folder = folder
        self.limits = limits
        self.used = 0

    def read(self, raw: object, path: Path, name: str) -> Array:
        """The array that ``raw`` stands for, read-only; ``path`` is its place in the file."""
        made = self._made(raw, path, name)
        with np.errstate(all="ignore"):
            array = np.asarray(made, dtype=self.dtype, order="C")
        if array.ndim == 0:
            return self.dtype.type(array)  # type: ignore[no-any-return]  # a NumPy scalar is an Array here
        array.flags.writeable = False
        return array

    def _made(self, raw: object, path: Path, name: str) -> Array:
        if isinstance(raw, list):
            return self._list(raw, path, name)
        if isinstance(raw, dict):
            return self._initialised(raw, path, name)
        self.reserve((), path)
        return np.asarray(self.number(raw, path, quoted(name)))

    def number(self, raw: object, path: Path, what: str) -> float:
        """A number, whatever else TOML has refused; ``what`` is what messages call it."""
        if type(raw) not in (int, float):
            hint = "write 1 or 0" if isinstance(raw, bool) else "only numbers are values"
            raise self.document.error(path, f"{what} is {described(raw)}", hint)
        try:
            return float(raw)  # type: ignore[arg-type]  # its type was asked above, where mypy does not see it
        except OverflowError:
            raise self.document.error(path, f"{what} is a number too large for 64 bits", "write inf") from None

    def reserve(self, shape: Shape, path: Path) -> None:
        """Counts an array of that shape before it is made. Raises if it is more than the limit leaves."""
        self.used += entries(shape) * self.dtype.itemsize
        if self.used > self.limits.max_bytes:
            raise self.document.error(path, *over_bytes("the values of this scenario", self.used, self.limits))

    # Lists

    def _list(self, raw: list[Any], path: Path, name: str) -> Array:
        """An array from nested lists, level by level; single entries are looked at only if something is wrong."""
        level: list[Any] = [raw]
        shape: Shape = ()
        while True:
            lengths = set(map(len, level))
            if len(lengths) > 1:
                raise self._ragged(level, shape, path, name)
            shape = (*shape, lengths.pop())
            if len(shape) > MAX_AXES:
                raise self._too_deep(path, name)
            flat = list(chain.from_iterable(level))
            kinds = set(map(type, flat))
            if kinds <= {int, float}:
                break
            if kinds != {list}:
                raise self._mixed(flat, shape, path, name)
            level = flat
        self.reserve(shape, path)
        try:
            return np.array(flat, dtype=np.float64).reshape(shape)
        except OverflowError:
            for i, entry in enumerate(flat):
                at = _index(i, shape)
                self.number(entry, (*path, *at), _entry(name, at))
            raise

    def _too_deep(self, path: Path, name: str) -> ScenarioError:
        return self.document.error(path, f"{quoted(name)} has more than {MAX_AXES} axes", f"at most {MAX_AXES} are read")

    def _ragged(self, level: list[Any], shape: Shape, path: Path, name: str) -> ScenarioError:
        i = next(i for i, row in enumerate(level) if len(row) != len(level[0]))
        at = _index(i, shape)
        whole = _entry(name, at[:-1]) if len(at) > 1 else quoted(name)
        return self.document.error(
            (*path, *at),
            f"row {at[-1] + 1} of {whole} has {_count(len(level[i]))}, but the first row has {len(level[0])}",
            "the rows of an array have one length",
        )

    def _mixed(self, flat: list[Any], shape: Shape, path: Path, name: str) -> ScenarioError:
        first = type(flat[0]) is list
        i = next(i for i, e in enumerate(flat) if (type(e) is not list if first else type(e) not in (int, float)))
        at = _index(i, shape)
        place = (*path, *at)
        if type(flat[i]) is list or type(flat[i]) in (int, float):
            whole = _entry(name, at[:-1]) if len(at) > 1 else quoted(name)
            message = f"row {at[-1] + 1} of {whole} is {described(flat[i])}, but the first row is {described(flat[0])}"
            return self.document.error(place, message, "an array has the same depth everywhere")
        hint = "write 1 or 0" if isinstance(flat[i], bool) else "only numbers are values"
        return self.document.error(place, f"{_entry(name, at)} is {described(flat[i])}", hint)

    # Initialisers

    def _initialised(self, table: dict[str, Any], path: Path, name: str) -> Array:
        error, listed = self.document.error, ", ".join(INITIALISERS)
        for key in table:
            if key not in _KEYS:
                message = f"unknown key {quoted(key)} in the initialiser of {quoted(name)}"
                raise error((*path, key), message, did_you_mean(shorten(key), _KEYS))
        chosen = [key for key in table if key in INITIALISERS]
        if not chosen:
            raise error(path, f"{quoted(name)} is a table without an initialiser", f"one of {listed} makes an array")
        if len(chosen) > 1:
            message = f"{quoted(name)} has two initialisers, '{chosen[0]}' and '{chosen[1]}'"
            raise error((*path, chosen[1]), message, "keep one")
        kind = chosen[0]
        beside = INITIALISERS[kind]
        allowed = {kind, *beside, *(("array",) if kind == "file" else ())}
        for key in table:
            if key not in allowed:
                extra = sorted(allowed - {kind})
                hint = f"beside '{kind}' may stand {' and '.join(extra)}" if extra else f"'{kind}' stands alone"
                raise error((*path, key), f"'{key}' does not belong to '{kind}' in {quoted(name)}", hint)
        if kind == "file":
            return self._file(table, path, name)
        settings: dict[str, float] = {}
        for key, default in beside.items():
            if key not in table and default is None:
                message = f"the initialiser of {quoted(name)} has no '{key}'"
                raise error(path, message, f"write {{ {kind} = [2, 3], {key} = 0.5 }}")
            settings[key] = self.number(table.get(key, default), (*path, key), f"'{key}' of {quoted(name)}")
        shape = self._shape(table[kind], kind, (*path, kind), name)
        self.reserve(shape, path)
        return self._fill(kind, shape, settings, name)

    def _shape(self, raw: object, kind: str, path: Path, name: str) -> Shape:
        """SHAPE, or for eye and range the shape that N stands for."""
        single = kind in ("eye", "range")
        sizes = raw if isinstance(raw, list) and not single else [raw]
        shape: Shape = ()
        for size in sizes:
            if isinstance(size, int) and not isinstance(size, bool) and size >= 0:
                shape = (*shape, size)
            else:
                shown = described(raw) if size is raw else f"a list with {described(size)} in it"
                wanted = "a whole number, as in 3" if single else "a whole number or a list of them, as in [2, 3]"
                raise self.document.error(path, f"'{kind}' of {quoted(name)} is {shown}", f"it must be {wanted}")
            if len(shape) > MAX_AXES:
                raise self._too_deep(path, name)
        return (*shape, *shape) if kind == "eye" else shape

    def _fill(self, kind: str, shape: Shape, settings: Mapping[str, float], name: str) -> Array:
        if kind == "eye":
            return np.eye(shape[0], dtype=self.dtype)
        if kind == "range":
            return np.arange(shape[0], dtype=self.dtype)
        if kind in ("normal", "uniform"):
            random = np.random.default_rng([self.seed, *name.encode()])
            with np.errstate(all="ignore"):
                if kind == "normal":
                    drawn = random.standard_normal(shape) * settings["scale"] + settings["mean"]
                else:
                    drawn = random.random(shape) * (settings["high"] - settings["low"]) + settings["low"]
            return np.asarray(drawn)
        if kind == "zeros":
            return np.zeros(shape, dtype=self.dtype)
        with np.errstate(all="ignore"):
            return np.full(shape, settings.get("value", 1.0), dtype=self.dtype)

    def _file(self, table: dict[str, Any], path: Path, name: str) -> Array:
        from backprop_tui.scenario.files import read_array  # with zipfile behind it: only who needs it

        file = self.document.text(table, (*path, "file"), f" of {quoted(name)}")
        array = self.document.text(table, (*path, "array"), f" of {quoted(name)}")
        assert file is not None

        def reserve(shape: Shape) -> None:
            self.reserve(shape, path)

        try:
            return read_array(file, array, self.folder, self.limits.max_bytes, reserve)
        except ScenarioError as error:
            if error.file is not None:
                raise
            raise self.document.error((*path, "file"), f"{quoted(name)}: {error.message}", error.hint) from None


def entries(shape: Shape) -> int:
    """How many entries an array has; an axis of length 0 counts as 1, so that its other axes are bounded too."""
    return math.prod(size or 1 for size in shape)


def over_bytes(what: str, taken: int, limits: Limits) -> tuple[str, str]:
    """Message and hint of a figure of bytes beyond the limit."""
    mib = -(-taken // 2**20)
    limit = f"{limits.max_bytes / 2**20:,.6g}"
    return f"{what} would take {figure(mib)} MiB, more than the limit of {limit} MiB", "raise it with --max-bytes"


def _index(i: int, shape: Shape) -> tuple[int, ...]:
    """The index of entry number ``i`` of an array of that shape."""
    at: list[int] = []
    for size in reversed(shape):
        at.append(i % size)
        i //= size
    return tuple(reversed(at))


def _entry(name: str, at: tuple[int, ...]) -> str:
    return f"entry {list(at)} of {quoted(name)}" if at else quoted(name)


def _count(n: int) -> str:
    return f"{n:,} {'entry' if n == 1 else 'entries'}"
