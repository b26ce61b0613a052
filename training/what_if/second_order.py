"""The median time to the second order of one-time buyers, and the pace that moves it.

With F(t) = P(a second order within t), the mean over one-time buyers by the customer base, the
median m of those who order within a year solves ``F(m) = F(365) / 2``. A pace c multiplies the
order rate of each one-time buyer from now on:

    MBG/NBD, BG/NBD, MBG/CNBD-k   F_c(t) = F(c t), since coins fall at orders
    Pareto/NBD                    alpha + T becomes (alpha + T) / c, since leaving has its own rate
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import brentq

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import Model, paretonbd
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.what_if.levers import UnreachableError

WITHIN_DAYS: Final = 365.0
# Groups of one-time buyers of about the same age, by which the median is worked out.
MOST_GROUPS: Final = 200
# Range of the pace either way.
MOST_PACE: Final = 50.0


@dataclass(frozen=True)
class SecondOrder:
    """The second orders of one-time buyers at two paces.

    Parameters
    ----------
    pace
        Factor of the order rate.
    median_days, changed_days
        Median time to the second order, of those who order within a year, before and after.
    p_within_year, changed_p_within_year
        Mean P(a second order within a year), before and after.
    """

    pace: float
    median_days: float
    changed_days: float
    p_within_year: float
    changed_p_within_year: float


def second_order(base: CustomerBase, T_days: Array, change_days: float) -> SecondOrder:
    """Return the pace at which the median second order comes that many days later.

    Parameters
    ----------
    base
        The customer base.
    T_days
        Days since the only purchase of each one-time buyer, shape (buyers,), at least one.
    change_days
        Change of the median, in days; -10 is ten days sooner.

    Raises
    ------
    UnreachableError
        No pace gives that median.
    """
    T, share = _groups(T_days)

    def p_within(days: float, pace: float) -> float:
        return sum(
            weight * float(share @ p_order(model, days, pace, T))
            for weight, model in zip(base.weights, base.models, strict=True)
        )

    def median(pace: float) -> float:
        half = p_within(WITHIN_DAYS, pace) / 2.0
        return float(brentq(lambda days: p_within(days, pace) - half, 0.0, WITHIN_DAYS, xtol=1e-6))

    now = median(1.0)
    wanted, pace = now + change_days, 1.0
    if change_days != 0:
        end = MOST_PACE if change_days < 0 else 1.0 / MOST_PACE
        furthest = median(end)
        if not min(now, furthest) <= wanted <= max(now, furthest):
            raise UnreachableError(
                f"--second-order {change_days:+g}d: half of the second orders within a year come "
                f"within {now:.1f} days by the models, and the median cannot become "
                f"{wanted:.1f}; give fewer days, or 0d to leave it as it is"
            )
        log_pace = brentq(
            lambda log_c: median(float(np.exp(log_c))) - wanted,
            min(0.0, float(np.log(end))),
            max(0.0, float(np.log(end))),
            xtol=1e-9,
        )
        pace = float(np.exp(log_pace))
    return SecondOrder(
        pace,
        now,
        median(pace),
        p_within(WITHIN_DAYS, 1.0),
        p_within(WITHIN_DAYS, pace),
    )


def p_order(model: Model, days: float, pace: float, T: Array) -> Array:
    """Return P(a second order within ``days``) of one-time buyers of these ages, shape (rows,).

    Parameters
    ----------
    model
        The customer-base model.
    days
        Length of the span after T, in days.
    pace
        Factor of the order rate after T.
    T
        Days since the only purchase, shape (rows,).
    """
    none = np.zeros(len(T))
    if model.name == "pareto_nbd":
        silent = paretonbd.none_if_active(
            model.params, np.full(len(T), float(days)), none, T, pace=pace
        )
        return np.asarray(model.p_alive(none, none, T) * (1.0 - silent))
    return np.asarray(1.0 - model.p_none(days * pace, none, none, T))


def _groups(T_days: Array) -> tuple[Array, Array]:
    """Return the mean ages of groups of about the same age, and their shares of the buyers."""
    parts = np.array_split(np.sort(T_days), min(MOST_GROUPS, len(T_days)))
    sizes = np.array([len(part) for part in parts], dtype=np.float64)
    return np.array([part.mean() for part in parts]), sizes / sizes.sum()
