"""Numbers, arrays and foreign text, as text of a given width."""

from __future__ import annotations

import math
import unicodedata
import warnings
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from backprop_tui.format import (
    Style,
    cell_width,
    circled,
    clean,
    cut,
    exact,
    number,
    pad,
    plain,
    shade,
    shape_text,
    style_for,
    subscript,
    summary,
    superscript,
)

# Text.


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("plain [bold] text", "plain [bold] text"),
        ("\x1b[2J", "␛[2J"),
        ("a\tb\r\nc\x00\x7f", "a b␍␊c␀␡"),
        ("\x9b31m", "�31m"),
        ("a\u202eb\u2066c\u200ed\u061ce", "a�b�c�d�e"),
        ("a\u2028b\u2029c\u200bd\ufeffe\ud800f", "a�b�c�d�e�f"),
        ("ŷ ∂L/∂W₁ 漢", "ŷ ∂L/∂W₁ 漢"),
    ],
)
def test_clean_makes_every_character_visible_and_harmless(text: str, drawn: str) -> None:
    assert clean(text) == drawn


def test_clean_keeps_line_ends_where_it_is_told_to() -> None:
    assert clean("a\r\nb\n\x1bc\rd", keep_newlines=True) == "a\nb\n␛c␍d"


@given(st.text(st.characters(exclude_categories=())))
def test_clean_leaves_no_control_character_and_changes_nothing_twice(text: str) -> None:
    drawn = clean(text)
    assert {unicodedata.category(char) for char in drawn}.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})
    assert len(drawn) == len(text)
    assert clean(drawn) == drawn


@pytest.mark.parametrize(
    ("text", "width"), [("", 0), ("abc", 3), ("ŷ", 1), ("y\u0302", 1), ("漢字", 4), ("½ Σ ①", 5), ("∂L/∂x\u0304", 5)]
)
def test_cell_width_counts_cells_not_characters(text: str, width: int) -> None:
    assert cell_width(text) == width


def test_cut_says_that_it_cut_and_nothing_if_it_did_not() -> None:
    assert cut("gradient", 8) == "gradient"
    assert cut("gradient", 5) == "grad…"
    assert cut("gradient", 1) == "…"
    assert cut("gradient", 0) == cut("gradient", -3) == cut("漢", 0) == ""
    assert cut("漢字漢", 4) == "漢…"
    assert cut("y\u0302y\u0302y\u0302", 2) == "y\u0302…"
    assert cut("y\u0302y\u0302", 2) == "y\u0302y\u0302"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(-2, 30))
def test_cut_never_exceeds_the_width(text: str, width: int) -> None:
    text = clean(text)
    kept = cut(text, width)
    assert cell_width(kept) <= max(0, width)
    assert kept == text or kept == "" or (kept[-1] == "…" and text.startswith(kept[:-1]))
    if cell_width(text) <= width:
        assert kept == text


@given(st.text(), st.integers(0, 30), st.sampled_from(["left", "right", "center"]))
def test_cut_and_padded_text_has_exactly_its_width(text: str, width: int, align: str) -> None:
    padded = pad(cut(clean(text), width), width, align)  # type: ignore[arg-type]  # align is one of the three
    assert cell_width(padded) == width


def test_pad_puts_the_spaces_where_it_is_told_to() -> None:
    assert [pad("ŷ", 4, align) for align in ("left", "right", "center")] == ["ŷ   ", "   ŷ", " ŷ  "]
    assert pad("too wide", 3) == "too wide"


# Numbers.


