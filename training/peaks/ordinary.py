"""Past dates as they would have been without a peak: some of its purchases are left out.

Of purchases that come at random at a pace, those of which each is kept with the chance of one over
the pace come at random at the pace of ordinary days (thinning of a Poisson process; Lewis and
Shedler 1979).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import day_number
from stagecast.features.record import PurchaseDays
from stagecast.training.learners.pace_of_log import PART_DAYS, PaceOfLog
from stagecast.training.panel import Frame, Panel

MICROSECONDS_OF_DAY: Final = 86_400e6
SEED: Final = 20_717
"""Seed of the draw: of the log, not of the training, whose seeds must not move the level."""


def is_extra(days: PurchaseDays, pace: PaceOfLog) -> NDArray[np.bool_]:
    """Return which purchase days are those that ordinary days would not have had, (n_days,).

    Parameters
    ----------
    days
        The purchase days known at the as_of.
    pace
        Of the log.
    """
    part = np.floor((pace.day - days.day - 0.5) / PART_DAYS).astype(np.int64)
    known = (part >= 0) & (part < len(pace.past))
    of_day = np.where(known, np.array(pace.past)[np.where(known, part, 0)], 1.0)
    drawn = np.random.default_rng(SEED).random(len(of_day))
    return np.asarray(drawn * of_day > 1.0)


def ordinary_panel(panel: Panel, extra: PurchaseDays, horizon_days: int) -> Panel:
    """Return the panel with the outcomes of its past dates as of ordinary days.

    Parameters
    ----------
    panel
        Past dates with their outcomes.
    extra
        The purchase days that are left out.
    horizon_days
        The horizon.
    """

    after = extra.first_purchase / MICROSECONDS_OF_DAY

    def ordinary(frame: Frame) -> Frame:
        date = day_number(frame.as_of)
        inside = (after >= date) & (after < date + horizon_days)

        def left_out(weights: Array | None = None) -> Array:
            rows = int(max(extra.customer.max(initial=-1), frame.customer.max(initial=-1))) + 1
            each = np.bincount(extra.customer[inside], weights, minlength=rows)
            return each[frame.customer].astype(np.float64)

        orders = np.maximum(frame.orders - left_out(), 0.0)
        spend = np.where(orders > 0, frame.spend - left_out(extra.spend[inside]), 0.0)
        return replace(frame, orders=orders, spend=spend)

    return replace(panel, dates=tuple(ordinary(frame) for frame in panel.dates))
