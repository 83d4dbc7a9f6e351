"""A document → a `Scenario`: the tables and keys of the format, the values, and the compiled program."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any, cast

import numpy as np

from backprop_tui.errors import ProgramError, ScenarioError, ShapeError
from backprop_tui.graph import Graph
from backprop_tui.ops import CALLABLE
from backprop_tui.ops.op import Array
from backprop_tui.program import compile_program, is_name
from backprop_tui.scenario.checks import Checker, check_limits
from backprop_tui.scenario.document import Document, figure, quoted
from backprop_tui.scenario.model import Expected, Limits, Precision, Scenario, Training
from backprop_tui.scenario.values import ValueReader

FORMAT = 1
SETTINGS = ("format", "title", "description", "source", "tags", "precision", "seed", "loss", "program")
TABLES = ("data", "parameters", "symbols", "training", "expected", "claims", "notes", "breakpoints", "watches")
TRAINING_KEYS = ("steps", "learning_rate", "update")
EXPECTED_KEYS = ("tolerance", "values", "gradients", "updated")
DTYPES: dict[str, type[np.floating[Any]]] = {"float64": np.float64, "float32": np.float32}


def read_scenario(
    document: Document, text: str, name: str, path: FilePath | None, folder: FilePath | None, limits: Limits
) -> Scenario:
    """The scenario that a document describes; ``folder`` is where its files lie. Raises ScenarioError, placed."""
    top = document.table
    _check_format(document)
    document.known(top, (), SETTINGS + TABLES)
    title, program = document.text(top, ("title",)), document.text(top, ("program",))
    if title is None:
        document.missing((), "the scenario has no title", 'write title = "…"')
    if program is None:
        document.missing((), "the scenario has no program", "write program = '''…''' with one name = expression a line")
    description, source = document.text(top, ("description",)), document.text(top, ("source",))
    tags = document.texts(top, ("tags",))
    precision = document.choice(top, ("precision",), tuple(DTYPES)) or "float64"
    seed = document.whole(top, ("seed",), 0) or 0
    loss = document.text(top, ("loss",))
    values = ValueReader(document, DTYPES[precision], seed, folder, limits)
    data, parameters = _leaves(document, values)
    graph = _compiled(document, program, loss, data, parameters, limits)
    training = _training(document, parameters)
    check_limits(document, graph, training, values.dtype.itemsize, limits)
    checker = Checker(document, graph, len(program.rstrip("\n").split("\n")))
    return Scenario(
        path=path,
        name=name,
        text=text,
        title=title,
        description=description or "",
        source=source or "",
        tags=tags or (),
        precision=cast(Precision, precision),
        seed=seed,
        program=program,
        program_line=_program_line(document),
        loss=loss,
        data=data,
        parameters=parameters,
        symbols=checker.symbols(),
        training=training,
        expected=_expected(document, values, checker, training),
        claims=checker.claims(),
        notes=checker.notes(),
        breakpoints=checker.breakpoints(),
        watches=checker.watches(),
        limits=limits,
        graph=graph,
    )


def _check_format(document: Document) -> None:
    version = document.table.get("format")
    if version is None:
        document.missing((), "the scenario has no format", f"write format = {FORMAT}")
    if type(version) is not int:
        raise document.wrong(("format",), version, f"the whole number {FORMAT}")
    if version != FORMAT:
        message = f"format {figure(version)} is not known"
        raise document.error(("format",), message, f"this version of backprop-tui reads format = {FORMAT}")


def _leaves(document: Document, values: ValueReader) -> tuple[dict[str, Array], dict[str, Array]]:
    """The arrays of [data] and [parameters]."""
    tables = {key: document.subtable(document.table, (key,)) for key in ("data", "parameters")}
    leaves: dict[str, dict[str, Array]] = {"data": {}, "parameters": {}}
    for key, table in tables.items():
        for name, raw in table.items():
            _check_name(document, key, name)
            if key == "parameters" and name in tables["data"]:
                message = f"{quoted(name)} is in [data] and in [parameters]"
                raise document.error((key, name), message, "a name is either data or a parameter")
            leaves[key][name] = values.read(raw, (key, name), name)
    return leaves["data"], leaves["parameters"]


def _check_name(document: Document, table: str, name: str) -> None:
    if not is_name(name):
        if name in CALLABLE:
            hint = f"'{name}' is an op of the language"
        elif name.isidentifier():
            hint = f"'{name}' is a word of the language"
        else:
            hint = "a name has letters, digits and _, and does not begin with a digit"
        raise document.error((table, name), f"{quoted(name)} in [{table}] cannot be the name of a variable", hint)
    if not name.isascii() and (plain := unicodedata.normalize("NFKC", name)) != name:
        message = f"{quoted(name)} in [{table}] is read as {quoted(plain)} in a program"
        raise document.error((table, name), message, f"write {quoted(plain)}")


def _training(document: Document, parameters: Mapping[str, Array]) -> Training | None:
    if "training" not in document.table:
        return None
    table, where = document.subtable(document.table, ("training",)), " in [training]"
    document.known(table, ("training",), TRAINING_KEYS, where)
    rate = document.number(table, ("training", "learning_rate"), where)
    if rate is None:
        document.missing(("training",), "[training] has no learning_rate", "write learning_rate = 0.1")
    steps = document.whole(table, ("training", "steps"), 1, where)
    update = document.texts(table, ("training", "update"), where)
    for i, name in enumerate(update or ()):
        at = ("training", "update", i)
        if name not in parameters:
            raise document.error(at, *document.unknown(name, parameters, "parameter", " in update"))
        if name in (update or ())[:i]:
            raise document.error(at, f"{quoted(name)} is twice in update", "name each parameter once")
    return Training(1 if steps is None else steps, rate, tuple(parameters) if update is None else update)


def _expected(document: Document, values: ValueReader, checker: Checker, training: Training | None) -> Expected:
    table, where = document.subtable(document.table, ("expected",)), " in [expected]"
    document.known(table, ("expected",), EXPECTED_KEYS, where)
    tolerance = document.number(table, ("expected", "tolerance"), where)
    if tolerance is not None and not tolerance > 0:
        raise document.wrong(("expected", "tolerance"), table["tolerance"], "a number greater than 0", where)
    found: dict[str, dict[str, Array]] = {}
    for key in EXPECTED_KEYS[1:]:
        found[key] = {}
        for name, raw in document.subtable(table, ("expected", key)).items():
            path = ("expected", key, name)
            if key == "updated":
                shape = checker.updated_shape(name, path, training)
            else:
                shape = checker.shape(name, path, f" in expected.{key}")
            array = values.read(raw, path, name)
            checker.same_shape(array.shape, shape, path, "gradient" if key == "gradients" else "value")
            found[key][name] = array
    return Expected(1e-9 if tolerance is None else tolerance, found["values"], found["gradients"], found["updated"])


# The program


def _program_line(document: Document) -> int:
    return (document.places.in_string(("program",), 0) or (document.line(("program",)), 1))[0]


def _compiled(
    document: Document,
    program: str,
    loss: str | None,
    data: Mapping[str, Array],
    parameters: Mapping[str, Array],
    limits: Limits,
) -> Graph:
    """The program's graph; what is wrong with the program is placed in the file."""
    shapes = [{name: array.shape for name, array in leaves.items()} for leaves in (data, parameters)]
    try:
        return compile_program(program, shapes[0], shapes[1], loss=loss, max_steps=limits.max_steps)
    except (RecursionError, MemoryError):
        deep = ProgramError("an expression is nested too deeply", hint="give its parts names of their own")
        _place(document, program, loss, deep)
        raise document.finish(deep) from None
    except ScenarioError as error:
        _place(document, program, loss, error)
        document.finish(error)
        raise


def _place(document: Document, program: str, loss: str | None, error: ScenarioError) -> None:
    """Turns an error's place in the program into its place in the file."""
    if error.line is None and isinstance(error, ShapeError) and loss is None:
        last = [match.start() for match in re.finditer(rf"^{re.escape(error.source)}[ \t]*=", program, re.MULTILINE)]
        if last:  # the loss, where it was assigned last
            error.line, error.column = program.count("\n", 0, last[-1]) + 1, 1
    if error.line is None:
        on_loss = loss is not None and error.message.startswith("the loss ")
        error.line, error.column = document.places.place(("loss",) if on_loss else ("program",)) or (None, None)
        return
    lines = program.split("\n")
    before = lines[: max(0, min(error.line, len(lines)) - 1)]
    offset = sum(map(len, before)) + len(before) + (error.column or 1) - 1
    place = document.places.in_string(("program",), offset)
    if place is None:
        error.line += _program_line(document) - 1
    else:
        error.line, error.column = place[0], place[1] if error.column is not None else None
