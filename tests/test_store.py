"""Files of sessions: written whole or not at all, kept where one left, and never in the way."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_panels import scenario_of

import backprop_tui as bt
from backprop_tui import store
from backprop_tui.console import execute
from backprop_tui.errors import CommandError
from backprop_tui.saving import document, restored
from backprop_tui.session import Session

NAME = "notes/sigmoid"
pytestmark = pytest.mark.usefixtures("home")


def session_at(position: int) -> Session:
    session = Session(scenario_of(NAME))
    execute(session, f"go_to {position}")
    return session


def test_what_is_written_is_read_again_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "it.json"
    for position in (3, 5):
        store.save(session_at(position), path)
        assert restored(store.read(path), str(path)).debugger.position == position
    assert [other.name for other in tmp_path.iterdir()] == ["it.json"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
def test_what_is_written_is_for_its_owner_alone(tmp_path: Path) -> None:
    store.save(session_at(1), tmp_path / "it.json")
    assert (tmp_path / "it.json").stat().st_mode & 0o777 == 0o600


def test_a_place_that_cannot_be_written_to_is_named_and_what_was_there_stays(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"cannot save to .*: No such file or directory"):
        store.save(session_at(1), tmp_path / "nowhere" / "it.json")
    with pytest.raises(CommandError, match="it is a folder; name a file"):
        store.save(session_at(1), tmp_path)


def test_a_write_that_fails_leaves_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "it.json"
    store.save(session_at(3), path)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CommandError, match="No space left on device"):
        store.save(session_at(4), path)
    monkeypatch.undo()
    assert store.read(path)["position"] == 3
    assert [other.name for other in tmp_path.iterdir()] == ["it.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 10])
def test_a_file_that_is_no_session_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "it.json"
    path.write_bytes(content)
    with pytest.raises(CommandError) as caught:
        store.read(path)
    assert str(caught.value).startswith(str(path))
    with pytest.raises(CommandError, match="cannot be read"):
        store.read(tmp_path / "nothing.json")


SAVER = """
import sys
import backprop_tui as bt
from pathlib import Path
from backprop_tui import store
from backprop_tui.console import execute
from backprop_tui.session import Session
session, path = Session(bt.load("notes/sigmoid")), Path(sys.argv[1])
for turn in range(100000):
    execute(session, f"note {'x' * 2000} {turn}")
    store.save(session, path)
    print(turn, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_killed_at_any_moment_the_last_saved_state_or_the_one_before_is_there_whole(tmp_path: Path) -> None:
    path, chance = tmp_path / "it.json", random.Random(1)
    for _ in range(12):
        path.unlink(missing_ok=True)
        command = [sys.executable, "-c", SAVER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONSAFEPATH": "1"}) as child:
            assert child.stdout is not None
            assert child.stdout.readline().strip() == "0"
            time.sleep(chance.uniform(0.0, 0.15))
            child.send_signal(signal.SIGKILL)
            said = child.stdout.read().split()
        last = int(said[-1]) if said else 0
        found = store.read(path)
        assert restored(found, str(path)).notes[0].endswith((f" {last}", f" {last + 1}"))


# Where one left.


def test_nothing_is_kept_of_what_was_never_opened() -> None:
    assert store.left(scenario_of(NAME)) is None
    assert not store.folder().exists()


def test_what_is_kept_says_where_one_was_and_whether_the_scenario_is_the_same() -> None:
    scenario = bt.load(NAME)
    session = Session(scenario)
    execute(session, "go_to 7")
    assert store.keep(document(session), store.place(scenario)) == ""
    left = store.left(scenario)
    assert left is not None
    assert (left.position, left.fits(scenario)) == (7, True)
    assert abs(left.when - time.time()) < 60


def test_a_scenario_that_was_changed_since_is_found_and_said_not_to_fit(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(bt.load(NAME).text, encoding="utf-8")
    session = Session(bt.load(path))
    execute(session, "step 2")
    store.keep(document(session), store.place(session.scenario))
    path.write_text(bt.load(NAME).text + "\n# changed\n", encoding="utf-8")
    left = store.left(bt.load(path))
    assert left is not None
    assert not left.fits(bt.load(path))
    other = tmp_path / "other.toml"
    other.write_text(bt.load(NAME).text, encoding="utf-8")
    assert store.left(bt.load(other)) is None


def test_what_is_set_aside_is_taken_where_the_new_one_is_damaged_and_the_damaged_one_is_not_lost() -> None:
    scenario = scenario_of(NAME)
    place = store.place(scenario)
    store.keep(document(session_at(3)), place)
    store.keep(document(session_at(5)), place, set_aside=True)
    found = store.left(scenario)
    assert found is not None
    assert found.position == 5
    place.write_bytes(b"{")
    found = store.left(scenario)
    assert found is not None
    assert found.position == 3
    assert place.with_suffix(".damaged").read_bytes() == b"{"


def test_a_folder_that_cannot_be_written_to_is_said_and_is_no_error() -> None:
    store.folder().parent.mkdir(parents=True)
    store.folder().write_bytes(b"a file where the folder should be")
    wrong = store.keep(document(session_at(3)), store.place(scenario_of(NAME)))
    assert wrong.startswith("this session cannot be kept: ")
    assert store.left(scenario_of(NAME)) is None


def test_what_killed_processes_left_half_written_is_tidied_up_after_a_while() -> None:
    place = store.place(scenario_of(NAME))
    place.parent.mkdir(parents=True)
    old, new = place.parent / ".x.json.a.saving", place.parent / ".x.json.b.saving"
    for half in (old, new):
        half.write_bytes(b"{")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    store.keep(document(session_at(3)), place)
    assert not old.exists()
    assert new.exists()


def test_names_of_scenarios_make_safe_names_of_files() -> None:
    scenario = bt.loads(scenario_of(NAME).text, name="../../etc/[x]\n" + "n" * 300)
    place = store.place(scenario)
    assert place.parent == store.folder()
    assert len(place.name) < 80
    assert json.dumps(place.name).strip('"') == place.name
