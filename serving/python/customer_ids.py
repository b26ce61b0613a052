"""Ids of customers as callers give them: texts, numbers, or a table."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

from stagecast.features.errors import UsageError
from stagecast.serving.quoting import quote

COLUMN = "customer_id"


def customer_id_text(value: object, argument: str) -> str:
    """Return an id as the log has it: a whole number is written without ``.0``.

    Raises
    ------
    UsageError
        It is null, or a number with a fraction.

    >>> customer_id_text(1310.0, "ids"), customer_id_text("1310.0", "ids")
    ('1310', '1310.0')
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        raise UsageError(f"{argument} has a null, which is no id of a customer; leave it out")
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        number = float(value)
        if not number.is_integer():
            raise UsageError(
                f"{argument} has the number {number}, which is no id of a customer; give texts or "
                "whole numbers"
            )
        return str(int(number))
    return str(value)


def known_ids(given: object, argument: str, known: frozenset[str]) -> tuple[str, ...]:
    """Return ids that a caller gave.

    Parameters
    ----------
    given
        Ids; one text is one id; of a table the column ``customer_id``, or the index of that name.
    argument
        Name of the argument, for messages.
    known
        Ids of the scores.

    Raises
    ------
    UsageError
        It is no collection of ids, or, of the argument ``ids``, none of them is known.

    Warns
    -----
    UserWarning
        None of the ids of another argument is known.
    """
    texts = tuple(
        dict.fromkeys(customer_id_text(value, argument) for value in _values(given, argument))
    )
    if texts and not known.intersection(texts):
        example = min(known, default="")
        message = (
            f"none of the {len(texts):,} ids of {argument} is a customer of the scores, such as "
            f"{quote(texts[0])!r}; an id of theirs is {quote(example)!r}"
        )
        if argument == "ids":
            raise UsageError(message)
        warnings.warn(message, UserWarning, stacklevel=4)
    return texts


def _values(given: object, argument: str) -> Iterable[Any]:
    if isinstance(given, str):
        return (given,)
    columns = getattr(given, "columns", None)
    if columns is not None:  # a table of pandas, Polars or Arrow
        frame: Any = given
        names = getattr(frame, "column_names", None) or list(columns)
        if COLUMN in names:
            column = frame[COLUMN]
        elif getattr(getattr(frame, "index", None), "name", None) == COLUMN:
            column = frame.index
        else:
            raise UsageError(
                f"{argument} is a table without the column {COLUMN!r}; give that column, or a "
                "list of ids"
            )
        values: Iterable[Any] = column.to_pylist() if hasattr(column, "to_pylist") else column
        return values
    if not isinstance(given, Iterable):
        raise UsageError(f"{argument} is a {type(given).__name__}; give a list of ids of customers")
    return given
