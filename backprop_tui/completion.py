"""What a line of commands could go on with: commands, names, phases, ops, facts, whichever may stand there."""

from __future__ import annotations

import re
from collections.abc import Iterable

from backprop_tui.commands import COMMANDS
from backprop_tui.conditions import names_of
from backprop_tui.console import find
from backprop_tui.errors import CommandError
from backprop_tui.facts import FACTS
from backprop_tui.formula import EXTRA
from backprop_tui.ops import CALLABLE
from backprop_tui.plan import PHASES
from backprop_tui.scenario import bundled
from backprop_tui.scenario.checks import OF_A_STEP
from backprop_tui.session import Session
from backprop_tui.whatif import RATE

_WORD = re.compile(r"[^\W\d][\w.#-]*$")
#: The words a breakpoint's place may begin with, besides names, phases and facts.
_PLACES = ("line", "step", "op", "phase", "change")


def completions(session: Session, line: str) -> tuple[str, list[str]]:
    """What stands before the word being written, and the words it could become; sorted, none twice."""
    match = _WORD.search(line)
    before, word = (line[: match.start()], match[0]) if match else (line, "")
    head, space, rest = before.partition(" ")
    known: Iterable[str] = _commands() if not space else _words(session, head, rest)
    return before, sorted({other for other in known if other.startswith(word) and other != word})


def _commands() -> list[str]:
    return [command.name for command in COMMANDS if command.name != "command_line"]


def _words(session: Session, head: str, rest: str) -> Iterable[str]:
    try:
        command = find(head)
    except CommandError:
        return ()
    graph = session.debugger.graph
    names = names_of(graph)
    expression = {*names, "grad", *CALLABLE, *EXTRA}
    if command.name == "break":
        last = rest.split()[-1] if rest.split() else ""
        if last == "op":
            return {op.name for op in graph.ops}
        if last in ("in", "phase"):
            return PHASES
        if re.search(r"(^|\s)(if|when)\s", rest):
            return {*expression, *OF_A_STEP}
        return (
            {*names, *PHASES, *FACTS, *_PLACES, *(("grad",) if "change" in rest else ())}
            if not last or last == "change"
            else ("in", "if")
        )
    words: dict[str, Iterable[str]] = {
        "go_to": {*names, *PHASES},
        "condition": {*expression, *OF_A_STEP},
        "toggle": FACTS,
        "edit": {*expression, RATE},
        "watch": expression,
        "print": expression,
        "jump": session.bookmarks,
        "compare": (entry.name for entry in bundled()),
    }
    return words.get(command.name, ())
