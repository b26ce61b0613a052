"""Formulas of the catalogue of plain numbers, as :mod:`stagecast.features.catalog.formula` says."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from functools import reduce

from sqlglot import exp

from stagecast.features.one_customer.numbers import fmax, fmin, log

Compiled = Callable[[Mapping[str, float]], float]
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


_TWO: dict[type[exp.Expr], Callable[[float, float], float]] = {
    exp.Add: operator.add,
    exp.Sub: operator.sub,
    exp.Mul: operator.mul,
    exp.Div: _divide,
    exp.Nullif: _nullif,
    exp.Coalesce: _coalesce,
    exp.Greatest: fmax,
    exp.Least: fmin,
}


def compiled(node: exp.Expr) -> Compiled:
    """Return a parsed formula as a function of named numbers; null is NaN.

    Parameters
    ----------
    node
        Result of :func:`stagecast.features.catalog.formula.parse`.

    >>> from stagecast.features.catalog.formula import parse
    >>> compiled(parse("a / 2 + least(b, 1)"))({"a": 3.0, "b": 4.0})
    2.5
    """
    if isinstance(node, exp.Column):
        return operator.itemgetter(node.name)
    if isinstance(node, exp.Literal):
        number = float(node.this)
        return lambda _: number
    left = compiled(node.this)
    if isinstance(node, exp.Paren):
        return left
    if isinstance(node, exp.Neg):
        return lambda values: -left(values)
    if isinstance(node, exp.Sqrt | exp.Ln):
        function = _sqrt if isinstance(node, exp.Sqrt) else _ln
        return lambda values: function(left(values))
    operation = _TWO[type(node)]
    arguments = [compiled(child) for child in (node.expression, *node.expressions) if child]
    if len(arguments) == 1:
        right = arguments[0]
        return lambda values: operation(left(values), right(values))
    return lambda values: reduce(operation, (value(values) for value in arguments), left(values))
