"""Everything that can be wrong with what a person gives us.

::

    BackpropError            one sentence, fit to be shown as it is
    ├── ScenarioError        a scenario that cannot be used: file, line, column, what would be right
    │   ├── ProgramError     its program breaks a rule of the language
    │   └── ShapeError       shapes that do not conform: the shapes, the op, the source text
    └── CommandError         a command that cannot be carried out as it was given

A nan or an overflow is no error: it is a value, and it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable


class BackpropError(Exception):
    """Base of all errors a person can cause; ``str()`` of it is one line."""


class ScenarioError(BackpropError):
    """A scenario that cannot be used.

    ``line`` and ``column`` count from 1 and refer to the file once ``file`` is set; before that, to the program.
    ``hint`` says what would be right.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        line: int | None = None,
        column: int | None = None,
        file: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.line = line
        self.column = column
        self.file = file

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        text = f"{self.message}; {self.hint}" if self.hint else self.message
        if not place:
            return text
        return f"{place}: {text}" if self.file is not None else f"line {place}: {text}"


class ProgramError(ScenarioError):
    """The program breaks a rule of the language; ``line`` and ``column`` say where."""


class ShapeError(ScenarioError):
    """Shapes that do not conform. ``shapes`` are the operands', ``op`` the op's name, ``source`` the text of the application."""

    def __init__(
        self,
        message: str,
        *,
        op: str = "",
        shapes: tuple[tuple[int, ...], ...] = (),
        source: str = "",
        hint: str | None = None,
        line: int | None = None,
        column: int | None = None,
        file: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, line=line, column=column, file=file)
        self.op = op
        self.shapes = shapes
        self.source = source


class CommandError(BackpropError):
    """A command that cannot be carried out as it was given."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that ``word`` was most likely meant to be, or None."""
    import difflib  # only a mistake needs it

    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint naming the nearest known word; without a near one, all of them where they are few."""
    words = sorted(set(known))
    match = nearest(word, words)
    if match is not None:
        return f"did you mean '{match}'?"
    return "known: " + ", ".join(words) if 0 < len(words) <= 12 else None
