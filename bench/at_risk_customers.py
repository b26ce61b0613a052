"""Simulated customers whose truth is known: who is still one, and what leaving costs.

Each kind of business draws a purchase rate, a chance of leaving and a usual amount for each
customer. Customers begin evenly over the history; the log ends at the as_of, the truth goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stagecast.features.arrays import Array

AHEAD_DAYS = 365.0
ANNUAL_DISCOUNT = 0.10
DAILY = np.log1p(ANNUAL_DISCOUNT) / 365.0
# Steps of a day that integrals over the year ahead are summed in.
STEPS = np.arange(0.25, AHEAD_DAYS, 0.5)
PLANS = (5.0, 12.0, 30.0)


@dataclass(frozen=True)
class Truth:
    """What is true of the customers of a log, shape (n,) each, in money over the year ahead.

    Parameters
    ----------
    log
        Events before the as_of: customer_id, timestamp, amount, and event where there are
        contracts.
    as_of
        End of the log.
    customer
        Id of each customer.
    lost
        What leaving from the as_of on is expected to cost, given the customer's own rates; 0 of
        who had left.
    gone
        What was lost before: the discounted value if kept of who had left; 0 of who had not.
    spent
        What came in the year, discounted.
    """

    log: pd.DataFrame
    as_of: pd.Timestamp
    customer: NDArray[np.object_]
    lost: Array
    gone: Array
    spent: Array


@dataclass(frozen=True)
class Nature:
    """Properties of customers, shape (n,) each.

    Parameters
    ----------
    rate
        Purchases a day while a customer.
    hazard
        Chance of leaving, a day.
    drop
        Chance of leaving after each purchase.
    shape
        Gamma shape of the gaps: 1 is random, more is regular.
    peak
        Factor of the rate in November and December, over that of the other months.
    """

    rate: Array
    hazard: Array
    drop: Array
    shape: float = 1.0
    peak: float = 1.0


def pareto(n: int, random: np.random.Generator) -> Nature:
    """Return customers who leave at a constant hazard, as in Pareto/NBD."""
    return Nature(random.gamma(1.0, 1 / 40, n), random.gamma(2.0, 1 / 800, n), np.zeros(n))


def cdnow(n: int, random: np.random.Generator) -> Nature:
    """Return customers of Pareto/NBD with CDNOW's parameters: most leave soon and buy rarely."""
    weeks = 7.0
    rate = random.gamma(0.5533, 1 / (10.5777 * weeks), n)
    return Nature(rate, random.gamma(0.6062, 1 / (11.6687 * weeks), n), np.zeros(n))


def mbg(n: int, random: np.random.Generator) -> Nature:
    """Return customers who leave after a purchase, as in MBG/NBD."""
    return Nature(random.gamma(1.0, 1 / 40, n), np.zeros(n), random.beta(0.8, 4.0, n))


def regular(n: int, random: np.random.Generator) -> Nature:
    """Return customers with gaps of shape 6 who leave at a constant hazard."""
    return Nature(random.gamma(2.0, 1 / 60, n), random.gamma(2.0, 1 / 800, n), np.zeros(n), 6.0)


def seasonal(n: int, random: np.random.Generator) -> Nature:
    """Return customers who buy four times as much before Christmas."""
    return Nature(
        random.gamma(1.0, 1 / 20, n), random.gamma(2.0, 1 / 800, n), np.zeros(n), peak=4.0
    )


@dataclass(frozen=True)
class Business:
    """A kind of customers, the days of its log, and the day after it."""

    nature: Callable[[int, np.random.Generator], Nature] | None
    history_days: float
    as_of: str = "2024-01-01"


BUSINESSES: Mapping[str, Business] = {
    "pareto": Business(pareto, 1095.0),
    "young pareto": Business(pareto, 545.0),
    "cdnow": Business(cdnow, 545.0),
    "mbg": Business(mbg, 1095.0),
    "regular": Business(regular, 1095.0),
    "seasonal": Business(seasonal, 1095.0, "2023-09-01"),
    "after season": Business(seasonal, 1095.0),
    "contracts": Business(None, 1095.0),
}


def _season(day: Array, peak: float) -> Array:
    """Return the factor of the rate on days since a 1 January, at most 1."""
    return np.where(day % 365.0 >= 304.0, 1.0, 1.0 / peak)


