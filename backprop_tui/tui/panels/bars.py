"""Draws the header, the timeline and the footer."""

from __future__ import annotations

from backprop_tui.commands import COMMANDS, key_text, keys_of
from backprop_tui.format import cell_width
from backprop_tui.view.models import FooterModel, HeaderModel, ReplayModel, TimelineModel
from backprop_tui.view.text import Line, Span, fit, padded, width_of

ROLE = {"forward": "forward", "seed": "", "backward": "upstream", "update": "product"}
ARROW = {"forward": "forward ▸", "seed": "seed", "backward": "backward ◂", "update": "update ▸", None: "start"}


def header(model: HeaderModel, width: int) -> Line:
    """Title and name at the left; phase, step and iteration at the right, always in the same place."""
    digits = len(str(model.total))
    phase = ARROW[model.phase] + (f" · {model.stage}" if model.stage else "")
    right: Line = (
        Span("▶ playing  " if model.playing else "", "product"),
        Span(f"{phase:>10}", ROLE[model.phase] if model.phase else "dim"),
        Span(f"  step {model.step:>{digits}} of {model.total}"),
        Span(f"  iteration {model.iteration} of {model.iterations} ", "dim"),
    )
    if width_of(right) > width - 12 or (model.iterations == 1 and width < 100):
        right = right[:-1]
    room = max(width - width_of(right) - 2, 0)
    title: Line = (Span(f" {model.title}", "strong"),)
    named: Line = (*title, Span(f"   {model.name}", "dim"))
    if model.context:  # where one is counts for more than what it is called, which does not change
        context = Span(f"   {model.context}", "dim")
        left = room - width_of((context,))
        named = (*fit(named if width_of(named) <= left else title, max(left, 12)), context)
    return (*padded(fit(named, room), room), Span("  "), *right)


def timeline(model: TimelineModel, width: int) -> list[Line]:
    """The phases of the iteration to scale, how far one is, and their names under them."""
    total = max(model.end - model.start, 1)
    width = max(width - 2, 10)

    def column(step: int) -> int:
        return min(width - 1, (step - model.start) * width // (total + 1))

    bar: list[Span] = [Span(" ")]
    names: list[Span] = [Span(" ")]
    here = column(model.position)
    at = 0
    for phase, first, last in model.spans:
        stop = column(last) + 1 if last < model.end else width
        stop = max(stop, at)
        for place in range(at, stop):
            done = place <= here
            if place == here:
                bar.append(Span("●", "strong"))
            else:
                role = ROLE[phase] or "strong"
                bar.append(Span("━" if done else "─", role if done else "dim"))
        label = phase if len(phase) < stop - at else ""
        names.append(Span(f"{label:<{max(stop - at, 0)}}", ROLE[phase] if first <= model.position else "dim"))
        at = stop
    return [tuple(bar), tuple(names)]


def progress(looked: int, total: int) -> FooterModel:
    """What the last line says of what takes long."""
    cells = 24
    share = min(looked / total, 1.0) if total else 1.0
    done = int(share * cells)
    return FooterModel(f"Looking  {'█' * done}{'░' * (cells - done)}  {looked:,} of {total:,} steps  Esc stops")


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def replay(model: ReplayModel, width: int) -> Line:
    """How far a replay is, with its markers, and the keys that drive it."""
    sign = "▶" if model.playing else "‖"
    times = f" {sign} replay  {_clock(model.seconds)} of {_clock(model.duration)}  {model.speed:g}×  "
    keys = "  space plays  s S one by one  ] [ markers  Esc takes over"
    keys = keys if width >= 100 else "  Esc takes over"
    wrong = f"  {model.differences} differ" if model.differences else ""
    cells = max(width - cell_width(times) - cell_width(keys) - cell_width(wrong) - 1, 6)
    scale = (cells - 1) / model.duration if model.duration else 0.0
    here, marks = round(model.seconds * scale), {round(at * scale) for at in model.markers}
    bar: list[Span] = []
    for cell in range(cells):
        sign = "●" if cell == here else "◆" if cell in marks else "━" if cell < here else "─"
        bar.append(Span(sign, "strong" if cell == here else "local" if cell in marks else "product" if cell < here else "dim"))
    return fit((Span(times, "strong"), *bar, Span(wrong, "warning"), Span(keys, "dim")), width)


def footer(model: FooterModel | ReplayModel, width: int) -> Line:
    """What is said for now; else the commands one needs most, as many as fit."""
    if isinstance(model, ReplayModel):
        return replay(model, width)
    if model.message:
        return fit((Span(" "), Span(model.message, "warning" if model.wrong else "strong")), width)
    parts: list[Span] = [Span(" ")]
    for command in COMMANDS:
        keys = keys_of(command)
        if not command.short or not keys:
            continue
        key = "space" if keys[0] == "space" else key_text(keys[0])
        text = f"{key} {command.short}  "
        if sum(cell_width(p.text) for p in parts) + cell_width(text) > width:
            break
        parts += [Span(key, "key"), Span(f" {command.short}  ", "dim")]
    return tuple(parts)
