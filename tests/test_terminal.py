"""The installed command in a real pseudo-terminal: what it draws, what it leaves behind, what it never writes."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_panels import HOSTILE, shows
from test_view import truth_of

from backprop_tui.steps import BackwardStep, ForwardStep

fcntl = pytest.importorskip("fcntl")
pty = pytest.importorskip("pty")
pyte = pytest.importorskip("pyte")
termios = pytest.importorskip("termios")

pytestmark = pytest.mark.usefixtures("home")
LIMIT = 30.0
ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"


def command() -> list[str]:
    """The installed script beside the interpreter, or the module where it is not installed."""
    script = Path(sys.executable).parent / "backprop-tui"
    return [str(script)] if script.exists() else [sys.executable, "-m", "backprop_tui"]


class Terminal:
    """A process in a pseudo-terminal of a size, everything it wrote, and the screen that this makes."""

    def __init__(self, arguments: list[str], columns: int = 120, rows: int = 36) -> None:
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.written = b""
        self.status: int | None = None
        argv = [*command(), *arguments]
        self.pid, self.fd = pty.fork()
        if self.pid == 0:  # pragma: no cover  # the child becomes the command
            with contextlib.suppress(OSError):
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
                kept = {key: value for key, value in os.environ.items() if not key.startswith(("TEXTUAL", "COLUMNS", "LINES"))}
                settings = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}
                os.execve(argv[0], argv, {**kept, **settings, "TEXTUAL_ANIMATIONS": "none"})
            os._exit(127)
        self.resize(columns, rows)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def send(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def read(self, seconds: float = 0.05) -> bool:
        """Takes what was written within a time; False at the end of the process's output."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:
            return False
        self.written += data
        # pyte takes the answer-less question after the kitty keyboard's state for text
        self.stream.feed(re.sub(rb"\x1b\[[<>=?][0-9;]*[a-zA-Z$]+", _without_private, data))
        return bool(data)

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    def wait_for(self, pattern: str) -> str:
        """Waits until the screen shows a pattern, and until nothing more comes for a moment."""
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            alive = self.read()
            if re.search(pattern, self.text):
                before = len(self.written)
                self.read(0.1)
                if len(self.written) == before:
                    return self.text
            assert alive, f"it ended before it showed {pattern}:\n{self.text}"
        raise AssertionError(f"it did not show {pattern}:\n{self.text}")

    def wait(self) -> int:
        """Waits for the end and answers the exit status; minus a signal's number if one ended it."""
        end = time.monotonic() + LIMIT
        while self.status is None and time.monotonic() < end:
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        while self.read(0.1) and select.select([self.fd], [], [], 0.1)[0]:
            pass
        assert self.status is not None, "it did not end"
        return self.status

    def close(self) -> None:
        if self.status is None:
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        os.close(self.fd)


def _without_private(match: re.Match[bytes]) -> bytes:
    """Private sequences that pyte does not know are left out; the modes it knows stay."""
    return match.group() if re.fullmatch(rb"\x1b\[\?[0-9;]+[hl]", match.group()) else b""


@contextlib.contextmanager
def terminal(*arguments: str, columns: int = 120, rows: int = 36) -> Iterator[Terminal]:
    opened = Terminal(list(arguments), columns, rows)
    try:
        yield opened
    finally:
        opened.close()


def last_mode(written: bytes, mode: int) -> bool:
    """Whether a private mode was on when the process had ended."""
    found = re.findall(rb"\x1b\[\?" + str(mode).encode() + rb"([hl])", written)
    return bool(found) and found[-1] == b"h"


def assert_restored(written: bytes) -> None:
    """The alternate screen is left, the cursor shown, mouse and pasting as they were, the keyboard as it was."""
    assert ENTERED in written
    assert written.rfind(LEFT) > written.rfind(ENTERED)
    assert written.rfind(b"\x1b[?25h") > written.rfind(b"\x1b[?25l")
    for mode in (1000, 1002, 1003, 1006, 1015, 1004, 2004):
        assert not last_mode(written, mode), mode
    pushed, popped = len(re.findall(rb"\x1b\[>[0-9]*u", written)), len(re.findall(rb"\x1b\[<[0-9]*u", written))
    assert popped >= pushed
    after = written[written.rfind(LEFT) :]
    assert b"Traceback" not in after


