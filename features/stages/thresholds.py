"""Thresholds of the stage rules, derived from the gaps between purchase days in a log.

Each gap is divided by the gap that was usual for the customer before it (the customer's own mean
gap, shrunk towards the shop's). The spread of the completed ratios says from which silence on a
customer is at risk. Asleep and lost are those who seldom order again: how long a silence must last
until at most half of the customers order again within a year, and until hardly anybody does, is
read off the product-limit estimate of the gaps, with the gaps that are still open as censored
(:func:`stagecast.features.survival.outlook`). Completed gaps alone cannot say it: 5 % of them are
longer than their 95 % quantile also in a shop to which everybody comes back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from stagecast.features.arrays import Array, position_within, run_bounds
from stagecast.features.catalog.standard import RHYTHM_PRIOR_GAPS
from stagecast.features.clock import YEAR_DAYS
from stagecast.features.engines.shop_gap import FEWEST_GAPS, mean_gaps, shop_gap_days
from stagecast.features.record import PurchaseDays
from stagecast.features.stages.price_gaps import PriceGap, usual_of_prices
from stagecast.features.survival import FEWEST_AT_RISK, outlook

AT_RISK_QUANTILE = 0.80
SLEEPING_CHANCE = 0.50
LOST_CHANCE = 0.05
# Where most gaps are whole years, give or take six weeks, nobody orders for months whoever is lost:
# less than a year of silence tells nothing of the year ahead.
WHOLE_YEARS_SHARE, AROUND_DATE_DAYS = 0.5, 45.0
LOYAL_QUANTILE = 0.75
# Asleep is at least so much longer a silence than at risk; where gaps are so regular that one is at
# risk before a fifth of a gap is over, at least so many times as late (equal at a fifth): a yearly
# payment that is a week late is overdue, and who is five weeks late may be asleep.
SLEEPING_OVER_AT_RISK, SLEEPING_OVER_LATE = 1.5, 4.0

FALLBACK_AT_RISK = 2.0
# A gap longer than usual by a fifth, or by a week where that is less, is late: of yearly payments,
# a fifth would be ten weeks.
LEAST_LATE, LEAST_LATE_DAYS = 0.2, 7.0


THRESHOLD_NAMES = (
    "shop_gap_days",
    "at_risk_ratio",
    "sleeping_ratio",
    "lost_after_days",
    "loyal_orders",
    "loyal_spend",
)
"""Names of the thresholds that :func:`derive` returns and that a rule may compare facts with."""


def derive(
    days: PurchaseDays, as_of_day: float, price_gaps: Sequence[PriceGap] = ()
) -> dict[str, float]:
    """Return the thresholds that the rules of a scheme may name.

    Parameters
    ----------
    days
        Every purchase day before the as_of.
    as_of_day
        The as_of as a day number (days since 1970, UTC).
    price_gaps
        Prices whose payers have a usual gap of their own.

    Returns
    -------
    dict
        ``shop_gap_days`` (median over customers of their mean gap), ``at_risk_ratio`` (quantile of
        completed gaps over the gap that was usual before; 1 is usual), ``sleeping_ratio`` (of the
        same; infinite where most silences, however long, end within a year, or too few are known),
        ``lost_after_days`` (infinite where even long silences often end, or too few are known),
        ``loyal_orders`` and ``loyal_spend`` (quantiles among repeat buyers).
    """
    same_customer = days.customer[1:] == days.customer[:-1]
    gap = (days.day[1:] - days.day[:-1])[same_customer].astype(np.float64)
    starts, ends = run_bounds(days.customer)
    orders = (ends - starts + 1).astype(np.float64)
    is_repeat_buyer = orders > 1
    still_open = np.asarray(as_of_day - days.day[ends], dtype=np.float64)
    shop_gap = shop_gap_days([mean_gaps(days)])
    at_risk, sleeping, lost_after = FALLBACK_AT_RISK, math.inf, math.inf
    if len(gap) >= FEWEST_GAPS:
        usual = usual_of_prices(_usual_after(days, shop_gap), days.spend, price_gaps)
        usual_before = usual[:-1][same_customer]
        late = float(np.quantile(gap / usual_before, AT_RISK_QUANTILE))
        at_risk = max(1.0 + min(LEAST_LATE, LEAST_LATE_DAYS / shop_gap), late)
        sleeping = _sleeping_from(
            gap,
            usual_before,
            still_open,
            usual[ends],
            at_risk,
            least_days=min(YEAR_DAYS / 4, shop_gap),
        )
        lost_after = _lost_after(gap, still_open, shop_gap)
    # summed in whole millionths, as features are: rounding must not put a customer who spent
    # exactly the limit below it
    spend = np.add.reduceat(np.rint(days.spend * 1e6), starts) / 1e6 if len(starts) else np.zeros(0)
    compared = is_repeat_buyer if is_repeat_buyer.any() else np.ones_like(is_repeat_buyer)
    return {
        "shop_gap_days": shop_gap,
        "at_risk_ratio": at_risk,
        "sleeping_ratio": sleeping,
        "lost_after_days": lost_after,
        "loyal_orders": max(3.0, math.ceil(np.quantile(orders[compared], LOYAL_QUANTILE)))
        if len(orders)
        else 3.0,
        "loyal_spend": float(np.quantile(spend[compared], LOYAL_QUANTILE)) if len(spend) else 0.0,
    }


def assumed(days: PurchaseDays) -> frozenset[str]:
    """Return the thresholds of :func:`derive` that are no fact of the log: it has too few gaps."""
    if mean_gaps(days).gaps >= FEWEST_GAPS:
        return frozenset()
    return frozenset({"shop_gap_days", "at_risk_ratio"})


def _usual_after(days: PurchaseDays, shop_gap: float) -> Array:
    """Return for each purchase day the customer's shrunk mean gap as it was known after it."""
    nth = position_within(days.customer)
    since_first = days.day - days.day[np.arange(len(days.day)) - nth]
    return np.asarray((RHYTHM_PRIOR_GAPS * shop_gap + since_first) / (RHYTHM_PRIOR_GAPS + nth))


