"""The points of each lead at an as_of, and what they are made of."""

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
        ids.
    points
        their sum, one per customer; NaN where no event was known before the as_of.
    parts
        points of each rule and then each attribute, shape (customers, rules + attributes).
    rules
        labels of the rules.
    attributes
        name -> value of each customer.
    """

    customers: Texts
    points: Array
    parts: Array
    rules: tuple[str, ...]
    attributes: Mapping[str, Texts]

    def reasons(self, row: int, most: int = 3) -> list[tuple[str, float]]:
        """Return what counted most for or against one customer, largest first: label and points."""
        names = [
            *self.rules,
            *(f"{name}={values[row]}" for name, values in self.attributes.items()),
        ]
        order = np.argsort(-np.abs(self.parts[row]), kind="stable")[:most]
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
    events
        Only those that happened and were known before the as_of count.
    attributes
        Known from the start: name -> one text per customer. The channel of the first event is added
        by itself.

    Raises
    ------
    UsageError
        The table gives points to an attribute that was not handed over.
    """
    seen = events.known_before(as_of)
    told = {CHANNEL: seen.first_channels(), **(attributes or {})}
    if missing := [name for name in table.attributes if name not in told]:
        raise UsageError(
            f"the table gives points to the attribute '{missing[0]}', which is not among "
            "those known from the start: "
            f"{', '.join(told)}; name it under known_at_start of "
            f"[customers].{did_you_mean(missing[0], told)}"
        )
    worth = np.array([rule.points for rule in table.rules], dtype=np.float64)
    parts = [decayed_counts(table.rules, seen, as_of) * worth]
    parts += [valued(told[name], points)[:, None] for name, points in table.attributes.items()]
    together = np.hstack(parts)
    known = np.bincount(seen.customer, minlength=len(seen.customers)) > 0
    return LeadScores(
        seen.customers,
        np.where(known, together.sum(axis=1), np.nan),
        together,
        tuple(rule.label for rule in table.rules),
        {name: told[name] for name in table.attributes},
    )


def decayed_counts(rules: Sequence[Rule], events: LeadEvents, as_of: datetime) -> Array:
    """Return how many events count for each rule, each weighed by its age; shape (customers,
    rules).

    An event of age a counts ``2 ** (-a / half_life)``.
    """
    seen = events.known_before(as_of)
    at, first, count = microseconds(as_of), seen.first_instants(), len(seen.customers)
    counts = np.zeros((count, len(rules)))
    for k, rule in enumerate(rules):
        if rule.event not in seen.types:
            continue
        kept = seen.kind == seen.types.index(rule.event)
        if rule.within_days is not None:
            kept &= seen.instant - first[seen.customer] < rule.within_days * DAY_MICROSECONDS
        owner, instant = seen.customer[kept], seen.instant[kept]
        if rule.most is not None:
            newer = np.searchsorted(owner, owner, side="right") - 1 - np.arange(len(owner))
            owner, instant = owner[newer < rule.most], instant[newer < rule.most]
        age_days = (at - instant) / DAY_MICROSECONDS
        weight = (
            np.ones(len(owner))
            if rule.half_life_days is None
            else np.exp2(-age_days / rule.half_life_days)
        )
        counts[:, k] = np.bincount(owner, weights=weight, minlength=count)
    return counts


def valued(values: Texts, points: Mapping[str, float]) -> Array:
    """Return the points of each value, 0 for those not named."""
    names, codes = np.unique(values.astype(str), return_inverse=True)
    return np.asarray(
        np.array([points.get(str(name), 0.0) for name in names], dtype=np.float64)[codes]
    )
