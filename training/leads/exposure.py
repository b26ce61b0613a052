"""Exposure of leads: the time at risk in each bin of age, and the age of the conversion.

A lead is at risk from its first event until its first purchase or the as_of. Exposure starts with
the first purchase of any customer in the log: before it nothing could be bought, or purchases were
not recorded, and no lead could convert. As conversion drifts, exposure and conversions a half-life
ago have half the weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.clock import DAY_MICROSECONDS

AGE_EDGES_DAYS = (3.0, 7.0, 14.0, 30.0, 60.0, 90.0, 180.0, 365.0)
"""Ages at which the hazard may change; it is constant after the last."""

HALF_LIFE_DAYS = 180.0

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Leads:
    """Start and conversion of the leads of a log; times are days since 1970, UTC.

    Parameters
    ----------
    start
        The midnight at the beginning of the day of the first event, as in ``tenure_days``, shape
        (n_customers,); NaN for customers whose first event was a purchase, who never were a lead.
    converted
        Time of the first purchase, shape (n_customers,); NaN without one.
    selling_since
        Time of the first purchase of any customer; NaN without one.
    """

    start: Array
    converted: Array
    selling_since: float

    def __len__(self) -> int:
        return len(self.start)

    def at_risk(self, day: float) -> NDArray[np.bool_]:
        """Return which customers are leads at a day number: started, not converted before it."""
        with np.errstate(invalid="ignore"):
            return np.asarray(
                (self.start < day) & ~(self.converted < day) & ~(self.converted <= self.start)
            )


def leads_of(first_events: Integers, customer: Integers, first_purchase: Integers) -> Leads:
    """Return the leads of a log.

    Parameters
    ----------
    first_events
        Time of the first event of each customer, microseconds since 1970, UTC, shape
        (n_customers,); the largest integer where it is unknown.
    customer, first_purchase
        Purchases in any order, one or several per customer: position in ``first_events``, and time
        in microseconds since 1970, UTC.
    """
    first_bought = np.full(len(first_events), _NEVER, dtype=np.int64)
    np.minimum.at(first_bought, customer, first_purchase)
    was_lead = (first_events < first_bought) & (first_events < _NEVER)
    converted = np.where(first_bought < _NEVER, first_bought / DAY_MICROSECONDS, np.nan)
    since = float(np.nanmin(converted)) if (first_bought < _NEVER).any() else float("nan")
    return Leads(
        np.where(was_lead, first_events // DAY_MICROSECONDS, np.nan).astype(np.float64),
        converted,
        since,
    )


@dataclass(frozen=True)
class Exposure:
    """Weighted exposure and conversions of each lead.

    Parameters
    ----------
    days
        Weighted lead-days in each bin of age, shape (leads, bins).
    hit
        Weight of the conversion, 0 without one, shape (leads,).
    bin
        Bin of age of the conversion, -1 without one, shape (leads,).
    """

    days: Array
    hit: Array
    bin: Integers

    @property
    def conversions(self) -> int:
        """Number of conversions."""
        return int((self.bin >= 0).sum())

    def merged(self, groups: Integers) -> Exposure:
        """Return the exposure with merged bins; ``groups`` has the new bin of each."""
        starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
        return Exposure(
            np.add.reduceat(self.days, starts, axis=1),
            self.hit,
            np.where(self.bin >= 0, groups[self.bin], -1),
        )


def exposure(
    leads: Leads,
    as_of_day: float,
    edges: tuple[float, ...] = AGE_EDGES_DAYS,
    half_life_days: float | None = HALF_LIFE_DAYS,
) -> Exposure:
    """Return the exposure and conversions of the leads before the as_of.

    Parameters
    ----------
    leads
        One entry per customer of the log.
    as_of_day
        The as_of as a day number; open leads are censored here, later conversions are ignored.
    edges
        Ages in days that separate the bins, ascending.
    half_life_days
        Half-life of the weight of exposure; None gives all exposure equal weight.

    Notes
    -----
    Time t has the weight ``2 ** (-(as_of - t) / half_life)``; a lead's exposure in a bin of age is
    its integral.
    """
    with np.errstate(invalid="ignore"):
        was_lead = (leads.start < as_of_day) & ~(leads.converted <= leads.start)
        converted = was_lead & (leads.converted < as_of_day)
    start = np.where(was_lead, leads.start, as_of_day)
    end = np.where(converted, leads.converted, as_of_day)
    selling_since = leads.selling_since if np.isfinite(leads.selling_since) else -np.inf
    starts = np.array([0.0, *edges])
    begin = np.clip(
        start[:, None] + starts, np.maximum(start, selling_since)[:, None], end[:, None]
    )
    days = _weighted(begin, np.column_stack([begin[:, 1:], end]), as_of_day, half_life_days)
    rate = 0.0 if half_life_days is None else np.log(2) / half_life_days
    hit = np.where(converted, np.exp(-rate * (as_of_day - end)), 0.0)
    # a bin includes its upper end, since a conversion there ends the exposure in it
    position = np.searchsorted(starts, end - start, side="left") - 1
    return Exposure(days, hit, np.where(converted, np.maximum(position, 0), -1).astype(np.int64))


def _weighted(begin: Array, end: Array, as_of_day: float, half_life_days: float | None) -> Array:
    if half_life_days is None:
        return end - begin
    rate = np.log(2) / half_life_days
    return np.asarray(np.exp(-rate * (as_of_day - end)) * -np.expm1(-rate * (end - begin)) / rate)
