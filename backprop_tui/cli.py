"""The command line. Exit status: 0 all well; 1 it ran and something does not hold; 2 it could not be used."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

from backprop_tui.errors import BackpropError, CommandError, ScenarioError, nearest

if TYPE_CHECKING:
    from backprop_tui.scenario import Limits

COMMANDS = ("list", "trace", "run", "check", "compare", "replay")
#: Lines of commands are read up to so many bytes.
MOST_COMMANDS = 16 * 2**20
#: Of what could not be checked, so many are named.
MOST_NOTES = 6
DESCRIPTION = "Step through backpropagation, one multiplication at a time, in both directions of time."
EPILOG = """\
commands:
  backprop-tui                  choose a bundled scenario and step through it
  backprop-tui SCENARIO         step through a scenario: a file, or a bundled name such as notes/sigmoid
  backprop-tui list             the bundled scenarios
  backprop-tui trace SCENARIO   run it without a screen and print every step
  backprop-tui run SCENARIO     run lines of debugger commands on it without a screen: --commands FILE
  backprop-tui check SCENARIO…  compare it with its expected values, numerically, and judge its claims
  backprop-tui compare A B      find the first step in which two runs differ: scenarios, or JSON-lines traces
  backprop-tui replay FILE      play a saved session as it happened, or hold it against its numbers: --check

`backprop-tui COMMAND -h` says more of each."""


class _Parser(argparse.ArgumentParser):
    """One line on standard error instead of the usage and a line."""

    def error(self, message: str) -> NoReturn:
        from backprop_tui.format import clean

        self.exit(2, clean(f"{self.prog}: {message} (see {self.prog} -h)") + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and answers its exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if sys.stdout is None or sys.stderr is None:  # closed by whoever started us
        nowhere = open(os.devnull, "w")  # noqa: SIM115  # it stays open as long as the process
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
    except BackpropError as error:
        return _unusable(str(error))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # whoever read the output has left: that is no error of ours, and nothing more can be told to them
        _write_nowhere()
        return 0
    except OSError as error:
        _write_nowhere()
        return _unusable(f"cannot write: {error.strerror or error}")
    except MemoryError:
        return _unusable("out of memory: the scenario is too large for this machine")


def _run(arguments: Sequence[str]) -> int:
    run = {"list": _list, "trace": _trace, "run": _commands, "check": _check, "compare": _compare, "replay": _replay}
    return run[arguments[0]](arguments[1:]) if arguments[:1] and arguments[0] in COMMANDS else _open(arguments)


def _write_nowhere() -> None:
    """What is still to be written to standard output, at the end of the process too, goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unusable(message: str) -> int:
    from backprop_tui.format import clean

    print(f"backprop-tui: {clean(message)}", file=sys.stderr)
    return 2


def _add_limits(parser: argparse.ArgumentParser) -> None:
    steps, size = "accept runs of up to N steps (default 2,000,000)", "accept values of up to N bytes (default 1 GiB)"
    parser.add_argument("--max-steps", type=_count, metavar="N", help=steps)
    parser.add_argument("--max-bytes", type=_count, metavar="N", help=size)


def _count(text: str) -> int:
    number = int(text.replace("_", "").replace(",", ""))
    if number < 1:
        raise ValueError
    return number


