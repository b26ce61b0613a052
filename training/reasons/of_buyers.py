"""Reasons of P(no purchase): the features that raise or lower a buyer's risk most.

Each member of the pool gives the effect of each of its columns on the log odds (LightGBM's
contributions; coefficient times standardised column for the linear members). Columns are grouped
in families that mean one thing to a reader; each of the user's own features is a family, described
by its meaning. How reasons are chosen: :mod:`stagecast.training.reasons.explanation`.

Source: Lundberg et al. (2020), "From local explanations to global understanding with explainable AI
for trees".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.snapshots import Snapshot
from stagecast.training.billing.calendar import READS
from stagecast.training.columns import rows_of
from stagecast.training.models import Models, Predictions
from stagecast.training.reasons.due import USUAL_GAP
from stagecast.training.reasons.explanation import (
    MOST_RAISING,
    Explained,
    Explanation,
    explain,
)
from stagecast.training.reasons.families import FAMILIES, Family, family_effects, own_families
from stagecast.training.reasons.reason import Reason
from stagecast.training.reasons.sentences import LOWERS, PLAIN, RAISES
from stagecast.training.reference.usual import (
    AVERAGE,
    NOTHING_USUAL,
    SAMPLE,
    Risk,
    Usual,
    learn_usual,
    medians_of,
)
from stagecast.training.value.due import dated_gaps

CONTRACT_OVER = "contract_over"
"""In place of a feature: days since the last contract ended, of who has none."""
COMPARED = (
    "recency_days",
    "orders",
    "spend_mean",
    "T_days",
    "orders_90d",
    "orders_prev_90d",
    "activity_30d",
    "gap_mean",
    "refund_share",
)
"""Features of the catalogue whose usual values reasons need."""


def buyer_families(models: Models) -> tuple[Family, ...]:
    """Return the families of the columns of models of buyers."""
    return (*own_families(models.config.own), *FAMILIES)


def buyer_explanations(
    models: Models,
    snapshot: Snapshot,
    predicted: Predictions,
    rows: NDArray[np.int64],
    threads: int = 0,
) -> dict[int, Explanation]:
    """Return why a purchase is likely or not, of the buyers in ``rows``, by row.

    Parameters
    ----------
    models
        The fitted models, with the reference of the training.
    snapshot, predicted
        The customers, and what is predicted of them.
    rows
        Rows of buyers in the snapshot.
    threads
        Threads of the trees; 0 uses all cores.
    """
    usual = models.reference.buyers
    positions = np.flatnonzero(np.isin(predicted.buyers, rows))
    if not len(positions) or not usual:
        return {}
    columns = predicted.columns
    if len(positions) < len(predicted.buyers):
        columns = rows_of(columns, positions)
    buyers = predicted.buyers[positions]
    explained = Explained(
        total_effects(models, columns, threads),
        _facts(models, snapshot, columns, buyers),
        stage_of(models, snapshot, buyers),
        title_of(models, snapshot, buyers),
        predicted.p_silent[buyers],
        names_risk=models.config.churn == "cancellation",
        horizon_days=float(models.config.horizon_days),
    )
    explanations = explain(buyer_families(models), explained, usual, models.config.high_risk)
    by_row = dict(zip(buyers.tolist(), explanations, strict=True))
    if snapshot.contracts is not None:
        contracts = snapshot.contracts
        since_end = days_since(contracts.closed_days, contracts.as_of)
        since_end = np.where(contracts.open, np.nan, since_end)
        for row in buyers[np.isfinite(since_end[buyers])].tolist():
            by_row[row] = of_former(by_row[row], float(since_end[row]))
    return by_row


def _is_due(reason: Reason) -> bool:
    return "due" in reason.code.removeprefix(reason.feature)


def days_since(age_days: Array, as_of: int) -> Array:
    """Return the days from the dates that lie so far back to that of the as_of, same shape.

    As features count them: what began yesterday is a day old at any hour.

    Parameters
    ----------
    age_days
        Days, with their part of a day; NaN is null.
    as_of
        Microseconds since 1970.
    """
    today = as_of / DAY_MICROSECONDS
    return np.asarray(np.floor(today) - np.floor(today - age_days))


def of_former(explanation: Explanation, days: float) -> Explanation:
    """Return the explanation of who has no contract any more, which is the first reason.

    What is told of nothing else is its effect. Nothing falls due that a silence would speak of.
    """
    rest = explanation.rest
    effect = rest if rest > 0 else np.nan
    over = Reason(f"{CONTRACT_OVER}.{PLAIN}", CONTRACT_OVER, days, np.nan, effect, RAISES)
    of_others = [
        reason
        for reason in explanation.reasons
        if not (
            reason.feature == "recency_days" and (_is_due(reason) or reason.direction == LOWERS)
        )
    ]
    untold = sum(
        r.effect for r in explanation.reasons if r not in of_others and np.isfinite(r.effect)
    )
    reasons = [
        over,
        *[r for r in of_others if r.direction == RAISES][: MOST_RAISING - 1],
        *[r for r in of_others if r.direction == LOWERS],
    ]
    left_out = sum(r.effect for r in of_others if r not in reasons and np.isfinite(r.effect))
    rest = (0.0 if rest > 0 else rest) + untold + left_out
    return Explanation(tuple(reasons), explanation.base, rest)


def usual_of_buyers(
    models: Models, snapshot: Snapshot, predicted: Predictions, active: NDArray[np.bool_]
) -> Usual:
    """Return what is usual of the buyers: medians of all of them, mean effects of a sample.

    Parameters
    ----------
    models
        The fitted models.
    snapshot, predicted
        The customers, and what is predicted of them.
    active
        Whether a customer is active, shape (rows,).
    """
    everybody = predicted.buyers
    sample = slice(None, None, max(1, len(everybody) // SAMPLE))
    buyers = everybody[sample]
    if not len(buyers):
        return NOTHING_USUAL
    columns = {name: values[sample] for name, values in predicted.columns.items()}
    facts = _facts(models, snapshot, columns, buyers)
    names = (*COMPARED, *(family.feature for family in own_families(models.config.own)))
    usual = learn_usual(
        facts,
        names,
        total_effects(models, columns),
        stage_of(models, snapshot, buyers),
        active[buyers],
        Risk(
            predicted.p_silent[everybody],
            stage_of(models, snapshot, everybody),
            active[everybody],
        ),
    )
    # a reader compares them with the medians of the stages, which are those of everybody
    stage, is_active = stage_of(models, snapshot, everybody), active[everybody]
    masks = {name: np.asarray(stage == name) for name in usual.medians if name != AVERAGE}
    masks[AVERAGE] = is_active if is_active.any() else np.ones(len(everybody), dtype=bool)
    facts = _facts(models, snapshot, predicted.columns, everybody)
    return replace(usual, medians=medians_of(facts, names, masks))


def _facts(
    models: Models, snapshot: Snapshot, columns: Mapping[str, Array], rows: NDArray[np.int64]
) -> Mapping[str, Array]:
    """Return the columns to show: histories begin with the first purchase, whatever models read.

    Where payments come on dates, with the customers' own gaps.
    """
    gaps = None if models.base is None else dated_gaps(models.base, columns)
    own = {} if gaps is None else {USUAL_GAP: gaps}
    if models.base is not None and models.base.reads_of_histories:
        own |= {name: snapshot.features[name][rows] for name in READS}
    return {**columns, **own} if own else columns


def stage_of(models: Models, snapshot: Snapshot, rows: NDArray[np.int64]) -> NDArray[np.str_]:
    """Return the id of the stage of these rows."""
    return np.array(models.scheme.ids)[snapshot.stage[rows]]


def title_of(models: Models, snapshot: Snapshot, rows: NDArray[np.int64]) -> NDArray[np.str_]:
    """Return the title of the stage of these rows."""
    titles = np.array([stage.title["en"] for stage in models.scheme.stages])
    return titles[snapshot.stage[rows]]


def total_effects(models: Models, columns: Mapping[str, Array], threads: int = 0) -> Array:
    """Return the effect of each family on the log odds of churn, shape (rows, families)."""
    return family_effects(models.churn.pool, buyer_families(models), columns, threads)