def column(*values: float, width: int = 9) -> list[str]:
    style = style_for(values, width=width)
    return [number(value, style) for value in values]


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        ((0.7514, -0.2171), ["   0.7514", "  −0.2171"]),
        ((1, -2, 30), ["        1", "       −2", "       30"]),
        ((0.5, 0, -0.0), ["   0.5000", "   0.0000", "   0.0000"]),
        ((-0.0,), ["        0"]),
        ((123.456789, -0.5), [" 123.4568", "  −0.5000"]),
        ((99999.9, 0.5), [" 99999.90", "     0.50"]),
        ((99999.999,), [" 100000.0"]),
        ((999999.9,), [" 999999.9"]),
        ((0.00512, 0.0001), ["  0.00512", "  0.00010"]),
        ((0.000438568, -0.000497713), ["  4.39e−4", " −4.98e−4"]),
        ((2.5e6, 0.5), ["  2.50e6 ", "  5.00e−1"]),
        ((1e-12, -4e-4, 0), [" 1.00e−12", "−4.00e−4 ", " 0       "]),
        ((0.5, 4.4e-7), ["   0.5000", "   4.4e−7"]),
        ((0.5, math.nan, math.inf, -math.inf), ["   0.5000", "      nan", "      inf", "     −inf"]),
        ((math.nan,), ["      nan"]),
    ],
)
def test_numbers_line_up_and_none_is_shown_as_a_false_zero(values: tuple[float, ...], lines: list[str]) -> None:
    assert column(*values) == lines


def test_one_style_serves_several_arrays() -> None:
    assert style_for([[1.0, 2.0]], [0.5]) == Style("fixed", 4, 9)
    assert style_for([[1.0, 2.0]], np.zeros((0, 3))) == Style("integer", 0, 9)
    assert style_for() == style_for([np.nan]) == Style("fixed", 4, 9)
    assert style_for([1e6]).kind == "exponent"
    assert style_for(np.float32(0.25)).kind == "fixed"
    assert style_for([0.25], width=3).width == 8


def test_a_number_that_its_style_cannot_hold_is_still_shown_truly() -> None:
    assert number(123456.789, Style("fixed", 4, 9)) == "123456.79"
    assert number(-1e300, Style("fixed", 4, 9)) == "−1.00e300"
    assert number(0.25, Style("integer", 0, 9)) == "   0.2500"
    assert number(-5e-324, Style("integer", 0, 8)) == " −5e−324"


ANY = st.floats(allow_nan=True, allow_infinity=True)
STYLES = st.builds(
    Style, st.sampled_from(["integer", "fixed", "exponent"]), st.integers(0, 4), st.integers(8, 14), st.integers(0, 3)
)


def read_back(text: str) -> float:
    return float(text.strip().replace("−", "-"))


def shows(text: str, x: float) -> bool:
    """Whether ``text`` is ``x``, rounded to the last digit that it shows."""
    shown = Decimal(text.strip().replace("−", "-"))
    unit = Decimal(1).scaleb(int(shown.as_tuple().exponent))
    return abs(shown - Decimal(x)) <= unit / 2


@given(ANY, STYLES)
def test_a_number_takes_exactly_its_width_whatever_the_style(x: float, style: Style) -> None:
    text = number(x, style)
    assert len(text) == cell_width(text) == style.width
    assert "-" not in text
    if math.isnan(x):
        assert text.strip() == "nan"
    elif math.isinf(x):
        assert read_back(text) == x
    else:
        assert shows(text, x)
        assert (Decimal(text.strip().replace("−", "-")) == 0) == (x == 0)


@given(st.lists(ANY, min_size=1, max_size=6), st.integers(8, 14))
def test_numbers_in_their_own_style_read_back_within_the_shown_precision(values: list[float], width: int) -> None:
    style = style_for(values, width=width)
    for x in values:
        text = number(x, style)
        assert len(text) == width
        if math.isfinite(x):
            assert shows(text, x)


