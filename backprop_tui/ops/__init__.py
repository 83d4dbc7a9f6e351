"""Every op, one entry each, in the file of its family; `OPS` is the table of them all.

To add one, write an `Op` entry in the file of its family and name it in that file's ``FAMILY``. Everything else (the
language, the steps, the screen, the trace, the checks, the tests) follows from the entry.
"""

from __future__ import annotations

from backprop_tui.ops import arithmetic, elementwise, linear_algebra, losses, reductions, shaping
from backprop_tui.ops.op import Op

#: Every op by its name.
OPS: dict[str, Op] = {
    op.name: op for family in (arithmetic, elementwise, linear_algebra, reductions, shaping, losses) for op in family.FAMILY
}

#: The ops that a program writes with an operator, not by name.
OPERATORS: frozenset[str] = frozenset(op.name for op in (*arithmetic.FAMILY, linear_algebra.MATMUL)) | {"index"}

#: The ops that a program calls by name.
CALLABLE: dict[str, Op] = {name: op for name, op in OPS.items() if name not in OPERATORS}
