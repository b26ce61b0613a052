"""Members of the pool of P(no purchase), each fitted on the buyers of several past dates.

The number of trees is that with the least loss on a later date. Where several dates lie in the
season of the as_of, trees that are fitted on these alone are tried on it, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.training.inactivity.own_members import fit_estimator
from stagecast.training.inactivity.recipes import RFM, SPLINES
from stagecast.training.learners import blend, boosting, glm
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.design import Recipe
from stagecast.training.learners.metrics import losses
from stagecast.training.learners.pool import CustomerBaseOdds, Member
from stagecast.training.member_settings import MemberSettings, Regression, Trees
from stagecast.training.panel import Frame, learnable, same_season, stack, varying

# Number of trees where there is no later date, and the numbers that are compared on one.
TREES, TREES_TRIED = 150, (60, 100, 150, 250)
# Least number of dates of the season of the as_of that trees are fitted on without the other dates.
FEWEST_SEASONS = 2
# With this many customers, half of the prior weight goes to the customer base and half to the
# members as in MEMBERS. With more it is less, since the error of the other members falls with the
# number of rows and that of the customer base does not.
HALF_SAFE = 400
OWN_WEIGHT = 1 / 4.5
"""Prior weight of a member of the user, before those of all members are brought to sum 1."""
USUAL = MemberSettings()


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
    settings
        Of the members.
    """

    columns: Mapping[str, Array]
    inactive: NDArray[np.bool_]
    varying: list[str]
    learnable: list[str]
    trees: int
    seed: int
    settings: MemberSettings = USUAL

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
    recipe, penalty = rows.recipe(RFM), _regression(rows).rfm_penalty
    return glm.fit_logistic(recipe, rows.columns, rows.inactive, rows.weight, penalty)


def _fit_splines(rows: MemberRows) -> Member:
    recipe = rows.recipe(SPLINES)
    penalty = _regression(rows).penalty
    return glm.fit_logistic(recipe, rows.columns, rows.inactive, rows.weight, penalty)


def _regression(rows: MemberRows) -> Regression:
    return rows.settings.regression or Regression()


