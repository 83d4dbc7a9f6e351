"""Debugger → frozen models of the panels, in plain text and numbers. Made once, drawn by whoever draws."""

from backprop_tui.view.build import (
    header_model,
    notes_model,
    program_model,
    steps_model,
    timeline_model,
    variables_model,
)
from backprop_tui.view.chain import chain_model
from backprop_tui.view.side import calls_model, stops_model, watches_model
from backprop_tui.view.step import step_model

__all__ = [
    "calls_model",
    "chain_model",
    "header_model",
    "notes_model",
    "program_model",
    "step_model",
    "steps_model",
    "stops_model",
    "timeline_model",
    "variables_model",
    "watches_model",
]
