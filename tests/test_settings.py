"""Settings: what is right is taken, what is wrong is named and skipped, and nothing is ever fatal."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_panels import scenario_of
from textual.keys import Keys

from backprop_tui import commands
from backprop_tui.commands import COMMANDS, keys_text
from backprop_tui.format import DISPLAY
from backprop_tui.settings import Settings, described, file, key_name, load
from backprop_tui.tui.app import BackpropApp

pytestmark = pytest.mark.usefixtures("home")
FULL = """
theme = "light"
decimals = 6
detail = true
speed = 8

[keys]
step = ["x", "right"]
continue = "Ctrl+G"
next_phase = ";"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "settings.toml"
    path.write_bytes(text.encode("utf-8"))
    return path


def test_everything_that_can_be_set_is_taken(tmp_path: Path) -> None:
    settings, problems = load(written(tmp_path, FULL))
    assert problems == ()
    keys = {"step": ("x", "right"), "continue": ("ctrl+g",), "next_phase": ("semicolon",)}
    assert settings == Settings("light", 6, True, 8.0, keys)


def test_a_file_that_is_not_there_is_no_problem(tmp_path: Path) -> None:
    assert load(tmp_path / "nothing.toml") == (Settings(), ())


def test_the_file_is_in_the_platforms_folder_and_nothing_is_made_there() -> None:
    assert file().name == "settings.toml"
    assert load() == (Settings(), ())
    assert not file().parent.exists()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("themes = 'dark'", "unknown setting 'themes'; did you mean 'theme'?"),
        ("theme = 3", "theme: write dark, light, or the name of a theme"),
        ("theme = '[bold]'", "theme: write dark, light, or the name of a theme"),
        ("decimals = 11", "decimals: write a whole number from 2 to 10"),
        ("decimals = true", "decimals: write a whole number from 2 to 10"),
        ("decimals = 4.5", "decimals: write a whole number from 2 to 10"),
        ("detail = 1", "detail: write true or false"),
        ("speed = 3", "speed: write one of 0.5, 1, 2, 4, 8, 16, 32 steps a second"),
        ("speed = nan", "speed: write one of 0.5, 1, 2, 4, 8, 16, 32 steps a second"),
        ("keys = 's'", 'keys: write a table: [keys] and under it NAME = "KEY"'),
        ("[keys]\nstepp = 'x'", "keys: no command 'stepp'; did you mean 'step'?"),
        ("[keys]\nstep = 3", "keys.step: write a key such as 's', 'ctrl+s', 'f5' or 'space', or a list of them"),
        ("[keys]\nstep = []", "keys.step: write a key such as 's', 'ctrl+s', 'f5' or 'space', or a list of them"),
        ("[keys]\nstep = 'ctrl+'", "keys.step: write a key such as 's', 'ctrl+s', 'f5' or 'space', or a list of them"),
        ("[keys]\nstep = 'n'", "keys.step: n is that of next; give that one another key too"),
        ("[keys]\nstep = 'j'", "keys.step: j moves and chooses inside the panels; take another one"),
        ("[keys]\nstep = 'x'\nnext = 'x'", "keys.next: x is that of step; give that one another key too"),
    ],
)
def test_what_is_wrong_is_named_and_the_rest_is_taken(tmp_path: Path, text: str, problem: str) -> None:
    other = "decimals = 7\n" if "decimals" not in text else "speed = 16\n"
    settings, problems = load(written(tmp_path, other + text))
    assert problems == (f"settings.toml: {problem}",)
    assert settings.decimals == 7 or settings.speed == 16


def test_two_commands_can_swap_their_keys(tmp_path: Path) -> None:
    settings, problems = load(written(tmp_path, "[keys]\nstep = 'n'\nnext = 's'\n"))
    assert problems == ()
    assert settings.keys == {"step": ("n",), "next": ("s",)}


@pytest.mark.parametrize("text", ["theme = ", "a" * 200_000, "\ufeff\x00", "x = [" * 5000])
def test_a_file_that_is_no_toml_leaves_the_defaults_and_one_line(tmp_path: Path, text: str) -> None:
    settings, problems = load(written(tmp_path, text))
    assert settings == Settings()
    assert len(problems) == 1
    assert "\n" not in problems[0]
    assert problems[0].startswith("settings.toml ")


def test_a_folder_and_a_file_that_is_not_utf_8_are_named(tmp_path: Path) -> None:
    assert len(load(tmp_path)[1]) == 1
    path = tmp_path / "settings.toml"
    path.write_bytes(b"theme = '\xff'")
    assert len(load(path)[1]) == 1


@given(st.text(max_size=60))
def test_no_text_at_all_raises(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(text.encode("utf-8", "replace"))
    settings, problems = load(path)
    assert isinstance(settings, Settings)
    assert all("\n" not in problem and "\x1b" not in problem for problem in problems)


def test_every_key_of_the_table_can_be_written_as_it_is_shown() -> None:
    for command in COMMANDS:
        for key in command.keys:
            assert key_name(commands.key_text(key)) == key
            assert key_name(key) == key


def test_names_of_keys_are_textuals() -> None:
    known = {key.value for key in Keys}
    for text in ("space", "F5", "PageUp", "Home", "Ctrl+S"):
        assert key_name(text) in known
    assert key_name("hyper+x") is None
    assert key_name("") is None


def test_keys_theme_digits_detail_and_speed_are_those_of_the_settings() -> None:
    import asyncio

    settings = Settings("light", 6, True, 8.0, {"step": ("x",), "next": ("s",)})
    app = BackpropApp(scenario_of("notes/sigmoid"), settings=settings, problems=("settings.toml: speed: no",))

    async def run() -> None:
        async with app.run_test(size=(120, 36)) as pilot:
            assert app.theme == "backprop-light"
            await pilot.pause()
            rows = [strip.text for strip in app.screen._compositor.render_strips()]
            assert rows[-1].strip() == "settings.toml: speed: no"
            await pilot.press("x", "x")
            assert app.stepper is not None
            assert app.stepper.debugger.position == 2
            assert app.stepper.debugger.detail
            rows = [strip.text for strip in app.screen._compositor.render_strips()]
            assert any("0.952574" in row for row in rows)
            assert rows[-1].strip().startswith("x step")
            await pilot.press("s")
            assert app.stepper.debugger.position == 3
            await pilot.press("question_mark")
            assert keys_text(commands.BY_NAME["step"]) == "x"

    try:
        asyncio.run(run())
    finally:
        BackpropApp(None)
    assert DISPLAY.decimals == 4
    assert keys_text(commands.BY_NAME["step"]) == "s  →  F11"


def test_a_theme_that_does_not_exist_is_named_and_the_dark_one_is_taken() -> None:
    app = BackpropApp(None, settings=Settings(theme="nosuch"))
    assert app.theme == "backprop-dark"
    assert app.problems == ("settings.toml: no theme 'nosuch'; write dark, light, or a theme of Textual's",)
    assert BackpropApp(None, settings=Settings(theme="nord")).theme == "nord"


def test_the_description_says_where_the_file_is_and_what_is_wrong() -> None:
    text = described(Settings(keys={"step": ("x",)}), ("settings.toml: speed: no",))
    assert str(file()) in text
    assert "settings.toml: speed: no" in text
    assert "step = ['x']" in text