def _sleeping_from(
    completed: Array,
    usual_before: Array,
    still_open: Array,
    usual_of_open: Array,
    at_risk: float,
    *,
    least_days: float,
) -> float:
    """Return the least ratio after which at most ``SLEEPING_CHANCE`` order within a year.

    It is at least ``SLEEPING_OVER_AT_RISK`` times the ratio from which on a customer is at risk, or
    ``SLEEPING_OVER_LATE`` times as late where that is below a fifth: if fewer order again after a
    shorter silence already, no more do so after that one.

    A gap is at risk from the day on which it has lasted so many usual gaps; the chance that it ends
    within a year from then on is that of :meth:`~stagecast.features.survival.Outlook.
    chance_at_most`. Infinite where no ratio has so low a chance, or too few gaps last so long.

    Parameters
    ----------
    completed, still_open
        Gaps in days.
    usual_before, usual_of_open
        The gap in days that was usual for the customer before each of them, same shapes.
    at_risk
        Smallest ratio that is looked at.
    least_days
        Shortest time in days that is extrapolated to a year.
    """
    soonest = SLEEPING_OVER_AT_RISK * at_risk
    if at_risk < 1.0 + LEAST_LATE:
        soonest = 1.0 + SLEEPING_OVER_LATE * (at_risk - 1.0)
    at_least = next(_two_digit_numbers(soonest))
    for ratio in _two_digit_numbers(at_risk):
        beyond, open_beyond = completed - ratio * usual_before, still_open - ratio * usual_of_open
        lasts, is_open = beyond > 0, open_beyond >= 0
        if lasts.sum() + is_open.sum() < FEWEST_AT_RISK:
            return math.inf
        # what happens after the year does not matter
        curve = outlook(
            np.minimum(beyond[lasts], YEAR_DAYS + 1),
            np.minimum(open_beyond[is_open], YEAR_DAYS + 1),
        )
        start = np.zeros(1, dtype=np.int64)
        if curve.chance_at_most(start, YEAR_DAYS, least_days)[0] <= SLEEPING_CHANCE:
            return max(ratio, at_least)
        # longer silences are among these
        completed, usual_before = completed[lasts], usual_before[lasts]
        still_open, usual_of_open = still_open[is_open], usual_of_open[is_open]
    return math.inf


def _two_digit_numbers(at_least: float) -> Iterator[float]:
    """Yield the numbers with two significant digits from a number on, ascending.

    >>> numbers = _two_digit_numbers(9.75)
    >>> [next(numbers) for _ in range(4)]
    [9.8, 9.9, 10.0, 11.0]
    """
    exponent = math.floor(math.log10(at_least)) - 1
    digits = math.ceil(at_least / 10.0**exponent)
    while True:
        if digits == 100:
            digits, exponent = 10, exponent + 1
        yield float(f"{digits}e{exponent}")
        digits += 1


def _lost_after(completed: Array, still_open: Array, shop_gap: float) -> float:
    """Return the shortest silence in days after which hardly anybody orders within a year.

    It is at least the usual gap: who is not due yet is not lost, however few have ordered so soon.
    It is infinite where the upper bound of the chance is nowhere below ``LOST_CHANCE``.
    """
    curve = outlook(completed, still_open)
    silence = np.arange(len(curve.after))
    years = np.maximum(np.round(completed / YEAR_DAYS), 1.0)
    is_whole = np.abs(completed - years * YEAR_DAYS) <= AROUND_DATE_DAYS
    least_days = YEAR_DAYS if is_whole.mean() > WHOLE_YEARS_SHARE else YEAR_DAYS / 4
    chance = curve.chance_at_most(silence, YEAR_DAYS, least_days)
    is_lost = np.flatnonzero((chance < LOST_CHANCE) & (silence >= shop_gap))
    return float(is_lost[0]) if len(is_lost) else math.inf


def round_thresholds(thresholds: Mapping[str, float]) -> dict[str, float]:
    """Return thresholds rounded to two significant digits; ``loyal_orders`` is not rounded.

    A ratio of less than 1.2 keeps three: a tenth of a yearly gap is five weeks.

    Rounding loses little, and with one more week of the log the thresholds seldom change, so stages
    stay comparable from run to run.

    >>> days, money = {"shop_gap_days": 47.36}, {"loyal_spend": 1234.5}
    >>> round_thresholds({**days, "at_risk_ratio": 2.347, "loyal_orders": 12.0, **money})
    {'shop_gap_days': 47.0, 'at_risk_ratio': 2.3, 'loyal_orders': 12.0, 'loyal_spend': 1200.0}
    >>> round_thresholds({"at_risk_ratio": 1.0192, "sleeping_ratio": 1.8})
    {'at_risk_ratio': 1.02, 'sleeping_ratio': 1.8}
    """
    return {name: _rounded(name, value) for name, value in thresholds.items()}


def _rounded(name: str, value: float) -> float:
    if name == "loyal_orders" or not math.isfinite(value):
        return value
    digits = 3 if name == "at_risk_ratio" and value < 1.0 + LEAST_LATE else 2
    return float(f"{value:.{digits}g}")


def catalog_parameters(thresholds: Mapping[str, float]) -> dict[str, float]:
    """Return the thresholds that are parameters of the catalogue's formulas."""
    return {"shop_gap_days": thresholds["shop_gap_days"]}
