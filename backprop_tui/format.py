"""Numbers, arrays and foreign text, as text of a given width.

Widths are in cells of the terminal: a wide (East Asian) character takes two, a combining mark none. Numbers use the
real minus sign U+2212, everywhere but in `exact`, which is for files.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, SupportsFloat

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

MINUS = "−"
ELLIPSIS = "…"
#: What stands for a character that must not be drawn and has no picture of its own.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
# Marks and fillers that draw nothing, or that change how wide the character before them is.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")
_SUPERSCRIPTS = str.maketrans("0123456789-−+", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻⁺")
_SUBSCRIPTS = str.maketrans("0123456789-−+", "₀₁₂₃₄₅₆₇₈₉₋₋₊")


# Text.


def clean(text: str, keep_newlines: bool = False) -> str:
    """``text`` without anything that a terminal would obey: fit to be drawn, whatever file it came from.

    Control characters become their pictures (U+2400 …), other invisible or direction-turning characters U+FFFD, one
    cell each; a tab becomes a space. ``keep_newlines`` leaves line ends, all as ``\\n``. Everything else stays.
    """
    if text.isascii() and text.isprintable():
        return text
    if keep_newlines:
        text = text.replace("\r\n", "\n")
    return "".join(_safe(char, keep_newlines) for char in text)


def _safe(char: str, keep_newlines: bool) -> str:
    code = ord(char)
    if 0x20 <= code < 0x7F:
        return char
    if code < 0x20:
        if char == "\t":
            return " "
        return char if char == "\n" and keep_newlines else chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if unicodedata.category(char) in _UNSAFE_CATEGORIES or char in _INVISIBLE:
        return REPLACEMENT
    if 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF:  # variation selectors
        return REPLACEMENT
    return char


@lru_cache(maxsize=1024)
def _char_width(char: str) -> int:
    if char.isascii():
        return 1
    if unicodedata.category(char) in ("Mn", "Mc", "Me", "Cf") or "\u1160" <= char <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cell_width(text: str) -> int:
    """How many cells ``text`` takes on one line; ŷ as y and U+0302 takes one. Meant for text that is `clean`."""
    return len(text) if text.isascii() else _cell_width(text)


@lru_cache(maxsize=8192)  # a screen is drawn from the same names and signs again and again
def _cell_width(text: str) -> int:
    return sum(map(_char_width, text))


def cut(text: str, width: int) -> str:
    """``text`` if it fits into ``width`` cells, else its beginning with ``…`` as the last cell.

    It may come out one cell narrower than ``width``, where a wide character would have been split.
    """
    if text.isascii():
        if len(text) <= width:
            return text
        return text[: width - 1] + ELLIPSIS if width > 0 else ""
    used = kept = 0
    for i, char in enumerate(text):
        used += _char_width(char)
        if used > width:
            return text[:kept] + ELLIPSIS if width > 0 else ""
        if used < width:
            kept = i + 1
    return text


def pad(text: str, width: int, align: Literal["left", "right", "center"] = "left") -> str:
    """``text`` with spaces to ``width`` cells; text that is wider is returned as it stands (`cut` it first)."""
    missing = width - cell_width(text)
    if missing <= 0:
        return text
    before = {"left": 0, "right": missing, "center": missing // 2}[align]
    return " " * before + text + " " * (missing - before)


# Numbers.


@dataclass(frozen=True)
class Style:
    """How the numbers of one or more arrays are written, so that they line up on the decimal point.

    ``decimals`` digits follow the point; every number takes ``width`` cells (at least 8). In the exponent style,
    ``exponent`` is the number of cells of the longest exponent.
    """

    kind: Literal["integer", "fixed", "exponent"] = "fixed"
    decimals: int = 4
    width: int = 9
    exponent: int = 0


@dataclass
class Display:
    """How many digits after the point a person wants to see of the entries of arrays; everywhere on the screen the same."""

    decimals: int = 4

    @property
    def cell(self) -> int:
        """The width of an entry in a panel, in cells."""
        return self.decimals + 4


DISPLAY = Display()


def style_for(*arrays: npt.ArrayLike, width: int | None = None) -> Style:
    """The one style in which all entries of ``arrays`` are written; ``width`` cells each, at least 8.

    - ``integer`` where every entry is an integer below 1e6;
    - ``fixed`` with 4 decimals (or as many as `DISPLAY` says), fewer where the integer part needs the room, one more where the
      largest is below 0.01;
    - ``exponent`` where the largest magnitude is 1e6 or more, or below 1e-3.

    What is not finite has no say.
    """
    width = max(DISPLAY.cell + 1 if width is None else width, 8)
    largest, smallest, integers, some = 0.0, math.inf, True, False
    for array in arrays:
        values = np.abs(np.asarray(array, dtype=np.float64))
        finite = np.isfinite(values)
        if not finite.all():
            values = values[finite]
        if not values.size:
            continue
        some = True
        largest = max(largest, float(values.max()))
        integers = integers and bool((values == np.floor(values)).all())
        smallest = min(smallest, float(values.min(initial=math.inf, where=values > 0)))
    if not some:
        return Style("fixed", DISPLAY.decimals, width)
    if largest >= 1e6 or 0 < largest < 1e-3:
        own, longest = (len(_exponential(value, 2).partition("e")[2]) for value in (largest, smallest))
        decimals = min(DISPLAY.decimals - 2, width - 4 - own)  # the sign, a digit, the point and e take the four
        return Style("exponent", decimals, width, min(max(own, longest), width - 4 - decimals))
    if integers:
        return Style("integer", 0, width)
    decimals = DISPLAY.decimals + (largest < 0.01)
    while decimals and len(f"{largest:.{decimals}f}") >= width:  # one cell is for the sign
        decimals -= 1
    return Style("fixed", decimals, width)


def number(x: SupportsFloat, style: Style) -> str:
    """``x`` in exactly ``style.width`` cells, to the right; nan, inf and −inf are spelled so.

    A number that the style cannot hold is written with fewer decimals, then with an exponent; so is a number that is
    not zero and would be printed as zero.
    """
    value = float(x)
    if not math.isfinite(value):
        text = _named(value)
    elif style.kind == "exponent":
        text = _aligned_exponential(value, style)
    else:
        text = _fixed(value, style)
    return text.rjust(style.width)


def _named(value: float) -> str:
    return "nan" if math.isnan(value) else "inf" if value > 0 else MINUS + "inf"


def _exponential(value: float, decimals: int) -> str:
    mantissa, _, exponent = f"{value:.{decimals}e}".partition("e")
    return f"{mantissa}e{int(exponent)}".replace("-", MINUS)


def _short_exponential(value: float, decimals: int, room: int) -> str:
    for places in range(decimals, 0, -1):
        text = _exponential(value, places)
        if len(text) <= room:
            return text
    return _exponential(value, 0)


def _aligned_exponential(value: float, style: Style) -> str:
    if value == 0:
        after = style.decimals + 1 if style.decimals else 0
        return "0" + " " * (after + 1 + style.exponent)
    text = _exponential(value, style.decimals)
    mantissa, _, exponent = text.partition("e")
    aligned = f"{mantissa}e{exponent.ljust(style.exponent)}"
    return aligned if len(aligned) <= style.width else _short_exponential(value, style.decimals, style.width)


def _fixed(value: float, style: Style) -> str:
    if value == 0:
        return f"{0:.{style.decimals}f}"
    if abs(value) < 1e15:
        decimals = 4 if style.kind == "integer" and not value.is_integer() else style.decimals
        for places in range(decimals, -1, -1):
            text = f"{value:.{places}f}"
            if len(text) <= style.width:
                if float(text) == 0:
                    break
                return text.replace("-", MINUS)
    return _short_exponential(value, 1 if abs(value) < 1 else 2, style.width)


def plain(x: SupportsFloat, digits: int = 6) -> str:
    """``x`` alone in a sentence, to ``digits`` significant digits: ``0.298371``, ``1``, ``−0.5``, ``4.38568e−4``."""
    value = float(x)
    if not math.isfinite(value):
        return _named(value)
    if value.is_integer() and abs(value) < 1e9:
        return str(int(value)).replace("-", MINUS)
    text = f"{value:.{digits}g}"
    if "e" not in text and abs(value) >= 1e-3:
        return text.replace("-", MINUS)
    mantissa, _, exponent = f"{value:.{max(0, digits - 1)}e}".partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}".replace("-", MINUS)


def exact(x: Any) -> str:
    """``x`` for a file: ASCII, and ``float`` (or ``int``, of an integer) of it gives the same number back."""
    if isinstance(x, (int, np.integer)) and not isinstance(x, bool):
        return repr(int(x))
    return repr(float(x))


# Arrays.


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as text: ``scalar``, ``3``, ``2 × 3``."""
    return " × ".join(map(str, shape)) if shape else "scalar"


