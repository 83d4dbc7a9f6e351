"""No test reads or writes a person's own settings and sessions."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

#: Set for every process that the tests start, too, and before anything is imported that could ask for a folder.
_OWN = tempfile.TemporaryDirectory(prefix="backprop-tui-tests-")
for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "LOCALAPPDATA", "APPDATA"):
    os.environ[name] = str(Path(_OWN.name) / name.lower())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of its own for a test that keeps sessions or settings: the folders of the platform lie in it."""
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "LOCALAPPDATA", "APPDATA"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    return tmp_path
