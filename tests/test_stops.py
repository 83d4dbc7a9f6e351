"""Where breakpoints stop: counted, kept, switched, over forks, the same places in both directions of time."""

from __future__ import annotations

import gc
from weakref import ref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import Program, programs

import backprop_tui as bt
from backprop_tui import stops as stops_module
from backprop_tui import whatif
from backprop_tui.breakpoints import Breakpoint, read
from backprop_tui.debugger import Debugger
from backprop_tui.errors import CommandError
from backprop_tui.facts import FACTS
from backprop_tui.recording import Recording
from backprop_tui.stops import Hits, Stops

#: Forward 1 to 12 (2 to 11 are the turns of the loop), the seed 13, backward 14 to 35 (15 to 34 the turns, two steps each).
CHAIN = "h = v\nfor t in range(10):\n    h = h * w\nL = h\n"


def debugger_of(program: str = CHAIN, parameters: str = "w = 1.5\nv = 1", training: str = "") -> Debugger:
    tables = f"[parameters]\n{parameters}\n" + (f"[training]\n{training}\n" if training else "")
    return Debugger(bt.loads(f"format = 1\ntitle = 't'\nprogram = '''\n{program}'''\n{tables}"))


def add(debugger: Debugger, *texts: str) -> list[Breakpoint]:
    for text in texts:
        debugger.stops.add(read(text, debugger.graph, debugger.total, debugger.stops.next_number()))
    return debugger.stops.breakpoints


def forward(debugger: Debugger) -> list[int]:
    """Where continue stops, from here to the end."""
    found = []
    while debugger.continue_():
        found.append(debugger.position)
    return found


def backward(debugger: Debugger) -> list[int]:
    """Where reverse-continue stops, from here to the start."""
    found = []
    while debugger.reverse_continue():
        found.append(debugger.position)
    return found


# Both directions of time


def test_continue_and_reverse_continue_stop_at_the_same_places_in_opposite_order() -> None:
    debugger = debugger_of(training="steps = 3\nlearning_rate = 1e-6")
    add(debugger, "line 3 in forward", "change w", "fan-out")
    there = forward(debugger)
    assert there == sorted(there)
    back = backward(debugger)
    assert back == [*there[-2::-1], 0]
    assert there[-1] == debugger.total


def test_a_stop_at_the_last_step_is_the_end_and_one_at_the_first_is_reached_back() -> None:
    debugger = debugger_of()
    add(debugger, "step 35", "step 1")
    assert debugger.total == 35
    assert debugger.continue_()
    assert (debugger.position, debugger.reason) == (1, "breakpoint 2, step 1, 1st hit of 1")
    assert debugger.continue_()
    assert (debugger.position, debugger.reason) == (35, "breakpoint 1, step 35, 1st hit of 1")
    assert not debugger.continue_()
    assert debugger.reverse_continue()
    assert (debugger.position, debugger.reason) == (1, "breakpoint 2, step 1, 1st hit of 1")
    assert debugger.reverse_continue()
    assert (debugger.position, debugger.reason) == (0, "")


def test_the_breakpoint_one_stands_on_is_ignored_in_both_directions() -> None:
    debugger = debugger_of()
    add(debugger, "step 5", "step 6", "step 7")
    debugger.go_to(6)
    assert debugger.continue_()
    assert debugger.position == 7
    debugger.go_to(6)
    assert debugger.reverse_continue()
    assert debugger.position == 5


def test_from_between_two_stops_each_direction_comes_to_its_nearer_one() -> None:
    debugger = debugger_of()
    add(debugger, "step 5", "step 9")
    for position in (6, 7, 8):
        debugger.go_to(position)
        debugger.continue_()
        assert debugger.position == 9
        debugger.go_to(position)
        debugger.reverse_continue()
        assert debugger.position == 5


