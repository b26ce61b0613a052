"""P(no purchase in the horizon) for buyers: members, their pool, and the ladder for small logs.

The members are the customer-base models (MBG/NBD and Pareto/NBD), a logistic regression on log RFM, one with splines
that also hears the customer-base models, and LightGBM. They are pooled in log odds with weights learned on a later
window than they were fitted on, then shifted to the level that the season asks for. Where there is too little to learn
from, the customer-base models speak alone; where these cannot be fitted, a rule on the shop's gaps does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from training import blend, boosting, glm
from training.boosting import Boosted
from training.customer_base import CustomerBase, log_odds
from training.design import Recipe
from training.metrics import log_loss
from training.panel import Frame, Panel, learnable, stack, unseen, varying, year_back

Array = NDArray[np.float64]
Method = Literal["rule", "btyd", "blend"]

# How many trees: what a later date likes best, or the middle where there is none to ask.
TREES, TREES_TRIED = 150, (60, 100, 150, 250)
SPLINE_PENALTY = 5.0
# Below these a fitted model has nothing to learn from.
FEWEST_CUSTOMERS, FEWEST_OF_EACH = 200, 30
# What the members' weights are with customers without end, before a past date has spoken. The customer base counts
# twice: fitted on few numbers, it is the safe one; plain RFM half, since the splines look at the same.
BEGIN = {"btyd": 2 / 4.5, "rfm": 0.5 / 4.5, "splines": 1 / 4.5, "trees": 1 / 4.5}
# Customers with whom the rest of the weight is shared by halves, between the customer base and all members: what the
# others err by for want of rows falls with their number, what the customer base errs by does not.
HALF_SAFE = 400
# Parts of the customers that members are left without, where no earlier date could judge them; and how strongly their
# weights are drawn back then: more customers do not tell more of how the shop will change.
FOLDS, YOUNG_PULL = 4, 0.005
# Parts of a silence that the rule looks at.
PARTS = (1.0, 0.75, 0.5, 0.25, 0.0)

RFM = Recipe(
    {"recency_days": (True, 0), "frequency": (True, 0), "T_days": (True, 0), "spend_mean": (True, 0)},
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


@dataclass(frozen=True)
class GapRule:
    """P(the silence lasts another horizon), read off the shop's own gaps: the rule of the smallest logs.

    ``times`` are lengths of gaps in days, completed or still open; ``alive`` is the product-limit estimate of
    P(gap > t) at each, ``at_risk`` how many gaps lasted at least that long.
    """

    times: tuple[float, ...]
    alive: tuple[float, ...]
    at_risk: tuple[float, ...]

    def probability(self, recency_days: Array, horizon_days: Array | float) -> Array:
        """Return P(no purchase in the horizon | silence so far), smoothed by one who comes and one who goes.

        It is no lower than after a part of the silence: few gaps last as long as the longest, and what is known of
        many shorter ones holds for those, too.
        """
        shortest = np.minimum(recency_days, 1.0)
        silences = [np.maximum(part * recency_days, shortest) for part in PARTS]
        return np.asarray(np.max([self._outlasting(silence, horizon_days) for silence in silences], axis=0))

    def _outlasting(self, recency_days: Array, horizon_days: Array | float) -> Array:
        # the day that begins at the as_of is still to come: after r days of silence the gap is r days or longer
        alive, at_risk = np.r_[1.0, self.alive], np.r_[self.at_risk, 0.0]
        now = np.searchsorted(self.times, recency_days, side="left")
        then = np.searchsorted(self.times, recency_days + horizon_days, side="left")
        kept = alive[then] / np.maximum(alive[now], 1e-12)
        # gaps of which one knows: those that ended within the horizon, those that outlasted it
        seen = at_risk[now] * (1.0 - kept) + at_risk[then]
        return np.asarray((kept * seen + 1.0) / (seen + 2.0))


@dataclass(frozen=True)
class ChurnModel:
    """What gives P(no purchase in the horizon); see the module.

    ``weights`` names the members that speak: ``btyd``, ``rfm``, ``splines``, ``trees``, or ``rule``.
    """

    method: Method
    horizon_days: int
    weights: Mapping[str, float]
    level: float
    rule: GapRule
    rfm: glm.LogisticModel | None = None
    splines: glm.LogisticModel | None = None
    trees: Boosted | None = None

    def margins(self, columns: Mapping[str, Array], threads: int = 0) -> dict[str, Array]:
        """Return each speaking member's log odds, one per row."""
        margins: dict[str, Array] = {}
        for name in self.weights:
            if name == "rule":
                margins[name] = log_odds(self.rule.probability(columns["recency_days"], self.horizon_days))
            elif name == "btyd":
                margins[name] = columns["btyd_none"]
            elif name == "rfm" and self.rfm is not None:
                margins[name] = self.rfm.margin(columns)
            elif name == "splines" and self.splines is not None:
                margins[name] = self.splines.margin(columns)
            elif name == "trees" and self.trees is not None:
                margins[name] = self.trees.raw(columns, threads)
        return {name: np.clip(margin, -13.0, 13.0) for name, margin in margins.items()}

    def margin(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return the pooled log odds of no purchase, one per row."""
        return blend.pooled(self.margins(columns, threads), self.weights) + self.level

    def probability(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return P(no purchase in the horizon), one per row."""
        return np.asarray(expit(self.margin(columns, threads)))

    def to_json(self) -> dict[str, Any]:
        """Return everything but the trees, whose text is a file of its own."""
        return {
            "method": self.method,
            "horizon_days": self.horizon_days,
            "weights": dict(self.weights),
            "level": self.level,
            "rule": {
                "times": list(self.rule.times),
                "alive": list(self.rule.alive),
                "at_risk": list(self.rule.at_risk),
            },
            "rfm": None if self.rfm is None else self.rfm.to_json(),
            "splines": None if self.splines is None else self.splines.to_json(),
            "trees": None if self.trees is None else list(self.trees.columns),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], trees: str | None) -> ChurnModel:
        return cls(
            data["method"],
            int(data["horizon_days"]),
            {name: float(w) for name, w in data["weights"].items()},
            float(data["level"]),
            GapRule(**{name: tuple(values) for name, values in data["rule"].items()}),
            None if data["rfm"] is None else glm.LogisticModel.from_json(data["rfm"]),
            None if data["splines"] is None else glm.LogisticModel.from_json(data["splines"]),
            None if trees is None else Boosted(trees, tuple(data["trees"])),
        )


