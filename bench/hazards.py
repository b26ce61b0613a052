"""What a discrete-time hazard model would add to P(no purchase): ``python -m bench.hazards``.

The candidate learns from every week of every customer so far (did an order come in it?), from the
silence relative to the last eight gaps and from counts of recent orders. Over the horizon it is
evaluated week by week on the silence so far and to come, which needs no simulation:
P(no purchase) = product over the weeks of (1 - hazard). It is compared out of time with the
product: alone; alone at the product's level (the mean probability); and in a mixture of log odds at
that level. Differences are paired, over customers.

The product has a hazard of fewer columns among its members since; what is measured now is what this
one, with the last gaps and counts, would add to it. docs/method.md has the figures of before. CDNOW
comes with lifetimes; the grocer, the online grocer (BTYDplus) and Online Retail II join in where
they are.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click
import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from bench.accuracy import CASES, Case, bought, ours
from bench.real_lists import ONLINE_RETAIL, online_retail
from stagecast.features.arrays import Array
from stagecast.features.clock import parse_instant
from stagecast.training.learners import blend, metrics

GROCERY = Path(__file__).parents[2] / "shared" / "data" / "grocery.csv"
SHARE = 1 / 3
"""Share of the candidate in the log odds of the mixture."""
DRAWS, MAX_ROWS, TREES, LAST_GAPS, MAX_PERIODS = 400, 300_000, 200, 8, 104
WINDOWS_DAYS = (14, 28, 56, 91, 182, 364)
LIGHTGBM = {
    "objective": "binary",
    "verbosity": -1,
    "num_threads": 1,
    "learning_rate": 0.05,
    "num_leaves": 12,
    "lambda_l2": 10.0,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "max_bin": 127,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 1,
}
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Purchases:
    """Purchase days of a log, ordered by customer and day.

    Parameters
    ----------
    customers
        Ids, in the order in which they are numbered.
    customer
        Number of the customer, shape (n_days,).
    day
        Days since 1970, shape (n_days,).
    """

    customers: pd.Index
    customer: Rows
    day: Rows

    @classmethod
    def of(cls, events: pd.DataFrame) -> Purchases:
        """Return the days with an event."""
        number, customers = pd.factorize(events["customer_id"], sort=True)
        day = (events["timestamp"].dt.floor("D") - pd.Timestamp(0)).dt.days.to_numpy()
        distinct = np.unique(np.column_stack([number, day]), axis=0).astype(np.int64)
        return cls(pd.Index(customers), distinct[:, 0], distinct[:, 1])

    @property
    def starts(self) -> Rows:
        """Position of the first day of each customer, shape (n_customers,)."""
        return np.searchsorted(self.customer, np.arange(len(self.customers)))

    def before(self, customer: Rows, day: Rows) -> Rows:
        """Return the number of purchase days of each customer before a day, shape (rows,)."""
        key = (self.customer << 20) + self.day
        return np.searchsorted(key, (customer << 20) + day) - self.starts[customer]

    def usual_gap_days(self) -> float:
        """Return the median gap, 60 where there are fewer than 20."""
        gaps = np.diff(self.day)[np.diff(self.customer) == 0]
        return float(np.median(gaps)) if len(gaps) >= 20 else 60.0


def features(purchases: Purchases, customer: Rows, known_until: Rows, day: Rows) -> Array:
    """Return the columns of the hazard on a day, shape (rows, columns).

    Parameters
    ----------
    purchases
        Of all customers.
    customer
        Number of the customer of each row, who bought before ``known_until``.
    known_until
        First day whose purchases are not known; nothing came between it and ``day``.
    day
        First day of the week that the hazard is of.
    """
    n = purchases.before(customer, np.minimum(known_until, day))
    start = purchases.starts[customer]
    last_at = start + n - 1
    first, last = purchases.day[start], purchases.day[last_at]
    silence, age = (day - last).astype(float), (day - first).astype(float)
    gaps = np.full((LAST_GAPS, len(customer)), np.nan)
    for k in range(LAST_GAPS):
        has_gap = n > k + 1
        at = np.where(has_gap, last_at - k, start)
        gaps[k] = np.where(has_gap, purchases.day[at] - purchases.day[np.maximum(at - 1, 0)], 0)
        gaps[k, ~has_gap] = np.nan
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # all-NaN columns are of customers with one purchase day
        median, spread = np.nanmedian(gaps, axis=0), np.nanstd(gaps, axis=0)
        longest, shortest = np.nanmax(gaps, axis=0), np.nanmin(gaps, axis=0)
        of_last_three = np.nanmean(gaps[:3], axis=0)
    mean = np.where(n > 1, (last - first) / np.maximum(n - 1, 1), np.nan)
    rhythm = (3 * purchases.usual_gap_days() + last - first) / (3 + n - 1)
    longer = np.sum(gaps > silence, axis=0) + 0.5 * np.sum(gaps == silence, axis=0)
    due = np.sum((gaps >= silence) & (gaps < silence + 7), axis=0)
    counts = [n - np.minimum(purchases.before(customer, day - days), n) for days in WINDOWS_DAYS]
    columns = [
        *(silence, age, n, mean, (n - 0.5) / (age + 1), *gaps[:3]),
        *(median, spread, longest, shortest, of_last_three, rhythm),
        *(silence / rhythm, silence / median, silence / longest, of_last_three / mean),
        (longer + 1) / (np.minimum(n - 1, LAST_GAPS) + 2),
        due / (np.sum(gaps >= silence, axis=0) + 1),
        *counts,
    ]
    return np.column_stack(columns).astype(float)


def periods_of(horizon_days: int) -> tuple[int, int]:
    """Return the number of periods of about a week in a horizon, and their length in days.

    >>> periods_of(90), periods_of(30), periods_of(3)
    ((13, 7), (4, 8), (1, 3))
    """
    number = max(1, round(horizon_days / 7))
    return number, max(1, round(horizon_days / number))


def person_periods(purchases: Purchases, as_of: int, length: int) -> tuple[Rows, Rows, Array]:
    """Return customer and first day of past periods, and whether an order came, (rows,) each.

    All periods end before ``as_of``; those of every k-th customer remain where there are more than
    ``MAX_ROWS``.
    """
    first = purchases.day[purchases.starts]
    days = np.arange(as_of - length, purchases.day.min() + 7, -length)[:MAX_PERIODS]
    known = [np.flatnonzero(first < day) for day in days]
    customer = np.concatenate(known).astype(np.int64)
    day = np.repeat(days, [len(part) for part in known]).astype(np.int64)
    chosen = customer % max(1, -(-len(customer) // MAX_ROWS)) == 0
    customer, day = customer[chosen], day[chosen]
    came = purchases.before(customer, day + length) > purchases.before(customer, day)
    return customer, day, came.astype(float)


def p_none(past: pd.DataFrame, as_of: pd.Timestamp, horizon_days: int) -> pd.Series:
    """Return the candidate's P(no purchase in the horizon) by customer, from events before."""
    purchases = Purchases.of(past)
    today = (as_of - pd.Timestamp(0)).days
    number, length = periods_of(horizon_days)
    customer, day, came = person_periods(purchases, today, length)
    data = lightgbm.Dataset(features(purchases, customer, day, day), came)
    leaf = int(np.clip(len(came) / 500, 20, 400))
    model = lightgbm.train({**LIGHTGBM, "min_data_in_leaf": leaf}, data, TREES)
    everybody = np.arange(len(purchases.customers))
    now = np.full(len(everybody), today)
    log_none = np.zeros(len(everybody))
    for k in range(number):
        hazard = model.predict(features(purchases, everybody, now, now + k * length))
        log_none += np.log1p(-np.clip(hazard, 0.0, 1 - 1e-9))
    return pd.Series(np.exp(log_none * horizon_days / (number * length)), purchases.customers)


