"""What a training can do with a log at one as_of and horizon, and what is missing for the rest.

    known at the as_of -> counts now and one horizon back -> the rules of the training -> Readiness

Where churn is cancellation, starts and ends of contracts are counted
(:mod:`stagecast.training.judging.readiness.contracts`), else customers and purchases.

Nothing is fitted: customers are counted inside DuckDB
(:mod:`stagecast.training.judging.readiness.counting`), and the counts are compared with the limits
that the training itself applies. Whether a model of enough customers has an optimum is not known
beforehand; where it has none, the training uses the next simpler method.
"""

from __future__ import annotations

from datetime import datetime

import duckdb

from stagecast.features.clock import iso
from stagecast.features.contracts import Terms
from stagecast.features.describe.quality.histograms import usual_gap
from stagecast.training.config import Churn, TrainConfig
from stagecast.training.inactivity.few_customers import FEWEST_CUSTOMERS, FEWEST_OF_EACH
from stagecast.training.inactivity.model import Method
from stagecast.training.judging.readiness.answer import LABELS, Ability, Readiness
from stagecast.training.judging.readiness.contracts import of_contracts
from stagecast.training.judging.readiness.counting import (
    EVALUATION_HORIZONS,
    Buyers,
    Known,
    buyers_at,
    known_at,
)
from stagecast.training.judging.readiness.short_horizon import short_horizon_notes
from stagecast.training.learners.btyd.fit import MIN_CUSTOMERS, MIN_REPEATERS
from stagecast.training.panel import plan_dates

NO_TYPES = "no event types: visits and cancellations cannot be seen"


def readiness(
    con: duckdb.DuckDBPyConnection,
    as_of: datetime,
    horizon_days: int,
    churn: Churn = "inactivity",
    terms: Terms | None = None,
) -> Readiness:
    """Return what a training on a log would do, without fitting anything.

    Parameters
    ----------
    con
        Holds the table ``events`` of the event contract (:mod:`stagecast.features.events`).
    as_of
        The instant to train at; only what was known before it is counted.
    horizon_days
        Days that probabilities look ahead.
    churn
        What churn is.
    terms
        Event types that begin, renew and end a contract; None: the defaults.

    Raises
    ------
    UsageError
        The horizon is out of the range of a training.
    """
    config = TrainConfig(horizon_days=horizon_days, churn=churn, terms=terms or Terms())
    if churn == "cancellation":
        return of_contracts(con, as_of, config)
    with con.cursor() as cursor:  # its temporary tables are dropped with it
        log = known_at(cursor, as_of)
        now = buyers_at(cursor, log, 0)
        gap_days = usual_gap(cursor, "buyers")
        then = buyers_at(cursor, log, horizon_days)
        method = _method(log, now, then, horizon_days)
        suggested, suggested_method = log.longest_evaluated(horizon_days), None
        if suggested is not None and (buyers := buyers_at(cursor, log, suggested)).buyers:
            suggested_method = _method(log, now, buyers, suggested)
    missing = _missing(log, now, then, horizon_days)
    return Readiness(
        as_of=iso(as_of),
        horizon_days=horizon_days,
        history_days=log.history_days,
        buyers=now.buyers,
        repeat_buyers=now.repeat_buyers,
        gap_days=gap_days,
        method=method,
        abilities=tuple(Ability(name, not missing[name], tuple(missing[name])) for name in LABELS),
        suggested_horizon_days=None if suggested_method is None else suggested,
        suggested_method=suggested_method,
        notes=short_horizon_notes(gap_days, horizon_days, log.history_days),
    )


def _refusals(log: Known, now: Buyers, horizon_days: int, history_needed: int) -> list[str]:
    """Return why a training is refused with so many days of history needed."""
    missing = log.refused_dates(horizon_days, history_needed)
    return missing if now.buyers or not log.customers else [*missing, "nobody bought"]


def _missing_blend(log: Known, now: Buyers, then: Buyers, horizon_days: int) -> list[str]:
    """Return what a blend lacks at the as_of and one horizon back, where it learns.

    The rules are those of :mod:`stagecast.training.inactivity.few_customers`.
    """
    if horizon_days not in plan_dates(log.history_days, horizon_days, 1):
        histories = range(horizon_days, EVALUATION_HORIZONS * horizon_days + 1)
        needed = next(
            days for days in histories if horizon_days in plan_dates(days, horizon_days, 1)
        )
        return [*_refusals(log, now, horizon_days, needed), *_missing_base(now)]
    date = log.before(horizon_days)
    then_missing = _missing_classes(then, date) or _missing_base(then, f" to fit on, on {date}")
    return [*_refusals(log, now, horizon_days, horizon_days), *_missing_base(now), *then_missing]


def _missing_base(buyers: Buyers, when: str = "") -> list[str]:
    """Return what the customer-base models of a date lack."""
    return _few(
        (buyers.fitted, "buyers" + when, MIN_CUSTOMERS),
        (buyers.fitted_repeat_buyers, "repeat buyers" + when, MIN_REPEATERS),
    )


def _missing_classes(then: Buyers, date: str) -> list[str]:
    """Return what a past date lacks for a model to learn from its outcomes.

    The rules are those of :func:`stagecast.training.inactivity.few_customers.has_few_rows`.
    """
    missing = _few(
        (then.buyers, f"buyers on {date}", FEWEST_CUSTOMERS),
        (then.bought, f"buyers of {date} bought in the horizon since", FEWEST_OF_EACH),
        (
            then.buyers - then.bought,
            f"buyers of {date} did not buy in the horizon since",
            FEWEST_OF_EACH,
        ),
    )
    return (
        [*missing, f"all buyers of {date} had bought last on the same day"]
        if then.alike
        else missing
    )


def _few(*counts: tuple[int, str, int]) -> list[str]:
    """Return a sentence for each count below what is needed."""
    return [
        f"{count:,} {noun.replace('buyers', 'buyer', 1) if count == 1 else noun}, "
        f"{needed} are needed"
        for count, noun, needed in counts
        if count < needed
    ]


def _method(log: Known, now: Buyers, then: Buyers, horizon_days: int) -> Method | None:
    if _refusals(log, now, horizon_days, horizon_days):
        return None
    if _missing_base(now):
        return "rule"
    return "btyd" if _missing_blend(log, now, then, horizon_days) else "blend"


def _missing(log: Known, now: Buyers, then: Buyers, horizon_days: int) -> dict[str, list[str]]:
    """Return what each of :data:`LABELS` lacks; nothing where it is allowed."""
    refused = _refusals(log, now, horizon_days, horizon_days)
    evaluation = _refusals(log, now, horizon_days, EVALUATION_HORIZONS * horizon_days)
    if not evaluation and not then.buyers:
        evaluation = [f"nobody had bought before {log.before(horizon_days)}, one horizon back"]
    no_amounts = [] if log.has_amounts else ["no amounts: values cannot be told"]
    no_types = [] if set(log.types) - {"purchase", "refund"} else [NO_TYPES]
    no_prospects = [] if log.customers > now.buyers else no_types or ["every customer has bought"]
    return {
        "rule": refused,
        "btyd": [*refused, *_missing_base(now)],
        "blend": _missing_blend(log, now, then, horizon_days),
        "evaluation": evaluation,
        "values": [*refused, *no_amounts],
        "intervals": [*evaluation, *no_amounts],
        "prospects": [*refused, *no_prospects],
        "cancellation": [] if "cancel" in log.types else no_types or ["no event of type cancel"],
    }
