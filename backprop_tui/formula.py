"""Formulas and conditions: expressions of the language, computed on arrays.

Claims, breakpoint conditions and watches are written in the program's own language, with ``grad(name)`` besides. They
are parsed like a program and computed with the same ops, so a formula means what the program's line would mean.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from backprop_tui.errors import ProgramError, ShapeError, did_you_mean
from backprop_tui.language import NAMED_NUMBERS, Instruction, Text, lower, options_of
from backprop_tui.ops.op import Array, Call, Shape

#: What an array of a formula may have at most; a program's are held to the limits of its run.
MOST_AXES, MOST_ENTRIES = 64, 2**27

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
    _text: Text
    _code: tuple[Instruction, ...]
    #: What each instruction comes to for operands of certain shapes: made once, for conditions that are held to many steps.
    _kernels: dict[tuple[object, ...], Callable[..., Array]] = field(default_factory=dict, compare=False, repr=False)

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
            error.source = self._text.text[step.span[0] : step.span[1]]
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
    source = Text(text.strip())
    tree = source.parse("eval")
    assert isinstance(tree, ast.Expression)
    code = lower(source, tree.body, allow_grad=allow_grad, extra=functions)
    named = {**NAMED_NUMBERS}
    names: list[str] = []
    gradients: list[str] = []
    out: list[Instruction] = []
    for step in code:
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
    return Formula(source.text, tuple(dict.fromkeys(names)), tuple(dict.fromkeys(gradients)), source, tuple(out))


def evaluate(text: str, values: Mapping[str, Array], functions: Mapping[str, Callable[..., Array]] | None = None) -> Array:
    """Parses and computes a formula over ``values``; ``functions`` may add to the language."""
    table = {**EXTRA, **(functions or {})}
    formula = parse(text, values, allow_grad=False, functions=tuple(table))
    with np.errstate(all="ignore"):
        return formula.evaluate(values.__getitem__, functions=table)
