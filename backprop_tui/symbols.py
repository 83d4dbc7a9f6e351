"""The names of variables as a person writes them: yhat is ŷ, W1 is W₁, alpha is α."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

from backprop_tui.format import clean, subscript

NO_SYMBOLS: Mapping[str, str] = MappingProxyType({})

GREEK: Mapping[str, str] = MappingProxyType(
    {
        "alpha": "α",
        "beta": "β",
        "gamma": "γ",
        "delta": "δ",
        "epsilon": "ε",
        "zeta": "ζ",
        "eta": "η",
        "theta": "θ",
        "kappa": "κ",
        "lambda": "λ",
        "lambda_": "λ",
        "lam": "λ",
        "mu": "μ",
        "nu": "ν",
        "xi": "ξ",
        "pi": "π",
        "rho": "ρ",
        "sigma": "σ",
        "tau": "τ",
        "phi": "φ",
        "chi": "χ",
        "psi": "ψ",
        "omega": "ω",
        "Gamma": "Γ",
        "Delta": "Δ",
        "Theta": "Θ",
        "Lambda": "Λ",
        "Xi": "Ξ",
        "Pi": "Π",
        "Sigma": "Σ",
        "Phi": "Φ",
        "Psi": "Ψ",
        "Omega": "Ω",
    }
)
_ACCENTS = {"hat": "\u0302", "bar": "\u0304", "tilde": "\u0303"}
_ACCENTED = re.compile(r"(.+)(hat|bar|tilde)")
# What comes before trailing digits that may become a subscript: W_1 keeps its digit, else it could be taken for W1.
_NUMBERED = re.compile(r"(.*[^\W\d_])([0-9]+)")


def pretty_name(name: str, symbols: Mapping[str, str] = NO_SYMBOLS) -> str:
    """The display name of a variable: its entry in ``symbols``, else made from its letters.

    ``yhat`` is ŷ, ``xbar`` x̄, ``alpha2`` α₂, ``z10`` z₁₀; ``x_t`` stays. Of a trace name only the variable's own part
    changes: ``layer#2.z1`` is ``layer#2.z₁``, ``yhat#2`` is ``ŷ#2``. A symbol of the whole name comes first.
    Always safe to draw; never fails.
    """
    if name in symbols:
        return clean(symbols[name])
    frame, dot, last = name.rpartition(".")
    base, hash_sign, count = last.partition("#")
    shown = clean(symbols[base]) if base in symbols else _prettified(base)
    return clean(frame) + dot + shown + hash_sign + clean(count)


def _prettified(base: str) -> str:
    numbered = _NUMBERED.fullmatch(base)
    stem, digits = (numbered[1], numbered[2]) if numbered is not None else (base, "")
    shown = GREEK.get(stem, stem)
    accented = _ACCENTED.fullmatch(stem) if shown is stem else None
    if accented is not None:
        letter = GREEK.get(accented[1], accented[1])
        if len(letter) == 1 and letter.isalpha():
            shown = unicodedata.normalize("NFC", letter + _ACCENTS[accented[2]])
    return clean(shown) + subscript(digits)
