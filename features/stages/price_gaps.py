"""The usual gap after a payment of a price, where a log holds several plans.

Monthly payers beside yearly ones have no usual gap of a shop: who has paid for a year is not
overdue after a month. Where most payments are as high as the one before, of all or after one of
this price, prices that are followed by a regular gap far from the shop's tell the usual gap of who
pays them. All other customers have their own mean gap, shrunk to the shop's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.standard import RHYTHM_PRIOR_GAPS
from stagecast.features.engines.shop_gap import FEWEST_GAPS
from stagecast.features.record import PurchaseDays

SAME_PRICE, FIXED_SHARE = 0.01, 0.5
"""Payments whose logs differ by less are as high as each other, and the share of payments that are
as high as the one before, above which they are prices."""
FEWEST_OF_PRICE: Final = 3
"""Gaps after payments of a price, below which its gap is not known."""
NEAR_GAP, NEAR_SHARE = 0.25, 0.7
"""Share of these gaps that lie within a quarter of their median, above which they are regular."""
OTHER: Final = 1.5
"""A gap over the shop's, or the other way round, from which on it is of another plan."""
ALIKE: Final = 1.25
"""The same of two gaps up to which they are of one plan."""
MOST_PRICES: Final = 24
WIDEST: Final = 0.1
"""How far a price may be from one that is known, over it."""
PRICE: Final = "spend_last"
USUAL_BEFORE: Final = (
    f"(({RHYTHM_PRIOR_GAPS} * shop_gap_days + t_x_days - gap_last) "
    f"/ ({RHYTHM_PRIOR_GAPS} + frequency - 1))"
)
"""The usual gap before the last purchase."""


@dataclass(frozen=True)
class PriceGap:
    """A price and the gap that follows it.

    Parameters
    ----------
    price
        In the money of the log.
    width
        How far a payment may be from it; as far beyond, it counts less and less.
    days
        The usual gap.
    """

    price: float
    width: float
    days: float


def gaps_of_prices(days: PurchaseDays, shop_gap: float) -> tuple[PriceGap, ...]:
    """Return the prices of other plans than that of the shop's usual gap, by gap and price.

    None where payments have no prices, or all have the usual gap.

    Parameters
    ----------
    days
        Every purchase day, ordered by customer and day.
    shop_gap
        The shop's usual gap in days.
    """
    same = days.customer[1:] == days.customer[:-1]
    gap = np.diff(days.day)[same].astype(np.float64)
    price, following = days.spend[:-1][same], days.spend[1:][same]
    paid = (price > 0) & (following > 0)
    gap, price, following = gap[paid], price[paid], following[paid]
    if len(gap) < FEWEST_GAPS:
        return ()
    same_price = np.abs(np.log(following / price)) < SAME_PRICE
    has_prices = same_price.mean() >= FIXED_SHARE
    prices, number, count = np.unique(np.round(price, 2), return_inverse=True, return_counts=True)
    known = np.flatnonzero(count >= FEWEST_OF_PRICE)
    known = np.sort(known[np.argsort(-count[known], kind="stable")[:MOST_PRICES]])
    of_other_plans: list[tuple[float, float]] = []
    usual: list[tuple[float, float]] = []
    for k in known:
        of_price = gap[number == k]
        median = float(np.median(of_price))
        if (np.abs(of_price / median - 1.0) <= NEAR_GAP).mean() < NEAR_SHARE:
            continue
        if not has_prices and same_price[number == k].mean() < FIXED_SHARE:
            continue
        ratio = max(median / shop_gap, shop_gap / median)
        (of_other_plans if ratio >= OTHER else usual).append((float(prices[k]), median))
    # between free amounts, a price is no wider than itself
    widest = WIDEST if has_prices else SAME_PRICE
    return tuple(_with_widths(of_other_plans, usual, widest))


def _with_widths(
    of_other_plans: Sequence[tuple[float, float]],
    usual: Sequence[tuple[float, float]],
    widest: float,
) -> list[PriceGap]:
    """Return the prices, each as wide as those of other plans let it be, by gap and price.

    At most ``widest`` over the price.
    """
    result = []
    for price, days in of_other_plans:
        others = [
            other for other, gap in (*of_other_plans, *usual) if max(gap / days, days / gap) > ALIKE
        ]
        nearest = min((abs(other - price) / 4.0 for other in others), default=np.inf)
        width = float(f"{min(widest * price, nearest):.6g}")
        if width > 0:
            result.append(PriceGap(price, width, days))
    return sorted(result, key=lambda known: (known.days, known.price))


def plans_of(known: Sequence[PriceGap]) -> list[list[PriceGap]]:
    """Return the prices of each plan: those with about the same gap."""
    plans: list[list[PriceGap]] = []
    for price_gap in known:
        if plans and price_gap.days <= ALIKE * plans[-1][0].days:
            plans[-1].append(price_gap)
        else:
            plans.append([price_gap])
    return plans


def usual_of_prices(usual: Array, price: Array, known: Sequence[PriceGap]) -> Array:
    """Return the usual gaps of customers, shape (n,): those of their prices where they have any.

    Parameters
    ----------
    usual
        The usual gap without regard to prices, shape (n,).
    price
        The last payment, shape (n,).
    known
        Prices with gaps of their own.
    """
    result, paid = usual, np.nan_to_num(price)
    for plan in plans_of(known):
        share = np.zeros(len(paid))
        for of in plan:
            away = np.abs(paid - of.price)
            share += np.clip((2.0 * of.width - away) / of.width, 0.0, 1.0)
        result = result + np.minimum(share, 1.0) * (_days(plan) - usual)
    return result


def with_price_gaps(catalog: Catalog, known: Sequence[PriceGap]) -> Catalog:
    """Return the catalogue whose usual gap is that of the last price, as :func:`usual_of_prices`.

    As it is without such prices, or where it has no such features.
    """
    if not known or not {"rhythm_days", PRICE} <= set(catalog.names):
        return catalog
    formulas = {
        "rhythm_days": _of_price(f"({catalog['rhythm_days'].formula})", known),
        "return_ratio": f"gap_last / ({_of_price(USUAL_BEFORE, known)})",
    }
    features = tuple(
        replace(feature, formula=formulas.get(feature.name, feature.formula))
        for feature in catalog.features
    )
    return Catalog(features, catalog.parameters)


def _of_price(usual: str, known: Sequence[PriceGap]) -> str:
    """Return the formula of a usual gap that is that of the last price where this has one."""
    terms, paid = [usual], f"coalesce({PRICE}, 0)"
    for plan in plans_of(known):
        shares = [
            f"greatest(0, least(1, ({2.0 * of.width!r} - greatest({paid} - {of.price!r}, "
            f"{of.price!r} - {paid})) / {of.width!r}))"
            for of in plan
        ]
        terms.append(f"least(1, {' + '.join(shares)}) * ({_days(plan)!r} - {usual})")
    return " + ".join(terms)


def _days(plan: Sequence[PriceGap]) -> float:
    return float(np.median([of.days for of in plan]))