def test_without_breakpoints_and_with_all_switched_off_it_goes_to_the_ends() -> None:
    debugger = debugger_of()
    assert forward(debugger) == [debugger.total]
    assert backward(debugger) == [0]
    add(debugger, "step 5", "backward")
    for stop in list(debugger.stops.breakpoints):
        debugger.stops.change(stop.number, enabled=False)
    assert forward(debugger) == [debugger.total]
    assert (debugger.reason, backward(debugger)) == ("", [0])


@given(programs, st.sampled_from(["", "steps = 3\nlearning_rate = 0.1"]), st.sampled_from([1, 3, 7, 4096]), st.data())
@settings(max_examples=60, deadline=None)
def test_the_stops_of_any_run_are_the_same_however_it_is_looked_through(
    program: Program, training: str, chunk: int, data: st.DataObject
) -> None:
    scenario = program.scenario(training=training)
    texts = ["line 1", "forward", "backward if sum(contribution) > 0", "change L", "op add", *FACTS, "small-gradient 0.5"]
    chosen = data.draw(st.lists(st.sampled_from(texts), min_size=1, max_size=3, unique=True))
    debugger = Debugger(scenario)
    graph, total = debugger.graph, debugger.total
    chosen = [text for text in chosen if text != "op add" or any(op.name == "add" for op in graph.ops)]
    chosen = [text if text != "line 1" else f"line {graph.statements[0].line}" for text in chosen]
    add(debugger, *chosen)
    wanted: set[int] = set()
    run = bt.record(scenario)
    for text in chosen:
        hits = Hits(read(text, graph, total, 1), run)
        hits.scan(total)
        wanted |= set(hits.steps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stops_module, "CHUNK", chunk)
        start = data.draw(st.integers(0, total))
        debugger.go_to(start)
        assert forward(debugger) == sorted({step for step in wanted if step > start} | ({total} - {start}))
        assert backward(debugger) == sorted({step for step in wanted if step < total} | {0}, reverse=True)


def test_a_search_looks_no_further_than_it_must_and_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stops_module, "CHUNK", 4)
    debugger = debugger_of()
    add(debugger, "step 10")
    parts = list(debugger.stops.search(debugger.run, 0, forward=True))
    assert parts == [4, 8, 12]
    assert len(debugger.run) == 0  # a step's number needs nothing executed
    add(debugger, "small-gradient 1e-30")
    assert list(debugger.stops.search(debugger.run, 0, forward=True)) == [4, 8, 12]
    assert len(debugger.run) == 12


def test_a_search_that_is_broken_off_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stops_module, "CHUNK", 4)
    debugger = debugger_of()
    add(debugger, "backward if abs(grad) > 1e9")
    travel = debugger.travel(forward=True)
    assert [next(travel) for _ in range(3)] == [4, 8, 12]
    travel.close()
    assert debugger.position == 0
    assert next(debugger.travel(forward=True)) == 16


# Counting


def test_hits_are_counted_up_to_the_position_in_both_directions() -> None:
    debugger = debugger_of()
    add(debugger, "line 3 in backward")
    counts = []
    while debugger.continue_() and debugger.reason:
        counts.append(debugger.reason.rpartition(", ")[2])
    ordinals = ["1st", "2nd", "3rd", *(f"{n}th" for n in range(4, 11))]
    assert counts == [f"{ordinal} hit of 10" for ordinal in ordinals]
    counts = []
    while debugger.reverse_continue() and debugger.reason:
        counts.append(debugger.reason.rpartition(", ")[2])
    assert counts == [f"{ordinal} hit of 10" for ordinal in ordinals[::-1]]


@pytest.mark.parametrize(("number", "ordinal"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (12, "12th"), (13, "13th")])
def test_ordinals(number: int, ordinal: str) -> None:
    debugger = debugger_of()
    for base in (0, 100, 1000):
        hits = Hits(Breakpoint(1, "step", "1"), debugger.run)
        hits.steps = list(range(1, base + number + 1))
        assert hits.count(base + number).split()[0] == (ordinal if not base else f"{base + number}{ordinal.lstrip('0123456789')}")
    assert hits.count(21).split()[0] == "21st"
    assert hits.count(112).split()[0] == "112th"