def check(text: str, position: int) -> None:
    """The panels of ``notes/sigmoid`` say the numbers of the recording at a position."""
    truth = truth_of("notes/sigmoid")
    step = truth[position - 1]
    assert re.search(rf"step +{position} of {len(truth)}\b", text.split("\n")[0])
    assert re.search(rf"▸ *{position} {step.kind}", text)
    panel = "\n".join(line[36:] for line in text.split("\n")[1:22])
    if isinstance(step, ForwardStep):
        arrays = [*(truth.value(0, i) for i in step.operand_indices), step.value]
    else:
        assert isinstance(step, BackwardStep)
        arrays = [truth.value(0, step.node_index), step.upstream, step.local, step.product]
        assert "local derivative" in panel
    for array in arrays:
        assert shows(panel, array), (position, array, panel)


def test_a_session_from_the_first_frame_to_quitting() -> None:
    with terminal("notes/sigmoid") as opened:
        first = opened.wait_for(r"step +0 of 14(?s:.*)Nothing is executed yet(?s:.*)s step")
        for title in ("1 Program", "2 Steps", "3 Step", "4 Chain rule", "5 Variables", "6 Notes"):
            assert title in first
        assert "Two layers, sigmoid on both" in first
        assert ENTERED in opened.written
        for position in range(1, 5):
            opened.send("s")
            check(opened.wait_for(rf"step +{position} of 14(?s:.*)▸ *{position} "), position)
        opened.send("g")
        opened.wait_for(":go_to")
        opened.send("W2\r")
        check(opened.wait_for(r"step +12 of 14(?s:.*)▸ *12 "), 12)
        opened.send("\x1b[D")
        check(opened.wait_for(r"step +11 of 14(?s:.*)▸ *11 "), 11)
        opened.resize(160, 50)
        opened.wait_for(r"step +11 of 14(?s:.*)▸ *11 ")
        opened.send("s")
        wide = opened.wait_for(r"step +12 of 14(?s:.*)▸ *12 ")
        assert shows("\n".join(line[54:] for line in wide.split("\n")), truth_of("notes/sigmoid").gradients["W2"])
        assert len(wide.split("\n")[0].rstrip()) > 120
        opened.resize(80, 24)
        small = opened.wait_for(r"step +12 of 14 *\n(?s:.*)4 Chain rule")
        assert "2 Steps" not in small
        opened.resize(50, 12)
        opened.wait_for(r"The window is 50 × 12")
        opened.resize(120, 36)
        check(opened.wait_for(r"step +12 of 14(?s:.*)▸ *12 "), 12)
        opened.send("q")
        assert opened.wait() == 0
        assert_restored(opened.written)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_leaves_the_terminal_restored(number: signal.Signals) -> None:
    with terminal("notes/sigmoid") as opened:
        opened.wait_for(r"step +0 of 14")
        opened.send("s")
        opened.wait_for(r"step +1 of 14")
        os.kill(opened.pid, number)
        assert opened.wait() in (128 + number, -number)
        assert_restored(opened.written)


def test_the_picker_opens_without_a_scenario() -> None:
    with terminal(columns=100, rows=30) as opened:
        assert "notes/matrix" in opened.wait_for("notes/sigmoid")
        opened.send("q")
        assert opened.wait() == 0
        assert_restored(opened.written)


def test_nothing_in_a_scenario_reaches_the_terminal_as_a_command(tmp_path: Path) -> None:
    file = tmp_path / "hostile.toml"
    file.write_text(HOSTILE, encoding="utf-8")
    with terminal(str(file)) as opened:
        shown = opened.wait_for(r"step +0 of")
        assert "[bold]loud[/bold] [/x] ␛]52;c;aGk=␇" in shown
        for key, place in (("s", "1"), ("s", "2"), ("\x1b[F", r"\d"), ("6", r"\d"), ("\x1b[H", "0")):
            opened.send(key)
            opened.wait_for(rf"step +{place} of")
        opened.send("q")
        assert opened.wait() == 0
        assert_restored(opened.written)
        assert b"\x1b]52" not in opened.written
        assert b"\x1b]0;owned" not in opened.written
        assert "\u009b".encode() not in opened.written
        assert "\u202e".encode() not in opened.written


