"""Reasons of P(cancelled): the features that raise or lower the risk of a contract most.

Effects are those in the step of the horizon in which a cancellation is likeliest, because the
reader can still act before it. The effect of the hazard by age, which the trees start from, belongs
to the age of the contract.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.clock import calendar, from_microseconds
from stagecast.features.contracts import Contracts
from stagecast.features.snapshots import Snapshot
from stagecast.training.cancellation.columns import step_columns
from stagecast.training.cancellation.landmarks import open_contracts
from stagecast.training.models import Models, contracts_of
from stagecast.training.reasons.of_buyers import (
    FAMILIES,
    SAMPLE,
    Family,
    Reason,
    comparable,
    family_effects,
    own_families,
    strongest_reasons,
)

CONTRACT_FAMILIES = (
    Family("contract_days", ("age_days", "ahead_days")),
    Family("earlier_contracts", ("earlier_spells",), 1),
    Family("season", ("season_",)),
)


def contract_reasons(
    models: Models, features: Mapping[str, Array], contracts: Contracts, threads: int = 0
) -> dict[int, list[Reason]]:
    """Return up to three reasons of the risk of open contracts without a known end, by row.

    There are none where no contract was open at the training, because usual values are unknown
    then.

    Parameters
    ----------
    models
        The fitted models, with the reference of the training.
    features
        Features of the snapshot, shape (n_rows,) each.
    contracts
        State of the contracts of its rows.
    threads
        Threads of the trees; 0 uses all cores.
    """
    rows, mean_effects = np.flatnonzero(contracts.at_risk), models.reference.mean_contract_effects
    if not len(rows) or models.cancellation is None or not mean_effects:
        return {}
    open_rows = contracts.of(rows)
    columns = with_contract_columns(
        {name: values[rows] for name, values in features.items()}, open_rows
    )
    effects = contract_effects(models, columns, open_rows, threads) - np.array(mean_effects)
    row_reasons = strongest_reasons(
        _families(models),
        effects,
        comparable(models, columns),
        np.full(len(rows), "active"),
        models.reference.usual,
    )
    return dict(zip(rows.tolist(), row_reasons, strict=True))


def announced_reasons(contracts: Contracts) -> dict[int, list[Reason]]:
    """Return the reason of the open contracts whose end is known, by row of the snapshot.

    Parameters
    ----------
    contracts
        State of the contracts of the rows.
    """
    days_left = contracts.days_left
    rows = np.flatnonzero(contracts.announced).tolist()
    return {row: [_announced_reason(contracts.ends_at[row], days_left[row])] for row in rows}


def _announced_reason(ends_at: int, days_left: float) -> Reason:
    date = from_microseconds(int(ends_at)).date().isoformat()
    return Reason(
        "contract_end", float(days_left), np.nan, np.nan, f"cancelled already; ends on {date}"
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
    )
    return family_effects(model.pool, families, steps, threads)


def mean_contract_effects(models: Models, snapshot: Snapshot) -> tuple[float, ...]:
    """Return the mean effect of each family over a sample of the open contracts; () without any."""
    contracts = contracts_of(snapshot)
    rows = np.flatnonzero(contracts.at_risk)
    if not len(rows):
        return ()
    rows = rows[:: max(1, len(rows) // SAMPLE)]
    open_rows = contracts.of(rows)
    effects = contract_effects(
        models,
        with_contract_columns(
            {name: values[rows] for name, values in snapshot.features.items()}, open_rows
        ),
        open_rows,
    )
    return tuple(effects.mean(axis=0).tolist())


def explained_columns(
    models: Models, snapshot: Snapshot
) -> tuple[Mapping[str, Array], tuple[str, ...]]:
    """Return the columns of the reasons, and the extra features that need a usual median."""
    own = tuple(family.feature for family in own_families(models.config.own))
    columns = with_contract_columns(snapshot.features, contracts_of(snapshot))
    return columns, (*own, *(family.feature for family in CONTRACT_FAMILIES))


def with_contract_columns(features: Mapping[str, Array], contracts: Contracts) -> dict[str, Array]:
    """Return the features with the columns of contracts that reasons show."""
    month = calendar(contracts.as_of)["as_of_month"]
    return {
        **features,
        "contract_days": np.floor(contracts.age_days),
        "earlier_contracts": contracts.earlier,
        "season": np.full(len(contracts.open), month),
    }


def _families(models: Models) -> tuple[Family, ...]:
    return (*own_families(models.config.own), *CONTRACT_FAMILIES, *FAMILIES)
