"""What a log allows a training to do at one as_of and horizon, and what is missing for the rest, in
figures.

    known at the as_of -> counts now and one horizon back -> the rules of the training -> Readiness

Nothing is fitted: customers are counted inside DuckDB
(:mod:`stagecast.training.judging.readiness.counting`) and held against the limits that the training
itself decides by. Whether a model of customers enough has an optimum cannot be told beforehand;
where it has none, the training goes a rung lower.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import duckdb

from stagecast.features.clock import iso
from stagecast.features.describe.quality.histograms import usual_gap
from stagecast.training.churn.fitting import FEWEST_CUSTOMERS, FEWEST_OF_EACH
from stagecast.training.churn.model import Method
from stagecast.training.config import TrainConfig
from stagecast.training.judging.readiness.counting import (
    EVALUATION_HORIZONS,
    Buyers,
    Known,
    buyers_at,
    known_at,
)
from stagecast.training.learners.btyd.fit import MIN_CUSTOMERS, MIN_REPEATERS
from stagecast.training.panel import plan_dates

# Horizons below this many usual gaps see few of those who will come back.
GAPS_IN_HORIZON = 2
WEEK = 7
NO_TYPES = "no event types: visits and cancellations cannot be seen"

LABELS: Mapping[str, str] = {
    "rule": "method rule",
    "btyd": "method btyd",
    "blend": "method blend",
    "evaluation": "evaluation on a later period",
    "values": "values",
    "intervals": "intervals of values",
    "prospects": "conversion of prospects",
    "cancellation": "churn by cancellation",
}
"""Name of an ability -> what people read; the order is that of :attr:`Readiness.abilities`."""


@dataclass(frozen=True)
class Ability:
    """Something a training may be able to do (a key of :data:`LABELS`); ``missing`` is empty
    where it is allowed.
    """

    name: str
    allowed: bool
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Readiness:
    """What a log allows at one as_of and horizon; see :func:`readiness`.

    Parameters
    ----------
    method
        What the bundle of a training will say, or None where a training is refused.
    abilities
        Methods, evaluation, values and what the types of events show.
    buyers, repeat_buyers
        Customers with purchases before the as_of, and on two days or more, refunds taken off.
    gap_days
        Median over repeat buyers of their mean gap between purchase days; None with too few gaps.
    suggested_horizon_days
        The longest that can be evaluated, where the one asked for cannot; ``suggested_method`` is
        what it would give.
    """

    as_of: str
    horizon_days: int
    history_days: float
    buyers: int
    repeat_buyers: int
    gap_days: float | None
    method: Method | None
    abilities: tuple[Ability, ...]
    suggested_horizon_days: int | None
    suggested_method: Method | None
    notes: tuple[str, ...]

    def __getitem__(self, name: str) -> Ability:
        return next(ability for ability in self.abilities if ability.name == name)

    def to_json(self) -> dict[str, Any]:
        """Return the answer as plain dicts, lists, numbers and texts."""
        abilities = [
            {**asdict(ability), "missing": list(ability.missing)} for ability in self.abilities
        ]
        return {**asdict(self), "abilities": abilities, "notes": list(self.notes)}

    def lines(self) -> list[str]:
        """Return the answer as lines for people."""
        can = (
            "no training is possible"
            if self.method is None
            else f"a training gives method {self.method}"
        )
        lines = [f"as of {self.as_of}, with a horizon of {self.horizon_days} days, {can}"]
        alike: dict[tuple[str, ...], list[str]] = {}
        for ability in self.abilities:
            alike.setdefault(ability.missing, []).append(f"no {LABELS[ability.name]}")
        lines += [
            f"{', '.join(what)}: {'; '.join(missing)}" for missing, what in alike.items() if missing
        ]
        if self.suggested_horizon_days is not None:
            lines.append(
                f"--horizon {self.suggested_horizon_days}d would give method "
                f"{self.suggested_method} with an evaluation"
            )
        return [*lines, *self.notes]


def readiness(con: duckdb.DuckDBPyConnection, as_of: datetime, horizon_days: int) -> Readiness:
    """Tell what a training on a log would do, without fitting anything.

    Parameters
    ----------
    con
        Holds the table ``events`` of the event contract (:mod:`stagecast.features.events`).
    as_of
        The instant to train at; only what was known before it counts.
    horizon_days
        Length of the span that the probabilities speak of, in days.

    Raises
    ------
    UsageError
        A horizon that no training takes.
    """
    TrainConfig(horizon_days=horizon_days)
    with con.cursor() as own:  # its temporary tables are its own, and go with it
        log = known_at(own, as_of)
        now = buyers_at(own, log, 0)
        gap_days = usual_gap(own, "buyers")
        then = buyers_at(own, log, horizon_days)
        method = _method(log, now, then, horizon_days)
        suggested, other = _suggested(log, horizon_days), None
        if suggested is not None and (buyers := buyers_at(own, log, suggested)).buyers:
            other = _method(log, now, buyers, suggested)
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
        suggested_horizon_days=None if other is None else suggested,
        suggested_method=other,
        notes=_rhythm_notes(gap_days, horizon_days, log.history_days),
    )


def _refusals(log: Known, now: Buyers, horizon_days: int, history_needed: int) -> list[str]:
    """Return why nothing can be trained, as :func:`stagecast.training.checks.check_dates` has it,
    or with a longer history.
    """
    if not log.customers:
        return [f"no event was known before {iso(log.as_of)}"]
    missing = []
    if log.silent_days > horizon_days:
        missing.append(
            f"the last event stands {log.silent_days:.0f} days before the as_of, "
            f"{horizon_days} are allowed"
        )
    if log.history_days < history_needed:
        missing.append(f"history {int(log.history_days):,} days, {history_needed:,} are needed")
    return missing if now.buyers else [*missing, "nobody bought"]


def _missing_blend(log: Known, now: Buyers, then: Buyers, horizon_days: int) -> list[str]:
    """Return what a blend lacks now, and one horizon back to learn from; see
    :mod:`stagecast.training.churn.fitting`.
    """
    if horizon_days not in plan_dates(log.history_days, horizon_days, 1):
        spans = range(horizon_days, EVALUATION_HORIZONS * horizon_days + 1)
        needed = next(days for days in spans if horizon_days in plan_dates(days, horizon_days, 1))
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
    """Return what a past date lacks to learn from its outcomes; see
    :func:`stagecast.training.churn.fitting.has_enough_rows`.
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
        f"{have:,} {what}, {needed} are needed" for have, what, needed in counts if have < needed
    ]


