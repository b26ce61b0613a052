"""How :class:`stagecast.training.value.model.ValueModel` is fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from stagecast.training.learners import boosting
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.panel import Frame, learnable, stack, unseen, varying
from stagecast.training.value.model import FEWEST_SPENDERS, ValueModel, _orders_if_any

TREES = 120


# Share of a past date's level of spend, in logs, that is expected again: of the same season a year
# ago, of the newest.
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
    """Fit on every date of a panel: on the rows with a purchase in the horizon.

    Parameters
    ----------
    season
        The date of the same season a year ago, where there is one: its level of spend is carried
        over, else that of the newest date.
    mean_so_far
        Mean spend per purchase day of all buyers up to the as_of; stands in where no date has a
        purchase to learn from.
    horizon_days
        Of the dates; how near to a season one must lie to have seen it.
    """
    bought = [~frame.inactive for frame in dates]
    if not any(b.any() for b in bought):
        return ValueModel(None, mean_so_far if has_amounts else None, 1.0, 1.0)
    model = _fit_unscaled(dates, has_amounts, seed)
    if not has_amounts:
        return model
    # trees learn the level of a date that they are fitted on, so a model that did not see that
    # season is asked
    others = [] if season is None else unseen(dates, season, horizon_days)
    judge = (
        _fit_unscaled(others, has_amounts, seed)
        if any((~frame.inactive).any() for frame in others)
        else model
    )
    if (
        judge.trees is None
    ):  # too few are left to learn from: another model, whose level says nothing of this one's
        judge = model
    guide = dates[0] if season is None else season
    came = ~guide.inactive
    predicted = judge.spend_if_any(guide.columns, bases[guide.back].spend_per_order(guide.columns))
    total = 0.0 if predicted is None else float(predicted[came].sum())
    scale = np.clip(max(float(guide.spend[came].sum()), 0.0) / max(total, 1e-9), 0.2, 5.0)
    # a level that few spenders tell of is noise, and not all of what is none comes again
    sure = came.sum() / (came.sum() + FEWEST_SPENDERS)
    carried = sure * (DRIFT_CARRIED if season is None else SEASON_CARRIED)
    return replace(model, spend_scale=float(scale**carried))


def _fit_unscaled(dates: Sequence[Frame], has_amounts: bool, seed: int) -> ValueModel:
    """Fit on rows with a purchase in the horizon, of which there is one; the level of spend is
    that of all dates.
    """
    bought = [~frame.inactive for frame in dates]
    columns = {name: values[np.concatenate(bought)] for name, values in stack(dates).items()}
    orders = np.concatenate([frame.orders[b] for frame, b in zip(dates, bought, strict=True)])
    more = _orders_if_any(columns) - 1.0
    orders_scale = float(np.clip((orders - 1.0).sum() / max(float(more.sum()), 1e-9), 0.2, 5.0))
    if not has_amounts:
        return ValueModel(None, None, orders_scale, 1.0)
    spend = np.concatenate([frame.spend[b] for frame, b in zip(dates, bought, strict=True)])
    positive = spend > 0
    trees = None
    if positive.sum() >= FEWEST_SPENDERS:
        names = learnable(dates, varying(dates, list(columns)))
        kept = {name: columns[name][positive] for name in names}
        # log-mean of the spend of those who spent; gamma keeps one huge order from ruling
        trees = boosting.fit(
            kept,
            names,
            spend[positive],
            np.ones(int(positive.sum())),
            "gamma",
            trees=TREES,
            seed=seed,
        )
    return ValueModel(trees, float(columns["spend_mean"].mean()), orders_scale, 1.0)
