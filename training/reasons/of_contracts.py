"""Reasons of a cancellation: what in a contract's and its customer's past moves the risk, in the
catalogue's words.

Effects are told of the step of the horizon in which a cancellation is likeliest: that is what the
reader can still act upon before. What the hazard by age says, from which the trees go on, belongs
to the age of the contract.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.clock import calendar
from stagecast.features.contracts import Contracts
from stagecast.features.snapshots import Snapshot
from stagecast.training.cancellation.columns import step_columns
from stagecast.training.cancellation.landmarks import standing
from stagecast.training.models import Models, contracts_of
from stagecast.training.reasons.of_buyers import (
    FAMILIES,
    SAMPLE,
    Family,
    Reason,
    effects_of_families,
    of_own,
    strongest,
)

OF_CONTRACTS = (
    Family("contract_days", ("age_days", "ahead_days")),
    Family("earlier_contracts", ("earlier_spells",), 1),
    Family("season", ("season_",)),
)


def contract_reasons(
    models: Models, features: Mapping[str, Array], contracts: Contracts, threads: int = 0
) -> dict[int, list[Reason]]:
    """Return for each row with an open contract at most three reasons why it may be cancelled or
    kept.

    There are none where no contract was open at the training: nothing is known then of what is
    usual.

    Parameters
    ----------
    features, contracts
        One entry per row of the snapshot.
    """
    rows, usual = np.flatnonzero(contracts.open), models.reference.mean_contract_effects
    if not len(rows) or models.cancellation is None or not usual:
        return {}
    held = contracts.of(rows)
    columns = told({name: values[rows] for name, values in features.items()}, held)
    effects = contract_effects(models, columns, held, threads) - np.array(usual)
    found = strongest(
        _families(models), effects, columns, np.full(len(rows), "active"), models.reference.usual
    )
    return dict(zip(rows.tolist(), found, strict=True))


def contract_effects(
    models: Models, columns: Mapping[str, Array], contracts: Contracts, threads: int = 0
) -> Array:
    """Return what each family adds to the log odds of the likeliest step, shape (rows,
    families); all rows are open.
    """
    model, families = models.cancellation, _families(models)
    if model is None or not len(contracts.open):
        return np.zeros((len(contracts.open), len(families)))
    now = standing(contracts)
    seen = {name: columns[name] for name in model.columns}
    ahead = model.hazards(now, seen, threads).argmax(axis=1)
    steps = step_columns(
        now, seen, np.arange(len(now)), ahead, model.step_days, season=model.season
    )
    return effects_of_families(model.pool, families, steps, threads)


def mean_contract_effects(models: Models, now: Snapshot) -> tuple[float, ...]:
    """Return the mean effect of each family over open contracts, from a few thousand of them;
    nothing without any.
    """
    contracts = contracts_of(now)
    rows = np.flatnonzero(contracts.open)
    if not len(rows):
        return ()
    rows = rows[:: max(1, len(rows) // SAMPLE)]
    held = contracts.of(rows)
    effects = contract_effects(
        models, told({n: v[rows] for n, v in now.features.items()}, held), held
    )
    return tuple(effects.mean(axis=0).tolist())


def told_of(models: Models, now: Snapshot) -> tuple[Mapping[str, Array], tuple[str, ...]]:
    """Return the columns of a snapshot with those that reasons show beside, and the names whose
    medians they need.
    """
    own = tuple(family.feature for family in of_own(models.config.own))
    columns = told(now.features, contracts_of(now))
    return columns, (*own, *(family.feature for family in OF_CONTRACTS))


def told(features: Mapping[str, Array], contracts: Contracts) -> dict[str, Array]:
    """Return features and, beside them, what reasons show of contracts."""
    month = calendar(contracts.as_of)["as_of_month"]
    return {
        **features,
        "contract_days": np.floor(contracts.age_days),
        "earlier_contracts": contracts.earlier,
        "season": np.full(len(contracts.open), month),
    }


def _families(models: Models) -> tuple[Family, ...]:
    return (*of_own(models.config.own), *OF_CONTRACTS, *FAMILIES)
