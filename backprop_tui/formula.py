"""Formulas and conditions: expressions of the language, computed on arrays.

Claims, breakpoint conditions and watches are written in the program's own language, with ``grad(name)`` besides. They
are parsed like a program and computed with the same ops, so a formula means what the program's line would mean.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from backprop_tui.errors import ProgramError, ShapeError, did_you_mean
from backprop_tui.language import NAMED_NUMBERS, Instruction, Text, lower, options_of
from backprop_tui.ops.op import Array, Call, Shape

#: What an array of a formula may have at most; a program's are held to the limits of its run.
MOST_AXES, MOST_ENTRIES = 64, 2**27

#: A node's own name is one to a person, ``layer#2.z`` or ``h#2``, and to Python's grammar an attribute and a comment: letters
#: stand in for its signs while it is parsed, one for one, so that places in the text stay where they are.
_SIGNS = str.maketrans("#.", "\u2d4c\u2d48")
_LETTERS = str.maketrans("\u2d4c\u2d48", "#.")
_TRANSPOSED = re.compile(r"(\.T)+$")
_OWN_NAME = re.compile(r"[^\W\d]\w*(?:#\d+)?(?:\.[^\W\d]\w*(?:#\d+)?)*")

#: Functions that formulas have besides the ops: the Euclidean norm, whether any or all entries hold, the entry count.
EXTRA: dict[str, Callable[..., Array]] = {
    "norm": lambda a: np.sqrt(np.sum(np.square(a))),
    "any": lambda a: np.any(a).astype(np.asarray(a).dtype),
    "all": lambda a: np.all(a).astype(np.asarray(a).dtype),
    "isnan": lambda a: np.isnan(a).astype(np.asarray(a).dtype),
    "isfinite": lambda a: np.isfinite(a).astype(np.asarray(a).dtype),
}


@dataclass(frozen=True)
class Formula:
    """A parsed formula: its text, the names it reads, and the names whose gradients it reads."""

    text: str
    names: tuple[str, ...]
    gradients: tuple[str, ...]
    _text: Text  # with the letters that stand in for the signs of names
    _code: tuple[Instruction, ...]
    #: What each instruction comes to for operands of certain shapes: made once, for conditions that are held to many steps.
    _kernels: dict[tuple[object, ...], Callable[..., Array]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def spelled(self) -> str:
        """The text as Python's grammar takes it; `parse` reads it to the same formula."""
        return self._text.text

    def evaluate(
        self,
        values: Callable[[str], Array],
        gradient: Callable[[str], Array] | None = None,
        functions: Mapping[str, Callable[..., Array]] = EXTRA,
    ) -> Array:
        """The formula's value. Raises ShapeError, with the place in the formula, where shapes do not conform."""
        stack: list[Array] = []
        for place, step in enumerate(self._code):
            if step.kind == "number":
                stack.append(np.float64(step.number))  # type: ignore[arg-type]  # a NumPy scalar is an Array here
            elif step.kind == "name":
                stack.append(values(step.name))
            elif step.kind == "grad":
                assert gradient is not None
                stack.append(gradient(step.name))
            else:
                operands = [a if isinstance(a, np.generic) else np.asarray(a)[()] for a in stack[len(stack) - step.arity :]]
                del stack[len(stack) - step.arity :]
                if step.kind == "call":
                    stack.append(np.asarray(functions[step.name](*operands)))
                    continue
                shapes = tuple([a.shape for a in operands])
                kernel = self._kernels.get((place, shapes))
                if kernel is None:
                    kernel = self._kernels[place, shapes] = self._bound(step, shapes)
                stack.append(kernel(*operands))
        return stack[0]

    def _bound(self, step: Instruction, shapes: tuple[Shape, ...]) -> Callable[..., Array]:
        assert step.op is not None
        options = options_of(self._text, step, {}) if step.kind == "index" or step.op.options else {}
        try:
            call = Call(shapes, step.op.shape(shapes, options), options)
            if len(call.out) > MOST_AXES or math.prod(call.out) > MOST_ENTRIES:
                raise ShapeError("an array too large for a formula", op=step.op.name, shapes=shapes)
        except ShapeError as error:
            error.source = self.text[step.span[0] : step.span[1]]
            error.line, error.column = 1, step.span[0] + 1
            raise
        return step.op.bind(call)


def parse(
    text: str,
    known: Collection[str] | None = None,
    *,
    allow_grad: bool = True,
    functions: Collection[str] = tuple(EXTRA),
) -> Formula:
    """Parses a formula; with ``known``, names outside it are an error that gives the nearest. Raises ProgramError."""
    source = Text(_spelled(text.strip(), known or ()))
    try:
        return _read(source, known, allow_grad, functions)
    except ProgramError as error:
        hint = error.hint and error.hint.translate(_LETTERS)
        raise ProgramError(error.message.translate(_LETTERS), line=error.line, column=error.column, hint=hint) from None


def _spelled(text: str, known: Collection[str]) -> str:
    """The text with the signs of the known names in it as letters."""

    def letters(match: re.Match[str]) -> str:
        name, stem = match[0], _TRANSPOSED.sub("", match[0])
        if name in known:
            return name.translate(_SIGNS)
        return stem.translate(_SIGNS) + name[len(stem) :] if stem in known else name

    return _OWN_NAME.sub(letters, text) if "#" in text or "." in text else text


def _read(source: Text, known: Collection[str] | None, allow_grad: bool, functions: Collection[str]) -> Formula:
    tree = source.parse("eval")
    assert isinstance(tree, ast.Expression)
    code = lower(source, tree.body, allow_grad=allow_grad, extra=functions)
    named = {**NAMED_NUMBERS}
    names: list[str] = []
    gradients: list[str] = []
    out: list[Instruction] = []
    for step in code:
        if step.kind in ("name", "grad"):
            step = step._replace(name=step.name.translate(_LETTERS))
        is_known = known is not None and step.name in known
        if step.kind in ("name", "grad"):
            if step.kind == "name" and step.name in named and not is_known:
                out.append(Instruction("number", step.span, name=step.name, number=named[step.name]))
                continue
            if known is not None and not is_known:
                raise ProgramError(
                    f"unknown name '{step.name}'", line=1, column=step.span[0] + 1, hint=did_you_mean(step.name, known)
                )
            (names if step.kind == "name" else gradients).append(step.name)
        elif step.kind == "call" and step.name in EXTRA and (step.arity != 1 or step.keywords):
            raise ProgramError(
                f"{step.name} takes 1 operand, not {step.arity}",
                line=1,
                column=step.span[0] + 1,
                hint=f"for example {step.name}(W1)",
            )
        elif step.kind == "index" or (step.op is not None and step.op.options):
            options_of(source, step, {})  # what is wrong with an option is said now, not when it is computed
        out.append(step)
    text = source.text.translate(_LETTERS)
    return Formula(text, tuple(dict.fromkeys(names)), tuple(dict.fromkeys(gradients)), source, tuple(out))


def evaluate(text: str, values: Mapping[str, Array], functions: Mapping[str, Callable[..., Array]] | None = None) -> Array:
    """Parses and computes a formula over ``values``; ``functions`` may add to the language."""
    table = {**EXTRA, **(functions or {})}
    formula = parse(text, values, allow_grad=False, functions=tuple(table))
    with np.errstate(all="ignore"):
        return formula.evaluate(values.__getitem__, functions=table)