def test_of_how_many_is_said_only_where_the_run_was_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stops_module, "CHUNK", 4)
    debugger = debugger_of()
    add(debugger, "line 3")
    debugger.continue_()
    assert debugger.reason == "breakpoint 1, line 3, 1st hit"
    forward(debugger)
    debugger.go_to(3)
    debugger.reverse_continue()
    assert debugger.reason == "breakpoint 1, line 3, 1st hit of 20"


def test_all_that_stop_at_a_step_are_named() -> None:
    debugger = debugger_of()
    add(debugger, "backward", "fan-out", "step 14", "line 4 in backward")
    debugger.go_to(13)
    debugger.continue_()
    assert debugger.reason == (
        "breakpoint 1, phase backward, 1st hit of 1; breakpoint 3, step 14, 1st hit of 1; "
        "breakpoint 4, line 4 in backward, 1st hit of 1"
    )


def test_of_a_first_nan_only_the_first_of_the_whole_run_counts() -> None:
    debugger = debugger_of("L = log(w) * w * w\n", "w = -1", training="steps = 3\nlearning_rate = 1")
    add(debugger, "nan-value")
    assert forward(debugger) == [1, debugger.total]
    add(debugger, "nan-gradient")
    assert len(backward(debugger)) == 3


# Adding, switching, taking away


def test_a_number_is_never_given_twice() -> None:
    stops = Stops([Breakpoint(1, "step", "1"), Breakpoint(4, "step", "2")])
    assert stops.next_number() == 5
    stops.add(Breakpoint(stops.next_number(), "step", "3"))
    stops.remove(5)
    assert stops.next_number() == 6
    stops.breakpoints.clear()
    assert stops.next_number() == 6
    assert Stops().next_number() == 1
    loaded = Stops([Breakpoint(1, "step", "1"), Breakpoint(4, "step", "2")])
    loaded.remove(4)
    assert loaded.next_number() == 5


def test_a_breakpoint_is_switched_off_and_on_and_keeps_what_was_counted() -> None:
    debugger = debugger_of()
    add(debugger, "line 3", "step 7")
    assert len(forward(debugger)) == 21  # the twenty and the end
    debugger.stops.change(1, enabled=False)
    assert backward(debugger) == [7, 0]
    debugger.stops.change(1, enabled=True)
    debugger.go_to(2)
    assert debugger.continue_()
    assert debugger.reason == "breakpoint 1, line 3, 2nd hit of 20"


def test_a_changed_condition_is_another_question() -> None:
    debugger = debugger_of()
    add(debugger, "line 3 in forward if value > 5")
    assert forward(debugger) == [*(1 + turn for turn in range(1, 11) if 1.5**turn > 5), debugger.total]
    debugger.home()
    debugger.stops.change(1, when=read("line 3 if value > 50", debugger.graph, debugger.total, 9).when)
    assert forward(debugger) == [11, debugger.total]


def test_what_is_not_there_cannot_be_changed_or_taken_away() -> None:
    stops = Stops()
    with pytest.raises(CommandError, match="no breakpoint 3; there is none yet"):
        stops.remove(3)
    stops.add(Breakpoint(1, "step", "1"))
    stops.add(Breakpoint(2, "step", "1"))
    with pytest.raises(CommandError, match="no breakpoint 3; there are: 1, 2"):
        stops.change(3, enabled=False)
    stops.remove(1)
    assert [stop.number for stop in stops.breakpoints] == [2]


# In a recording that was forked


def test_what_lies_before_the_fork_is_as_it_was_and_what_lies_after_is_new() -> None:
    debugger = debugger_of()
    add(debugger, "line 3 in forward if value > 5", "large-gradient 5")
    before = forward(debugger)
    assert before[:3] == [5, 6, 7]
    debugger.go_to(7)
    whatif.apply(debugger, "h#7 = 0")
    debugger.home()
    assert [step for step in forward(debugger) if step < 13] == [5, 6, 7]  # these held before the change was made
    assert backward(debugger)[-4:] == [7, 6, 5, 0]
    debugger.switch(1)
    debugger.home()
    assert forward(debugger) == before


