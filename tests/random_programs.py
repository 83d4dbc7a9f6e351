"""Random well-shaped programs of the language, and the scenarios around them.

A program is grown from the shapes it wants: to make an expression of some shape, a production that yields this shape is
picked, and its operands are grown in their turn. Values are kept tame (nothing overflows, no operand of a root or a
logarithm comes near 0), and no expression compares two values that are equal but for rounding, so that what is true of
the gradient is true of it in every implementation.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

import backprop_tui as bt
from backprop_tui.ops.op import Array, Shape

UNARY = ("sin", "cos", "tanh", "sigmoid", "softplus", "abs", "relu", "leaky_relu", "gelu")
SMOOTH = ("sin", "cos", "tanh", "sigmoid", "softplus", "gelu")
#: Forms of one operand whose values stay tame.
FORMS = (
    "exp(-square({}))",
    "exp(tanh({}))",
    "log(1.5 + square({}))",
    "sqrt(1 + square({}))",
    "square(tanh({}))",
    "-({})",
    "({}) / 3",
    "1 / (2 + cos({}))",
    "tanh({}) ** 3",
    "(1.25 + sigmoid({})) ** -1.5",
    "pi * sigmoid({}) - e",
    "leaky_relu({}, 0.2)",
    "leaky_relu({}, negative_slope=0.3)",
    "stop_gradient({})",
)
#: Forms of two operands that broadcast.
PAIRS = (
    "{} + {}",
    "{} - {}",
    "{} * {}",
    "{} / (1.5 + sigmoid({}))",
    "maximum({}, {} + 0.25)",
    "minimum({}, {} - 0.25)",
    "(1.25 + sigmoid({})) ** tanh({})",
    "2 ** tanh({}) * ({})",
    "({} > 0.1) * {}",
    "({} <= -0.2) * {}",
    "({} < 0.3) * {}",
    "({} >= 0.4) * {}",
    "({} == 7) * {}",
)
TRIPLES = ("where({} > 0.1, {}, {})", "where({} != 0, {}, {})", "clip({}, sigmoid({}) - 1.5, 0.5 + sigmoid({}))")


@dataclass
class Function:
    """A function of a program: its parameters' shapes and its result's."""

    name: str
    parameters: dict[str, Shape]
    result: Shape


@dataclass
class Program:
    """A program with the arrays it starts from."""

    source: str = ""
    data: dict[str, Array] = field(default_factory=dict)
    parameters: dict[str, Array] = field(default_factory=dict)

    def toml(self, *, training: str = "", precision: str = "float64", loss: str | None = None) -> str:
        """The text of its scenario; ``training`` is what stands in [training]."""
        lines = ["format = 1", 'title = "random"', f'precision = "{precision}"']
        lines += [] if loss is None else [f'loss = "{loss}"']
        lines += ["program = '''", self.source, "'''"]
        for table, leaves in (("data", self.data), ("parameters", self.parameters)):
            lines.append(f"[{table}]")
            lines += [f"{name} = {json.dumps(np.asarray(value).tolist())}" for name, value in leaves.items()]
        return "\n".join([*lines, *(["[training]", training] if training else [])]) + "\n"

    def scenario(self, *, training: str = "", precision: str = "float64", loss: str | None = None) -> bt.Scenario:
        """Its scenario."""
        return bt.loads(self.toml(training=training, precision=precision, loss=loss))


class Grower:
    """Grows one program from a source of random numbers."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.program = Program()
        self.lines: list[str] = []
        self.indent = ""
        self.scope: dict[str, Shape] = {}
        self.functions: list[Function] = []
        self.sizes = [rng.randint(1, 4) for _ in range(3)]
        self.numbers = np.random.default_rng(rng.getrandbits(32))
        self.in_function = False

    def pick_shape(self, most: int = 3) -> Shape:
        return tuple(self.rng.choice(self.sizes) for _ in range(self.rng.randint(0, most)))

    def leaf(self, shape: Shape) -> str:
        """A leaf of this shape: a new one, or one that is there."""
        known = [name for name, own in self.scope.items() if own == shape]
        if known and (self.rng.random() < 0.85 or len(self.scope) > 14):
            return self.rng.choice(known)
        table = self.program.data if self.rng.random() < 0.25 else self.program.parameters
        name = f"w{len(self.program.data) + len(self.program.parameters)}"
        table[name] = self.numbers.normal(size=shape)
        if not self.in_function:
            self.scope[name] = shape
        return name

    def expression(self, shape: Shape, depth: int) -> str:
        """Text of an expression of this shape, safe to stand as an operand."""
        if depth <= 0 or self.rng.random() < 0.12:
            if shape == () and self.rng.random() < 0.2:
                return self.rng.choice(["0.5", "2.0", "-1.25", "pi", "1e-1", "e"])
            return self.leaf(shape)
        makers: list[Callable[[Shape, int], str | None]] = [
            *[self.single] * 3,
            *[self.pair] * 3,
            self.triple,
            *[self.product] * 3,
            *[self.reduction] * 2,
            self.along,
            self.turned,
            self.reshaped,
            self.joined,
            *[self.taken] * 2,
            *[self.loss] * (2 if shape == () else 0),
            *[self.call] * (3 if self.functions else 0),
        ]
        while True:
            text = self.rng.choice(makers)(shape, depth - 1)
            if text is not None:
                return text

    def single(self, shape: Shape, depth: int) -> str:
        inner = self.expression(shape, depth)
        if self.rng.random() < 0.5:
            return f"{self.rng.choice(UNARY)}({inner})"
        return "(" + self.rng.choice(FORMS).format(inner) + ")"

    def smaller(self, shape: Shape) -> Shape:
        """A shape that broadcasts to this one."""
        own = shape[self.rng.randint(0, len(shape)) :]
        return tuple(1 if self.rng.random() < 0.3 else size for size in own)

    def operands(self, shape: Shape, count: int, depth: int) -> list[str]:
        """Operands that broadcast to a shape: one of them has it."""
        shapes = [self.smaller(shape) if self.rng.random() < 0.5 else shape for _ in range(count)]
        shapes[self.rng.randrange(count)] = shape
        return [self.expression(own, depth) for own in shapes]

    def pair(self, shape: Shape, depth: int) -> str:
        return "(" + self.rng.choice(PAIRS).format(*self.operands(shape, 2, depth)) + ")"

    def triple(self, shape: Shape, depth: int) -> str:
        return self.rng.choice(TRIPLES).format(*self.operands(shape, 3, depth))

    def product(self, shape: Shape, depth: int) -> str | None:
        k = self.rng.choice(self.sizes)
        forms: list[tuple[Shape, Shape]] = []
        if len(shape) == 0:
            forms.append(((k,), (k,)))
        else:
            forms.append(((*shape, k), (k,)))
            forms.append(((k,), (*shape[:-1], k, shape[-1])))
        if len(shape) >= 2:
            *lead, n, m = shape
            a, b = (*lead, n, k), (*lead, k, m)
            forms += [(a, b), (a, b), (a, (k, m)), ((n, k), b)]
            if lead:
                forms.append(((*[1] * len(lead), n, k), b))
        a, b = self.rng.choice(forms)
        if max(len(a), len(b)) > 3 or (len(a) == 2 and len(b) == 2 and len(shape) == 3):
            return None
        return f"({self.expression(a, depth)} @ {self.expression(b, depth)} / {k})"

    def reduction(self, shape: Shape, depth: int) -> str | None:
        name = self.rng.choice(["sum", "mean", "max", "min"])
        if shape == () and self.rng.random() < 0.6:
            inner = self.expression(self.pick_shape(), depth)
            return f"{name}({inner})" if name != "sum" else f"tanh(sum({inner}))"
        ones = [k for k, size in enumerate(shape) if size == 1]
        if ones and self.rng.random() < 0.5:
            axis = self.rng.choice(ones)
            own = (*shape[:axis], self.rng.choice(self.sizes), *shape[axis + 1 :])
            written: int | tuple[int, ...] = axis - (len(own) if self.rng.random() < 0.5 else 0)
            return f"{name}({self.expression(own, depth)}, axis={written}, keepdims=True)"
        if len(shape) > 2:
            return None
        axis = self.rng.randint(0, len(shape))
        own = (*shape[:axis], self.rng.choice(self.sizes), *shape[axis:])
        written = axis - (len(own) if self.rng.random() < 0.5 else 0)
        if len(own) < 3 and self.rng.random() < 0.2:
            own, written = (*own, 2), (axis, -1)
        how = self.rng.choice(["axis={}", "{}"]).format(written)
        return f"{name}({self.expression(own, depth)}, {how})"

    def along(self, shape: Shape, depth: int) -> str | None:
        if not shape:
            return None
        last = -self.rng.randint(1, len(shape))
        axis = self.rng.choice(["", f", axis={self.rng.randrange(len(shape))}", f", {last}"])
        return f"{self.rng.choice(['softmax', 'log_softmax'])}({self.expression(shape, depth)}{axis})"

    def turned(self, shape: Shape, depth: int) -> str | None:
        if len(shape) < 2:
            return None
        if len(shape) == 2 and self.rng.random() < 0.5:
            return f"{self.expression(shape[::-1], depth)}.T"
        axes = list(range(len(shape)))
        self.rng.shuffle(axes)
        own = [0] * len(shape)
        for place, axis in enumerate(axes):
            own[axis] = shape[place]
        return f"transpose({self.expression(tuple(own), depth)}, {self.rng.choice(['', 'axes='])}{tuple(axes)})"

    def reshaped(self, shape: Shape, depth: int) -> str:
        if self.rng.random() < 0.4:
            return f"broadcast_to({self.expression(self.smaller(shape), depth)}, shape={shape})"
        flat = (math.prod(shape),)
        own = self.rng.choice([flat, shape[::-1], (1, *shape) if len(shape) < 3 else flat])
        wanted = list(shape)
        if wanted and self.rng.random() < 0.4:
            wanted[self.rng.randrange(len(wanted))] = -1
        return f"reshape({self.expression(own, depth)}, {self.rng.choice(['', 'shape='])}{tuple(wanted)})"

    def joined(self, shape: Shape, depth: int) -> str | None:
        if not shape:
            return None
        axis = self.rng.randrange(len(shape))
        written = axis - (len(shape) if self.rng.random() < 0.5 else 0)
        size, before, after = shape[axis], shape[:axis], shape[axis + 1 :]
        if self.rng.random() < 0.5:
            parts = [self.expression((*before, *after), depth) for _ in range(size)]
            name = "stack"
        elif size > 1:
            cut = self.rng.randint(1, size - 1)
            parts = [self.expression((*before, part, *after), depth) for part in (cut, size - cut)]
            name = "concatenate"
        else:
            return None
        option = self.rng.choice([f", axis={written}", f", {written}"])
        listed = ", ".join(parts)
        if len(parts) == 1:
            listed += ","
        form = self.rng.choice([f"({listed})", f"[{listed}]"])
        return f"{name}({form}{option})"

    def taken(self, shape: Shape, depth: int) -> str | None:
        own: list[int] = []
        index: list[str] = []
        for size in shape:
            kind = self.rng.randrange(4)
            if kind == 0:
                own.append(size)
                index.append(":")
            elif kind == 1:
                start = self.rng.randint(0, 2)
                own.append(start + size)
                index.append(self.rng.choice([f"{start}:", f"-{size}:", f"{start}:{start + size}"]))
            elif kind == 2:
                own.append(2 * size)
                index.append(f"{self.rng.randint(0, 1)}::2")
            elif len(own) < 2 and len(shape) < 3:
                own += [2, size]
                index += [self.rng.choice(["0", "1", "-1", "-2"]), ":"]
            else:
                own.append(size)
                index.append(f":{size}")
        if not index:
            own, index = [3], [self.rng.choice(["0", "2", "-1"])]
        if len(own) > 3 or math.prod(own) > 60:
            return None
        while len(index) > 1 and index[-1] == ":":
            index.pop()
        return f"{self.expression(tuple(own), depth)}[{', '.join(index)}]"

    def loss(self, _shape: Shape, depth: int) -> str:
        own = self.pick_shape(2) or (self.sizes[0],)
        a, b = self.expression(own, depth), self.expression(own, depth)
        kind = self.rng.randrange(4)
        if kind == 0:
            return f"softmax_cross_entropy({a}, softmax({b}))"
        return f"tanh({['half_squared_error', 'squared_error', 'mean_squared_error'][kind - 1]}({a}, {b}) / 9)"

    def call(self, shape: Shape, depth: int) -> str | None:
        fitting = [f for f in self.functions if f.result == shape]
        if not fitting:
            return None
        function = self.rng.choice(fitting)
        parts = [(name, self.expression(own, min(depth, 1))) for name, own in function.parameters.items()]
        cut = self.rng.randint(0, len(parts))
        written = [text for _, text in parts[:cut]]
        rest = [f"{name}={text}" for name, text in parts[cut:]]
        self.rng.shuffle(rest)
        return f"{function.name}({', '.join([*written, *rest])})"

    # Statements

    def write(self, line: str) -> None:
        self.lines.append(self.indent + line)

    def assign(self, name: str, shape: Shape, depth: int) -> None:
        text = self.expression(shape, depth)
        if self.rng.random() < 0.5:
            text = f"{self.rng.choice(SMOOTH)}({text})"
        self.write(f"{name} = {text}")
        self.scope[name] = shape

    def statement(self, number: int) -> None:
        inner = [(n, s) for n, s in self.scope.items() if n[0] in "hz"]
        kind = self.rng.random()
        if kind < 0.12 and inner:
            name, shape = self.rng.choice(inner)
            self.write(f"h{number} = {name}")
            self.scope[f"h{number}"] = shape
        elif kind < 0.3 and inner:
            name, shape = self.rng.choice(inner)
            self.assign(name, shape, 2)
        elif kind < 0.5 and inner and not self.in_function:
            self.loop(*self.rng.choice(inner))
        else:
            self.assign(f"h{number}", self.pick_shape(), 3)

    def loop(self, name: str, shape: Shape) -> None:
        turns = self.rng.randint(1, 3)
        before, self.indent = self.indent, self.indent + "    "
        bounds = self.rng.choice([str(turns), f"0, {turns}", f"{turns - 1}, -1, -1"])
        self.lines.append(f"{before}for t in range({bounds}):")
        rows = self.expression((turns, *shape), 1) if len(shape) < 3 else None
        other = self.expression(shape, 1)
        choices = [f"tanh({name} + {other}) * (t + 1) / 4", f"sin({name} * 0.5 + t) - {other}"]
        if rows is not None:
            choices.append(f"{name} * 0.5 + {rows}[t]")
            choices.append(f"tanh({name}) + {rows}[t - {turns}] * 0.5")
        self.write(f"{name} = {self.rng.choice(choices)}")
        if self.rng.random() < 0.4:
            self.write(f"for u in range({self.rng.choice(['2', 't + 1'])}):")
            self.indent += "    "
            self.write(f"{name} = {name} * 0.75 + sin({other} + u - t)")
        self.indent = before

    def function(self, number: int) -> None:
        parameters = {f"p{k}": self.pick_shape(2) for k in range(self.rng.randint(1, 3))}
        outer, self.scope, self.in_function = self.scope, dict(parameters), True
        name, result = f"f{number}", self.pick_shape(2)
        self.write(f"def {name}({', '.join(parameters)}):")
        self.indent = "    "
        for k in range(self.rng.randint(0, 2)):
            self.assign(f"z{k}", self.pick_shape(2), 2)
        if self.rng.random() < 0.3:
            self.assign("z0", result, 2)
            self.write("for t in range(2):")
            self.write("    z0 = tanh(z0) + t * 0.25")
            self.write("return z0")
        else:
            self.write(f"return {self.expression(result, 2)}")
        self.indent, self.scope, self.in_function = "", outer, False
        self.functions.append(Function(name, parameters, result))

    def grow(self, statements: int) -> Program:
        for number in range(self.rng.choice([0, 0, 1, 2, 3]) if statements > 1 else 0):
            self.function(number)
        for number in range(statements):
            self.statement(number)
        names = [n for n in self.scope if n[0] == "h"]
        terms = [f"mean({n})" if self.scope[n] else n for n in names]
        self.lines.append("L = " + " + ".join(terms))
        if not self.program.parameters:
            self.program.parameters["spare"] = np.float64(0.5)  # type: ignore[assignment]  # a NumPy scalar is an Array
        self.program.source = "\n".join(self.lines)
        return self.program