@dataclass(frozen=True)
class ArraySummary:
    """An array in a few figures. Minimum, maximum, mean and norm are of the finite entries; nan where there is none."""

    shape: tuple[int, ...]
    minimum: float
    maximum: float
    mean: float
    norm: float
    nans: int
    infs: int
    zeros: int

    def lines(self) -> tuple[str, ...]:
        """At most four lines: the shape; minimum and maximum; mean and norm; how many are nan, inf or zero, if any."""
        lines = [shape_text(self.shape)]
        if not math.isnan(self.minimum):
            lines.append(f"min {plain(self.minimum, 3)}  max {plain(self.maximum, 3)}")
            lines.append(f"mean {plain(self.mean, 3)}  norm {plain(self.norm, 3)}")
        elif self.nans or self.infs:
            lines.append("no finite entry")
        else:
            lines.append("no entries")
        counts = ((self.nans, "nan"), (self.infs, "inf"), (self.zeros, "zero" if self.zeros == 1 else "zeros"))
        odd = [f"{count} {word}" for count, word in counts if count]
        return (*lines, "  ".join(odd)) if odd else tuple(lines)


def summary(array: npt.ArrayLike) -> ArraySummary:
    """The figures of ``array``, of any shape and with any entries; it warns of nothing and overflows in nothing."""
    values = np.asarray(array, dtype=np.float64)
    shape = values.shape
    nans = int(np.isnan(values).sum())
    finite = np.isfinite(values)
    infs = values.size - int(finite.sum()) - nans
    zeros = int((values == 0).sum())
    if nans or infs:
        values = values[finite]
    if not values.size:
        return ArraySummary(shape, math.nan, math.nan, math.nan, math.nan, nans, infs, zeros)
    low, high = float(values.min()), float(values.max())
    # Scaled by a power of two, so that neither the squares nor the sum can overflow or vanish, and nothing is rounded.
    scale = int(math.frexp(max(abs(low), abs(high)))[1])
    with np.errstate(all="ignore"):
        scaled = np.ldexp(values, -scale).ravel()
        mean, norm = float(scaled.mean()), math.sqrt(float(scaled @ scaled))
    return ArraySummary(shape, low, high, min(max(_scaled(mean, scale), low), high), _scaled(norm, scale), nans, infs, zeros)


