"""The bundled scenarios: found by looking, not from a list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: The folders that come first, in this order; the others follow by name.
CHAPTERS = ("notes", "examples", "stops", "pairs")
#: The order in which the page of notes goes; what is not named here follows by name.
PAGE = (
    *("scalar-sum", "matrix", "second-layer", "first-layer", "biases", "sigmoid", "stored-sigmoid", "prefix", "batch", "square"),
)


@dataclass(frozen=True)
class BundledEntry:
    """A bundled scenario: its name, such as ``notes/sigmoid``, and its file."""

    name: str
    path: Path


def folder() -> Path | None:
    """The folder of the bundled scenarios: inside the package as it is installed, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for place in (package / "scenarios", package.parent / "scenarios"):
        if place.is_dir():
            return place
    return None


def bundled() -> list[BundledEntry]:
    """All bundled scenarios, by chapter, in the order of the page, and then by name."""
    root = folder()
    if root is None:
        return []
    files = [*root.glob("*.toml"), *root.glob("*/*.toml")]
    entries = [BundledEntry(path.relative_to(root).with_suffix("").as_posix(), path) for path in files]
    return sorted(entries, key=_order)


def _order(entry: BundledEntry) -> tuple[int, str, int, str]:
    chapter, _, name = entry.name.rpartition("/")
    first = CHAPTERS.index(chapter) if chapter in CHAPTERS else len(CHAPTERS)
    place = PAGE.index(name) if chapter == "notes" and name in PAGE else len(PAGE)
    return first, chapter, place, name


def find(name: str) -> Path | None:
    """The file of the bundled scenario of that name, with or without ``.toml``; None if there is none."""
    wanted = name.removesuffix(".toml")
    return next((entry.path for entry in bundled() if entry.name == wanted), None)


def find_trace(name: str) -> Path | None:
    """The file of the bundled trace of that name, such as ``pairs/fan-out.jsonl``: it lies beside its scenario."""
    scenario = find(name.removesuffix(".jsonl"))
    trace = scenario.with_suffix(".jsonl") if scenario is not None and name.endswith(".jsonl") else None
    return trace if trace is not None and trace.is_file() else None
