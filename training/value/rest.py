"""Factor of the orders in the rest of the value horizon, learned at past dates far enough back.

A date teaches the whole value horizon where that horizon has passed since. In a younger log the
longest span that has passed stands for it, and counts the less the shorter it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from stagecast.training.config import TrainConfig
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.factor import Factor
from stagecast.training.learners.fit_factor import Rows, fit_factor, shrunk_level
from stagecast.training.panel import YEAR_DAYS, Frame, learnable, stack, thinned, varying
from stagecast.training.value.model import rest_by_base
from stagecast.training.value.spans import Purchases

# Least number of customers of a date.
FEWEST_CUSTOMERS: Final = 60
# Share of the level of a past year, in logs, that is carried over.
CARRIED: Final = 0.75
# About how many rows teach.
MAX_ROWS: Final = 50_000


def far_dates(dates: Sequence[Frame], config: TrainConfig) -> tuple[list[Frame], int]:
    """Return the dates that teach, newest first, and the span after them in days.

    The span is the value horizon, or the longest that has passed since a date; it is at least two
    horizons. Without such a date the list is empty.
    """
    usable = [
        frame
        for frame in dates
        if frame.back >= 2 * config.horizon_days and len(frame) >= FEWEST_CUSTOMERS
    ]
    if not usable or config.value_horizon_days <= config.horizon_days:
        return [], config.value_horizon_days
    span = min(config.value_horizon_days, max(frame.back for frame in usable))
    return [frame for frame in usable if frame.back >= span], span


def fit_rest(
    dates: Sequence[Frame],
    bases: Mapping[int, CustomerBase],
    purchases: Purchases,
    config: TrainConfig,
) -> Factor:
    """Return the factor of :attr:`ValueModel.rest`; 1 where no date is far enough back.

    Parameters
    ----------
    dates
        Frames of buyers, newest first.
    bases
        Days before the as_of -> customer base of that date.
    purchases
        Every purchase day known at the as_of.
    config
        Settings of the training.
    """
    frames, span = far_dates([frame for frame in dates if frame.back in bases], config)
    frames = thinned(frames, MAX_ROWS) if frames else []
    if not frames:
        return Factor()
    near, rate = config.horizon_days, config.annual_discount
    outcome = np.concatenate(
        [purchases.within(frame.customer, frame.back, near, span, rate) for frame in frames]
    )
    expected = np.concatenate(
        [rest_by_base(bases[frame.back], frame.columns, near, span, rate) for frame in frames]
    )
    columns = stack(frames)
    rows = Rows(
        columns,
        learnable(frames, varying(frames, list(columns))),
        expected,
        outcome,
        np.ones(len(outcome)),
        np.concatenate([frame.customer for frame in frames]),
    )
    factor = fit_factor(rows, None, None, "poisson", config.seed)
    level = shrunk_level(outcome, rows.start * factor.of(columns))
    # a span shorter than a year has the level of its season
    share = span / config.value_horizon_days
    carried = CARRIED * min(1.0, span / YEAR_DAYS) ** 2
    return replace(factor, power=factor.power * share, level=float(level**carried))
