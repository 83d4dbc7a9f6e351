"""A well-formed scenario: what each key of the format becomes. What is refused is in test_bad_scenarios."""

from __future__ import annotations

import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backprop_tui.errors import ProgramError, ScenarioError, ShapeError
from backprop_tui.scenario import Limits, Scenario, bundled, find, library, load, loads
from backprop_tui.scenario.toml_text import Places

WHOLE = """\
format = 1                                  # required
title = "Two layers, sigmoid on both"       # required
description = "What this teaches."          # Markdown
source = "Where its numbers come from."
tags = ["sigmoid", "matrix"]
precision = "float64"                       # or "float32"
seed = 0                                    # of the random initialisers
loss = "L"                                  # the scalar that is differentiated

program = '''
z1 = x @ W1 + b1
h = sigmoid(z1)
z2 = h @ W2 + b2
yhat = sigmoid(z2)
L = half_squared_error(yhat, y)
'''

[data]                                      # leaves that get no gradient
x = [[0.05, 0.10]]
y = [[0.01, 0.99]]

[parameters]                                # leaves that get one
W1 = [[0.15, 0.25], [0.20, 0.30]]
b1 = [0.35, 0.35]
W2 = [[0.40, 0.50], [0.45, 0.55]]           # or an initialiser: { normal = [2, 2], scale = 0.1 }
b2 = { full = [2], value = 0.6 }

[symbols]
W1 = "W⁽¹⁾"

[training]                                  # without it: one forward and one backward pass
steps = 3
learning_rate = 0.5
update = ["W1", "W2"]                       # default: every parameter

[expected]                                  # known answers: `check` compares them
tolerance = 1e-8
values = { L = 0.298371109, "h#1" = [[0.1, 0.2]] }
gradients = { W1 = [[0.000438568, 0.000497713], [0.000877135, 0.000995425]] }
updated = { W1 = [[0.149780716, 0.249751144], [0.199561432, 0.299502287]] }

[[claims]]
gradient = "W2"
formula = "(yhat - y) @ h"
verdict = "shape"
note = "The factor order of the notes."

[[claims]]
gradient = "yhat"
formula = " yhat - y"

[[notes]]
at = "z2"
phase = "backward"
text = "Store σ(z₂)."

[[notes]]
line = 3
text = "Everywhere."

[[breakpoints]]
at = "W1"
when = "max(abs(grad)) > 5"

[[breakpoints]]
line = 2

[[breakpoints]]
phase = "backward"
when = "min(contribution * upstream * local + value) < sum(h)"

[[watches]]
expression = "norm(grad(W1))"
"""

SMALL = "format = 1\ntitle = 't'\nprogram = 'L = sum(w)'\n"


@pytest.fixture(scope="module")
def whole() -> Scenario:
    return loads(WHOLE, name="two layers")


def parameter(value: str, head: str = "", folder: Path | None = None) -> np.ndarray:
    """The array that a value in [parameters] stands for."""
    return loads(f"{SMALL}{head}\n[parameters]\nw = {value}\n", folder=folder).parameters["w"]


def refused(text: str, **given: object) -> str:
    with pytest.raises(ScenarioError) as caught:
        loads(text, **given)  # type: ignore[arg-type]  # given is of mixed types on purpose
    return str(caught.value)


def test_head(whole: Scenario) -> None:
    assert (whole.path, whole.name, whole.text) == (None, "two layers", WHOLE)
    assert (whole.title, whole.description) == ("Two layers, sigmoid on both", "What this teaches.")
    assert (whole.source, whole.tags) == ("Where its numbers come from.", ("sigmoid", "matrix"))
    assert (whole.precision, whole.seed, whole.loss) == ("float64", 0, "L")
    assert whole.program.startswith("z1 = x @ W1 + b1\n")
    assert WHOLE.split("\n")[whole.program_line - 1] == "z1 = x @ W1 + b1"
    assert whole.graph.label(whole.graph.loss) == "L"


