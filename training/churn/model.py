"""P(no purchase in the horizon) for buyers: members, their pool, and the ladder for small logs.

The members are the customer-base models (MBG/NBD and Pareto/NBD), a logistic regression on log RFM,
one with splines that also hears the customer-base models, and LightGBM. They are pooled in log odds
with weights learned on what they were not fitted on, a later window or other customers, then
shifted to the level that the season asks for. Where there is too little to learn from, the
customer-base models speak alone; where these cannot be fitted, a rule on the shop's gaps does. How
all that is fitted stands in :mod:`stagecast.training.churn.fitting`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from stagecast.features.arrays import Array
from stagecast.training.churn.members import GapRule, GapRuleOdds, members_to_json, read_members
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.pool import CustomerBaseOdds, Member, Pool

Method = Literal["rule", "btyd", "blend"]
WeighedBy = Literal["later_date", "other_customers"]


@dataclass(frozen=True)
class ChurnModel:
    """What gives P(no purchase in the horizon); see the module.

    Parameters
    ----------
    method
        The rung of the ladder.
    horizon_days
        What it was trained for.
    weights
        Member that speaks -> weight: ``btyd``, ``rfm``, ``splines``, ``trees``, or ``rule``.
    level
        What is added to the pooled log odds.
    rule
        The rule on the shop's gaps; also where it does not speak, it gives dates of orders.
    members
        Name -> member, for each of ``weights``.
    weighed_by
        What the weights were learned on; None where one member speaks alone.
    drawn
        The part of the level that goes towards the customer base, since no season is known; the
        rest is what the season, or else the newest date, asked for.
    """

    method: Method
    horizon_days: int
    weights: Mapping[str, float]
    level: float
    rule: GapRule
    members: Mapping[str, Member]
    weighed_by: WeighedBy | None = None
    drawn: float = 0.0

    @cached_property
    def pool(self) -> Pool:
        """The members that speak, with their weights and the level."""
        return Pool(self.members, self.weights, self.level)

    def margins(self, columns: Mapping[str, Array], threads: int = 0) -> dict[str, Array]:
        """Return each member's log odds, shape (rows,)."""
        return self.pool.margins(columns, threads)

    def margin(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return the pooled log odds of no purchase, shape (rows,)."""
        return self.pool.margin(columns, threads)

    def probability(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return P(no purchase in the horizon), shape (rows,)."""
        return self.pool.probability(columns, threads)

    @property
    def trees(self) -> Boosted | None:
        """The boosted member; None where it does not speak."""
        trees = self.members.get("trees")
        return trees if isinstance(trees, Boosted) else None

    def to_json(self) -> dict[str, Any]:
        """Return everything but the trees, whose text is a file of its own."""
        return {
            "method": self.method,
            "horizon_days": self.horizon_days,
            "weights": dict(self.weights),
            "level": self.level,
            "weighed_by": self.weighed_by,
            "drawn": self.drawn,
            "rule": {
                "times": list(self.rule.times),
                "alive": list(self.rule.alive),
                "at_risk": list(self.rule.at_risk),
            },
            **members_to_json(self.members),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], trees: str | None) -> ChurnModel:
        """Read what :meth:`to_json` gives, with the text of the trees.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is something else.
        """
        horizon_days = int(data["horizon_days"])
        weights = {name: float(weight) for name, weight in data["weights"].items()}
        rule = GapRule(**{name: tuple(values) for name, values in data["rule"].items()})
        return cls(
            data["method"],
            horizon_days,
            weights,
            float(data["level"]),
            rule,
            read_members(data, weights, trees, GapRuleOdds(rule, horizon_days)),
            data["weighed_by"],
            float(data["drawn"]),
        )


def rule_alone(rule: GapRule, horizon_days: int) -> ChurnModel:
    """Return the model of a log too small for any other: the rule on its gaps."""
    member = {"rule": GapRuleOdds(rule, horizon_days)}
    return ChurnModel("rule", horizon_days, {"rule": 1.0}, 0.0, rule, member)


def customer_base_alone(rule: GapRule, horizon_days: int) -> ChurnModel:
    """Return the model of a log without a date to learn from: the customer-base models."""
    member = {"btyd": CustomerBaseOdds()}
    return ChurnModel("btyd", horizon_days, {"btyd": 1.0}, 0.0, rule, member)
