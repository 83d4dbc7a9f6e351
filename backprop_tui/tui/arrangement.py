"""Which panels a size has room for, and where they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.geometry import Size
from textual.widgets import Static

if TYPE_CHECKING:
    from backprop_tui.tui.screens.board import Board

SMALLEST = (60, 16)
#: Below so many lines, the multiplication takes the room of the chain rule: what it shows comes first.
LOW = 22
#: The panels that share the place at the lower right, unless there is room for all of them.
SIDE = ("notes", "watches", "stops", "calls")
#: Every panel, by its number from 1.
PANELS = ("program", "steps", "step", "chain", "variables", *SIDE)

CSS = """
Board { background: $background; }
#timeline { height: 2; }
#body, #left, #right, #lower, #side { height: 1fr; }
#left { width: 36; }
#right, #side { width: 1fr; }
#program { height: auto; max-height: 45%; min-height: 5; }
#steps, #step { height: 1fr; }
#chain { height: 5; }
#lower { height: 12; }
#variables { width: 58; height: 1fr; }
#notes, #watches, #stops, #calls { width: 1fr; height: 1fr; }
#small { display: none; width: 1fr; height: 1fr; content-align: center middle; text-align: center; }
Board.wide #left { width: 54; }
Board.wide #variables { width: 2fr; }
Board.wide #side { width: 3fr; layout: grid; grid-size: 2 2; }
Board.wide #chain { height: 7; }
Board.wide #lower { height: 22; }
Board.narrow #timeline { height: 1; }
Board.narrow #program { height: 5; min-height: 5; max-height: 5; }
Board.narrow #chain { height: 4; }
Board.low #program { height: 3; min-height: 3; max-height: 3; }
"""


def arrange(screen: Board, size: Size) -> None:
    """Shows the panels that a size has room for, or the enlarged one alone."""
    width, height = size
    small = width < SMALLEST[0] or height < SMALLEST[1]
    narrow = width < 100 or height < 30
    wide = width >= 160 and height >= 44
    big = screen.enlarged
    screen.set_class(narrow, "narrow")
    screen.set_class(height < LOW, "low")
    screen.set_class(wide and big is None, "wide")
    screen.query_one("#small").display = small
    for name in ("header", "body", "timeline", "footer"):
        screen.query_one(f"#{name}").display = not small
    if small:
        text = f"The window is {width} × {height};\nbackprop-tui needs {SMALLEST[0]} × {SMALLEST[1]}."
        screen.query_one("#small", Static).update(Content(text))
        return
    shown = {"program", "step", "chain"} if narrow else {*PANELS} - {*SIDE} | ({*SIDE} if wide else {screen.side})
    if height < LOW:
        shown -= {"chain"}
    if big is not None:
        shown = {big}
    body = screen.query_one("#body")
    body.styles.layout = "vertical" if narrow else "horizontal"
    for name in PANELS:
        if name in shown and name in SIDE:
            screen.make(name)
        if name in shown or screen.shows(name):
            screen.panel(name).display = name in shown
    left, right, lower, side = (screen.query_one(f"#{name}") for name in ("left", "right", "lower", "side"))
    left.display = bool(shown & {"program", "steps"})
    right.display = bool(shown - {"program", "steps"})
    side.display = bool(shown & {*SIDE})
    lower.display = side.display or "variables" in shown
    left.styles.width = "1fr" if narrow or not right.display else None
    left.styles.height = "auto" if narrow and right.display else None
    screen.panel("program").styles.max_height = "100%" if big == "program" else None
    for name in ("program", "chain"):
        lines = len(screen.debugger.graph.source.strip("\n").split("\n")) + 2 if name == "program" else None
        normal = None if narrow else lines
        screen.panel(name).styles.height = "1fr" if big == name else normal
    lower.styles.height = "1fr" if big in ("variables", *SIDE) else None
    screen.panel("variables").styles.width = "1fr" if big == "variables" else None