def test_a_fact_of_which_the_first_counts_is_looked_for_again_after_the_fork() -> None:
    debugger = debugger_of()
    add(debugger, "nan-value")
    assert forward(debugger) == [debugger.total]
    debugger.go_to(3)
    whatif.apply(debugger, "h#3 = nan")
    assert forward(debugger) == [4, debugger.total]
    debugger.go_to(7)
    whatif.apply(debugger, "h#7 = 1")
    assert forward(debugger) == [debugger.total]
    assert backward(debugger) == [4, 0]  # it stays the first: what is behind stays as it is
    whatif.undo(debugger)
    whatif.undo(debugger)
    assert forward(debugger) == [debugger.total]


def test_a_changed_gradient_is_felt_by_the_stops_after_it() -> None:
    debugger = debugger_of()
    add(debugger, "backward if upstream == 7")
    debugger.go_to(14)
    whatif.apply(debugger, "grad(h#11) = 7")
    assert forward(debugger) == [15, 16, debugger.total]
    debugger.switch(1)
    debugger.home()
    assert forward(debugger) == [debugger.total]


def test_changes_of_changes_of_changes_are_searched() -> None:
    debugger = debugger_of()
    add(debugger, "line 3 in forward if value < 0", "step 10")
    debugger.go_to(9)
    for turn in range(1500):  # more than functions may call one another
        whatif.apply(debugger, f"h#9 = {-1 - turn}")
    assert debugger.continue_()
    assert debugger.position == 10
    assert debugger.reason.count("breakpoint") == 2
    assert backward(debugger) == [0]


def test_hits_are_forgotten_with_their_recording() -> None:
    debugger = debugger_of()
    stops = debugger.stops
    stop = add(debugger, "line 3 if value > 1")[0]
    fork = debugger.run.forked(6)
    stops.hits(stop, fork).scan(debugger.total)
    run, hits = ref(fork), ref(stops.hits(stop, fork))
    assert hits() is stops.hits(stop, fork)
    del fork
    gc.collect()
    assert (run(), hits()) == (None, None)


@given(programs, st.data())
@settings(max_examples=40, deadline=None)
def test_the_stops_of_a_fork_are_those_of_the_parent_and_then_its_own(program: Program, data: st.DataObject) -> None:
    scenario = program.scenario(training="steps = 2\nlearning_rate = 0.1")
    parent = Recording(scenario)
    parent.advance(parent.plan.total)
    fork = data.draw(st.integers(0, parent.plan.total))
    node = data.draw(st.sampled_from(list(parent.graph.parameters.values())))
    child = parent.forked(fork)
    child.change_value(node, np.asarray(parent.state(fork).value(node) * np.nan)[()])
    text = data.draw(st.sampled_from([*FACTS, "backward if sum(grad) > 0", "forward if any(isnan(value))", "change L"]))
    stop = read(text, parent.graph, parent.plan.total, 1)
    stops = Stops([stop])
    of_child, of_parent = stops.hits(stop, child), stops.hits(stop, parent)
    for end in sorted(data.draw(st.sets(st.integers(0, parent.plan.total), max_size=3)) | {parent.plan.total}):
        of_child.scan(end)
    of_parent.scan(parent.plan.total)
    before = [step for step in of_parent.steps if step <= fork]
    after = [step for step in range(fork + 1, parent.plan.total + 1) if stops_at(stop, child, step)]
    first = stop.kind == "fact" and FACTS[stop.target].first
    assert of_child.steps == ([*before, *after][:1] if first else [*before, *after])


def stops_at(stop: Breakpoint, recording: Recording, step: int) -> bool:
    """Whether a breakpoint stops at one step, asked of this one alone."""
    hits = Hits(stop, recording)
    hits.scanned = step - 1
    hits.scan(step)
    return bool(hits.steps)
