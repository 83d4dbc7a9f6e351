"""What if a value were another one: a change at the position, from which a second recording goes on.

A change names its target as the program does, ``W1``, ``h[0, 2]``, ``grad(z2)``, or ``learning_rate``; what it becomes is an
expression over the values of the moment, or nan, inf or -inf. What was executed up to the position stays as it is.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from backprop_tui.conditions import NotThereError, reader, watched
from backprop_tui.debugger import Debugger
from backprop_tui.errors import CommandError, ShapeError, did_you_mean
from backprop_tui.ops.op import Array, show_shape
from backprop_tui.recording import Recording

RATE = "learning_rate"
_TARGET = re.compile(r"(?P<grad>grad ?\()? ?(?P<name>[^\[\]()=\s]+)(?(grad) ?\)) ?(?:\[(?P<index>[^\]]*)\])?$")
_NUMBERS = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}


class Change(NamedTuple):
    """One change: at which position, of what, in whose place of it, and what it became. ``text`` is how it was written."""

    position: int
    node: int | None
    gradient: bool
    entry: tuple[int, ...]
    value: Array
    text: str


def read(text: str, debugger: Debugger) -> Change:
    """A change at the debugger's position, from its text: ``W1[0, 1] = 0.5``. Raises CommandError."""
    target, sign, source = text.partition("=")
    target, source = " ".join(target.split()), source.strip()
    if not sign or not target or not source:
        raise CommandError("a change is written NAME = VALUE, for example W1[0, 1] = 0.5, grad(z2) = 0, learning_rate = 0.1")
    value = _value(source, debugger)
    if target == RATE and debugger.graph.resolve(RATE) is None:
        if value.shape or not np.isfinite(value):
            raise CommandError("the learning rate is one finite number")
        if not debugger.plan.update_steps:
            raise CommandError("nothing is updated in this run: its scenario has no [training]")
        return Change(debugger.position, None, False, (), value, f"{RATE} = {source}")
    match = _TARGET.match(target)
    if match is None:
        raise CommandError(f"'{target}' cannot be changed: write a name, an entry as in W1[0, 1], or grad(NAME)")
    node = _node(match["name"], debugger)
    before = _before(node, match["grad"] is not None, debugger)
    index = _index(match["index"], np.shape(before), match["name"])
    place = np.shape(before)[len(index) :]
    try:
        np.broadcast_to(value, place)
    except ValueError:
        raise CommandError(f"a value of shape {show_shape(value.shape)} does not fit into {target}, {show_shape(place)}") from None
    return Change(debugger.position, node, match["grad"] is not None, index, value, f"{target} = {source}")


def _value(source: str, debugger: Debugger) -> Array:
    if source in _NUMBERS:
        return np.asarray(_NUMBERS[source])
    formula = watched(source, debugger.graph)
    values, gradients = reader(debugger.run, debugger.position)
    try:
        with np.errstate(all="ignore"):
            return np.asarray(formula.evaluate(values, gradients))
    except NotThereError as error:
        raise CommandError(f"{error} is not computed yet") from None
    except ShapeError as error:
        raise CommandError(error.message + (f"; {error.hint}" if error.hint else "")) from None


def _node(name: str, debugger: Debugger) -> int:
    node = debugger.graph.resolve(name)
    if node is None and name == RATE:
        raise CommandError(f"the learning rate is one number: write {RATE} = 0.1")
    if node is None or node in debugger.graph.constants:
        known = [*debugger.graph.variables, *debugger.graph.by_name, RATE]
        hint = did_you_mean(name, known)
        raise CommandError(f"unknown name '{name}'" + (f"; {hint}" if hint else ""))
    return node


def _before(node: int, gradient: bool, debugger: Debugger) -> Array:
    """What is to be changed, as it stands. Raises CommandError where there is nothing yet."""
    state, label = debugger.run.state(debugger.position), debugger.graph.label(node)
    if gradient:
        found = state.gradient(node)
        if found is not None:
            return found
        if node != debugger.graph.loss and not len(debugger.plan.writes_to(node)):
            raise CommandError(f"{label} gets no gradient: no parameter's gradient needs it")
        raise CommandError(f"{label} has no gradient at step {debugger.position}; go to where it gets one first")
    if not state.has_value(node):
        step = debugger.plan.step_of(state.iteration, "forward", node - debugger.graph.leaves)
        raise CommandError(f"{label} is not computed at step {debugger.position}; it is in step {step}")
    return state.value(node)


def _index(text: str | None, shape: tuple[int, ...], name: str) -> tuple[int, ...]:
    if text is None:
        return ()
    try:
        index = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise CommandError(f"'[{text}]' is no place of {name}: write whole numbers, as in [0, 1]") from None
    inside = len(index) <= len(shape) and all(-size <= i < size for i, size in zip(index, shape, strict=False))
    if not inside:
        raise CommandError(f"{name} has no entry [{text}]: its shape is {show_shape(shape)}")
    return index


def forked(run: Recording, change: Change) -> Recording:
    """The recording in which a change was made."""
    new = run.forked(change.position)
    if change.node is None:
        new.learning_rate = float(change.value)
        return new
    state = run.state(change.position)
    before: Any = state.gradient(change.node) if change.gradient else state.value(change.node)
    after = np.array(before)
    with np.errstate(all="ignore"):  # what is too large for single precision becomes infinite, as anywhere
        after[change.entry] = change.value
    if change.gradient:
        new.change_gradient(change.node, after[()])
    else:
        new.change_value(change.node, after[()])
    return new


def apply(debugger: Debugger, text: str) -> str:
    """Makes a change at the position: a second recording goes on from there. Answers what to say. Raises CommandError."""
    change = read(text, debugger)
    debugger.add_run(forked(debugger.run, change), change.text)
    return f"{change.text} at step {change.position}: this is recording {debugger.run_number} of {len(debugger.recordings)}"


def undo(debugger: Debugger) -> str:
    """Takes the change that made this recording back; the one it came from is stepped through again."""
    if debugger.run.parent is None:
        raise CommandError("there is no change to undo: this is the scenario's own recording")
    text = debugger.changes[debugger.run]
    debugger.drop_run()
    return f"undone: {text}"