def _tolerance(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError
    return number


_count.__name__, _tolerance.__name__ = "count", "tolerance"  # argparse names the type in its message


def _limits(options: argparse.Namespace) -> Limits:
    from backprop_tui.scenario import Limits

    default = Limits()
    return Limits(options.max_steps or default.max_steps, options.max_bytes or default.max_bytes)


def _open(arguments: Sequence[str]) -> int:
    parser = _Parser(
        prog="backprop-tui",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="backprop-tui [SCENARIO] [-h] [--version] | list | trace | run | check | compare | replay",
    )
    parser.add_argument("scenario", nargs="?", metavar="SCENARIO", help="a file, or a bundled scenario's name")
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    _add_limits(parser)
    if len(arguments) > 1 and not arguments[0].startswith("-"):
        command = nearest(arguments[0], COMMANDS)
        if command is not None:
            parser.error(f"unknown command '{arguments[0]}'; did you mean '{command}'?")
    options = parser.parse_args(arguments)
    if options.version:
        from backprop_tui import __version__

        print(f"backprop-tui {__version__}")
        return 0
    # what is imported and built up to the first frame stays: looking through it for garbage only delays it
    gc.disable()
    if options.scenario is not None:
        from backprop_tui.scenario import load

        scenario = load(options.scenario, limits=_limits(options))
    else:
        scenario = None
    named = options.scenario or "SCENARIO"
    _need_terminal(f"print every step with: backprop-tui trace {named}")
    from backprop_tui.tui.app import run

    return run(scenario, _limits(options))


def _need_terminal(instead: str) -> None:
    """Raises CommandError where no screen can be drawn; ``instead`` says what can be done without one."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandError(f"stepping needs a terminal; without one, {instead}")
    if os.environ.get("TERM", "") in ("dumb", ""):
        raise CommandError(f"this terminal cannot draw a screen (TERM=dumb); {instead}")


def _replay(arguments: Sequence[str]) -> int:
    parser = _Parser(prog="backprop-tui replay", description="Plays a saved session on the screen, as it happened.")
    parser.add_argument("file", metavar="FILE", help="a session that was saved with :save FILE")
    parser.add_argument("--check", action="store_true", help="play it without a screen; exit 1 where a number is not the saved one")
    _add_limits(parser)
    options = parser.parse_args(arguments)
    from pathlib import Path

    from backprop_tui.format import clean
    from backprop_tui.replay import Player, checked
    from backprop_tui.store import read

    found, name = read(Path(options.file)), clean(options.file)
    if not options.check:
        _need_terminal(f"hold it against its numbers with: backprop-tui replay --check {name}")
        player = Player(found, name, _limits(options))
        from backprop_tui.tui.app import run

        return run(None, _limits(options), player)
    player = checked(found, name, _limits(options))
    for difference in player.differences:
        print(clean(difference))
    count = len(player.moments)
    print(f"{name}: {count} thing{'' if count == 1 else 's'} done again, {len(player.differences)} not as saved")
    return 1 if player.differences else 0


def _list(arguments: Sequence[str]) -> int:
    parser = _Parser(prog="backprop-tui list", description="Lists the bundled scenarios.")
    parser.add_argument("--json", action="store_true", help="as one JSON array of objects")
    options = parser.parse_args(arguments)
    from backprop_tui.format import cell_width, clean, pad
    from backprop_tui.library import entries

    found = entries()
    if options.json:
        from backprop_tui.export.jsonl import dumps

        rows = [
            {"name": e.name, "title": e.title, "tags": list(e.tags), "description": e.description, "steps": e.steps} for e in found
        ]
        print(dumps(rows, indent=2))
        return 0
    names = max((cell_width(e.name) for e in found), default=0)
    titles = max((cell_width(clean(e.title)) for e in found), default=0)
    for e in found:
        print(f"{pad(e.name, names)}  {pad(clean(e.title), titles)}  {e.steps:>5} steps  {clean(', '.join(e.tags))}")
    return 0


def _trace(arguments: Sequence[str]) -> int:
    parser = _Parser(prog="backprop-tui trace", description="Runs a scenario without a screen and prints every step.")
    parser.add_argument("scenario", metavar="SCENARIO", help="a file, or a bundled scenario's name")
    parser.add_argument("--format", choices=("text", "jsonl"), default="text", help="text, or one JSON object a line")
    _add_limits(parser)
    options = parser.parse_args(arguments)
    from backprop_tui.recording import record
    from backprop_tui.scenario import load

    recording = record(load(options.scenario, limits=_limits(options)))
    if options.format == "jsonl":
        from backprop_tui.export.jsonl import lines
    else:
        from backprop_tui.export.text import lines
    write = sys.stdout.write
    for line in lines(recording):
        write(line + "\n")
    sys.stdout.flush()
    return 0


def _commands(arguments: Sequence[str]) -> int:
    parser = _Parser(
        prog="backprop-tui run", description="Runs lines of debugger commands without a screen and prints what they print."
    )
    parser.add_argument("scenario", metavar="SCENARIO", help="a file, or a bundled scenario's name")
    parser.add_argument("--commands", required=True, metavar="FILE", help="a command a line, as in break W1; - is standard input")
    parser.add_argument("--echo", action="store_true", help="print each command before its output, after a >")
    _add_limits(parser)
    options = parser.parse_args(arguments)
    from backprop_tui.console import execute, split
    from backprop_tui.format import clean
    from backprop_tui.scenario import load
    from backprop_tui.session import Session

    session = Session(load(options.scenario, limits=_limits(options)))
    name = "standard input" if options.commands == "-" else options.commands
    for number, line in enumerate(_command_lines(options.commands, name), 1):
        if options.echo and line.strip():
            print(f"> {clean(line)}")
        try:
            found = split(line)
            if found is not None and found[0].name == "quit":
                break
            said = execute(session, line)
        except BackpropError as error:
            sys.stdout.flush()
            return _unusable(f"{name}:{number}: {error}")
        if said:
            print(clean(said, keep_newlines=True))
        sys.stdout.flush()  # whoever writes the lines may wait for what they say
    return 0


def _command_lines(file: str, name: str) -> Iterator[str]:
    """The lines of a file, or of standard input, as they come. Raises CommandError."""
    number, left = 0, MOST_COMMANDS
    try:
        with open(0 if file == "-" else file, "rb", closefd=file != "-") as stream:
            while raw := stream.readline(left + 1):
                number, left = number + 1, left - len(raw)
                if left < 0:
                    raise CommandError(f"{name}:{number}: more than {MOST_COMMANDS:,} bytes of commands; run them in parts")
                yield raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise CommandError(f"{name}:{number}: not UTF-8; save the commands as UTF-8") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CommandError(f"{name}: cannot be read: {reason}") from None


def _compare(arguments: Sequence[str]) -> int:
    parser = _Parser(
        prog="backprop-tui compare",
        description="Finds the first step in which two runs differ. Exit status: 0 the same, 1 different, 2 unusable.",
    )
    for letter in ("a", "b"):
        parser.add_argument(letter, metavar=letter.upper(), help="a scenario, or a trace as JSON lines: a file or a bundled name")
    parser.add_argument("--json", action="store_true", help="as one JSON object, with the two lines of the trace")
    relative = "how far a number may be off, relative to the largest entry (default 1e-9; 1e-5 in single precision)"
    parser.add_argument("--tolerance", type=_tolerance, metavar="T", help=relative)
    _add_limits(parser)
    options = parser.parse_args(arguments)
    from backprop_tui.export.jsonl import dumps
    from backprop_tui.study.compare import compare
    from backprop_tui.study.differences import as_object, lines
    from backprop_tui.study.sides import opened

    a, b = (opened(name, _limits(options)) for name in (options.a, options.b))
    found = compare(a, b, options.tolerance)
    for line in [dumps(as_object(found))] if options.json else lines(found):
        print(line)
    return 0 if found.same else 1


def _check(arguments: Sequence[str]) -> int:
    parser = _Parser(
        prog="backprop-tui check",
        description="Compares scenarios with what they state: expected values, every local derivative and gradient, claims.",
    )
    parser.add_argument("scenarios", nargs="+", metavar="SCENARIO", help="a file, or a bundled scenario's name")
    _add_limits(parser)
    options = parser.parse_args(arguments)
    from backprop_tui.format import clean
    from backprop_tui.scenario import load
    from backprop_tui.study.check import check

    status = 0
    for name in options.scenarios:
        try:
            report = check(load(name, limits=_limits(options)))
        except ScenarioError as error:
            status = _unusable(str(error))
            continue
        verdict = "holds" if report.holds else "does not hold"
        print(f"{clean(name)}: {verdict}. {_counts(report)}")
        for judgement in report.claims:
            claim = judgement.claim
            print(clean(f"  claim ∂/∂{claim.gradient} = {claim.text}: {judgement.verdict}, {judgement.why}"))
        undecided = report.gradients.undecided
        for finding in undecided[:MOST_NOTES]:
            print(clean(f"  note: {finding}"))
        if len(undecided) > MOST_NOTES:
            print(f"  note: {len(undecided) - MOST_NOTES} more could not be checked")
        for failure in report.failures:
            print(clean(f"  wrong: {failure}"))
        if not report.holds:
            status = max(status, 1)
    return status


def _counts(report: object) -> str:
    from backprop_tui.study.check import CheckReport

    assert isinstance(report, CheckReport)

    def count(number: int, one: str, many: str) -> str:
        return f"{number} {one if number == 1 else many}"

    parts = [
        count(report.steps, "step", "steps"),
        count(len(report.expected), "expected array", "expected arrays"),
        count(sum(f.holds is not None for f in report.gradients.locals), "local derivative", "local derivatives"),
        count(sum(f.holds is not None for f in report.gradients.gradients), "gradient entry", "gradient entries"),
        count(len(report.claims), "claim", "claims"),
    ]
    if report.gradients.steps > len(report.gradients.locals):
        parts[2] += f" (spread over {report.gradients.steps})"
    return ", ".join(parts)
