"""Ids of customers as callers give them: one, several, or a table."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from numbers import Number
from typing import Any

from stagecast.features.arguments.values import refuse
from stagecast.features.errors import UsageError
from stagecast.features.frames.given import as_frame
from stagecast.features.shop.customer_ids import customer_id_text
from stagecast.serving.quoting import quote

COLUMN = "customer_id"


def known_ids(given: object, argument: str, known: frozenset[str]) -> tuple[str, ...]:
    """Return ids that a caller gave.

    Parameters
    ----------
    given
        Ids; one text or number is one id; of a table the column ``customer_id``, or the index of
        that name.
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
    if isinstance(given, str | Number):
        return (given,)
    if hasattr(type(given), "columns"):
        frame = as_frame(given, argument)
        if COLUMN in frame.columns:
            return frame[COLUMN]
        if frame.index.name == COLUMN:
            return frame.index
        raise UsageError(
            f"{argument} is a table without the column {COLUMN!r}; give that column, or a list of "
            "ids"
        )
    if not isinstance(given, Iterable) or isinstance(given, Mapping | bytes):
        refuse(given, argument, "a list of ids of customers, like ['c17', 'c21']")
    return given
