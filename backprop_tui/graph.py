"""The graph of a program: what is computed from what, with shapes and source spans, before anything is computed.

Facts are kept in columns, one entry a node, so that a graph of a million nodes fits in memory; a `Node` is made when
somebody asks for one. Nodes are numbered in the order in which their values come to be: first the leaves (data,
parameters, constants), then one node for each application of an op, in the order of the program.

A graph comes from a `GraphBuilder`; the program text is one way to drive it, not the only one.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

from backprop_tui.errors import ScenarioError
from backprop_tui.ops.op import Call, Op, Shape

Kind = Literal["data", "parameter", "constant", "application"]
NO_OPTIONS: Mapping[str, Any] = {}
#: What a text of several lines may hold besides the expression: a comment, or a line that goes on.
BETWEEN_LINES = re.compile(r"#[^\n]*|\\\r?\n")


def folded(source: str) -> str:
    """A piece of the program on one line: without comments, its line breaks and runs of spaces one space each."""
    if "\n" in source:
        source = BETWEEN_LINES.sub(" ", source)
    return " ".join(source.split())


class Span(NamedTuple):
    """A stretch of the program: offsets into its text, and the line and column it begins at (both from 1)."""

    start: int
    end: int
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A call in the program: its display name (``layer#2``), the frame and the statement it was called from.

    Frame 0 is the program itself: it has no name and no parent.
    """

    index: int
    name: str
    function: str
    parent: int
    statement: int
    depth: int


@dataclass(frozen=True, slots=True)
class Statement:
    """One execution of one statement: where it stands, in which frame, and in which turns of which loops."""

    index: int
    frame: int
    line: int
    loops: tuple[tuple[str, int, int, int], ...]
    """Loop variable, its value, which turn (from 1), of how many; from the outermost loop in."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node, made on demand."""

    index: int
    kind: Kind
    name: str | None
    label: str
    op: Op | None
    operands: tuple[int, ...]
    options: Mapping[str, Any]
    shape: Shape
    span: Span | None
    statement: int