def test_leaves(whole: Scenario) -> None:
    assert list(whole.data) == ["x", "y"]
    assert list(whole.parameters) == ["W1", "b1", "W2", "b2"]
    assert whole.data["x"].tolist() == [[0.05, 0.10]]
    assert whole.parameters["b2"].tolist() == [0.6, 0.6]
    for array in (*whole.data.values(), *whole.parameters.values(), *whole.expected.gradients.values()):
        assert array.dtype == np.float64
        assert not array.flags.writeable


def test_training_and_expected(whole: Scenario) -> None:
    assert whole.training is not None
    assert (whole.training.steps, whole.training.learning_rate) == (3, 0.5)
    assert whole.training.update == ("W1", "W2")
    assert whole.expected.tolerance == 1e-8
    assert isinstance(whole.expected.values["L"], np.float64)
    assert whole.expected.values["h#1"].shape == (1, 2)
    assert list(whole.expected.gradients) == list(whole.expected.updated) == ["W1"]


def test_tables(whole: Scenario) -> None:
    assert whole.symbols == {"W1": "W⁽¹⁾"}
    first, second = whole.claims
    assert (first.gradient, first.text, first.verdict) == ("W2", "(yhat - y) @ h", "shape")
    assert (first.note, first.formula.names) == ("The factor order of the notes.", ("yhat", "y", "h"))
    assert WHOLE.split("\n")[first.line - 1] == "[[claims]]"
    assert second.line == first.line + 6
    assert (second.verdict, second.note, second.text) == ("correct", "", " yhat - y")
    assert [(n.node_name, n.line, n.phase) for n in whole.notes] == [("z2", None, "backward"), (None, 3, None)]
    assert [n.text for n in whole.notes] == ["Store σ(z₂).", "Everywhere."]
    assert [(b.at, b.line, b.phase) for b in whole.breakpoints] == [
        ("W1", None, None),
        (None, 2, None),
        (None, None, "backward"),
    ]
    assert [b.when is None for b in whole.breakpoints] == [False, True, False]
    (watch,) = whole.watches
    assert (watch.text, watch.expression.gradients) == ("norm(grad(W1))", ("W1",))


def test_defaults() -> None:
    small = loads(SMALL + "parameters.w = 1\n")
    assert (small.description, small.source, small.tags, small.symbols) == ("", "", (), {})
    assert (small.precision, small.seed, small.loss, small.name) == ("float64", 0, None, "scenario")
    assert small.training is None
    assert (small.expected.tolerance, small.expected.values) == (1e-9, {})
    assert (small.claims, small.notes, small.breakpoints, small.watches) == ((), (), (), ())
    assert (small.limits.max_steps, small.limits.max_bytes) == (2_000_000, 2**30)
    assert (small.program_line, small.data) == (3, {})
    training = loads(SMALL + "parameters = { w = 1, v = 2 }\ntraining.learning_rate = 1").training
    assert training is not None
    assert (training.steps, training.learning_rate, training.update) == (1, 1.0, ("w", "v"))


def test_loss_by_default_is_the_last_name() -> None:
    text = "format = 1\ntitle = 't'\nparameters.w = 1\nprogram = '''\nL = w * 2\nM = L * 3\n'''\n"
    assert loads(text).graph.label(loads(text).graph.loss) == "M"
    assert loads("loss = 'L'\n" + text).graph.label(loads("loss = 'L'\n" + text).graph.loss) == "L"


# Values


def test_numbers() -> None:
    assert isinstance(parameter("3"), np.float64)
    assert parameter("-1.5e3") == -1500
    assert parameter("0x10") == 16
    assert np.isnan(parameter("nan"))
    assert parameter("[inf, -inf, 1e400]").tolist() == [np.inf, -np.inf, np.inf]


