"""Points suggested from the log: a scorecard of whole numbers whose signs are those of the table it
starts from.

At past dates: the decayed counts of what each open lead had done, and whether it bought within the
horizon. A logistic regression with a ridge penalty is fitted to them in which what is to speak for
a lead cannot speak against it, and the other way round: where the data say the opposite, the points
are 0. Ten points double the odds. Since the scale is a new one, a grade that was given as points
becomes the share of the leads that had as many before.

Source: points to double the odds, Siddiqi (2006), "Credit Risk Scorecards", chapter 6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.features.attributes import CHANNEL, Texts
from stagecast.features.catalog.feature import MARKETER_EVENTS
from stagecast.features.clock import from_microseconds, iso, microseconds
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.features.leads import LeadEvents
from stagecast.training.lead_points.grades import Wanted
from stagecast.training.lead_points.points import PointsTable, Rule, Scale, points_toml
from stagecast.training.lead_points.scoring import decayed_counts, valued

DOUBLING = 10.0
FEWEST_FOR_POINTS = 30
FEWEST_OF_VALUE = 30
"""Leads (rows of the panel) of a value of an attribute before it gets points of its own."""

NEW_HALF_LIFE_DAYS = 30
"""Half-life of an event type that the starting table does not name; its sign is free."""

PENALTY = 2.0
_MOST_DATES = 6
_BOUGHT = ("purchase", "refund")


@dataclass(frozen=True)
class LearnedPoints:
    """A suggested table with what it was learned from.

    Parameters
    ----------
    table
        the points, and the scale that says what they mean.
    leads, conversions
        rows of the panel (a lead counts at each date at which it was open).
    as_started
        labels of rules whose points are those of the starting table, since no open lead had such an
        event.
    """

    table: PointsTable
    leads: int
    conversions: int
    as_started: tuple[str, ...]

    def toml(self) -> str:
        """Return the table as TOML, with what it means on top."""
        scale = self.table.scale
        meaning = (
            ""
            if scale is None
            else (
                f"{scale.doubling:g} points double the odds of a first purchase within "
                f"{scale.horizon_days} days; "
                f"a lead of 0 points has {scale.at_zero:.1%}.\n"
            )
        )
        kept = (
            f"As before, for want of data: {', '.join(self.as_started)}.\n"
            if self.as_started
            else ""
        )
        return points_toml(
            self.table,
            (
                f"Suggested from {self.leads:,} leads at past dates, of whom "
                f"{self.conversions:,} bought.\n{meaning}{kept}"
            ),
        )


def learn_points(
    start: PointsTable,
    events: LeadEvents,
    as_of: datetime,
    horizon_days: int,
    attributes: Mapping[str, Texts] | None = None,
    dates: Sequence[datetime] | None = None,
) -> LearnedPoints:
    """Learn points from past dates.

    Parameters
    ----------
    start
        Gives the rules (half-life, most, within), their signs, and the points of what cannot be
        learned. A rule of 0 points, and an event type that it does not name, may go either way.
    events
        Nothing at or after the as_of is looked at.
    attributes
        Known from the start: name -> one text per customer of ``events``. The channel is added by
        itself.
    dates
        At which to look; each must stand a horizon before the as_of. None: up to six, a horizon
        apart, so that no conversion counts twice.

    Raises
    ------
    NotEnoughDataError
        Too few conversions of open leads.
    UsageError
        A date stands less than a horizon before the as_of.
    """
    newest = as_of - timedelta(days=horizon_days)
    if late := [date for date in dates or () if date > newest]:
        raise UsageError(
            f"the horizon of {horizon_days} days after {iso(late[0])} is not over at the "
            f"as_of {iso(as_of)}; take "
            f"dates up to {iso(newest)}"
        )
    seen = events.known_before(as_of)
    rules = _rules(start, seen)
    told = {CHANNEL: seen.first_channels(), **(attributes or {})}
    first, bought = seen.first_instants(), seen.first_instants_of("purchase")
    chosen = _dates(seen, as_of, horizon_days) if dates is None else list(dates)
    rows: list[NDArray[np.int64]] = []
    counts, converted = [np.zeros((0, len(rules)))], [np.zeros(0, dtype=np.bool_)]
    for date in chosen:
        at, until = (
            microseconds(date),
            microseconds(min(date + timedelta(days=horizon_days), as_of)),
        )
        open_then = np.flatnonzero((first < at) & (bought >= at))
        rows.append(open_then)
        counts.append(decayed_counts(rules, seen, date)[open_then])
        converted.append(bought[open_then] < until)
    x, y = np.vstack(counts), np.concatenate(converted)
    who = np.concatenate([np.zeros(0, dtype=np.int64), *rows])
    if min(y.sum(), len(y) - y.sum()) < FEWEST_FOR_POINTS:
        raise NotEnoughDataError(
            f"{int(y.sum())} of {len(y)} open leads at {len(chosen)} past dates bought "
            f"within {horizon_days} days; "
            f"points are learned from at least {FEWEST_FOR_POINTS} who did and as many "
            "who did not: keep the table as "
            "it is, or take a longer log or a shorter --horizon"
        )
    dummies, names = _dummies(told, who)
    matrix = np.hstack([x, dummies])
    spread = matrix.std(axis=0)
    alive = spread > 1e-9
    # so that the penalty draws a value of few leads to the average, as much as one of many
    spread[len(rules) :] = 1.0
    bounds = [_bound(rule.points) for rule in rules] + [(None, None)] * len(names)
    intercept, found = _logistic(
        matrix[:, alive] / spread[alive], y, [b for b, a in zip(bounds, alive, strict=True) if a]
    )
    weights = np.zeros(len(spread))
    weights[alive] = found / spread[alive]
    points = np.rint(weights * DOUBLING / np.log(2)) + 0.0
    unseen = [k for k in range(len(rules)) if not alive[k]]
    learned = tuple(
        rule if k in unseen else replace(rule, points=float(points[k]))
        for k, rule in enumerate(rules)
    )
    values: dict[str, dict[str, float]] = {}
    for (name, value), worth in zip(names, points[len(rules) :], strict=True):
        values.setdefault(name, {})[value] = float(worth)
    at_zero = float(np.clip(expit(intercept), 1e-9, 1 - 1e-9))
    before = x @ np.array([rule.points for rule in rules])
    before += sum(
        valued(told[name], worth)[who] for name, worth in start.attributes.items() if name in told
    )
    mql, sql = (_regraded(wanted, before) for wanted in (start.mql, start.sql))
    table = PointsTable(learned, values, mql, sql, Scale(DOUBLING, at_zero, horizon_days))
    return LearnedPoints(table, len(y), int(y.sum()), tuple(rules[k].label for k in unseen))


def _regraded(wanted: Wanted | None, before: Array) -> Wanted | None:
    """Return a grade for points of a new scale: of as many leads as had the points of the old
    one; None where none.
    """
    if wanted is None or wanted.kind != "points":
        return wanted
    share = round(float((before >= wanted.value).mean()), 4)
    return Wanted("share", share) if share > 0 else None


def _rules(start: PointsTable, seen: LeadEvents) -> list[Rule]:
    named = {rule.event for rule in start.rules} | {*_BOUGHT, *MARKETER_EVENTS}
    new = [Rule(event, 0.0, NEW_HALF_LIFE_DAYS) for event in seen.types if event not in named]
    return [*start.rules, *new]


def _dates(seen: LeadEvents, as_of: datetime, horizon_days: int) -> list[datetime]:
    newest = as_of - timedelta(days=horizon_days)
    if not len(seen.instant):
        return []
    # before anybody bought, no lead could
    oldest = from_microseconds(
        min(int(seen.first_instants_of("purchase").min()), microseconds(as_of))
    )
    dates = [newest - timedelta(days=horizon_days * k) for k in range(_MOST_DATES)]
    return [date for date in dates if date > oldest]


def _bound(points: float) -> tuple[float | None, float | None]:
    return (0.0, None) if points > 0 else (None, 0.0) if points < 0 else (None, None)


def _dummies(
    told: Mapping[str, Texts], who: NDArray[np.int64]
) -> tuple[Array, list[tuple[str, str]]]:
    columns, names = [np.zeros((len(who), 0))], []
    for name, values in told.items():
        texts, counts = np.unique(values[who].astype(str), return_counts=True)
        kept = [
            str(text) for text, count in zip(texts, counts, strict=True) if count >= FEWEST_OF_VALUE
        ]
        if len(kept) > 1:
            columns.append(
                np.column_stack([values[who] == text for text in kept]).astype(np.float64)
            )
            names += [(name, text) for text in kept]
    return np.hstack(columns), names


def _logistic(
    matrix: Array, target: NDArray[np.bool_], bounds: Sequence[tuple[float | None, float | None]]
) -> tuple[float, Array]:
    """Return intercept and weights of a ridge-penalised logistic regression whose weights keep
    to their bounds.
    """
    share = (target.sum() + 0.5) / (len(target) + 1.0)
    first = np.r_[np.log(share / (1 - share)), np.zeros(matrix.shape[1])]

    def loss(w: Array) -> tuple[float, Array]:
        margin = w[0] + matrix @ w[1:]
        wrong = expit(margin) - target
        value = (
            np.logaddexp(0.0, margin).sum() - margin[target].sum() + 0.5 * PENALTY * (w[1:] @ w[1:])
        )
        return float(value), np.r_[wrong.sum(), matrix.T @ wrong + PENALTY * w[1:]]

    found = minimize(
        loss,
        first,
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None), *bounds],
        options={"maxiter": 500},
    )
    return float(found.x[0]), np.asarray(found.x[1:], dtype=np.float64)