@dataclass(eq=False)
class Graph:
    """An immutable graph, in columns; `loss` is the node that is differentiated. Use a `GraphBuilder` to make one."""

    source: str
    leaves: int
    kinds: list[Kind]
    leaf_names: list[str]
    constants: dict[int, float]
    ops: list[Op]
    operands: array[int]
    first_operand: array[int]
    shapes: list[Shape]
    names: dict[int, str]
    starts: array[int]
    ends: array[int]
    statement_of: array[int]
    statements: list[Statement]
    frames: list[Frame]
    variables: dict[str, int]
    loss: int
    calls: list[Call]

    def __len__(self) -> int:
        return len(self.shapes)

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        for i, character in enumerate(self.source):
            if character == "\n":
                starts.append(i + 1)
        return starts

    @cached_property
    def by_name(self) -> dict[str, int]:
        """Every node that has a name of its own, by that name."""
        return {name: index for index, name in self.names.items()}

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column, from 1, of an offset into the program."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def operands_of(self, index: int) -> array[int]:
        """The operands of an application, left to right."""
        k = index - self.leaves
        return self.operands[self.first_operand[k] : self.first_operand[k + 1]]

    def op_of(self, index: int) -> Op:
        """The op of an application."""
        return self.ops[index - self.leaves]

    def call_of(self, index: int) -> Call:
        """Shapes and options of an application."""
        return self.calls[index - self.leaves]

    def line_of(self, index: int) -> int:
        """The line of the program (from 1) on which an application is written."""
        return self.place(self.starts[index - self.leaves])[0]

    def text_of(self, index: int) -> str:
        """The source text of an application, on one line."""
        k = index - self.leaves
        return folded(self.source[self.starts[k] : self.ends[k]])

    def label(self, index: int) -> str:
        """What a node is called: its own name, or its source text, or a constant's number."""
        name = self.names.get(index)
        return name if name is not None else self.text_of(index)

    def span(self, index: int) -> Span | None:
        """Where an application is written; None for a leaf."""
        if index < self.leaves:
            return None
        k = index - self.leaves
        line, column = self.place(self.starts[k])
        return Span(self.starts[k], self.ends[k], line, column)

    def statement(self, index: int) -> Statement:
        """The execution of a statement that an application belongs to."""
        return self.statements[self.statement_of[index - self.leaves]]

    def frame(self, index: int) -> Frame:
        """The frame in which an application was made."""
        return self.frames[self.statement(index).frame]

    def node(self, index: int) -> Node:
        """A node, made on demand."""
        leaf = index < self.leaves
        return Node(
            index,
            self.kinds[index] if leaf else "application",
            self.names.get(index),
            self.label(index),
            None if leaf else self.op_of(index),
            () if leaf else tuple(self.operands_of(index)),
            NO_OPTIONS if leaf else self.calls[index - self.leaves].options,
            self.shapes[index],
            self.span(index),
            -1 if leaf else self.statement_of[index - self.leaves],
        )

    def nodes(self) -> Iterator[Node]:
        """All nodes, in order."""
        return (self.node(i) for i in range(len(self)))

    def resolve(self, name: str) -> int | None:
        """The node a name stands for: a parameter; else what the name holds at the end; else a node's own name.

        ``h#1`` is the first ``h``, where the name is assigned again.
        """
        leaf = self._leaf_index.get(name)
        if leaf is not None and self.kinds[leaf] == "parameter":
            return leaf
        for known in (self.variables, self.by_name):
            if name in known:
                return known[name]
        return self.by_name.get(name.removesuffix("#1"))

    @cached_property
    def _leaf_index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.leaf_names)}

    def leaf(self, name: str) -> int:
        """The leaf of that name. Raises KeyError."""
        return self._leaf_index[name]

    @cached_property
    def parameters(self) -> dict[str, int]:
        """The parameters by name."""
        return {n: i for i, n in enumerate(self.leaf_names) if self.kinds[i] == "parameter"}

    @cached_property
    def named_applications(self) -> list[int]:
        """The applications that have a name of their own, in order."""
        return sorted(i for i in self.names if i >= self.leaves)

    @cached_property
    def named_leaves(self) -> dict[Kind, list[int]]:
        """The data leaves and the parameters, in order."""
        kinds: dict[Kind, list[int]] = {"parameter": [], "data": []}
        for i in range(self.leaves):
            if self.kinds[i] in kinds:
                kinds[self.kinds[i]].append(i)
        return kinds

    @cached_property
    def needs(self) -> bytearray:
        """For each node, 1 where it is a parameter or depends on one through local derivatives."""
        needs = bytearray(len(self))
        for i in range(self.leaves):
            needs[i] = self.kinds[i] == "parameter"
        first, operands = self.first_operand, self.operands
        for k, op in enumerate(self.ops):
            for j in range(first[k], first[k + 1]):
                if needs[operands[j]] and op.differentiable(j - first[k]):
                    needs[self.leaves + k] = 1
                    break
        return needs

    def backward_pairs(self) -> Iterator[tuple[int, int, int]]:
        """The (application, operand number, operand) pairs of the backward pass, in its order."""
        needs = self.needs
        reached = bytearray(len(self))
        reached[self.loss] = 1
        first, operands, leaves = self.first_operand, self.operands, self.leaves
        for k in range(len(self.ops) - 1, -1, -1):
            if not reached[leaves + k] or not needs[leaves + k]:
                continue
            op = self.ops[k]
            for j in range(first[k], first[k + 1]):
                operand = operands[j]
                if needs[operand] and op.differentiable(j - first[k]):
                    reached[operand] = 1
                    yield leaves + k, j - first[k], operand


