"""Draws the Step panel: the multiplication itself, as wide as it may be, and what it does to the gradient."""

from __future__ import annotations

from backprop_tui.format import DISPLAY
from backprop_tui.tui.panels.arrays import (
    Budget,
    Drawn,
    as_rows,
    beside,
    draw_block,
    entry_lines,
    inline,
    width_beside,
)
from backprop_tui.view.models import Block, StepModel
from backprop_tui.view.text import BLANK, Line, Span, fit, line, padded, width_of, wrapped

#: A panel of so many lines has a blank one under the equation.
ROOMY = 13
#: From generous to tight; the last leaves out what a summary can do without, before the gradient is out of sight.
BUDGETS = (*(Budget(*b) for b in ((24, 16), (12, 8), (8, 5), (5, 4), (3, 3), (2, 2), (1, 2))), Budget(1, 2, brief=True))


def draw(model: StepModel, width: int, height: int) -> list[Line]:
    """The panel's lines. Where everything does not fit, arrays are summarised before words are left out."""
    if not model.blocks:
        lines = [part for sentence in (*model.empty, *model.sentences) for part in (*wrapped(sentence, width), BLANK)]
        return [*([fit(model.equation, width), BLANK] if model.equation else []), *lines]
    best: list[Line] | None = None
    for spacious in (True, False):
        for budget in _budgets(model):
            for arrange in (_all_beside, _forward_above, _squeezed, _stacked):
                body = arrange(model, width, budget)
                if body is None:
                    continue
                lines = _assemble(model, body, width, budget, spacious, height >= ROOMY)
                if len(lines) <= height:
                    return lines
                if best is None or len(lines) < len(best):
                    best = lines
    return best or _assemble(model, _stacked(model, width, BUDGETS[-1]) or [], width, BUDGETS[-1], False, False)


def _budgets(model: StepModel) -> list[Budget]:
    """The budgets that differ for these arrays: one for each choice of which of them are drawn whole, and which on a line."""
    arrays = [block.array for block in (*model.blocks, *model.totals) if block.array is not None]
    found: dict[tuple[bool, ...], Budget] = {}
    for budget in reversed(BUDGETS):
        line = budget._replace(rows=1)
        found[(budget.brief, *(one.whole(array) for array in arrays for one in (budget, line)))] = budget
    return list(reversed(found.values()))


def _assemble(model: StepModel, body: list[Line], width: int, budget: Budget, spacious: bool, roomy: bool) -> list[Line]:
    gap: list[Line] = [BLANK] if spacious else []
    top: list[Line] = [BLANK] if roomy else []  # by the panel's height alone, so that the arrays stay where they are
    lines = [_headed(model.equation, model.because, width), *top, *body, *gap]
    lines += _totals(model, width, budget)
    if model.entry:
        lines += [*gap, *wrapped(model.entry, width)]
    if model.warning:
        lines += wrapped(f"! {model.warning}", width, "warning")
    sentences = [part for sentence in model.sentences for part in wrapped(sentence, width, "dim")]
    return [*lines, *gap, *sentences]


def _headed(equation: Line, because: str, width: int) -> Line:
    """The equation, and at the right why it is so, if there is room."""
    equation = fit(equation, width)
    room = width - width_of(equation) - 3
    if because and len(because) <= room:
        return (*padded(equation, width - len(because)), Span(because, "dim"))
    return equation


def _summarised(model: StepModel, budget: Budget) -> bool:
    """Whether an array is too large for a budget: then the words beside its corner are what is wide."""
    return any(block.array is not None and not budget.whole(block.array) for block in model.blocks)


def _drawn(blocks: tuple[Block, ...], budget: Budget, widest: int) -> list[Drawn]:
    return [draw_block(block, budget, widest=widest) for block in blocks]


