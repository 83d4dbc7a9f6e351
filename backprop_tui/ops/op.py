"""What an op is: a forward function, a shape rule, and for each operand a local derivative as a linear map.

A local derivative never mentions the upstream gradient. It says which array is shown, how that array is multiplied in,
the formula of the array, and which forward values it reads. From this follow the contribution
(`LocalDerivative.apply`), the un-broadcasting (`unbroadcast`, the only place that does it) and the dense Jacobian
(`dense_jacobian`).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from backprop_tui.errors import ShapeError

Shape = tuple[int, ...]
#: An array, or a NumPy scalar where the shape is ().
Array = npt.NDArray[Any]
How = Literal["elementwise", "left", "right", "broadcast", "rearrange", "dense"]
HOWS: tuple[How, ...] = ("elementwise", "left", "right", "broadcast", "rearrange", "dense")


@dataclass(frozen=True)
class Call:
    """One application of an op as far as it is known before anything is computed: shapes and options."""

    shapes: tuple[Shape, ...]
    out: Shape
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LocalDerivative:
    """∂(node)/∂(operand) of one call, as a linear map.

    ``value(*forward values named by reads)`` is the array that is shown. ``how`` says how it is multiplied in:

    - ``elementwise``: upstream ⊙ local
    - ``left``: local @ upstream; ``right``: upstream @ local (matrices in the last two axes)
    - ``broadcast``: the derivative of a reduction: the upstream gradient, spread along the reduced axes, ⊙ local
    - ``rearrange``: local holds, for each entry of the operand, the flat position of the output entry it became, or −1
    - ``dense``: a full Jacobian, shaped output shape + operand shape

    ``formula`` is the local derivative in the program's own language, over the operand names of the op and ``out``; it
    is printed as mathematics, and evaluated in the tests against ``value``.
    ``upstream_as`` is the shape in which the upstream gradient enters the product, where it is not its own (a vector
    that enters as a row or a column, a reduction's kept axes); ``result_as`` the shape the product is read in.
    ``pull`` is a faster equivalent of `apply`, or None.
    ``kinks(*reads)`` marks the entries at which the derivative does not exist and ``convention`` was used.
    """

    how: How
    formula: str
    reads: tuple[str, ...]
    value: Callable[..., Array]
    upstream_as: Shape | None = None
    result_as: Shape | None = None
    pull: Callable[..., Array] | None = None
    kinks: Callable[..., Array] | None = None
    convention: str | None = None
    note: str | None = None

    def apply(self, upstream: Array, *reads: Array) -> Array:
        """The product of the upstream gradient and the local derivative, before any sum over broadcast axes."""
        if self.pull is not None:
            return self.pull(upstream, *reads)
        return self.multiply(upstream, self.value(*reads))

    def multiply(self, upstream: Array, local: Array) -> Array:
        """The product, from the array that is shown: what `pull` must agree with."""
        if self.upstream_as is not None:
            upstream = np.reshape(upstream, self.upstream_as)
        product: Array
        if self.how == "left":
            product = local @ upstream
        elif self.how == "right":
            product = upstream @ local
        elif self.how == "rearrange":
            product = np.append(upstream, upstream.dtype.type(0))[local]  # −1 takes the 0 at the end
        elif self.how == "dense":
            product = np.tensordot(upstream, local, axes=np.ndim(upstream))
        else:
            product = upstream * local
        return product if self.result_as is None else product.reshape(self.result_as)


#: Makes the local derivative of one operand of one call.
Derive = Callable[[Call], LocalDerivative]


@dataclass(frozen=True)
class Op:
    """A kind of operation, whole: everything the program knows of it is here.

    ``operands`` are the names that formulas use; a variadic op has one name and ``variadic`` set.
    ``shape(shapes, options)`` gives the result's shape or raises ShapeError. ``bind(call)`` gives the forward function
    of one call, a function of the operands' values. ``derivatives`` has one entry an operand (None: no derivative); a
    variadic op has ``variadic_derivative`` instead, which takes the operand's number after the call.
    ``formula`` is the forward result in the program's language, over the operand names and the names of the options;
    `forward_formula` has one call's options and operands in it. ``sentence`` is one plain sentence for the help page.
    ``options`` maps each keyword option to its default; `REQUIRED` marks those without one.
    """

    name: str
    operands: tuple[str, ...]
    shape: Callable[[tuple[Shape, ...], Mapping[str, Any]], Shape]
    bind: Callable[[Call], Callable[..., Array]]
    derivatives: tuple[Derive | None, ...]
    formula: str
    sentence: str
    options: Mapping[str, Any] = field(default_factory=dict)
    variadic: bool = False
    variadic_derivative: Callable[[Call, int], LocalDerivative] | None = None
    symbol: str | None = None
    examples: tuple[Call, ...] = ()
    domain: tuple[float, float] = (-2.0, 2.0)

    def derivative(self, call: Call, operand: int) -> LocalDerivative | None:
        """The local derivative by operand number ``operand`` of this call, or None where there is none."""
        if self.variadic:
            return self.variadic_derivative(call, operand) if self.variadic_derivative is not None else None
        derive = self.derivatives[operand]
        return None if derive is None else derive(call)

    def differentiable(self, operand: int) -> bool:
        """Whether a gradient flows to operand number ``operand``."""
        return self.variadic_derivative is not None if self.variadic else self.derivatives[operand] is not None

    def operand_name(self, operand: int) -> str:
        """The name by which formulas call operand number ``operand``."""
        return f"{self.operands[0]}{operand}" if self.variadic else self.operands[operand]

    def forward_formula(self, call: Call) -> str:
        """The formula of one call: its operands and options, with an option that is None or False left out."""
        text = self.formula
        for name, default in self.options.items():
            value = call.options.get(name, default)
            if value is None or value is False:
                text = text.replace(f", {name}={name}", "")
            text = text.replace(f"[{name}]", f"[{show_index(value)}]")
            text = re.sub(rf"\b{name}\b(?!=)", show_option(value), text)
        if self.variadic:
            text = re.sub(rf"\b{self.operands[0]}\b", ", ".join(map(self.operand_name, range(len(call.shapes)))), text)
        return text


REQUIRED = object()


def show_shape(shape: Shape) -> str:
    """A shape as text: ``scalar``, ``3``, ``2 × 3``."""
    return " × ".join(str(n) for n in shape) if shape else "scalar"


def show_option(value: Any) -> str:
    """The value of an option as a program writes it; a slice as it stands between brackets: ``1:3``."""
    if isinstance(value, slice):
        start, stop, step = ("" if part is None else str(part) for part in (value.start, value.stop, value.step))
        return f"{start}:{stop}:{step}" if step else f"{start}:{stop}"
    return repr(value)


def show_index(index: Any) -> str:
    """An index as a program writes it between brackets: ``0, 1:3``."""
    return ", ".join(map(show_option, index)) if isinstance(index, tuple) else show_option(index)


def broadcast_shape(name: str, shapes: tuple[Shape, ...]) -> Shape:
    """NumPy's broadcast of ``shapes``, or a ShapeError that names them."""
    first = shapes[0]
    for other in shapes[1:]:
        if other != first:
            break
    else:
        return first
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        text = " and ".join(show_shape(s) for s in shapes)
        raise ShapeError(
            f"{name} cannot broadcast the shapes {text}",
            op=name,
            shapes=shapes,
            hint="counted from the last axis, sizes must be equal or 1",
        ) from None


def summed_axes(product: Shape, operand: Shape) -> tuple[int, ...]:
    """The axes of ``product`` along which an operand of this shape was broadcast, so its gradient sums over them."""
    if product == operand:
        return ()
    lead = len(product) - len(operand)
    return tuple(range(lead)) + tuple(lead + i for i, size in enumerate(operand) if size == 1 and product[lead + i] != 1)


def unbroadcast(product: Array, operand: Shape) -> Array:
    """``product`` summed over the axes along which the operand was broadcast: the gradient in the operand's shape."""
    axes = summed_axes(product.shape, operand)
    if axes:
        product = np.add.reduce(product, axis=axes)
    return product if product.shape == operand else product.reshape(operand)


def product_shape(derivative: LocalDerivative, call: Call, operand: int) -> Shape:
    """The shape of the product before the sum over broadcast axes, known before anything is computed."""
    if derivative.result_as is not None:
        return derivative.result_as
    own = call.shapes[operand]
    if derivative.how in ("rearrange", "dense"):
        return own
    if derivative.how == "elementwise":
        return call.out
    if derivative.how == "broadcast":
        return np.broadcast_shapes(derivative.upstream_as or call.out, *call.shapes)
    # left and right: the matrix of the operand, batched as the output is
    lead = (derivative.upstream_as or call.out)[:-2]
    return lead + own[-2:] if len(own) >= 2 else own


def dense_jacobian(derivative: LocalDerivative, call: Call, operand: int, *reads: Array) -> Array:
    """The full Jacobian, shaped output shape + operand shape, made from the array that is shown and from `how`."""
    local = np.asarray(derivative.value(*reads), dtype=np.float64 if derivative.how == "rearrange" else None)
    own = call.shapes[operand]
    n_out, n_in = int(np.prod(call.out)), int(np.prod(own))
    jacobian = np.zeros((n_out, n_in))
    if derivative.how == "dense":
        return local.reshape(call.out + own)
    if derivative.how == "rearrange":
        for i, target in enumerate(local.ravel().astype(int)):
            if target >= 0:
                jacobian[target, i] = 1.0
        return jacobian.reshape(call.out + own)
    for i in range(n_out):
        one_hot = np.zeros(n_out)
        one_hot[i] = 1.0
        product = derivative.multiply(one_hot.reshape(call.out), local)
        jacobian[i] = unbroadcast(np.broadcast_to(product, product_shape(derivative, call, operand)), own).ravel()
    return jacobian.reshape(call.out + own)


# The building stones of the families' entries.


def one() -> Array:
    """The local derivative that is 1."""
    return np.float64(1.0)  # type: ignore[return-value]  # a NumPy scalar is an Array here; NumPy types it apart


def read(value: Array) -> Array:
    """The local derivative that is a stored forward value as it stands."""
    return value


def unchanged(upstream: Array) -> Array:
    """The pull of a local derivative that is 1."""
    return upstream


def elementwise(
    formula: str,
    reads: tuple[str, ...],
    value: Callable[..., Array],
    *,
    pull: Callable[..., Array] | None = None,
    kinks: Callable[..., Array] | None = None,
    convention: str | None = None,
    note: str | None = None,
) -> Derive:
    """The rule ``upstream ⊙ value(reads)``, the same for every call."""
    if pull is None and value is one:
        pull = unchanged
    elif pull is None and value is read:
        pull = operator.mul
    derivative = LocalDerivative("elementwise", formula, reads, value, pull=pull, kinks=kinks, convention=convention, note=note)
    return lambda call: derivative


def same_shape(shapes: tuple[Shape, ...], _options: Mapping[str, Any]) -> Shape:
    """The shape rule of an op of one operand, entry by entry."""
    return shapes[0]


def fixed(function: Callable[..., Array]) -> Callable[[Call], Callable[..., Array]]:
    """A forward function that depends on no shape and no option."""
    return lambda call: function
