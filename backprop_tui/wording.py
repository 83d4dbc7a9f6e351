"""What the nodes of a scenario are called, and what its derivatives are, in mathematics."""

from __future__ import annotations

from functools import cached_property
from weakref import WeakKeyDictionary

from backprop_tui.format import clean
from backprop_tui.notation import ATOM, Term, pretty_term
from backprop_tui.scenario import Scenario
from backprop_tui.steps import BackwardStep
from backprop_tui.symbols import pretty_name


class Wording:
    """The names of one scenario's nodes as mathematics, each made once."""

    def __init__(self, scenario: Scenario) -> None:
        self.graph = scenario.graph
        self.symbols = {name: clean(symbol) for name, symbol in scenario.symbols.items()}
        self._terms: dict[int, Term] = {}
        self._locals: dict[tuple[str, tuple[Term, ...]], str] = {}

    def term(self, node: int) -> Term:
        """A node's name, or the mathematics of its source text."""
        known = self._terms.get(node)
        if known is None:
            name = self.graph.names.get(node)
            if name is not None and node not in self.graph.constants:
                known = Term(pretty_name(name, self.symbols), ATOM)
            else:
                known = self.formula(self.graph.label(node))
            if len(self._terms) > 50_000:
                self._terms.clear()
            self._terms[node] = known
        return known

    def name(self, node: int) -> str:
        """What a node is called."""
        return self.term(node).text

    def formula(self, text: str) -> Term:
        """A source text as mathematics."""
        return pretty_term(text, symbols=self.symbols, loss=self.loss)

    @cached_property
    def loss(self) -> str:
        """What the loss is called."""
        name = self.graph.names.get(self.graph.loss, "L")
        return pretty_name(name, self.symbols)

    def definition(self, node: int) -> str:
        """The right-hand side of an application, as it is written in the program."""
        return self.formula(self.graph.text_of(node)).text

    def gradient(self, node: int) -> str:
        """∂L/∂node."""
        return self.derivative(self.loss, node)

    def derivative(self, of: str, by: int) -> str:
        """∂of/∂by; ``of`` is text that needs no parentheses."""
        term = self.term(by)
        return f"∂{of}/∂{term.text if term.precedence == ATOM else f'({term.text})'}"

    def enclosed(self, node: int) -> str:
        """A node's name, in parentheses where it is more than one."""
        term = self.term(node)
        return term.text if term.precedence == ATOM else f"({term.text})"

    def local(self, step: BackwardStep) -> str:
        """The formula of a step's local derivative, with the real names."""
        op = self.graph.op_of(step.node_index)
        operands = self.graph.operands_of(step.node_index)
        terms = (*[self.term(i) for i in operands], self.term(step.node_index))
        key = (step.derivative.formula, terms)
        known = self._locals.get(key)
        if known is None:
            names: dict[str, str | Term] = {op.operand_name(i): terms[i] for i in range(len(operands))}
            if op.variadic:
                names["a"] = terms[step.slot]
            names["out"] = terms[-1]
            known = pretty_term(step.derivative.formula, names=names, symbols={}, loss=self.loss).text
            if len(self._locals) > 50_000:
                self._locals.clear()
            self._locals[key] = known
        return known


_WORDINGS: WeakKeyDictionary[Scenario, Wording] = WeakKeyDictionary()


def wording_of(scenario: Scenario) -> Wording:
    """The wording of a scenario, made once."""
    wording = _WORDINGS.get(scenario)
    if wording is None:
        wording = _WORDINGS[scenario] = Wording(scenario)
    return wording
