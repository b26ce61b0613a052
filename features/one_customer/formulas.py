"""Formulas of the catalogue as one function of plain numbers, written out when it is loaded.

They mean what :mod:`stagecast.features.catalog.formula` says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlglot import exp

from stagecast.features.catalog.formula import parse
from stagecast.features.one_customer.numbers import COMPARE, fmax, fmin, log

Evaluate = Callable[[dict[str, float]], None]
_NULL = math.nan


def _divide(left: float, right: float) -> float:
    return left / right if right else _NULL


def _nullif(left: float, right: float) -> float:
    return _NULL if left == right else left


def _coalesce(left: float, right: float) -> float:
    return right if left != left else left


def _ln(value: float) -> float:
    return log(value) if value > 0 else _NULL


def _sqrt(value: float) -> float:
    return math.sqrt(value) if value >= 0 else _NULL


_SIGNS: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}
_FUNCTIONS: dict[type[exp.Expr], Callable[..., float]] = {
    exp.Div: _divide,
    exp.Nullif: _nullif,
    exp.Coalesce: _coalesce,
    exp.Greatest: fmax,
    exp.Least: fmin,
    exp.Ln: _ln,
    exp.Sqrt: _sqrt,
}


def straight_line(formulas: Iterable[tuple[str, str]]) -> Evaluate:
    """Return a function that adds the value of each formula to a table of numbers; null is NaN.

    Parameters
    ----------
    formulas
        Name and text of each formula; one may use the names of those before it.

    Raises
    ------
    UsageError
        A formula cannot be parsed.
    NotImplementedError
        A formula is too long to be written out; arrays evaluate it.

    >>> evaluate = straight_line([("b", "a / 2"), ("c", "least(a, b, 1) - b")])
    >>> values = {"a": 3.0}
    >>> evaluate(values)
    >>> values
    {'a': 3.0, 'b': 1.5, 'c': -0.5}
    """
    lines = [f"    v[{name!r}] = {_source(parse(text))}" for name, text in formulas]
    source = "\n".join(["def evaluate(v):", *lines, "    return None"])
    evaluate: Evaluate = _compiled(source, {f.__name__: f for f in _FUNCTIONS.values()})
    return evaluate


Compared = tuple[str, str, float]
"""A comparison: name of a number, operator, and bound."""


def first_that_holds(
    rules: Sequence[Sequence[Sequence[Compared]]],
) -> Callable[[Mapping[str, float]], int]:
    """Return a function from a table of numbers to the position of the first rule that holds.

    It is -1 where none does. No comparison with null holds.

    Parameters
    ----------
    rules
        The clauses of each rule, of which all hold; of the comparisons of a clause, one does.

    Raises
    ------
    NotImplementedError
        A rule is too long to be written out.

    >>> first = first_that_holds([[[("a", ">", 1.0), ("b", "<", 0.0)]], [[("a", "<=", 1.0)]]])
    >>> first({"a": 2.0, "b": 1.0}), first({"a": 1.0, "b": 1.0}), first({"a": math.nan, "b": 1.0})
    (0, 1, -1)
    """
    lines = [f"    if {_condition(rule)}: return {place}" for place, rule in enumerate(rules)]
    evaluate: Callable[[Mapping[str, float]], int] = _compiled(
        "\n".join(["def evaluate(v):", *lines, "    return -1"]), {}
    )
    return evaluate


def _condition(rule: Sequence[Sequence[Compared]]) -> str:
    clauses = []
    for clause in rule:
        alternatives = [_comparison(*compared) for compared in clause]
        clauses.append(f"({' or '.join(alternatives)})" if alternatives else "False")
    return " and ".join(clauses) or "True"


def _comparison(name: str, operator: str, bound: float) -> str:
    if operator not in COMPARE:
        raise NotImplementedError(f"no comparison is written '{operator}'")
    if bound != bound:
        return "False"
    return f"v[{name!r}] {operator} {float(bound)!r}"


def _compiled(source: str, functions: Mapping[str, Any]) -> Any:
    """Return the function ``evaluate`` of a source.

    Names are literals in it, numbers the text of a float, and operations those of the tables of
    this module: it is arithmetic; without built-ins, nothing else could be called either.

    Raises
    ------
    NotImplementedError
        The source is nested too deeply.
    """
    names = {**functions, "inf": math.inf, "__builtins__": {}}
    try:
        code = compile(source, "<formulas of the catalogue>", "exec")
    except (SyntaxError, RecursionError, MemoryError):
        raise NotImplementedError("a formula is nested too deeply for Python's compiler") from None
    exec(code, names)
    return names["evaluate"]


def _source(node: exp.Expr) -> str:
    """Return a parsed formula as an expression of Python; ``v`` holds the values by name."""
    if isinstance(node, exp.Column):
        return f"v[{node.name!r}]"
    if isinstance(node, exp.Literal):
        return repr(float(node.this))
    left = _source(node.this)
    if isinstance(node, exp.Paren):
        return left
    if isinstance(node, exp.Neg):
        return f"(-{left})"
    if sign := _SIGNS.get(type(node)):
        return f"({left} {sign} {_source(node.expression)})"
    function = _FUNCTIONS[type(node)].__name__
    if isinstance(node, exp.Sqrt | exp.Ln):
        return f"{function}({left})"
    for child in (node.args.get("expression"), *node.expressions):
        if child:
            left = f"{function}({left}, {_source(child)})"
    return left