def random_program(seed: object, statements: int = 5) -> Program:
    """The program that a seed stands for."""
    return Grower(random.Random(repr(seed))).grow(statements)


#: Programs for hypothesis: it shrinks the number of statements first.
programs = st.builds(lambda statements, seed: random_program(seed, statements), st.integers(1, 6), st.integers(0, 10**9))


#: For every op a program with many uses of it.
EVERY_OP = {
    "exp": "L = sum(exp(A) * B)",
    "log": "L = sum(log(2 + square(A)) * B)",
    "sqrt": "L = sum(sqrt(1 + A ** 2) * B)",
    "square": "L = sum(square(A) * B)",
    "abs": "L = sum(abs(A) * B) + abs(s) + abs(s - s)",
    "sin": "L = sum(sin(A) * B)",
    "cos": "L = sum(cos(A) * B)",
    "tanh": "L = sum(tanh(A) * B) + tanh(s)",
    "sigmoid": "L = sum(sigmoid(A * 9) * B) + sigmoid(-s)",
    "relu": "L = sum(relu(A) * B) + sum(relu(A - A)) + relu(s)",
    "leaky_relu": "L = sum(leaky_relu(A) * B) + sum(leaky_relu(A, 0.3)) + sum(leaky_relu(A - A) * B)"
    " + leaky_relu(-s)",
    "softplus": "L = sum(softplus(A * 5) * B) + softplus(s)",
    "gelu": "L = sum(gelu(A * 3) * B) + gelu(s)",
    "maximum": "L = sum(maximum(A, B) * A) + sum(maximum(A, A * 1) * B) + maximum(s, 0)",
    "minimum": "L = sum(minimum(A, v) * A) + sum(minimum(B, B * 1) * A) + minimum(s, 0)",
    "where": "L = sum(where(A > v, A * 2, s) * where(B, B, v))",
    "clip": "L = sum(clip(A, -0.5, 0.5) * B) + sum(clip(A, v - 1, v + 1) * B) + clip(s, 0, 1)",
    "sum": "L = sum(sum(A, axis=0) * v) + sum(sum(A, 1, keepdims=True) * B) + sum(C, axis=(0, -1))[1] + sum(s)",
    "mean": "L = sum(mean(A, axis=-1) ** 2) + mean(mean(A, axis=0, keepdims=True) * B) + mean(C, (0, 1))[0]"
    " + mean(s)",
    "max": "L = sum(max(A, axis=0) * v) + max(A) + sum(max(C, axis=(1, 2)))"
    " + sum(max(A - A, axis=1, keepdims=True) * B)",
    "min": "L = sum(min(A, axis=1)) + min(A * B) + sum(min(C, axis=0, keepdims=True) * C) + sum(min(A * 0"
    " + s, axis=0) * v)",
    "transpose": "L = sum(A.T @ B) + sum(transpose(C, axes=(2, 0, 1))[1] * A[0, 0]) + sum(transpose(C)[0] * 2)",
    "reshape": "L = sum(reshape(A, shape=(3, 2)) @ B) + sum(reshape(A, -1) ** 2) + reshape(A[0:1, 0], ())"
    " + sum(reshape(C, (2, -1)))",
    "broadcast_to": "L = sum(broadcast_to(v, shape=(2, 3)) * A) + sum(broadcast_to(s, (3,)) * v)"
    " + sum(broadcast_to(A, (4, 2, 3)) ** 2)",
    "concatenate": "L = sum(concatenate((A, B, A)) ** 3) + sum(concatenate([A, B * 2], axis=1)[:, 2:5] ** 2)"
    " + sum(concatenate(v, v * s))",
    "stack": "L = sum(stack((A, B), axis=1) * C[:, 0:2]) + sum(stack((v, v * 2, v), -1) @ v)"
    " + sum(stack((s, s * 2)) ** 2)",
    "softmax": "L = sum(softmax(A) * B) + sum(softmax(A, axis=0) * B) + sum(softmax(v) * v) + sum(softmax(C, 1) * C)",
    "log_softmax": "L = sum(log_softmax(A) * B) + sum(log_softmax(C, axis=0) ** 2) + log_softmax(v)[1]",
    "softmax_cross_entropy": "L = softmax_cross_entropy(A, softmax(B)) + softmax_cross_entropy(v, v * v)"
    " + softmax_cross_entropy(C, abs(C))",
    "squared_error": "L = squared_error(A, B) + squared_error(A, v) + squared_error(s, 2)"
    " + squared_error(v, reshape(v, (3, 1)))",
    "half_squared_error": "L = half_squared_error(A, B) + half_squared_error(v, A) + half_squared_error(s, 2)",
    "mean_squared_error": "L = mean_squared_error(A, B) + mean_squared_error(A, v) + mean_squared_error(s, -2)"
    " + mean_squared_error(v[:2], 1)",
    "stop_gradient": "L = sum(stop_gradient(A) * B) + sum(A * stop_gradient(A * v))",
    "+ and -": "L = sum((A + v - s) * B) + sum(v - A) - (s - 1) + sum(-A * B)",
    "*": "L = sum(A * v * s) + s * s * s + sum(v * v)",
    "/": "L = sum(A / (2 + square(v))) + 1 / (3 + s) + sum(v / s)",
    "**": "L = sum(A ** 2) + sum(abs(A) ** 1.5) + sum((A * A + 1) ** v) + 2 ** s + sum(A ** 3)"
    " + (s * s) ** s + sum(A ** 1 * B ** 0)",
    "@": "L = sum((A @ B.T) ** 2) + v @ v + sum((A @ v) ** 2) + sum((A[:, 0] @ B) ** 2) + sum(tanh(C @ C))",
    "batched @": "L = sum(tanh(C @ K)) + sum((C @ v) ** 2) + sum((v @ C) ** 2) + sum(tanh(K.T @ C))"
    " + sum(C[0:1] @ C)",
    "comparisons": "L = sum((A < B) * A) + sum((A <= v) * B) + sum((A > 0) * B) + sum((A >= s) * A)"
    " + sum((A == A) * A) + sum((A != B) * B)",
    "indexing": "L = A[0, 1] * A[-1, -1] + sum(A[:, 1] * 2) + sum(A[1] ** 2) + sum(C[0, 1:3, ::2] ** 2)"
    " + sum(v[1:] * v[:-1])",
}  # fmt: skip


def program_of_op(name: str) -> Program:
    """The program of `EVERY_OP`, over leaves of many shapes."""
    rng = np.random.default_rng(7)
    shapes: dict[str, Shape] = {"A": (2, 3), "B": (2, 3), "C": (2, 3, 3), "K": (3, 3), "v": (3,), "s": ()}
    return Program(EVERY_OP[name], {}, {leaf: np.asarray(rng.normal(size=shape)) for leaf, shape in shapes.items()})
