"""What takes long: it is done in parts, can be left in between, and tells how far it is."""

from __future__ import annotations

from collections.abc import Generator

from backprop_tui.errors import CommandError
from backprop_tui.tui.work import Work


def parts(count: int, closed: list[int], wrong: str = "") -> Generator[int, None, str]:
    try:
        yield from range(100, 100 + count)
        if wrong:
            raise CommandError(wrong)
        return "done"
    finally:
        closed.append(1)


def made(count: int, wrong: str = "") -> tuple[Work[str], list[str], list[str], list[int]]:
    done: list[str] = []
    failed: list[str] = []
    closed: list[int] = []
    return Work(parts(count, closed, wrong), done.append, failed.append), done, failed, closed


def test_what_is_short_ends_at_once_and_its_answer_is_handed_on() -> None:
    work, done, failed, closed = made(3)
    assert work.go_on(60)
    assert (done, failed, closed) == (["done"], [], [1])


def test_what_is_wrong_is_handed_on_in_words() -> None:
    work, done, failed, _ = made(3, "no such name")
    assert work.go_on(60)
    assert (done, failed) == ([], ["no such name"])


def test_what_takes_long_is_left_in_between_and_goes_on_from_there() -> None:
    work, done, _, _ = made(5)
    seen = []
    while not work.go_on(0.0):
        seen.append(work.looked)
    assert seen == [0, 1, 2, 3, 4]
    assert done == ["done"]


def test_how_far_it_is_counts_from_where_it_began_in_either_direction() -> None:
    def back() -> Generator[int, None, str]:
        yield 900
        yield 500
        return ""

    work: Work[str] = Work(back(), lambda said: None, lambda text: None)
    work.go_on(0.0)
    work.go_on(0.0)
    assert abs(work.looked) == 400


def test_what_is_stopped_answers_nothing_and_is_closed() -> None:
    work, done, failed, closed = made(5)
    assert not work.go_on(0.0)
    work.stop()
    assert (done, failed, closed) == ([], [], [1])
