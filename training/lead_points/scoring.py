"""Points of each lead at an as_of, and the contributions to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.attributes import CHANNEL, Texts
from stagecast.features.clock import DAY_MICROSECONDS, microseconds
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.leads import LeadEvents
from stagecast.training.lead_points.points import PointsTable, Rule


@dataclass(frozen=True)
class LeadScores:
    """Points of each customer.

    Parameters
    ----------
    customers
        Ids, shape (n_customers,).
    points
        Sum of the points, shape (n_customers,); NaN without an event known before the as_of.
    parts
        Points of each rule and then each attribute, shape (n_customers, rules + attributes).
    rules
        Labels of the rules.
    attributes
        Name -> value of each customer.
    """

    customers: Texts
    points: Array
    parts: Array
    rules: tuple[str, ...]
    attributes: Mapping[str, Texts]

    def reasons(self, row: int, max_reasons: int = 3) -> list[tuple[str, float]]:
        """Return label and points of the largest contributions of one customer, largest first."""
        names = [
            *self.rules,
            *(f"{name}={values[row]}" for name, values in self.attributes.items()),
        ]
        order = np.argsort(-np.abs(self.parts[row]), kind="stable")[:max_reasons]
        return [(names[k], float(self.parts[row, k])) for k in order if self.parts[row, k] != 0]


def score_points(
    table: PointsTable,
    events: LeadEvents,
    as_of: datetime,
    attributes: Mapping[str, Texts] | None = None,
) -> LeadScores:
    """Return the points of each customer.

    Parameters
    ----------
    table
        The table of points.
    events
        Events of the log; those that happened and were known before the as_of count.
    as_of
        Time of the scores.
    attributes
        Attribute known at the first contact -> one text per customer. The channel of the first
        event is added automatically.

    Raises
    ------
    UsageError
        The table gives points to an attribute that is missing.
    """
    known_events = events.known_before(as_of)
    all_attributes = {CHANNEL: known_events.first_channels(), **(attributes or {})}
    if missing := [name for name in table.attributes if name not in all_attributes]:
        raise UsageError(
            f"the table gives points to the attribute '{missing[0]}', which is not among "
            "those known from the start: "
            f"{', '.join(all_attributes)}; name it under known_at_start of "
            f"[customers].{did_you_mean(missing[0], all_attributes)}"
        )
    rule_points = np.array([rule.points for rule in table.rules], dtype=np.float64)
    parts = [decayed_counts(table.rules, known_events, as_of) * rule_points]
    parts += [
        attribute_points(all_attributes[name], points)[:, None]
        for name, points in table.attributes.items()
    ]
    all_parts = np.hstack(parts)
    has_events = np.bincount(known_events.customer, minlength=len(known_events.customers)) > 0
    return LeadScores(
        known_events.customers,
        np.where(has_events, all_parts.sum(axis=1), np.nan),
        all_parts,
        tuple(rule.label for rule in table.rules),
        {name: all_attributes[name] for name in table.attributes},
    )


def decayed_counts(rules: Sequence[Rule], events: LeadEvents, as_of: datetime) -> Array:
    """Return the events of each rule, weighted by age, shape (customers, rules).

    An event of age a has the weight ``2 ** (-a / half_life)``.
    """
    known_events = events.known_before(as_of)
    as_of_instant, first, count = (
        microseconds(as_of),
        known_events.first_instants(),
        len(known_events.customers),
    )
    counts = np.zeros((count, len(rules)))
    for k, rule in enumerate(rules):
        if rule.event not in known_events.types:
            continue
        matching = known_events.kind == known_events.types.index(rule.event)
        if rule.within_days is not None:
            matching &= (
                known_events.instant - first[known_events.customer]
                < rule.within_days * DAY_MICROSECONDS
            )
        owner, instant = known_events.customer[matching], known_events.instant[matching]
        if rule.most is not None:
            newer = np.searchsorted(owner, owner, side="right") - 1 - np.arange(len(owner))
            owner, instant = owner[newer < rule.most], instant[newer < rule.most]
        age_days = (as_of_instant - instant) / DAY_MICROSECONDS
        weight = (
            np.ones(len(owner))
            if rule.half_life_days is None
            else np.exp2(-age_days / rule.half_life_days)
        )
        counts[:, k] = np.bincount(owner, weights=weight, minlength=count)
    return counts


def attribute_points(values: Texts, points_by_value: Mapping[str, float]) -> Array:
    """Return the points of the value of each customer; 0 for values without points."""
    names, codes = np.unique(values.astype(str), return_inverse=True)
    return np.asarray(
        np.array([points_by_value.get(str(name), 0.0) for name in names], dtype=np.float64)[codes]
    )