def _all_beside(model: StepModel, width: int, budget: Budget) -> list[Line] | None:
    """The forward value and the multiplication side by side."""
    count = len(model.blocks) + (model.forward is not None)
    widest = max((width - 4 * count) // count, 2 * DISPLAY.cell) if _summarised(model, budget) else width
    drawn = _drawn(model.blocks, budget, widest)
    if model.forward is None:
        signs = model.signs
    else:
        signs = ("", *model.signs)
        drawn = [draw_block(model.forward, budget, widest=max(2 * DISPLAY.cell, min(widest, width // 4))), *drawn]
    return beside(drawn, signs) if width_beside(drawn, signs) <= width else None


def _forward_above(model: StepModel, width: int, budget: Budget) -> list[Line] | None:
    """The forward value on a line of its own above the multiplication."""
    if model.forward is None:
        return None
    count = max(len(model.blocks), 1)
    widest = max((width - 4 * count) // count, 2 * DISPLAY.cell) if _summarised(model, budget) else width
    drawn = _drawn(model.blocks, budget, widest)
    if width_beside(drawn, model.signs) > width:
        return None
    return [_one_line(model.forward, width), *beside(drawn, model.signs)]


def _squeezed(model: StepModel, width: int, budget: Budget) -> list[Line] | None:
    """The multiplication side by side with its words cut, where whole words would take too much room and numbers do not."""
    gaps = sum(width_of((Span(f" {sign} " if sign else "  "),)) for sign in model.signs[: len(model.blocks) - 1])
    widest = (width - gaps) // len(model.blocks)
    for block in model.blocks:
        if block.array is not None:
            numbers = as_rows(block.array).shape[1] * DISPLAY.cell
            if not budget.whole(block.array) or numbers > widest:
                return None
    drawn = _drawn(model.blocks, budget, widest)
    above = [] if model.forward is None else [_one_line(model.forward, width)]
    return [*above, *beside(drawn, model.signs)]


def _one_line(block: Block, width: int) -> Line:
    head = line(Span(f"{block.title}  ", block.role), Span(f"{block.name}  ", block.role))
    if block.array is None:
        return (*head, Span("·", "dim"))
    return fit((*head, *inline(block.array, block.role.partition(".")[0], max(width - width_of(head), DISPLAY.cell))), width)


def _stacked(model: StepModel, width: int, budget: Budget) -> list[Line] | None:
    """One array above the other."""
    lines: list[Line] = [] if model.forward is None else [_one_line(model.forward, width)]
    for i, block in enumerate(model.blocks):
        if i and i - 1 < len(model.signs) and model.signs[i - 1]:
            lines.append((Span(model.signs[i - 1]),))
        lines += [fit(row, width) for row in draw_block(block, budget, widest=width).lines]
    return lines


def _totals(model: StepModel, width: int, budget: Budget) -> list[Line]:
    """The gradient before, what is added, and after: on one line if they fit, else as blocks."""
    if not model.totals:
        return []
    before, added, after = model.totals
    head: Line = (Span("gradient of "), Span(model.operand, "strong"), Span(":  "))
    summed = added.title != "product"
    first: Line = (Span(before.note, "dim"),) if before.array is None else (Span("before", "upstream"),)
    words: Line = (*head, *first, Span("  +  "), Span(added.title, "product"))
    if after.array is None:
        return [_headed((*words, Span(f"   {after.note}", "dim")), model.contribution, width)]
    whole = all(b.array is None or budget._replace(rows=1).whole(b.array) for b in model.totals)
    if whole:
        start = first if before.array is None else entry_lines(before.array, "upstream")[0]
        shown = before.array is not None and added.array is not None
        middle = entry_lines(added.array, "product")[0] if shown and added.array is not None else (Span(added.title, "product"),)
        flat: Line = (*head, *start, Span(" + "), *middle, Span(" = "), *entry_lines(after.array, "upstream")[0])
        if width_of(flat) <= width:
            return [_headed(flat, model.contribution, width)]
    blocks = [b for b in (before, added if summed or before.array is not None else None, after) if b and b.array is not None]
    signs: tuple[str, ...] = ("+", "=") if len(blocks) == 3 else ("=",)
    if before.array is None and not summed:
        return [_headed(words, model.contribution, width)]
    if before.array is None:
        blocks, signs = blocks[:1], ()
    drawn = _drawn(tuple(blocks), budget, max(width // 3, 2 * DISPLAY.cell))
    if all(b.array is None or budget.whole(b.array) for b in blocks) and width_beside(drawn, signs) <= width:
        return [_headed(words, model.contribution, width), *beside(drawn, signs)]
    return [_headed(words, model.contribution, width), *[_one_line(block, width) for block in blocks]]