def _method(log: Known, now: Buyers, then: Buyers, horizon_days: int) -> Method | None:
    if _refusals(log, now, horizon_days, horizon_days):
        return None
    if _missing_base(now):
        return "rule"
    return "btyd" if _missing_blend(log, now, then, horizon_days) else "blend"


def _missing(log: Known, now: Buyers, then: Buyers, horizon_days: int) -> dict[str, list[str]]:
    """Return what is missing for each of :data:`LABELS`; nothing where it is allowed."""
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


def _suggested(log: Known, horizon_days: int) -> int | None:
    """Return the longest horizon that can be evaluated, in whole weeks from two weeks on, if
    this one cannot.
    """
    if log.history_days >= EVALUATION_HORIZONS * horizon_days:
        return None
    longest = int(log.history_days // EVALUATION_HORIZONS)
    if longest >= 2 * WEEK:
        longest -= longest % WEEK
    return longest if longest >= max(1, log.silent_days) else None


def _rhythm_notes(
    gap_days: float | None, horizon_days: int, history_days: float
) -> tuple[str, ...]:
    """Return what to know about a horizon that is short against the shop's rhythm."""
    if gap_days is None or horizon_days >= GAPS_IN_HORIZON * gap_days:
        return ()
    usual = f"the usual gap between purchase days of a customer is {gap_days:.0f} days"
    wanted = -int(-GAPS_IN_HORIZON * gap_days // WEEK) * WEEK
    longest = int(history_days // EVALUATION_HORIZONS)
    advice = (
        f"--horizon {wanted}d would hold two"
        if wanted <= longest
        else f"two need {wanted} days, and this history can be evaluated up to --horizon {longest}d"
    )
    if gap_days > horizon_days:
        return (
            f"{usual}, more than the horizon of {horizon_days}: many who stay will not "
            f"buy within it; {advice}",
        )
    return (
        f"{usual}, more than half the horizon of {horizon_days}: some who stay buy later; {advice}",
    )
