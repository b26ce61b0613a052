"""P(stage at the end of the horizon), for every stage of the scheme.

    P(stage) = P(purchase) * P(stage | purchase) + P(no purchase) * P(stage | no purchase)

P(purchase) is that of the churn or the conversion model, so the next stage agrees with both by
construction.

P(stage | purchase) is a pool of a Markov chain on stages, a penalised multinomial regression and
LightGBM, in log probability, with weights learned on a later window. The chain determines which
stages can follow, and is used alone with few purchases. Where counts are few it follows the rules
of the scheme; of a stage that the other members have not seen, only the chain speaks.

P(stage | no purchase) is certain where the rules use purchases only: it is the stage that silence
leads to. Where they use other events as well, it comes from a Markov chain from that stage, and for
prospects from a multinomial regression. Stages that cannot follow have probability exactly 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.linear import MultinomialModel
from stagecast.training.learners.pool import ClassMember, pooled_classes

FEWEST_ROWS = 300
"""Least number of purchases that regression and trees are fitted on."""

PRIOR_WEIGHTS: Mapping[str, float] = {"chain": 0.1, "linear": 0.45, "trees": 0.45}
"""Weights of the pool without a later window, towards which learned weights are shrunk."""


@dataclass(frozen=True)
class NextStageModel:
    """P(stage at the end of the horizon | purchase or none), with the Markov chain as baseline.

    Parameters
    ----------
    after_purchase
        P(stage | purchase) by current stage, shape (stages, stages); rows sum to 1.
    without_purchase
        P(stage | no purchase) by the stage that silence leads to, same shape.
    chain
        P(stage) by current stage, same shape: the baseline.
    linear, trees
        Members of the pool of P(stage | purchase); None with too few purchases.
    classes
        Positions of the stages that they were fitted on.
    unseen
        Positions of the other stages that the rules say can be reached: members give them the
        probability of ``after_purchase``.
    weights
        Weights of ``chain`` (here ``after_purchase``), ``linear`` and ``trees`` in the pool.
    prospects
        P(stage | no purchase) of prospects; None where too few of them moved on.
    prospect_classes
        Positions of the stages that it was fitted on.
    """

    after_purchase: Array
    without_purchase: Array
    chain: Array
    linear: MultinomialModel | None
    trees: Boosted | None
    classes: tuple[int, ...]
    weights: Mapping[str, float] = field(default_factory=lambda: dict(PRIOR_WEIGHTS))
    prospects: MultinomialModel | None = None
    prospect_classes: tuple[int, ...] = ()
    unseen: tuple[int, ...] = ()

    def given_purchase(
        self, columns: Mapping[str, Array], stage: NDArray[np.int64], threads: int = 0
    ) -> Array:
        """Return P(stage | purchase), shape (rows, stages); 0 for impossible stages."""
        prior = self.after_purchase[stage]
        if self.linear is None or self.trees is None or not len(stage):
            return prior
        logs = self.member_logs(columns, stage, threads)
        return pooled_classes(logs, self.weights, possible=np.isfinite(logs["chain"]))

    def member_logs(
        self, columns: Mapping[str, Array], stage: NDArray[np.int64], threads: int = 0
    ) -> dict[str, Array]:
        """Return log P(stage | purchase) by member; minus infinity for impossible stages."""
        prior = self.after_purchase[stage]
        with np.errstate(divide="ignore"):
            logs = {"chain": np.log(prior)}
        for name, member in self.members.items():
            of_member = self._with_unseen(member.log_probability(columns, threads), prior)
            logs[name] = np.where(prior > 0, of_member, -np.inf)
        return logs

    def _with_unseen(self, logs: Array, prior: Array) -> Array:
        """Return log probabilities of a member that give unseen stages what the chain gives."""
        if not self.unseen:
            return logs
        unseen = list(self.unseen)
        with np.errstate(divide="ignore"):
            logs = logs + np.log1p(-prior[:, unseen].sum(axis=1, keepdims=True))
            logs[:, unseen] = np.log(prior[:, unseen])
        return logs

    @cached_property
    def members(self) -> dict[str, ClassMember]:
        """The fitted members of the pool, without the chain."""
        models = {"linear": self.linear, "trees": self.trees}
        return {
            name: ClassMember(model, self.classes, self.after_purchase.shape[1])
            for name, model in models.items()
            if model is not None
        }

    def given_silence(
        self, columns: Mapping[str, Array], silent: NDArray[np.int64], prospects: NDArray[np.bool_]
    ) -> Array:
        """Return P(stage | no purchase), shape (rows, stages).

        Parameters
        ----------
        columns
            Features and the counts of the scheme's signals, shape (rows,) each.
        silent
            Position of the stage that silence leads to, shape (rows,).
        prospects
            Whether the customer has not bought yet, shape (rows,).
        """
        prior = self.without_purchase[silent]
        rows = np.flatnonzero(prospects)
        if self.prospects is None or not len(rows):
            return prior
        # of stages that the regression has not seen, only the chain speaks
        regression, classes = prior[rows].copy(), list(self.prospect_classes)
        unseen = regression.sum(axis=1) - regression[:, classes].sum(axis=1)
        regression[:, classes] = (1.0 - unseen[:, None]) * self.prospects.probability(
            {name: values[rows] for name, values in columns.items()}
        )
        # equal weights in log probability; stages that the chain excludes stay at 0
        pooled = np.sqrt(prior[rows] * np.maximum(regression, 1e-9))
        result = prior.copy()
        result[rows] = pooled / pooled.sum(axis=1, keepdims=True)
        return result

    def to_json(self) -> dict[str, Any]:
        """Return the model as plain data; the text of the trees is stored separately."""
        return {
            "after_purchase": self.after_purchase.tolist(),
            "without_purchase": self.without_purchase.tolist(),
            "chain": self.chain.tolist(),
            "linear": None if self.linear is None else self.linear.to_json(),
            "trees": None if self.trees is None else list(self.trees.columns),
            "classes": list(self.classes),
            "weights": dict(self.weights),
            "prospects": None if self.prospects is None else self.prospects.to_json(),
            "prospect_classes": list(self.prospect_classes),
            **({"unseen": list(self.unseen)} if self.unseen else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], trees: str | None) -> NextStageModel:
        return cls(
            np.array(data["after_purchase"], dtype=np.float64),
            np.array(data["without_purchase"], dtype=np.float64),
            np.array(data["chain"], dtype=np.float64),
            None if data["linear"] is None else MultinomialModel.from_json(data["linear"]),
            None if trees is None else Boosted.read(trees, data["trees"]),
            tuple(data["classes"]),
            {name: float(weight) for name, weight in data["weights"].items()},
            None if data["prospects"] is None else MultinomialModel.from_json(data["prospects"]),
            tuple(data["prospect_classes"]),
            tuple(data.get("unseen", ())),
        )


def stages_at_end(p_purchase: Array, given_purchase: Array, given_silence: Array) -> Array:
    """Return P(stage at the end of the horizon), shape (rows, stages); each row sums to 1.

    Parameters
    ----------
    p_purchase
        P(a purchase in the horizon), shape (rows,).
    given_purchase, given_silence
        P(stage | purchase) and P(stage | no purchase), shape (rows, stages).
    """
    result = p_purchase[:, None] * given_purchase + (1.0 - p_purchase[:, None]) * given_silence
    return np.asarray(result / result.sum(axis=1, keepdims=True))