def test_lists() -> None:
    assert parameter("[1, 2.5]").tolist() == [1.0, 2.5]
    assert parameter("[\n [[1, 2], [3, 4]], # comment\n [[5, 6], [7, 8]],\n]").tolist() == [
        [[1, 2], [3, 4]],
        [[5, 6], [7, 8]],
    ]
    assert parameter("[[], []]").shape == (2, 0)
    assert parameter("[]").shape == (0,)


def test_initialisers() -> None:
    assert parameter("{ zeros = [2, 3] }").tolist() == [[0, 0, 0], [0, 0, 0]]
    assert parameter("{ ones = 2 }").tolist() == [1, 1]
    assert parameter("{ full = [2, 1], value = -0.5 }").tolist() == [[-0.5], [-0.5]]
    assert isinstance(parameter("{ full = [], value = 2 }"), np.float64)
    assert parameter("{ eye = 2 }").tolist() == [[1, 0], [0, 1]]
    assert parameter("{ range = 3 }").tolist() == [0, 1, 2]
    assert parameter("{ zeros = [0, 3] }").shape == (0, 3)
    assert isinstance(parameter("{ normal = [] }"), np.float64)


def test_random_values() -> None:
    normal = parameter("{ normal = [500, 40], mean = 3, scale = 0.5 }")
    assert abs(normal.mean() - 3) < 0.02
    assert abs(normal.std() - 0.5) < 0.02
    uniform = parameter("{ uniform = 20000, low = -1, high = 3 }")
    assert -1 <= uniform.min() < -0.99
    assert 2.99 < uniform.max() <= 3
    standard = parameter("{ normal = [500, 40] }")
    assert np.allclose(normal, standard * 0.5 + 3)
    assert 0 <= parameter("{ uniform = 100 }").min() <= parameter("{ uniform = 100 }").max() <= 1


def test_random_values_depend_on_seed_and_name_only() -> None:
    alone = parameter("{ normal = 5 }")
    other = loads(SMALL + "data.a = { normal = 5 }\nparameters = { v = { normal = 5 }, w = { normal = 5 } }")
    assert other.parameters["w"].tolist() == alone.tolist()
    assert other.parameters["v"].tolist() != alone.tolist()
    assert other.data["a"].tolist() != alone.tolist()
    assert parameter("{ normal = 5 }", "seed = 1").tolist() != alone.tolist()
    assert parameter("{ normal = 5 }", "precision = 'float32'").tolist() == alone.astype(np.float32).tolist()


def test_float32() -> None:
    text = SMALL + "precision = 'float32'\nparameters = { w = [0.1, 1e300], v = 0.1 }\nexpected.values.L = 0.1"
    scenario = loads(text)
    assert scenario.parameters["w"].dtype == np.float32
    assert scenario.parameters["w"].tolist() == [float(np.float32(0.1)), np.inf]
    assert isinstance(scenario.parameters["v"], np.float32)
    assert isinstance(scenario.expected.values["L"], np.float32)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", ">f8", "int8", "uint64", "bool"])
@pytest.mark.parametrize("shape", [(2, 3), (), (0, 2), (4,)])
def test_npy(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    array = np.asarray(np.arange(np.prod(shape)).reshape(shape), dtype=dtype)
    (tmp_path / "sub").mkdir()
    np.save(tmp_path / "sub" / "w.npy", array)
    found = parameter("{ file = 'sub/../sub/w.npy' }", folder=tmp_path)
    assert found.tolist() == array.astype(float).tolist()
    assert found.dtype == np.float64
    assert found.shape == shape
    np.save(tmp_path / "w.npy", np.asarray(array, order="F"))
    assert parameter("{ file = 'w.npy' }", folder=tmp_path).tolist() == array.astype(float).tolist()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path: Path, save: object) -> None:
    save(tmp_path / "w.npz", W1=np.eye(2), W2=np.asfortranarray([[1, 2], [3, 4]]))  # type: ignore[operator]  # parametrised over functions
    assert parameter("{ file = 'w.npz', array = 'W1' }", folder=tmp_path).tolist() == [[1, 0], [0, 1]]
    assert parameter("{ file = 'w.npz', array = 'W2' }", folder=tmp_path).tolist() == [[1, 2], [3, 4]]


