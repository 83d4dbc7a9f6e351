"""What the commands that take words do to a session, and what they say. Each raises CommandError where it cannot be done."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from backprop_tui import whatif
from backprop_tui.breakpoints import Breakpoint, read
from backprop_tui.conditions import condition, watched
from backprop_tui.errors import CommandError, ScenarioError, did_you_mean
from backprop_tui.export.text import step_lines
from backprop_tui.facts import FACTS
from backprop_tui.format import array_text, clean
from backprop_tui.session import Session

#: What takes long is done in parts: it yields how many steps it has looked at, so that one may stop it in between.
Parts = Generator[int, None, str]


def _number(text: str, what: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise CommandError(f"'{text}' is no {what}: write its number" if text else f"which {what}? write its number")
    return int(text)


# Going somewhere


def go_to(session: Session, text: str) -> str:
    """To a step's number, a name or a phase."""
    if not text.strip():
        raise CommandError("go to what? a step number, a name or a phase")
    session.debugger.go_to(session.debugger.find(text))
    return session.where()


def run_to(session: Session, text: str) -> str:
    """Forward to a line of the program; to ``step N`` in either direction."""
    if text.strip().startswith("step "):
        return go_to(session, text.strip().removeprefix("step "))
    line = _number(text.removeprefix("line").strip(), "line of the program")
    if not session.debugger.run_to_line(line):
        raise CommandError(f"no step after this one is on line {line}")
    return session.where()


def search(session: Session, text: str) -> Parts:
    """To the next step that has a text in it, in its names or in its notes."""
    if text.strip():
        session.sought = text.strip()
    return _match(session, forward=True)


def next_match(session: Session, _text: str = "") -> Parts:
    """To the next match of what was searched for."""
    return _match(session, forward=True)


def previous_match(session: Session, _text: str = "") -> Parts:
    """To the match before."""
    return _match(session, forward=False)


def _match(session: Session, *, forward: bool) -> Parts:
    if not session.sought:
        raise CommandError("search for what? write it after search, or after /")
    found = yield from session.search(session.sought, forward=forward)
    if found is None:
        raise CommandError(f"no step, name or note has '{session.sought}' in it")
    session.debugger.go_to(found)
    return session.where()


def bookmark(session: Session, text: str) -> str:
    """Marks the position."""
    return f"bookmark {session.bookmark(text.strip())} at step {session.debugger.position}"


def jump(session: Session, text: str) -> str:
    """To a bookmark."""
    session.debugger.go_to(session.bookmarked(text.strip()))
    return session.where()


def bookmarks(session: Session, _text: str = "") -> str:
    """All bookmarks."""
    return "\n".join(f"{name}  step {place}" for name, place in session.bookmarks.items()) or "no bookmarks"


# Stops


def break_(session: Session, text: str) -> str:
    """A breakpoint at a place; without one, at the line of the current step, or none there if there was one."""
    debugger, stops = session.debugger, session.debugger.stops
    if not text.strip():
        step = debugger.current
        line = getattr(step, "line", None)
        if line is None:
            raise CommandError("no line is being executed here; write a place: break 3, break W1, break op relu")
        known = [b for b in stops.breakpoints if b.kind == "line" and b.target == str(line) and b.when is None]
        if known:
            stops.remove(known[0].number)
            return f"no breakpoint on line {line} any more"
        text = str(line)
    added = read(text, debugger.graph, debugger.total, stops.next_number())
    same = [b for b in stops.breakpoints if b.question == added.question]
    if same:
        raise CommandError(f"breakpoint {same[0].number} is that one already")
    stops.add(added)
    return f"breakpoint {added.number}: {added.words}"


def condition_(session: Session, text: str) -> str:
    """A breakpoint's condition; without an expression, it has none any more."""
    number, _, rest = text.strip().partition(" ")
    stops = session.debugger.stops
    before = stops.numbered(_number(number, "breakpoint"))
    if before.kind == "fact":
        raise CommandError(f"{before.target} takes no condition; it is one")
    when = condition(rest, session.debugger.graph) if rest.strip() else None
    return f"breakpoint {number}: {stops.change(before.number, when=when).words}"