def interval(customer: pd.Index, difference: Array) -> tuple[float, float]:
    """Return the middle 95 % of the mean difference, customers drawn anew with Poisson weights."""
    number, ids = pd.factorize(customer)
    total, rows = np.bincount(number, difference), np.bincount(number)
    draws = np.random.default_rng(0).poisson(1.0, (DRAWS, len(ids)))
    low, high = np.percentile(draws @ total / (draws @ rows), [2.5, 97.5])
    return float(low), float(high)


def cases() -> dict[str, Case]:
    """Return the logs that are compared, with their dates."""
    every = {name: case for name, case in CASES.items() if name != "cdnow_600"}
    if GROCERY.is_file():
        dates = ("2007-01-01", "2007-03-01", "2007-06-01", "2007-09-01", "2007-12-01")
        every["online_grocer"] = Case(lambda: _online_grocer(GROCERY), dates, 30)
    if ONLINE_RETAIL.is_file():
        dates = ("2010-09-01", "2010-12-01", "2011-03-01", "2011-06-01", "2011-09-01")
        every["online_retail"] = Case(lambda: _sold(ONLINE_RETAIL), dates, 90)
    return every


def _online_grocer(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path, dtype={"customer_id": str}, parse_dates=["timestamp"])
    return frame.assign(amount=1.0)


