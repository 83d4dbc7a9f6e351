"""The help screen, made from the table of commands."""

from __future__ import annotations

from backprop_tui.commands import COMMANDS, GROUPS, keys_of, keys_text
from backprop_tui.tui.screens.output import TextScreen

READING = """\
What the colours mean, everywhere on the screen
  forward value   what an operation computed
  upstream        the gradient that is already complete, coming from the loss
  local           the local derivative: how the result moves when this operand moves
  product         upstream times local: what is added to the operand's gradient
The darker a cell's shade, the smaller its entry is beside the largest of its array.

In a list: j and k or the arrows select, Enter or t runs there, a double click too; b sets a
breakpoint there. In Stops, Enter switches one on or off and Delete takes it away.
In enlarged arrays the cursor's cell shows its written-out sum.

The command line (:) takes every command by its name or its key, and what it takes after it:
  :s 20                        twenty steps
  :break 3                     stop at line 3, in both phases
  :break W1 in backward        stop where W1 gets a gradient
  :break op relu if max(abs(local)) == 0
  :break change grad(W1)       stop where this gradient changes
  :toggle nan-gradient         stop at the first nan or inf in a gradient
  :edit W1[0, 1] = 0.5         what if? a second recording goes on from here
  :watch norm(grad(W1))
Conditions know value, grad, upstream, local, contribution and every name of the program."""


def text() -> str:
    """Every command with its keys, by group, and how to read the screen."""
    lines: list[str] = []
    for group in GROUPS:
        lines.append(group)
        for command in COMMANDS:
            if command.group == group:
                lines.append(f"  {keys_text(command):<12}  {command.help}")
                if command.takes or not keys_of(command):
                    lines.append(f"  {'':<12}    :{command.name} {command.takes}".rstrip())
        lines.append("")
    return "\n".join([*lines, READING])


class HelpScreen(TextScreen):
    """Every key, and how to read the screen."""

    def __init__(self) -> None:
        super().__init__("Help", text(), "question_mark,f1")