def test_what_is_wrong_with_a_scenario_is_one_line_and_no_screen(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("format = 1\ntitle = '\u202e'\nprogram = 'L = nosuch'\n", encoding="utf-8")
    with terminal(str(file)) as opened:
        assert opened.wait() == 2
        assert ENTERED not in opened.written
        assert b"nosuch" in opened.written
        assert opened.written.count(b"\n") == 1
        assert b"\x1b" not in opened.written


def test_the_steps_drawn_one_by_one_make_the_picture_that_is_drawn_at_once() -> None:
    """Only what changes is written: after many keys the terminal shows what a whole new frame shows."""
    with terminal("notes/batch") as opened:
        opened.wait_for(r"step +0 of")
        keys = "s" * 12 + "SSnNssfFs" + "s" * 5
        for key in keys:
            opened.send(key)
        opened.send("g")
        opened.wait_for(":go_to")
        opened.send("17\r")
        stepped = opened.wait_for(r"step +17 of(?s:.*)▸ *17 ")
        for columns in (121, 120):
            before = len(opened.written)
            opened.resize(columns, 36)
            while len(opened.written) < before + 2000:
                assert opened.read()
        again = opened.wait_for(r"step +17 of(?s:.*)▸ *17 ")
        assert [line.rstrip() for line in again.split("\n")] == [line.rstrip() for line in stepped.split("\n")]
        assert shows("\n".join(line[36:] for line in again.split("\n")), np.ravel(truth_at(17))[:1])
        opened.send("q")
        assert opened.wait() == 0


def truth_at(position: int) -> Any:
    step = truth_of("notes/batch")[position - 1]
    assert isinstance(step, BackwardStep)
    return step.product


# A whole session of debugging.


def line(opened: Terminal, text: str) -> None:
    """Writes a line on the command line."""
    opened.send(":")
    opened.wait_for(r"\n :")
    opened.send(f"{text}\r")


def test_a_breakpoint_a_change_a_saved_session_going_on_there_and_the_replay(tmp_path: Path) -> None:
    saved = tmp_path / "it.json"
    with terminal("notes/sigmoid") as opened:
        opened.wait_for(r"step +0 of 14")
        line(opened, "break op sigmoid in backward")
        opened.wait_for(r"breakpoint 1: op sigmoid in backward")
        opened.send("c")
        check(opened.wait_for(r"step +10 of 14(?s:.*)stopped by breakpoint 1, op sigmoid in backward, 1st hit of 2"), 10)
        opened.send("e")
        opened.wait_for(":edit")
        opened.send("W2[0, 0] = 7\r")
        opened.wait_for(r"recording 2 of 2(?s:.*)step +10 of 14")
        opened.send("s")
        opened.wait_for(r"step +11 of 14(?s:.*)7 +−1 =")
        opened.send("=")
        opened.wait_for(r"≠ recording 1: contribution apart by ")
        opened.send("=")
        opened.wait_for(r"compared no more")
        opened.send("C")
        opened.wait_for(r"step +10 of 14")
        opened.send("w")
        opened.wait_for(":watch")
        opened.send("norm(grad(W1))\r")
        opened.wait_for(r"norm\(grad\(W1\)\)")
        line(opened, f"save {saved}")
        opened.wait_for(r"saved to ")
        opened.send("q")
        assert opened.wait() == 0
        assert_restored(opened.written)
    with terminal("notes/sigmoid") as opened:
        opened.wait_for(r"You left at step 10, just now: R goes on there")
        opened.send("R")
        opened.wait_for(r"recording 2 of 2(?s:.*)step +10 of 14")
        opened.send("7")
        opened.wait_for(r"7 Watches(?s:.*)norm\(grad\(W1\)\)")
        opened.send("q")
        assert opened.wait() == 0
    with terminal("replay", str(saved)) as opened:
        opened.wait_for(r"replay +0:0")
        opened.wait_for(r"step +10 of 14(?s:.*)‖ replay")
        opened.send("\x1b")
        opened.wait_for(r"the session is yours")
        opened.send("s")
        opened.wait_for(r"step +11 of 14")
        opened.send("q")
        assert opened.wait() == 0
        assert_restored(opened.written)
    done = subprocess.run([*command(), "replay", "--check", str(saved)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 not as saved" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_killed_in_the_middle_it_can_be_gone_on_where_one_was(number: signal.Signals) -> None:
    with terminal("notes/sigmoid") as opened:
        opened.wait_for(r"step +0 of 14")
        for position in range(1, 4):
            opened.send("s")
            opened.wait_for(rf"step +{position} of 14")
        if number == signal.SIGKILL:
            time.sleep(1.5)  # what was done is kept a second later
        os.kill(opened.pid, number)
        assert opened.wait() != 0
    with terminal("notes/sigmoid") as opened:
        opened.wait_for(r"You left at step 3, just now: R goes on there")
        opened.send("R")
        check(opened.wait_for(r"step +3 of 14(?s:.*)▸ *3 "), 3)
        opened.send("q")
        assert opened.wait() == 0
