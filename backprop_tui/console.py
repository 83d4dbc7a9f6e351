"""Lines of commands, read and carried out: ``break 3``, ``s 20``, ``print norm(grad(W1))``.

A line is a command's name, or its key, and what it takes; a move takes how often. Blank lines and what follows ``#`` at the
start of a line say nothing. The command line of the screen and ``backprop-tui run`` read them here.
"""

from __future__ import annotations

from collections.abc import Generator

from backprop_tui.actions import Parts
from backprop_tui.commands import COMMANDS, Command, key_text, keys_of
from backprop_tui.errors import CommandError, did_you_mean
from backprop_tui.session import Session

#: A move is repeated at most so often by one line.
MOST_TIMES = 10_000_000


def find(word: str) -> Command:
    """The command of a name or a key. Raises CommandError, with the nearest name."""
    for command in COMMANDS:
        if word in (command.name, command.name.replace("_", "-")) or any(word == key_text(key) for key in keys_of(command)):
            return command
    hint = did_you_mean(word.replace("-", "_"), [command.name for command in COMMANDS])
    raise CommandError(f"no command '{word}'" + (f"; {hint}" if hint else ""))


def split(line: str) -> tuple[Command, str] | None:
    """The command of a line and what it takes; None for a line that says nothing. Raises CommandError."""
    word, *rest = line.strip().split(maxsplit=1)[:2] or [""]
    return None if not word or word.startswith("#") else (find(word), "".join(rest))


def moving(session: Session, command: Command, times: int = 1) -> Generator[int, None, bool]:
    """A move, so many times, in parts; answers whether it moved at all."""
    assert command.move is not None
    moved = False
    for _ in range(times):
        done = command.move(session.debugger)
        if isinstance(done, Generator):
            done = yield from done
        if not done:
            break
        moved = True
        session.remember(command.name, repeats=True)
    return moved


def acting(session: Session, command: Command, rest: str) -> Parts:
    """What a command does to the session, in parts; answers what it says. Raises CommandError."""
    if command.act is None:
        raise CommandError(f"{command.name} needs the screen")
    said = command.act(session, rest)
    if isinstance(said, Generator):
        said = yield from said
    if command.leads:
        session.remember(f"go_to {session.debugger.position}")
    elif not command.looks:
        session.remember(f"{command.name} {rest}".rstrip())
    return said


def carried_out(session: Session, command: Command, rest: str) -> Parts:
    """A command with what it takes, in parts; answers what it says. Raises CommandError."""
    if command.move is None:
        return (yield from acting(session, command, rest))
    if rest and not (rest.isdecimal() and 1 <= int(rest[:19]) <= MOST_TIMES):
        raise CommandError(f"'{rest}' is no count: {command.name} takes how often, as in {command.name} 20")
    moved = yield from moving(session, command, int(rest) if rest else 1)
    if moved:
        return session.where()
    return f"this is the {'start' if session.debugger.position == 0 else 'end'} of the run"


def execute(session: Session, line: str) -> str:
    """Carries out a line and answers what it says. Raises CommandError."""
    found = split(line)
    if found is None:
        return ""
    parts = carried_out(session, *found)
    while True:
        try:
            next(parts)
        except StopIteration as end:
            return str(end.value)
