"""Names and formulas as mathematics. What is printed is read back here by an evaluator of its own."""

from __future__ import annotations

import ast
import re
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backprop_tui.notation import MATMUL, PRODUCT, QUOTIENT, SUM, Term, atom, names_of, pretty, pretty_term
from backprop_tui.symbols import GREEK, pretty_name

# Names.


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("yhat", "ŷ"),
        ("zhat", "ẑ"),
        ("yhat1", "ŷ₁"),
        ("xbar", "x\u0304"),
        ("thetahat", "θ\u0302"),
        ("W1", "W₁"),
        ("z10", "z₁₀"),
        ("alpha2", "α₂"),
        ("lam", "λ"),
        ("lambda_", "λ"),
        ("Delta", "Δ"),
        ("x_t", "x_t"),
        ("h_prev", "h_prev"),
        ("W_1", "W_1"),
        ("hat", "hat"),
        ("conv1_w2", "conv1_w₂"),
        ("h#2", "h#2"),
        ("yhat#2", "ŷ#2"),
        ("layer.z1", "layer.z₁"),
        ("layer#2.z1", "layer#2.z₁"),
        ("x\x1b[2J", "x␛[2J"),
        ("", ""),
    ],
)
def test_a_name_is_shown_as_a_person_writes_it(name: str, shown: str) -> None:
    assert pretty_name(name) == shown


def test_a_symbol_goes_before_the_rules_and_is_applied_to_the_base() -> None:
    symbols = {"W1": "W⁽¹⁾", "yhat": "f"}
    assert pretty_name("W1", symbols) == "W⁽¹⁾"
    assert pretty_name("yhat#2", symbols) == "f#2"
    assert pretty_name("layer#2.W1", symbols) == "layer#2.W⁽¹⁾"
    assert pretty_name("h#2", {"h#2": "g"}) == "g"


def test_a_symbol_from_a_file_cannot_reach_the_terminal_as_a_command() -> None:
    assert pretty_name("a", {"a": "\x1b[31mred\u202e"}) == "␛[31mred\N{REPLACEMENT CHARACTER}"


WORDS = sorted({*GREEK, "yhat", "W", "h", "z_a"} - {"lam", "lambda_"})


@given(st.lists(st.sampled_from(WORDS), min_size=2, max_size=2, unique=True), st.integers(0))
def test_different_names_look_different(words: list[str], n: int) -> None:
    first, second = words
    shown = {pretty_name(name) for name in (first, second, f"{first}{n}", f"{second}{n}", f"{first}_{n}")}
    assert len(shown) == 5


# Formulas, one rule a line.

