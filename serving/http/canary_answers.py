"""Answers of a server with a canary: a share of the customers is scored by the new model.

Where the new model fails at a customer, the old one answers, and the failure is counted if it does
not fail as well.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from stagecast.features.errors import StagecastError
from stagecast.features.shop.customer_ids import clean_id
from stagecast.serving.follow.canary import Canary
from stagecast.serving.http.bodies import decode_parts
from stagecast.serving.http.incoming import as_of_of
from stagecast.serving.http.partial import (
    EachScore,
    PartialScores,
    clock_of,
    equal_events_of,
    refuse_other_currency,
    score_each,
)
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.store.protocols import ScorerLike

REFUSED = "refused"


class _Customer(msgspec.Struct):
    customer_id: str


class _Customers(msgspec.Struct):
    customers: list[_Customer]


_ids = msgspec.json.Decoder(_Customers)


def customers_of(canary: Canary, raw: bytes) -> tuple[frozenset[str], bool]:
    """Return the customers of a body whom the new model answers, and whether these are all.

    A body that cannot be read is for the old model, which says what is wrong with it.
    """
    try:
        names = {clean_id(customer.customer_id) for customer in _ids.decode(raw).customers}
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return frozenset(), False
    chosen = frozenset(filter(canary.trial.takes, names))
    return chosen, len(chosen) == len(names)


@dataclass(frozen=True)
class OfBoth:
    """Scores of a body by two models.

    Parameters
    ----------
    result
        The answer.
    by_new
        Those of its scores that are the new model's.
    new_as_of
        Their as_of; None without any.
    errors
        Kind -> customers at whom the new model failed, and the old one did not.
    """

    result: PartialScores
    by_new: list[dict[str, Any]]
    new_as_of: datetime | None
    errors: Mapping[str, int]


def score_by_both(
    old: ScorerLike,
    new: ScorerLike,
    raw: bytes,
    default_as_of: datetime,
    chosen: Collection[str],
    *,
    with_reasons: bool,
    strict: bool,
) -> OfBoth | None:
    """Return the scores of a body, those of the chosen customers by the new model.

    None: the request is refused, which the old model alone does in the same words as ever.

    Parameters
    ----------
    old, new
        The models.
    raw
        The body.
    default_as_of
        The as_of if the body has none.
    chosen
        Ids of the customers whom the new model answers.
    with_reasons, strict
        See :func:`stagecast.serving.http.scoring.answer_score`.

    Raises
    ------
    ProblemError
        The body is refused.
    """

    def each(scorer: ScorerLike, only: Callable[[str], bool]) -> tuple[datetime, EachScore]:
        body = decode_parts(raw)
        as_of = as_of_of(body.as_of, default_as_of, clock_of(scorer))
        refuse_other_currency(scorer, body.currency)
        scored = score_each(
            scorer,
            body.customers,
            as_of,
            equal_events=equal_events_of(scorer),
            with_reasons=with_reasons,
            only=only,
        )
        return as_of, scored

    as_of, mine = each(old, lambda name: name not in chosen)
    new_as_of, theirs, kind = None, EachScore({}, [], []), REFUSED
    try:
        new_as_of, theirs = each(new, chosen.__contains__)
    except Exception as error:  # a fault of the new model is no reason not to answer
        kind = kind_of(error)
    answered = {score["customer_id"] for score in theirs.scores.values()}
    lost = {name for name in chosen if name not in answered}
    _, again = each(old, lost.__contains__) if lost else (None, EachScore({}, [], []))
    # customers who cannot be read stand in the errors of both
    faulty = {error["position"]: error for error in (*mine.errors, *again.errors)}
    errors = [faulty[position] for position in sorted(faulty)]
    scores = {**mine.scores, **theirs.scores, **again.scores}
    if errors and (strict or not scores):
        return None
    return OfBoth(
        PartialScores(as_of, [scores[position] for position in sorted(scores)], errors),
        list(theirs.scores.values()),
        new_as_of,
        {kind: len(again.scores)} if again.scores else {},
    )


def kind_of(error: Exception) -> str:
    """Return the kind of a failure of a model: ``refused``, or the name of the exception."""
    return REFUSED if isinstance(error, ProblemError | StagecastError) else type(error).__name__