def delete(session: Session, text: str) -> str:
    """Takes a breakpoint away, or all."""
    stops = session.debugger.stops
    if text.strip() == "all":
        count = len(stops.breakpoints)
        stops.breakpoints.clear()
        return f"{count} breakpoint{'' if count == 1 else 's'} deleted"
    number = _number(text.strip(), "breakpoint")
    words = stops.numbered(number).words
    stops.remove(number)
    return f"deleted {number}: {words}"


def toggle(session: Session, text: str) -> str:
    """Switches a breakpoint off or on; by the name of a fact, that stop."""
    stops, word = session.debugger.stops, text.strip()
    if word.partition(" ")[0] in FACTS:
        known = [b for b in stops.breakpoints if b.kind == "fact" and b.target == word.partition(" ")[0]]
        if not known or " " in word:
            read(word, session.debugger.graph, session.debugger.total, stops.next_number())  # wrong, it changes nothing
            for old in known:
                stops.remove(old.number)
            return break_(session, word)
        number = known[0].number
    elif word and not word.isdecimal():
        hint = did_you_mean(word, FACTS)
        raise CommandError(f"no breakpoint and no fact '{word}'" + (f"; {hint}" if hint else ""))
    else:
        number = _number(word, "breakpoint")
    after = stops.change(number, enabled=not stops.numbered(number).enabled)
    return f"breakpoint {number} is {'on' if after.enabled else 'off'}: {after.words}"


def breakpoint_line(session: Session, breakpoint: Breakpoint) -> str:
    """A breakpoint with whether it is on, and how often it was hit up to the position."""
    hits = session.debugger.stops.hits(breakpoint, session.debugger.run)
    hits.scan(session.debugger.position)
    count = hits.up_to(session.debugger.position)
    state = "" if breakpoint.enabled else "  (off)"
    return f"{breakpoint.number}  {breakpoint.words}  {count} hit{'' if count == 1 else 's'} so far{state}"


def breakpoints(session: Session, _text: str = "") -> str:
    """All breakpoints."""
    found = session.debugger.stops.breakpoints
    return "\n".join(breakpoint_line(session, b) for b in found) or "no breakpoints"


def facts(_session: Session, _text: str = "") -> str:
    """The stops on facts that can be switched on."""
    return "\n".join(f"{fact.name:<15} {fact.text.format(bound=f'{fact.bound or 0:g}')}" for fact in FACTS.values())


# Comparing


def compare(session: Session, text: str) -> Parts:
    """Steps in lockstep with another recording, another scenario or a trace; without a name, with the recording this one was made
    from, or alone again.
    """
    from backprop_tui.beside import Beside  # what a comparison needs, the first frame need not wait for
    from backprop_tui.study.compare import comparing
    from backprop_tui.study.sides import Run, Side, opened

    debugger, word = session.debugger, text.strip()
    if not word and session.beside is not None:
        session.compare_with(None)
        return "compared no more"
    other: Side
    if not word or word.isdecimal():
        count = len(debugger.recordings)
        if count == 1:
            raise CommandError("compare with what? another recording, a scenario or a trace; this run is the only recording")
        before = [number for number, run in enumerate(debugger.recordings, 1) if run is debugger.run.parent]
        number = _number(word, "recording") if word else before[0] if before else debugger.run_number % count + 1
        if not 1 <= number <= count or number == debugger.run_number:
            raise CommandError(f"no other recording {number}: there are 1 to {count}, and this is {debugger.run_number}")
        other = Run(debugger.recordings[number - 1], f"recording {number}")
    else:
        try:
            other = opened(word, session.scenario.limits)
        except ScenarioError as error:
            raise CommandError(str(error)) from None
    found = yield from comparing(Run(debugger.run, "this run"), other)
    beside = Beside(found, debugger.run, clean(other.name))
    session.compare_with(beside)
    return beside.words(debugger.position)


def next_difference(session: Session, _text: str = "") -> str:
    """To the next step that differs."""
    return _difference(session, forward=True)


def previous_difference(session: Session, _text: str = "") -> str:
    """To the step before that differs."""
    return _difference(session, forward=False)


