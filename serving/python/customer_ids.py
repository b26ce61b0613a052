"""Ids of customers as callers give them: one, several, or a table."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Number
from typing import Any

from stagecast.features.arguments.values import refuse, shown
from stagecast.features.errors import UsageError
from stagecast.features.frames.given import as_frame
from stagecast.features.shop.customer_ids import customer_id_text
from stagecast.serving.quoting import quote

COLUMN = "customer_id"
FIRST_UNKNOWN = 5
"""Unknown ids that a note names."""


@dataclass(frozen=True)
class GivenIds:
    """Ids that a caller gave.

    Parameters
    ----------
    ids
        As texts, each once.
    notes
        Which of them are no customers, in a sentence; empty where all are.
    """

    ids: tuple[str, ...]
    notes: tuple[str, ...] = ()


def given_ids(given: object, argument: str, known: frozenset[str], effect: str) -> GivenIds:
    """Return ids that a caller gave, with a note of those that are no customers.

    Parameters
    ----------
    given
        Ids; one text or number is one id; of a table the column ``customer_id``, or the index of
        that name.
    argument
        Name of the argument, for messages.
    known
        Ids of the scores.
    effect
        What becomes of an unknown id, after "they".

    Raises
    ------
    UsageError
        It is no collection of ids, or, of the argument ``ids``, holds none that is known.

    Warns
    -----
    UserWarning
        Some of the ids are not known, as the note says.
    """
    texts = tuple(
        dict.fromkeys(customer_id_text(value, argument) for value in _values(given, argument))
    )
    example = f"an id of theirs is {quote(min(known, default=''))!r}"
    if argument == "ids" and not texts:
        raise UsageError(
            f"ids = {shown(given)} holds no id; give ids of customers of the scores, or leave ids "
            f"out for all of them; {example}"
        )
    unknown = [text for text in texts if text not in known]
    if not unknown:
        return GivenIds(texts)
    if argument == "ids" and len(unknown) == len(texts):
        raise UsageError(
            f"none of the {len(texts):,} ids of {argument} is a customer of the scores, such as "
            f"{quote(texts[0])!r}; {example}"
        )
    first = ", ".join(f"'{quote(id_)}'" for id_ in unknown[:FIRST_UNKNOWN])
    more = "" if len(unknown) <= FIRST_UNKNOWN else ", ..."
    number = "none" if len(unknown) == len(texts) else f"{len(unknown):,}"
    are = "is a customer" if number == "none" else "are no customers"
    note = (
        f"{number} of the {len(texts):,} ids of {argument} {are} of the scores, so that they "
        f"{effect}: {first}{more}; {example}"
    )
    warnings.warn(note, UserWarning, stacklevel=4)
    return GivenIds(texts, (note,))


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
