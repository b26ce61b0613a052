"""Fitting of :class:`stagecast.training.next_stage.model.NextStageModel`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.stages.scheme import Scheme
from stagecast.training.learners import boosting, glm
from stagecast.training.learners.blend import pool_class_weights
from stagecast.training.learners.design import Recipe
from stagecast.training.learners.linear import MultinomialModel
from stagecast.training.next_stage.chain import transitions, uses_events, without_purchase
from stagecast.training.next_stage.model import FEWEST_ROWS, PRIOR_WEIGHTS, NextStageModel
from stagecast.training.panel import Frame, learnable, stack, varying

TREES = 100
PENALTY = 5.0
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


# Least number of prospects who moved on without a purchase, and of those who did not.
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


# Weight of what the rules say against what was counted, for stages that no member has seen.
UNSEEN_WEIGHT = 0.25


def fit_next_stage(
    scheme: Scheme,
    dates: Sequence[Frame],
    prospects: Sequence[Frame],
    seed: int,
    *,
    every_date: Sequence[Frame] = (),
    rules: Array | None = None,
) -> NextStageModel:
    """Fit on every date of a panel; the Markov chain alone with fewer than ``FEWEST_ROWS`` buyers.

    The chain that is used alone counts on every date, and its smoothing follows the rules. For the
    weights of the pool the members are fitted once more on the dates whose horizon ended before the
    newest date, and compared with the outcomes of the newest.

    Parameters
    ----------
    scheme
        Stage scheme with thresholds.
    dates
        Frames of buyers that churn learns from, newest first.
    prospects
        Frames of customers who had not bought yet, newest first.
    seed
        Seed of the trees.
    every_date
        All frames of buyers, newest first, where ``dates`` are none or teach too little. With
        ``FEWEST_ROWS`` purchases after the newest of them the members learn from them, too.
    rules
        What :func:`stagecast.training.next_stage.rules.after_another_order` returns; None where
        nothing is known of the rules.
    """
    if not dates and every_date and (~every_date[0].inactive).sum() >= FEWEST_ROWS:
        dates = every_date
    if sum(int((~frame.inactive).sum()) for frame in dates) < FEWEST_ROWS:
        dates = every_date or dates
        members = _chain_alone(scheme, [*dates, *prospects], rules)
    else:
        members = _fit_members(scheme, dates, prospects, seed, rules)
    silence_chain = without_purchase(scheme, [*dates, *prospects])
    prospect_model, prospect_classes = _fit_prospects(scheme, prospects, silence_chain)
    model = replace(
        members,
        without_purchase=silence_chain,
        prospects=prospect_model,
        prospect_classes=prospect_classes,
    )
    return (
        model
        if model.trees is None
        else replace(model, weights=_weights(scheme, dates, prospects, seed, rules))
    )


def _weights(
    scheme: Scheme,
    dates: Sequence[Frame],
    prospects: Sequence[Frame],
    seed: int,
    rules: Array | None,
) -> Mapping[str, float]:
    """Return the weights of the members, learned on the newest date."""
    newest = dates[0]
    earlier_frames = [
        [frame for frame in frames if frame.back >= 2 * newest.back]
        for frames in (dates, prospects)
    ]
    bought = ~newest.inactive
    if not earlier_frames[0] or bought.sum() < FEWEST_ROWS:
        return PRIOR_WEIGHTS
    earlier = _fit_members(scheme, earlier_frames[0], earlier_frames[1], seed, rules)
    if earlier.trees is None:
        return PRIOR_WEIGHTS
    columns = {name: column[bought] for name, column in newest.columns.items()}
    logs, target = earlier.member_logs(columns, newest.stage[bought]), newest.stage_after[bought]
    possible = np.isfinite(logs["chain"][np.arange(len(target)), target])
    if possible.sum() < FEWEST_ROWS:
        return PRIOR_WEIGHTS
    weights = pool_class_weights(
        {name: values[possible] for name, values in logs.items()}, target[possible], PRIOR_WEIGHTS
    )
    # the mean with the prior weights: on a young log the newest window misleads (CDNOW 1.5 % worse
    # than with the prior), on an old one it is informative
    return {name: (PRIOR_WEIGHTS[name] + weight) / 2 for name, weight in weights.items()}


def _chain_alone(scheme: Scheme, frames: Sequence[Frame], rules: Array | None) -> NextStageModel:
    """Return the model with the chain counted on these frames."""
    after = transitions(scheme, frames, purchases_only=True, rules=rules)
    chain = transitions(scheme, frames, purchases_only=False)
    return NextStageModel(after, np.eye(len(chain)), chain, None, None, ())


def _reached_by_rules(
    scheme: Scheme, after: Array, classes: Sequence[int], rules: Array | None
) -> tuple[Array, tuple[int, ...]]:
    """Return the chain with the rules' word on stages that members have not seen, and these stages.

    They are those to which the rules lead customers who order again, and those that events other
    than purchases lead to, of which the rules say nothing.
    """
    if rules is None:
        return after, ()
    possible = after > 0
    unseen = tuple(
        k
        for k, stage in enumerate(scheme.stages)
        if k not in classes
        and possible[:, k].any()
        and ((rules[:, k] * possible[:, k]).any() or uses_events(scheme, stage))
    )
    towards = np.zeros_like(after)
    towards[:, list(unseen)] = UNSEEN_WEIGHT * (rules * possible)[:, list(unseen)]
    return after * (1.0 - towards.sum(axis=1, keepdims=True)) + towards, unseen


def _fit_members(
    scheme: Scheme,
    dates: Sequence[Frame],
    prospects: Sequence[Frame],
    seed: int,
    rules: Array | None,
) -> NextStageModel:
    """Return the model with chain, regression and trees fitted on these dates."""
    frames = [*dates, *prospects]
    bought = [~frame.inactive for frame in dates]
    rows = int(sum(b.sum() for b in bought))
    if rows < FEWEST_ROWS:
        return _chain_alone(scheme, frames, rules)
    after = transitions(scheme, frames, purchases_only=True)
    chain = transitions(scheme, frames, purchases_only=False)
    columns = {name: values[np.concatenate(bought)] for name, values in stack(dates).items()}
    target = np.concatenate([frame.stage_after[b] for frame, b in zip(dates, bought, strict=True)])
    classes, coded = np.unique(target, return_inverse=True)
    varying_columns = varying(dates, list(columns))
    names = learnable(dates, varying_columns)
    recipe = Recipe(
        {name: term for name, term in RECIPE.columns.items() if name in varying_columns}
    )
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
    class_positions = tuple(int(c) for c in classes)
    after, unseen = _reached_by_rules(scheme, after, class_positions, rules)
    stay = np.eye(len(chain))
    return NextStageModel(after, stay, chain, linear, trees, class_positions, unseen=unseen)


def _fit_prospects(
    scheme: Scheme, frames: Sequence[Frame], prior: Array
) -> tuple[MultinomialModel | None, tuple[int, ...]]:
    """Return a model of prospects without a purchase in the horizon, and its classes.

    None where too few of them moved to another stage than silence leads to.
    """
    if not frames or np.array_equal(prior, np.eye(len(prior))):
        return None, ()
    rows = np.concatenate([frame.inactive for frame in frames])
    target = np.concatenate([frame.stage_after for frame in frames])[rows]
    silent = np.concatenate([frame.silent for frame in frames])[rows]
    if min(int((target != silent).sum()), int((target == silent).sum())) < FEWEST_MOVES:
        return None, ()
    columns = {name: values[rows] for name, values in stack(frames).items()}
    classes, coded = np.unique(target, return_inverse=True)
    terms = dict(PROSPECT_RECIPE.columns) | dict.fromkeys(scheme.signals, (True, 0))
    names = varying(frames, list(terms))
    if len(classes) < 2 or not names:
        return None, ()
    recipe = Recipe({name: terms[name] for name in names})
    model = glm.fit_multinomial(
        recipe, columns, coded.astype(np.int64), np.ones(len(target)), PENALTY
    )
    return model, tuple(int(c) for c in classes)
