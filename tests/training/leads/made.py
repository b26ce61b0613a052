"""Simulated leads with a hazard that is known, and small logs written out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.attributes import Texts
from stagecast.features.clock import from_day
from stagecast.features.leads import LeadEvents, request_lead_events
from stagecast.features.requests import CustomerEvents, Event
from stagecast.training.leads.exposure import Leads

START = datetime(2024, 1, 1, tzinfo=UTC)

EDGES = (7.0, 30.0)
RATES = (0.02, 0.006, 0.001)
"""Conversions per lead and day before 7 days of age, from 7 to 30, and from then on."""


def day(number: float) -> datetime:
    """Return the instant ``number`` days after the logs begin."""
    return START + timedelta(days=number)


def share_within(age: Array, span: float, times: Array | float = 1.0) -> Array:
    """Return the true P(convert within ``span`` days | age, not converted)."""
    lows, rates = np.array([0.0, *EDGES]), np.array(RATES)

    def cumulative(at: Array) -> Array:
        spent = np.clip(at[:, None] - lows, 0.0, np.r_[np.diff(lows), np.inf])
        return np.asarray(spent @ rates)

    return np.asarray(1.0 - np.exp(-times * (cumulative(age + span) - cumulative(age))))


def simulated_leads(
    count: int, seed: int, days: float = 120.0, times: Array | float = 1.0
) -> Leads:
    """Return leads that begin on whole days evenly until ``days``, each with ``times`` the hazard
    :data:`RATES`.

    Conversions after ``days`` are in it; what looks at an as_of must leave them out.
    """
    random = np.random.default_rng(seed)
    start = np.floor(random.uniform(0.0, days, count))
    goal = random.exponential(1.0, count) / times
    lows, rates = np.array([0.0, *EDGES]), np.array(RATES)
    at_lows = np.r_[0.0, np.cumsum(np.diff(lows) * rates[:-1])]
    k = np.searchsorted(at_lows, goal, side="right") - 1
    converted = start + lows[k] + (goal - at_lows[k]) / rates[k]
    return Leads(start, converted, 0.0)


def constant(value: str, count: int) -> Texts:
    return np.full(count, value, dtype=object)


def events_of(log: Mapping[str, Sequence[tuple[float, str]]], as_of: float = 1e4) -> LeadEvents:
    """Return the events of a log written as customer -> (day, type)."""
    customers = [
        CustomerEvents(who, tuple(Event(day(at), kind) for at, kind in rows))
        for who, rows in log.items()
    ]
    return request_lead_events(customers, from_day(as_of) if as_of > 1e5 else day(as_of))
