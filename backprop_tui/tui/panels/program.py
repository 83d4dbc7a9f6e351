"""Draws the Program panel: the source, with what is executing marked in it."""

from __future__ import annotations

from backprop_tui.view.models import ProgramModel
from backprop_tui.view.text import Line, Span, fit

ROLE = {"forward": "forward", "seed": "upstream", "backward": "upstream", "update": "product", None: "dim"}
ARROW = {"forward": "▸", "seed": "◂", "backward": "◂", "update": "▸", None: " "}


def current_line(model: ProgramModel) -> int:
    """The index of the line that should be in sight."""
    return model.marks[0][0] - 1 if model.marks else 0


def draw(model: ProgramModel, width: int, _height: int) -> list[Line]:
    """All lines of the source; a line longer than the panel is shifted so that its marked part is seen."""
    digits = len(str(len(model.lines)))
    marks = {number: (start, end) for number, start, end in model.marks}
    role = ROLE[model.phase]
    lines: list[Line] = []
    for number, text in enumerate(model.lines, 1):
        mark = marks.get(number)
        arrow = ARROW[model.phase] if mark else "↳" if number in model.calls else " "
        stop = "●" if number in model.breakpoints else " "
        gutter: Line = (
            Span(stop, "breakpoint"),
            Span(arrow, role),
            Span(f" {number:>{digits}}  ", "dim" if not mark else ""),
        )
        room = width - digits - 5
        if mark is None:
            lines.append(fit((*gutter, Span(text)), width))
            continue
        start, end = mark
        shift = 0
        rest = int(end < len(text))  # the ellipsis after the mark
        if end + rest > room:
            shift = min(start, end + rest + 1 - room)
        shown = ("…" if shift else "") + text[shift:]
        offset = shift - (1 if shift else 0)
        start, end = max(start - offset, 0), end - offset
        lines.append(fit((*gutter, Span(shown[:start]), Span(shown[start:end], f"{role}.mark"), Span(shown[end:])), width))
    return lines
