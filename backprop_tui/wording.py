"""What the nodes of a scenario are called, and what its derivatives are, in mathematics."""

from __future__ import annotations

from functools import cached_property
from weakref import WeakKeyDictionary

from backprop_tui.format import clean
from backprop_tui.notation import ATOM, Term, pretty_term
from backprop_tui.ops import CALLABLE
from backprop_tui.ops.op import show_option
from backprop_tui.plan import Place, Plan
from backprop_tui.scenario import Scenario
from backprop_tui.steps import BackwardStep
from backprop_tui.symbols import pretty_name

#: Expressions longer than this are shown as they are written.
LONGEST = 2_000


class Wording:
    """The names of one scenario's nodes as mathematics, each made once."""

    def __init__(self, scenario: Scenario) -> None:
        self.graph = scenario.graph
        self.learning_rate = scenario.training.learning_rate if scenario.training is not None else 0.0
        self.symbols = {name: clean(symbol) for name, symbol in scenario.symbols.items()}
        self._terms: dict[int, Term] = {}
        self._locals: dict[tuple[str, tuple[Term, ...]], str] = {}

    def term(self, node: int) -> Term:
        """A node's name, or what it computes from which nodes."""
        known = self._terms.get(node)
        if known is not None:
            return known
        if len(self._terms) > 50_000:
            self._terms.clear()
        # an unnamed node is made of its operands' terms: those first, without recursion
        waiting = [node]
        while waiting:
            at = waiting[-1]
            if at not in self._terms:
                missing = [o for o in self._parts(at) if o not in self._terms]
                if missing:
                    waiting.extend(missing)
                    continue
                self._terms[at] = self._made(at)
            waiting.pop()
        return self._terms[node]

    def _parts(self, node: int) -> tuple[int, ...]:
        """The nodes whose terms a node's own term is made of."""
        if node < self.graph.leaves or node in self.graph.names:
            return ()
        return tuple(self.graph.operands_of(node))

    def _made(self, node: int) -> Term:
        if node in self.graph.constants:
            return self.formula(self.graph.label(node))
        name = self.graph.names.get(node)
        return Term(pretty_name(name, self.symbols), ATOM) if name is not None else self._applied(node)

    def _applied(self, node: int) -> Term:
        """What an application computes, with the real names of its operands."""
        op, operands = self.graph.op_of(node), self.graph.operands_of(node)
        names: dict[str, str | Term] = {op.operand_name(i): self.term(operand) for i, operand in enumerate(operands)}
        if sum(len(term.text) for term in names.values() if isinstance(term, Term)) > LONGEST:
            return self.formula(self.graph.text_of(node))
        call = self.graph.call_of(node)
        text = op.forward_formula(call)
        if op.name in CALLABLE:  # as it is called in the program, not as what it computes inside: σ(z), not 1 / (1 + …)
            options = [f"{k}={show_option(v)}" for k, v in call.options.items() if v is not False and v != op.options.get(k)]
            text = f"{op.name}({', '.join([*names, *options])})"
        return pretty_term(text, names=names, loss=self.loss)

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
        """The right-hand side of an application, with the real names: inside a call, what the parameters stand for."""
        return self._applied(node).text

    def step(self, plan: Plan, place: Place) -> str:
        """What a step is about, as the list of steps has it."""
        node = plan.node_at(place)
        if place.phase == "backward":
            return f"{self.name(node)} → {self.name(plan.targets[place.index])}"
        if place.phase == "forward":
            return self.name(node) if self.graph.names.get(node) is None else f"{self.name(node)} = {self.definition(node)}"
        return f"∂{self.loss}/∂{self.loss} = 1" if place.phase == "seed" else self.name(node)

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
        formula = step.derivative.formula
        exponent = self.graph.constants.get(operands[1]) if op.name == "power" and step.slot == 0 else None
        if exponent is not None and exponent.is_integer() and abs(exponent) < 100:
            formula = _power_rule(int(exponent))
        key = (formula, terms)
        known = self._locals.get(key)
        if known is None:
            names: dict[str, str | Term] = {op.operand_name(i): terms[i] for i in range(len(operands))}
            if op.variadic:
                names["a"] = terms[step.slot]
            names["out"] = terms[-1]
            known = pretty_term(formula, names=names, symbols={}, loss=self.loss).text
            if len(self._locals) > 50_000:
                self._locals.clear()
            self._locals[key] = known
        return known


def _power_rule(n: int) -> str:
    """The local derivative of a ** n for a whole number, with n − 1 worked out."""
    return {0: "0", 1: "1", 2: "2 * a"}.get(n, f"{n} * a ** {n - 1}")


_WORDINGS: WeakKeyDictionary[Scenario, Wording] = WeakKeyDictionary()


def wording_of(scenario: Scenario) -> Wording:
    """The wording of a scenario, made once."""
    wording = _WORDINGS.get(scenario)
    if wording is None:
        wording = _WORDINGS[scenario] = Wording(scenario)
    return wording
