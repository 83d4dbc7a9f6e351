"""One entry of an array step, written out: the sum behind it in symbols and in numbers.

An entry of a contribution is Σ upstream · local over the axes that the product and the broadcasting sum; an entry of a
value is what the op makes of its operands' entries. Only what the entry needs is read: the cost grows with the length
of the sum, not with the size of the arrays.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from backprop_tui.format import ELLIPSIS, plain
from backprop_tui.graph import Graph
from backprop_tui.notation import ATOM, POWER, PRODUCT, Term, pretty_term
from backprop_tui.ops.op import Array, Shape, show_option
from backprop_tui.ops.reductions import log_softmax
from backprop_tui.recording import Recording
from backprop_tui.steps import BackwardStep, ForwardStep
from backprop_tui.wording import Wording

#: A sum of at most `WHOLE` terms is written whole, of a longer one the `FIRST` terms and the last; to `DIGITS` digits.
WHOLE, FIRST, DIGITS = 6, 3, 4
#: An index with a letter at each axis that is summed over.
Index = tuple[int | str, ...]

_LETTERS = dict(zip("ijklmnprstuvx", "ᵢⱼₖₗₘₙₚᵣₛₜᵤᵥₓ", strict=True))
#: What in a formula makes one entry of a local derivative depend on other entries.
_COUPLING = re.compile(r"\b(?:sum|mean|max|min|softmax|log_softmax)\(")
#: The ops that move entries: of the value of one, the entry itself is all there is to write.
_MOVING = frozenset({"transpose", "reshape", "index", "concatenate", "stack"})


@dataclass(frozen=True)
class WrittenEntry:
    """``left = symbols = numbers = result``; ``terms`` are the pairs (upstream, local) whose products are added.

    Of a forward step the pairs are of its operands: (a, b) of a product, (entry, 1) of a sum.
    """

    left: str
    symbols: str
    numbers: str
    result: float
    terms: tuple[tuple[float, float], ...]
    sum_of_terms: float


def written_entry(recording: Recording, step: BackwardStep | ForwardStep, index: tuple[int, ...], wording: Wording) -> WrittenEntry:
    """The entry of a backward step's contribution, or of a forward step's value; indices from 0. Raises IndexError."""
    graph = recording.graph
    shape = graph.shapes[step.operand_index if isinstance(step, BackwardStep) else step.node_index]
    if len(index) != len(shape) or not all(0 <= k < size for k, size in zip(index, shape, strict=True)):
        raise IndexError(f"{list(index)} is not an entry of an array of shape {shape}")
    with np.errstate(all="ignore"):
        if isinstance(step, BackwardStep):
            return _Backward(graph, step, wording).entry(index)
        return _Forward(graph, step, wording).entry(index)


def _at(name: str, index: Index) -> str:
    """``W₂[0, 1]``; a scalar has no index."""
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def _fitted(index: Index, frame: Shape, shape: Shape) -> Index:
    """An index into ``frame`` as an index into an array of ``shape`` that is broadcast to it."""
    lead = len(frame) - len(shape)
    return tuple(k if m == n else 0 for k, m, n in zip(index[lead:], frame[lead:], shape, strict=True))


def _take(array: Array, index: Index) -> Array:
    """The entries at an index, every axis kept: a letter takes the whole axis."""
    part: Array = np.asarray(array)[tuple(slice(None) if isinstance(k, str) else slice(k, k + 1) for k in index)]
    return part


def _moved(index: tuple[int, ...], shape: Shape, to: Shape) -> tuple[int, ...]:
    """An index into ``shape`` as the index of the same entry of the same array reshaped ``to``."""
    flat = np.ravel_multi_index(index, shape) if index else 0
    return tuple(int(k) for k in np.unravel_index(flat, to))


def _joined(count: int, term: Callable[[int], str], between: str = " + ") -> str:
    """The terms of a sum, in full or its beginning and its end."""
    if count <= WHOLE:
        return between.join(map(term, range(count))) or "0"
    first = between.join(map(term, range(FIRST)))
    return f"{first}{between}{ELLIPSIS} ({count - FIRST - 1} more) {ELLIPSIS}{between}{term(count - 1)}"


def _number(x: Any) -> str:
    return plain(x, DIGITS)


def _products(firsts: Array, seconds: Array) -> str:
    return _joined(firsts.size, lambda k: f"{_number(firsts[k])} · {_number(seconds[k])}")


def _over(text: str, n: int) -> str:
    return text if n == 1 else f"({text}) / {n}"


class _Names:
    """Names and bound letters for one step."""

    def __init__(self, graph: Graph, step: BackwardStep | ForwardStep, wording: Wording) -> None:
        self.graph, self.step, self.wording = graph, step, wording
        self.node = step.node_index
        self.op = graph.op_of(self.node)
        self.call = graph.call_of(self.node)
        self.operands = tuple(graph.operands_of(self.node))
        self.used: list[str] = []
        self.taken = set(re.findall(r"\w+", " ".join(map(wording.name, (self.node, *self.operands)))))

    def letter(self) -> str:
        """A letter for one more summed axis; none that is a name here."""
        free = (letter for letter in _LETTERS if letter not in self.taken and letter not in self.used)
        self.used.append(next(free, f"i{len(self.used)}"))
        return self.used[-1]

    @property
    def sigma(self) -> str:
        """Σ over the letters in use, and a space; nothing where none is."""
        return "Σ" + "".join(_LETTERS.get(k, k) for k in self.used) + " " if self.used else ""

    def entry_of(self, node: int, index: Index) -> Term:
        """An entry of a node."""
        return Term(_at(self.wording.enclosed(node), index), ATOM) if index else self.wording.term(node)


class _Backward(_Names):
    """Writes entries of a backward step's contribution."""

    step: BackwardStep

    def entry(self, index: tuple[int, ...]) -> WrittenEntry:
        how, product, axes = self.step.how, self.step.product_shape, self.step.summed_axes
        lead = len(product) - len(index)
        at: Index = tuple(self.letter() if k in axes else index[k - lead] for k in range(len(product)))
        if how in ("dense", "rearrange"):
            return self._dense(index) if how == "dense" else self._rearranged(index)
        return self._matrix(index, at) if how in ("left", "right") else self._spread(index, at)

    def _written(self, index: tuple[int, ...], above: str, factor: str, upstream: Array, local: Array) -> WrittenEntry:
        """The entry whose terms are these, written in the order in which they are multiplied."""
        us, ls = (np.asarray(factors, np.float64).ravel() for factors in (upstream, local))
        total = float((us * ls).sum())
        left = self.step.how == "left"
        numbers = _products(ls, us) if left else _products(us, ls)
        terms = tuple(zip(us.tolist(), ls.tolist(), strict=True))
        text = f"{self.sigma}{factor} · {above}" if left else f"{self.sigma}{above} · {factor}"
        return WrittenEntry(self._left(index), text, numbers, self._result(index, total), terms, total)

    def _left(self, index: tuple[int, ...]) -> str:
        number, of = self.step.contribution_number
        text = _at(self.wording.gradient(self.step.operand_index), index)
        return text if of == 1 else f"{text}, part {number} of {of}"

    def above(self, index: Index) -> str:
        """An entry of the upstream gradient."""
        return _at(self.wording.gradient(self.node), index)

    def _result(self, index: tuple[int, ...], total: float) -> float:
        """The contribution's own entry where it is at hand, else the sum of the terms."""
        known = self.step.__dict__.get("contribution")
        if known is None and self.step.before is None:
            known = self.step.grad
        return total if known is None else float(np.asarray(known)[index])

    def _matrix(self, index: tuple[int, ...], at: Index) -> WrittenEntry:
        """A row of the one times a column of the other, summed over the batch too where it was broadcast."""
        step, left, out = self.step, self.step.how == "left", self.call.out
        upstream, local = np.asarray(step.upstream), np.asarray(step.local)
        as_matrix = out if len(out) > 1 else (*out, 1) if left else (1, *out)
        upstream = upstream.reshape(step.derivative.upstream_as or as_matrix)
        if len(at) < upstream.ndim:
            at = (*at, 0) if left else (*at[:-1], 0, at[-1])
        slot = 0 if left else 1  # the factor that stays
        source, vector = self.operands[slot], len(self.call.shapes[slot]) == 1
        inner = 0 if vector else self.letter()  # a vector entered as a row or column: nothing is summed inside
        batch, row, column = at[:-2], at[-2], at[-1]
        entering: Index = (*batch, inner, column) if left else (*batch, row, inner)
        batch = _fitted(batch, upstream.shape[:-2], local.shape[:-2])
        shown: Index = (*batch, row, inner) if left else (*batch, inner, column)
        us, ls = _take(upstream, entering), _take(local, shown)
        us, ls = np.broadcast_arrays(*((us[..., 0], ls[..., 0, :]) if left else (us[..., 0, :], ls[..., 0])))
        if upstream.ndim > len(out):  # the axis that was put in has no index in the gradient's own shape
            put = len(entering) - (2 if len(self.call.shapes[0]) == 1 else 1)
            entering = (*entering[:put], *entering[put + 1 :])
        own = (row if left else column,) if vector else (*batch, shown[-1], shown[-2])
        plainly = local.ndim == 2 and not vector  # as it is shown; a vector and a batch by their own entries
        factor = _at(self.wording.local(step), shown) if plainly else _at(self.wording.enclosed(source), own)
        return self._written(index, self.above(entering), factor, us, ls)

    def _spread(self, index: tuple[int, ...], at: Index) -> WrittenEntry:
        """Entry times entry, with the sum over the axes along which the operand was broadcast."""
        rule, product = self.step.derivative, self.step.product_shape
        upstream = np.asarray(self.step.upstream).reshape(rule.upstream_as or self.call.out)
        entering = _fitted(at, product, upstream.shape)
        coupled = _COUPLING.search(rule.formula) is not None
        local = self._coupled(at) if coupled else self._local(at, product)
        us, ls = np.broadcast_arrays(_take(upstream, entering), local)
        if rule.upstream_as is not None:  # a reduction: no axis of it is summed again
            entering = _moved(tuple(int(k) for k in entering), upstream.shape, self.call.out)
        if coupled:
            factor = _at(f"({self.wording.local(self.step)})", at)
        else:
            names: dict[str, str | Term] = {"out": self.entry_of(self.node, at)}
            for operand, node, shape in zip(self.op.operands, self.operands, self.call.shapes, strict=True):
                names[operand] = self.entry_of(node, _fitted(at, product, shape))
            factor = pretty_term(rule.formula, names=names, symbols={}).within(PRODUCT, POWER, ATOM)
        return self._written(index, self.above(entering), factor, us, ls)

    def _local(self, at: Index, product: Shape) -> Array:
        """Entries of a local derivative each of which reads the entries in its own place."""
        reads = [_take(value, _fitted(at, product, np.shape(value))) for value in self.step.read_values]
        local = np.asarray(self.step.derivative.value(*reads))
        return local if reads else _take(local, _fitted(at, product, local.shape))

    def _coupled(self, at: Index) -> Array:
        """An entry of a local derivative that reads whole vectors: those along the reduced axes, or along the last."""
        rule, own = self.step.derivative, self.step.product_shape
        last_alone, kept = self.op.name == "softmax_cross_entropy", rule.upstream_as or (1,) * len(own)
        whole = [k == len(own) - 1 if last_alone else kept[k] == 1 for k in range(len(own))]
        lines: Index = tuple("whole" if w else k for w, k in zip(whole, at, strict=True))
        local = np.asarray(rule.value(*(_take(value, lines)[()] for value in self.step.read_values)))
        return _take(local, tuple(k if w else 0 for w, k in zip(whole, at, strict=True)))

    def _dense(self, index: tuple[int, ...]) -> WrittenEntry:
        """The sum over the outputs that this entry of the operand moves."""
        if self.op.name in ("softmax", "log_softmax"):
            axis = self.call.options.get("axis", -1) % len(index)
            entering: Index = (*index[:axis], self.letter(), *index[axis + 1 :])
            out, j = _take(self.step.read_values[0], entering).ravel(), index[axis]
            # column j of diag(s) − s sᵀ, and of I − 1 exp(out)ᵀ
            local = -out * out[j] if self.op.name == "softmax" else np.full(out.shape, -np.exp(out[j]))
            local[j] += out[j] if self.op.name == "softmax" else 1
        else:
            entering = tuple(self.letter() for _ in self.call.out)
            local = _take(self.step.local, (*entering, *index))
        text = self.wording.derivative(self.entry_of(self.node, entering).text, self.step.operand_index)
        upstream = _take(self.step.upstream, entering)
        return self._written(index, self.above(entering), _at(text, index), upstream, local)

    def _rearranged(self, index: tuple[int, ...]) -> WrittenEntry:
        """The entry of the upstream gradient that this one became, or nothing."""
        found = self._became(index)
        if found is None:
            return WrittenEntry(self._left(index), "0: this entry was not taken", "0", 0.0, (), 0.0)
        value = float(np.asarray(self.step.upstream)[found])
        return WrittenEntry(self._left(index), self.above(found), _number(value), value, ((value, 1.0),), value)

    def _became(self, index: tuple[int, ...]) -> tuple[int, ...] | None:
        """Where an entry of the operand stands in the result; looked up whole only for an op that is not known here."""
        own, out, options = self.call.shapes[self.step.slot], self.call.out, self.call.options
        name, slot = self.op.name, self.step.slot
        if name == "reshape":
            return _moved(index, own, out)
        if name == "transpose":
            axes = options.get("axes")
            order = range(len(own))[::-1] if axes is None else axes if isinstance(axes, tuple) else (axes,)
            return tuple(index[k] for k in order)
        if name in ("concatenate", "stack"):
            axis = options.get("axis", 0) % len(out)
            if name == "stack":
                return (*index[:axis], slot, *index[axis:])
            start = sum(shape[axis] for shape in self.call.shapes[:slot])
            return (*index[:axis], index[axis] + start, *index[axis + 1 :])
        if name == "index":
            parts = options.get("index", ())
            parts = parts if isinstance(parts, tuple) else (parts,)
            taken = [range(size)[part] for size, part in zip(own, parts, strict=False)]
            if any(k != t if isinstance(t, int) else k not in t for k, t in zip(index, taken, strict=False)):
                return None
            found = [t.index(k) for k, t in zip(index, taken, strict=False) if not isinstance(t, int)]
            return (*found, *index[len(parts) :])
        flat = int(np.asarray(self.step.local)[index])
        return None if flat < 0 else _moved((flat,), (math.prod(out),), out)


