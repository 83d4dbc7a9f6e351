"""Stops that never stop, carried over a whole recording of numbers that is executed already."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

from engine import CHAIN, HEAD, Row

import backprop_tui as bt
from backprop_tui.breakpoints import read
from backprop_tui.facts import FACTS
from backprop_tui.stops import CHUNK, Hits

#: So many turns of the chain: a forward step and two backward steps each.
TURNS = 35_000
FACTS_WANTED, EXPRESSIONS_WANTED = 500_000, 50_000
#: No gradient of the chain comes near these; a fan-out it has, and that is found ahead of time, once for the plan.
BOUNDS = {"small-gradient": " 1e-300", "large-gradient": " 1e300"}
#: The first can be held to columns of numbers at once, the last must be computed step by step.
EXPRESSIONS = (
    *("norm(grad) > 1e9", "value > 1e9", "max(abs(local)) > 1e9", "abs(contribution) > 1e9", "upstream * local > 1e9"),
    *("grad(w) > 1e9", "exp(-abs(value)) > 2"),
)


def carried(text: str, recording: bt.Recording, rounds: int) -> tuple[float, int]:
    """Median seconds of looking through the whole recording as continue does, and at how many steps it would stop."""
    breakpoint, seconds = read(text, recording.graph, len(recording), 1), []
    for _ in range(rounds):
        hits, begun = Hits(breakpoint, recording), time.perf_counter()
        for at in range(CHUNK, len(recording) + CHUNK, CHUNK):
            hits.scan(min(at, len(recording)))
        seconds.append(time.perf_counter() - begun)
    return median(seconds), len(hits.steps)


def stops(rounds: int) -> Iterator[Row]:
    """Every fact, and representative expressions at every backward step, against the steps a second that are wanted."""
    recording = bt.record(bt.loads(HEAD + CHAIN.format(TURNS)))
    facts = [(name + BOUNDS.get(name, ""), len(recording), FACTS_WANTED) for name in FACTS]
    backward = recording.plan.backward_steps  # of these alone: to say that a step forward has no gradient takes no time
    expressions = [(f"backward if {text}", backward, EXPRESSIONS_WANTED) for text in EXPRESSIONS]
    for text, steps, wanted in [*facts, *expressions]:
        seconds, found = carried(text, recording, rounds)
        assert found <= (text == "fan-out"), f"{text} was to stop nowhere"
        yield text, f"{wanted:,} steps/s", wanted * seconds / steps, 1.0, f"{steps / seconds:,.0f} a second, of {steps:,}"
