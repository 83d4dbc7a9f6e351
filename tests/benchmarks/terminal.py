"""The command in a real pseudo-terminal, against a bare Textual app: the first complete frame, and a key's last byte."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from engine import MISSING, Row, installed

COLUMNS, LINES, KEYS = 120, 36, 12
PRIVATE = re.compile(rb"\x1b\[[<>=?][0-9;$]*[a-zA-Z]|\x1bP[^\x1b]*\x1b\\")  # pyte would print parts of these
READ = """import json, sys, time, backprop_tui as bt
bt.record(bt.load("notes/sigmoid")); a = time.perf_counter(); scenario = bt.load(sys.argv[1]); b = time.perf_counter()
bt.Debugger(scenario); c = time.perf_counter(); bt.record(scenario); print(json.dumps([b - a, c - b, time.perf_counter() - c]))"""


def until_quiet(fd: int, quiet: float) -> list[tuple[float, bytes]]:
    """What a terminal shows until nothing has come for ``quiet`` seconds, and when each piece came."""
    pieces: list[tuple[float, bytes]] = []
    while select.select([fd], [], [], quiet if pieces else 30.0)[0]:
        try:
            data = os.read(fd, 1 << 16)
        except OSError:
            break  # the program has ended
        pieces.append((time.perf_counter(), data))
    return pieces


def measured(command: list[str], shows: str, pyte: Any, environment: dict[str, str]) -> tuple[float, float]:
    """Milliseconds from the start until the screen was, cell by cell, what it then stayed; from a key to its last byte."""
    begun = time.perf_counter()
    pid, fd = pty.fork()
    if pid == 0:
        try:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
            os.execvpe(command[0], command, environment)
        finally:
            os._exit(127)
    try:
        screen, pictures, keys = pyte.Screen(COLUMNS, LINES), [], []
        stream, pieces = pyte.ByteStream(screen), until_quiet(fd, 0.6)
        for _, data in pieces:
            stream.feed(PRIVATE.sub(b"", data))
            pictures.append([[screen.buffer[y][x] for x in range(COLUMNS)] for y in range(LINES)])
        assert shows in "\n".join(screen.display), "\n".join([f"no {shows!r} on the screen:", *screen.display])
        for _ in range(KEYS):
            sent = time.perf_counter()
            os.write(fd, b"s")
            keys.append(until_quiet(fd, 0.1)[-1][0] - sent)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(fd)
    return (pieces[pictures.index(pictures[-1])][0] - begun) * 1e3, median(keys) * 1e3


def start(folder: Path, rounds: int, env: dict[str, str], command: str, network: str) -> Iterator[Row]:
    """Start, key, and opening 13,000 operations; a first round that is not counted fills the caches.

    The bytecode of both is kept, in a folder of this run, whatever the shell says: an installed program has its own.
    """
    if (pyte := installed("pyte")) is None:
        yield "start, key, opening", "bare Textual app", None, None, f"pyte is {MISSING}"
        return
    large, beside, rows = folder / "network.toml", Path(command).with_name("python"), []
    large.write_text(network)
    python = str(beside) if beside.exists() else sys.executable
    env = {**env, "TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    for _ in range(rounds + 1):
        bare, bare_key = measured([python, str(Path(__file__).with_name("bare.py"))], "position 0", pyte, env)
        small, small_key = measured([command, "notes/sigmoid"], "z1 = X @ W1", pyte, env)
        big, big_key = measured([command, str(large)], "A benchmark", pyte, env)
        times = json.loads(subprocess.check_output([python, "-c", READ, str(large)], env=env))
        read, plan, record = (seconds * 1e3 for seconds in times)
        rows.append([(small, bare), (small_key, bare_key), (big_key, bare_key), (big - small, read), (plan, read), (record, read)])
    for (what, wanted), pairs in zip(
        {
            "start to first complete frame": 1.5,
            "key to last byte": 4,
            "13,000 operations: key to last byte": 4,
            "13,000 operations: what they add to the start": 2,
            "13,000 operations: planning them": None,
            "13,000 operations: recording them": None,
        }.items(),
        zip(*rows[1:], strict=True),
        strict=True,
    ):
        detail = " : ".join(f"{median(column):.1f} ms" for column in zip(*pairs, strict=True))
        peer = "reading them" if "them" in what or "they" in what else "bare Textual app"
        yield what, peer, median(ours / theirs for ours, theirs in pairs), wanted, detail
