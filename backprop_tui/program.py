"""Program text → graph: statements executed symbolically, functions inlined as frames, loops unrolled.

Nothing is computed here but shapes. Every application keeps the span of text it was written in, the execution of the
statement it belongs to, and through that its frame and the turns of the loops around it.
"""

from __future__ import annotations

import ast
import gc
import keyword
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from backprop_tui.errors import ProgramError, ScenarioError, ShapeError, did_you_mean
from backprop_tui.graph import Frame, Graph, GraphBuilder, Statement, folded
from backprop_tui.language import NAMED_NUMBERS, Instruction, Text, lower, options_of, static
from backprop_tui.ops import CALLABLE, OPS
from backprop_tui.ops.op import Shape, show_shape
from backprop_tui.unrolling import beyond

MAX_FRAMES = 100


@dataclass(frozen=True, slots=True)
class Turn:
    """What a loop variable holds: a whole number known before anything is computed."""

    value: int


#: What a name holds while the program is read: a node, or the number of a loop's turn.
Held = int | Turn


@dataclass(slots=True)
class _Scope:
    """The names of one frame."""

    frame: Frame
    names: dict[str, Held]
    outer: dict[str, Held] | None
    own: frozenset[str] = frozenset()
    """The names a function assigns: they are its own throughout, as in Python."""

    def get(self, name: str) -> Held | None:
        held = self.names.get(name)
        if held is None and self.outer is not None and name not in self.own:
            held = self.outer.get(name)
        return held

    def numbers(self) -> dict[str, float]:
        outer = (self.outer or {}).items()
        known = {n: h.value for n, h in outer if isinstance(h, Turn) and n not in self.own}
        return {**known, **{n: h.value for n, h in self.names.items() if isinstance(h, Turn)}}


def compile_program(
    source: str,
    data: Mapping[str, Shape],
    parameters: Mapping[str, Shape],
    *,
    loss: str | None = None,
    max_steps: int = 2_000_000,
) -> Graph:
    """The graph of a program whose leaves have the given shapes.

    Raises ProgramError, or ShapeError where shapes do not conform, with line and column in the program.
    """
    with _uncollected():
        return _Compiler(source, max_steps).run(data, parameters, loss)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of cycles, which would walk through the growing tree and graph again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _too_many(limit: int) -> ScenarioError:
    message = f"the program unrolls to more than {limit:,} steps, the limit"
    return ProgramError(message, hint="raise it with --max-steps")


