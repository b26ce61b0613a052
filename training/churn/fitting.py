"""How :class:`stagecast.training.churn.model.ChurnModel` is fitted: its members, their weights, its
level, and the rung of the ladder.

Members are fitted on every date of a panel. What they are fitted on cannot say how far to trust
them: weights come from a date, or in a young log from customers, that they did not see. The level
of the pool is held against the same season a year ago; a log too young to have one goes half the
way to the customer base, which averages over all its history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.training.churn.model import ChurnModel, GapRule
from stagecast.training.learners import blend, boosting, glm
from stagecast.training.learners.boosting import Boosted
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.design import Recipe
from stagecast.training.learners.metrics import log_loss
from stagecast.training.panel import (
    Frame,
    Panel,
    learnable,
    stack,
    thinned,
    unseen,
    varying,
    year_back,
)

# How many trees: what a later date likes best, or the middle where there is none to ask.
TREES, TREES_TRIED = 150, (60, 100, 150, 250)
SPLINE_PENALTY = 5.0
# Below these a fitted model has nothing to learn from.
FEWEST_CUSTOMERS, FEWEST_OF_EACH = 200, 30
# What the members' weights are with customers without end, before a past date has spoken. The
# customer base counts twice: fitted on few numbers, it is the safe one; plain RFM half, since the
# splines look at the same.
BEGIN = {"btyd": 2 / 4.5, "rfm": 0.5 / 4.5, "splines": 1 / 4.5, "trees": 1 / 4.5}
# With this many customers half of the weight goes to the customer base, half to all members as
# above; with more, less: what the others err by for want of rows falls with their number, what the
# customer base errs by does not.
HALF_SAFE = 400
# Parts of the customers that members are left without, where no earlier date could judge them; how
# strongly their weights are drawn back then, since more customers do not tell more of how the shop
# will change; and about how many rows are enough to tell it.
FOLDS, YOUNG_PULL, YOUNG_ROWS = 4, 0.005, 100_000
# Share of the way from the level of the pool to the customer base's, where no season is known: at
# 35 dates of logs that young the log loss fell by half a per cent on average, by 6 % where a first
# season ended, and rose by 1.5 % at most.
UNKNOWN_SEASON = 0.5

RFM = Recipe(
    {
        "recency_days": (True, 0),
        "frequency": (True, 0),
        "T_days": (True, 0),
        "spend_mean": (True, 0),
    },
)
SPLINES = Recipe(
    {
        "recency_days": (True, 5),
        "frequency": (True, 4),
        "T_days": (True, 3),
        "overdue_ratio": (True, 5),
        "rhythm_days": (True, 3),
        "orders_90d": (True, 0),
        "orders_180d": (True, 0),
        "orders_365d": (True, 0),
        "activity_30d": (True, 0),
        "activity_90d": (True, 0),
        "spend_mean": (True, 3),
        "gap_last": (True, 0),
        "btyd_none_mbg_nbd": (False, 0),
        "btyd_none_pareto_nbd": (False, 0),
    }
)


def enough(frame: Frame) -> bool:
    """Say whether there is anything to learn from a date: customers enough of either kind, and
    not all alike.
    """
    inactive = int(frame.inactive.sum())
    if len(frame) < FEWEST_CUSTOMERS or min(inactive, len(frame) - inactive) < FEWEST_OF_EACH:
        return False
    return float(np.ptp(frame.columns["recency_days"])) > 0


def teaching(panel: Panel) -> list[Frame]:
    """Return the past dates that there is something to learn from, newest first, with the
    columns that all have.
    """
    dates = [frame for frame in panel.dates if enough(frame)]
    return dates if panel.base is None else _alike(dates, panel.base)


def fit_churn(
    panel: Panel, now: Mapping[str, Array], rule: GapRule, horizon_days: int, seed: int
) -> ChurnModel:
    """Fit the members on every date of the panel, their weights on the newest, and choose the rung
    of the ladder.

    ``now`` are the columns of buyers of the as_of, of all or of many. For the weights, and for how
    many trees there are, the members are fitted once more on the dates whose horizon was over
    before the newest began. A log too young to have any learns the weights from customers whom the
    members were not fitted on.
    """
    if panel.base is None:
        return ChurnModel("rule", horizon_days, {"rule": 1.0}, 0.0, rule)
    dates = teaching(panel)
    if not dates or dates[0].back != horizon_days:
        return ChurnModel("btyd", horizon_days, {"btyd": 1.0}, 0.0, rule)
    newest = dates[0]
    before = [frame for frame in dates if frame.back >= newest.back + horizon_days]
    begin = weights_to_begin(len(newest))
    trees = TREES
    if before:
        earlier = _fit_members(before, begin, rule, horizon_days, seed, max(TREES_TRIED))
        if earlier.trees is not None:
            trees = _stop(earlier.trees, newest)
            earlier = replace(earlier, trees=earlier.trees.first(trees))
        weights = blend.pool_weights(earlier.margins(newest.columns), newest.inactive, begin)
    else:
        some = thinned(dates, YOUNG_ROWS)
        margins = _margins_of_others(some, begin, rule, horizon_days, seed)
        weights = blend.pool_weights(margins, some[0].inactive, begin, YOUNG_PULL)
    fitted = _fit_members(dates, weights, rule, horizon_days, seed, trees)
    season = year_back(dates, panel.history_days)
    if season is None:
        shift = blend.level_shift(fitted.margin(newest.columns), newest.inactive)
        drawn = UNKNOWN_SEASON * blend.level_shift(fitted.margin(now), expit(now["btyd_none"]))
    else:
        drawn = 0.0
        # trees learn the level of a date that they are fitted on, so members that did not see that
        # season are asked
        others = unseen(dates, season, horizon_days)
        judge = _fit_members(others, weights, rule, horizon_days, seed, trees) if others else fitted
        shift = blend.level_shift(judge.margin(season.columns), season.inactive)
    speaking = {name: weight for name, weight in weights.items() if weight > 1e-4}
    total = sum(speaking.values())
    return ChurnModel(
        "blend",
        horizon_days,
        {name: weight / total for name, weight in speaking.items()},
        blend.carried_level(shift) + drawn,
        rule,
        fitted.rfm if "rfm" in speaking else None,
        fitted.splines if "splines" in speaking else None,
        fitted.trees if "trees" in speaking else None,
        "later_date" if before else "other_customers",
        drawn,
    )


def weights_to_begin(customers: int) -> dict[str, float]:
    """Return what the members' weights are before a past date has spoken: the fewer customers, the
    more customer base.

    >>> round(weights_to_begin(400)["btyd"], 3), round(weights_to_begin(1_000_000)["btyd"], 3)
    (0.722, 0.445)
    """
    safe = HALF_SAFE / (HALF_SAFE + customers)
    return {name: (1 - safe) * weight + safe * (name == "btyd") for name, weight in BEGIN.items()}


def _margins_of_others(
    dates: Sequence[Frame],
    weights: Mapping[str, float],
    rule: GapRule,
    horizon_days: int,
    seed: int,
) -> dict[str, Array]:
    """Return the members' log odds on the newest date, each customer's from members fitted on
    other customers.
    """
    customers = np.unique(np.concatenate([frame.customer for frame in dates]))
    folds = [np.searchsorted(customers, frame.customer) % FOLDS for frame in dates]
    margins = {name: np.empty(len(dates[0])) for name in weights}
    for k in range(FOLDS):
        inside = [
            frame.of(np.flatnonzero(fold != k)) for frame, fold in zip(dates, folds, strict=True)
        ]
        outside = np.flatnonzero(folds[0] == k)
        fitted = _fit_members(inside, weights, rule, horizon_days, seed, TREES)
        for name, margin in fitted.margins(dates[0].of(outside).columns).items():
            margins[name][outside] = margin
    return margins


def _alike(dates: Sequence[Frame], base: CustomerBase) -> list[Frame]:
    """Return the dates with the columns that all of them and the as_of have: a customer-base
    model may lack at one.
    """
    now = {f"btyd_none_{model.name}" for model in base.models}
    kept = [
        name
        for name in (dates[0].columns if dates else ())
        if all(name in frame.columns for frame in dates)
        and (name in now or not name.startswith("btyd_none_"))
    ]
    return [replace(frame, columns={name: frame.columns[name] for name in kept}) for frame in dates]


def _stop(trees: Boosted, later: Frame) -> int:
    """Return after how many trees the log loss on a later date is least, whatever the level of
    that date.
    """

    def loss(count: int) -> float:
        margin = trees.first(count).raw(later.columns)
        return log_loss(later.inactive, expit(margin + blend.level_shift(margin, later.inactive)))

    return min(TREES_TRIED, key=loss)


def _fit_members(
    dates: Sequence[Frame],
    weights: Mapping[str, float],
    rule: GapRule,
    horizon_days: int,
    seed: int,
    trees: int,
) -> ChurnModel:
    columns = stack(dates)
    target = np.concatenate([frame.inactive for frame in dates])
    weight = np.ones(len(target))
    alive = varying(dates, list(columns))
    names = learnable(dates, alive)
    rfm = Recipe({name: how for name, how in RFM.columns.items() if name in alive})
    splines = Recipe({name: how for name, how in SPLINES.columns.items() if name in alive})
    boosted = boosting.fit(
        columns, names, target.astype(np.float64), weight, "binary", trees=trees, seed=seed
    )
    return ChurnModel(
        "blend",
        horizon_days,
        weights,
        0.0,
        rule,
        glm.fit_logistic(rfm, columns, target, weight),
        glm.fit_logistic(splines, columns, target, weight, SPLINE_PENALTY),
        boosted,
    )
