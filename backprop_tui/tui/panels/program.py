"""Draws the Program panel: the source, with what is executing marked in it."""

from __future__ import annotations

from backprop_tui.view.models import ProgramModel
from backprop_tui.view.text import Line, Lines, Span, fit

ROLE = {"forward": "forward", "seed": "upstream", "backward": "upstream", "update": "product", None: "dim"}
ARROW = {"forward": "▸", "seed": "◂", "backward": "◂", "update": "▸", None: " "}


def current_line(model: ProgramModel) -> int:
    """The index of the line that should be in sight."""
    return model.marks[0][0] - 1 if model.marks else 0


def draw(model: ProgramModel, width: int, _height: int) -> Lines:
    """All lines of the source; a line longer than the panel is shifted so that its marked part is seen."""
    marks = {number: (start, end) for number, start, end in model.marks}
    return Lines(len(model.lines), lambda index: _line(model, index + 1, marks.get(index + 1), width))


def _line(model: ProgramModel, number: int, mark: tuple[int, int] | None, width: int) -> Line:
    digits, role, text = len(str(len(model.lines))), ROLE[model.phase], model.lines[number - 1]
    arrow = ARROW[model.phase] if mark else "↳" if number in model.calls else " "
    stop = "●" if number in model.breakpoints else "○" if number in model.off else " "
    gutter: Line = (
        Span(stop, "breakpoint"),
        Span(arrow, role),
        Span(f" {number:>{digits}}  ", "dim" if not mark else ""),
    )
    room = width - digits - 5
    if mark is None:
        return fit((*gutter, Span(text)), width)
    start, end = mark
    shift = 0
    rest = int(end < len(text))  # the ellipsis after the mark
    if end + rest > room:
        shift = min(start, end + rest + 1 - room)
    shown = ("…" if shift else "") + text[shift:]
    offset = shift - (1 if shift else 0)
    start, end = max(start - offset, 0), end - offset
    return fit((*gutter, Span(shown[:start]), Span(shown[start:end], f"{role}.mark"), Span(shown[end:])), width)