class _Compiler:
    def __init__(self, source: str, max_steps: int) -> None:
        self.text = Text(source)
        self.max_steps = max_steps
        self.builder = GraphBuilder(source, limit=max_steps, over_limit=lambda: _too_many(max_steps))
        self.functions: dict[str, ast.FunctionDef] = {}
        self.own: dict[str, frozenset[str]] = {}
        self.code: dict[int, list[Instruction]] = {}
        self.counts: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.turns = 0
        self.loops: tuple[tuple[str, int, int, int], ...] = ()
        self.active: list[str] = []
        self.last: str | None = None
        self.assigned: dict[str, int] = {}

    def run(self, data: Mapping[str, Shape], parameters: Mapping[str, Shape], loss: str | None) -> Graph:
        tree = self.text.parse("exec")
        assert isinstance(tree, ast.Module)
        scope = _Scope(self.builder.frames[0], {}, None)
        for name, shape in data.items():
            scope.names[name] = self.builder.leaf(name, shape, "data")
        for name, shape in parameters.items():
            scope.names[name] = self.builder.leaf(name, shape, "parameter")
        self.counts.update(list(scope.names))
        sure = beyond(self.max_steps, tree, self.text, self.code)
        if sure is not None:
            error = _too_many(self.max_steps)
            error.line, error.column = sure.lineno, 1
            raise error
        self.block(tree.body, scope)
        variables = {name: held for name, held in scope.names.items() if isinstance(held, int)}
        return self.builder.build(self.find_loss(loss, variables), variables)

    def find_loss(self, loss: str | None, variables: Mapping[str, int]) -> int:
        name = loss if loss is not None else self.last
        if name is None:
            hint = "its last line should be the loss, for example L = …"
            raise ProgramError("the program assigns nothing", hint=hint)
        if name not in variables:
            message = f"the loss '{name}' is not a variable of the program"
            raise ProgramError(message, hint=did_you_mean(name, variables))
        shape = self.builder.shape(variables[name])
        if shape != ():
            raise ShapeError(
                f"the loss '{name}' has the shape {show_shape(shape)}, but only a scalar can be differentiated",
                op="loss",
                shapes=(shape,),
                source=name,
                line=self.assigned.get(name),
                column=1,
                hint=f"sum it: {name} = sum(…), or mean(…)",
            )
        return variables[name]

    # Statements

    def block(self, body: Iterable[ast.stmt], scope: _Scope) -> Held | None:
        """Executes statements; the value of a return, if there was one."""
        line = 0
        for statement in body:
            if statement.lineno == line:
                raise self.text.error(statement, "a second statement on the line", "one statement a line")
            line = statement.end_lineno or statement.lineno
            if isinstance(statement, ast.Assign):
                self.assign(statement, scope)
            elif isinstance(statement, ast.For):
                self.loop(statement, scope)
            elif isinstance(statement, ast.FunctionDef):
                self.define(statement, scope)
            elif isinstance(statement, ast.Return):
                if scope.frame.index == 0:
                    raise self.text.error(statement, "return outside a function")
                if statement.value is None:
                    raise self.text.error(statement, "return without a value", "return an expression")
                return self.expression(statement.value, scope)
            else:
                raise self.foreign(statement)
        return None

    def foreign(self, statement: ast.stmt) -> ProgramError:
        hints: dict[type[ast.stmt], str] = {
            ast.AugAssign: "write the name out, as in h = h + x",
            ast.AnnAssign: "write name = expression",
            ast.If: "use where(condition, a, b)",
            ast.While: "use for t in range(3):",
            ast.Expr: "give the value a name, as in y = …",
            ast.Import: "the ops are there without it",
            ast.ImportFrom: "the ops are there without it",
        }
        first = folded(self.text.source(statement))
        first = first if len(first) <= 40 else first[:39] + "…"
        hint = hints.get(type(statement), "assignments, def, return and for over range are")
        return self.text.error(statement, f"the statement '{first}' is not of the language", hint)

    def check_name(self, name: str, node: ast.AST) -> None:
        if name in CALLABLE or name in ("grad", "range"):
            raise self.text.error(node, f"'{name}' is the name of an op", "choose another name for the variable")
        if name in self.functions:
            raise self.text.error(node, f"'{name}' is a function already", "choose another name for the variable")

    def new_statement(self, line: int, scope: _Scope) -> int:
        self.turns += 1
        if self.turns > 2 * self.max_steps:
            raise _too_many(self.max_steps)
        index = len(self.builder.statements)
        self.builder.statements.append(Statement(index, scope.frame.index, line, self.loops))
        return index

    def assign(self, statement: ast.Assign, scope: _Scope) -> None:
        target = statement.targets[0]
        if len(statement.targets) != 1 or not isinstance(target, ast.Name):
            raise self.text.error(target, "only a single name can be assigned", "one name = expression a line")
        self.check_name(target.id, target)
        index = self.new_statement(statement.lineno, scope)
        held = self.expression(statement.value, scope, index)
        node = self.node(held)
        bare = isinstance(statement.value, ast.Name)
        if bare or node < 0 or self.builder.name_of(node) is not None:
            span = self.text.span(statement.value)
            node = self.builder.apply(OPS["identity"], (node,), span=span, statement=index)
        prefix = f"{scope.frame.name}." if scope.frame.name else ""
        name = prefix + target.id
        self.counts[name] += 1
        count = self.counts[name]
        self.builder.name(node, name if count == 1 else f"{name}#{count}")
        scope.names[target.id] = node
        if scope.frame.index == 0:
            self.last = target.id
            self.assigned[target.id] = statement.lineno

    def define(self, statement: ast.FunctionDef, scope: _Scope) -> None:
        name, arguments = statement.name, statement.args
        if scope.frame.index != 0 or self.loops:
            hint = "define it at the top of the program"
            raise self.text.error(statement, "a function inside a function or a loop", hint)
        if name in CALLABLE or name in scope.names or name in self.functions or name in ("grad", "range"):
            raise self.text.error(statement, f"the name '{name}' is taken", "choose another name for the function")
        more = arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.defaults
        if more or statement.decorator_list:
            raise self.text.error(statement, f"'{name}' has more than plain parameters", f"write def {name}(x, W, b):")
        seen: set[str] = set()
        for parameter in [*arguments.posonlyargs, *arguments.args]:
            self.check_name(parameter.arg, parameter)
            if parameter.arg in seen:
                raise self.text.error(parameter, f"'{name}' has two parameters '{parameter.arg}'", "rename one")
            seen.add(parameter.arg)
        if not isinstance(statement.body[-1], ast.Return):
            message = f"the function '{name}' does not end in return"
            raise self.text.error(statement.body[-1], message, "return its result")
        for inner in statement.body[:-1]:
            if isinstance(inner, ast.Return):
                raise self.text.error(inner, f"'{name}' returns before its end", "return only in its last line")
        self.functions[name] = statement
        targets = [t for s in ast.walk(statement) if isinstance(s, ast.Assign) for t in s.targets]
        targets += [s.target for s in ast.walk(statement) if isinstance(s, ast.For)]
        self.own[name] = frozenset(t.id for t in targets if isinstance(t, ast.Name))

    def loop(self, statement: ast.For, scope: _Scope) -> None:
        call, target = statement.iter, statement.target
        if statement.orelse:
            raise self.text.error(statement.orelse[0], "else of a loop is not of the language")
        if not isinstance(target, ast.Name):
            raise self.text.error(target, "a loop has one variable", "for t in range(3):")
        wanted = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range"
        if not isinstance(call, ast.Call) or not wanted or not 1 <= len(call.args) <= 3 or call.keywords:
            raise self.text.error(call, "a loop runs over range with constants", "for t in range(3):")
        self.check_name(target.id, target)
        bounds = [static(self.text, part, scope.numbers()) for part in call.args]
        for part, bound in zip(call.args, bounds, strict=True):
            if type(bound) is not int:
                raise self.text.error(part, "range takes whole numbers", "for t in range(3):")
        if len(bounds) == 3 and bounds[2] == 0:
            raise self.text.error(call.args[2], "the step of range cannot be 0")
        values = range(*bounds)
        try:
            total = len(values)
        except OverflowError:
            raise _too_many(self.max_steps) from None
        outer = self.loops
        for turn, value in enumerate(values, 1):
            self.turns += 1
            if self.turns > 2 * self.max_steps:
                raise _too_many(self.max_steps)
            self.loops = (*outer, (target.id, value, turn, total))
            scope.names[target.id] = Turn(value)
            self.block(statement.body, scope)
        for inner in statement.body:
            if isinstance(inner, ast.Return):
                raise self.text.error(inner, "return inside a loop", "return in the last line of the function")
        self.loops = outer

    # Expressions

    def node(self, held: Held) -> int:
        """The node of what a name holds; a loop's number becomes a constant."""
        return self.builder.constant(float(held.value), str(held.value)) if isinstance(held, Turn) else held

    def expression(self, expression: ast.expr, scope: _Scope, statement: int | None = None) -> Held:
        if statement is None:
            statement = self.new_statement(expression.lineno, scope)
        code = self.code.get(id(expression))
        if code is None:
            code = lower(self.text, expression, functions=self.functions, variables=scope.names)
            self.code[id(expression)] = code
        stack: list[Held] = []
        for step in code:
            if step.kind == "name":
                stack.append(self.name(step, scope))
            elif step.kind == "number":
                stack.append(self.builder.constant(step.number, step.name))
            elif step.kind == "call":
                arguments = stack[len(stack) - step.arity :]
                del stack[len(stack) - step.arity :]
                stack.append(self.call(step, arguments, scope, statement))
            else:
                assert step.op is not None
                operands = [self.node(held) for held in stack[len(stack) - step.arity :]]
                del stack[len(stack) - step.arity :]
                options = {}
                if step.kind == "index" or step.options or step.op.options:
                    options = options_of(self.text, step, scope.numbers())
                try:
                    stack.append(self.builder.apply(step.op, operands, options, span=step.span, statement=statement))
                except (ShapeError, ProgramError) as error:
                    raise self.placed(error, step) from None
        return stack[0]

    def placed(self, error: ShapeError | ProgramError, step: Instruction) -> ScenarioError:
        """An error of a shape rule, with the source text it happened in."""
        assert step.node is not None
        at = self.text.error(step.node, "")
        if step.kind == "index":
            line = self.text.text.count("\n", 0, step.span[0]) + 1
            at.line, at.column = line, step.span[0] - (self.text.text.rfind("\n", 0, step.span[0]) + 1) + 1
        error.line, error.column = at.line, at.column
        if isinstance(error, ShapeError):
            error.source = folded(self.text.text[step.span[0] : step.span[1]])
            short = error.source if len(error.source) <= 60 else error.source[:59] + "…"
            error.message = f"in '{short}': {error.message}"
        return error

    def name(self, step: Instruction, scope: _Scope) -> Held:
        held = scope.get(step.name)
        if held is not None:
            return held
        if step.name in NAMED_NUMBERS and step.name not in scope.own:
            return self.builder.constant(NAMED_NUMBERS[step.name], step.name)
        assert step.node is not None
        if step.name in CALLABLE or step.name in self.functions:
            raise self.text.error(step.node, f"'{step.name}' is called with parentheses", f"write {step.name}(…)")
        if step.name in scope.own:
            hint = "a function that assigns a name has it to itself; pass the other one in as a parameter"
            raise self.text.error(step.node, f"'{step.name}' is read before it is assigned", hint)
        known = {*scope.names, *(scope.outer or {}), *NAMED_NUMBERS}
        raise self.text.error(step.node, f"unknown name '{step.name}'", did_you_mean(step.name, known))

    def call(self, step: Instruction, arguments: list[Held], scope: _Scope, statement: int) -> Held:
        """Inlines a function as a frame of its own."""
        assert step.node is not None
        function = self.functions.get(step.name)
        if function is None:
            raise self.text.error(step.node, f"'{step.name}' is called before it is defined", "define it further up")
        if step.name in self.active:
            hint = "recursion is not of the language; use a loop"
            raise self.text.error(step.node, f"'{step.name}' calls itself", hint)
        if len(self.active) >= MAX_FRAMES:
            raise self.text.error(step.node, f"calls are nested more than {MAX_FRAMES} deep")
        parameters = [p.arg for p in [*function.args.posonlyargs, *function.args.args]]
        names = self.bind(step, parameters, arguments)
        path = f"{scope.frame.name}.{step.name}" if scope.frame.name else step.name
        self.calls[path] += 1
        name = path if self.calls[path] == 1 else f"{path}#{self.calls[path]}"
        frame = Frame(len(self.builder.frames), name, step.name, scope.frame.index, statement, scope.frame.depth + 1)
        self.builder.frames.append(frame)
        outer = scope.names if scope.frame.index == 0 else scope.outer
        self.active.append(step.name)
        loops, self.loops = self.loops, ()
        result = self.block(function.body, _Scope(frame, names, outer, self.own[step.name]))
        self.loops = loops
        self.active.pop()
        assert result is not None
        return result

    def bind(self, step: Instruction, parameters: list[str], arguments: list[Held]) -> dict[str, Held]:
        assert step.node is not None
        positional = arguments[: len(arguments) - len(step.keywords)]
        wanted = f"{step.name}({', '.join(parameters)})"
        names = dict(zip(parameters, positional, strict=False))
        for name, held in zip(step.keywords, arguments[len(positional) :], strict=True):
            if name not in parameters or name in names:
                raise self.text.error(step.node, f"'{name}' is not free in the call of {step.name}", f"it is {wanted}")
            names[name] = held
        if len(positional) > len(parameters) or len(names) < len(parameters):
            message = f"{step.name} takes {len(parameters)} operands, not {len(arguments)}"
            raise self.text.error(step.node, message, f"it is {wanted}")
        return names


def is_name(text: str) -> bool:
    """Whether a text can name a variable of a program."""
    reserved = keyword.iskeyword(text) or text in CALLABLE or text in ("grad", "range")
    return text.isidentifier() and not reserved