def _difference(session: Session, *, forward: bool) -> str:
    if session.beside is None:
        raise CommandError("nothing is compared: compare takes a recording, a scenario or a trace")
    found = session.beside.next(session.debugger.position, forward=forward)
    if found is None:
        raise CommandError(f"no step {'after' if forward else 'before'} this one differs")
    session.debugger.go_to(found)
    return f"{session.where()}; {session.beside.words(found)}"


def save(session: Session, text: str) -> str:
    """Saves the session to a file, to be replayed or given away."""
    if not text.strip():
        raise CommandError("save to which file? write its name")
    from backprop_tui import store  # it brings hashing and more, which the first frame need not wait for

    path = Path(text.strip()).expanduser()
    store.save(session, path)
    return f"saved to {path}; backprop-tui replay {path} plays it"


# Looking


def detail(session: Session, _text: str = "") -> str:
    """Stopping inside a multiplication, on or off."""
    session.debugger.detail = not session.debugger.detail
    return f"detail is {'on: step also stops inside a multiplication' if session.debugger.detail else 'off'}"


def watch(session: Session, text: str) -> str:
    """Watches an expression."""
    if not text.strip():
        raise CommandError("watch what? an expression over the program's names, such as norm(grad(W1))")
    session.add_watch(text)
    return watches(session).splitlines()[-1]


def unwatch(session: Session, text: str) -> str:
    """Watches it no more."""
    return f"not watched any more: {session.drop_watch(_number(text.strip(), 'watch'))}"


def watches(session: Session, _text: str = "") -> str:
    """All watches, before the step and after it."""
    lines = []
    for number, seen in enumerate(session.watched(), 1):
        after = seen.why if seen.after is None else array_text(seen.after)
        before = f"{array_text(seen.before)} → " if seen.before is not None and seen.changed else ""
        lines.append(f"{number}  {seen.text} = {before}{after}")
    return "\n".join(lines) or "no watches"


def print_(session: Session, text: str) -> str:
    """The value of an expression at the position."""
    if not text.strip():
        raise CommandError("print what? an expression over the program's names, such as W1 or norm(grad(W1))")
    value, why = session.evaluated(watched(text, session.debugger.graph), session.debugger.position)
    if value is None:
        raise CommandError(why)
    return f"{text.strip()} = {array_text(value)}"


def show(session: Session, _text: str = "") -> str:
    """The current step with its numbers."""
    step = session.debugger.current
    return session.where() if step is None else "\n".join(step_lines(step, session.wording))


def where(session: Session, _text: str = "") -> str:
    """The call stack: where the step is, and which calls and turns of loops it is in, the innermost first."""
    debugger = session.debugger
    lines = [session.where()]
    place = debugger.place
    if place is not None and place.phase in ("forward", "backward"):
        lines += [f"  {call.text}" for call in debugger.layout.calls(place.step)]
    return "\n".join(lines)


def note(session: Session, text: str) -> str:
    """A note at the position; without text, none any more."""
    position = session.debugger.position
    session.notes.pop(position, None)
    if not text.strip():
        return f"no note at step {position} any more"
    session.notes[position] = text.strip()
    return f"noted at step {position}"


# What if


def edit(session: Session, text: str) -> str:
    """Changes a value: a second recording goes on from here."""
    return whatif.apply(session.debugger, text)


def undo(session: Session, _text: str = "") -> str:
    """Takes the last change back."""
    return whatif.undo(session.debugger)


def recordings(session: Session, _text: str = "") -> str:
    """The recordings: the scenario's own, and one for each change."""
    debugger = session.debugger
    lines = []
    for number, run in enumerate(debugger.recordings, 1):
        mark = "▸" if run is debugger.run else " "
        change = f"{debugger.changes[run]} at step {run.fork}" if run in debugger.changes else "the scenario as it is"
        lines.append(f"{mark} {number}  {change}")
    return "\n".join(lines)


def switch(session: Session, text: str) -> str:
    """To another recording, at the same position; without a number, to the next one."""
    debugger = session.debugger
    number = _number(text.strip(), "recording") if text.strip() else debugger.run_number % len(debugger.recordings) + 1
    debugger.switch(number)
    return recordings(session).splitlines()[number - 1].strip("▸ ")
