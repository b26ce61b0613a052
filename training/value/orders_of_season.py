"""The level of the orders within the horizon, in a shop with a season.

The model of the season takes the place of what past years say of the repeat orders as far as it did
better at their dates than these agree, as in :mod:`stagecast.training.inactivity.season_level`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.inactivity.season_level import LEVEL_SPREAD, share_of_season
from stagecast.training.learners.factor import Factor
from stagecast.training.learners.fit_factor import shrunk_level
from stagecast.training.learners.leaving import Leaving
from stagecast.training.panel import Frame
from stagecast.training.value.model import repeat_if_any

_SMALLEST = 1e-9


def towards_season(
    carried: float,
    logs: Sequence[float],
    seasons: Sequence[Frame],
    leaving: Leaving,
    factor: Factor,
    current: tuple[Mapping[str, Array], Array],
    horizon_days: int,
) -> float:
    """Return the log of the level of the as_of, moved to that of the model of the season.

    Parameters
    ----------
    carried
        Log of the level that past years say, over that of all dates.
    logs
        Log of the level of the same time of each of them.
    seasons
        Frames of these dates, as many.
    leaving
        With the model of the season.
    factor
        Factor of the repeat orders at the level of all dates.
    current
        Columns of the buyers at the as_of or of a sample of them, and their P(no purchase), shape
        (rows,) each.
    horizon_days
        The horizon.
    """
    columns, p_inactive = current
    by_pool = ((1.0 - p_inactive) * factor.times(repeat_if_any(columns), columns)).sum()
    ahead = float(_repeats(leaving, columns, horizon_days).sum())
    if not (ahead > 0.0 and by_pool > 0.0):
        return carried
    own, missed = [], []
    for frame in seasons:
        repeats = np.maximum(frame.orders - 1.0, 0.0)
        expected = _repeats(leaving, frame.columns, horizon_days)
        if not (repeats.any() and expected.sum() > 0.0):
            return carried
        own.append(float(np.log(repeats.sum() / expected.sum())))
        missed.append(float(np.log(shrunk_level(repeats, expected, LEVEL_SPREAD))))
    wanted = float(np.log(ahead / by_pool)) + float(np.mean(missed))
    return carried + share_of_season(logs, own) * (wanted - carried)


def _repeats(leaving: Leaving, columns: Mapping[str, Array], horizon_days: int) -> Array:
    """Return the orders beyond the first within the horizon by the model, shape (rows,)."""
    outlook = leaving.outlook(horizon_days, horizon_days, columns, 0.0)
    p_any = 1.0 / (1.0 + np.exp(outlook.none))
    return np.maximum(outlook.alive * outlook.orders_if_alive - p_any, _SMALLEST)
