"""Thresholds of the stage rules, derived from the gaps between purchase days in a log.

Each completed gap is divided by the gap that was usual for the customer before it (the customer's
own mean gap, shrunk towards the shop's). The spread of these ratios says from which silence on a
customer is at risk or asleep. How long a silence must last until another order within a year is
unlikely is read off the product-limit estimate (Kaplan and Meier 1958) of the gaps, with the gaps
that are still open as censored.
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
from stagecast.features.survival import survival

AT_RISK_QUANTILE = 0.80
SLEEPING_QUANTILE = 0.95
LOST_CHANCE = 0.05
LOYAL_QUANTILE = 0.75
YEAR_DAYS = 365

FALLBACK_AT_RISK, FALLBACK_SLEEPING = 2.0, 4.0


THRESHOLD_NAMES = (
    "shop_gap_days",
    "at_risk_ratio",
    "sleeping_ratio",
    "lost_after_days",
    "loyal_orders",
    "loyal_spend",
)
"""Names of the thresholds that :func:`derive` returns and that a rule may compare facts with."""


def derive(days: PurchaseDays, as_of_day: float) -> dict[str, float]:
    """Return the thresholds that the rules of a scheme may name.

    Parameters
    ----------
    days
        Every purchase day before the as_of.
    as_of_day
        The as_of as a day number (days since 1970, UTC).

    Returns
    -------
    dict
        ``shop_gap_days`` (median over customers of their mean gap), ``at_risk_ratio`` and
        ``sleeping_ratio`` (quantiles of completed gaps over the gap that was usual before; 1 is
        usual), ``lost_after_days`` (infinite where even long silences often end), ``loyal_orders``
        and ``loyal_spend`` (quantiles among repeat buyers).
    """
    same_customer = days.customer[1:] == days.customer[:-1]
    gap = (days.day[1:] - days.day[:-1])[same_customer].astype(np.float64)
    starts, ends = run_bounds(days.customer)
    orders = (ends - starts + 1).astype(np.float64)
    is_repeat_buyer = orders > 1
    shop_gap = shop_gap_days([mean_gaps(days)])
    at_risk, sleeping = FALLBACK_AT_RISK, FALLBACK_SLEEPING
    if len(gap) >= FEWEST_GAPS:
        ratio = gap / _usual_before(days, same_customer, shop_gap)
        at_risk = max(1.2, float(np.quantile(ratio, AT_RISK_QUANTILE)))
        sleeping = max(1.5 * at_risk, float(np.quantile(ratio, SLEEPING_QUANTILE)))
    # summed in whole millionths, as features are: rounding must not put a customer who spent
    # exactly the limit below it
    spend = np.add.reduceat(np.rint(days.spend * 1e6), starts) / 1e6 if len(starts) else np.zeros(0)
    compared = is_repeat_buyer if is_repeat_buyer.any() else np.ones_like(is_repeat_buyer)
    return {
        "shop_gap_days": shop_gap,
        "at_risk_ratio": at_risk,
        "sleeping_ratio": sleeping,
        "lost_after_days": _lost_after(
            gap, np.asarray(as_of_day - days.day[ends], dtype=np.float64)
        ),
        "loyal_orders": max(3.0, math.ceil(np.quantile(orders[compared], LOYAL_QUANTILE)))
        if len(orders)
        else 3.0,
        "loyal_spend": float(np.quantile(spend[compared], LOYAL_QUANTILE)) if len(spend) else 0.0,
    }


def _usual_before(days: PurchaseDays, same_customer: NDArray[np.bool_], shop_gap: float) -> Array:
    """Return for each completed gap the customer's shrunk mean gap as it was before that gap."""
    nth = position_within(days.customer)
    first_day = days.day - _days_since_first(days)
    gaps_before = nth[:-1][same_customer].astype(np.float64)
    days_before = (days.day - first_day)[:-1][same_customer]
    return np.asarray(
        (RHYTHM_PRIOR_GAPS * shop_gap + days_before) / (RHYTHM_PRIOR_GAPS + gaps_before)
    )


def _days_since_first(days: PurchaseDays) -> NDArray[np.int64]:
    """Return for each purchase day the days since the customer's first one."""
    return np.asarray(
        days.day - days.day[np.arange(len(days.day)) - position_within(days.customer)]
    )


def _lost_after(completed: Array, still_open: Array) -> float:
    """Return the shortest silence after which P(order within a year) <= ``LOST_CHANCE``, in days.

    It is infinite where there is none, or where too few gaps are known.
    """
    if len(completed) < FEWEST_GAPS:
        return math.inf
    times, probability = survival(completed, still_open)
    longest = max(float(times[-1]), float(still_open.max(initial=0.0)))
    for silence in times:
        outlook = min(float(YEAR_DAYS), longest - silence)
        if outlook < YEAR_DAYS / 4:
            break
        end = np.searchsorted(times, silence + outlook, side="right") - 1
        still_silent = (
            probability[end] / probability[np.searchsorted(times, silence, side="right") - 1]
        )
        # an outlook of less than a year is extrapolated to a year at the observed hazard
        if 1 - still_silent ** (YEAR_DAYS / outlook) <= LOST_CHANCE:
            return float(silence)
    return math.inf


def round_thresholds(thresholds: Mapping[str, float]) -> dict[str, float]:
    """Return thresholds rounded to two significant digits; ``loyal_orders`` is not rounded.

    Rounding loses little, and with one more week of the log the thresholds seldom change, so stages
    stay comparable from run to run.

    >>> days, money = {"shop_gap_days": 47.36}, {"loyal_spend": 1234.5}
    >>> round_thresholds({**days, "at_risk_ratio": 2.347, "loyal_orders": 12.0, **money})
    {'shop_gap_days': 47.0, 'at_risk_ratio': 2.3, 'loyal_orders': 12.0, 'loyal_spend': 1200.0}
    """
    return {
        name: value if name == "loyal_orders" or not math.isfinite(value) else float(f"{value:.2g}")
        for name, value in thresholds.items()
    }


def catalog_parameters(thresholds: Mapping[str, float]) -> dict[str, float]:
    """Return the thresholds that are parameters of the catalogue's formulas."""
    return {"shop_gap_days": thresholds["shop_gap_days"]}