@given(st.lists(st.floats(-1e99, 1e99, allow_subnormal=False), min_size=1, max_size=6))
def test_the_largest_entry_keeps_three_significant_digits(values: list[float]) -> None:
    style = style_for(values)
    largest = max(values, key=abs)
    assume(abs(largest) > 1e-9)
    assert read_back(number(largest, style)) == pytest.approx(largest, rel=5.1e-3)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0.298371109, "0.298371"),
        (1.0, "1"),
        (-0.5, "−0.5"),
        (-0.0, "0"),
        (0.000438568, "4.38568e−4"),
        (1e-4, "1e−4"),
        (0.001, "0.001"),
        (1234567.0, "1234567"),
        (999999.7, "1e6"),
        (-1.5e20, "−1.5e20"),
        (np.float32(0.1), "0.1"),
        (math.nan, "nan"),
        (-math.inf, "−inf"),
    ],
)
def test_a_number_alone_is_as_short_as_is_reasonable(x: float, text: str) -> None:
    assert plain(x) == text


@given(st.floats(allow_nan=False))
def test_plain_reads_back_to_its_digits(x: float) -> None:
    assert read_back(plain(x)) == pytest.approx(x, rel=1e-5)


@given(st.floats(allow_nan=False))
def test_exact_reads_back_to_the_same_number(x: float) -> None:
    text = exact(x)
    assert text.isascii()
    assert (float(text), math.copysign(1, float(text))) == (x, math.copysign(1, x))


def test_exact_of_what_numpy_gives_is_bare() -> None:
    assert [exact(x) for x in (np.float64(-0.5), np.int64(3), 7, np.nan, -np.inf)] == ["-0.5", "3", "7", "nan", "-inf"]
    assert np.float32(exact(np.float32(0.1))) == np.float32(0.1)


# Arrays.


def test_a_summary_tells_shape_extremes_mean_norm_and_what_is_odd() -> None:
    found = summary([[3.0, -4.0, 0.0], [np.nan, np.inf, -np.inf]])
    assert (found.shape, found.minimum, found.maximum, found.norm) == ((2, 3), -4.0, 3.0, 5.0)
    assert found.mean == pytest.approx(-1 / 3)
    assert (found.nans, found.infs, found.zeros) == (1, 2, 1)
    assert found.lines() == ("2 × 3", "min −4  max 3", "mean −0.333  norm 5", "1 nan  2 inf  1 zero")


def test_a_summary_without_finite_entries_says_so() -> None:
    assert summary([np.nan, np.nan]).lines() == ("2", "no finite entry", "2 nan")
    assert summary(np.zeros((0, 3))).lines() == ("0 × 3", "no entries")
    assert summary(2.5).lines() == ("scalar", "min 2.5  max 2.5", "mean 2.5  norm 2.5")


@given(st.lists(ANY, max_size=8))
def test_a_summary_neither_warns_nor_overflows_where_the_figure_exists(values: list[float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = summary(values)
    finite = [x for x in values if math.isfinite(x)]
    assert found.nans + found.infs + len(finite) == len(values)
    if finite:
        assert (found.minimum, found.maximum) == (min(finite), max(finite))
        assert found.minimum <= found.mean <= found.maximum
        assert found.norm == pytest.approx(math.hypot(*finite), rel=1e-9)
    else:
        assert math.isnan(found.mean)


def test_a_shape_reads_as_text() -> None:
    assert [shape_text(shape) for shape in ((), (3,), (2, 3))] == ["scalar", "3", "2 × 3"]


def test_shade_goes_up_with_the_magnitude() -> None:
    assert [shade(x, 1.0) for x in (0, -0.0, 0.01, -0.25, 0.26, 0.5, -0.75, 0.8, 1, -1, 2)] == [*(0, 0, 1, 1, 2, 2, 3, 4, 4, 4, 4)]
    assert [shade(x, 1.0) for x in (math.nan, math.inf)] == [4, 4]
    assert (shade(1, math.inf), shade(1, 0), shade(0, 0), shade(5e-324, 1e308)) == (1, 4, 0, 1)


def test_digits_are_raised_lowered_and_circled() -> None:
    assert (superscript(-12), subscript(10), subscript(-1)) == ("⁻¹²", "₁₀", "₋₁")
    assert [circled(n) for n in (1, 20, 21, 0)] == ["①", "⑳", "(21)", "(0)"]
    assert all(cell_width(circled(n)) == 1 for n in range(1, 21))