class _Forward(_Names):
    """Writes entries of a forward step's value."""

    step: ForwardStep

    def __init__(self, graph: Graph, step: ForwardStep, wording: Wording) -> None:
        super().__init__(graph, step, wording)
        self.values = [np.asarray(value) for value in step.operand_values]

    def entry(self, index: tuple[int, ...]) -> WrittenEntry:
        result = float(np.asarray(self.step.value)[index])
        symbols, numbers, firsts, seconds = self._parts(self.op.name, index, result)
        firsts, seconds = np.broadcast_arrays(np.asarray(firsts, np.float64), np.asarray(seconds, np.float64))
        terms = tuple(zip(firsts.ravel().tolist(), seconds.ravel().tolist(), strict=True))
        total = float((firsts * seconds).sum())
        return WrittenEntry(_at(self.wording.enclosed(self.node), index), symbols, numbers, result, terms, total)

    def _parts(self, name: str, index: tuple[int, ...], result: float) -> tuple[str, str, Any, Any]:
        """Symbols, numbers, and the two columns of the terms."""
        if name == "matmul":
            return self._product(index)
        if name in ("sum", "mean", "max", "min"):
            return self._reduced(name, index, result)
        if name.endswith("squared_error"):
            return self._squares(name)
        if name == "softmax_cross_entropy":
            return self._cross_entropy()
        if name in ("softmax", "log_softmax"):
            return self._normalised(name, index, result)
        return self._entrywise(index, result)

    def _product(self, index: tuple[int, ...]) -> tuple[str, str, Any, Any]:
        a, b = self.values
        inner, rows, columns = self.letter(), min(a.ndim - 1, 1), min(b.ndim - 1, 1)
        lead = len(index) - rows - columns
        batch, frame, row, column = index[:lead], self.call.out[:lead], index[lead : lead + rows], index[lead + rows :]
        left = (*_fitted(batch, frame, a.shape[:-2]), *row, inner)
        right = (*_fitted(batch, frame, b.shape[:-2]), inner, *column)
        us, vs = _take(a, left).ravel(), _take(b, right).ravel()
        one, other = (self.entry_of(*pair).text for pair in zip(self.operands, (left, right), strict=True))
        return f"{self.sigma}{one} · {other}", _products(us, vs), us, vs

    def _reduced(self, name: str, index: tuple[int, ...], result: float) -> tuple[str, str, Any, Any]:
        (value,), options = self.values, self.call.options
        axis = options.get("axis")
        axes = {k % value.ndim for k in (range(value.ndim) if axis is None else np.atleast_1d(axis).tolist())}
        rest = iter(k for i, k in enumerate(index) if not (options.get("keepdims") and i in axes))
        at: Index = tuple(self.letter() if k in axes else next(rest) for k in range(value.ndim))
        entries = _take(value, at).ravel()
        text = self.entry_of(self.operands[0], at).text
        if name in ("max", "min"):
            numbers = _joined(entries.size, lambda k: _number(entries[k]), ", ")
            return name + self.sigma.removeprefix("Σ").rjust(1) + text, f"{name}({numbers})", [result], [1.0]
        numbers = _joined(entries.size, lambda k: _number(entries[k]))
        n = 1 if name == "sum" else entries.size
        return _over(self.sigma + text, n), _over(numbers, n), entries, 1 / max(n, 1)

    def _all(self, frame: Shape) -> tuple[str, ...]:
        """An entry of each operand, with a letter for every axis."""
        at: Index = tuple(self.letter() for _ in frame)
        shapes = zip(self.operands, self.call.shapes, strict=True)
        return tuple(self.entry_of(node, _fitted(at, frame, shape)).text for node, shape in shapes)

    def _squares(self, name: str) -> tuple[str, str, Any, Any]:
        errors = (self.values[0] - self.values[1]).ravel()
        one, other = self._all(np.broadcast_shapes(*self.call.shapes))
        text = f"{self.sigma}({one} − {other})²"
        numbers = _joined(errors.size, lambda k: re.sub(r"^(.*[−e].*)$", r"(\1)", _number(errors[k])) + "²")
        if name == "half_squared_error":
            return f"½ {text}", f"½ ({numbers})", errors, 0.5 * errors
        n = 1 if name == "squared_error" else errors.size
        return _over(text, n), _over(numbers, n), errors, errors / max(n, 1)

    def _cross_entropy(self) -> tuple[str, str, Any, Any]:
        logits, target = self.values
        rows = math.prod(logits.shape[:-1])
        minus_logs, targets = -log_softmax(logits).ravel(), target.ravel()
        _, wanted = self._all(logits.shape)
        logs = _at(f"log_softmax({self.wording.name(self.operands[0])})", tuple(self.used))
        text, numbers = f"{self.sigma}{wanted} · (−{logs})", _products(targets, minus_logs)
        return _over(text, rows), _over(numbers, rows), targets, minus_logs / max(rows, 1)

    def _normalised(self, name: str, index: tuple[int, ...], result: float) -> tuple[str, str, Any, Any]:
        axis = self.call.options.get("axis", -1) % len(index)
        at: Index = (*index[:axis], self.letter(), *index[axis + 1 :])
        entries, mine = _take(self.values[0], at).ravel(), _number(self.values[0][index])
        own, each = (self.entry_of(self.operands[0], k).text for k in (index, at))
        total = _joined(entries.size, lambda k: f"exp({_number(entries[k])})")
        if name == "softmax":
            return f"exp({own}) / {self.sigma}exp({each})", f"exp({mine}) / ({total})", [result], [1.0]
        return f"{own} − log({self.sigma}exp({each}))", f"{mine} − log({total})", [result], [1.0]

    def _entrywise(self, index: tuple[int, ...], result: float) -> tuple[str, str, Any, Any]:
        if self.op.name in _MOVING:
            definition = self.wording.formula(self.graph.text_of(self.node)).within(ATOM)
            return _at(definition, index), _number(result), [result], [1.0]
        op, places = self.op, [_fitted(index, self.call.out, value.shape) for value in self.values]
        entries = [float(_take(value, place).item()) for value, place in zip(self.values, places, strict=True)]
        text = op.formula
        if op.symbol is None and op.name not in ("identity", "broadcast_to"):
            options = [f"{k}={show_option(v)}" for k, v in self.call.options.items() if v != op.options.get(k)]
            text = f"{op.name}({', '.join((*op.operands, *options))})"
        named = map(self.entry_of, self.operands, places)
        symbols = pretty_term(text, names=dict(zip(op.operands, named, strict=True)), symbols={}).text
        shown = [Term(_number(x), ATOM) for x in entries]
        numbers = pretty_term(text, names=dict(zip(op.operands, shown, strict=True)), symbols={}).text
        if op.name == "multiply":
            return symbols, " · ".join(term.text for term in shown), entries[:1], entries[1:]
        if op.name in ("add", "subtract"):
            return symbols, numbers, entries, [1.0, 1.0 if op.name == "add" else -1.0]
        return symbols, numbers, [result], [1.0]
