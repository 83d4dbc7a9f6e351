"""How much a program is sure to unroll to, counted before it is unrolled.

Functions that call functions twice, and loops in loops, are a short text and a long run. What is counted here is a lower
bound: where the number of a loop's turns is not known from its text, it counts as none.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from backprop_tui.errors import ProgramError
from backprop_tui.language import Instruction, Text, lower, static

WITHOUT_END = 1 << 62


class Counter:
    """Counts applications and executions of statements; keeps the code of the expressions it reads in ``code``."""

    def __init__(self, text: Text, functions: Iterable[str], code: dict[int, list[Instruction]]) -> None:
        self.text = text
        self.functions = tuple(functions)
        self.code = code
        self.sizes: dict[str, tuple[int, int]] = {}

    def block(self, body: Iterable[ast.stmt]) -> tuple[int, int]:
        """At least so many applications, and so many executions of statements."""
        ops = executions = 0
        for statement in body:
            if isinstance(statement, ast.For):
                inner, turns = self.block(statement.body), self._turns(statement)
                ops, executions = ops + turns * inner[0], executions + turns * (1 + inner[1])
            elif isinstance(statement, ast.FunctionDef):
                self.sizes[statement.name] = self.block(statement.body)
            elif isinstance(statement, (ast.Assign, ast.Return)) and statement.value is not None:
                code = self._code(statement.value)
                called = [self.sizes.get(step.name, (0, 0)) for step in code if step.kind == "call"]
                made = sum(step.op is not None for step in code) + sum(size[0] for size in called)
                ops += max(made, isinstance(statement, ast.Assign))
                executions += 1 + sum(size[1] for size in called)
        return ops, executions

    def _code(self, expression: ast.expr) -> list[Instruction]:
        try:
            return self.code.setdefault(id(expression), lower(self.text, expression, functions=self.functions))
        except ProgramError:
            return []  # it is raised when it is reached

    def _turns(self, loop: ast.For) -> int:
        try:
            return len(range(*[static(self.text, part, {}) for part in getattr(loop.iter, "args", [])]))
        except OverflowError:
            return WITHOUT_END
        except (ProgramError, TypeError, ValueError):
            return 0


def beyond(limit: int, tree: ast.Module, text: Text, code: dict[int, list[Instruction]]) -> ast.stmt | None:
    """The statement with which a program is sure to make more than ``limit`` applications, or do nothing without end."""
    functions = [statement.name for statement in tree.body if isinstance(statement, ast.FunctionDef)]
    if not functions and not any(isinstance(statement, ast.For) for statement in tree.body):
        return None
    counter = Counter(text, functions, code)
    ops = executions = 0
    for statement in tree.body:
        made, executed = counter.block([statement])
        ops, executions = ops + made, executions + executed
        if ops > limit or executions > 2 * limit:
            return statement
    return None
