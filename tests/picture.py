"""Makes the README's picture from the running program: ``python tests/picture.py`` writes .github/screen.svg."""

from __future__ import annotations

import asyncio
from pathlib import Path

import backprop_tui as bt
from backprop_tui.tui.app import BackpropApp

SCENARIO, STEPS = "notes/stored-sigmoid", 12


async def picture() -> str:
    """The screen at 120 × 36, after some steps."""
    app = BackpropApp(bt.load(SCENARIO))
    async with app.run_test(size=(120, 36)) as pilot:
        for _ in range(STEPS):
            await pilot.press("s")
        await pilot.pause(0.2)
        return app.export_screenshot(title="backprop-tui", simplify=True)


if __name__ == "__main__":
    target = Path(__file__).parent.parent / ".github" / "screen.svg"
    target.write_text(asyncio.run(picture()), encoding="utf-8")
    print(target)
