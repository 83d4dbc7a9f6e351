"""What the commands that take words do, and what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_session import PERIOD, TEXT, TOTAL, program_session, session_of

from backprop_tui.console import execute
from backprop_tui.errors import CommandError
from backprop_tui.facts import FACTS
from backprop_tui.session import Session


def refused(session: Session, line: str) -> str:
    """What is said of a line that cannot be carried out; the session stays as it was."""

    def all_of_it() -> tuple[object, ...]:
        debugger = session.debugger
        watched = tuple(formula.text for formula in session.watches)
        stops = tuple(debugger.stops.breakpoints)
        here = debugger.position, debugger.stage, debugger.detail, debugger.run, len(debugger.recordings)
        return (*here, stops, watched, dict(session.bookmarks), dict(session.notes), list(session.log))

    before = all_of_it()
    with pytest.raises(CommandError) as caught:
        execute(session, line)
    assert all_of_it() == before
    return str(caught.value)


def at(position: int, phase: str, what: str) -> str:
    """The line that says where one is in the run of these tests."""
    return f"step {position} of {TOTAL}: {phase} {what}, iteration {1 + (position > PERIOD)} of 2"


# Going somewhere


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("go_to 5", at(5, "forward", "h#2 @ W")),
        ("go_to 0", f"start, before step 1 of {TOTAL}"),
        (f"go_to {TOTAL}", at(TOTAL, "update", "b")),
        ("go_to yhat", at(8, "forward", "ŷ = h#3[0]")),
        ("go_to layer.z", at(3, "forward", "layer.z = h @ W + b")),
        ("go_to h#2", at(4, "forward", "h#2 = tanh(layer.z)")),
        ("go_to W", at(21, "backward", "h @ W → W")),
        ("go_to backward", at(11, "backward", "L → ŷ")),
        ("go_to x", f"start, before step 1 of {TOTAL}"),
        ("run_to 8", at(9, "forward", "L = Σ (ŷ − y)²")),
        ("run_to line 2", at(2, "forward", "h @ W")),
        ("run_to step 13", at(13, "backward", "h#3 → layer#2.z")),
    ],
)
def test_going_somewhere_says_where_one_is(line: str, said: str) -> None:
    session = session_of()
    assert execute(session, line) == session.where() == said


def test_a_name_and_a_phase_are_those_of_the_present_iteration() -> None:
    session = session_of(f"go_to {PERIOD + 2}")
    assert execute(session, "go_to yhat") == at(PERIOD + 8, "forward", "ŷ = h#3[0]")
    assert execute(session, "go_to seed") == at(PERIOD + 10, "seed", "∂L/∂L = 1")


def test_run_to_a_line_goes_forward_only_and_to_a_step_either_way() -> None:
    session = session_of("go_to 9")
    assert execute(session, "run_to 2") == at(14, "backward", "layer#2.z → h#2 @ W")
    assert execute(session, "run_to step 3").startswith("step 3 of")
    execute(session, "end")
    assert refused(session, "run_to 2") == "no step after this one is on line 2"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("go_to", "go to what? a step number, a name or a phase"),
        ("go_to 47", "the run has no step 47: it has the steps 1 to 46"),
        ("go_to -1", "no step, name or phase '-1'"),
        ("go_to bakward", "no step, name or phase 'bakward'; did you mean 'backward'?"),
        ("run_to", "which line of the program? write its number"),
        ("run_to 99", "no step after this one is on line 99"),
        ("run_to here", "'here' is no line of the program: write its number"),
        ("run_to step 99", "the run has no step 99: it has the steps 1 to 46"),
        ("search", "search for what? write it after search, or after /"),
        ("next_match", "search for what? write it after search, or after /"),
        ("previous_match", "search for what? write it after search, or after /"),
        ("search zebra", "no step, name or note has 'zebra' in it"),
        ("jump", "there is no bookmark yet; m sets one"),
        ("jump nowhere", "there is no bookmark yet; m sets one"),
        ("condition", "which breakpoint? write its number"),
        ("condition 1 value > 0", "no breakpoint 1; there is none yet"),
        ("condition W value > 0", "'W' is no breakpoint: write its number"),
        ("toggle", "which breakpoint? write its number"),
        ("toggle 1", "no breakpoint 1; there is none yet"),
        ("toggle kinks", "no breakpoint and no fact 'kinks'; did you mean 'kink'?"),
        ("toggle kink 3", "kink takes no bound"),
        ("delete", "which breakpoint? write its number"),
        ("delete 1", "no breakpoint 1; there is none yet"),
        ("delete 1234567890", "'1234567890' is no breakpoint: write its number"),
        ("unwatch", "which watch? write its number"),
        ("unwatch 2", "no watch 2; there are 1"),
        ("unwatch W", "'W' is no watch: write its number"),
        ("watch", "watch what? an expression over the program's names, such as norm(grad(W1))"),
        ("watch norm(grad(W))", "'norm(grad(W))' is watched already"),
        ("print", "print what? an expression over the program's names, such as W1 or norm(grad(W1))"),
        ("print L", "L is not there yet"),
        ("print grad(W)", "grad(W) is not there yet"),
        ("print yhta", "unknown name 'yhta'; did you mean 'yhat'?"),
        ("print norm(W, b)", "norm takes 1 operand, not 2; for example norm(W1)"),
        ("undo", "there is no change to undo: this is the scenario's own recording"),
        ("switch 2", "there is no recording 2: there are 1 to 1"),
        ("switch two", "'two' is no recording: write its number"),
        ("save", "save to which file? write its name"),
        ("break", "no line is being executed here; write a place: break 3, break W1, break op relu"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(line: str, said: str) -> None:
    assert refused(session_of(), line) == said


def test_bookmarks_are_set_listed_and_jumped_to() -> None:
    session = session_of("go_to 8")
    assert execute(session, "bookmarks") == "no bookmarks"
    assert execute(session, "bookmark") == "bookmark 1 at step 8"
    assert execute(session, "bookmark over here") == "bookmark over here at step 8"
    execute(session, "go_to 3")
    assert execute(session, "m") == "bookmark 2 at step 3"
    assert execute(session, "bookmarks") == "1  step 8\nover here  step 8\n2  step 3"
    assert execute(session, "jump over here") == at(8, "forward", "ŷ = h#3[0]")
    assert execute(session, "jump").startswith("step 3 of")
    assert refused(session, "jump 3") == "no bookmark '3'; there are: 1, over here, 2"


def test_search_takes_the_last_text_where_none_is_written() -> None:
    session = session_of("search yhat")
    assert execute(session, "search").startswith("step 11 of")
    assert execute(session, ".").startswith("step 12 of")
    assert execute(session, ",").startswith("step 11 of")


# Stops


def test_without_a_place_the_line_of_the_step_gets_a_breakpoint_and_loses_it() -> None:
    session = session_of("go_to 8")
    assert execute(session, "break") == "breakpoint 1: line 7"
    assert execute(session, "break") == "no breakpoint on line 7 any more"
    assert session.debugger.stops.breakpoints == []
    execute(session, "break 7 if value > 0")
    assert execute(session, "break") == "breakpoint 3: line 7"  # one with a condition is another
    session.debugger.go_to(10)
    assert refused(session, "break") == "no line is being executed here; write a place: break 3, break W1, break op relu"


@pytest.mark.parametrize(
    ("place", "words", "stops"),
    [
        ("7", "line 7", [8, 12]),
        ("line 8", "line 8", [9, 11]),
        ("yhat", "yhat", [8, 11]),
        ("yhat in backward", "yhat in backward", [11]),
        ("step 13", "step 13", [13]),
        ("op tanh in forward", "op tanh in forward", [4, 7]),
        ("seed", "phase seed", [10]),
        ("update", "phase update", [22]),
        ("change grad(b)", "change grad(b)", [15, 20]),
        ("b in backward if norm(grad) > 0", "b in backward if norm(grad) > 0", [15, 20]),
    ],
)
def test_a_breakpoint_at_a_place_stops_there_and_is_called_so(place: str, words: str, stops: list[int]) -> None:
    session = session_of()
    assert execute(session, f"break {place}") == f"breakpoint 1: {words}"
    for position in stops:
        said = execute(session, "continue")
        assert session.debugger.position == position
        assert f"; stopped by breakpoint 1, {words}, " in said
    execute(session, "continue")
    assert session.debugger.position > PERIOD


def test_the_same_breakpoint_is_not_set_twice() -> None:
    session = session_of("break yhat", "break yhat in forward")
    assert refused(session, "break yhat") == "breakpoint 1 is that one already"
    assert refused(session, "break yhat in forward") == "breakpoint 2 is that one already"


def test_a_condition_is_given_changed_and_taken_away() -> None:
    session = session_of("break W", "continue")
    assert session.debugger.position == 17
    assert execute(session, "condition 1 grad[0, 0] > 1e9") == "breakpoint 1: W if grad[0, 0] > 1e9"
    assert "stopped" not in execute(session, "continue")
    assert session.debugger.position == TOTAL
    assert execute(session, "condition 1") == "breakpoint 1: W"
    assert "stopped by breakpoint 1, W, " in execute(session, "reverse_continue")
    assert refused(session, "condition 1 nope > 1").startswith("unknown name 'nope'")
    execute(session, "toggle kink")
    assert refused(session, "condition 2 value > 0") == "kink takes no condition; it is one"


def test_breakpoints_are_switched_off_and_on() -> None:
    session = session_of("break yhat")
    assert execute(session, "toggle 1") == "breakpoint 1 is off: yhat"
    assert execute(session, "breakpoints") == "1  yhat  0 hits so far  (off)"
    execute(session, "continue")
    assert session.debugger.position == TOTAL
    execute(session, "home")
    assert execute(session, "toggle 1") == "breakpoint 1 is on: yhat"
    execute(session, "continue")
    assert session.debugger.position == 8


def test_a_fact_is_switched_on_off_and_on_by_its_name() -> None:
    session = session_of()
    assert execute(session, "toggle fan-out") == "breakpoint 1: a second contribution arrives at a node"
    assert execute(session, "toggle fan-out") == "breakpoint 1 is off: a second contribution arrives at a node"
    assert execute(session, "toggle fan-out") == "breakpoint 1 is on: a second contribution arrives at a node"
    execute(session, "continue")
    assert session.debugger.position == 20  # b has had a contribution from the second turn


def test_a_fact_with_another_bound_takes_the_place_of_the_one_before() -> None:
    session = session_of()
    assert execute(session, "toggle small-gradient") == "breakpoint 1: a gradient's norm falls below 1e-06"
    execute(session, "break yhat")
    assert "a gradient's norm falls below 0.001" in execute(session, "toggle small-gradient 1e-3")
    facts = [stop for stop in session.debugger.stops.breakpoints if stop.kind == "fact"]
    assert [stop.bound for stop in facts] == [1e-3]
    assert len(session.debugger.stops.breakpoints) == 2


@pytest.mark.parametrize("line", ["toggle small-gradient nonsense", "toggle small-gradient -1", "toggle small-gradient nan"])
def test_a_bound_that_is_none_leaves_the_fact_as_it_was(line: str) -> None:
    session = session_of("toggle small-gradient 1e-3")
    assert refused(session, line).endswith("is no bound: write a positive number, as in small-gradient 1e-06")


def test_breakpoints_are_listed_with_their_hits_up_to_here() -> None:
    session = session_of("break yhat", "break b in backward if norm(grad) > 1e9", "break step 30")
    assert execute(session, "breakpoints") == (
        "1  yhat  0 hits so far\n2  b in backward if norm(grad) > 1e9  0 hits so far\n3  step 30  0 hits so far"
    )
    execute(session, "go_to 8")
    assert execute(session, "breakpoints").startswith("1  yhat  1 hit so far\n")
    execute(session, "end")
    assert execute(session, "breakpoints") == (
        "1  yhat  4 hits so far\n2  b in backward if norm(grad) > 1e9  0 hits so far\n3  step 30  1 hit so far"
    )
    execute(session, "home")
    assert execute(session, "breakpoints").startswith("1  yhat  0 hits so far\n")


def test_breakpoints_are_deleted_one_or_all_and_their_numbers_are_not_given_again_at_once() -> None:
    session = session_of("break yhat", "break 8", "toggle kink")
    assert execute(session, "delete 2") == "deleted 2: line 8"
    assert execute(session, "break 7") == "breakpoint 4: line 7"
    assert refused(session, "delete 2") == "no breakpoint 2; there are: 1, 3, 4"
    assert execute(session, "delete all") == "3 breakpoints deleted"
    assert execute(session, "delete all") == "0 breakpoints deleted"
    assert execute(session, "breakpoints") == "no breakpoints"
    execute(session, "break yhat")
    assert execute(session, "delete all") == "1 breakpoint deleted"


def test_every_fact_is_listed_with_what_it_is() -> None:
    lines = execute(session_of(), "facts").splitlines()
    assert [line.split()[0] for line in lines] == list(FACTS)
    assert "small-gradient  a gradient's norm falls below 1e-06" in lines
    assert "large-gradient  a gradient's norm rises above 1000" in lines
    assert "kink            a convention is used where a derivative does not exist" in lines
    session = session_of()
    for line in lines:  # each can be switched on by what stands first
        execute(session, f"toggle {line.split()[0]}")
    assert len(execute(session, "breakpoints").splitlines()) == len(FACTS)


# Looking


def test_detail_is_switched_on_and_off() -> None:
    session = session_of("go_to 10")
    assert execute(session, "detail") == "detail is on: step also stops inside a multiplication"
    stages = [execute(session, "step").rpartition(", ")[2] for _ in range(4)]
    assert stages == ["upstream", "local", "product", "iteration 1 of 2"]
    execute(session, "step_back")
    assert execute(session, "detail") == "detail is off"
    assert session.debugger.stage is None


def test_watches_are_listed_with_before_and_after_where_they_changed() -> None:
    session = session_of("unwatch 1")
    assert execute(session, "watches") == "no watches"
    assert execute(session, "watch W[0, 0]") == "1  W[0, 0] = 0.5"
    assert execute(session, "watch norm(grad(b))") == "2  norm(grad(b)) = grad(b) is not there yet"
    execute(session, "go_to 15")
    gradient = session.debugger.state.gradient(session.debugger.graph.leaf("b"))
    assert gradient is not None
    one = f"{np.sqrt(np.sum(gradient**2)):.6g}"
    assert execute(session, "watches") == f"1  W[0, 0] = 0.5\n2  norm(grad(b)) = {one}"
    execute(session, "go_to 22")
    assert execute(session, "watches").splitlines()[0].startswith("1  W[0, 0] = 0.5 → 0.")
    assert execute(session, "unwatch 1") == "not watched any more: W[0, 0]"
    assert execute(session, "watches").startswith("1  norm(grad(b)) = ")


def test_print_says_a_value_where_one_stands() -> None:
    session = session_of()
    assert execute(session, "print W") == "W = [[0.5, −0.25], [0.125, 1]]"
    assert execute(session, "print  x @ W + b ") == "x @ W + b = [0.125, −0.625]"
    assert execute(session, "print W[-1, 0] * 8 - 1") == "W[-1, 0] * 8 - 1 = 0"
    assert execute(session, "print 1 / 0") == "1 / 0 = inf"
    assert execute(session, "print x > 0") == "x > 0 = [1, 0]"
    execute(session, "go_to backward")
    assert execute(session, "print grad(L)") == "grad(L) = 1"


def test_what_is_printed_of_a_name_that_is_assigned_again_is_never_another_ones_value() -> None:
    session = program_session("h = w * 2\nh = h * 3\nL = h * 5")
    execute(session, "end")
    assert execute(session, "print h") == "h = 12"
    try:
        said = execute(session, "print h#1")
    except CommandError:
        return  # it may be refused
    assert said == "h#1 = 4"


def test_a_large_array_is_printed_in_short() -> None:
    session = program_session("L = sum(w)", "w = { zeros = [100, 100] }")
    said = execute(session, "print w")
    assert "100 × 100" in said
    assert len(said) < 200


def test_what_an_expression_cannot_be_computed_of_is_said_without_a_place_in_a_file() -> None:
    assert refused(session_of(), "print W[0, 9]").startswith("index 9 is out of bounds for axis 1 of size 2")
    assert refused(session_of(), "print W @ W[0] @ W @ y").startswith("matmul ")


def test_show_prints_the_step_with_its_numbers() -> None:
    session = session_of()
    assert execute(session, "show") == f"start, before step 1 of {TOTAL}"
    execute(session, "step")
    assert execute(session, "show") == "step 1  forward  h = x  (line 4, identity)\n    value         [0.5, −1]  2"
    execute(session, "go_to seed")
    assert execute(session, "show") == "step 10  seed  ∂L/∂L = 1"
    execute(session, "step")
    said = execute(session, "show").splitlines()
    assert said[0] == "step 11  backward  L → ŷ  (line 8, squared_error)"
    assert [line.split()[0] for line in said[1:]] == ["upstream", "local", "contribution", "gradient"]


def test_show_prints_an_update_with_the_learning_rate_it_was_made_with() -> None:
    session = session_of("go_to update")
    assert "(η = 0.5)" in execute(session, "show")
    execute(session, "edit learning_rate = 0.125")
    assert "(η = 0.5)" in execute(session, "show")  # this one was made before the change
    execute(session, "step")
    assert "(η = 0.125)" in execute(session, "show")


def test_where_prints_the_calls_and_the_turns_of_loops_the_innermost_first() -> None:
    session = session_of()
    assert execute(session, "where") == f"start, before step 1 of {TOTAL}"
    execute(session, "go_to 6")
    assert execute(session, "where").splitlines() == [
        at(6, "forward", "layer#2.z = h#2 @ W + b"),
        "  layer#2, line 2",
        "  the program, line 6, t = 1 (2 of 2)",
    ]
    execute(session, "go_to 18")
    assert execute(session, "where").splitlines()[1:] == ["  layer, line 3", "  the program, line 6, t = 0 (1 of 2)"]
    execute(session, "go_to yhat")
    assert execute(session, "where").splitlines()[1:] == ["  the program, line 7"]
    execute(session, "go_to seed")
    assert execute(session, "where").splitlines()[1:] == []


def test_notes_are_written_and_taken_away() -> None:
    session = session_of("go_to 5")
    assert execute(session, "note  # remember  this") == "noted at step 5"
    assert session.notes == {5: "# remember  this"}
    assert execute(session, "note another") == "noted at step 5"
    assert session.notes == {5: "another"}
    assert execute(session, "note") == "no note at step 5 any more"
    assert session.notes == {}


# What if


def test_edits_are_listed_switched_between_and_undone() -> None:
    session = session_of("go_to 3")
    assert execute(session, "recordings") == "▸ 1  the scenario as it is"
    assert execute(session, "edit layer.z = 0") == "layer.z = 0 at step 3: this is recording 2 of 2"
    execute(session, "go_to 9")
    assert execute(session, "e L = 1") == "L = 1 at step 9: this is recording 3 of 3"
    assert execute(session, "recordings") == "  1  the scenario as it is\n  2  layer.z = 0 at step 3\n▸ 3  L = 1 at step 9"
    assert execute(session, "switch 2") == "2  layer.z = 0 at step 3"
    assert execute(session, "switch") == "3  L = 1 at step 9"
    assert execute(session, "switch") == "1  the scenario as it is"
    assert execute(session, "recordings").splitlines()[0] == "▸ 1  the scenario as it is"
    execute(session, "switch 3")
    assert execute(session, "undo") == "undone: L = 1"
    assert execute(session, "undo") == "undone: layer.z = 0"
    assert session.debugger.position == 9


def test_hits_are_those_of_the_recording_one_is_in() -> None:
    session = session_of("break yhat if value > 10", "continue")
    assert session.debugger.position == TOTAL
    execute(session, "go_to 8")
    execute(session, "edit yhat = 11")
    execute(session, "continue")
    assert session.debugger.position == 11  # where its gradient comes
    execute(session, "switch 1")
    execute(session, "home")
    execute(session, "continue")
    assert session.debugger.position == TOTAL


# Saving


def test_a_session_is_saved_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.session"
    session = session_of("step 3")
    log = list(session.log)
    assert execute(session, f"save {path}") == f"saved to {path}; backprop-tui replay {path} plays it"
    assert path.stat().st_size > 0
    assert session.log == log
    assert refused(session, f"save {tmp_path}").startswith(f"cannot save to {tmp_path}")


def test_the_scenario_of_these_tests_has_no_breakpoints_of_its_own() -> None:
    assert "[[breakpoints]]" not in TEXT
    session = session_of(text=TEXT + '[[breakpoints]]\nat = "yhat"\nwhen = "value > -9"\n[[breakpoints]]\nphase = "update"\n')
    assert execute(session, "breakpoints") == "1  yhat if value > -9  0 hits so far\n2  phase update  0 hits so far"
    assert execute(session, "break 7") == "breakpoint 3: line 7"
