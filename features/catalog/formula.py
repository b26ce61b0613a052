"""Formulas of the catalogue: parsed once with sqlglot, rendered to SQL or evaluated on NumPy
arrays.

Null is NaN on the NumPy side. Only what both sides do alike is allowed: ``+ - * /``, numbers,
names, ``nullif``, ``coalesce``, ``greatest``, ``least``, ``sqrt``, ``ln``. A division by zero, the
root of a negative number and the logarithm of none above 0 are null on both; engines left to
themselves answer infinity, not-a-number or an error.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, reduce
from typing import Any

import numpy as np
import sqlglot
from sqlglot import exp

from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError, did_you_mean

Operand = Array | float
Compiled = Callable[[Mapping[str, Operand]], Operand]


def _divide(left: Operand, right: Operand) -> Operand:
    if isinstance(right, float):  # a parameter, or what the calendar says
        return left / (right or np.nan)
    return left / np.where(right == 0, np.nan, right)


def _nullif(left: Operand, right: Operand) -> Operand:
    return np.where(left == right, np.nan, left)


def _coalesce(left: Operand, right: Operand) -> Operand:
    return np.where(np.isnan(left), right, left)


def _ln(of: Operand) -> Operand:
    return np.log(np.where(np.greater(of, 0), of, np.nan))


_BINARY: dict[type[exp.Expr], Callable[[Any, Any], Any]] = {
    exp.Add: operator.add,
    exp.Sub: operator.sub,
    exp.Mul: operator.mul,
    exp.Div: _divide,
}
_FOLDED: dict[type[exp.Expr], Callable[[Any, Any], Any]] = {
    exp.Nullif: _nullif,
    exp.Coalesce: _coalesce,
    exp.Greatest: np.fmax,
    exp.Least: np.fmin,
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
        raise UsageError(
            f"formula '{formula}': '--' and '/*' begin a comment in SQL; write 'a - (-1)'"
        )
    try:
        tree = sqlglot.parse_one(formula, read="duckdb")
    except sqlglot.errors.SqlglotError as error:
        raise UsageError(f"formula '{formula}' cannot be read: {error}") from None
    allowed = (*_BINARY, exp.Paren, exp.Column, exp.Identifier, exp.Literal, exp.Neg)
    functions = (exp.Nullif, exp.Coalesce, exp.Greatest, exp.Least, exp.Sqrt, exp.Ln)
    for node in tree.walk():
        text = isinstance(node, exp.Literal) and node.is_string
        elsewhere = isinstance(node, exp.Column) and bool(node.table)
        if not isinstance(node, allowed + functions) or text or elsewhere:
            raise UsageError(
                f"formula '{formula}': '{node.sql()}' is not allowed; use + - * / nullif "
                "coalesce greatest least "
                "sqrt ln"
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

    Numbers become doubles (DuckDB would reckon in decimals, which overflow), and what has no value
    becomes null.

    >>> portable(parse("a / 2")).sql("duckdb")
    'a / NULLIF(2.0e0, 0)'
    """

    def safe(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Div):
            node.set(
                "expression", exp.Nullif(this=node.expression, expression=exp.Literal.number(0))
            )
        elif isinstance(node, exp.Sqrt | exp.Ln):
            inside, zero = exp.Paren(this=node.this.copy()), exp.Literal.number(0)
            defined = exp.GTE if isinstance(node, exp.Sqrt) else exp.GT
            return exp.Case(
                ifs=[exp.If(this=defined(this=inside, expression=zero), true=node.copy())]
            )
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


def evaluate(formula: str, values: Mapping[str, Operand]) -> Array:
    """Evaluate a formula on arrays; NaN is null.

    >>> evaluate("a / nullif(b, 0)", {"a": np.array([1.0, 1.0]), "b": np.array([2.0, 0.0])})
    array([0.5, nan])
    """
    if missing := sorted(names(formula) - set(values)):
        raise UsageError(
            f"formula '{formula}' needs '{missing[0]}'.{did_you_mean(missing[0], values)}"
        )
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(compiled(formula)(values), dtype=np.float64)


def evaluate_all(formulas: Iterable[tuple[str, Compiled]], values: dict[str, Operand]) -> None:
    """Evaluate named formulas, each as :func:`compiled`, one after the other into ``values`` under
    its name.

    Raises
    ------
    KeyError
        A formula names what is not there; a catalogue's formulas were looked at before.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        for name, made in formulas:
            values[name] = made(values)


@lru_cache(maxsize=4096)
def compiled(formula: str) -> Compiled:
    """Return a formula as a function of named arrays or numbers, to be called where NumPy's
    warnings are off.
    """
    return _compile(parse(formula))


def _compile(node: exp.Expr) -> Compiled:
    if isinstance(node, exp.Column):
        return operator.itemgetter(node.name)
    if isinstance(node, exp.Literal):
        number = float(node.this)
        return lambda values: number
    inner = _compile(node.this)
    if isinstance(node, exp.Paren):
        return inner
    if isinstance(node, exp.Neg):
        return lambda values: -inner(values)
    if isinstance(node, exp.Sqrt | exp.Ln):
        function: Callable[[Any], Any] = np.sqrt if isinstance(node, exp.Sqrt) else _ln
        return lambda values: function(inner(values))
    if type(node) in _FOLDED:
        fold, rest = (
            _FOLDED[type(node)],
            [_compile(child) for child in [node.expression, *node.expressions] if child],
        )
        if len(rest) == 1:
            only = rest[0]
            return lambda values: fold(inner(values), only(values))
        return lambda values: reduce(fold, (other(values) for other in rest), inner(values))
    if (
        isinstance(node, exp.Div)
        and isinstance(node.expression, exp.Literal)
        and float(node.expression.this)
    ):
        divisor = float(node.expression.this)
        return lambda values: inner(values) / divisor
    apply, right = (
        _BINARY[type(node)],
        _compile(_divisor(node.expression) if type(node) is exp.Div else node.expression),
    )
    return lambda values: apply(inner(values), right(values))


def _divisor(node: exp.Expr) -> exp.Expr:
    """Return what ``nullif(x, 0)`` is of, since a division by 0 is null anyway; any other node
    as it is.
    """
    zero = (
        isinstance(node, exp.Nullif)
        and isinstance(node.expression, exp.Literal)
        and not float(node.expression.this)
    )
    return node.this if zero else node
