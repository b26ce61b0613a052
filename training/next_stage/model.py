"""P(stage at the end of the horizon), for every stage of the scheme.

    P(stage) = P(purchase) * P(stage | purchase) + P(no purchase) * P(stage | no purchase)

The first factor of each is the churn or the conversion model's, so the next stage agrees with both
by construction.

P(stage | purchase) is a pool of a Markov chain on stages, a penalised multinomial regression and
LightGBM, in log probability, with weights learned on a later window. The chain says what can follow
at all, and speaks alone where purchases are few.

P(stage | no purchase) is no matter of chance where the rules look at purchases alone: it is the
stage that silence leads to. Where they count other events as well, a Markov chain from that stage,
and a multinomial regression for prospects, say who moves on without a purchase. Stages that cannot
follow have probability exactly 0.
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


START: Mapping[str, float] = {"chain": 0.1, "linear": 0.45, "trees": 0.45}
"""Weights in the pool where no later window has taught others, and towards which they are
pulled.
"""


@dataclass(frozen=True)
class NextStageModel:
    """P(stage at the end | a purchase in the horizon or none), and the plain Markov chain it is
    measured against.

    ``after_purchase`` has one row per present stage, ``without_purchase`` one per stage that
    silence leads to, ``chain`` one per present stage without regard to purchases; all are
    probabilities over the scheme's stages. ``linear`` and ``trees`` are None where there were too
    few purchases, ``prospects`` where too few prospects moved on; ``weights`` are those of the
    chain, the regression and the trees in the pool.
    """

    after_purchase: Array
    without_purchase: Array
    chain: Array
    linear: MultinomialModel | None
    trees: Boosted | None
    classes: tuple[int, ...]
    weights: Mapping[str, float] = field(default_factory=lambda: dict(START))
    prospects: MultinomialModel | None = None
    prospect_classes: tuple[int, ...] = ()

    def given_purchase(
        self, columns: Mapping[str, Array], stage: NDArray[np.int64], threads: int = 0
    ) -> Array:
        """Return P(stage | purchase), shape (rows, stages); rows sum to 1, impossible stages are
        0.
        """
        prior = self.after_purchase[stage]
        if self.linear is None or self.trees is None or not len(stage):
            return prior
        logs = self.member_logs(columns, stage, threads)
        return pooled_classes(logs, self.weights, possible=np.isfinite(logs["chain"]))

    def member_logs(
        self, columns: Mapping[str, Array], stage: NDArray[np.int64], threads: int = 0
    ) -> dict[str, Array]:
        """Return log P(stage | purchase) by each member; minus infinity where the chain and the
        scheme forbid it.
        """
        prior = self.after_purchase[stage]
        with np.errstate(divide="ignore"):
            logs = {"chain": np.log(prior)}
        for name, member in self.members.items():
            logs[name] = np.where(prior > 0, member.log_probability(columns, threads), -np.inf)
        return logs

    @cached_property
    def members(self) -> dict[str, ClassMember]:
        """The fitted members beside the chain."""
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
            Features, and the counts of the scheme's signals.
        silent
            The stage that silence leads to.
        prospects
            Rows without a purchase so far.
        """
        prior = self.without_purchase[silent]
        rows = np.flatnonzero(prospects)
        if self.prospects is None or not len(rows):
            return prior
        told = np.zeros((len(rows), prior.shape[1]))
        told[:, list(self.prospect_classes)] = self.prospects.probability(
            {n: v[rows] for n, v in columns.items()}
        )
        # half the chain, half the regression, in log probability; what the chain forbids stays at 0
        mixed = np.sqrt(prior[rows] * np.maximum(told, 1e-9))
        result = prior.copy()
        result[rows] = mixed / mixed.sum(axis=1, keepdims=True)
        return result

    def to_json(self) -> dict[str, Any]:
        """Return everything but the trees, whose text is a file of its own."""
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
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], trees: str | None) -> NextStageModel:
        return cls(
            np.array(data["after_purchase"], dtype=np.float64),
            np.array(data["without_purchase"], dtype=np.float64),
            np.array(data["chain"], dtype=np.float64),
            None if data["linear"] is None else MultinomialModel.from_json(data["linear"]),
            None if trees is None else Boosted(trees, tuple(data["trees"])),
            tuple(data["classes"]),
            {name: float(weight) for name, weight in data["weights"].items()},
            None if data["prospects"] is None else MultinomialModel.from_json(data["prospects"]),
            tuple(data["prospect_classes"]),
        )


def stages_at_end(p_purchase: Array, given_purchase: Array, given_silence: Array) -> Array:
    """Return P(stage at the end of the horizon), shape (rows, stages); each row sums to 1.

    Parameters
    ----------
    p_purchase
        P(a purchase in the horizon), one per row.
    given_purchase, given_silence
        P(stage | purchase) and P(stage | no purchase), shape (rows, stages).
    """
    result = p_purchase[:, None] * given_purchase + (1.0 - p_purchase[:, None]) * given_silence
    return np.asarray(result / result.sum(axis=1, keepdims=True))
