"""Session → the models of the watches, the stops and the call stack."""

from __future__ import annotations

from backprop_tui.breakpoints import Breakpoint
from backprop_tui.facts import FACTS
from backprop_tui.format import clean
from backprop_tui.session import Session
from backprop_tui.stops import CHUNK
from backprop_tui.view.models import CallRow, CallsModel, StopRow, StopsModel, WatchesModel, WatchRow


def watches_model(session: Session) -> WatchesModel:
    """The watches, before the step and after it."""
    rows = [
        WatchRow(number, clean(seen.text), seen.before, seen.after, clean(seen.why), seen.changed)
        for number, seen in enumerate(session.watched(), 1)
    ]
    return WatchesModel(tuple(rows))


def stops_model(session: Session) -> StopsModel:
    """The breakpoints with their hits, then the stops on facts, which keep their places when they are switched."""
    stops = session.debugger.stops.breakpoints
    rows = [_stop(session, breakpoint) for breakpoint in stops if breakpoint.kind != "fact"]
    known = {b.target: b for b in stops if b.kind == "fact"}
    for fact in FACTS.values():
        if fact.name in known:
            rows.append(_stop(session, known[fact.name])._replace(number=None, name=fact.name))
        else:
            rows.append(StopRow(None, fact.name, fact.text.format(bound=f"{fact.bound or 0:g}"), False, "", False, fact.name))
    return StopsModel(tuple(rows))


def _stop(session: Session, breakpoint: Breakpoint) -> StopRow:
    debugger = session.debugger
    position, hits = debugger.position, debugger.stops.hits(breakpoint, debugger.run)
    if position - hits.scanned <= CHUNK:  # so many steps are looked at in no time one would notice
        hits.scan(position)
    count = hits.up_to(position)
    text = f"{count} hit{'' if count == 1 else 's'}" if count else ""
    if hits.scanned < position:
        text = f"{text or 'no hit'} up to step {hits.scanned}"
    here = breakpoint.enabled and bool(count) and hits.before(position + 1) == position
    words = breakpoint.words if breakpoint.kind == "fact" else ""
    return StopRow(breakpoint.number, clean(breakpoint.text), words, breakpoint.enabled, text, here, str(breakpoint.number))


def calls_model(session: Session) -> CallsModel:
    """The calls that the step is in, the innermost first."""
    debugger = session.debugger
    place, graph = debugger.place, debugger.graph
    if place is None:
        return CallsModel((), "Nothing is executed yet.")
    if place.phase not in ("forward", "backward"):
        return CallsModel((), f"The {place.phase} step is in no line of the program.")
    lines = graph.source.split("\n")
    rows = []
    for call in debugger.layout.calls(place.step):
        turns = ", ".join(f"{name} = {value} ({turn} of {total})" for name, value, turn, total in call.loops)
        rows.append(CallRow(clean(call.name), call.line, clean(turns), clean(lines[call.line - 1].strip())))
    return CallsModel(tuple(rows), "")
