"""The level of the orders after the horizon, in a shop with a season.

What past dates teach of it is the level of a customer base that knows of no season: after a summer
without sales it takes most customers for gone, and the same season of past years corrects that by
a factor which nobody reaches who is bounded by the own rate. The model of the season itself needs
no correction of that kind. In ten simulated shops (skis, a garden, toys, two Christmases) its rest
was .94 to 1.07 of the truth, that of past dates .66 to 1.17.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from scipy.optimize import brentq

from stagecast.features.arrays import Array
from stagecast.training.config import TrainConfig
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.factor import Factor
from stagecast.training.learners.leaving import Leaving
from stagecast.training.value.ahead import rest_within_own_rate
from stagecast.training.value.rest import Rest, expected_and_most

SHARE: Final = 0.75
"""Share of the way, in logs, from the level of past dates to that of the model of the season; more
where the model takes more of the level of P(no purchase)."""
_WIDEST: Final = np.log(5.0)


def at_season(
    rest: Rest,
    leaving: Leaving | None,
    base: CustomerBase,
    columns: Mapping[str, Array],
    config: TrainConfig,
) -> Rest:
    """Return the rest at the level of the model of the season; as it is where there is none.

    Parameters
    ----------
    rest
        As past dates teach it.
    leaving
        With the model of the season.
    base
        The customer base of the as_of.
    columns
        Columns of the buyers at the as_of or of a sample of them, shape (rows,) each.
    config
        Settings of the training.
    """
    near, far, rate = config.horizon_days, config.value_horizon_days, config.annual_discount
    if leaving is None or leaving.seasonal is None or far <= near:
        return rest
    of_far, of_near = (leaving.outlook(near, days, columns, rate) for days in (far, near))
    wanted = float((of_far.alive * (of_far.orders_if_alive - of_near.orders_if_alive)).sum())
    expected, most = expected_and_most(base, columns, near, far, rate)

    def of_level(log_level: float) -> Factor:
        return replace(rest.factor, level=rest.factor.level * float(np.exp(log_level)))

    def gap(log_level: float) -> float:
        factor = of_level(log_level).of(columns)
        corrected = rest_within_own_rate(expected, factor, most, 1.0, rest.season)
        return float(corrected.sum()) - wanted

    if gap(-_WIDEST) >= 0.0 or gap(_WIDEST) <= 0.0:  # so far apart that one of them is wrong
        return rest
    share = max(SHARE, leaving.by_season)
    return replace(rest, factor=of_level(share * float(brentq(gap, -_WIDEST, _WIDEST, xtol=1e-6))))
