"""Factor of the orders in the rest of the value horizon, learned at past dates far enough back.

A date teaches the whole value horizon where that horizon has passed since. In a younger log the
longest span that has passed stands for it, and counts the less the shorter it is. Where the same
season of past years is known, the level is its level, and the trees do not learn the levels of
dates. Elsewhere they do: by how long customers have been known, they tell where the level is going.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from stagecast.training.config import TrainConfig
from stagecast.training.learners.blend import SEASON_SPREAD, carried_share
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.factor import Factor
from stagecast.training.learners.fit_factor import Rows, fit_factor, shrunk_level
from stagecast.training.panel import YEAR_DAYS, Frame, learnable, stack, thinned, varying
from stagecast.training.value.model import rest_by_base
from stagecast.training.value.spans import Purchases

# Least number of customers of a date.
FEWEST_CUSTOMERS: Final = 60
# Share of the level of one past year, in logs, that is carried over; of several years more.
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
    seasons: Sequence[Frame] = (),
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
    seasons
        The dates of the season of the as_of in past years; empty where there is none.
    """
    frames, span = far_dates([frame for frame in dates if frame.back in bases], config)
    frames = thinned(frames, MAX_ROWS) if frames else []
    if not frames:
        return Factor()
    near, rate = config.horizon_days, config.annual_discount
    outcome = [purchases.within(f.customer, f.back, near, span, rate) for f in frames]
    expected = [rest_by_base(bases[f.back], f.columns, near, span, rate) for f in frames]
    share = span / config.value_horizon_days
    of_season = [frame.back for frame in seasons if share == 1.0]
    chosen = [k for k, frame in enumerate(frames) if frame.back in of_season]
    levels = [
        shrunk_level(came, supposed, SEASON_SPREAD) if chosen else 1.0
        for came, supposed in zip(outcome, expected, strict=True)
    ]
    columns, sizes = stack(frames), [len(frame) for frame in frames]
    rows = Rows(
        columns,
        learnable(frames, varying(frames, list(columns))),
        np.concatenate(expected) * np.repeat(levels, sizes),
        np.concatenate(outcome),
        np.ones(sum(sizes)),
        np.concatenate([frame.customer for frame in frames]),
    )
    factor = fit_factor(rows, None, None, "poisson", config.seed)
    if chosen:
        # the level beside the trees, which is that of their dates no longer
        logs = [
            float(np.log(shrunk_level(outcome[k], expected[k] * factor.of(frames[k].columns))))
            for k in chosen
        ]
        # a customer base of few customers who had been known for a short time errs in its own way
        known = [frames[k].columns["T_days"].sum() for k in chosen]
        log_level = carried_share(CARRIED, logs) * float(np.average(logs, weights=known))
    else:
        # a span shorter than a year has the level of its season
        carried = CARRIED * min(1.0, span / YEAR_DAYS) ** 2
        level = shrunk_level(rows.outcome, rows.start * factor.of(columns))
        log_level = carried * float(np.log(level))
    return replace(factor, power=factor.power * share, level=float(np.exp(log_level)))
