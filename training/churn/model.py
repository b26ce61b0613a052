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
from typing import Any, Literal

import numpy as np
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.training.learners import blend, glm
from stagecast.training.learners.boosting import Boosted
from stagecast.training.learners.customer_base import log_odds

Method = Literal["rule", "btyd", "blend"]
WeighedBy = Literal["later_date", "other_customers"]

# Parts of a silence that the rule looks at.
PARTS = (1.0, 0.75, 0.5, 0.25, 0.0)


@dataclass(frozen=True)
class GapRule:
    """P(the silence lasts another horizon), read off the shop's own gaps: the rule of the smallest
    logs.

    ``times`` are lengths of gaps in days, completed or still open; ``alive`` is the product-limit
    estimate of P(gap > t) at each, ``at_risk`` how many gaps lasted at least that long.
    """

    times: tuple[float, ...]
    alive: tuple[float, ...]
    at_risk: tuple[float, ...]

    def probability(self, recency_days: Array, horizon_days: Array | float) -> Array:
        """Return P(no purchase in the horizon | silence so far), smoothed by one who comes and one
        who goes.

        It is no lower than after a part of the silence: few gaps last as long as the longest, and
        what is known of many shorter ones holds for those, too.
        """
        shortest = np.minimum(recency_days, 1.0)
        silences = [np.maximum(part * recency_days, shortest) for part in PARTS]
        return np.asarray(
            np.max([self._outlasting(silence, horizon_days) for silence in silences], axis=0)
        )

    def _outlasting(self, recency_days: Array, horizon_days: Array | float) -> Array:
        # the day that begins at the as_of is still to come: after r days of silence the gap is r
        # days or longer
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

    ``weights`` names the members that speak: ``btyd``, ``rfm``, ``splines``, ``trees``, or
    ``rule``; ``weighed_by`` says what told them, None where one speaks alone. ``drawn`` is the part
    of the level that goes towards the customer base, since no season is known; the rest is what the
    season, or else the newest date, asked for.
    """

    method: Method
    horizon_days: int
    weights: Mapping[str, float]
    level: float
    rule: GapRule
    rfm: glm.LogisticModel | None = None
    splines: glm.LogisticModel | None = None
    trees: Boosted | None = None
    weighed_by: WeighedBy | None = None
    drawn: float = 0.0

    def margins(self, columns: Mapping[str, Array], threads: int = 0) -> dict[str, Array]:
        """Return each speaking member's log odds, one per row."""
        margins: dict[str, Array] = {}
        for name in self.weights:
            if name == "rule":
                margins[name] = log_odds(
                    self.rule.probability(columns["recency_days"], self.horizon_days)
                )
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
            "weighed_by": self.weighed_by,
            "drawn": self.drawn,
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
            data["weighed_by"],
            float(data["drawn"]),
        )
