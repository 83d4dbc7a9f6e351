"""The command line from outside: what it prints, where, and its exit status."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import backprop_tui as bt
from backprop_tui.cli import main
from backprop_tui.console import execute
from backprop_tui.export import jsonl
from backprop_tui.scenario import bundled
from backprop_tui.session import Session

GOOD = """format = 1
title = "Good"
program = '''
h = sin(w)
L = h * h
'''
[parameters]
w = 0.75
[expected]
values = { w = 0.75 }
[[claims]]
gradient = "h"
formula = "2 * h"
"""
WRONG = GOOD.replace("{ w = 0.75 }", "{ w = 0.5 }")
BAD = GOOD.replace("sin(w)", "sine(w)")
ONE_LINE = re.compile(r"backprop-tui( [a-z]+)?: [^\n]+\n")
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scenarios, in which the commands run."""
    place = tmp_path_factory.mktemp("scenarios")
    for name, text in (("good", GOOD), ("wrong", WRONG), ("bad", BAD), ("no", "format = 1\ntitle = \n")):
        (place / f"{name}.toml").write_text(text, encoding="utf-8")
    loop = "'''\ny = w\nfor t in range(2000):\n    y = y * 0.999\nL = y\n'''\n[parameters]\nw = 1.0\n"
    (place / "long.toml").write_text(f"format = 1\ntitle = 'long'\nprogram = {loop}", encoding="utf-8")
    (place / "wide.toml").write_text(
        "format = 1\ntitle = 'wide'\nprogram = 'L = sum(W)'\n[parameters]\nW = { zeros = [1000, 1000] }\n", encoding="utf-8"
    )
    return place


