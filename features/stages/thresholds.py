"""Thresholds of the stage rules, derived from the shop's own gaps between purchase days.

Each completed gap is set against what had been usual for that customer before it (their own mean
gap, shrunk to the shop's); how far gaps stray beyond that tells when a silence stops being
ordinary. How long a silence must last until another order within a year is unlikely is read off the
product-limit estimate (Kaplan and Meier 1958) of the gaps, the open ones included.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, position_within, run_bounds
from stagecast.features.catalog.standard import RHYTHM_PRIOR_GAPS
from stagecast.features.engines.shop_gap import FEWEST_GAPS, mean_gaps, shop_gap_days
from stagecast.features.record import PurchaseDays

AT_RISK_QUANTILE = 0.80
SLEEPING_QUANTILE = 0.95
LOST_CHANCE = 0.05
LOYAL_QUANTILE = 0.75
YEAR_DAYS = 365

FALLBACK_AT_RISK, FALLBACK_SLEEPING = 2.0, 4.0


NAMES = (
    "shop_gap_days",
    "at_risk_ratio",
    "sleeping_ratio",
    "lost_after_days",
    "loyal_orders",
    "loyal_spend",
)
"""What :func:`derive` returns, and so what a rule may name."""


def derive(days: PurchaseDays, as_of_day: float) -> dict[str, float]:
    """Return the thresholds that the rules of a scheme may name.

    Parameters
    ----------
    days
        Every purchase day before the as_of.
    as_of_day
        The as_of as a day number.

    Returns
    -------
    dict
        ``shop_gap_days`` (median over customers of their mean gap), ``at_risk_ratio`` and
        ``sleeping_ratio`` (quantiles of completed gaps over what had been usual; 1 is usual),
        ``lost_after_days`` (infinite where even long silences often end), ``loyal_orders`` and
        ``loyal_spend`` (quantiles among repeat buyers).
    """
    same = days.customer[1:] == days.customer[:-1]
    gap = (days.day[1:] - days.day[:-1])[same].astype(np.float64)
    starts, ends = run_bounds(days.customer)
    orders = (ends - starts + 1).astype(np.float64)
    repeat = orders > 1
    shop_gap = shop_gap_days([mean_gaps(days)])
    at_risk, sleeping = FALLBACK_AT_RISK, FALLBACK_SLEEPING
    if len(gap) >= FEWEST_GAPS:
        ratio = gap / _usual_before(days, same, shop_gap)
        at_risk = max(1.2, float(np.quantile(ratio, AT_RISK_QUANTILE)))
        sleeping = max(1.5 * at_risk, float(np.quantile(ratio, SLEEPING_QUANTILE)))
    # in whole millionths, as features add up: who spent exactly the limit must not miss it by a
    # rounding
    spend = np.add.reduceat(np.rint(days.spend * 1e6), starts) / 1e6 if len(starts) else np.zeros(0)
    loyal = repeat if repeat.any() else np.ones_like(repeat)
    return {
        "shop_gap_days": shop_gap,
        "at_risk_ratio": at_risk,
        "sleeping_ratio": sleeping,
        "lost_after_days": _lost_after(
            gap, np.asarray(as_of_day - days.day[ends], dtype=np.float64)
        ),
        "loyal_orders": max(3.0, math.ceil(np.quantile(orders[loyal], LOYAL_QUANTILE)))
        if len(orders)
        else 3.0,
        "loyal_spend": float(np.quantile(spend[loyal], LOYAL_QUANTILE)) if len(spend) else 0.0,
    }


def _usual_before(days: PurchaseDays, same: NDArray[np.bool_], shop_gap: float) -> Array:
    """Return for each completed gap the customer's shrunk mean gap as it stood before that gap."""
    nth = position_within(days.customer)
    first_day = days.day - _elapsed(days)
    gaps_before = nth[:-1][same].astype(np.float64)
    days_before = (days.day - first_day)[:-1][same]
    return np.asarray(
        (RHYTHM_PRIOR_GAPS * shop_gap + days_before) / (RHYTHM_PRIOR_GAPS + gaps_before)
    )


def _elapsed(days: PurchaseDays) -> NDArray[np.int64]:
    """Return days since the customer's first purchase day, for each purchase day."""
    return np.asarray(
        days.day - days.day[np.arange(len(days.day)) - position_within(days.customer)]
    )


def survival(completed: Array, still_open: Array) -> tuple[Array, Array]:
    """Return the product-limit estimate of P(gap > t): the distinct completed gaps in days, and the
    survival there.

    Source: Kaplan and Meier (1958), "Nonparametric estimation from incomplete observations".
    """
    times, events = np.unique(completed, return_counts=True)
    all_gaps = np.sort(np.r_[completed, still_open])
    at_risk = len(all_gaps) - np.searchsorted(all_gaps, times, side="left")
    return times, np.asarray(np.cumprod(1 - events / at_risk), dtype=np.float64)


def _lost_after(completed: Array, still_open: Array) -> float:
    """Return the shortest silence after which P(order within a year) is at most ``LOST_CHANCE``,
    in days.
    """
    if len(completed) < FEWEST_GAPS:
        return math.inf
    times, alive = survival(completed, still_open)
    longest = max(float(times[-1]), float(still_open.max(initial=0.0)))
    for silence in times:
        seen = min(float(YEAR_DAYS), longest - silence)
        if seen < YEAR_DAYS / 4:
            break
        end = np.searchsorted(times, silence + seen, side="right") - 1
        kept = alive[end] / alive[np.searchsorted(times, silence, side="right") - 1]
        # a shorter outlook than a year is stretched to one at the hazard seen
        if 1 - kept ** (YEAR_DAYS / seen) <= LOST_CHANCE:
            return float(silence)
    return math.inf


def readable(limits: Mapping[str, float]) -> dict[str, float]:
    """Return thresholds as somebody can say them: two significant digits, orders as they are.

    They say as much about the shop, and one more week of the log seldom moves them, so stages stay
    comparable from run to run.

    >>> days, money = {"shop_gap_days": 47.36}, {"loyal_spend": 1234.5}
    >>> readable({**days, "at_risk_ratio": 2.347, "loyal_orders": 12.0, **money})
    {'shop_gap_days': 47.0, 'at_risk_ratio': 2.3, 'loyal_orders': 12.0, 'loyal_spend': 1200.0}
    """
    return {
        name: value if name == "loyal_orders" or not math.isfinite(value) else float(f"{value:.2g}")
        for name, value in limits.items()
    }


def catalog_parameters(thresholds: Mapping[str, float]) -> dict[str, float]:
    """Return those thresholds that formulas of the catalogue use."""
    return {"shop_gap_days": thresholds["shop_gap_days"]}
