"""Formulas of the catalogue: parsed with sqlglot, rendered to SQL or evaluated on NumPy arrays.

NaN is null in NumPy. Only operations with the same meaning in both are allowed: ``+ - * /``,
numbers, names, ``nullif``, ``coalesce``, ``greatest``, ``least``, ``sqrt``, ``ln``. A division by
zero, the square root of a negative number, and the logarithm of a number that is not positive are
null in both; by default engines return infinity, NaN or an error.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, reduce
from typing import Any

import numpy as np
import sqlglot
from sqlglot import exp

from stagecast.features.arguments.syntax import syntax_fault
from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError, did_you_mean

Operand = Array | float
Compiled = Callable[[Mapping[str, Operand]], Operand]


def _divide(left: Operand, right: Operand) -> Operand:
    if isinstance(right, float):  # a parameter or a value of the calendar
        return left / (right or np.nan)
    return left / np.where(right == 0, np.nan, right)


def _nullif(left: Operand, right: Operand) -> Operand:
    return np.where(left == right, np.nan, left)


def _coalesce(left: Operand, right: Operand) -> Operand:
    return np.where(np.isnan(left), right, left)


def _ln(value: Operand) -> Operand:
    return np.log(np.where(np.greater(value, 0), value, np.nan))


_BINARY: dict[type[exp.Expr], Callable[[Any, Any], Any]] = {
    exp.Add: operator.add,
    exp.Sub: operator.sub,
    exp.Mul: operator.mul,
    exp.Div: _divide,
}
_VARIADIC: dict[type[exp.Expr], Callable[[Any, Any], Any]] = {
    exp.Nullif: _nullif,
    exp.Coalesce: _coalesce,
    exp.Greatest: np.fmax,
    exp.Least: np.fmin,
}


@lru_cache(maxsize=1024)
def parse(formula: str) -> exp.Expression:
    """Parse a formula.

    Parameters
    ----------
    formula
        Text of the formula.

    Raises
    ------
    UsageError
        It is not a single arithmetic expression, or uses an operation that is not allowed.
    """
    if "--" in formula or "/*" in formula:
        raise UsageError(
            f"formula '{formula}': '--' and '/*' begin a comment in SQL; write 'a - (-1)'"
        )
    try:
        tree = sqlglot.parse_one(formula, read="duckdb")
    except sqlglot.errors.SqlglotError as error:
        raise UsageError(
            f"formula '{formula}' cannot be read: {syntax_fault(formula, error)}; write it like "
            "'spend / nullif(orders, 0)'"
        ) from None
    except RecursionError:
        raise UsageError(
            f"formula '{formula[:40]}...' is nested too deeply; write it as several features"
        ) from None
    allowed = (*_BINARY, exp.Paren, exp.Column, exp.Identifier, exp.Literal, exp.Neg)
    functions = (exp.Nullif, exp.Coalesce, exp.Greatest, exp.Least, exp.Sqrt, exp.Ln)
    for node in tree.walk():
        is_text = isinstance(node, exp.Literal) and node.is_string
        is_qualified = isinstance(node, exp.Column) and bool(node.table)
        if not isinstance(node, allowed + functions) or is_text or is_qualified:
            raise UsageError(
                f"formula '{formula}': '{node.sql()}' is not allowed; use + - * / nullif coalesce "
                "greatest least sqrt ln"
            )
    return tree  # type: ignore[return-value]  # the declared type of parse_one is wider


@lru_cache(maxsize=1024)
def names(formula: str) -> frozenset[str]:
    """Return the names that a formula uses.

    Parameters
    ----------
    formula
        Text of the formula.

    >>> sorted(names("recency_days / nullif(orders, 0)"))
    ['orders', 'recency_days']
    """
    return frozenset(column.name for column in parse(formula).find_all(exp.Column))


def portable(tree: exp.Expression) -> exp.Expression:
    """Return a copy of a parsed formula that every engine evaluates as :func:`evaluate` does.

    Numbers become doubles, since DuckDB would compute with decimals, which overflow. Undefined
    results become null.

    Parameters
    ----------
    tree
        Result of :func:`parse`.

    >>> portable(parse("a / 2")).sql("duckdb")
    'a / NULLIF(2.0e0, 0)'
    """

    def defined(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Div):
            node.set(
                "expression", exp.Nullif(this=node.expression, expression=exp.Literal.number(0))
            )
        elif isinstance(node, exp.Sqrt | exp.Ln):
            argument, zero = exp.Paren(this=node.this.copy()), exp.Literal.number(0)
            comparison = exp.GTE if isinstance(node, exp.Sqrt) else exp.GT
            return exp.Case(
                ifs=[exp.If(this=comparison(this=argument, expression=zero), true=node.copy())]
            )
        elif isinstance(node, exp.Literal):
            return double_literal(float(node.this))
        return node

    result: exp.Expr = tree.copy()
    # children first, so that nodes added around a child are not visited again
    for node in reversed(list(result.walk())):
        replacement = defined(node)
        if replacement is node:
            continue
        if node is result:
            result = replacement
        else:
            node.replace(replacement)
    return result  # type: ignore[return-value]  # as in parse


def double_literal(value: float) -> exp.Expression:
    """Return a number as a literal that every engine reads as a double."""
    text = repr(abs(value))
    literal = exp.Literal.number(text if "e" in text else f"{text}e0")
    return exp.Paren(this=exp.Neg(this=literal)) if value < 0 else literal


def evaluate(formula: str, values: Mapping[str, Operand]) -> Array:
    """Evaluate a formula on arrays; NaN is null.

    Parameters
    ----------
    formula
        Text of the formula.
    values
        Name -> array, shape (n_rows,), or number.

    Raises
    ------
    UsageError
        The formula uses a name that is not in ``values``, or cannot be parsed.

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
    """Evaluate formulas in order and add each result to ``values``.

    Parameters
    ----------
    formulas
        Name and :func:`compiled` formula; each may use the results of those before it.
    values
        Name -> array, shape (n_rows,), or number. The results are added in place.

    Raises
    ------
    KeyError
        A formula uses a name that is not in ``values``. Does not happen for a catalogue that
        passed :meth:`Catalog.check_filled`.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        for name, function in formulas:
            values[name] = function(values)


@lru_cache(maxsize=4096)
def compiled(formula: str) -> Compiled:
    """Return a formula as a function of named arrays or numbers.

    Call it with NumPy's warnings off, as :func:`evaluate` does: undefined results are expected.

    Parameters
    ----------
    formula
        Text of the formula.
    """
    return _compile(parse(formula))


def _compile(node: exp.Expr) -> Compiled:
    if isinstance(node, exp.Column):
        return operator.itemgetter(node.name)
    if isinstance(node, exp.Literal):
        number = float(node.this)
        return lambda values: number
    left = _compile(node.this)
    if isinstance(node, exp.Paren):
        return left
    if isinstance(node, exp.Neg):
        return lambda values: -left(values)
    if isinstance(node, exp.Sqrt | exp.Ln):
        function: Callable[[Any], Any] = np.sqrt if isinstance(node, exp.Sqrt) else _ln
        return lambda values: function(left(values))
    if type(node) in _VARIADIC:
        fold = _VARIADIC[type(node)]
        arguments = [_compile(child) for child in [node.expression, *node.expressions] if child]
        if len(arguments) == 1:
            argument = arguments[0]
            return lambda values: fold(left(values), argument(values))
        return lambda values: reduce(fold, (value(values) for value in arguments), left(values))
    if (
        isinstance(node, exp.Div)
        and isinstance(node.expression, exp.Literal)
        and float(node.expression.this)
    ):
        divisor = float(node.expression.this)
        return lambda values: left(values) / divisor
    operation = _BINARY[type(node)]
    right = _compile(_divisor(node.expression) if type(node) is exp.Div else node.expression)
    return lambda values: operation(left(values), right(values))


def _divisor(node: exp.Expr) -> exp.Expr:
    """Return ``x`` of ``nullif(x, 0)``, since a division by 0 is null anyway, else the node."""
    is_nullif_zero = (
        isinstance(node, exp.Nullif)
        and isinstance(node.expression, exp.Literal)
        and not float(node.expression.this)
    )
    return node.this if is_nullif_zero else node