def draw(kind: str, n: int, seed: int) -> Truth:
    """Return ``n`` customers of one of :data:`BUSINESSES`, with their truth."""
    random, business = np.random.default_rng(seed), BUSINESSES[kind]
    history, as_of = business.history_days, pd.Timestamp(business.as_of)
    if business.nature is None:
        return _contracts(n, random, history, as_of)
    nature = business.nature(n, random)
    new_year = as_of.dayofyear - 1.0 - history  # day of the year on which the log begins
    begin = random.uniform(0.0, history, n)
    until = begin + random.exponential(1.0, n) / np.maximum(nature.hazard, 1e-12)
    usual = 6.25 / random.gamma(3.7, 1 / 15.4, n)  # as in Gamma-Gamma: Fader and Hardie (2013)
    end = history + AHEAD_DAYS
    who, at = np.arange(n), begin
    owners, days = [], []
    left = until.copy()
    while len(who):
        owners.append(who)
        days.append(at)
        leaves = random.random(len(who)) < nature.drop[who]
        left[who[leaves]] = np.minimum(left[who[leaves]], at[leaves])
        who, at = who[~leaves], at[~leaves]
        gap = random.gamma(nature.shape, 1.0, len(who)) / nature.shape
        at = at + gap / np.maximum(nature.rate[who], 1e-9)
        going_on = (at < end) & (at < left[who])
        who, at = who[going_on], at[going_on]
    owner, day = np.concatenate(owners), np.concatenate(days)
    if nature.peak > 1.0:  # thinned, but for the purchase that makes a customer
        first = np.arange(len(day)) < n
        stays = first | (random.random(len(day)) < _season(day + new_year, nature.peak))
        owner, day = owner[stays], day[stays]
    amount = random.gamma(6.25, 1.0, len(owner)) * usual[owner] / 6.25
    is_customer = left > history
    hazard = nature.hazard[:, None] + (nature.drop * nature.rate)[:, None]
    # the season is that of the days ahead
    season = _season(new_year + history + STEPS, nature.peak)
    weight = season * np.exp(-DAILY * STEPS) * 0.5
    kept = nature.rate * usual * weight.sum()
    staying = nature.rate * usual * (np.exp(-hazard * STEPS) @ weight)
    return Truth(
        _log(owner, day - history, amount, as_of),
        as_of,
        _ids(np.arange(n)),
        np.where(is_customer, kept - staying, 0.0),
        np.where(is_customer, 0.0, kept),
        _spent(owner, day - history, amount, n),
    )


def _contracts(n: int, random: np.random.Generator, history: float, as_of: pd.Timestamp) -> Truth:
    """Return monthly payers of one of three prices, who cancel at a hazard of their own."""
    begin = np.floor(random.uniform(0.0, history, n)) - history  # days after the as_of
    hazard = random.gamma(1.5, 1 / 500, n)
    price = random.choice(PLANS, n)
    cancelled = begin + np.floor(random.exponential(1.0, n) / hazard)
    bills = int((history + AHEAD_DAYS) // 30)
    day = begin[:, None] + 30.0 * np.arange(bills)
    paid = (day < cancelled[:, None]) & (day < AHEAD_DAYS)
    owner = np.repeat(np.arange(n), bills).reshape(n, bills)[paid]
    days, amount = day[paid], price[owner]
    over = np.flatnonzero(cancelled < 0)
    ends = pd.DataFrame(
        {
            "customer_id": _ids(over),
            "timestamp": as_of + pd.to_timedelta(cancelled[over], unit="D"),
            "amount": np.nan,
            "event": "cancel",
        }
    )
    ahead = (day >= 0) & (day < AHEAD_DAYS)
    after = np.maximum(day, 0.0)
    kept = price * (ahead * np.exp(-DAILY * after)).sum(axis=1)
    staying = price * (ahead * np.exp(-(DAILY + hazard[:, None]) * after)).sum(axis=1)
    log = _log(owner, days, amount, as_of).assign(event="purchase")
    return Truth(
        pd.concat([log, ends], ignore_index=True),
        as_of,
        _ids(np.arange(n)),
        np.where(cancelled >= 0, kept - staying, 0.0),
        np.where(cancelled >= 0, 0.0, kept),
        _spent(owner, days, amount, n),
    )


def _ids(rows: NDArray[np.int64]) -> NDArray[np.object_]:
    return np.array([f"c{row:06d}" for row in rows], dtype=object)


def _log(owner: NDArray[np.int64], day: Array, amount: Array, as_of: pd.Timestamp) -> pd.DataFrame:
    """Return the events before the as_of; ``day`` is after it."""
    known = day < 0
    return pd.DataFrame(
        {
            "customer_id": _ids(owner[known]),
            "timestamp": as_of + pd.to_timedelta(np.floor(day[known] * 86_400.0), unit="s"),
            "amount": np.round(amount[known], 2) + 0.01,
        }
    )


def _spent(owner: NDArray[np.int64], day: Array, amount: Array, n: int) -> Array:
    ahead = day >= 0
    return np.bincount(owner[ahead], amount[ahead] * np.exp(-DAILY * day[ahead]), n)
