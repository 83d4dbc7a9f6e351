"""Text with roles: what a panel draws, before anything is known of colours or terminals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, overload

from backprop_tui.format import cell_width, cut


class Span(NamedTuple):
    """A piece of a line and its role, such as ``upstream``, ``dim`` or ``local.3`` (the role's colour as a shade, 0 to 4)."""

    text: str
    role: str = ""


Line = tuple[Span, ...]

BLANK: Line = ()


class Lines(Sequence[Line]):
    """Lines that are made only where somebody looks: a panel of a million rows costs what is in sight."""

    def __init__(self, count: int, make: Callable[[int], Line]) -> None:
        self._count = count
        self._make = make

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Line]:
        return (self._make(i) for i in range(self._count))

    @overload
    def __getitem__(self, index: int) -> Line: ...

    @overload
    def __getitem__(self, index: slice) -> list[Line]: ...

    def __getitem__(self, index: int | slice) -> Line | list[Line]:
        if isinstance(index, slice):
            return [self._make(i) for i in range(*index.indices(self._count))]
        if not -self._count <= index < self._count:
            raise IndexError(index)
        return self._make(index % self._count)


def line(*parts: Span | str) -> Line:
    """A line of spans; plain text gets no role."""
    return tuple(part if isinstance(part, Span) else Span(part) for part in parts)


def width_of(parts: Iterable[Span]) -> int:
    """The width of a line, in cells."""
    return cell_width("".join([part.text for part in parts]))


def plain(parts: Iterable[Span]) -> str:
    """A line without its roles."""
    return "".join(part.text for part in parts)


def fit(parts: Line, width: int) -> Line:
    """A line cut to a width, with an ellipsis where something is left out."""
    if width_of(parts) <= width:
        return parts
    out: list[Span] = []
    left = width
    for part in parts:
        w = cell_width(part.text)
        if w < left:
            out.append(part)
            left -= w
        else:
            rest = part.text if w == left and part is parts[-1] else part.text + "……"
            out.append(Span(cut(rest, left), part.role))
            break
    return tuple(out)


def padded(parts: Line, width: int) -> Line:
    """A line filled up with spaces to a width."""
    missing = width - width_of(parts)
    return (*parts, Span(" " * missing)) if missing > 0 else parts


def wrapped(text: str, width: int, role: str = "") -> list[Line]:
    """Text broken between words into lines of a width; a word longer than a line is cut, visibly."""
    lines: list[Line] = []
    for paragraph in text.split("\n"):
        current = ""
        for word in paragraph.split():
            joined = f"{current} {word}" if current else word
            if cell_width(joined) <= width:
                current = joined
                continue
            if current:
                lines.append((Span(current, role),))
            current = cut(word, max(width, 1))
        lines.append((Span(current, role),) if current else BLANK)
    while lines and not lines[-1]:
        lines.pop()
    return lines
