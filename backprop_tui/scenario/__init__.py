"""Text → scenario: one TOML file becomes a checked `Scenario`, or one `ScenarioError` that says what is wrong.

``loader`` reads files, ``library`` finds the bundled ones, ``toml_text`` knows where a key stands in the text,
``document`` reads typed keys, ``values`` and ``files`` make arrays, ``reader`` puts the scenario together, and
``checks`` holds it to its program and its limits. ``model`` is what comes out.
"""

from __future__ import annotations

from backprop_tui.scenario.library import BundledEntry, bundled, find
from backprop_tui.scenario.loader import load, loads
from backprop_tui.scenario.model import (
    Breakpoint,
    Claim,
    Expected,
    Limits,
    Note,
    Scenario,
    Training,
    Watch,
)

__all__ = [
    "Breakpoint",
    "BundledEntry",
    "Claim",
    "Expected",
    "Limits",
    "Note",
    "Scenario",
    "Training",
    "Watch",
    "bundled",
    "find",
    "load",
    "loads",
]
