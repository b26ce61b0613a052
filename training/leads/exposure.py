"""How long each lead was seen at each age, and at which age it converted: what the hazard is fitted
on.

A lead is at risk from its first event until its first purchase or the as_of. Exposure begins with
the first purchase of anybody in the log: before it nothing could be bought, or purchases were not
recorded, and no lead could convert. Conversion also drifts; exposure a half-life ago counts half,
conversions alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.clock import DAY_MICROSECONDS

AGE_EDGES_DAYS = (3.0, 7.0, 14.0, 30.0, 60.0, 90.0, 180.0, 365.0)
"""Ages at which the hazard may change; after the last it stays."""

HALF_LIFE_DAYS = 180.0

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Leads:
    """When each customer of a log became a lead and bought first; times are days since 1970.

    Parameters
    ----------
    start
        The midnight UTC that begins the day of the first event, as ``tenure_days`` counts; NaN for
        those who were never a lead, since their first event was a purchase.
    converted
        The first purchase; NaN for none so far.
    selling_since
        The first purchase of anybody; NaN for none so far.
    """

    start: Array
    converted: Array
    selling_since: float

    def __len__(self) -> int:
        return len(self.start)

    def at_risk(self, at: float) -> NDArray[np.bool_]:
        """Return who is a lead at an instant: begun before it, and not converted before it."""
        with np.errstate(invalid="ignore"):
            return np.asarray(
                (self.start < at) & ~(self.converted < at) & ~(self.converted <= self.start)
            )


def leads_of(first_events: Integers, customer: Integers, first_purchase: Integers) -> Leads:
    """Return the leads of a log.

    Parameters
    ----------
    first_events
        Instant of each customer's first event, microseconds since 1970; the largest integer:
        nothing known.
    customer, first_purchase
        Purchases, in any order and as many per customer as there are: position in ``first_events``,
        and the instant.
    """
    bought = np.full(len(first_events), _NEVER, dtype=np.int64)
    np.minimum.at(bought, customer, first_purchase)
    was_lead = (first_events < bought) & (first_events < _NEVER)
    converted = np.where(bought < _NEVER, bought / DAY_MICROSECONDS, np.nan)
    since = float(np.nanmin(converted)) if (bought < _NEVER).any() else float("nan")
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
        lead-days in each bin of age, weighted, shape (leads, bins).
    hit
        weight of the conversion, 0 where there is none.
    bin
        the bin of age in which it was, -1 where there is none.
    """

    days: Array
    hit: Array
    bin: Integers

    @property
    def conversions(self) -> int:
        return int((self.bin >= 0).sum())

    def merged(self, groups: Integers) -> Exposure:
        """Return the same with bins put together; ``groups`` has the new bin of each."""
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
    """Return what was seen of the leads before the as_of.

    Parameters
    ----------
    as_of_day
        Day number; open leads are censored here, later conversions are not seen.
    half_life_days
        None: all exposure counts alike.

    Notes
    -----
    Time t has the weight ``2 ** (-(as_of - t) / half_life)``; a lead's exposure in a bin of age is
    its integral.
    """
    with np.errstate(invalid="ignore"):
        ever = (leads.start < as_of_day) & ~(leads.converted <= leads.start)
        converted = ever & (leads.converted < as_of_day)
    start = np.where(ever, leads.start, as_of_day)
    end = np.where(converted, leads.converted, as_of_day)
    since = leads.selling_since if np.isfinite(leads.selling_since) else -np.inf
    lows = np.array([0.0, *edges])
    begin = np.clip(start[:, None] + lows, np.maximum(start, since)[:, None], end[:, None])
    days = _weighted(begin, np.column_stack([begin[:, 1:], end]), as_of_day, half_life_days)
    rate = 0.0 if half_life_days is None else np.log(2) / half_life_days
    hit = np.where(converted, np.exp(-rate * (as_of_day - end)), 0.0)
    # a bin holds its upper end, as a conversion there ends the exposure in it
    position = np.searchsorted(lows, end - start, side="left") - 1
    return Exposure(days, hit, np.where(converted, np.maximum(position, 0), -1).astype(np.int64))


def _weighted(begin: Array, end: Array, as_of_day: float, half_life_days: float | None) -> Array:
    if half_life_days is None:
        return end - begin
    rate = np.log(2) / half_life_days
    return np.asarray(np.exp(-rate * (as_of_day - end)) * -np.expm1(-rate * (end - begin)) / rate)