def test_csv(tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_bytes(b"\xef\xbb\xbf1, 2.5\r\n-3e2 ,nan\r\n\r\n")
    found = parameter("{ file = 'w.csv' }", folder=tmp_path)
    assert str(found.tolist()) == "[[1.0, 2.5], [-300.0, nan]]"
    (tmp_path / "row.csv").write_text("1,2,3")
    assert parameter("{ file = 'row.csv' }", folder=tmp_path).shape == (1, 3)


def test_link_inside_the_folder(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.ones(2))
    (tmp_path / "link.npy").symlink_to(tmp_path / "w.npy")
    assert parameter("{ file = 'link.npy' }", folder=tmp_path).tolist() == [1, 1]


def test_a_text_alone_reads_no_files() -> None:
    assert "a scenario needs a folder to read from" in refused(SMALL + "parameters.w = { file = 'w.npy' }")


def test_npz_bomb(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "w.npz", W=np.zeros(2**20))
    text = SMALL + "parameters.w = { file = 'w.npz', array = 'W' }"
    message = refused(text, folder=tmp_path, limits=Limits(max_bytes=2**20))
    assert "the values of this scenario would take 8 MiB, more than the limit of 1 MiB; raise it with" in message


# Limits


def test_limit_of_steps() -> None:
    text = SMALL + "parameters.w = 1\ntraining = { steps = 10, learning_rate = 1 }"
    assert loads(text, limits=Limits(max_steps=40)).limits.max_steps == 40  # forward, seed, backward, update
    assert "would take 40 steps, more than the limit of 39; raise it with --max-steps" in refused(text, limits=Limits(max_steps=39))


def test_limit_of_bytes() -> None:
    text = SMALL + "parameters.w = { ones = 1000 }\n"
    taken = 8 * (1 + 1000)  # the sum, and the gradient of w
    loads(text, limits=Limits(max_bytes=taken))
    hint = "raise it with --max-bytes"
    assert hint in refused(text, limits=Limits(max_bytes=taken - 1))
    assert hint in refused(text, limits=Limits(max_bytes=7999))
    loads(
        text.replace("[", "\nprecision = 'float32'\n[", 0) + "precision = 'float32'",
        limits=Limits(max_bytes=taken // 2),
    )


def test_nothing_is_allocated_beyond_the_limit() -> None:
    begin = time.perf_counter()
    for value in ("{ zeros = [100000, 100000] }", "{ eye = 1000000 }", "{ normal = 10000000000 }"):
        assert "--max-bytes" in refused(SMALL + f"parameters.w = {value}")
    assert time.perf_counter() - begin < 1


@pytest.mark.parametrize(
    "loops",
    [
        "for t in range(100000000):\n  h = h * w",
        "for i in range(100000):\n  for j in range(100000):\n    h = h * w",
    ],
)
def test_endless_loops_end_soon(loops: str) -> None:
    begin = time.perf_counter()
    text = f"format = 1\ntitle = 't'\nparameters.w = 1\nprogram = '''\nh = w\n{loops}\nL = h\n'''"
    assert "more than 2,000,000 steps, the limit; raise it with --max-steps" in refused(text)
    assert time.perf_counter() - begin < 1


# Files and bundled scenarios


def test_load_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(("\ufeff" + WHOLE.replace("\n", "\r\n")).encode())
    np.save(tmp_path / "w.npy", np.ones(2))
    for source in (file, str(file)):
        scenario = load(source)
        assert (scenario.path, scenario.name) == (file, "mine")
        assert scenario.text == WHOLE.replace("\n", "\r\n")
        claims = WHOLE.split("\n").index("[[claims]]") + 1
        assert (scenario.program_line, scenario.claims[0].line) == (11, claims)
    file.write_text(SMALL + "parameters.w = { file = 'w.npy' }\n")
    assert load(file).parameters["w"].tolist() == [1, 1]


def test_the_file_is_called_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text("format = 2")
    with pytest.raises(ScenarioError) as caught:
        load("./mine.toml")
    assert caught.value.file == "./mine.toml"


def test_bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("other/a", "examples/b", "examples/a", "notes/sigmoid", "loose"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.toml").write_text(SMALL + "parameters.w = 1\n")
    (tmp_path / "notes" / "README.md").write_text("no scenario")
    monkeypatch.setattr(library, "folder", lambda: tmp_path)
    assert [e.name for e in bundled()] == ["notes/sigmoid", "examples/a", "examples/b", "loose", "other/a"]
    assert find("notes/sigmoid") == find("notes/sigmoid.toml") == tmp_path / "notes" / "sigmoid.toml"
    assert find("notes/sigmoi") is None
    assert load("notes/sigmoid").name == load("notes/sigmoid.toml").name == "notes/sigmoid"
    assert load("notes/sigmoid").path == tmp_path / "notes" / "sigmoid.toml"
    with pytest.raises(ScenarioError) as caught:
        load("notes/sigmoi")
    assert str(caught.value) == "no file and no bundled scenario 'notes/sigmoi'; did you mean 'notes/sigmoid'?"


def test_every_bundled_scenario_loads() -> None:
    for entry in bundled():
        assert load(entry.name).name == entry.name


def test_a_checkout_has_its_scenarios_beside_the_package() -> None:
    folder = library.folder()
    assert folder is None or folder.name == "scenarios"


# Errors of the program keep their kind


def test_kinds_of_errors() -> None:
    head = "format = 1\ntitle = 't'\nparameters = { w = [1, 2] }\ndata = { x = [1, 2, 3] }\nprogram = '''\n"
    with pytest.raises(ShapeError) as shape:
        loads(head + "L = sum(w * x)'''")
    assert (shape.value.file, shape.value.line, shape.value.column) == ("scenario", 6, 9)
    assert (shape.value.op, shape.value.shapes, shape.value.source) == ("multiply", ((2,), (3,)), "w * x")
    with pytest.raises(ProgramError) as program:
        loads(head + "\nL = sum(v)'''")
    assert (program.value.line, program.value.column, program.value.hint) == (7, 9, "known: e, pi, w, x")


# Places


@pytest.mark.parametrize(
    ("text", "path", "place"),
    [
        ("a = 1\nb = 2", ("b",), (2, 1)),
        ("a = 1 # b = 3\n  b = 2", ("b",), (2, 3)),
        ("a = '''\nb = 1\n'''\nb = 2", ("b",), (4, 1)),
        ('a = """\nb = 1 \\"""\nb = 3\n""""\nb = 2', ("b",), (5, 1)),
        ('a = "\\"\\\\"\nb = 2', ("b",), (2, 1)),
        ("a = [1, # ]\n 2, '[', [3]]\nb = 2", ("b",), (3, 1)),
        ("a = [1, # ]\n 2, '[', [3]]\nb = 2", ("a", 3, 0), (2, 11)),
        ("[t]\na = 1\n[u]\na = 2", ("u", "a"), (4, 1)),
        ("[t]\na = 1\n[u]\na = 2", ("u",), (3, 1)),
        ("[t.u]\na = 1", ("t", "u", "a"), (2, 1)),
        ("t.u.a = 1", ("t", "u", "a"), (1, 1)),
        ('["t" . \'u\']\n"a b" = 1', ("t", "u", "a b"), (2, 1)),
        ('"\\u0061" = 1', ("a",), (1, 1)),
        ("[[c]]\na = 1\n[[c]]\na = 2", ("c", 1, "a"), (4, 1)),
        ("[[c]]\n[c.d]\na = 1\n[[c]]\n[c.d]\na = 2", ("c", 1, "d", "a"), (6, 1)),
        ("c = [{ a = 1 },\n  { b = 1, a = 2 }]", ("c", 1, "a"), (2, 12)),
        ("t = { a = { b = [1, 2] } }", ("t", "a", "b", 1), (1, 21)),
        ("[t]\na = 1", ("t", "missing"), (1, 1)),
        ("a = 1\r\nb = 2", ("b",), (2, 1)),
        ("a = 1", ("b",), None),
    ],
)
def test_places(text: str, path: tuple[str | int, ...], place: tuple[int, int] | None) -> None:
    assert Places(text).place(path) == place


@pytest.mark.parametrize(
    ("text", "offset", "place"),
    [
        ("p = 'abc'", 2, (1, 8)),
        ('p = "a\\nb\\u00e9c"', 4, (1, 16)),
        ("p = '''\na\nb'''", 2, (3, 1)),
        ("p = '''a\nb'''", 0, (1, 8)),
        ('p = """\\\n   ab \\\n\n  cd"""', 0, (2, 4)),
        ('p = """\\\n   ab \\\n\n  cd"""', 3, (4, 3)),
        ('p = """\n\\"\\\\x"""', 2, (2, 5)),
    ],
)
def test_places_in_strings(text: str, offset: int, place: tuple[int, int]) -> None:
    assert Places(text).in_string(("p",), offset) == place


@given(st.text(alphabet="ab\\\n \t\"'é", max_size=20), st.sampled_from(["'", '"', "'''", '"""']))
def test_each_character_of_a_string_is_found(raw: str, quote: str) -> None:
    text = f"p = {quote}{raw}{quote}\n"
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    places, lines = Places(text), text.split("\n")
    for offset, character in enumerate(table["p"]):
        place = places.in_string(("p",), offset)
        assert place is not None
        there = lines[place[0] - 1][place[1] - 1 : place[1]] or "\n"
        assert there in (character, "\\")


@given(st.text() | st.text(alphabet="ab.=[]{}'\"\\,# \n1"))
def test_places_never_raise(text: str) -> None:
    places = Places(text)
    for path in (("a",), ("a", "b"), ("a", 0), ("a", 0, "b", 1)):
        places.place(path)
        places.in_string(path, 3)


@pytest.mark.parametrize("unit", ["a", "[", "{", '"', "'", '"""', "\\", "#\n", "a=1\n", "[[a]]\n", "a.", "[a.", "a={", " "])
def test_places_take_linear_time(unit: str) -> None:
    begin = time.perf_counter()
    for start in ("", "a = ", 'a = "', 'a = """', "a = ["):
        Places(start + unit * 100_000).place(("a", 1))
    assert time.perf_counter() - begin < 5


# Cost


def test_a_long_program_loads_at_about_the_cost_of_its_graph() -> None:
    from backprop_tui.program import compile_program

    lines = ["h0 = x * w", *(f"hidden_{i} = sin({'hidden_' if i > 1 else 'h'}{i - 1})" for i in range(1, 3000))]
    program = "\n".join([*lines, "L = hidden_2999"])
    text = f"format = 1\ntitle = 't'\nprogram = '''\n{program}\n'''\ndata.x = 1\nparameters.w = 1\n"

    def seconds(task: object) -> float:
        begin = time.perf_counter()
        task()  # type: ignore[operator]  # parametrised over functions
        return time.perf_counter() - begin

    graph = min(seconds(lambda: compile_program(program, {"x": ()}, {"w": ()})) for _ in range(3))
    whole = min(seconds(lambda: loads(text)) for _ in range(3))
    assert whole < 2 * graph + 0.05


def test_what_is_not_needed_is_not_imported() -> None:
    code = "import sys, backprop_tui.scenario; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"textual", "rich"} & set(modules)