RULES = [
    ("2 * 3", "2 · 3"),
    ("2 * a", "2 a"),
    ("a * 2", "a · 2"),
    ("a * a", "a · a"),
    ("(a + b) * (a + b)", "(a + b) · (a + b)"),
    ("a * b * c", "a b c"),
    ("a * (b * c)", "a (b c)"),
    ("0.5 * a", "½ a"),
    ("0.25 * a", "¼ a"),
    ("0.5 + a", "0.5 + a"),
    ("1e-8 * a", "1e−8 a"),
    ("1e-8 ** 2", "(1e−8)²"),
    ("2.0 * a", "2 a"),
    ("-a", "−a"),
    ("-a * b", "−a b"),
    ("a * -b", "a (−b)"),
    ("a + -b", "a + (−b)"),
    ("--a", "−(−a)"),
    ("-(a + b)", "−(a + b)"),
    ("a - (b - c)", "a − (b − c)"),
    ("a - b - c", "a − b − c"),
    ("a / (b * c)", "a / (b c)"),
    ("a * b / c", "a b / c"),
    ("a / b * c", "(a / b) c"),
    ("a / b / c", "(a / b) / c"),
    ("-a / b ** 2", "−a / b²"),
    ("a ** 2", "a²"),
    ("a ** -1", "a⁻¹"),
    ("-a ** 2", "−a²"),
    ("(-a) ** 2", "(−a)²"),
    ("(a ** 2) ** 3", "(a²)³"),
    ("a ** b", "a^b"),
    ("b * a ** (b - 1)", "b a^(b − 1)"),
    ("a ** b ** c", "a^(b^c)"),
    ("a @ b @ c", "a @ b @ c"),
    ("a @ (b @ c)", "a @ (b @ c)"),
    ("(a @ b) * c", "(a @ b) c"),
    ("a * b @ c", "(a b) @ c"),
    ("h.T", "hᵀ"),
    ("(h @ W2).T", "(h @ W₂)ᵀ"),
    ("h.T.T", "(hᵀ)ᵀ"),
    ("h.T ** 2", "(hᵀ)²"),
    ("a > 0", "[a > 0]"),
    ("(a <= b) * (a >= b) * (a != b) * (a == b)", "[a ≤ b] [a ≥ b] [a ≠ b] [a = b]"),
    ("sigmoid(z2)", "σ(z₂)"),
    ("sqrt(a)", "√a"),
    ("sqrt(a + b)", "√(a + b)"),
    ("sqrt(a) ** 2", "(√a)²"),
    ("sqrt(a ** 2)", "√(a²)"),
    ("sqrt(a) * b", "(√a) b"),
    ("1 / (2 * sqrt(a))", "1 / (2 √a)"),
    ("exp(a) * log(b)", "exp(a) log(b)"),
    ("abs(a)", "|a|"),
    ("abs(a + abs(b))", "abs(a + |b|)"),
    ("square(a)", "a²"),
    ("square(a + b)", "(a + b)²"),
    ("sum(a)", "Σ a"),
    ("sum(a + b)", "Σ (a + b)"),
    ("sum(a @ b)", "Σ (a @ b)"),
    ("sum(a * b)", "Σ a b"),
    ("sum(a) * b", "(Σ a) b"),
    ("b * sum(a)", "b Σ a"),
    ("sum(a) / b", "(Σ a) / b"),
    ("sum(a, axis=0, keepdims=True)", "Σ₀ a"),
    ("sum(a, axis=-1)", "Σ[axis −1] a"),
    ("sum(a, axis=(0, 1))", "Σ[axis 0, 1] a"),
    ("sum(a, axis=None)", "Σ a"),
    ("mean(a)", "mean(a)"),
    ("max(a, axis=1, keepdims=True)", "max[axis 1](a)"),
    ("relu(x)", "relu(x)"),
    ("softmax(x, axis=-1)", "softmax[axis −1](x)"),
    ("Phi(a) + a * phi(a)", "Φ(a) + a φ(a)"),
    ("diag(out) - outer(out, out)", "diag(out) − out outᵀ"),
    ("eye(x)", "I"),
    ("ones(x)", "1"),
    ("row(b)", "bᵀ"),
    ("column(a)", "a"),
    ("transposed(a)", "transposed back"),
    ("reshaped(a)", "reshaped back"),
    ("placed(a)", "put back in place"),
    ("part(a1)", "its own part"),
    ("half_squared_error(yhat, y)", "½ Σ (ŷ − y)²"),
    ("squared_error(p, t)", "Σ (p − t)²"),
    ("mean_squared_error(p, t)", "mean (p − t)²"),
    ("where(c > 0, a, -b)", "where([c > 0], a, −b)"),
    ("reshape(a, shape=(2, 3))", "reshape(a, 2 × 3)"),
    ("reshape(a, shape=6)", "reshape(a, 6)"),
    ("reshape(a, shape=(2, -1))", "reshape(a, 2 × −1)"),
    ("reshape(a, shape=())", "reshape(a, scalar)"),
    ("reshape(a, shape=shape)", "reshape(a, shape)"),
    ("exp(a) / sum(exp(a), axis=axis, keepdims=True)", "exp(a) / (Σ exp(a))"),
    ("transpose(a, axes=axes)", "transpose(a, axes)"),
    ("transpose(a, axes=(1, 0))", "aᵀ"),
    ("transpose(a)", "aᵀ"),
    ("leaky_relu(x, negative_slope=0.1)", "leaky_relu(x, negative_slope = 0.1)"),
    ("layer(x, W1)", "layer(x, W₁)"),
    ("h[0, 1:3]", "h[0, 1:3]"),
    ("(a + b)[-1, ::2]", "(a + b)[−1, ::2]"),
    ("grad(W1)", "∂L/∂W₁"),
    ("grad(W1) * 2", "(∂L/∂W₁) · 2"),
    ("h#2 + layer#2.z1", "h#2 + layer#2.z₁"),
    ("(a +\n b)", "a + b"),
]


