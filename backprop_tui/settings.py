"""A person's settings: a small TOML file in the platform's configuration folder. What is wrong in it is named and skipped.

::

    theme = "light"        # dark, light, or a theme of Textual's
    decimals = 4           # digits after the point, 2 to 10
    detail = true          # step also stops inside a multiplication
    speed = 4              # steps a second: 0.5, 1, 2, 4, 8, 16 or 32

    [keys]                 # commands by name, with a key or a list of keys
    step = ["s", "right"]
    continue = "c"
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backprop_tui.commands import BY_NAME, COMMANDS, key_text
from backprop_tui.errors import did_you_mean
from backprop_tui.format import clean

SPEEDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
FEWEST, MOST = 2, 10
#: A file of settings may have so many bytes.
MOST_BYTES = 100_000
_NAMED = ("theme", "decimals", "detail", "speed", "keys")
#: Keys that are written in words; any other is a single character, with or without ctrl+ and shift+ before it.
_WORDS = frozenset(
    (
        *("space", "enter", "tab", "escape", "backspace", "delete", "insert", "home", "end", "pageup", "pagedown"),
        *("up", "down", "left", "right", *(f"f{n}" for n in range(1, 13))),
    )
)

#: The keys that move and choose inside the panels; they come before those of the commands.
_OF_PANELS = ("h", "j", "k", "l", "up", "down", "pageup", "pagedown", "enter", "escape", "tab", "shift+tab", "delete", "backspace")


@dataclass(frozen=True)
class Settings:
    """What a person prefers. ``keys`` are those of the commands that have others than usual."""

    theme: str = "dark"
    decimals: int = 4
    detail: bool = False
    speed: float = 2.0
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)


def file() -> Path:
    """Where the settings are on this platform."""
    from platformdirs import user_config_path  # only who reads settings needs it

    return user_config_path("backprop-tui", appauthor=False) / "settings.toml"


def load(path: Path | None = None) -> tuple[Settings, tuple[str, ...]]:
    """The settings of a file, and what is wrong with it, a line each; a file that is not there is no problem."""
    path = path or file()
    name = path.name
    try:
        with path.open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return Settings(), ()
    except OSError as error:
        return Settings(), (f"{name} cannot be read: {error.strerror or error}",)
    if len(raw) > MOST_BYTES:
        return Settings(), (f"{name} has more than {MOST_BYTES:,} bytes: it is not read",)
    try:
        found = tomllib.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return Settings(), (clean(f"{name} is not TOML: {error}"),)
    problems: list[str] = []
    settings = _settings(found, problems)
    return settings, tuple(clean(f"{name}: {problem}") for problem in problems)


def _settings(found: dict[str, Any], problems: list[str]) -> Settings:
    default = Settings()
    kept: dict[str, Any] = {}
    for key in found:
        if key not in _NAMED:
            hint = did_you_mean(key, _NAMED)
            problems.append(f"unknown setting '{key}'" + (f"; {hint}" if hint else ""))
    theme = found.get("theme", default.theme)
    if isinstance(theme, str) and re.fullmatch(r"[\w-]{1,60}", theme):
        kept["theme"] = theme
    else:
        problems.append("theme: write dark, light, or the name of a theme")
    decimals = found.get("decimals", default.decimals)
    if isinstance(decimals, int) and not isinstance(decimals, bool) and FEWEST <= decimals <= MOST:
        kept["decimals"] = decimals
    else:
        problems.append(f"decimals: write a whole number from {FEWEST} to {MOST}")
    detail = found.get("detail", default.detail)
    if isinstance(detail, bool):
        kept["detail"] = detail
    else:
        problems.append("detail: write true or false")
    speed = found.get("speed", default.speed)
    if isinstance(speed, int | float) and not isinstance(speed, bool) and speed in SPEEDS:
        kept["speed"] = float(speed)
    else:
        problems.append(f"speed: write one of {', '.join(f'{speed:g}' for speed in SPEEDS)} steps a second")
    keys = found.get("keys", {})
    if not isinstance(keys, dict):
        problems.append('keys: write a table: [keys] and under it NAME = "KEY"')
        keys = {}
    return Settings(**kept, keys=_keys(keys, problems))


def _clash(name: str, key: str, owner: str) -> str:
    if owner == "the panels":
        return f"keys.{name}: {key_text(key)} moves and chooses inside the panels; take another one"
    return f"keys.{name}: {key_text(key)} is that of {owner}; give that one another key too"


def _keys(found: dict[str, Any], problems: list[str]) -> dict[str, tuple[str, ...]]:
    wanted: dict[str, tuple[str, ...]] = {}
    for name, given in found.items():
        if name not in BY_NAME:
            hint = did_you_mean(name, BY_NAME)
            problems.append(f"keys: no command '{name}'" + (f"; {hint}" if hint else ""))
            continue
        texts = given if isinstance(given, list) else [given]
        keys = [key_name(text) if isinstance(text, str) else None for text in texts]
        if None in keys or not keys:
            problems.append(f"keys.{name}: write a key such as 's', 'ctrl+s', 'f5' or 'space', or a list of them")
        else:
            wanted[name] = tuple(key for key in keys if key is not None)
    taken: dict[str, str] = dict.fromkeys(_OF_PANELS, "the panels")
    for command in COMMANDS:  # those that keep their keys first, so that nobody loses one unasked
        if command.name not in wanted:
            taken |= dict.fromkeys(command.keys, command.name)
    kept: dict[str, tuple[str, ...]] = {}
    for name, names in wanted.items():
        clash = next((key for key in names if key in taken), None)
        if clash is not None:
            problems.append(_clash(name, clash, taken[clash]))
            continue
        taken |= dict.fromkeys(names, name)
        kept[name] = names
    return kept


def described(settings: Settings, problems: tuple[str, ...]) -> str:
    """The settings as their file could have them, where that is, and what is wrong with it."""
    lines = [clean(str(file())), "", *problems, *[""] * bool(problems)]
    lines += [f'theme = "{settings.theme}"', f"decimals = {settings.decimals}", f"detail = {str(settings.detail).lower()}"]
    lines += [f"speed = {settings.speed:g}", "", "[keys]"]
    for name, keys in settings.keys.items():
        lines.append(f"{name} = [{', '.join(repr(key_text(key)) for key in keys)}]")
    return "\n".join([*lines, *["# every command has its usual keys"] * (not settings.keys)])


_SIGNS = {
    "[": "left_square_bracket",
    "]": "right_square_bracket",
    "?": "question_mark",
    "+": "plus",
    "-": "minus",
    "/": "slash",
    ",": "comma",
    ".": "full_stop",
    "'": "apostrophe",
    ":": "colon",
    ";": "semicolon",
    "=": "equals_sign",
    "<": "less_than_sign",
    ">": "greater_than_sign",
    "!": "exclamation_mark",
    '"': "quotation_mark",
    "#": "number_sign",
    "$": "dollar_sign",
    "%": "percent_sign",
    "&": "ampersand",
    "(": "left_parenthesis",
    ")": "right_parenthesis",
    "*": "asterisk",
    "@": "at",
    "\\": "backslash",
    "^": "circumflex_accent",
    "_": "underscore",
    "`": "grave_accent",
    "{": "left_curly_bracket",
    "}": "right_curly_bracket",
    "|": "vertical_line",
    "~": "tilde",
    "→": "right",
    "←": "left",
    "↑": "up",
    "↓": "down",
}


def key_name(text: str) -> str | None:
    """A key as Textual calls it, from how people write it: ``]``, ``Ctrl+S``, ``F5``; None where it is no key."""
    if text in _SIGNS:
        return _SIGNS[text]
    if len(text) == 1:
        return text if text.isalnum() and text.isascii() else "space" if text == " " else None
    if text in _SIGNS.values():
        return text
    *modifiers, last = text.lower().split("+")
    if not set(modifiers) <= {"ctrl", "shift"} or len(set(modifiers)) != len(modifiers):
        return None
    single = len(last) == 1 and last.isalnum() and last.isascii() and "ctrl" in modifiers
    if not (single or last in _WORDS):
        return None
    return "+".join([*sorted(modifiers), last])