def enough(frame: Frame) -> bool:
    """Say whether there is anything to learn from a date: customers enough of either kind, and not all alike."""
    inactive = int(frame.inactive.sum())
    if len(frame) < FEWEST_CUSTOMERS or min(inactive, len(frame) - inactive) < FEWEST_OF_EACH:
        return False
    return float(np.ptp(frame.columns["recency_days"])) > 0


def fit_churn(panel: Panel, rule: GapRule, horizon_days: int, seed: int) -> ChurnModel:
    """Fit the members on every date of the panel, their weights on the newest, and choose the rung of the ladder.

    For the weights, and for how many trees there are, the members are fitted once more on the dates whose horizon was
    over before the newest began. A log too young to have any learns the weights from customers whom the members were
    not fitted on.
    """
    if panel.base is None:
        return ChurnModel("rule", horizon_days, {"rule": 1.0}, 0.0, rule)
    dates = _alike([frame for frame in panel.dates if enough(frame)], panel.base)
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
        margins = _margins_of_others(dates, begin, rule, horizon_days, seed)
        weights = blend.pool_weights(margins, newest.inactive, begin, YOUNG_PULL)
    fitted = _fit_members(dates, weights, rule, horizon_days, seed, trees)
    season = year_back(dates, panel.history_days)
    if season is None:
        shift = blend.level_shift(fitted.margin(newest.columns), newest.inactive)
    else:
        # trees learn the level of a date that they are fitted on, so members that did not see that season are asked
        others = unseen(dates, season, horizon_days)
        judge = _fit_members(others, weights, rule, horizon_days, seed, trees) if others else fitted
        shift = blend.level_shift(judge.margin(season.columns), season.inactive)
    speaking = {name: weight for name, weight in weights.items() if weight > 1e-4}
    total = sum(speaking.values())
    return ChurnModel(
        "blend",
        horizon_days,
        {name: weight / total for name, weight in speaking.items()},
        blend.carried_level(shift),
        rule,
        fitted.rfm if "rfm" in speaking else None,
        fitted.splines if "splines" in speaking else None,
        fitted.trees if "trees" in speaking else None,
    )


def weights_to_begin(customers: int) -> dict[str, float]:
    """Return what the members' weights are before a past date has spoken: the fewer customers, the more customer base.

    >>> round(weights_to_begin(400)["btyd"], 3), round(weights_to_begin(1_000_000)["btyd"], 3)
    (0.722, 0.445)
    """
    safe = HALF_SAFE / (HALF_SAFE + customers)
    return {name: (1 - safe) * weight + safe * (name == "btyd") for name, weight in BEGIN.items()}


def _margins_of_others(
    dates: Sequence[Frame], weights: Mapping[str, float], rule: GapRule, horizon_days: int, seed: int
) -> dict[str, Array]:
    """Return the members' log odds on the newest date, each customer's from members fitted on other customers."""
    customers = np.unique(np.concatenate([frame.customer for frame in dates]))
    folds = [np.searchsorted(customers, frame.customer) % FOLDS for frame in dates]
    margins = {name: np.empty(len(dates[0])) for name in weights}
    for k in range(FOLDS):
        inside = [frame.of(np.flatnonzero(fold != k)) for frame, fold in zip(dates, folds, strict=True)]
        outside = np.flatnonzero(folds[0] == k)
        fitted = _fit_members(inside, weights, rule, horizon_days, seed, TREES)
        for name, margin in fitted.margins(dates[0].of(outside).columns).items():
            margins[name][outside] = margin
    return margins


def _alike(dates: Sequence[Frame], base: CustomerBase) -> list[Frame]:
    """Return the dates with the columns that all of them and the as_of have: a customer-base model may lack at one."""
    now = {f"btyd_none_{model.name}" for model in base.models}
    kept = [
        name
        for name in (dates[0].columns if dates else ())
        if all(name in frame.columns for frame in dates) and (name in now or not name.startswith("btyd_none_"))
    ]
    return [replace(frame, columns={name: frame.columns[name] for name in kept}) for frame in dates]


def _stop(trees: Boosted, later: Frame) -> int:
    """Return after how many trees the log loss on a later date is least, whatever the level of that date."""

    def loss(count: int) -> float:
        margin = trees.first(count).raw(later.columns)
        return log_loss(later.inactive, expit(margin + blend.level_shift(margin, later.inactive)))

    return min(TREES_TRIED, key=loss)


def _fit_members(
    dates: Sequence[Frame], weights: Mapping[str, float], rule: GapRule, horizon_days: int, seed: int, trees: int
) -> ChurnModel:
    columns = stack(dates)
    target = np.concatenate([frame.inactive for frame in dates])
    weight = np.ones(len(target))
    alive = varying(dates, list(columns))
    names = learnable(dates, alive)
    rfm = Recipe({name: how for name, how in RFM.columns.items() if name in alive})
    splines = Recipe({name: how for name, how in SPLINES.columns.items() if name in alive})
    boosted = boosting.fit(columns, names, target.astype(np.float64), weight, "binary", trees=trees, seed=seed)
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
