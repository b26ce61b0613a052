"""Points learned from the log: a scorecard of whole numbers with the signs of a starting table.

The data are, at past dates, the decayed counts of the events of each open lead and whether it
bought within the horizon. A logistic regression with a ridge penalty is fitted to them, whose
weights keep the signs of the starting table; where the data have the opposite sign, the points are
0. Ten points double the odds. Since this is a new scale, a grade that was defined by points is
defined by the share of leads that had at least these points before.

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
from stagecast.features.intake.counted import counted
from stagecast.features.leads import LeadEvents
from stagecast.training.lead_points.grades import GradeTarget
from stagecast.training.lead_points.points import PointsTable, Rule, Scale, points_toml
from stagecast.training.lead_points.scoring import attribute_points, decayed_counts

DOUBLING = 10.0
FEWEST_FOR_POINTS = 30
FEWEST_OF_VALUE = 30
"""Least number of leads (rows of the panel) with a value of an attribute that gets points."""

NEW_HALF_LIFE_DAYS = 30
"""Half-life of an event type that is not in the starting table; its sign is free."""

PENALTY = 2.0
_MAX_DATES = 6
_PURCHASE_EVENTS = ("purchase", "refund")


@dataclass(frozen=True)
class LearnedPoints:
    """A learned table of points, with the size of the data.

    Parameters
    ----------
    table
        The points and their scale.
    leads, conversions
        Rows of the panel and conversions among them; a lead counts at each date at which it was
        open.
    as_started
        Labels of rules with the points of the starting table, because no open lead had such an
        event.
    """

    table: PointsTable
    leads: int
    conversions: int
    as_started: tuple[str, ...]

    @property
    def learned(self) -> tuple[Rule, ...]:
        """The rules whose points were learned, those with the most points for or against first."""
        rules = [rule for rule in self.table.rules if rule.label not in self.as_started]
        return tuple(sorted(rules, key=lambda rule: -abs(rule.points)))

    def toml(self) -> str:
        """Return the table as TOML, with an explanation at the top."""
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
        unlearned = (
            f"As before, for want of data: {', '.join(self.as_started)}.\n"
            if self.as_started
            else ""
        )
        return points_toml(
            self.table,
            (
                f"Suggested from {counted(self.leads, 'lead')} at past dates, of whom "
                f"{self.conversions:,} bought.\n{meaning}{unlearned}"
            ),
        )


def learn_points(
    start: PointsTable,
    events: LeadEvents,
    as_of: datetime,
    horizon_days: int,
    attributes: Mapping[str, Texts] | None = None,
    dates: Sequence[datetime] | None = None,
    ends_lead: Sequence[str] = (),
) -> LearnedPoints:
    """Learn points from past dates.

    Parameters
    ----------
    start
        Starting table: gives the rules (half-life, most, within), their signs, and the points of
        rules that cannot be learned. The sign of rules with 0 points, and of event types that are
        not in it, is free.
    events
        Events of the log; those at or after the as_of are not used.
    as_of
        End of the data.
    horizon_days
        Horizon of the first purchase, in days.
    attributes
        Attribute known at the first contact -> one text per customer of ``events``. The channel is
        added automatically.
    dates
        Past dates, at least a horizon before the as_of; None takes up to six, a horizon apart, so
        that no conversion counts twice.
    ends_lead
        Event types that end a lead; they get no points, because no open lead has one.

    Raises
    ------
    NotEnoughDataError
        Too few open leads that converted, or too few that did not.
    UsageError
        A date is less than a horizon before the as_of.
    """
    newest = as_of - timedelta(days=horizon_days)
    if too_late := [date for date in dates or () if date > newest]:
        raise UsageError(
            f"the horizon of {horizon_days} days after {iso(too_late[0])} is not over at the "
            f"as_of {iso(as_of)}; take "
            f"dates up to {iso(newest)}"
        )
    known_events = events.known_before(as_of)
    rules = _rules(start, known_events, ends_lead)
    all_attributes = {CHANNEL: known_events.first_channels(), **(attributes or {})}
    first_purchase = known_events.first_instants_of("purchase")
    chosen_dates = _dates(known_events, as_of, horizon_days) if dates is None else list(dates)
    rows_by_date: list[NDArray[np.int64]] = []
    counts, converted = [np.zeros((0, len(rules)))], [np.zeros(0, dtype=np.bool_)]
    for date in chosen_dates:
        instant, until = (
            microseconds(date),
            microseconds(min(date + timedelta(days=horizon_days), as_of)),
        )
        open_rows = known_events.open_leads(instant, ends_lead)
        rows_by_date.append(open_rows)
        counts.append(decayed_counts(rules, known_events, date)[open_rows])
        converted.append(first_purchase[open_rows] < until)
    counts_matrix, target = np.vstack(counts), np.concatenate(converted)
    customers = np.concatenate([np.zeros(0, dtype=np.int64), *rows_by_date])
    if min(target.sum(), len(target) - target.sum()) < FEWEST_FOR_POINTS:
        raise NotEnoughDataError(
            f"{int(target.sum())} of {len(target)} open leads at {len(chosen_dates)} past dates "
            f"bought within {horizon_days} days; "
            f"points are learned from at least {FEWEST_FOR_POINTS} who did and as many "
            "who did not: keep the table as "
            "it is, or take a longer log or a shorter --horizon"
        )
    dummies, value_names = _dummies(all_attributes, customers)
    matrix = np.hstack([counts_matrix, dummies])
    scale = matrix.std(axis=0)
    varies = scale > 1e-9
    # indicators are not standardised, so that the same penalty applies to frequent and rare values
    scale[len(rules) :] = 1.0
    bounds = [_bound(rule.points) for rule in rules] + [(None, None)] * len(value_names)
    intercept, coefficients = _logistic(
        matrix[:, varies] / scale[varies],
        target,
        [bound for bound, used in zip(bounds, varies, strict=True) if used],
    )
    weights = np.zeros(len(scale))
    weights[varies] = coefficients / scale[varies]
    points = np.rint(weights * DOUBLING / np.log(2)) + 0.0
    unlearned = [k for k in range(len(rules)) if not varies[k]]
    learned_rules = tuple(
        rule if k in unlearned else replace(rule, points=float(points[k]))
        for k, rule in enumerate(rules)
    )
    values: dict[str, dict[str, float]] = {}
    for (name, value), value_points in zip(value_names, points[len(rules) :], strict=True):
        values.setdefault(name, {})[value] = float(value_points)
    at_zero = float(np.clip(expit(intercept), 1e-9, 1 - 1e-9))
    points_before = counts_matrix @ np.array([rule.points for rule in rules])
    points_before += sum(
        attribute_points(all_attributes[name], value_points)[customers]
        for name, value_points in start.attributes.items()
        if name in all_attributes
    )
    mql, sql = (_regraded(grade, points_before) for grade in (start.mql, start.sql))
    table = PointsTable(learned_rules, values, mql, sql, Scale(DOUBLING, at_zero, horizon_days))
    return LearnedPoints(
        table, len(target), int(target.sum()), tuple(rules[k].label for k in unlearned)
    )


def _regraded(grade: GradeTarget | None, points_before: Array) -> GradeTarget | None:
    """Return the definition of a grade on a new scale of points, for the same share of leads.

    None where no lead had the points on the old scale.
    """
    if grade is None or grade.kind != "points":
        return grade
    share = round(float((points_before >= grade.value).mean()), 4)
    return GradeTarget("share", share) if share > 0 else None


def _rules(start: PointsTable, events: LeadEvents, ends_lead: Sequence[str]) -> list[Rule]:
    known_types = {rule.event for rule in start.rules}
    known_types |= {*_PURCHASE_EVENTS, *MARKETER_EVENTS, *ends_lead}
    new = [
        Rule(event, 0.0, NEW_HALF_LIFE_DAYS) for event in events.types if event not in known_types
    ]
    return [*start.rules, *new]


def _dates(events: LeadEvents, as_of: datetime, horizon_days: int) -> list[datetime]:
    newest = as_of - timedelta(days=horizon_days)
    if not len(events.instant):
        return []
    # no lead could convert before the first purchase of any customer
    oldest = from_microseconds(
        min(int(events.first_instants_of("purchase").min()), microseconds(as_of))
    )
    dates = [newest - timedelta(days=horizon_days * k) for k in range(_MAX_DATES)]
    return [date for date in dates if date > oldest]


def _bound(points: float) -> tuple[float | None, float | None]:
    return (0.0, None) if points > 0 else (None, 0.0) if points < 0 else (None, None)


def _dummies(
    attributes: Mapping[str, Texts], customers: NDArray[np.int64]
) -> tuple[Array, list[tuple[str, str]]]:
    columns, names = [np.zeros((len(customers), 0))], []
    for name, values in attributes.items():
        texts, counts = np.unique(values[customers].astype(str), return_counts=True)
        frequent = [
            str(text) for text, count in zip(texts, counts, strict=True) if count >= FEWEST_OF_VALUE
        ]
        if len(frequent) > 1:
            columns.append(
                np.column_stack([values[customers] == text for text in frequent]).astype(np.float64)
            )
            names += [(name, text) for text in frequent]
    return np.hstack(columns), names


def _logistic(
    matrix: Array, target: NDArray[np.bool_], bounds: Sequence[tuple[float | None, float | None]]
) -> tuple[float, Array]:
    """Return intercept and weights of a ridge-penalised logistic regression with bounds."""
    share = (target.sum() + 0.5) / (len(target) + 1.0)
    start = np.r_[np.log(share / (1 - share)), np.zeros(matrix.shape[1])]

    def loss(w: Array) -> tuple[float, Array]:
        margin = w[0] + matrix @ w[1:]
        residual = expit(margin) - target
        value = (
            np.logaddexp(0.0, margin).sum() - margin[target].sum() + 0.5 * PENALTY * (w[1:] @ w[1:])
        )
        return float(value), np.r_[residual.sum(), matrix.T @ residual + PENALTY * w[1:]]

    optimum = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None), *bounds],
        options={"maxiter": 500},
    )
    return float(optimum.x[0]), np.asarray(optimum.x[1:], dtype=np.float64)
