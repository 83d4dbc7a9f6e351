"""The Chain rule panel's model: the product along the way, its factors numbered, the current one lit."""

from __future__ import annotations

from backprop_tui.debugger import Debugger
from backprop_tui.format import circled, shape_text
from backprop_tui.recording import Recording
from backprop_tui.steps import BackwardStep, ForwardStep, SeedStep, UpdateStep
from backprop_tui.study.chain_rule import Factor, Way, way_to
from backprop_tui.view.models import ChainModel
from backprop_tui.view.text import Line, Span
from backprop_tui.wording import Wording

#: A piece of the product: text, role, shape under it.
Piece = tuple[str, str, str]


def chain_model(debugger: Debugger, wording: Wording) -> ChainModel:
    """The model at the debugger's position."""
    step = debugger.current
    recording = debugger.recording
    if isinstance(step, BackwardStep):
        way = way_to(recording, step)
        return ChainModel(
            f"Chain rule · the way to {wording.name(step.operand_index)}",
            wording.gradient(step.operand_index) if way.ways == 1 else f"part of {wording.gradient(step.operand_index)}",
            tuple(_pieces(way, wording)),
            _ways(way, wording, step),
            tuple(_legend(way, wording)),
        )
    if isinstance(step, ForwardStep):
        return _ahead(recording, step, wording)
    loss = wording.loss
    if isinstance(step, SeedStep):
        text = f"Every way begins here: ∂{loss}/∂{loss} = 1. Each backward step multiplies one factor in."
    elif isinstance(step, UpdateStep):
        text = f"The gradients are complete; {wording.gradient(step.node_index)} moves {wording.name(step.node_index)}."
    else:
        text = "The chain rule is written here in the backward pass, one factor a step."
    return ChainModel("Chain rule", "", (), "", ((Span(text, "dim"),),))


def _ahead(recording: Recording, step: ForwardStep, wording: Wording) -> ChainModel:
    """In the forward pass: the local derivatives that this op will be asked for."""
    plan, graph = recording.plan, recording.graph
    lines: list[Line] = []
    first = plan.step_of(step.iteration, "backward")
    for operand in dict.fromkeys(step.operand_indices):
        for index in plan.writes_to(operand)[:64]:
            k = int(index)
            if plan.sources[k] == step.node_index:
                # the rule is known before the step is executed; only its numbers are not
                ahead = BackwardStep(recording, plan.place(first + k))
                name = wording.derivative(wording.enclosed(step.node_index), operand)
                lines.append(
                    (
                        Span(name, "local"),
                        Span("  will be  "),
                        Span(wording.local(ahead), "local"),
                        Span(f"   step {first + k}", "dim"),
                    )
                )
    if not lines:
        name = wording.name(step.node_index)
        why = "no parameter stands behind it" if not graph.needs[step.node_index] else f"{wording.loss} does not need it"
        lines = [(Span(f"No local derivative of {name} will be needed: {why}.", "dim"),)]
    return ChainModel("Chain rule · the local derivatives to come", "", (), "", tuple(lines))


def _legend(way: Way, wording: Wording) -> list[Line]:
    """Why a factor is 1: a learner looks for it and finds nothing multiplied."""
    factor = way.factors[-1]
    step = factor.step
    if step.op == "identity":
        return [
            (
                Span(
                    f"{circled(factor.number)} is 1, since {wording.name(step.node_index)} = {wording.name(step.operand_index)}",
                    "dim",
                ),
            )
        ]
    return []


def _pieces(way: Way, wording: Wording) -> list[Piece]:
    """The product in the order in which it is multiplied: later factors join on their own side of what is there."""
    pieces: list[Piece] = []
    kind = ""
    if way.hidden:
        pieces = [(f"… {way.hidden:,} factor{'s' if way.hidden > 1 else ''} …", "upstream", "")]
        kind = "…"
    for factor in way.factors:
        current = factor.current
        if current and pieces:
            pieces = [("[ ", "upstream", ""), *pieces, (" ]", "upstream", "")]
            kind = ""
        role = "lit" if current else "upstream"
        here: Piece = (f"{_text(factor, wording)} {circled(factor.number)}", role, _shape(factor))
        if not pieces:
            pieces, kind = [here], factor.how
            continue
        sign = {"elementwise": "⊙", "left": "@", "right": "@", "broadcast": "⊙", "dense": "·", "rearrange": "↦"}[factor.how]
        if kind and kind != "…" and _group(kind) != _group(factor.how):
            pieces = [("(", "upstream", ""), *pieces, (")", "upstream", "")]
        joint: Piece = (f" {sign} ", "", "")
        pieces = [here, joint, *pieces] if factor.how == "left" else [*pieces, joint, here]
        if factor.summed_axes:
            axes = ", ".join(map(str, factor.summed_axes))
            pieces = [
                (f"Σ axis {axes} (", "" if current else "upstream", ""),
                *pieces,
                (")", "" if current else "upstream", ""),
            ]
        kind = "" if factor.summed_axes else factor.how
    return pieces


def _group(how: str) -> str:
    return {"left": "@", "right": "@", "elementwise": "⊙", "broadcast": "⊙"}.get(how, how)


def _text(factor: Factor, wording: Wording) -> str:
    text = wording.local(factor.step)
    compound = any(sign in text for sign in (" − ", " + ", " @ ", " / ")) and not (text.startswith("(") and text.endswith(")"))
    return f"({text})" if compound and not _closed(text) else text


def _closed(text: str) -> bool:
    """Whether signs of a sum stand only inside parentheses, as in ŷ (1 − ŷ)."""
    depth = 0
    for i, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if depth == 0 and character in "−+@/" and i > 0 and text[i - 1] == " ":
            return False
    return True


def _shape(factor: Factor) -> str:
    return shape_text(factor.shape) if factor.how != "rearrange" else ""


def _ways(way: Way, wording: Wording, step: BackwardStep) -> str:
    if way.ways is None:
        return f"very many ways from {wording.loss}; written out is one of them"
    if way.ways == 1:
        return f"1 way from {wording.loss}"
    number, count = step.contribution_number
    through = f", contribution {number} of {count}" if count > 1 else ""
    return f"{way.ways:,} ways from {wording.loss}; written out is one of them{through}"