@pytest.mark.parametrize(("formula", "shown"), RULES)
def test_a_formula_is_printed_as_mathematics(formula: str, shown: str) -> None:
    assert pretty(formula) == shown


def test_names_stand_for_atoms_or_for_terms_in_the_parentheses_they_need() -> None:
    assert pretty("out * (1 - out)", {"out": "ŷ"}) == "ŷ (1 − ŷ)"
    product = {"a": Term("h @ W₂", MATMUL)}
    assert pretty("a.T", product) == "(h @ W₂)ᵀ"
    assert pretty("a + 1", product) == "h @ W₂ + 1"
    assert pretty("grad(a)", product, loss="E") == "∂E/∂(h @ W₂)"
    assert pretty("-b / a", {"a": Term("x y", PRODUCT), "b": Term("p − t", SUM)}) == "−(p − t) / (x y)"
    assert pretty("a * b", {"a": "x", "b": "2"}) == "x · 2"
    assert pretty("a ** 2", {"a": atom("W⁽¹⁾")}) == "(W⁽¹⁾)²"
    assert pretty("a ** 2", {"a": "−0.5"}) == "(−0.5)²"
    assert pretty("a ** b", {"b": "3"}) == "a³"
    assert pretty("yhat * h#2", {"h#2": "g"}, {"yhat": "f"}) == "f g"
    assert pretty_term("a / b") == Term("a / b", QUOTIENT)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a +", "a +"),
        ("a) + (b", "a) + (b"),
        ("lambda x: x", "lambda x: x"),
        ("a if b else c", "a if b else c"),
        ("a // b", "a // b"),
        ("f(*a)", "f(*a)"),
        ("f(**a)", "f(**a)"),
        ("1j * a", "1j * a"),
        ("'x' + a", "'x' + a"),
        ("", ""),
        ("\x1b[31m", "␛[31m"),
        ("\0", "␀"),
    ],
)
def test_text_that_is_no_formula_comes_back_clean(text: str, shown: str) -> None:
    assert pretty(text) == shown


