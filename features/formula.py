"""Formulas of the catalogue: parsed once with sqlglot, rendered to SQL or evaluated on NumPy arrays.

Null is NaN on the NumPy side. Only what both sides do alike is allowed: ``+ - * /``, numbers, names,
``nullif``, ``coalesce``, ``greatest``, ``least``, ``sqrt``. A division by zero and the root of a negative number are
null on both; engines left to themselves answer infinity, not-a-number or an error.
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
    if "--" in formula or "/*" in formula:
        raise UsageError(f"formula '{formula}': '--' and '/*' begin a comment in SQL; write 'a - (-1)'")
    try:
        tree = sqlglot.parse_one(formula, read="duckdb")
    except sqlglot.errors.SqlglotError as error:
        raise UsageError(f"formula '{formula}' cannot be read: {error}") from None
    allowed = (*_BINARY, exp.Paren, exp.Column, exp.Identifier, exp.Literal, exp.Neg)
    functions = (exp.Nullif, exp.Coalesce, exp.Greatest, exp.Least, exp.Sqrt)
    for node in tree.walk():
        text = isinstance(node, exp.Literal) and node.is_string
        elsewhere = isinstance(node, exp.Column) and bool(node.table)
        if not isinstance(node, allowed + functions) or text or elsewhere:
            raise UsageError(
                f"formula '{formula}': '{node.sql()}' is not allowed; use + - * / nullif coalesce greatest least sqrt"
            )
    return tree  # type: ignore[return-value]  # sqlglot types parse_one more widely than what it returns


@lru_cache(maxsize=1024)
def names(formula: str) -> frozenset[str]:
    """Return the names that a formula uses.

    >>> sorted(names("recency_days / nullif(orders, 0)"))
    ['orders', 'recency_days']
    """
    return frozenset(column.name for column in parse(formula).find_all(exp.Column))


def portable(tree: exp.Expression) -> exp.Expression:
    """Return a copy of a parsed formula that every engine evaluates as :func:`evaluate` does.

    Numbers become doubles (DuckDB would reckon in decimals, which overflow), and what has no value becomes null.

    >>> portable(parse("a / 2")).sql("duckdb")
    'a / NULLIF(2.0e0, 0)'
    """

    def safe(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Div):
            node.set("expression", exp.Nullif(this=node.expression, expression=exp.Literal.number(0)))
        elif isinstance(node, exp.Sqrt):
            inside = exp.Paren(this=node.this.copy())
            return exp.Case(ifs=[exp.If(this=exp.GTE(this=inside, expression=exp.Literal.number(0)), true=node.copy())])
        elif isinstance(node, exp.Literal):
            return double(float(node.this))
        return node

    copied: exp.Expr = tree.copy()
    # children first: what is put around a node must not be gone through again
    for node in reversed(list(copied.walk())):
        replaced = safe(node)
        if replaced is node:
            continue
        if node is copied:
            copied = replaced
        else:
            node.replace(replaced)
    return copied  # type: ignore[return-value]  # as in parse


def double(value: float) -> exp.Expression:
    """Return a number as a literal that every engine reads as a double."""
    text = repr(abs(value))
    literal = exp.Literal.number(text if "e" in text else f"{text}e0")
    return exp.Paren(this=exp.Neg(this=literal)) if value < 0 else literal


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
    left, right = of(node.this), of(node.expression)
    result = _BINARY[type(node)](left, right)
    return np.where(right == 0, np.nan, result) if isinstance(node, exp.Div) else result
