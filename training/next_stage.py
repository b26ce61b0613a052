"""P(stage at the end of the horizon), for every stage of the scheme.

Without a purchase the stage at the end is no matter of chance: the rules say where silence leads. So

    P(stage) = P(no purchase) * [the stage that silence leads to] + P(purchase) * P(stage | purchase),

and only the last factor is learned: by a penalised multinomial regression and LightGBM, averaged in log probability. A
Markov chain on stages says what can follow at all, and speaks alone where purchases are few. Stages that cannot follow
have probability 0, and the next stage agrees with the churn probability by construction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from features.journeys import after_silence
from features.stages import Scheme
from training import boosting, glm
from training.boosting import Boosted
from training.churn import NOT_FOR_TREES
from training.design import Recipe
from training.panel import Frame, stack, varying

Array = NDArray[np.float64]

TREES = 100
FEWEST_ROWS = 300
PENALTY = 5.0
# The chain's counts are smoothed by this many customers per stage that can follow.
SMOOTHING = 0.5

RECIPE = Recipe(
    {
        "recency_days": (True, 3),
        "orders": (True, 3),
        "overdue_ratio": (True, 4),
        "return_ratio": (True, 0),
        "rhythm_days": (True, 3),
        "spend": (True, 4),
        "spend_mean": (True, 0),
        "orders_90d": (True, 0),
        "orders_365d": (True, 0),
        "btyd_orders": (True, 0),
        "btyd_none_mbg_nbd": (False, 0),
    }
)


@dataclass(frozen=True)
class NextStageModel:
    """P(stage at the end | a purchase in the horizon), and the plain Markov chain it is measured against.

    ``after_purchase`` has one row per present stage, ``chain`` likewise but without regard to purchases; both are
    probabilities over the scheme's stages. ``linear`` and ``trees`` are None where there were too few purchases.
    """

    after_purchase: Array
    chain: Array
    linear: glm.MultinomialModel | None
    trees: Boosted | None
    classes: tuple[int, ...]

    def given_purchase(self, columns: Mapping[str, Array], stage: NDArray[np.int64], threads: int = 0) -> Array:
        """Return P(stage | purchase), shape (rows, stages); rows sum to 1, impossible stages are 0."""
        prior = self.after_purchase[stage]
        if self.linear is None or self.trees is None or not len(stage):
            return prior
        with np.errstate(divide="ignore"):
            logs = np.log(prior)
        spread = np.full_like(prior, np.log(1e-9))
        spread[:, list(self.classes)] = 0.5 * np.log(np.maximum(self.linear.probability(columns), 1e-9)) + 0.5 * np.log(
            np.maximum(self._boosted(columns, threads), 1e-9)
        )
        # what the chain has never seen and the scheme forbids stays at 0
        return np.asarray(softmax(np.where(np.isfinite(logs), spread, -np.inf), axis=1))

    def _boosted(self, columns: Mapping[str, Array], threads: int) -> Array:
        if self.trees is None or len(self.classes) == 1:
            return np.ones((len(next(iter(columns.values()))), 1))
        return np.asarray(softmax(self.trees.raw(columns, threads), axis=1))

    def to_json(self) -> dict[str, Any]:
        """Return everything but the trees, whose text is a file of its own."""
        return {
            "after_purchase": self.after_purchase.tolist(),
            "chain": self.chain.tolist(),
            "linear": None if self.linear is None else self.linear.to_json(),
            "trees": None if self.trees is None else list(self.trees.columns),
            "classes": list(self.classes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], trees: str | None) -> NextStageModel:
        return cls(
            np.array(data["after_purchase"], dtype=np.float64),
            np.array(data["chain"], dtype=np.float64),
            None if data["linear"] is None else glm.MultinomialModel.from_json(data["linear"]),
            None if trees is None else Boosted(trees, tuple(data["trees"])),
            tuple(data["classes"]),
        )


def stages_at_end(
    scheme: Scheme,
    features: Mapping[str, Array],
    p_purchase: Array,
    given_purchase: Array,
    horizon_days: int,
) -> Array:
    """Return P(stage at the end of the horizon), shape (rows, stages); each row sums to 1.

    Parameters
    ----------
    features
        At the as_of, as far as the scheme's rules look at them.
    p_purchase
        P(a purchase in the horizon), one per row.
    given_purchase
        P(stage | purchase), shape (rows, stages).
    """
    silent = scheme.assign(after_silence(features, horizon_days))
    result = p_purchase[:, None] * given_purchase
    result[np.arange(len(silent)), silent] += 1.0 - p_purchase
    return np.asarray(result / result.sum(axis=1, keepdims=True))


def fit_next_stage(scheme: Scheme, dates: Sequence[Frame], prospects: Sequence[Frame], seed: int) -> NextStageModel:
    """Fit on every date of a panel; falls to the Markov chain where fewer than ``FEWEST_ROWS`` purchases came."""
    frames = [*dates, *prospects]
    after = _transitions(scheme, frames, purchases_only=True)
    chain = _transitions(scheme, frames, purchases_only=False)
    bought = [~frame.inactive for frame in dates]
    rows = int(sum(b.sum() for b in bought))
    if rows < FEWEST_ROWS:
        return NextStageModel(after, chain, None, None, ())
    columns = {name: values[np.concatenate(bought)] for name, values in stack(dates).items()}
    target = np.concatenate([frame.stage_after[b] for frame, b in zip(dates, bought, strict=True)])
    classes, coded = np.unique(target, return_inverse=True)
    alive = varying(dates, list(columns))
    names = [name for name in alive if name not in NOT_FOR_TREES]
    recipe = Recipe({name: how for name, how in RECIPE.columns.items() if name in alive})
    weight = np.ones(rows)
    linear = glm.fit_multinomial(recipe, columns, coded.astype(np.int64), weight, PENALTY)
    trees = boosting.fit(
        columns,
        names,
        coded.astype(np.float64),
        weight,
        "multiclass" if len(classes) > 1 else "regression",
        trees=TREES if len(classes) > 1 else 1,
        seed=seed,
        classes=len(classes) if len(classes) > 1 else None,
        learning_rate=0.05,
    )
    return NextStageModel(after, chain, linear, trees, tuple(int(c) for c in classes))


def _transitions(scheme: Scheme, frames: Sequence[Frame], *, purchases_only: bool) -> Array:
    """Return smoothed transition probabilities between stages over one horizon, from the frames' counts."""
    count = len(scheme.stages)
    reachable = scheme.reachable()
    allowed = np.array([[b in reachable[a] for b in scheme.ids] for a in scheme.ids], dtype=np.float64)
    never = [any(math.isinf(c.limit(scheme.thresholds)) for c in stage.rule) for stage in scheme.stages]
    allowed[:, never] = 0.0
    if purchases_only:
        # whoever has bought is no prospect any more, and stages of one order only are left by a second
        allowed *= _after_another_order(scheme)
    seen = np.zeros((count, count))
    for frame in frames:
        kept = ~frame.inactive if purchases_only else np.ones(len(frame), dtype=np.bool_)
        np.add.at(seen, (frame.stage[kept], frame.stage_after[kept]), 1.0)
    seen = np.where(allowed > 0, seen + SMOOTHING * allowed / count, 0.0)
    # a stage nobody stands on still needs a row that sums to 1
    empty = seen.sum(axis=1) == 0
    seen[empty] = np.eye(count)[empty]
    return np.asarray(seen / seen.sum(axis=1, keepdims=True))


def _after_another_order(scheme: Scheme) -> Array:
    """Return 1 where a stage can stand at the end of a horizon with an order in it, from each stage."""
    allowed = np.ones((len(scheme.stages), len(scheme.stages)))
    for j, stage in enumerate(scheme.stages):
        exact = {float(c.bound) for c in stage.rule if c.feature == "orders" and c.operator == "=="}
        for i, present in enumerate(scheme.stages):
            had = 0.0 if present.state == "prospect" else 1.0
            if any(orders <= had for orders in exact):
                allowed[i, j] = 0.0
    return allowed
