"""Money at past dates of a panel, as the models of the as_of see them, beside what came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.models import Models
from stagecast.training.panel import Frame, Panel, thinned
from stagecast.training.value.drift import LevelError, drift_of, errors_of_bases
from stagecast.training.value.fit_intervals import conformal
from stagecast.training.value.intervals import Intervals, Outlook, joined
from stagecast.training.value.money import Money
from stagecast.training.value.money_of_buyers import money_of_buyers
from stagecast.training.value.rest import far_dates
from stagecast.training.value.spans import Purchases

# Dates that the intervals of the value are learned at.
DATES = 4
# About how many rows of all dates that they may be learned at.
MAX_ROWS = 100_000
# Largest power that the ends of an interval over the expectation are raised to. Of regular payers
# the horizon holds one payment, or none, and shows nothing of how long they stay: with a power of 2
# the ranges of a year covered .81 and .92 of two simulated logs (170 and 120 payers), with 3 .98
# and .97. Of random buyers it shows more than a longer span will: in five simulated logs of 45 to
# 60 customers 1.5 covered .95 (.87 to 1.00), and 3 made ranges of up to seven times the value.
MAX_WIDENING, MAX_WIDENING_OF_RANDOM = 3.0, 1.5
# Standard deviation of the level, in logs, for each e-fold by which the value horizon is longer
# than the history, where it is too far to be known: five simulated logs of 24 to 40 days of food
# delivery, whose customers left after 80 days on average, came to 1 / 3.4 to 1 / 1.3 of the value
# of their year, since few had been seen to leave.
UNSEEN = 0.35


def money_at(panel: Panel, models: Models, frame: Frame, days: int | None = None) -> Money:
    """Return the orders and money of a past date.

    Parameters
    ----------
    panel, models
        The panel, and models that were fitted on it.
    frame
        One of the dates.
    days
        Value horizon; None for that of the models.
    """
    config = models.config if days is None else replace(models.config, value_horizon_days=days)
    base = panel.bases.get(frame.back)
    return money_of_buyers(
        models.value,
        # the factor of the spend per order corrects the model of spend of the as_of
        None if base is None else base.with_spend_of(models.base),
        config,
        frame.columns,
        models.churn.probability(frame.columns),
        models.churn.season_log_odds,
        by_year=False,
    )


def spend_at(panel: Panel, models: Models, frame: Frame) -> tuple[Outlook, Array]:
    """Return the supposed spend within the horizon of a past date, and what came."""
    money = money_at(panel, models, frame)
    p_none = 1.0 - money.expected_orders / money.orders_if_any
    past = frame.columns["orders"]
    return Outlook(money.expected_spend, p_none, money.orders_if_any, past), frame.spend


def spend_intervals(panel: Panel, models: Models, outlook: Outlook, spend: Array) -> Intervals:
    """Return the intervals of the spend that are delivered one horizon after a panel's as_of.

    They are learned on what came after that as_of, which the models had not seen, and on the newest
    past date of the panel, whose horizon ended before it.

    Parameters
    ----------
    panel, models
        The earlier panel, and the models that were fitted on it.
    outlook
        What they supposed of the spend of each row of its snapshot.
    spend
        What came within the horizon, shape (n_rows,).
    """
    past = [spend_at(panel, models, frame) for frame in panel.dates[:1]]
    outlooks, outcomes = zip((outlook, spend), *past, strict=True)
    return conformal(joined(outlooks), np.concatenate(outcomes))


def value_intervals(
    panel: Panel, models: Models, purchases: Purchases, trained: float | None = None
) -> Intervals | None:
    """Return intervals of the value over the value horizon, as a new date asks for them.

    They are learned at up to ``DATES`` past dates of the panel that lie the value horizon back, or
    the longest span that has passed, each at its own level; the spread of the level is that of
    forecasts which had not seen it. Where no date is at least two horizons back, they are the
    intervals of one horizon, widened.

    Parameters
    ----------
    panel, models
        The panel, and models that were fitted on it.
    purchases
        Every purchase day known at the as_of.
    trained
        Log of the total that came over the one that a training one value horizon before the as_of
        expected; None: there was no such training.
    """
    config = models.config
    days = config.value_horizon_days
    frames, span = far_dates([f for f in panel.dates if f.back in panel.bases], config)
    if models.value.mean_spend is None or not frames:
        near = models.spend_interval
        share = config.horizon_days / days
        return (
            None if near is None else replace(near, widening=_widening(share, _is_regular(panel)))
        )
    frames = thinned(frames, MAX_ROWS)
    errors = errors_of_bases(frames, panel.bases, purchases, span, config)
    drift = drift_of(errors, 1.0 + (frames[-1].back - frames[0].back) / span, trained)
    if models.value_is_far:  # nothing was seen of who is still a customer so late
        drift = float(np.hypot(drift, UNSEEN * np.log(days / models.value.history_days)))
    outlooks, outcomes = [], []
    for frame in _spread(frames):
        money = money_at(panel, models, frame, span)
        past = frame.columns["orders"]
        outlook = Outlook(money.clv, money.value_p_none, money.value_orders_if_any, past)
        spent = purchases.within(
            frame.customer, frame.back, 0, span, config.annual_discount, money=True
        )
        outcome = np.maximum(spent, 0.0) * config.margin
        error = LevelError.of(outcome, np.nan_to_num(outlook.expected))
        level = 1.0 if error is None else float(np.exp(error.shrunk(drift)))
        outlooks.append(outlook.at_level(level))
        outcomes.append(outcome)
    share = min(1.0, span / days)
    intervals = conformal(joined(outlooks), np.concatenate(outcomes), drift)
    return replace(intervals, widening=_widening(share, _is_regular(panel)))


def _spread(frames: Sequence[Frame]) -> list[Frame]:
    """Return up to ``DATES`` of the dates, from the newest to the oldest."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, DATES).round().astype(np.int64))
    return [frames[k] for k in chosen]


def _is_regular(panel: Panel) -> bool:
    """Return whether the gaps between purchases are regular, as far as the customer base knows."""
    return panel.base is not None and any(m.regularity > 1 for m in panel.base.models)


def _widening(share: float, is_regular: bool) -> float:
    """Return the widening of intervals that were learned over a share of their span.

    >>> _widening(0.16, True), _widening(0.16, False), _widening(1.0, True)
    (2.5, 1.5, 1.0)
    """
    most = MAX_WIDENING if is_regular else MAX_WIDENING_OF_RANDOM
    return float(np.clip(share**-0.5, 1.0, most))
