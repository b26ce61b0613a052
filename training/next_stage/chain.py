"""Markov chains on the stages of a scheme over one horizon, counted on a panel and smoothed.

A stage that cannot follow another has probability exactly 0, in all models of the next stage.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.record import ACTIVITY
from stagecast.features.stages.conditions import Clause
from stagecast.features.stages.contract_facts import CONTRACT_FACTS
from stagecast.features.stages.scheme import Scheme
from stagecast.features.stages.scheme_check import most_orders_by_stage
from stagecast.training.panel import Frame

# Customers that are added to the counts of each stage, shared among the stages that can follow.
SMOOTHING = 0.5


def without_purchase(scheme: Scheme, frames: Sequence[Frame]) -> Array:
    """Return P(stage | no purchase) by the stage that silence leads to, shape (stages, stages).

    It is 1 for that stage, unless rules of the scheme use other events than purchases.
    """
    n_stages = len(scheme.stages)
    allowed = _reachable_without_purchase(scheme)
    if not np.triu(allowed, 1).any() and not np.tril(allowed, -1).any():
        return np.eye(n_stages)
    counts = np.zeros((n_stages, n_stages))
    for frame in frames:
        np.add.at(counts, (frame.silent[frame.inactive], frame.stage_after[frame.inactive]), 1.0)
    counts = np.where(
        allowed > 0, counts + SMOOTHING * allowed / n_stages, 0.0
    ) + SMOOTHING * np.eye(n_stages)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _reachable_without_purchase(scheme: Scheme) -> Array:
    """Return 1 where a stage can follow without a purchase, from each stage of silence, else 0."""
    reachable = scheme.reachable()
    event_features = {*scheme.signals, *CONTRACT_FACTS, ACTIVITY, "silence_days"}
    allowed = np.eye(len(scheme.stages))
    for i, current in enumerate(scheme.stages):
        for j, stage in enumerate(scheme.stages):
            uses_events = any(
                event_features & clause.features for s in (current, stage) for clause in s.rule
            )
            # without contracts in the rules only a purchase makes a prospect a customer
            same_side = scheme.reads_contracts or (
                (current.state == "prospect") == (stage.state == "prospect")
            )
            allowed[i, j] = (
                1.0
                if i == j or (uses_events and same_side and stage.id in reachable[current.id])
                else 0.0
            )
    return allowed


def transitions(scheme: Scheme, frames: Sequence[Frame], *, purchases_only: bool) -> Array:
    """Return smoothed transition probabilities over one horizon, shape (stages, stages).

    Parameters
    ----------
    scheme
        Stage scheme with thresholds.
    frames
        Past dates with their outcomes.
    purchases_only
        Whether to count only customers with a purchase in the horizon.
    """
    n_stages = len(scheme.stages)
    reachable = scheme.reachable()
    allowed = np.array(
        [[next_id in reachable[current] for next_id in scheme.ids] for current in scheme.ids],
        dtype=np.float64,
    )
    impossible = [
        any(_never_holds(clause, scheme) for clause in stage.rule) for stage in scheme.stages
    ]
    allowed[:, impossible] = 0.0
    if purchases_only:
        # a customer who has bought is no prospect any more, and a second order ends stages of one
        # order
        allowed *= _after_another_order(scheme)
    counts = np.zeros((n_stages, n_stages))
    for frame in frames:
        rows = ~frame.inactive if purchases_only else np.ones(len(frame), dtype=np.bool_)
        np.add.at(counts, (frame.stage[rows], frame.stage_after[rows]), 1.0)
    counts = np.where(allowed > 0, counts + SMOOTHING * allowed / n_stages, 0.0)
    # a stage without customers still needs a row with sum 1
    unvisited = counts.sum(axis=1) == 0
    counts[unvisited] = np.eye(n_stages)[unvisited]
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _never_holds(clause: Clause, scheme: Scheme) -> bool:
    """Return whether a clause needs a silence longer than an infinite threshold."""
    return all(
        math.isinf(comparison.limit(scheme.thresholds)) and comparison.operator in (">", ">=")
        for comparison in clause.alternatives
    )


def _after_another_order(scheme: Scheme) -> Array:
    """Return 1 where a stage can follow after an order within the horizon, from each stage."""
    max_orders = most_orders_by_stage(scheme)
    # a buyer then has at least two orders, a prospect one
    min_orders = np.array([1.0 if stage.state == "prospect" else 2.0 for stage in scheme.stages])
    return np.asarray(
        np.array([max_orders[stage] for stage in scheme.ids]) >= min_orders[:, None],
        dtype=np.float64,
    )
