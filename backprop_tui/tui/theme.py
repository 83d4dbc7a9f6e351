"""The product's own look, dark and light: four colours with one role each, on Textual's theme system.

The four are from the palette of Okabe and Ito (2008), which people with any colour vision can tell apart; the light
theme darkens them until they are readable on white. Every role is also named in words wherever it appears.
"""

from __future__ import annotations

from rich.style import Style
from textual.color import Color, ColorParseError
from textual.theme import Theme

DARK = Theme(
    name="backprop-dark",
    primary="#56B4E9",
    secondary="#CC79A7",
    warning="#F0E442",
    error="#FF6B5B",
    success="#3FC79A",
    accent="#E69F00",
    foreground="#D8DCE6",
    background="#10131A",
    surface="#10131A",
    panel="#1A1F2C",
    dark=True,
    variables={
        "forward": "#56B4E9",
        "upstream": "#E69F00",
        "local": "#CC79A7",
        "product": "#3FC79A",
        "dim": "#828A9C",
        "edge": "#3A4256",
        "select": "#2B3350",
    },
)
LIGHT = Theme(
    name="backprop-light",
    primary="#0B6AA3",
    secondary="#A03F78",
    warning="#8A6D00",
    error="#B3261E",
    success="#00724F",
    accent="#A06000",
    foreground="#1B2030",
    background="#FAFAF7",
    surface="#FAFAF7",
    panel="#ECEDF0",
    dark=False,
    variables={
        "forward": "#0B6AA3",
        "upstream": "#985B00",
        "local": "#A03F78",
        "product": "#00724F",
        "dim": "#667085",
        "edge": "#C3C8D2",
        "select": "#D6E0F5",
    },
)

ROLES = ("forward", "upstream", "local", "product")


class Palette:
    """The Rich styles of the roles a line can have, for one theme; made once a theme."""

    def __init__(self, variables: dict[str, str]) -> None:
        def colour(name: str, fallback: str) -> Color:
            try:
                return Color.parse(variables.get(name, fallback))
            except ColorParseError:
                return Color.parse(fallback)

        back = colour("background", "#10131A")
        ink = colour("foreground", "#D8DCE6")
        self._styles: dict[str, Style] = {"": Style()}
        fallback = DARK.variables
        for role in (*ROLES, "dim", "edge"):
            self._styles[role] = Style(color=colour(role, fallback[role]).hex)
        for role in ROLES:
            tint = colour(role, fallback[role])
            for level in range(5):
                shade = back.blend(tint, (0.06, 0.16, 0.28, 0.42, 0.56)[level])
                self._styles[f"{role}.{level}"] = Style(color=ink.hex, bgcolor=shade.hex)
            self._styles[f"{role}.faint"] = Style(color=back.blend(tint, 0.5).hex)
            self._styles[f"{role}.mark"] = Style(color=back.hex, bgcolor=tint.hex, bold=True)
        self._styles["edge.focus"] = Style(color=colour("accent", "#E69F00").hex)
        self._styles["lit"] = Style(color=back.hex, bgcolor=colour("local", fallback["local"]).hex, bold=True)
        self._styles["strong"] = Style(bold=True)
        self._styles["warning"] = Style(color=colour("warning", "#F0E442").hex, bold=True)
        self._styles["select"] = Style(bgcolor=colour("select", fallback["select"]).hex, bold=True)
        self._styles["breakpoint"] = Style(color=colour("error", "#FF6B5B").hex)
        self._styles["key"] = Style(color=ink.hex, bold=True)
        self.base = Style(color=ink.hex, bgcolor=back.hex)
        self._own = self._styles
        self._styles = {role: self.base + style for role, style in self._styles.items()}

    def style(self, role: str) -> Style:
        """The Rich style of a role; roles joined with ``+`` add up."""
        found = self._styles.get(role)
        if found is None:
            found = self.base
            for part in role.split("+"):
                found += self._own.get(part, Style())
            self._styles[role] = found
        return found