def run(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the program without a terminal."""
    command = [sys.executable, "-m", "backprop_tui", *arguments]
    env = {**os.environ, **(environment or {})}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, encoding="utf-8", stdin=subprocess.DEVNULL, env=env, timeout=60
    )


def inside(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the program in this process, which is sooner done: where it is the same."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(arguments)
        except SystemExit as end:  # argparse leaves by itself
            status = int(end.code or 0)
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]  # it is a BytesIO
    return subprocess.CompletedProcess(arguments, status, *texts)


def unusable(done: subprocess.CompletedProcess[str]) -> str:
    """The message of a run that could not be used: one line on standard error, status 2, nothing else."""
    assert done.returncode == 2
    assert done.stdout == ""
    assert ONE_LINE.fullmatch(done.stderr), done.stderr
    assert not CONTROL.search(done.stderr)
    assert "Traceback" not in done.stderr
    return done.stderr


# Help and version.


@pytest.mark.parametrize(
    "arguments", [("-h",), ("list", "-h"), ("trace", "--help"), ("check", "-h"), ("run", "-h"), ("compare", "-h")]
)
def test_there_is_help_at_every_level(folder: Path, arguments: tuple[str, ...]) -> None:
    done = run(folder, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: backprop-tui")
    assert not CONTROL.search(done.stdout)
    named = {
        "-h": ["list", "trace", "run", "check", "compare", "--version"],
        "list": ["--json"],
        "trace": ["--format"],
        "check": ["SCENARIO"],
        "run": ["--commands", "--echo"],
        "compare": ["--json", "--tolerance"],
    }
    assert all(word in done.stdout for word in named[arguments[0]])


def test_the_version_is_printed(folder: Path) -> None:
    done = run(folder, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"backprop-tui {bt.__version__}\n", "")


def test_the_command_is_installed_beside_python(folder: Path) -> None:
    command = Path(sys.executable).parent / "backprop-tui"
    if not command.exists():
        pytest.skip("the package is not installed here")
    done = subprocess.run([command, "--version"], cwd=folder, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"backprop-tui {bt.__version__}\n")


# list.


def test_list_names_every_bundled_scenario_on_a_line_of_its_own(folder: Path) -> None:
    done = run(folder, "list")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [entry.name for entry in bundled()]
    assert all(re.search(r" \d+ steps", line) for line in lines)
    assert not CONTROL.search(done.stdout)


def test_list_as_json_says_what_the_picker_shows(folder: Path) -> None:
    done = run(folder, "list", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(done.stdout)
    assert [row["name"] for row in rows] == [entry.name for entry in bundled()]
    for row in rows:
        assert list(row) == ["name", "title", "tags", "description", "steps"]
        assert row["steps"] > 0
        assert all(isinstance(tag, str) for tag in row["tags"])


# trace.


def test_trace_prints_every_step_as_text(folder: Path) -> None:
    done = run(folder, "trace", "good.toml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Good\nstep 1  forward  h = sin(w)")
    assert len(re.findall(r"^step \d+  ", done.stdout, re.M)) == 6
    assert not CONTROL.search(done.stdout)


def test_trace_prints_json_lines(folder: Path) -> None:
    done = run(folder, "trace", "good.toml", "--format", "jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["kind"] for line in lines] == ["forward", "forward", "seed", "backward", "backward", "backward", "summary"]


def test_a_bundled_scenario_is_opened_by_its_name_from_any_folder(folder: Path) -> None:
    names = [entry.name for entry in bundled()]
    if not names:
        pytest.skip("there are no bundled scenarios yet")
    for name in (names[0], f"{names[0]}.toml"):
        done = run(folder, "trace", "--format=jsonl", name)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout.splitlines()[-1])["kind"] == "summary"


def test_the_encoding_of_the_terminal_is_no_obstacle(folder: Path) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    for arguments in (("trace", "good.toml"), ("list",), ("-h",), ("trace", "bad.toml")):
        done = run(folder, *arguments, environment=ascii_only)
        assert done.returncode == (2 if "bad.toml" in arguments else 0)
        assert "Traceback" not in done.stderr


# check.


def test_check_ends_with_0_where_all_holds(folder: Path) -> None:
    done = run(folder, "check", "good.toml")
    assert (done.returncode, done.stderr) == (0, "")
    first, claim = done.stdout.splitlines()
    assert first.startswith("good.toml: holds. 6 steps, 1 expected")
    assert all(part in first for part in ("3 local derivatives", "1 gradient entr", "1 claim"))
    assert claim == "  claim ∂/∂h = 2 * h: correct, it equals the gradient"


def test_check_ends_with_1_where_something_does_not_hold(folder: Path) -> None:
    done = run(folder, "check", "good.toml", "wrong.toml")
    assert (done.returncode, done.stderr) == (1, "")
    assert "good.toml: holds" in done.stdout
    assert "wrong.toml: does not hold" in done.stdout
    assert "  wrong: value of w: expected 0.5, computed 0.75, tolerance 1e-09" in done.stdout


@pytest.mark.parametrize("order", [("wrong.toml", "bad.toml", "good.toml"), ("bad.toml", "wrong.toml")])
def test_check_ends_with_2_where_one_could_not_be_used_and_still_checks_the_others(folder: Path, order: tuple[str, ...]) -> None:
    done = run(folder, "check", *order)
    assert done.returncode == 2
    assert ONE_LINE.fullmatch(done.stderr)
    assert "bad.toml:4:5: unknown op 'sine'; did you mean 'sin'?" in done.stderr
    assert "wrong.toml: does not hold" in done.stdout
    assert ("good.toml: holds" in done.stdout) == ("good.toml" in order)


# run.

SCRIPT = """# to the second multiplication
break h

s 2
c
print grad(h)
"""


def commands(folder: Path, text: str, *options: str, name: str = "script") -> subprocess.CompletedProcess[str]:
    """Runs lines of commands from a file."""
    (folder / name).write_text(text, encoding="utf-8")
    return inside(folder, "run", "good.toml", "--commands", name, *options)


def test_run_prints_what_the_commands_print_and_nothing_else(folder: Path) -> None:
    done = commands(folder, SCRIPT)
    assert (done.returncode, done.stderr) == (0, "")
    session = Session(bt.load(folder / "good.toml"))
    assert done.stdout == "".join(said + "\n" for line in SCRIPT.splitlines() if (said := execute(session, line)))
    assert len(done.stdout.splitlines()) == 4
    assert not CONTROL.search(done.stdout)


def test_run_echoes_the_commands_where_it_is_asked_to(folder: Path) -> None:
    lines = commands(folder, "s\n\n# a comment\nprint w", "--echo").stdout.splitlines()
    assert lines == ["> s", "step 1 of 6: forward h = sin(w)", "> # a comment", "> print w", "w = 0.75"]


def test_run_reads_standard_input_and_answers_line_by_line(folder: Path) -> None:
    command = [sys.executable, "-m", "backprop_tui", "run", "good.toml", "--commands", "-"]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in (1, 2, 3):
            process.stdin.write("s\n")
            process.stdin.flush()
            assert process.stdout.readline().startswith(f"step {number} of 6")  # while standard input is still open
        process.stdin.write("quit\ns\n")
        process.stdin.close()
        assert process.stdout.read() == ""
        assert process.wait(60) == 0


@pytest.mark.parametrize("word", ["quit", "q", "  quit  "])
def test_run_ends_at_quit(folder: Path, word: str) -> None:
    done = commands(folder, f"s\n{word}\nno such command\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "step 1 of 6: forward h = sin(w)\n", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s\n\nbraek w\n", "script:3: no command 'braek'; did you mean 'break'?"),
        ("s\nprint nothing", "script:2: "),
        ("s\ng 100", "script:2: the run has no step 100"),
        ("s\nhelp", "script:2: help needs the screen"),
        ("s\n\x1b[2J\x9b", "script:2: no command '␛[2J"),
    ],
)
def test_run_ends_with_2_at_a_line_that_cannot_be_carried_out_and_names_it(folder: Path, text: str, message: str) -> None:
    done = commands(folder, f"{text}\ns\n")
    assert done.returncode == 2
    assert done.stdout == "step 1 of 6: forward h = sin(w)\n"  # what was printed before stays
    assert ONE_LINE.fullmatch(done.stderr)
    assert message in done.stderr
    assert not CONTROL.search(done.stderr)


def test_run_reads_no_more_commands_than_it_should(folder: Path) -> None:
    assert "big:2: more than 16,777,216 bytes" in commands(folder, "#\n" + "#" * 2**24, name="big").stderr


def test_run_reads_utf_8_only(folder: Path) -> None:
    (folder / "latin").write_bytes(b"# fine\n# na\xefve\n")
    assert "latin:2: not UTF-8" in unusable(inside(folder, "run", "good.toml", "--commands", "latin"))
    (folder / "bom").write_bytes(b"\xef\xbb\xbfprint w\r\n")
    assert inside(folder, "run", "good.toml", "--commands", "bom").stdout == "w = 0.75\n"


# compare.

OTHER = GOOD.replace("w = 0.75\n[exp", "w = 0.5\n[exp")


@pytest.fixture(scope="module")
def traces(folder: Path) -> Path:
    """The folder, with a trace of the good scenario and one of another."""
    for name, text in (("good", GOOD), ("other", OTHER)):
        lines = jsonl.lines(bt.record(bt.loads(text)))
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "broken.jsonl").write_text('{"kind": "seed", "node": "L", "grad": 1}\n{"kind": "sead"}\n', encoding="utf-8")
    (folder / "alien.jsonl").write_text('{"kind": "forward", "node": "alien", "value": 1}\n', encoding="utf-8")
    return folder


@pytest.mark.parametrize("order", [("good.toml", "good.jsonl"), ("good.jsonl", "good.toml"), ("good.toml", "good.toml")])
def test_compare_ends_with_0_where_both_are_the_same(traces: Path, order: tuple[str, str]) -> None:
    done = inside(traces, "compare", *order)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"A  {order[0]}, 6 steps",
        f"B  {order[1]}, 6 steps",
        "the same: 6 pairs of steps compared, tolerance 1e−9, largest difference 0",
    ]
    done = inside(traces, "compare", "--json", *order)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"same": True, "compared": 6, "largest_difference": 0.0, "first": {"a": None, "b": None}}


def test_compare_ends_with_1_where_they_differ_and_names_the_first_step(traces: Path) -> None:
    done = inside(traces, "compare", "good.toml", "other.jsonl")
    assert (done.returncode, done.stderr) == (1, "")
    assert "the first that differs: forward h\n  A step 1, B line 1\n  value\n" in done.stdout
    assert not CONTROL.search(done.stdout)
    done = inside(traces, "compare", "good.toml", "other.jsonl", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.count("\n") == 1
    found = json.loads(done.stdout, parse_constant=pytest.fail)
    assert list(found) == ["same", "compared", "largest_difference", "first"]
    assert (found["same"], found["compared"]) == (False, 6)
    lines = [json.loads((traces / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[0]) for name in ("good", "other")]
    assert found["first"] == dict(zip("ab", lines, strict=True))


def test_compare_allows_what_the_tolerance_does(traces: Path) -> None:
    assert inside(traces, "compare", "good.toml", "other.jsonl", "--tolerance", "1").returncode == 0
    assert inside(traces, "compare", "good.toml", "good.jsonl", "--tolerance", "0").returncode == 0


def test_compare_finds_a_bundled_pair_from_any_folder(folder: Path) -> None:
    done = inside(folder, "compare", "pairs/fan-out", "pairs/fan-out.jsonl")
    assert (done.returncode, done.stderr) == (1, "")
    assert "the first that differs: backward d → a" in done.stdout


# What cannot be used.


def test_stepping_without_a_terminal_says_so_and_names_trace(folder: Path) -> None:
    message = unusable(run(folder, "good.toml"))
    assert "needs a terminal" in message
    assert "backprop-tui trace good.toml" in message
    assert "backprop-tui trace SCENARIO" in unusable(run(folder))


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("nowhere.toml",), "no file and no bundled scenario 'nowhere.toml'"),
        (("trace", "nowhere"), "no file and no bundled scenario 'nowhere'"),
        (("check", "nowhere"), "no file and no bundled scenario 'nowhere'"),
        (("trace", "bad.toml"), "bad.toml:4:5: unknown op 'sine'; did you mean 'sin'?"),
        (("bad.toml",), "bad.toml:4:5: unknown op 'sine'"),
        (("trace", "no.toml"), "no.toml:2:"),
        (("trace", "."), "a folder, not a scenario"),
        (("trace",), "required: SCENARIO (see backprop-tui trace -h)"),
        (("check",), "required: SCENARIO"),
        (("trace", "good.toml", "--format", "xml"), "invalid choice: 'xml'"),
        (("trace", "good.toml", "--colour"), "unrecognized arguments: --colour"),
        (("--what",), "unrecognized arguments: --what"),
        (("list", "extra"), "unrecognized arguments: extra"),
        (("good.toml", "wrong.toml"), "unrecognized arguments: wrong.toml"),
        (("trace", "long.toml", "--max-steps", "none"), "invalid count value: 'none'"),
        (("trace", "long.toml", "--max-steps", "0"), "invalid count value: '0'"),
        (("trace", "long.toml", "--max-steps", "1000"), "more than 1,000 steps"),
        (("trace", "wide.toml", "--max-bytes", "1_000"), "--max-bytes"),
        (("trace", "\x1b[2J\x9b\u202e"), "no file and no bundled scenario"),
        (("trace", "good.toml", "\x1b[2J\n\x9b"), "unrecognized arguments: ␛[2J␊"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line_with_status_2(folder: Path, arguments: tuple[str, ...], part: str) -> None:
    assert part in unusable(run(folder, *arguments))


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("run", "good.toml"), "required: --commands"),
        (("run", "nowhere", "--commands", "-"), "no file and no bundled scenario 'nowhere'"),
        (("run", "good.toml", "--commands", "nowhere"), "nowhere: cannot be read: No such file or directory"),
        (("run", "good.toml", "--commands", "."), ".: cannot be read: Is a directory"),
        (("compare", "good.toml"), "required: B"),
        (("compare", "good.toml", "nowhere"), "no file and no bundled scenario 'nowhere'"),
        (("compare", "nowhere.jsonl", "good.toml"), "no file and no bundled trace 'nowhere.jsonl'"),
        (("compare", "good.toml", "bad.toml"), "bad.toml:4:5: unknown op 'sine'"),
        (("compare", "good.toml", "broken.jsonl"), "broken.jsonl:2: the kind is 'sead'; it is one of forward, seed, backward"),
        (("compare", "good.toml", "broken.jsonl", "--json"), "broken.jsonl:2: the kind is 'sead'"),
        (("compare", "good.toml", "alien.jsonl"), "good.toml and alien.jsonl have no step in common"),
        (("compare", "good.jsonl", "good.jsonl", "--max-steps", "5"), "good.jsonl:6: more than 5 steps; raise the limit"),
        (("compare", "good.toml", "good.toml", "--tolerance", "nan"), "invalid tolerance value: 'nan'"),
        (("compare", "good.toml", "good.toml", "--tolerance", "-1"), "--tolerance"),
    ],
)
def test_what_run_and_compare_cannot_use_is_said_in_one_line_with_status_2(
    traces: Path, arguments: tuple[str, ...], part: str
) -> None:
    assert part in unusable(inside(traces, *arguments))


def test_limits_can_be_raised(folder: Path) -> None:
    assert run(folder, "trace", "long.toml", "--max-steps", "10,000").returncode == 0


# Output that goes nowhere.


@pytest.mark.parametrize("arguments", [("trace", "long.toml"), ("trace", "long.toml", "--format", "jsonl")])
def test_a_reader_that_leaves_early_is_no_error(folder: Path, arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "backprop_tui", *arguments]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    "arguments", [("list",), ("list", "--json"), ("check", "good.toml"), ("compare", *["good.toml"] * 2), ("-h",), ("--version",)]
)
def test_a_reader_that_has_left_before_is_no_error_either(folder: Path, arguments: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "backprop_tui", *arguments]
    with os.fdopen(write, "wb") as pipe:
        done = subprocess.run(command, cwd=folder, stdout=pipe, stderr=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_is_said_in_one_line(folder: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no full device here")
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "backprop_tui", "trace", "good.toml"]
        done = subprocess.run(command, cwd=folder, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stderr) == (2, b"backprop-tui: cannot write: No space left on device\n")


@pytest.mark.skipif(os.name == "nt", reason="a shell of its own")
def test_a_closed_output_is_no_crash(folder: Path) -> None:
    for arguments in ("trace good.toml", "list", "check good.toml", "-h", "--version", "good.toml"):
        shell = f'"{sys.executable}" -m backprop_tui {arguments} >&-'
        done = subprocess.run(["sh", "-c", shell], cwd=folder, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60)
        assert done.returncode == (2 if arguments == "good.toml" else 0)
        assert b"Traceback" not in done.stderr
        assert done.stderr.count(b"\n") <= 1
