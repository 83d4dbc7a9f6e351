"""The command in a real pseudo-terminal, against a bare Textual app: the first complete frame, and a key's last byte."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import statistics
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from timing import Row, installed

SIZE = (120, 36)
PRIVATE = re.compile(rb"\x1b\[[<>=?][0-9;$]*[a-zA-Z]|\x1bP[^\x1b]*\x1b\\")  # pyte would print parts of these
KEYS = 12
OPEN = """import json, sys, time, backprop_tui as bt
bt.record(bt.load("notes/sigmoid"))
times = [time.perf_counter()]
for act in (lambda _: bt.load(sys.argv[1]), bt.Debugger, lambda d: bt.record(d.scenario)):
    made = act(locals().get("made")); times.append(time.perf_counter())
print(json.dumps([b - a for a, b in zip(times, times[1:])]))"""


class Child:
    """A program on a pseudo-terminal of its own; what it wrote, with the time of each piece."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.written: list[tuple[float, bytes]] = []
        self.begun = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
                os.execvpe(command[0], command, environment)
            finally:
                os._exit(127)

    def until_quiet(self, quiet: float, patience: float) -> None:
        """Read until nothing came for ``quiet`` seconds; ``patience`` is for the first byte."""
        wait = patience
        while select.select([self.fd], [], [], wait)[0]:
            try:
                data = os.read(self.fd, 1 << 16)
            except OSError:
                return  # it has ended
            self.written.append((time.perf_counter(), data))
            wait = quiet

    def press(self, key: bytes) -> float:
        """Seconds from a key to the last byte it caused."""
        before, sent = len(self.written), time.perf_counter()
        os.write(self.fd, key)
        self.until_quiet(0.1, 2.0)
        assert len(self.written) > before, "the key changed nothing"
        return self.written[-1][0] - sent

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def first_frame(child: Child, pyte: Any, shows: str) -> float:
    """Seconds from the start to the first moment at which the screen was, cell by cell, what it then stayed."""
    child.until_quiet(0.6, 30.0)
    screen = pyte.Screen(*SIZE)
    stream = pyte.ByteStream(screen)
    pictures = []
    for _, data in child.written:
        stream.feed(PRIVATE.sub(b"", data))
        pictures.append([[screen.buffer[y][x] for x in range(SIZE[0])] for y in range(SIZE[1])])
    text = "\n".join(screen.display)
    assert shows in text, f"{shows!r} is not on the screen:\n{text}"
    index = next(i for i, picture in enumerate(pictures) if picture == pictures[-1])
    return child.written[index][0] - child.begun


def rounds_of(programs: dict[str, tuple[list[str], str]], rounds: int, folder: Path, env: dict[str, str]) -> Any:
    """By program and round: the first frame, and the median key. One round more goes first and fills the caches.

    The bytecode of both is kept, and kept here, whatever the shell says: an installed program has it.
    """
    pyte = installed("pyte")
    environment = {**env, "TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPYCACHEPREFIX": str(folder / "pyc")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    table: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    for turn in range(rounds + 1):
        for name, (command, shows) in programs.items():
            child = Child(command, environment)
            try:
                frame = first_frame(child, pyte, shows)
                key = statistics.median(child.press(b"s") for _ in range(KEYS))
            finally:
                child.close()
            if turn:
                table[name].append((frame, key))
    return table


def start(folder: Path, rounds: int, env: dict[str, str], command: str, network: str) -> Iterator[Row]:
    """Start, key, and opening 13,000 operations."""
    if installed("pyte") is None:
        yield Row("start, key, opening", "a bare Textual app", None, None, "pyte is not installed: skipped")
        return
    large = folder / "network.toml"
    large.write_text(network)
    beside = Path(command).with_name("python")
    python = str(beside) if beside.exists() else sys.executable
    programs = {
        "bare": ([python, str(Path(__file__).with_name("bare.py"))], "position 0"),
        "small": ([command, "notes/sigmoid"], "z1 = X @ W1"),
        "large": ([command, str(large)], "A scalar network"),
    }
    table = rounds_of(programs, rounds, folder, env)
    opened = []
    for _ in range(rounds):
        done = subprocess.run([python, "-c", OPEN, str(large)], env=env, capture_output=True, text=True, check=True)
        opened.append(json.loads(done.stdout))
    bare, small, seen = ([statistics.median(c) * 1e3 for c in zip(*table[name], strict=True)] for name in programs)
    read, plan, record = (statistics.median(column) * 1e3 for column in zip(*opened, strict=True))
    peer = "a bare Textual app"
    yield Row("start to first complete frame", peer, small[0] / bare[0], 1.5, f"{small[0]:.0f} ms : {bare[0]:.0f} ms")
    yield Row("key to last byte", peer, small[1] / bare[1], 4.0, f"{small[1]:.1f} ms : {bare[1]:.1f} ms")
    yield Row("key, 13,000 operations", peer, seen[1] / bare[1], 4.0, f"{seen[1]:.1f} ms : {bare[1]:.1f} ms")
    more = seen[0] - small[0]
    detail = f"{seen[0]:.0f} ms - {small[0]:.0f} ms with 5 operations : {read:.0f} ms"
    yield Row("first frame, what 13,000 operations add", "reading them", more / read, None, detail)
    yield Row("planning 13,000 operations", "reading them", plan / read, None, f"{plan:.0f} ms : {read:.0f} ms")
    yield Row("recording 13,000 operations", "reading them", record / read, None, f"{record:.1f} ms : {read:.0f} ms")