HOSTILE = [
    "-" * 3900 + "a",
    "(" * 2000 + "a" + ")" * 2000,
    "(" * 100,
    "a**" * 1300 + "a",
    "not " * 900 + "a",
    "a.T" + ".T" * 1900,
    "a" + "[0]" * 1300,
    "a" * 10**6,
    "a + " * 10**5 + "a",
    "0x" + "f" * 3900,
    "9" * 5000,
    "f(" * 39 + "a" + ")" * 39,
    "f(" * 39,
    "a(b:" * 39,
    "a" + " / b" * 900,
    "\ud800",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_long_or_deep_formula_neither_fails_nor_takes_long(text: str) -> None:
    start = time.perf_counter()
    shown = pretty(text)
    names_of(text)
    assert time.perf_counter() - start < 1
    assert len(shown) < 16_000


def test_a_long_sum_is_still_printed() -> None:
    assert pretty(" - ".join(["a"] * 900)) == " − ".join(["a"] * 900)


@given(st.text(alphabet="ab1.()[]+-*/@<>=,:# \n\x1b\u202eT'"))
def test_no_text_makes_it_fail(text: str) -> None:
    shown = pretty(text)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert all(name in text.replace(" ", "").replace("\n", "") for name in names_of(text))


def test_the_names_of_a_formula_come_in_order_and_once() -> None:
    assert names_of("b * a ** (b - 1) + sigmoid(z.T) + h#2 + layer.z1") == ("b", "a", "z", "h#2", "layer.z1")
    assert names_of("max(abs(grad(W1)), axis=k)[i:j] > grad") == ("W1", "k", "i", "j", "grad")
    assert names_of("a +") == ()


# The mathematics that is printed, read back: a reader that knows nothing of how it was printed, and refuses what a
# person could read in two ways.

_TOKEN = re.compile(
    r"\s*(?P<number>\d+(?:\.\d+)?(?:e−?\d+)?|[½¼])"
    r"|\s*(?P<call>(?:mean|exp|abs|σ)(?=\())"
    r"|\s*(?P<name>Σ|mean|[a-c])"
    r"|(?P<raised>[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)"
    r"|(?P<infix> (?:[+−/·<>=≤≥≠]) )"
    r"|\s*(?P<open_bar>(?<![^\s(\[√−^|])\|(?=\S))"
    r"|(?P<sign>[|)\]^])"
    r"|\s*(?P<opening>[(\[√−])"
)
_FUNCTIONS: dict[str, Any] = {
    "exp": np.exp,
    "abs": np.abs,
    "σ": lambda z: 1 / (1 + np.exp(-z)),
    "mean": np.mean,
    "√": np.sqrt,
    "Σ": np.sum,
}
_COMPARE = {"<": np.less, ">": np.greater, "=": np.equal, "≤": np.less_equal, "≥": np.greater_equal, "≠": np.not_equal}
_NUMERALS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


class Reader:
    """Evaluates printed mathematics."""

    def __init__(self, text: str, values: dict[str, Any]) -> None:
        self.values = values
        self.tokens: list[tuple[str, str, bool]] = []
        place = 0
        while place < len(text):
            match = _TOKEN.match(text, place)
            assert match is not None, text[place:]
            assert match.lastgroup is not None
            spaced = match.group().startswith(" ")
            self.tokens.append((match.lastgroup, match[match.lastgroup].strip(), spaced))
            place = match.end()
        self.at = 0

    def value(self) -> Any:
        result = self.sum()
        assert self.at == len(self.tokens), self.tokens[self.at :]
        return result

    def peek(self) -> tuple[str, str, bool]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "", False)

    def take(self, sign: str | None = None) -> str:
        text = self.peek()[1]
        assert sign is None or text == sign, (text, sign)
        self.at += 1
        return text

    def infix(self, *signs: str) -> bool:
        kind, text, _ = self.peek()
        return kind == "infix" and text in signs

    def sum(self) -> Any:
        if self.peek()[:2] == ("opening", "−"):  # a minus stands only at the very beginning
            self.take()
            result = -self.quotient()
        else:
            result = self.quotient()
        while self.infix("+", "−"):
            result = result + self.quotient() if self.take() == "+" else result - self.quotient()
        return result

    def quotient(self) -> Any:
        result = self.product()
        if self.infix("/"):
            self.take()
            result = result / self.factor()
            assert not self.factor_follows(), "a / b c"
            assert not self.infix("/", "·"), "a / b / c"
        return result

    def product(self) -> Any:
        if self.peek()[:2] in (("name", "Σ"), ("name", "mean")):
            return _FUNCTIONS[self.take()](self.product())
        root = self.peek()[1] == "√"
        result = self.factor()
        while self.factor_follows() or self.infix("·"):
            assert not root, "√a b"
            kind, text, _ = self.peek()
            if kind == "infix":
                self.take()
                kind, text, _ = self.peek()
                assert kind != "infix", "a · is for numbers, and for a factor times itself"
            else:
                assert kind != "number", "a 2"
            if text in ("Σ", "mean") and kind == "name":
                return result * self.product()
            root = text == "√"
            result = result * self.factor()
        return result

    def factor_follows(self) -> bool:
        kind, text, spaced = self.peek()
        return spaced and (kind in ("number", "call", "name", "open_bar") or (kind == "opening" and text != "−"))

    def factor(self) -> Any:
        root = self.peek()[1] == "√"
        number = self.peek()[1] if self.peek()[0] == "number" else ""
        result = self.atom()
        kind, text, _ = self.peek()
        if kind == "raised" or text == "^":
            assert not root, "√a²"
            assert "e" not in number, "1e8²"
            self.take()
            result = result ** (np.float64(text.translate(_NUMERALS)) if kind == "raised" else self.atom())
            assert self.peek()[0] != "raised", "a^b²"
            assert self.peek()[1] != "^", "a^b^c"
        return result

    def atom(self) -> Any:
        kind, text, _ = self.peek()
        self.take()
        if kind == "number":
            return np.float64({"½": "0.5", "¼": "0.25"}.get(text, text.replace("−", "-")))
        if kind == "name":
            return self.values[text]
        if kind == "call":
            self.take("(")
            return self.closed(")", _FUNCTIONS[text])
        if text == "√":
            return np.sqrt(self.atom())
        if text == "(":
            return self.closed(")")
        if kind == "open_bar":
            return self.closed("|", np.abs)
        assert text == "[", text
        left = self.sum()
        compare = _COMPARE[self.take()]
        return self.closed("]", lambda right: compare(left, right).astype(np.float64))

    def closed(self, sign: str, function: Any = lambda value: value) -> Any:
        result = function(self.sum())
        self.take(sign)
        return result


