"""How :class:`stagecast.training.churn.model.ChurnModel` is fitted: its members, their weights, its
level, and the rung of the ladder.

Members are fitted on every date of a panel. What they are fitted on cannot say how far to trust
them: weights come from a date, or in a young log from customers, that they did not see. The level
of the pool is held against the same season a year ago; a log too young to have one goes half the
way to the customer base, which averages over all its history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.training.churn.members import GapRule
from stagecast.training.churn.model import ChurnModel, customer_base_alone, rule_alone
from stagecast.training.learners import blend, boosting, glm
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.design import Recipe
from stagecast.training.learners.metrics import log_loss
from stagecast.training.learners.pool import CustomerBaseOdds, Member, Pool
from stagecast.training.panel import (
    Frame,
    Panel,
    learnable,
    outside_season,
    stack,
    thinned,
    varying,
    year_back,
)

# How many trees: what a later date likes best, or the middle where there is none to ask.
TREES, TREES_TRIED = 150, (60, 100, 150, 250)
SPLINE_PENALTY = 5.0
# Below these a fitted model has nothing to learn from.
FEWEST_CUSTOMERS, FEWEST_OF_EACH = 200, 30
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


def training_dates(panel: Panel) -> list[Frame]:
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
        return rule_alone(rule, horizon_days)
    dates = training_dates(panel)
    if not dates or dates[0].back != horizon_days:
        return customer_base_alone(rule, horizon_days)
    newest = dates[0]
    before = [frame for frame in dates if frame.back >= newest.back + horizon_days]
    begin = weights_to_begin(len(newest))
    trees = TREES
    if before:
        earlier = _fit_members(before, seed, max(TREES_TRIED))
        if isinstance(boosted := earlier["trees"], Boosted):
            trees = _stop(boosted, newest)
            earlier = {**earlier, "trees": boosted.first(trees)}
        weights = blend.pool_weights(Pool(earlier).margins(newest.columns), newest.inactive, begin)
    else:
        some = thinned(dates, YOUNG_ROWS)
        margins = _margins_of_others(some, seed)
        weights = blend.pool_weights(margins, some[0].inactive, begin, YOUNG_PULL)
    members = _fit_members(dates, seed, trees)
    fitted = Pool(members, weights)
    season = year_back(dates, panel.history_days)
    if season is None:
        shift = blend.level_shift(fitted.margin(newest.columns), newest.inactive)
        drawn = UNKNOWN_SEASON * blend.level_shift(fitted.margin(now), expit(now["btyd_none"]))
    else:
        drawn = 0.0
        # trees learn the level of a date that they are fitted on, so members that did not see that
        # season are asked
        others = outside_season(dates, season, horizon_days)
        judge = Pool(_fit_members(others, seed, trees), weights) if others else fitted
        shift = blend.level_shift(judge.margin(season.columns), season.inactive)
    speaking = {name: weight for name, weight in weights.items() if weight > 1e-4}
    total = sum(speaking.values())
    return ChurnModel(
        "blend",
        horizon_days,
        {name: weight / total for name, weight in speaking.items()},
        blend.carried_level(shift) + drawn,
        rule,
        {name: members[name] for name in speaking},
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
    return {
        name: (1 - safe) * member.start + safe * (name == "btyd")
        for name, member in MEMBERS.items()
    }


def _margins_of_others(dates: Sequence[Frame], seed: int) -> dict[str, Array]:
    """Return the members' log odds on the newest date, each customer's from members fitted on
    other customers.
    """
    customers = np.unique(np.concatenate([frame.customer for frame in dates]))
    folds = [np.searchsorted(customers, frame.customer) % FOLDS for frame in dates]
    margins = {name: np.empty(len(dates[0])) for name in MEMBERS}
    for k in range(FOLDS):
        inside = [
            frame.of(np.flatnonzero(fold != k)) for frame, fold in zip(dates, folds, strict=True)
        ]
        outside = np.flatnonzero(folds[0] == k)
        members = _fit_members(inside, seed, TREES)
        for name, margin in Pool(members).margins(dates[0].of(outside).columns).items():
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


@dataclass(frozen=True)
class Rows:
    """What a member is fitted on: the buyers of several dates, one row per buyer and date.

    Parameters
    ----------
    columns
        Name -> values, shape (rows,); null is NaN.
    inactive
        Whether no purchase came within the horizon, shape (rows,).
    varying
        Columns that vary on most of the dates: what a regression may look at.
    learnable
        Those of them that the catalogue offers to models: what trees look at, in order.
    trees
        Boosting rounds.
    seed
        For whatever is drawn.
    """

    columns: Mapping[str, Array]
    inactive: NDArray[np.bool_]
    varying: list[str]
    learnable: list[str]
    trees: int
    seed: int

    @property
    def weight(self) -> Array:
        """How much each row counts, shape (rows,): all alike."""
        return np.ones(len(self.inactive))

    def recipe(self, recipe: Recipe) -> Recipe:
        """Return the part of a recipe whose columns vary."""
        return Recipe({name: how for name, how in recipe.columns.items() if name in self.varying})


def _fit_customer_base(rows: Rows) -> Member:
    # fitted with the panel, date by date: its column stands among the others
    return CustomerBaseOdds()


def _fit_rfm(rows: Rows) -> Member:
    return glm.fit_logistic(rows.recipe(RFM), rows.columns, rows.inactive, rows.weight)


def _fit_splines(rows: Rows) -> Member:
    recipe = rows.recipe(SPLINES)
    return glm.fit_logistic(recipe, rows.columns, rows.inactive, rows.weight, SPLINE_PENALTY)


def _fit_trees(rows: Rows) -> Member:
    return boosting.fit(
        rows.columns,
        rows.learnable,
        rows.inactive.astype(np.float64),
        rows.weight,
        "binary",
        trees=rows.trees,
        seed=rows.seed,
    )


@dataclass(frozen=True)
class MemberFit:
    """How a member is fitted, and its weight with customers without end, before a past date has
    spoken.
    """

    start: float
    fit: Callable[[Rows], Member]


# The customer base counts twice: fitted on few numbers, it is the safe one; plain RFM half, since
# the splines look at the same.
MEMBERS: dict[str, MemberFit] = {
    "btyd": MemberFit(2 / 4.5, _fit_customer_base),
    "rfm": MemberFit(0.5 / 4.5, _fit_rfm),
    "splines": MemberFit(1 / 4.5, _fit_splines),
    "trees": MemberFit(1 / 4.5, _fit_trees),
}
"""Name -> member of the pool; one that is stored as JSON is named in
:data:`stagecast.training.churn.members.READERS`, too.
"""


def _fit_members(dates: Sequence[Frame], seed: int, trees: int) -> dict[str, Member]:
    """Return every member, fitted on some dates."""
    columns = stack(dates)
    alive = varying(dates, list(columns))
    rows = Rows(
        columns,
        np.concatenate([frame.inactive for frame in dates]),
        alive,
        learnable(dates, alive),
        trees,
        seed,
    )
    return {name: member.fit(rows) for name, member in MEMBERS.items()}
