"""Markov chains on the stages of a scheme over one horizon, counted on a panel and smoothed where
something can follow.

What cannot follow has probability exactly 0, and so gives every model of the next stage its zeros.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.record import ACTIVITY
from stagecast.features.stages.conditions import Clause
from stagecast.features.stages.scheme import Scheme
from stagecast.features.stages.scheme_check import most_orders_by_stage
from stagecast.training.panel import Frame

# The counts are smoothed by this many customers per stage that can follow.
SMOOTHING = 0.5


def without_purchase(scheme: Scheme, frames: Sequence[Frame]) -> Array:
    """Return P(stage | no purchase) by the stage that silence leads to: that stage, unless other
    events are counted.
    """
    count = len(scheme.stages)
    allowed = _by_signals(scheme)
    if not np.triu(allowed, 1).any() and not np.tril(allowed, -1).any():
        return np.eye(count)
    seen = np.zeros((count, count))
    for frame in frames:
        np.add.at(seen, (frame.silent[frame.inactive], frame.stage_after[frame.inactive]), 1.0)
    seen = np.where(allowed > 0, seen + SMOOTHING * allowed / count, 0.0) + SMOOTHING * np.eye(
        count
    )
    return np.asarray(seen / seen.sum(axis=1, keepdims=True))


def _by_signals(scheme: Scheme) -> Array:
    """Return 1 where a stage can come of other events than purchases, from each stage that
    silence leads to.
    """
    reachable = scheme.reachable()
    heard = {*scheme.signals, ACTIVITY, "silence_days"}
    allowed = np.eye(len(scheme.stages))
    for i, present in enumerate(scheme.stages):
        for j, stage in enumerate(scheme.stages):
            counts = any(heard & clause.features for s in (present, stage) for clause in s.rule)
            same = (present.state == "prospect") == (stage.state == "prospect")
            allowed[i, j] = (
                1.0 if i == j or (counts and same and stage.id in reachable[present.id]) else 0.0
            )
    return allowed


def transitions(scheme: Scheme, frames: Sequence[Frame], *, purchases_only: bool) -> Array:
    """Return smoothed transition probabilities between stages over one horizon, from the frames'
    counts.
    """
    count = len(scheme.stages)
    reachable = scheme.reachable()
    allowed = np.array(
        [[b in reachable[a] for b in scheme.ids] for a in scheme.ids], dtype=np.float64
    )
    never = [any(_never(clause, scheme) for clause in stage.rule) for stage in scheme.stages]
    allowed[:, never] = 0.0
    if purchases_only:
        # whoever has bought is no prospect any more, and stages of one order only are left by a
        # second
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
    return all(
        math.isinf(c.limit(scheme.thresholds)) and c.operator in (">", ">=")
        for c in clause.alternatives
    )


def _after_another_order(scheme: Scheme) -> Array:
    """Return 1 where a stage can stand at the end of a horizon with an order in it, from each
    stage.
    """
    most = most_orders_by_stage(scheme)
    # a buyer has two orders then, a prospect one
    least = np.array([1.0 if stage.state == "prospect" else 2.0 for stage in scheme.stages])
    return np.asarray(
        np.array([most[stage] for stage in scheme.ids]) >= least[:, None], dtype=np.float64
    )
