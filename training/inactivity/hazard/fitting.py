"""Fit of the hazard: purchase days in, trees of the log odds of no purchase in the horizon out."""

from __future__ import annotations

import numpy as np

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.record import PurchaseDays
from stagecast.training.inactivity.hazard.by_period import fit_periods
from stagecast.training.inactivity.hazard.histories import Histories
from stagecast.training.inactivity.hazard.periods import Periods, periods_of
from stagecast.training.inactivity.hazard.rolling_out import rolled_out
from stagecast.training.learners.boosted import Boosted

FEWEST_OF_EACH = 100
"""Least number of periods with an order, and without one."""


def fit_hazard(
    days: PurchaseDays, catalog: Catalog, as_of_day: float, horizon_days: int, seed: int
) -> Boosted | None:
    """Return trees of the log odds of no purchase within the horizon, by a hazard of periods.

    None where too few periods had an order, or were without one.

    Parameters
    ----------
    days
        The purchase days known at the as_of.
    catalog
        Of the columns that the trees are evaluated on, with its parameters set.
    as_of_day
        The as_of, days since 1970.
    horizon_days
        Horizon in days.
    seed
        Seed of LightGBM.
    """
    histories = Histories.of(days, catalog)
    _, length = periods_of(horizon_days)
    periods = Periods.of(histories, int(np.floor(as_of_day)), length)
    orders = int(periods.ordered.sum())
    if min(orders, len(periods.ordered) - orders) < FEWEST_OF_EACH:
        return None
    hazard = fit_periods(periods, histories, horizon_days, seed)
    return rolled_out(hazard, periods, as_of_day, seed)
