"""Learning of what is still expected of buyers whose contract is over, at past dates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import Spells
from stagecast.training.panel import Frame
from stagecast.training.value.after_contract import AfterContract

LEVEL_SPREAD, POWER_SPREAD = 2.0, 0.5
"""Standard deviations of the priors around 1 of the logarithm of the level, and of the power."""
PRIOR: Final = 1.0
"""Purchases, expected and come, that are supposed beside those of past dates."""
MAX_ROWS: Final = 20_000
_SMALLEST: Final = 1e-9


def learned_share(
    spells: Spells, dates: Sequence[Frame], p_inactive: Callable[[Mapping[str, Array]], Array]
) -> AfterContract:
    """Return the share of the purchases expected after a contract that came at past dates.

    By maximum a posteriori of who bought within the horizon.

    Parameters
    ----------
    spells
        All contracts, as known at the as_of of the panel.
    dates
        Frames of buyers.
    p_inactive
        Columns of buyers -> P(no purchase in the horizon), shape (rows,) each.
    """
    expected, came = [np.zeros(0)], [np.zeros(0, dtype=np.bool_)]
    for frame in dates:
        rows = np.flatnonzero(_over_at(spells, frame))
        if len(rows):
            frame = frame.of(rows[:: max(1, len(rows) * len(dates) // MAX_ROWS)])
            expected.append(1.0 - p_inactive(frame.columns))
            came.append(~frame.inactive)
    return fitted_share(np.concatenate(expected), np.concatenate(came))


def fitted_share(p: Array, bought: NDArray[np.bool_]) -> AfterContract:
    """Return the share by P(purchase) and who bought, shape (rows,) each; 1 without rows."""
    if not len(p):
        return AfterContract()
    log_p = np.log(np.clip(p, _SMALLEST, 1.0 - _SMALLEST))

    def loss(point: Array) -> float:
        log_after = np.minimum(point[0] + point[1] * log_p, log_p)
        of_data = np.where(bought, log_after, np.log1p(-np.exp(log_after))).sum()
        prior = (point[0] / LEVEL_SPREAD) ** 2 + ((point[1] - 1.0) / POWER_SPREAD) ** 2
        return float(0.5 * prior - of_data)

    best = minimize(
        loss,
        np.array([-0.5, 1.0]),
        method="Nelder-Mead",
        bounds=[(-12.0, 0.0), (0.0, 3.0)],
        options={"xatol": 1e-6, "fatol": 1e-9},
    ).x
    most = min((float(bought.sum()) + PRIOR) / (float(p.sum()) + PRIOR), 1.0)
    return AfterContract(float(np.exp(best[0])), float(best[1]), most)


def _over_at(spells: Spells, frame: Frame) -> NDArray[np.bool_]:
    """Return whether a contract of each row of a frame is over, and none open, shape (rows,)."""
    at = spells.as_of - frame.back * DAY_MICROSECONDS
    began = spells.start < at
    is_open = began & (spells.end >= at)
    customers = len(spells.customers)
    had = np.bincount(spells.customer[began], minlength=customers)[frame.customer] > 0
    has = np.bincount(spells.customer[is_open], minlength=customers)[frame.customer] > 0
    return np.asarray(had & ~has)
