"""Fitting of :class:`stagecast.training.value.model.ValueModel`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from stagecast.training.learners import boosting
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.panel import Frame, learnable, outside_season, stack, varying
from stagecast.training.value.model import FEWEST_SPENDERS, ValueModel, _orders_if_any

TREES = 120
# Share of a past date's level of spend, in logs, that is carried over: of the same season a year
# ago, and of the newest date.
SEASON_CARRIED, DRIFT_CARRIED = 0.75, 0.5


def fit_value(
    dates: Sequence[Frame],
    bases: Mapping[int, CustomerBase],
    has_amounts: bool,
    seed: int,
    mean_so_far: float = 0.0,
    season: Frame | None = None,
    horizon_days: int = 90,
) -> ValueModel:
    """Fit the value model on the rows with a purchase in the horizon, of every date of a panel.

    Parameters
    ----------
    dates
        Frames of buyers, newest first.
    bases
        Days before the as_of -> customer-base models of that date.
    has_amounts
        Whether the log has amounts.
    seed
        Seed of the trees.
    mean_so_far
        Mean spend per purchase day of all buyers up to the as_of; used where no date has a purchase
        to learn from.
    season
        The date of the same season a year ago, whose level of spend is carried over; None carries
        over that of the newest date.
    horizon_days
        Horizon of the dates, in days; dates closer than that to the season overlap it.
    """
    bought = [~frame.inactive for frame in dates]
    if not any(b.any() for b in bought):
        return ValueModel(None, mean_so_far if has_amounts else None, 1.0, 1.0)
    model = _fit_unscaled(dates, has_amounts, seed)
    if not has_amounts:
        return model
    # trees learn the level of a date that they are fitted on, so the level is measured with a model
    # that was not fitted on that season
    other_dates = [] if season is None else outside_season(dates, season, horizon_days)
    judge = (
        _fit_unscaled(other_dates, has_amounts, seed)
        if any((~frame.inactive).any() for frame in other_dates)
        else model
    )
    if judge.trees is None:
        # too few rows for trees: a different kind of model, whose level differs from this one's
        judge = model
    reference = dates[0] if season is None else season
    bought_since = ~reference.inactive
    predicted = judge.spend_if_any(
        reference.columns, bases[reference.back].spend_per_order(reference.columns)
    )
    total = 0.0 if predicted is None else float(predicted[bought_since].sum())
    scale = np.clip(
        max(float(reference.spend[bought_since].sum()), 0.0) / max(total, 1e-9), 0.2, 5.0
    )
    # the level of few spenders is noise, and a real level persists only in part
    confidence = bought_since.sum() / (bought_since.sum() + FEWEST_SPENDERS)
    carried = confidence * (DRIFT_CARRIED if season is None else SEASON_CARRIED)
    return replace(model, spend_scale=float(scale**carried))


def _fit_unscaled(dates: Sequence[Frame], has_amounts: bool, seed: int) -> ValueModel:
    """Fit on the rows with a purchase in the horizon, at least one, without a scale of spend."""
    bought = [~frame.inactive for frame in dates]
    columns = {name: values[np.concatenate(bought)] for name, values in stack(dates).items()}
    orders = np.concatenate([frame.orders[b] for frame, b in zip(dates, bought, strict=True)])
    repeat_orders = _orders_if_any(columns) - 1.0
    orders_scale = float(
        np.clip((orders - 1.0).sum() / max(float(repeat_orders.sum()), 1e-9), 0.2, 5.0)
    )
    if not has_amounts:
        return ValueModel(None, None, orders_scale, 1.0)
    spend = np.concatenate([frame.spend[b] for frame, b in zip(dates, bought, strict=True)])
    positive = spend > 0
    trees = None
    if positive.sum() >= FEWEST_SPENDERS:
        names = learnable(dates, varying(dates, list(columns)))
        spender_columns = {name: columns[name][positive] for name in names}
        # log of the mean spend of those who spent; the gamma loss limits the pull of huge orders
        trees = boosting.fit(
            spender_columns,
            names,
            spend[positive],
            np.ones(int(positive.sum())),
            "gamma",
            trees=TREES,
            seed=seed,
        )
    return ValueModel(trees, float(columns["spend_mean"].mean()), orders_scale, 1.0)
