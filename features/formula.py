"""Formulas of the catalogue: parsed once with sqlglot, rendered to SQL or evaluated on NumPy arrays.

Null is NaN on the NumPy side. Only what both sides do alike is allowed: ``+ - * /``, numbers, names,
``nullif``, ``coalesce``, ``greatest``, ``least``, ``sqrt``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import sqlglot
from numpy.typing import NDArray
from sqlglot import exp

from features.errors import UsageError, did_you_mean

Array = NDArray[np.float64]

_BINARY: dict[type[exp.Expression], Callable[[Array, Array], Array]] = {
    exp.Add: np.add,
    exp.Sub: np.subtract,
    exp.Mul: np.multiply,
    exp.Div: np.divide,
}


@lru_cache(maxsize=1024)
def parse(formula: str) -> exp.Expression:
    """Parse a formula.

    Raises
    ------
    UsageError
        It is not one arithmetic expression, or uses something that engines do not do alike.
    """
    try:
        tree = sqlglot.parse_one(formula, read="duckdb")
    except sqlglot.errors.ParseError as error:
        raise UsageError(f"formula '{formula}' cannot be read: {error}") from None
    allowed = (*_BINARY, exp.Paren, exp.Column, exp.Identifier, exp.Literal, exp.Neg)
    functions = (exp.Nullif, exp.Coalesce, exp.Greatest, exp.Least, exp.Sqrt)
    for node in tree.walk():
        if not isinstance(node, allowed + functions):
            raise UsageError(
                f"formula '{formula}': '{node.sql()}' is not allowed; use + - * / nullif coalesce greatest least sqrt"
            )
    return tree  # type: ignore[return-value]  # sqlglot types parse_one more widely than what it returns


def names(formula: str) -> frozenset[str]:
    """Return the names that a formula uses.

    >>> sorted(names("recency_days / nullif(orders, 0)"))
    ['orders', 'recency_days']
    """
    return frozenset(column.name for column in parse(formula).find_all(exp.Column))


def evaluate(formula: str, values: Mapping[str, Array | float]) -> Array:
    """Evaluate a formula on arrays; NaN is null.

    >>> evaluate("a / nullif(b, 0)", {"a": np.array([1.0, 1.0]), "b": np.array([2.0, 0.0])})
    array([0.5, nan])
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(_value(parse(formula), values, formula), dtype=np.float64)


def _value(node: exp.Expression, values: Mapping[str, Array | float], formula: str) -> Array:
    def of(child: exp.Expression) -> Array:
        return _value(child, values, formula)

    if isinstance(node, exp.Column):
        if node.name not in values:
            raise UsageError(f"formula '{formula}' needs '{node.name}'.{did_you_mean(node.name, values)}")
        return np.asarray(values[node.name], dtype=np.float64)
    if isinstance(node, exp.Literal):
        return np.asarray(float(node.this))
    if isinstance(node, exp.Paren):
        return of(node.this)
    if isinstance(node, exp.Neg):
        return -of(node.this)
    if isinstance(node, exp.Sqrt):
        return np.sqrt(of(node.this))
    if isinstance(node, exp.Nullif):
        left, right = of(node.this), of(node.expression)
        return np.where(left == right, np.nan, left)
    if isinstance(node, exp.Coalesce | exp.Greatest | exp.Least):
        parts = [of(node.this), *(of(child) for child in node.expressions)]
        result = parts[0]
        for part in parts[1:]:
            if isinstance(node, exp.Coalesce):
                result = np.where(np.isnan(result), part, result)
            else:
                result = np.fmax(result, part) if isinstance(node, exp.Greatest) else np.fmin(result, part)
        return result
    return _BINARY[type(node)](of(node.this), of(node.expression))