class GraphBuilder:
    """Collects leaves and applications, checks their shapes as they come, and builds the graph.

    Until `build`, leaves have negative ids and applications ids from 0.
    """

    def __init__(self, source: str = "", *, limit: int = 2_000_000, over_limit: Callable[[], ScenarioError] | None = None):
        self._source = source
        self._limit = limit
        self._over_limit = over_limit or (lambda: ScenarioError(f"the graph has more than {limit:,} applications"))
        self._leaf_shapes: list[Shape] = []
        self._kinds: list[Kind] = []
        self._leaf_names: list[str] = []
        self._constants: dict[str, int] = {}
        self._constant_values: dict[int, float] = {}
        self._ops: list[Op] = []
        self._operands = array("q")
        self._first = array("q", [0])
        self._calls: list[Call] = []
        self._names: dict[int, str] = {}
        self._starts = array("q")
        self._ends = array("q")
        self._statement_of = array("q")
        self._interned: dict[object, Call] = {}
        self.statements: list[Statement] = []
        self.frames: list[Frame] = [Frame(0, "", "", -1, -1, 0)]

    def shape(self, node: int) -> Shape:
        """The shape of a node."""
        return self._calls[node].out if node >= 0 else self._leaf_shapes[-1 - node]

    def name_of(self, node: int) -> str | None:
        """The name a node has so far."""
        return self._names.get(node)

    def leaf(self, name: str, shape: Shape, kind: Kind) -> int:
        """Adds a data leaf or a parameter."""
        self._leaf_shapes.append(shape)
        self._kinds.append(kind)
        self._leaf_names.append(name)
        node = -len(self._leaf_shapes)
        self._names[node] = name
        return node

    def constant(self, value: float, text: str) -> int:
        """Adds a constant, or finds it if it is there already; it is called by its text."""
        known = self._constants.get(text)
        if known is None:
            known = self._constants[text] = self.leaf(text, (), "constant")
            self._constant_values[known] = value
        return known

    def apply(
        self,
        op: Op,
        operands: Sequence[int],
        options: Mapping[str, Any] = NO_OPTIONS,
        *,
        span: tuple[int, int] = (0, 0),
        statement: int = -1,
    ) -> int:
        """Adds an application; raises ShapeError (without its place) if the shapes do not conform."""
        if len(self._ops) >= self._limit:
            raise self._over_limit()
        shapes = tuple([self.shape(n) for n in operands])
        key = (op.name, shapes, repr(options) if options else None)
        call = self._interned.get(key)
        if call is None:
            call = self._interned[key] = Call(shapes, op.shape(shapes, options), options)
        self._ops.append(op)
        self._operands.extend(operands)
        self._first.append(len(self._operands))
        self._calls.append(call)
        self._starts.append(span[0])
        self._ends.append(span[1])
        self._statement_of.append(statement)
        return len(self._ops) - 1

    def name(self, node: int, name: str) -> None:
        """Gives an application its name."""
        self._names[node] = name

    def build(self, loss: int, variables: Mapping[str, int]) -> Graph:
        """The finished graph; ``variables`` says which node each name of the program holds at its end."""
        leaves = len(self._leaf_shapes)

        def final(node: int) -> int:
            return -1 - node if node < 0 else leaves + node

        return Graph(
            source=self._source,
            leaves=leaves,
            kinds=self._kinds,
            leaf_names=self._leaf_names,
            constants={final(n): v for n, v in self._constant_values.items()},
            ops=self._ops,
            operands=array("q", [final(n) for n in self._operands]),
            first_operand=self._first,
            shapes=self._leaf_shapes + [call.out for call in self._calls],
            names={final(n): name for n, name in self._names.items()},
            starts=self._starts,
            ends=self._ends,
            statement_of=self._statement_of,
            statements=self.statements,
            frames=self.frames,
            variables={name: final(n) for name, n in variables.items()},
            loss=final(loss),
            calls=self._calls,
        )
