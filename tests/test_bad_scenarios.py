"""Every file of ``bad_scenarios`` is refused with the message that its first line gives; and nothing else is raised."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from backprop_tui.errors import ScenarioError
from backprop_tui.scenario import Limits, load, loads

FOLDER = Path(__file__).parent / "bad_scenarios"
FILES = sorted(FOLDER.glob("*.toml"))
MARK = "# error: "


def make_files(folder: Path) -> None:
    """Writes into ``folder`` what the bad scenarios name, and one file beside it: links, pipes and binary files."""
    np.save(folder.parent / "outside.npy", np.ones((2, 2)))
    (folder / "link.npy").symlink_to(folder.parent / "outside.npy")
    os.mkfifo(folder / "fifo.npy")
    (folder / "folder.npy").mkdir()
    (folder / "w.txt").write_text("1 2\n3 4\n")
    objects = np.array([[1.0, None]], dtype=object)
    np.save(folder / "good.npy", np.ones((2, 2)))
    np.save(folder / "objects.npy", objects, allow_pickle=True)
    np.save(folder / "complex.npy", np.ones((2, 2), dtype=np.complex128))
    np.save(folder / "strings.npy", np.array(["a", "b"]))
    np.save(folder / "structured.npy", np.zeros(2, dtype=[("a", "f8"), ("b", "f8")]))
    whole = (folder / "good.npy").read_bytes()
    (folder / "cut.npy").write_bytes(whole[:-8])
    (folder / "huge.npy").write_bytes(whole.replace(b"(2, 2)", b"(20000, 20000)").replace(b" " * 8 + b"\n", b"\n"))
    (folder / "text.npy").write_text("1, 2, 3, 4, 5, 6, 7, 8, 9, 10\n")
    (folder / "text.npz").write_text("1, 2, 3, 4, 5, 6, 7, 8, 9, 10\n")
    np.savez(folder / "two.npz", W1=np.ones((2, 2)), W2=np.ones(2), objects=objects)
    (folder / "ragged.csv").write_text("1, 2\n\n3\n")
    (folder / "words.csv").write_text("1, 2\n3, four\n")
    (folder / "empty.csv").write_text("\n")
    (folder / "latin.csv").write_bytes(b"1, 2, \xe9\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad") / "scenarios"
    folder.mkdir()
    make_files(folder)
    return folder


def test_there_are_many() -> None:
    assert len(FILES) >= 50


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_message(file: Path, folder: Path) -> None:
    text = file.read_text(encoding="utf-8")
    wanted = text.split("\n", 1)[0].removeprefix(MARK)
    copy = folder / file.name
    copy.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load(copy)
    assert str(caught.value) == f"{copy}:{wanted}"
    assert str(caught.value).isprintable()
    assert caught.value.file == str(copy)
    assert caught.value.line is not None


# Files that cannot be read at all


def refused(source: str | Path, limits: Limits | None = None) -> str:
    with pytest.raises(ScenarioError) as caught:
        load(source, limits=limits or Limits())
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_folder(tmp_path: Path) -> None:
    assert refused(tmp_path) == f"{tmp_path}: a folder, not a scenario; name one of the .toml files in it"


def test_pipe_and_device(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    wanted = "not a regular file; a scenario is a TOML file"
    assert refused(tmp_path / "pipe.toml") == f"{tmp_path / 'pipe.toml'}: {wanted}"
    assert refused("/dev/zero") == f"/dev/zero: {wanted}"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_unreadable(tmp_path: Path) -> None:
    file = tmp_path / "secret.toml"
    file.write_text("format = 1")
    file.chmod(0)
    assert refused(file) == f"{file}: cannot be read: Permission denied; check the file and its rights"


def test_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "latin.toml"
    file.write_bytes("format = 1\ntitle = 'é ".encode() + b"\xe9'\n")
    assert refused(file) == f"{file}:2:12: not UTF-8: the byte 0xe9; save the file as UTF-8"


def test_too_large(tmp_path: Path) -> None:
    file = tmp_path / "large.toml"
    with file.open("wb") as stream:
        stream.truncate(16 * 2**20 + 1)
    hint = 'put large arrays into files of their own, as in { file = "W1.npy" }'
    wanted = f"too large: 16,777,217 bytes, and at most 16,777,216 are read; {hint}"
    assert refused(file) == f"{file}: {wanted}"
    with pytest.raises(ScenarioError, match="too large"):
        loads(" " * (16 * 2**20 + 1))


@pytest.mark.parametrize("name", ["no/such\0name", "x" * 5000, "\x1b[2J\nname", "~"])
def test_no_such_file(name: str) -> None:
    assert "no file and no bundled scenario" in refused(name)


def test_control_characters_in_the_path(tmp_path: Path) -> None:
    file = tmp_path / "a\nb\x1b[2J.toml"
    file.write_text("format = 2")
    assert "a␊b␛[2J.toml:1:1: format 2 is not known" in refused(file)


def test_lone_surrogate() -> None:
    with pytest.raises(ScenarioError, match="not valid Unicode"):
        loads("format = 1 # \ud800")


# Nothing but a ScenarioError, whatever the text

GOOD = """format = 1
title = "t"
tags = ["a", 'b']
loss = "L"
program = '''
def f(a, b):
    return sigmoid(a @ W) + b
h = x
for t in range(2):
    h = f(h, 1.0)  # comment
L = sum(h[0, 0:1], axis=None, keepdims=False) + mean(stack((h, x), axis=1))
'''
[data]
x = [[0.5, -1e3], [nan, 0x1f]]
[parameters]
W = { normal = [2, 2], scale = 0.1 }
[training]
steps = 2
learning_rate = 0.5
[expected]
values = { L = 1.0 }
updated.W = [[1, 2], [3, 4]]
[[claims]]
gradient = "W"
formula = "x.T @ grad(h)"
[[notes]]
at = "h#1"
text = "a"
[[notes]]
line = 1
text = \"\"\"a
b\"\"\"
[[breakpoints]]
at = "h"
when = "max(abs(grad)) > 5"
[[watches]]
expression = "norm(grad(W))"
"""
SMALL = Limits(max_steps=2000, max_bytes=2**20)
QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck))


def outcome(text: str) -> None:
    """Loads a text; if it is refused, then in one short line that lies within the text."""
    message, line = "", None
    try:
        loads(text, limits=SMALL)
    except ScenarioError as error:
        message, line = str(error), error.line
    assert message.isprintable()
    assert len(message) < 1000
    assert line is None or 1 <= line <= text.count("\n") + 1


def test_the_good_one_is_good() -> None:
    loads(GOOD)


@QUIET
@given(st.text())
@example("\ud800")
@example("\r")
@example('x = "\\ud800"')
def test_any_text(text: str) -> None:
    outcome(text)


HEADER = "format = 1\ntitle = 't'\ndata.x = [1, 2]\nparameters.w = [3, 4]\n"
WORDS = [
    "sum(",
    "reshape(",
    "stack(",
    "where(",
    "max(",
    "softmax(",
    "concatenate(",
    "transpose(",
    "clip(",
    "broadcast_to(",
]
WORDS += [
    "axis=",
    "axes=",
    "keepdims=",
    "shape=(",
    "def f(a):",
    "return ",
    "for t in range(",
    "\n    ",
    " = ",
    "grad(",
    "f(",
]
WORDS += [
    "3",
    "-1",
    "0",
    "1e999",
    "0x" + "f" * 5000,
    "5j",
    "True",
    "None",
    "pi",
    "if ",
    "lambda",
    "and",
    ".T",
    "**",
    "<",
]
WORDS += ["==", ":=", "~", "é", "𝑥", "\x00", "'''", *"xwLh=+-*/@()[]{},.:'\"#\\\n\r\t\f "]
TOKENS = st.sampled_from(WORDS)


@QUIET
@given(st.lists(TOKENS, max_size=30).map("".join))
def test_any_program(program: str) -> None:
    escaped = "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}" for c in program)
    outcome(HEADER + f'program = "{escaped}"')
    outcome(HEADER + f"program = '''\nh = w * x\n{program}\nL = sum(h)\n'''")
    outcome(HEADER + "program = 'L = sum(w * x)'\n" + f'watches = [{{ expression = "{escaped}" }}]')


ODD = ["[", "]", "true", "nan", "-inf", "1979-05-27", "9" * 5000, "9" * 400, "{}", "[]", "[[1], 2]", '"text"', "= "]
SPLICES = st.text(max_size=3) | TOKENS | st.sampled_from([*ODD, "[[a]]", "[a]", "a.b.c"])


@QUIET
@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 12), SPLICES), min_size=1, max_size=3))
def test_mutations(changes: list[tuple[int, int, str]]) -> None:
    text = GOOD
    for at, length, new in changes:
        text = text[:at] + new + text[at + length :]
    outcome(text)


ATOMS = ["1", "-2.5", "nan", "true", '"x"', "1979-05-27", "07:32:00", "9" * 400, "{}", "[]", "0xfffffffffffffffffff"]
IN_TABLES = [
    "zeros",
    "ones",
    "full",
    "eye",
    "range",
    "normal",
    "uniform",
    "file",
    "array",
    "value",
    "scale",
    "at",
    "no",
]


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(st.sampled_from(IN_TABLES), inner), max_size=2, unique_by=lambda pair: pair[0])
    tables = pairs.map(lambda pairs: "{" + ", ".join(f"{key} = {value}" for key, value in pairs) + "}")
    return tables | st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]")


KEYS = [
    "format",
    "title",
    "tags",
    "precision",
    "seed",
    "loss",
    "program",
    "data",
    "data.x",
    "parameters.w",
    "symbols.w",
]
KEYS += ["training.steps", "training.learning_rate", "training.update", "expected.tolerance", "expected.values"]
KEYS += ["expected.values.L", "expected.updated.w", "claims", "notes", "breakpoints", "watches"]


@QUIET
@given(st.sampled_from(KEYS), st.recursive(st.sampled_from(ATOMS), compound, max_leaves=8))
def test_any_value(key: str, value: str) -> None:
    keys = {"format": "1", "title": "'t'", "program": "'L = sum(w * x)'", "data.x": "[1, 2]", "parameters.w": "[3, 4]"}
    keys["training.learning_rate"] = "0.5"
    if key == "data":
        del keys["data.x"]
    outcome("\n".join(f"{name} = {text}" for name, text in ({**keys, key: value}).items()))
