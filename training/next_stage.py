"""P(stage at the end of the horizon), for every stage of the scheme.

    P(stage) = P(purchase) * P(stage | purchase) + P(no purchase) * P(stage | no purchase)

The first factor of each is the churn or the conversion model's, so the next stage agrees with both by construction.

P(stage | purchase) is learned by a penalised multinomial regression and LightGBM, averaged in log probability. A Markov
chain on stages says what can follow at all, and speaks alone where purchases are few.

P(stage | no purchase) is no matter of chance where the rules look at purchases alone: it is the stage that silence
leads to. Where they count other events as well, a Markov chain from that stage, and a multinomial regression for
prospects, say who moves on without a purchase. Stages that cannot follow have probability exactly 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from features.conditions import Clause
from features.record import ACTIVITY
from features.scheme_check import orders_possible
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

FEWEST_MOVES = 50
PROSPECT_RECIPE = Recipe(
    {
        "tenure_days": (True, 3),
        "silence_days": (True, 3),
        "activity": (True, 0),
        "activity_30d": (True, 0),
        "activity_90d": (True, 0),
    }
)


@dataclass(frozen=True)
class NextStageModel:
    """P(stage at the end | a purchase in the horizon or none), and the plain Markov chain it is measured against.

    ``after_purchase`` has one row per present stage, ``without_purchase`` one per stage that silence leads to,
    ``chain`` one per present stage without regard to purchases; all are probabilities over the scheme's stages.
    ``linear`` and ``trees`` are None where there were too few purchases, ``prospects`` where too few prospects moved
    on.
    """

    after_purchase: Array
    without_purchase: Array
    chain: Array
    linear: glm.MultinomialModel | None
    trees: Boosted | None
    classes: tuple[int, ...]
    prospects: glm.MultinomialModel | None = None
    prospect_classes: tuple[int, ...] = ()

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
        told[:, list(self.prospect_classes)] = self.prospects.probability({n: v[rows] for n, v in columns.items()})
        # half the chain, half the regression, in log probability; what the chain forbids stays at 0
        mixed = np.sqrt(prior[rows] * np.maximum(told, 1e-9))
        result = prior.copy()
        result[rows] = mixed / mixed.sum(axis=1, keepdims=True)
        return result

    def _boosted(self, columns: Mapping[str, Array], threads: int) -> Array:
        if self.trees is None or len(self.classes) == 1:
            return np.ones((len(next(iter(columns.values()))), 1))
        return np.asarray(softmax(self.trees.raw(columns, threads), axis=1))

    def to_json(self) -> dict[str, Any]:
        """Return everything but the trees, whose text is a file of its own."""
        return {
            "after_purchase": self.after_purchase.tolist(),
            "without_purchase": self.without_purchase.tolist(),
            "chain": self.chain.tolist(),
            "linear": None if self.linear is None else self.linear.to_json(),
            "trees": None if self.trees is None else list(self.trees.columns),
            "classes": list(self.classes),
            "prospects": None if self.prospects is None else self.prospects.to_json(),
            "prospect_classes": list(self.prospect_classes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], trees: str | None) -> NextStageModel:
        return cls(
            np.array(data["after_purchase"], dtype=np.float64),
            np.array(data["without_purchase"], dtype=np.float64),
            np.array(data["chain"], dtype=np.float64),
            None if data["linear"] is None else glm.MultinomialModel.from_json(data["linear"]),
            None if trees is None else Boosted(trees, tuple(data["trees"])),
            tuple(data["classes"]),
            None if data["prospects"] is None else glm.MultinomialModel.from_json(data["prospects"]),
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


def fit_next_stage(scheme: Scheme, dates: Sequence[Frame], prospects: Sequence[Frame], seed: int) -> NextStageModel:
    """Fit on every date of a panel; falls to the Markov chain where fewer than ``FEWEST_ROWS`` purchases came."""
    frames = [*dates, *prospects]
    after = _transitions(scheme, frames, purchases_only=True)
    chain = _transitions(scheme, frames, purchases_only=False)
    silent = _without_purchase(scheme, frames)
    moving, moving_classes = _fit_prospects(scheme, prospects, silent)
    bought = [~frame.inactive for frame in dates]
    rows = int(sum(b.sum() for b in bought))
    if rows < FEWEST_ROWS:
        return NextStageModel(after, silent, chain, None, None, (), moving, moving_classes)
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
    told = tuple(int(c) for c in classes)
    return NextStageModel(after, silent, chain, linear, trees, told, moving, moving_classes)


def _without_purchase(scheme: Scheme, frames: Sequence[Frame]) -> Array:
    """Return P(stage | no purchase) by the stage that silence leads to: that stage, unless other events are counted."""
    count = len(scheme.stages)
    allowed = _by_signals(scheme)
    if not np.triu(allowed, 1).any() and not np.tril(allowed, -1).any():
        return np.eye(count)
    seen = np.zeros((count, count))
    for frame in frames:
        np.add.at(seen, (frame.silent[frame.inactive], frame.stage_after[frame.inactive]), 1.0)
    seen = np.where(allowed > 0, seen + SMOOTHING * allowed / count, 0.0) + SMOOTHING * np.eye(count)
    return np.asarray(seen / seen.sum(axis=1, keepdims=True))


def _by_signals(scheme: Scheme) -> Array:
    """Return 1 where a stage can come of other events than purchases, from each stage that silence leads to."""
    reachable = scheme.reachable()
    heard = {*scheme.signals, ACTIVITY, "silence_days"}
    allowed = np.eye(len(scheme.stages))
    for i, present in enumerate(scheme.stages):
        for j, stage in enumerate(scheme.stages):
            counts = any(heard & clause.features for s in (present, stage) for clause in s.rule)
            same = (present.state == "prospect") == (stage.state == "prospect")
            allowed[i, j] = 1.0 if i == j or (counts and same and stage.id in reachable[present.id]) else 0.0
    return allowed


def _fit_prospects(
    scheme: Scheme, frames: Sequence[Frame], prior: Array
) -> tuple[glm.MultinomialModel | None, tuple[int, ...]]:
    """Fit the stage of prospects who have not bought in the horizon, where enough of them moved on."""
    if not frames or np.array_equal(prior, np.eye(len(prior))):
        return None, ()
    kept = np.concatenate([frame.inactive for frame in frames])
    target = np.concatenate([frame.stage_after for frame in frames])[kept]
    silent = np.concatenate([frame.silent for frame in frames])[kept]
    if min(int((target != silent).sum()), int((target == silent).sum())) < FEWEST_MOVES:
        return None, ()
    columns = {name: values[kept] for name, values in stack(frames).items()}
    classes, coded = np.unique(target, return_inverse=True)
    wanted = dict(PROSPECT_RECIPE.columns) | dict.fromkeys(scheme.signals, (True, 0))
    names = varying(frames, list(wanted))
    if len(classes) < 2 or not names:
        return None, ()
    recipe = Recipe({name: wanted[name] for name in names})
    model = glm.fit_multinomial(recipe, columns, coded.astype(np.int64), np.ones(len(target)), PENALTY)
    return model, tuple(int(c) for c in classes)


def _transitions(scheme: Scheme, frames: Sequence[Frame], *, purchases_only: bool) -> Array:
    """Return smoothed transition probabilities between stages over one horizon, from the frames' counts."""
    count = len(scheme.stages)
    reachable = scheme.reachable()
    allowed = np.array([[b in reachable[a] for b in scheme.ids] for a in scheme.ids], dtype=np.float64)
    never = [any(_never(clause, scheme) for clause in stage.rule) for stage in scheme.stages]
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


def _never(clause: Clause, scheme: Scheme) -> bool:
    """Tell whether a clause waits for a silence that the log says never comes."""
    return all(math.isinf(c.limit(scheme.thresholds)) and c.operator in (">", ">=") for c in clause.alternatives)


def _after_another_order(scheme: Scheme) -> Array:
    """Return 1 where a stage can stand at the end of a horizon with an order in it, from each stage."""
    most = orders_possible(scheme)
    # a buyer has two orders then, a prospect one
    least = np.array([1.0 if stage.state == "prospect" else 2.0 for stage in scheme.stages])
    return np.asarray(np.array([most[stage] for stage in scheme.ids]) >= least[:, None], dtype=np.float64)
