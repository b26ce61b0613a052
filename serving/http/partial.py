"""Scoring of the customers of a request that can be scored, with a problem for each other one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from stagecast.features.errors import StagecastError
from stagecast.features.requests import CustomerEvents
from stagecast.features.shop.clock import ShopClock, clock_named
from stagecast.serving.http.bodies import (
    CustomerBody,
    body_problem,
    decode_customer,
    decode_parts,
)
from stagecast.serving.http.contract_checks import add_warnings, meant_otherwise
from stagecast.serving.http.incoming import ScoreRequest, as_of_of, read_each
from stagecast.serving.http.problems import Fault, ProblemError, without_values
from stagecast.serving.store.protocols import ScorerLike
from stagecast.training.card import EqualEvents
from stagecast.training.value.currency import LogMoney


def clock_of(scorer: ScorerLike) -> ShopClock:
    """Return the clock of the shop that a model was trained on."""
    return clock_named(str(scorer.card.get("zone", "UTC")))


def check_currency(scorer: ScorerLike, currency: str | None) -> None:
    """Refuse amounts in another currency than that of the training.

    Raises
    ------
    UsageError
        They are in another one.
    """
    money = LogMoney.from_json(scorer.card)
    money.check(currency, f"send amounts in {money.currency}")


def refuse_other_currency(scorer: ScorerLike, currency: str | None) -> None:
    """Refuse what :func:`check_currency` refuses, as a ProblemError of status 422."""
    try:
        check_currency(scorer, currency)
    except StagecastError as error:
        raise ProblemError(422, "scoring-refused", without_values(str(error))) from None


def equal_events_of(scorer: ScorerLike) -> EqualEvents:
    """Return how equal events without a number counted in the log of the training."""
    return "each" if scorer.card.get("equal_events") == "each" else "one"


@dataclass(frozen=True)
class PartialScores:
    """Scores of some customers of a request, and the problems of the others.

    Parameters
    ----------
    as_of
        Instant of the scores.
    scores
        Scores as JSON objects, in the order of the request.
    errors
        One object for each customer without a score, in the order of the request: ``customer_id``
        (null where it cannot be read), ``position`` in the request, and the fields of a fault; of
        several faults the first, and in ``more`` how many others there are.
    seconds
        Processor time of each score; None: it was not measured.
    """

    as_of: datetime
    scores: list[dict[str, Any]]
    errors: list[dict[str, Any]]
    seconds: float | None = None


def partial_scores(
    scorer: ScorerLike,
    raw: bytes,
    default_as_of: datetime,
    *,
    equal_events: EqualEvents = "one",
    with_reasons: bool = True,
) -> PartialScores:
    """Return the scores of the customers of a body that can be scored.

    Parameters
    ----------
    scorer
        The loaded model.
    raw
        The body.
    default_as_of
        The as_of if the body has none.
    equal_events
        See :func:`stagecast.serving.http.incoming.read_request`.
    with_reasons
        Whether to compute the reasons.

    Raises
    ------
    ProblemError
        400 or 422: the body or its as_of cannot be read, or none of the customers be scored.
    """
    body = decode_parts(raw)
    as_of = as_of_of(body.as_of, default_as_of, clock_of(scorer))
    refuse_other_currency(scorer, body.currency)
    result = score_each(
        scorer, body.customers, as_of, equal_events=equal_events, with_reasons=with_reasons
    )
    if not result.scores:
        raise body_problem(result.faults)
    return PartialScores(as_of, list(result.scores.values()), result.errors)


@dataclass(frozen=True)
class EachScore:
    """Scores by position, one error for each customer without one, and all faults in order."""

    scores: dict[int, dict[str, Any]]
    errors: list[dict[str, Any]]
    faults: list[Fault]


def score_each(
    scorer: ScorerLike,
    customers: Sequence[msgspec.Raw],
    as_of: datetime,
    *,
    first: int = 0,
    equal_events: EqualEvents = "one",
    with_reasons: bool = True,
    only: Callable[[str], bool] | None = None,
) -> EachScore:
    """Return the score of each customer of a body, or what is wrong with them.

    Parameters
    ----------
    scorer
        The loaded model.
    customers
        Customers as they are written.
    as_of
        Instant of the scores.
    first
        Position of the first of them in the body.
    equal_events, with_reasons
        See :func:`partial_scores`.
    only
        Returns for an id whether that customer is scored, since all are read together; None: each.
    """
    faults: dict[int, Sequence[Fault]] = {}
    decoded: dict[int, CustomerBody] = {}
    for position, text in enumerate(customers, first):
        customer = decode_customer(text, position)
        if isinstance(customer, Fault):
            faults[position] = (customer,)
        else:
            decoded[position] = customer
    readings = read_each(
        list(decoded.values()),
        as_of,
        clock_of(scorer),
        positions=list(decoded),
        equal_events=equal_events,
    )
    asked: dict[int, CustomerEvents] = {}
    for position, reading in zip(decoded, readings, strict=True):
        if reading.faults:
            faults[position] = reading.faults
        elif (problem := meant_otherwise(scorer, reading.customer)) is not None:
            faults[position] = (Fault(f"customers[{position}].events", problem),)
        elif only is None or only(reading.customer.customer_id):
            asked[position] = reading.customer
    scores = _scores(scorer, asked, as_of, faults, with_reasons=with_reasons)
    scored = [position for position in asked if position not in faults]
    add_warnings(scorer, ScoreRequest(as_of, [asked[position] for position in scored]), scores)
    errors = [
        {
            "customer_id": _id_of(customers[position - first]),
            "position": position,
            **faults[position][0].to_json(),
            "more": len(faults[position]) - 1,
        }
        for position in sorted(faults)
    ]
    in_order = [fault for position in sorted(faults) for fault in faults[position]]
    return EachScore(dict(zip(scored, scores, strict=True)), errors, in_order)


def _scores(
    scorer: ScorerLike,
    asked: dict[int, CustomerEvents],
    as_of: datetime,
    faults: dict[int, Sequence[Fault]],
    *,
    with_reasons: bool,
) -> list[dict[str, Any]]:
    """Return the scores, and add the faults of the customers whom the scorer refuses."""
    if not asked:
        return []
    try:
        return scorer.score_objects(list(asked.values()), as_of, with_reasons=with_reasons)
    except StagecastError as error:
        if len(asked) == 1:
            (position,) = asked
            faults[position] = (Fault(f"customers[{position}]", without_values(str(error))),)
            return []
    # a score does not depend on the others, so that each half can be scored by itself
    positions = list(asked)
    halves = positions[: len(positions) // 2], positions[len(positions) // 2 :]
    return [
        score
        for half in halves
        for score in _scores(
            scorer, {k: asked[k] for k in half}, as_of, faults, with_reasons=with_reasons
        )
    ]


def _id_of(customer: msgspec.Raw) -> str | None:
    """Return the id of a customer as it was sent; None where it is no text."""
    try:
        return msgspec.json.decode(customer, type=_Named).customer_id[:256]
    except (msgspec.ValidationError, RecursionError):
        return None


class _Named(msgspec.Struct):
    customer_id: str