def _fit_trees(rows: MemberRows) -> Boosted:
    return boosting.fit(
        rows.columns,
        rows.learnable,
        rows.inactive.astype(np.float64),
        rows.weight,
        "binary",
        trees=rows.trees,
        seed=rows.seed,
        **(rows.settings.trees or Trees()).of_lightgbm(),
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
:data:`stagecast.training.inactivity.members.READERS`, too.
"""


def prior_weights(customers: int, settings: MemberSettings = USUAL) -> dict[str, float]:
    """Return the prior weights of the members: more customer base with fewer customers.

    Where there are other members than the usual ones, the weights are brought to sum 1.

    >>> round(prior_weights(400)["btyd"], 3), round(prior_weights(1_000_000)["btyd"], 3)
    (0.722, 0.445)
    """
    base_share = HALF_SAFE / (HALF_SAFE + customers)
    weights = {
        name: (1 - base_share) * member.prior_weight + base_share * (name == "btyd")
        for name, member in MEMBERS.items()
        if settings.uses(name)
    }
    if settings.own or len(weights) < len(MEMBERS):
        weights |= dict.fromkeys(settings.own, (1 - base_share) * OWN_WEIGHT)
        total = sum(weights.values())
        weights = {name: weight / total for name, weight in weights.items()}
    return weights


@dataclass(frozen=True)
class TreesPlan:
    """How many trees are fitted, and on which dates.

    Parameters
    ----------
    count
        Number of boosting rounds.
    seasonal
        Whether only the dates of the season of the as_of teach the trees, where there are enough.
    """

    count: int = TREES
    seasonal: bool = False

    def dates_of(self, dates: Sequence[Frame]) -> Sequence[Frame]:
        """Return those of the dates that the trees are fitted on."""
        season = same_season(dates)
        return season if self.seasonal and len(season) >= FEWEST_SEASONS else dates


def trees_plan(settings: MemberSettings = USUAL) -> TreesPlan:
    """Return the plan of trees where no later date tells the best one."""
    return TreesPlan((settings.trees and settings.trees.n_estimators) or TREES)


def _counts(settings: MemberSettings) -> tuple[int, ...]:
    """Return the numbers of trees that are tried."""
    count = settings.trees and settings.trees.n_estimators
    return (count,) if count else TREES_TRIED


def fit_members(
    dates: Sequence[Frame], seed: int, plan: TreesPlan, settings: MemberSettings = USUAL
) -> dict[str, Member]:
    """Return every member that the settings name, fitted on these dates."""
    rows = _member_rows(dates, plan.count, seed, settings)
    of_trees = plan.dates_of(dates)
    rows_of_trees = (
        rows if of_trees is dates else _member_rows(of_trees, plan.count, seed, settings)
    )
    ours = {
        name: member.fit(rows_of_trees if name == "trees" else rows)
        for name, member in MEMBERS.items()
        if settings.uses(name)
    }
    own = {
        name: fit_estimator(
            name, member.estimator, rows.columns, rows.learnable, rows.inactive, seed
        )
        for name, member in sorted(
            settings.own.items()
        )  # as a bundle has them: weights depend on it
    }
    return {**ours, **own}


def fit_before(
    dates: Sequence[Frame], later: Frame, seed: int, settings: MemberSettings = USUAL
) -> tuple[TreesPlan, dict[str, Member]]:
    """Return members fitted on earlier dates, with the trees that are best on a later one.

    Parameters
    ----------
    dates
        Dates whose horizon ends before ``later``.
    later
        The newest date.
    seed
        Seed of all random draws.
    settings
        Of the members.
    """
    members = fit_members(dates, seed, TreesPlan(max(_counts(settings))), settings)
    trees = members.get("trees")
    if not isinstance(trees, Boosted):
        return trees_plan(settings), members
    plan, best = best_trees(trees, dates, later, seed, settings)
    return plan, {**members, "trees": best}


def best_trees(
    trees: Boosted,
    dates: Sequence[Frame],
    later: Frame,
    seed: int,
    settings: MemberSettings = USUAL,
) -> tuple[TreesPlan, Boosted]:
    """Return the plan with the least log loss on a later date, at the level of it, and its trees.

    Where purchases have one season, what a silence means depends on the day of the year, and dates
    of other seasons teach the trees what does not hold at this one.

    Parameters
    ----------
    trees
        Fitted on all of ``dates``, with the largest of the numbers that are tried.
    dates
        Dates whose horizon ends before ``later``.
    later
        The newest date.
    seed
        Seed of LightGBM.
    settings
        Of the members.
    """
    counts = _counts(settings)
    candidates = [(False, trees)]
    season = TreesPlan(seasonal=True).dates_of(dates)
    if len(season) < len(dates):
        seasonal = _fit_trees(_member_rows(season, max(counts), seed, settings))
        candidates.append((True, seasonal))

    def loss(boosted: Boosted) -> float:
        margin = boosted.raw(later.columns)
        p = expit(margin + blend.level_shift(margin, later.inactive))
        return float(losses(later.inactive, p).mean())

    tried = [
        (TreesPlan(count, seasonal), boosted.first(count))
        for seasonal, boosted in candidates
        for count in counts
    ]
    return min(tried, key=lambda pair: loss(pair[1]))


def _member_rows(
    dates: Sequence[Frame], trees: int, seed: int, settings: MemberSettings = USUAL
) -> MemberRows:
    """Return the training rows of these dates."""
    columns = stack(dates)
    varying_columns = varying(dates, list(columns))
    if settings.btyd is None:  # then its predictions are no columns of the other members, either
        varying_columns = [name for name in varying_columns if not name.startswith("btyd_")]
    return MemberRows(
        columns,
        np.concatenate([frame.inactive for frame in dates]),
        varying_columns,
        learnable(dates, varying_columns),
        trees,
        seed,
        settings,
    )