#: Of an array with more entries, a line of text gives the summary.
MOST_IN_TEXT = 64


def array_text(value: npt.ArrayLike) -> str:
    """An array on one line; a large one as its shape, extremes, mean and norm."""
    array = np.asarray(value)
    return ", ".join(summary(array).lines()) if array.size > MOST_IN_TEXT else _nested(array)


def _nested(array: npt.NDArray[Any]) -> str:
    if array.ndim == 0:
        return plain(array[()])
    return "[" + ", ".join(_nested(row) for row in array) + "]"


def _scaled(value: float, power: int) -> float:
    try:
        return math.ldexp(value, power)
    except OverflowError:
        return math.copysign(math.inf, value)


def shade(x: SupportsFloat, largest: SupportsFloat) -> int:
    """The level of magnitude of ``x``, 0 (zero) to 4 (as large as ``largest``, or not finite), in equal quarters."""
    value, most = abs(float(x)), abs(float(largest))
    if value == 0:
        return 0
    if not math.isfinite(value) or value >= most:
        return 4
    if not math.isfinite(most):
        return 1
    return max(1, math.ceil(4 * (value / most)))


# Digits.


def superscript(n: int | str) -> str:
    """``n`` in superscript digits: −12 is ⁻¹²."""
    return str(n).translate(_SUPERSCRIPTS)


def subscript(n: int | str) -> str:
    """``n`` in subscript digits: 12 is ₁₂."""
    return str(n).translate(_SUBSCRIPTS)


def circled(n: int) -> str:
    """``n`` in a circle, ① to ⑳; beyond, where the characters would be two cells wide, in brackets: (21)."""
    return chr(0x245F + n) if 1 <= n <= 20 else f"({n})"