def _sold(path: Path) -> pd.DataFrame:
    frame = online_retail(path)
    return frame[frame["amount"] > 0]


def compare(name: str, case: Case) -> None:
    """Print a line for each date of a log, and one for all of them."""
    events = case.log()
    ids: list[pd.Index] = []
    parts: list[Array] = []
    for date in case.dates:
        as_of, past = pd.Timestamp(date), events[events["timestamp"] < pd.Timestamp(date)]
        product = ours(past, parse_instant(date), case.horizon_days)["p_inactive"]
        candidate = p_none(past, as_of, case.horizon_days).reindex(product.index)
        none = ~bought(events, product.index, as_of, case.horizon_days)
        odds = [logit(np.clip(p.to_numpy(), 1e-6, 1 - 1e-6)) for p in (product, candidate)]
        at_level = _at_level(odds[1], odds[0])
        mixture = _at_level((1 - SHARE) * odds[0] + SHARE * at_level, odds[0])
        losses = np.array(
            [metrics.losses(none, expit(each)) for each in (*odds, at_level, mixture)]
        )
        ids.append(product.index)
        parts.append(losses)
        means = losses.mean(axis=1)
        until = (as_of + timedelta(days=case.horizon_days)).date()
        click.echo(
            f"{name:14} {date} to {until} {len(none):6} customers  product {means[0]:.4f}  "
            f"candidate {means[1]:.4f}  at the product's level {means[2]:.4f}  "
            f"mixture {means[3]:.4f}"
        )
    customer = ids[0].append(ids[1:])
    every = np.concatenate(parts, axis=1)
    bar = float(every[0].mean())
    labels = ("candidate", "candidate at the product's level", "mixture")
    for label, loss in zip(labels, every[1:], strict=True):
        low, high = interval(customer, loss - every[0])
        click.echo(
            f"{name:14} {label}: {loss.mean() / bar - 1:+.2%} "
            f"(95 % interval {low / bar:+.2%} to {high / bar:+.2%})"
        )


def _at_level(odds: Array, level_of: Array) -> Array:
    """Return log odds shifted so that their mean probability is that of others."""
    return np.asarray(odds + blend.level_shift(odds, expit(level_of)))


def main() -> None:
    """Compare on every log there is, or on those named."""
    every = cases()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", choices=sorted(every), action="append", help="only these logs")
    for name in parser.parse_args().log or every:
        compare(name, every[name])


if __name__ == "__main__":
    main()
