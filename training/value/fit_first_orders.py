"""Fitting of :class:`stagecast.training.value.first_orders.FirstOrders`.

Gamma-Gamma expects of a single order of some amount what later ones cost. The repeat purchases of
those who have some tell whether it is right: what a first order counts as is fitted to them, and
used where it brings the expectation nearer by much, and beyond chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from scipy.optimize import minimize_scalar

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import GammaGamma
from stagecast.training.learners.fit_customer_base import without_outliers
from stagecast.training.learners.fit_factor import DEVIANCES
from stagecast.training.value.first_orders import USUAL, FirstOrders

FEWEST: Final = 20
"""Customers with paid repeat purchases below whom first orders count as they are."""
POWERS: Final = (0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
STANDARD_ERRORS: Final = 3.0
"""Errors of the paired difference of deviances beyond which an expectation is nearer."""
LEAST_GAIN: Final = 0.25
"""Share of the deviance that has to go: what past dates teach corrects smaller differences."""
_WIDEST: Final = 8.0


def fit_first_orders(spend: GammaGamma | None, now: Mapping[str, Array]) -> FirstOrders:
    """Return what first orders count as; :data:`USUAL` where nothing else is beyond chance.

    Parameters
    ----------
    spend
        The model of spend; None without one.
    now
        Features of the buyers at the as_of, shape (n_buyers,) each: ``spend_first``, ``monetary``
        and ``frequency``.
    """
    if spend is None:
        return USUAL
    first, later = (np.nan_to_num(now[name]) for name in ("spend_first", "monetary"))
    rows = (now["frequency"] > 0) & (first > 0) & (later > 0)
    if rows.sum() < FEWEST:
        return USUAL
    logs, later = np.log(without_outliers(first[rows])), without_outliers(later[rows])
    weight = np.sqrt(now["frequency"][rows])
    least_deviance = DEVIANCES["gamma"](later, later)

    def deviances(level: float, power: float) -> Array:
        counted = np.exp(level + power * logs)
        expected = spend.expected_spend(np.ones(len(logs)), counted)
        return np.asarray(weight * (DEVIANCES["gamma"](later, expected) - least_deviance))

    best, usual = USUAL, deviances(0.0, 1.0)
    least = float(usual.sum())
    for power in POWERS:
        middle = (1.0 - power) * float(np.log(spend.mean_spend))
        nearest = minimize_scalar(
            lambda level, power=power: float(deviances(level, power).sum()),
            bounds=(middle - _WIDEST, middle + _WIDEST),
            method="bounded",
        )
        if nearest.fun < least:
            best, least = FirstOrders(float(nearest.x), power), float(nearest.fun)
    gain = usual - deviances(best.level, best.power)
    error = float(gain.std() * np.sqrt(len(gain)))
    is_nearer = float(gain.sum()) > max(STANDARD_ERRORS * error, LEAST_GAIN * float(usual.sum()))
    return best if is_nearer else USUAL
