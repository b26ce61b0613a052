"""Fitting of :class:`stagecast.training.churn.model.ChurnModel`: members, weights, level, method.

Members are fitted on every date of a panel. Their weights are learned on rows that they were not
fitted on: of a later date, or in a young log of other customers. The level of the pool is
calibrated on the same season a year ago; in a log too young to have one it moves half the way to
the level of the customer base, which is an average over the whole history. A simple method that is
better than the pool beyond chance on those rows replaces it.

Logs with fewer customers are for :mod:`stagecast.training.churn.few_customers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.training.churn.few_customers import few_dates, fit_few
from stagecast.training.churn.members import ALONE, GapRule
from stagecast.training.churn.model import ChurnModel, rule_alone
from stagecast.training.churn.recipes import RFM, SPLINES
from stagecast.training.churn.simple import better_alone, fit_simple, out_of_fold_margins
from stagecast.training.learners import blend, boosting, glm
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.design import Recipe
from stagecast.training.learners.metrics import losses
from stagecast.training.learners.pool import CustomerBaseOdds, Member, Pool, pooled
from stagecast.training.panel import (
    Frame,
    Panel,
    learnable,
    outside_season,
    seasons_of,
    stack,
    thinned,
    varying,
)

# Number of trees where there is no later date, and the numbers that are compared on one.
TREES, TREES_TRIED = 150, (60, 100, 150, 250)
SPLINE_PENALTY = 5.0
# Least number of customers, and of those who stayed and who left, that all members are fitted on.
FEWEST_CUSTOMERS, FEWEST_OF_EACH = 200, 30
# With this many customers, half of the prior weight goes to the customer base and half to the
# members as in MEMBERS. With more it is less, since the error of the other members falls with the
# number of rows and that of the customer base does not.
HALF_SAFE = 400
# Where there is no earlier date: least shrinkage of the weights (more customers do not show better
# how the shop will change), and about how many rows are used.
YOUNG_PULL, YOUNG_ROWS = 0.005, 100_000
# Share of the way from the level of the pool to that of the customer base, where no season is
# known: at 35 dates of logs that young the log loss fell by half a per cent on average, by 6 %
# where a first season ended, and rose by 1.5 % at most.
UNKNOWN_SEASON = 0.5


def has_enough_rows(frame: Frame) -> bool:
    """Return whether a date has enough customers of both outcomes, with different recencies."""
    inactive = int(frame.inactive.sum())
    if len(frame) < FEWEST_CUSTOMERS or min(inactive, len(frame) - inactive) < FEWEST_OF_EACH:
        return False
    return float(np.ptp(frame.columns["recency_days"])) > 0


def training_dates(panel: Panel) -> list[Frame]:
    """Return the past dates with enough rows, newest first, reduced to their shared columns."""
    dates = [frame for frame in panel.dates if has_enough_rows(frame)]
    return dates if panel.base is None else with_shared_columns(dates, panel.base)


def every_date(panel: Panel) -> list[Frame]:
    """Return all past dates, newest first, reduced to the columns that customers have now."""
    dates = list(panel.dates)
    if panel.base is not None:
        return with_shared_columns(dates, panel.base)
    return [
        replace(
            frame, columns={n: v for n, v in frame.columns.items() if not n.startswith("btyd_")}
        )
        for frame in dates
    ]


def taught_by(panel: Panel, horizon_days: int) -> list[Frame]:
    """Return the past dates that :func:`fit_churn` learns from, newest first."""
    if panel.base is None:
        return []
    dates = training_dates(panel)
    if dates and dates[0].back == horizon_days:
        return dates
    return few_dates(panel, horizon_days)


def fit_churn(
    panel: Panel, current: Mapping[str, Array], rule: GapRule, horizon_days: int, seed: int
) -> ChurnModel:
    """Fit the members on every date of the panel, and their weights on the newest.

    For the weights and the number of trees, the members are fitted once more on the dates whose
    horizon ends before the newest date. In a log too young to have any, the weights are learned
    from customers that the members were not fitted on. With too little data the model is that of
    few customers, or the rule on gaps.

    Parameters
    ----------
    panel
        Past dates with their outcomes, and the customer base.
    current
        Columns of the buyers at the as_of, or of a sample of them.
    rule
        The rule on the gaps between purchases.
    horizon_days
        Horizon of the prediction, in days.
    seed
        Seed of all random draws.
    """
    if panel.base is None:
        return rule_alone(rule, horizon_days)
    dates = training_dates(panel)
    if not dates or dates[0].back != horizon_days:
        return fit_few(panel, rule, horizon_days, seed)
    newest = dates[0]
    earlier_dates = [frame for frame in dates if frame.back >= newest.back + horizon_days]
    prior = prior_weights(len(newest))
    trees = TREES
    if earlier_dates:
        earlier_members = _fit_members(earlier_dates, seed, max(TREES_TRIED))
        if isinstance(boosted := earlier_members["trees"], Boosted):
            trees = _best_tree_count(boosted, newest)
            earlier_members = {**earlier_members, "trees": boosted.first(trees)}
        margins = Pool(earlier_members).margins(newest.columns)
        weights = blend.pool_weights(margins, newest.inactive, prior)
        simple = fit_simple(thinned(earlier_dates, YOUNG_ROWS), ALONE)
        margins |= Pool(simple).margins(newest.columns)
    else:
        sample = thinned(dates, YOUNG_ROWS)
        newest = sample[0]
        margins = out_of_fold_margins(sample, lambda inside: _fit_members(inside, seed, TREES))
        weights = blend.pool_weights(margins, newest.inactive, prior, YOUNG_PULL)
        margins |= out_of_fold_margins(sample, lambda inside: fit_simple(inside, ALONE))
    alone = better_alone(
        pooled(margins, weights),
        {name: margins[name] for name in (*ALONE, "rfm", "btyd")},
        newest.inactive,
        seed,
    )
    if alone is not None:
        weights = {alone: 1.0}

    def members_of(frames: Sequence[Frame]) -> dict[str, Member]:
        if alone in ALONE:
            return fit_simple(frames, (alone,))
        return _fit_members(frames, seed, trees)

    members = members_of(dates)
    pool = Pool(members, weights)
    seasons = seasons_of(dates, panel.history_days)
    if not seasons:
        newest = dates[0]
        shift = blend.level_shift(pool.margin(newest.columns), newest.inactive)
        towards_base = UNKNOWN_SEASON * blend.level_shift(
            pool.margin(current), expit(current["btyd_none"])
        )
    else:
        towards_base = 0.0
        # trees learn the level of a date that they are fitted on, so the level is measured with
        # members that were not fitted on that season
        shifts = []
        for season in seasons:
            other_dates = outside_season(dates, season, horizon_days)
            reference_pool = Pool(members_of(other_dates), weights) if other_dates else pool
            shifts.append(blend.level_shift(reference_pool.margin(season.columns), season.inactive))
        shift = float(np.mean(shifts))
    used = {name: weight for name, weight in weights.items() if weight > 1e-4}
    total = sum(used.values())
    return ChurnModel(
        "blend",
        horizon_days,
        {name: weight / total for name, weight in used.items()},
        blend.carried_level(shift, max(len(seasons), 1)) + towards_base,
        rule,
        {name: members[name] for name in used},
        "later_date" if earlier_dates else "other_customers",
        towards_base,
    )


def prior_weights(customers: int) -> dict[str, float]:
    """Return the prior weights of the members: more customer base with fewer customers.

    >>> round(prior_weights(400)["btyd"], 3), round(prior_weights(1_000_000)["btyd"], 3)
    (0.722, 0.445)
    """
    base_share = HALF_SAFE / (HALF_SAFE + customers)
    return {
        name: (1 - base_share) * member.prior_weight + base_share * (name == "btyd")
        for name, member in MEMBERS.items()
    }


def with_shared_columns(dates: Sequence[Frame], base: CustomerBase) -> list[Frame]:
    """Return the dates with the columns that all of them and the as_of have.

    The columns differ where a customer-base model could not be fitted at a date.
    """
    base_columns = {f"btyd_none_{model.name}" for model in base.models}
    shared = [
        name
        for name in (dates[0].columns if dates else ())
        if all(name in frame.columns for frame in dates)
        and (name in base_columns or not name.startswith("btyd_none_"))
    ]
    return [
        replace(frame, columns={name: frame.columns[name] for name in shared}) for frame in dates
    ]


def _best_tree_count(trees: Boosted, later: Frame) -> int:
    """Return the number of trees with the least log loss on a later date, at the level of it."""

    def loss(count: int) -> float:
        margin = trees.first(count).raw(later.columns)
        p = expit(margin + blend.level_shift(margin, later.inactive))
        return float(losses(later.inactive, p).mean())

    return min(TREES_TRIED, key=loss)


@dataclass(frozen=True)
class MemberRows:
    """Training rows of a member: the buyers of several dates, one row per buyer and date.

    Parameters
    ----------
    columns
        Name -> values, shape (rows,); null is NaN.
    inactive
        Whether there was no purchase within the horizon, shape (rows,).
    varying
        Columns that vary on most of the dates, which regressions may use.
    learnable
        Those of ``varying`` that the catalogue offers to models, which trees use, in order.
    trees
        Number of boosting rounds.
    seed
        Seed of all random draws.
    """

    columns: Mapping[str, Array]
    inactive: NDArray[np.bool_]
    varying: list[str]
    learnable: list[str]
    trees: int
    seed: int

    @property
    def weight(self) -> Array:
        """Weight of each row, shape (rows,): 1."""
        return np.ones(len(self.inactive))

    def recipe(self, recipe: Recipe) -> Recipe:
        """Return the part of a recipe whose columns vary."""
        return Recipe({name: term for name, term in recipe.columns.items() if name in self.varying})


def _fit_customer_base(rows: MemberRows) -> Member:
    # fitted with the panel, date by date; its predictions are a column of the frames
    return CustomerBaseOdds()


def _fit_rfm(rows: MemberRows) -> Member:
    return glm.fit_logistic(rows.recipe(RFM), rows.columns, rows.inactive, rows.weight)


def _fit_splines(rows: MemberRows) -> Member:
    recipe = rows.recipe(SPLINES)
    return glm.fit_logistic(recipe, rows.columns, rows.inactive, rows.weight, SPLINE_PENALTY)


def _fit_trees(rows: MemberRows) -> Member:
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
    """Function that fits a member, and the prior weight of the member.

    Parameters
    ----------
    prior_weight
        Weight in the limit of many customers, before it is learned from a past date.
    fit
        Fits the member.
    """

    prior_weight: float
    fit: Callable[[MemberRows], Member]


# The customer base has double weight, since its few parameters make it the most robust; RFM has
# half, since the splines use the same columns.
MEMBERS: dict[str, MemberFit] = {
    "btyd": MemberFit(2 / 4.5, _fit_customer_base),
    "rfm": MemberFit(0.5 / 4.5, _fit_rfm),
    "splines": MemberFit(1 / 4.5, _fit_splines),
    "trees": MemberFit(1 / 4.5, _fit_trees),
}
"""Name -> fit of a member of the pool; those stored as JSON must be in
:data:`stagecast.training.churn.members.READERS`, too.
"""


def _fit_members(dates: Sequence[Frame], seed: int, trees: int) -> dict[str, Member]:
    """Return every member, fitted on these dates."""
    columns = stack(dates)
    varying_columns = varying(dates, list(columns))
    rows = MemberRows(
        columns,
        np.concatenate([frame.inactive for frame in dates]),
        varying_columns,
        learnable(dates, varying_columns),
        trees,
        seed,
    )
    return {name: member.fit(rows) for name, member in MEMBERS.items()}
