"""The screen of enlarged arrays, driven in a tiny host app: the cursor, the cell it reads, scrolling, foreign text."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.theme import Theme

from backprop_tui.format import cell_width
from backprop_tui.tui.panels.base import Bar
from backprop_tui.tui.screens.matrix import MatrixGrid, MatrixScreen, MatrixTab, Sheet, keys_line, tab_spans, title_line
from backprop_tui.view.text import plain, width_of

SIZES = [(40, 12), (80, 24), (120, 36), (200, 60)]
ROLES = {"forward": "#56B4E9", "upstream": "#E69F00", "local": "#CC79A7", "product": "#3FC79A"}


class Host(App[None]):
    """Nothing but a theme with the four colours, and the screen."""

    def __init__(self, screen: MatrixScreen) -> None:
        super().__init__()
        self.shown = screen
        self.register_theme(Theme(name="host", primary="#56B4E9", background="#10131A", variables=ROLES))
        self.theme = "host"

    def on_mount(self) -> None:
        self.push_screen(self.shown)


def drive(screen: MatrixScreen, size: tuple[int, int], act: Callable[[Pilot[None]], Awaitable[None]]) -> None:
    async def run() -> None:
        async with Host(screen).run_test(size=size) as pilot:
            await pilot.pause()
            await act(pilot)

    asyncio.run(run())


def text_of(screen: MatrixScreen) -> list[str]:
    """The lines of the whole screen, as they are drawn."""
    width, height = screen.app.size
    return ["".join(segment.text for segment in strip)[:width] for strip in screen._compositor.render_strips()][:height]


def described(index: tuple[int, ...]) -> Sequence[str]:
    return [f"entry {'/'.join(map(str, index))}", "= 1 · 2"]


def screen_of(*arrays: object, role: str = "product") -> MatrixScreen:
    tabs = [MatrixTab(f"array {k}", role, np.asarray(a, float), described) for k, a in enumerate(arrays)]  # type: ignore[arg-type]  # the roles are a test's
    return MatrixScreen("title", tabs)


@pytest.mark.parametrize("size", SIZES)
def test_the_cursor_moves_and_the_cell_is_described(size: tuple[int, int]) -> None:
    array = np.arange(12.0).reshape(3, 4) / 7
    screen = screen_of(array)

    async def act(pilot: Pilot[None]) -> None:
        async def at(*index: int) -> None:
            await pilot.pause()
            assert screen.sheet.index == index
            text = "\n".join(text_of(screen))
            assert f"[{', '.join(map(str, index))}]  {float(array[index])!r}" in text
            assert f"entry {index[0]}/{index[1]}" in text

        await at(0, 0)
        moves = [("right", 0, 1), ("l", 0, 2), ("down", 1, 2), ("j", 2, 2), ("j", 2, 2), ("k", 1, 2), ("h", 1, 1)]
        moves += [("up", 0, 1), ("end", 0, 3), ("right", 0, 3), ("home", 0, 0), ("left", 0, 0), ("ctrl+end", 2, 3)]
        moves += [("ctrl+home", 0, 0), ("pagedown", 2, 0), ("pageup", 0, 0)]
        for key, row, column in moves:
            await pilot.press(key)
            await at(row, column)

    drive(screen, size, act)


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_the_screen_and_numbers_are_whole(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    screen = screen_of(rng.normal(size=(40, 50)), rng.normal(size=7), 3.5)

    async def act(pilot: Pilot[None]) -> None:
        for _ in range(3):
            await pilot.pause()
            grid = screen.query_one(MatrixGrid)
            for y in range(grid.size.height):
                assert width_of(grid.line_at(y)) <= grid.scrollable_content_region.width
            lines = text_of(screen)
            assert len(lines) == size[1]
            assert all(cell_width(line) == size[0] for line in lines)
            assert "close" in lines[-1]
            await pilot.press("tab")

    drive(screen, size, act)


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
def test_a_large_array_opens_and_scrolls_at_once(size: tuple[int, int]) -> None:
    array = np.zeros((5000, 5000))
    array[4999, 4999], array[2, 1] = 1.25, -2.5
    screen = MatrixScreen("W", [MatrixTab("value of W", "value", array)])

    async def act(pilot: Pilot[None]) -> None:
        grid = screen.query_one(MatrixGrid)
        style = screen.sheet.style
        for key in ("ctrl+end", "pageup", "pagedown"):
            begun = time.perf_counter()
            await pilot.press(key)
            await pilot.pause()
            assert time.perf_counter() - begun < 2
        assert screen.sheet.index == (4999, 4999)
        drawn = [plain(grid.line_at(y)) for y in range(grid.scrollable_content_region.height)]
        assert drawn[0].split()[-1] == "4999"
        assert drawn[-1].split()[0] == "4999"
        assert drawn[-1].rstrip().endswith("1.2500")
        assert screen.sheet.style == style
        await pilot.press("ctrl+home")
        await pilot.pause()
        drawn = [plain(grid.line_at(y)) for y in range(grid.size.height)]
        assert drawn[0].split()[0] == "0"
        assert drawn[0].endswith("…")
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        assert "min −2.5" in "\n".join(text_of(screen))

    begun = time.perf_counter()
    drive(screen, size, act)
    assert time.perf_counter() - begun < 20


def test_the_cursor_stays_in_sight_over_the_whole_width() -> None:
    screen = screen_of(np.arange(400.0).reshape(4, 100))

    async def act(pilot: Pilot[None]) -> None:
        grid = screen.query_one(MatrixGrid)
        for key in ["right"] * 99 + ["left"] * 99:
            await pilot.press(key)
            await pilot.pause()
            _, _, first, columns = grid.window
            assert first <= screen.sheet.column < first + columns
            headers = plain(grid.line_at(0)).split()
            assert str(screen.sheet.column) in headers

    drive(screen, (80, 24), act)


def test_tabs_keep_the_cursor_of_one_shape() -> None:
    screen = MatrixScreen(
        "t",
        [
            MatrixTab("a", "upstream", np.ones((3, 3)), None),
            MatrixTab("b", "local", np.ones((3, 3)) * 2, described),
            MatrixTab("c", "value", np.arange(30.0), None),
            MatrixTab("d", "gradient", np.float64(0.25), None),
        ],
        start=1,
    )

    async def act(pilot: Pilot[None]) -> None:
        assert screen.active == 1
        await pilot.press("down", "right", "shift+tab")
        assert (screen.active, screen.sheet.index) == (0, (1, 1))
        await pilot.pause()
        assert "2 b writes out the sum" in "\n".join(text_of(screen))
        await pilot.press("3", "end")
        assert (screen.active, screen.sheet.index) == (2, (29,))
        await pilot.press("tab")
        await pilot.pause()
        assert (screen.active, screen.sheet.index) == (3, ())
        assert any("scalar  0.25" in line for line in text_of(screen))
        assert any(line.split() == ["0.2500"] for line in text_of(screen))
        await pilot.press("tab", "6")
        assert screen.active == 0
        await pilot.click("#head", offset=(6, 1))
        assert screen.active == 1

    drive(screen, (80, 24), act)


def test_a_leading_index_is_chosen() -> None:
    array = np.arange(24.0).reshape(4, 2, 3)
    screen = screen_of(array)

    async def act(pilot: Pilot[None]) -> None:
        assert "[0, :, :] of 4 × 2 × 3" in text_of(screen)[0]
        await pilot.press(">", "down", "right")
        await pilot.pause()
        assert "[1, :, :] of 4 × 2 × 3" in text_of(screen)[0]
        assert screen.sheet.index == (1, 1, 1)
        assert "[1, 1, 1]  10.0" in "\n".join(text_of(screen))
        await pilot.press("<", "<", "<")
        assert screen.sheet.index == (0, 1, 1)
        await pilot.press(*[">"] * 9)
        assert screen.sheet.index == (3, 1, 1)

    drive(screen, (80, 24), act)


def test_the_mouse() -> None:
    screen = screen_of(np.arange(400.0).reshape(40, 10))

    async def act(pilot: Pilot[None]) -> None:
        sheet = screen.sheet
        await pilot.click(MatrixGrid, offset=(sheet.margin + 2 * sheet.cell + 3, 4))
        assert sheet.index == (3, 2)
        await pilot.click(MatrixGrid, offset=(1, 4))
        assert sheet.index == (3, 2)

    drive(screen, (120, 36), act)


@pytest.mark.parametrize("key", ["escape", "z", "q"])
def test_it_closes(key: str) -> None:
    screen = screen_of(np.ones((2, 2)))

    async def act(pilot: Pilot[None]) -> None:
        await pilot.press(key)
        await pilot.pause()
        assert pilot.app.screen is not screen

    drive(screen, (80, 24), act)


@pytest.mark.parametrize("size", SIZES)
def test_foreign_text_is_only_text(size: tuple[int, int]) -> None:
    foreign = "[bold]W[/x] \x1b]52;c;aGk=\x07 \u202e$primary"
    tabs = [
        MatrixTab(foreign, "local", np.array([[np.nan, np.inf], [-np.inf, 0.0]]), lambda index: [foreign, foreign]),
        MatrixTab("plain", "value", np.ones((2, 2))),
    ]
    screen = MatrixScreen(foreign, tabs)

    async def act(pilot: Pilot[None]) -> None:
        await pilot.press("right")
        await pilot.pause()
        text = "\n".join(text_of(screen))
        assert "[bold]W[/x]" in text
        assert not any(character in text for character in "\x1b\x07\u202e")
        assert "[0, 1]  inf" in text
        assert "nan" in text

    drive(screen, size, act)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0), (0, 2, 3)])
def test_an_array_without_entries(shape: tuple[int, ...]) -> None:
    screen = screen_of(np.zeros(shape))

    async def act(pilot: Pilot[None]) -> None:
        await pilot.press("right", "down", "ctrl+end", "pagedown", ">")
        await pilot.pause()
        assert "no entries" in "\n".join(text_of(screen))

    drive(screen, (80, 24), act)


def test_a_resize_keeps_the_cursor_in_sight() -> None:
    screen = screen_of(np.arange(2500.0).reshape(50, 50))

    async def act(pilot: Pilot[None]) -> None:
        await pilot.press(*["j"] * 25, *["l"] * 10)
        await pilot.resize_terminal(40, 12)
        await pilot.pause()
        top, rows, first, columns = screen.query_one(MatrixGrid).window
        assert top <= screen.sheet.row < top + rows
        assert first <= screen.sheet.column < first + columns
        assert screen.query_one("#keys", Bar).region.bottom == 12

    drive(screen, (120, 36), act)


@pytest.mark.parametrize("width", range(12, 120, 7))
def test_lines_fit_any_width(width: int) -> None:
    sheets = [Sheet(MatrixTab(f"array with a long name {k}", "local", np.ones((2, 2)))) for k in range(5)]
    assert width_of(keys_line(sheets[0], 5, width)) <= width
    assert width_of(title_line("a title that is rather long", "5000 × 5000", width)) <= width
    if width >= 20:
        assert width_of(tab_spans(sheets, 2, width)) <= width


def test_every_key_has_an_id_and_says_what_it_does() -> None:
    bindings = [*MatrixScreen.BINDINGS, *MatrixGrid.BINDINGS]
    ids = [binding.id for binding in bindings]  # type: ignore[union-attr]  # they are Bindings, not tuples
    assert all(ids)
    assert len(set(ids)) == len(ids)
    assert all(binding.description and binding.tooltip for binding in bindings)  # type: ignore[union-attr]  # they are Bindings, not tuples
