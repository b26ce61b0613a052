"""Panel of contracts open at past dates, with the features of the catalogue at these dates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.contracts import Spells, Terms
from stagecast.features.engines.duckdb import DailyTable
from stagecast.training.billing.periods import BillingPeriods
from stagecast.training.cancellation.fitting import fit_cancellation
from stagecast.training.cancellation.landmarks import Landmarks, past
from stagecast.training.cancellation.model import CancellationModel
from stagecast.training.config import TrainConfig

ROWS_AT_ONCE = 2_000_000
"""Rows of customers and dates whose features are computed together; only those of open contracts
are stored.
"""


@dataclass(frozen=True)
class ContractPanel:
    """Training data of the cancellation model, as known at one as_of.

    Parameters
    ----------
    terms
        Event types that begin, renew and end a contract.
    spells
        All contracts, and their customers.
    landmarks
        The contracts open at past dates.
    columns
        Predictor of the catalogue -> values, shape (n_landmarks,); null is NaN.
    """

    terms: Terms
    spells: Spells
    landmarks: Landmarks
    columns: Mapping[str, Array]


def build_contracts(
    table: DailyTable, catalog: Catalog, config: TrainConfig
) -> ContractPanel | None:
    """Return the panel of the contracts of a log; None where churn is not cancellation.

    Parameters
    ----------
    table
        Daily table of the as_of.
    catalog
        Feature catalogue with its parameters; its predictors are the columns.
    config
        Settings of the training.
    """
    if config.churn != "cancellation":
        return None
    spells = table.spells(config.terms)
    landmarks = past(spells, config.horizon_days, config.seed)
    names = catalog.predictors
    columns = {name: np.empty(len(landmarks)) for name in names}
    needed = catalog.needed_for(names)
    dates = landmarks.backs
    dates_at_once = max(1, ROWS_AT_ONCE // max(len(table.customers), 1))
    for first in range(0, len(dates), dates_at_once):
        block = dates[first : first + dates_at_once]
        rows = np.flatnonzero(np.isin(landmarks.back, block))
        features = table.features(needed, block)
        position = landmarks.of(rows).matched(features["back"], features["customer"])
        for name in names:
            columns[name][rows] = features[name][position]
    return ContractPanel(config.terms, spells, landmarks, columns)


def fit_contracts(
    panel: ContractPanel | None,
    config: TrainConfig,
    billing: BillingPeriods,
    *,
    has_amounts: bool,
) -> CancellationModel | None:
    """Return the model of cancellations; None without a panel of contracts.

    Of memberships without payments the day of the month on which they end is known, too.
    """
    if panel is None:
        return None
    return fit_cancellation(
        panel.spells,
        config.horizon_days,
        panel.landmarks,
        panel.columns,
        seed=config.seed,
        billing=billing,
        by_end_day=not has_amounts,
    )
