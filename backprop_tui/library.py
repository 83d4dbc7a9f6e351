"""The bundled scenarios as the picker and `list` show them: what each is about and how many steps it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backprop_tui.plan import plan_of
from backprop_tui.scenario import bundled, load


@dataclass(frozen=True)
class Entry:
    """A bundled scenario; ``steps`` is the length of its run."""

    name: str
    path: Path
    title: str
    tags: tuple[str, ...]
    description: str
    steps: int


def entries() -> list[Entry]:
    """All bundled scenarios, in the order of the course."""
    found = []
    for item in bundled():
        scenario = load(item.path)
        total = plan_of(scenario).total
        found.append(Entry(item.name, item.path, scenario.title, scenario.tags, scenario.description, total))
    return found
