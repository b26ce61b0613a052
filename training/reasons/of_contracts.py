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
    days_to_payment,
)
from stagecast.training.cancellation.columns import step_columns
from stagecast.training.cancellation.landmarks import open_contracts
from stagecast.training.models import Models, Predictions, contracts_of
from stagecast.training.reasons.explanation import Explained, Explanation, Reason, explain
from stagecast.training.reasons.families import FAMILIES, Family, family_effects, own_families
from stagecast.training.reasons.of_buyers import (
    COMPARED,
    stage_of,
    title_of,
)
from stagecast.training.reasons.sentences import PLAIN, RAISES
from stagecast.training.reference.usual import NOTHING_USUAL, SAMPLE, Risk, Usual, learn_usual

CONTRACT_FAMILIES = (
    Family("payment_days", (RENEWAL_HAZARD,), -1),
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
    columns = with_contract_columns(features, open_rows, models.value.billing)
    effects = contract_effects(models, columns, open_rows, threads)
    return _with_usual_gap(columns, open_rows, models.value.billing), effects


def _with_usual_gap(
    columns: dict[str, Array], contracts: Contracts, billing: BillingPeriods
) -> dict[str, Array]:
    """Return the columns with the billing period as the usual gap of those who have one.

    The mean gap between purchase days counts a trial for nothing, and what was bought besides.
    """
    if billing.is_none or "gap_mean" not in columns:
        return columns
    mean, today = columns["gap_mean"], np.full(len(contracts.open), contracts.as_of)
    days = days_between_payments(billing, {**columns, AS_OF_DAY: today / DAY_MICROSECONDS})
    known = np.isfinite(mean) & np.isfinite(days)
    return {**columns, "gap_mean": np.where(known, days, mean)}


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
    features: Mapping[str, Array], contracts: Contracts, billing: BillingPeriods
) -> dict[str, Array]:
    """Return the features with the columns of contracts that reasons show."""
    due = np.full(len(contracts.open), np.nan)
    if not billing.is_none:
        today = np.full(len(due), contracts.as_of / DAY_MICROSECONDS)
        due = np.floor(days_to_payment(billing, {**features, AS_OF_DAY: today}))
        if billing.has_prices:  # whether a trial for nothing will be paid is not known
            due = np.where(is_trial(features, contracts), np.nan, due)
    month = calendar(contracts.as_of)["as_of_month"]
    return {
        **features,
        "payment_days": due,
        "contract_days": np.floor(contracts.age_days),
        "earlier_contracts": contracts.earlier,
        "season": np.full(len(contracts.open), month),
    }


def _families(models: Models) -> tuple[Family, ...]:
    return (*own_families(models.config.own), *CONTRACT_FAMILIES, *FAMILIES)
