"""Reasons of P(cancelled): the features that raise or lower the risk of a contract most.

Effects are those in the step of the horizon in which a cancellation is likeliest, because the
reader can still act before it. The effect of the hazard by age, which the trees start from, belongs
to the age of the contract.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS, calendar, from_microseconds
from stagecast.features.contracts import Contracts
from stagecast.features.snapshots import Snapshot
from stagecast.training.billing.beginnings import is_trial
from stagecast.training.billing.periods import AS_OF_DAY, BillingPeriods
from stagecast.training.billing.standing import (
    RENEWAL_HAZARD,
    days_between_payments,
    days_late,
    days_to_payment,
)
from stagecast.training.cancellation.columns import step_columns
from stagecast.training.cancellation.landmarks import open_contracts
from stagecast.training.models import Models, Predictions, contracts_of
from stagecast.training.reasons.due import PAYMENT_LATE
from stagecast.training.reasons.explanation import Explained, Explanation, explain
from stagecast.training.reasons.families import FAMILIES, Family, family_effects, own_families
from stagecast.training.reasons.of_buyers import (
    COMPARED,
    days_since,
    stage_of,
    title_of,
)
from stagecast.training.reasons.reason import Reason
from stagecast.training.reasons.sentences import PLAIN, RAISES
from stagecast.training.reference.usual import NOTHING_USUAL, SAMPLE, Risk, Usual, learn_usual

CONTRACT_FAMILIES = (
    Family(
        "payment_days",
        (RENEWAL_HAZARD,),
        -1,
        own_past="payment_period_days",
        turns_at="payment_turn_days",
    ),
    Family("contract_days", ("age_days", "ahead_days")),
    Family("earlier_contracts", ("earlier_spells",), 1),
    Family("season", ("season_",)),
)


def contract_explanations(
    models: Models, snapshot: Snapshot, predicted: Predictions, threads: int = 0
) -> dict[int, Explanation]:
    """Return why an open contract without a known end may be cancelled or not, by row.

    There are none where no contract was open at the training, because usual values are unknown
    then.

    Parameters
    ----------
    models
        The fitted models, with the reference of the training.
    snapshot, predicted
        The customers with their contracts, and what is predicted of them.
    threads
        Threads of the trees; 0 uses all cores.
    """
    contracts = contracts_of(snapshot)
    rows, usual = np.flatnonzero(contracts.at_risk), models.reference.contracts
    if not len(rows) or models.cancellation is None or not usual:
        return {}
    columns, effects = _columns_and_effects(models, snapshot, rows, threads)
    explained = Explained(
        effects,
        columns,
        stage_of(models, snapshot, rows),
        title_of(models, snapshot, rows),
        predicted.p_cancel[rows],
    )
    explanations = explain(_families(models), explained, usual, models.config.high_risk)
    return dict(zip(rows.tolist(), explanations, strict=True))


def usual_of_contracts(models: Models, snapshot: Snapshot, predicted: Predictions) -> Usual:
    """Return what is usual of a sample of the open contracts without a known end."""
    everybody = np.flatnonzero(contracts_of(snapshot).at_risk)
    if not len(everybody):
        return NOTHING_USUAL
    rows = everybody[:: max(1, len(everybody) // SAMPLE)]
    columns, effects = _columns_and_effects(models, snapshot, rows)
    extra = (family.feature for family in (*own_families(models.config.own), *CONTRACT_FAMILIES))
    return learn_usual(
        columns,
        (*COMPARED, *extra),
        effects,
        stage_of(models, snapshot, rows),
        np.ones(len(rows), dtype=np.bool_),
        Risk(
            predicted.p_cancel[everybody],
            stage_of(models, snapshot, everybody),
            np.ones(len(everybody), dtype=np.bool_),
        ),
    )


def _columns_and_effects(
    models: Models, snapshot: Snapshot, rows: NDArray[np.int64], threads: int = 0
) -> tuple[dict[str, Array], Array]:
    open_rows = contracts_of(snapshot).of(rows)
    features = {name: values[rows] for name, values in snapshot.features.items()}
    horizon = float(models.config.horizon_days)
    columns = with_contract_columns(features, open_rows, models.value.billing, horizon)
    effects = contract_effects(models, columns, open_rows, threads)
    return _told_by_periods(columns), effects


def _told_by_periods(columns: dict[str, Array]) -> dict[str, Array]:
    """Return the columns without what the billing period says already, of those who have one.

    Their usual gap is the period: the mean gap between purchase days counts a trial for nothing,
    and what was bought besides. As many orders in a window as the period brings say nothing else.
    """
    period = columns["payment_period_days"]
    known = np.isfinite(period)
    result, own = dict(columns), {}
    if "gap_mean" in columns:
        own["gap_mean"] = np.where(np.isfinite(columns["gap_mean"]), period, np.nan)
    if "orders_90d" in columns:
        orders = columns["orders_90d"]
        own["orders_90d"] = np.where(np.abs(orders - 90.0 / period) > 1.0, orders, np.nan)
    for name, values in own.items():
        result[name] = np.where(known, values, columns[name])
    return result


def announced_explanations(contracts: Contracts) -> dict[int, Explanation]:
    """Return the reason of the open contracts whose end is known, by row of the snapshot.

    Parameters
    ----------
    contracts
        State of the contracts of the rows.
    """
    days_left = contracts.days_left
    rows = np.flatnonzero(contracts.announced).tolist()
    return {
        row: Explanation((_announced_reason(contracts.ends_at[row], days_left[row]),))
        for row in rows
    }


def _announced_reason(ends_at: int, days_left: float) -> Reason:
    date = from_microseconds(int(ends_at)).date().isoformat()
    return Reason(
        f"contract_end.{PLAIN}", "contract_end", float(days_left), np.nan, np.nan, RAISES, date
    )


def contract_effects(
    models: Models, columns: Mapping[str, Array], contracts: Contracts, threads: int = 0
) -> Array:
    """Return the effect of each family on the log odds of the likeliest step.

    Parameters
    ----------
    models
        The fitted models.
    columns
        Columns by :func:`with_contract_columns`, shape (n_rows,) each.
    contracts
        State of the contracts of these rows, all open.
    threads
        Threads of the trees; 0 uses all cores.

    Returns
    -------
    effects
        Shape (n_rows, n_families).
    """
    model, families = models.cancellation, _families(models)
    if model is None or not len(contracts.open):
        return np.zeros((len(contracts.open), len(families)))
    landmarks = open_contracts(contracts)
    predictors = {name: columns[name] for name in model.columns}
    ahead = model.hazards(landmarks, predictors, threads).argmax(axis=1)
    steps = step_columns(
        landmarks,
        predictors,
        np.arange(len(landmarks)),
        ahead,
        model.step_days,
        season=model.season,
        billing=model.billing,
    )
    return family_effects(model.pool, families, steps, threads)


def with_contract_columns(
    features: Mapping[str, Array],
    contracts: Contracts,
    billing: BillingPeriods,
    horizon_days: float = np.inf,
) -> dict[str, Array]:
    """Return the features with the columns of contracts that reasons show.

    A payment raises the risk in the second half of its period, if it is due within the horizon.
    """
    due, late, period = (np.full(len(contracts.open), np.nan) for _ in range(3))
    if not billing.is_none:
        today = np.full(len(due), contracts.as_of / DAY_MICROSECONDS)
        dated = {**features, AS_OF_DAY: today}
        due, late = np.floor(days_to_payment(billing, dated)), days_late(billing, dated)
        period = days_between_payments(billing, dated)
        left_over = period - features["recency_days"] <= -1.0
        due = np.where((late > 0) | ((due == 0) & left_over), np.nan, due)
        if billing.has_prices:  # whether a trial for nothing will be paid is not known
            trial = is_trial(features, contracts)
            due, period = np.where(trial, np.nan, due), np.where(trial, np.nan, period)
            late = np.where(trial, 0.0, late)
    month, age = (
        calendar(contracts.as_of)["as_of_month"],
        days_since(contracts.age_days, contracts.as_of),
    )
    activity = {}
    if "activity_30d" in features:  # the one event of a new contract is that it began
        visits = features["activity_30d"]
        activity["activity_30d"] = np.where((age <= 30.0) & (visits <= 1.0), np.nan, visits)
    return {
        **features,
        **activity,
        "payment_days": due,
        "payment_period_days": period,
        "payment_turn_days": np.minimum(period / 2.0, horizon_days),
        PAYMENT_LATE: late,
        "contract_days": age,
        "earlier_contracts": contracts.earlier,
        "season": np.full(len(contracts.open), month),
    }


def _families(models: Models) -> tuple[Family, ...]:
    return (*own_families(models.config.own), *CONTRACT_FAMILIES, *FAMILIES)
