"""P(no purchase in the horizon) of buyers: a pool of members, and simpler methods for small logs.

The members are the customer-base models (MBG/NBD and Pareto/NBD), a logistic regression on log RFM,
one with splines that also uses the customer-base models, and LightGBM. They are pooled in log odds
with weights learned on rows that they were not fitted on (of a later window or of other customers),
then shifted to the level of the season. A hazard of periods joins them at a fixed weight, without
moving the mean probability (:mod:`stagecast.training.inactivity.hazard`). With few customers the
pool has two members, the customer-base models and the regression on RFM; with too few for a
regression, the customer-base models are used alone; where these cannot be fitted, a rule on the
gaps between purchases. A simple method that was better than the pool beyond chance replaces it. See
:mod:`stagecast.training.inactivity.fitting` and :mod:`stagecast.training.inactivity.few_customers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

from stagecast.features.arrays import Array
from stagecast.training.inactivity.hazard.odds import NAME as HAZARD
from stagecast.training.inactivity.hazard.odds import HazardOdds
from stagecast.training.inactivity.members import (
    GapRule,
    GapRuleOdds,
    OwnOdds,
    members_to_json,
    read_members,
)
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.pool import CustomerBaseOdds, Member, Pool

Method = Literal["rule", "btyd", "blend"]
WeighedBy = Literal["later_date", "other_customers"]


@dataclass(frozen=True)
class ChurnModel:
    """Model of P(no purchase in the horizon); see the module.

    Parameters
    ----------
    method
        ``blend`` (the pool), ``btyd`` (customer-base models alone) or ``rule`` (the rule on gaps).
    horizon_days
        Horizon that it was trained for, in days.
    weights
        Member -> weight: ``btyd``, ``rfm``, ``splines``, ``trees``, ``hazard``, or one of
        ``rule``, ``share`` and ``recency`` alone.
    level
        Constant that is added to the pooled log odds.
    rule
        The rule on the gaps between purchases; with any method, it gives the dates of the next
        order where there is no customer base.
    members
        Name -> member, for each of ``weights``. Both are held by name in the order in which a
        bundle stores them, since sums of floats depend on it.
    weighed_by
        Rows that the weights were learned on; None where there is one member.
    drawn
        Part of ``level`` that moves the pool towards the customer base, where no season is known.
        The rest calibrates the pool on the season, or else on the newest date.
    few_customers
        Whether there were too few customers for splines and trees.
    by_calendar
        Part of ``level`` that the occasions of the calendar make.
    alone
        The only member, where it replaced a pool that was worse beyond chance.
    by_season
        Share, 0 to 1, of a model of the season in ``level``; past years say the rest of it.
    """

    method: Method
    horizon_days: int
    weights: Mapping[str, float]
    level: float
    rule: GapRule
    members: Mapping[str, Member]
    weighed_by: WeighedBy | None = None
    drawn: float = 0.0
    few_customers: bool = False
    by_calendar: float = 0.0
    alone: str | None = None
    by_season: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", dict(sorted(self.weights.items())))
        object.__setattr__(self, "members", dict(sorted(self.members.items())))

    @cached_property
    def pool(self) -> Pool:
        """The pool of the members."""
        return Pool(self.members, self.weights, self.level)

    def margins(self, columns: Mapping[str, Array], threads: int = 0) -> dict[str, Array]:
        """Return the log odds of each member, shape (rows,)."""
        return self.pool.margins(columns, threads)

    def margin(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return the pooled log odds of no purchase, shape (rows,)."""
        return self.pool.margin(columns, threads)

    def probability(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return P(no purchase in the horizon), shape (rows,)."""
        return self.pool.probability(columns, threads)

    @property
    def season_log_odds(self) -> float:
        """Part of ``level`` that holds for the season of the horizon, not for the year."""
        return self.level - self.drawn

    @property
    def trees(self) -> Boosted | None:
        """The boosted member; None where it has no weight."""
        trees = self.members.get("trees")
        return trees if isinstance(trees, Boosted) else None

    @property
    def hazard(self) -> HazardOdds | None:
        """The hazard of periods; None where it is not a member."""
        member = self.members.get(HAZARD)
        return member if isinstance(member, HazardOdds) else None

    @property
    def own(self) -> dict[str, OwnOdds]:
        """The members of the user, by name."""
        return {name: m for name, m in self.members.items() if isinstance(m, OwnOdds)}

    @property
    def low_data(self) -> bool:
        """Whether there was too little data for the whole pool."""
        return self.method != "blend" or self.few_customers

    def at_level(self, level: float) -> ChurnModel:
        """Return the model with another level."""
        return replace(self, level=level)

    def to_json(self) -> dict[str, Any]:
        """Return the model as plain data; the texts of trees are stored separately."""
        return {
            "method": self.method,
            "horizon_days": self.horizon_days,
            "weights": dict(self.weights),
            "level": self.level,
            "weighed_by": self.weighed_by,
            "drawn": self.drawn,
            **({"few_customers": True} if self.few_customers else {}),
            **({"by_calendar": self.by_calendar} if self.by_calendar else {}),
            **({"alone": self.alone} if self.alone else {}),
            **({"by_season": self.by_season} if self.by_season else {}),
            "rule": {
                "times": list(self.rule.times),
                "alive": list(self.rule.alive),
                "at_risk": list(self.rule.at_risk),
            },
            **members_to_json(self.members),
        }

    @classmethod
    def from_json(
        cls,
        data: Mapping[str, Any],
        trees: str | None,
        own: Mapping[str, Any] = MappingProxyType({}),
        hazard_trees: str | None = None,
    ) -> ChurnModel:
        """Read what :meth:`to_json` returns, with the texts of the trees and of the hazard.

        ``own`` holds the classifiers of the user by name.

        Raises
        ------
        KeyError, TypeError, ValueError
            ``data`` does not have that form.
        """
        horizon_days = int(data["horizon_days"])
        weights = {name: float(weight) for name, weight in data["weights"].items()}
        gap_rule = GapRule(**{name: tuple(values) for name, values in data["rule"].items()})
        return cls(
            data["method"],
            horizon_days,
            weights,
            float(data["level"]),
            gap_rule,
            read_members(
                data, weights, trees, GapRuleOdds(gap_rule, horizon_days), own, hazard_trees
            ),
            data["weighed_by"],
            float(data["drawn"]),
            bool(data.get("few_customers", False)),
            float(data.get("by_calendar", 0.0)),
            None if data.get("alone") is None else str(data["alone"]),
            float(data.get("by_season", 0.0)),
        )


def rule_alone(rule: GapRule, horizon_days: int) -> ChurnModel:
    """Return the model for the smallest logs: the rule on gaps."""
    member = {"rule": GapRuleOdds(rule, horizon_days)}
    return ChurnModel("rule", horizon_days, {"rule": 1.0}, 0.0, rule, member)


def customer_base_pool(rule: GapRule, horizon_days: int, *, few: bool) -> ChurnModel:
    """Return the pool of the customer base alone, at its own level.

    Parameters
    ----------
    rule, horizon_days
        See :class:`ChurnModel`.
    few
        Whether there are too few customers for other members.
    """
    member = {"btyd": CustomerBaseOdds()}
    return ChurnModel("blend", horizon_days, {"btyd": 1.0}, 0.0, rule, member, few_customers=few)


def customer_base_alone(rule: GapRule, horizon_days: int) -> ChurnModel:
    """Return the model for a log without a past date for a regression: the customer base."""
    member = {"btyd": CustomerBaseOdds()}
    return ChurnModel("btyd", horizon_days, {"btyd": 1.0}, 0.0, rule, member)
