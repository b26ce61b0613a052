"""Logs to try things on: the published CDNOW log, and simulated subscriptions of known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stagecast.features.arguments.values import flag, number, whole_number
from stagecast.features.demo import cdnow_frame, cdnow_sample_frame

__all__ = ["load_cdnow", "make_subscriptions"]

MONTH_DAYS = 30.0
MEAN_STAY_DAYS = 200.0
VISITS_PER_DAY = 0.15
SPREAD = 1.0
BACK_AGAIN = 0.15
BACK_AFTER_DAYS = 45.0


def load_cdnow(*, sample: bool = True) -> pd.DataFrame:
    """Return purchases of the customers of a CD shop, 1997-01-01 to 1998-06-30.

    All customers bought for the first time in the first quarter of 1997. The log has no time of
    day, so the same amount twice on one day is two orders: read it with ``duplicates="keep"``.

    Parameters
    ----------
    sample
        The 1/10 sample that papers on customer-base models use, 2,357 customers, instead of all
        23,570.

    Returns
    -------
    pandas.DataFrame
        ``customer_id`` (text with leading zeros), ``timestamp`` (midnight), ``amount`` (US
        dollars), ``quantity`` (CDs).

    Raises
    ------
    UsageError
        The package lifetimes, which holds the files, is not installed.

    References
    ----------
    Fader and Hardie (2001), "Forecasting Repeat Sales at CDNOW: A Case Study", Interfaces 31.

    >>> load_cdnow().shape, load_cdnow(sample=False).shape
    ((6919, 4), (69659, 4))
    """
    return cdnow_sample_frame() if flag(sample, "sample") else cdnow_frame()


def make_subscriptions(
    customers: int = 600, *, days: int = 400, price: float = 20.0, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate a service with monthly contracts, and return its events and the truth behind them.

    Each customer has an interest of their own, log-normal around 1. Visits come at random at a
    rate that rises with it, and an open contract is cancelled at a constant rate that falls with
    it, so that visits are the only sign of who will leave. Customers join over the first nine
    tenths of the days, pay every 30 days, and some of those who cancelled come back.

    Parameters
    ----------
    customers
        Their number.
    days
        Length of the log, which begins on 2024-01-01.
    price
        Of a month.
    seed
        The same seed gives the same log.

    Returns
    -------
    events : pandas.DataFrame
        ``customer_id``, ``timestamp``, ``event`` (``subscribe``, ``purchase``, ``visit``,
        ``cancel``), ``amount`` (NaN but for purchases), in the order of time.
    truth : pandas.DataFrame
        Index ``customer_id``; ``interest``, and ``cancel_rate`` per day: an open contract is
        cancelled within h days with probability ``1 - exp(-cancel_rate * h)``.

    Raises
    ------
    UsageError
        There are no customers, or fewer than two days.

    >>> events, truth = make_subscriptions(50, seed=1)
    >>> sorted(events["event"].unique()), len(truth)
    (['cancel', 'purchase', 'subscribe', 'visit'], 50)
    """
    customers = whole_number(customers, "customers", "1 customer at least, like 600", least=1)
    days = whole_number(days, "days", "2 days at least, like 400", least=2)
    price = number(price, "price", "a price, like 20", least=0)
    seed = whole_number(seed, "seed", "a whole number, 0 or more")
    random = np.random.default_rng(seed)
    ids = [f"s{k:05d}" for k in range(customers)]
    interest = random.lognormal(0.0, SPREAD, customers)
    rate = 1.0 / (MEAN_STAY_DAYS * interest)
    joined = random.uniform(0.0, 0.9 * days, customers)
    parts = [
        _events_of(random, name, begin, leaves, VISITS_PER_DAY * warm, days)
        for name, begin, leaves, warm in zip(ids, joined, rate, interest, strict=True)
    ]
    events = pd.concat(parts, ignore_index=True)
    events["amount"] = np.where(events["event"] == "purchase", price, np.nan)
    start = pd.Timestamp("2024-01-01")
    events["timestamp"] = (start + pd.to_timedelta(events.pop("day"), unit="D")).dt.floor("s")
    events = events.sort_values(["timestamp", "customer_id"], kind="stable", ignore_index=True)
    truth = pd.DataFrame(
        {"interest": interest, "cancel_rate": rate}, index=pd.Index(ids, name="customer_id")
    )
    return events[["customer_id", "timestamp", "event", "amount"]], truth


def _events_of(
    random: np.random.Generator, name: str, joined: float, leaves: float, visits: float, days: int
) -> pd.DataFrame:
    """Return the events of one customer; times in days since the start of the log."""
    times: list[NDArray[np.float64]] = []
    kinds: list[str] = []

    def add(kind: str, at: NDArray[np.float64]) -> None:
        times.append(at)
        kinds.extend([kind] * len(at))

    begin = joined
    while begin < days:
        end = begin + random.exponential(1.0 / leaves)
        until = min(end, float(days))
        add("subscribe", np.array([begin]))
        add("purchase", np.arange(begin, until, MONTH_DAYS))
        add("visit", random.uniform(begin, until, random.poisson(visits * (until - begin))))
        if end >= days:
            break
        add("cancel", np.array([end]))
        if random.random() > BACK_AGAIN:
            break
        begin = end + random.exponential(BACK_AFTER_DAYS)
    return pd.DataFrame({"customer_id": name, "day": np.concatenate(times), "event": kinds})