class _Floats(ast.NodeTransformer):
    """Numbers and comparisons as NumPy numbers, which neither grow without end nor fail at a division by 0."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return ast.Call(ast.Name("number", ast.Load()), [node], [])

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        return ast.Call(ast.Name("number", ast.Load()), [self.generic_visit(node)], [])  # type: ignore[list-item]  # a visited expression is an expression


def evaluated(formula: str, values: dict[str, Any]) -> Any:
    """The formula of the language, evaluated by Python and NumPy."""
    tree = ast.fix_missing_locations(_Floats().visit(ast.parse(formula, mode="eval")))
    functions = {
        "number": lambda value: np.asarray(value, dtype=np.float64)[()],
        "sigmoid": _FUNCTIONS["σ"],
        "sqrt": np.sqrt,
        "abs": np.abs,
        "square": lambda a: a ** np.float64(2),
        "exp": np.exp,
        "sum": np.sum,
        "mean": np.mean,
        "half_squared_error": lambda p, t: np.float64(0.5) * np.sum((p - t) ** np.float64(2)),
        "mean_squared_error": lambda p, t: np.mean((p - t) ** np.float64(2)),
    }
    return eval(compile(tree, "<formula>", "eval"), {"__builtins__": {}}, {**functions, **values})


VALUES = {"a": np.array([0.75, -1.25, 3.0]), "b": np.array([-0.5, 2.0, 1.5]), "c": np.array([2.5, 0.25, -0.75])}

LEAVES = st.sampled_from(["a", "b", "c", "0", "1", "2", "3", "10", "0.5", "0.25", "0.1", "1e-8", "2e17", "2.0"])


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.sampled_from(["+", "-", "*", "*", "/", "**", "<", ">=", "=="])
    unary = ["-({})", "sigmoid({})", "sqrt({})", "abs({})", "square({})", "exp({})", "sum({})", "mean({})"]
    powers = ["({}) ** 2", "({}) ** 3", "({}) ** -1", "2 ** ({})"]
    losses = st.sampled_from(["half_squared_error({}, {})", "mean_squared_error({}, {})"])
    return st.one_of(
        st.builds("({}) {} ({})".format, inner, binary, inner),
        st.builds("({}) {} ({})".format, inner, binary, inner),
        st.builds(lambda pattern, a: pattern.format(a), st.sampled_from([*unary, *powers]), inner),
        st.builds(lambda pattern, a, b: pattern.format(a, b), losses, inner, inner),
    )


FORMULAS = st.recursive(LEAVES, _larger, max_leaves=12)


def _same(printed: str, expected: Any, values: dict[str, Any]) -> None:
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(Reader(printed, values).value(), expected, err_msg=printed)


@settings(max_examples=600, deadline=None)
@given(FORMULAS)
def test_the_printed_mathematics_means_the_number_that_the_formula_means(formula: str) -> None:
    with np.errstate(all="ignore"):
        expected = evaluated(formula, VALUES)
    _same(pretty(formula), expected, VALUES)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="abc-+*/ 2", min_size=1, max_size=14))
def test_a_formula_without_parentheses_is_read_as_python_reads_it(text: str) -> None:
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError:
        return
    if {type(node) for node in ast.walk(tree)} & {ast.FloorDiv, ast.UAdd} or set(names_of(text)) - set(VALUES):
        return
    with np.errstate(all="ignore"):
        expected = evaluated(text.strip(), VALUES)
    _same(pretty(text), expected, VALUES)


@settings(max_examples=300, deadline=None)
@given(FORMULAS, FORMULAS)
def test_a_term_that_stands_for_a_name_keeps_its_meaning(outer: str, inner: str) -> None:
    with np.errstate(all="ignore"):
        expected = evaluated(outer, {**VALUES, "a": evaluated(inner, VALUES)})
    _same(pretty(outer, {"a": pretty_term(inner)}), expected, VALUES)


@pytest.mark.parametrize("text", ["a / b c", "a / b / c", "√a b", "√a²", "a + −b", "a^b²", "a 2", "a^b^c"])
def test_the_reader_refuses_what_can_be_read_in_two_ways(text: str) -> None:
    with pytest.raises(AssertionError), np.errstate(all="ignore"):
        Reader(text, VALUES).value()
