"""Cancellations on a log: the contracts open at past dates, with what the catalogue said of
their customers then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.contracts import Spells, Terms
from stagecast.features.engines.duckdb import DailyTable
from stagecast.training.cancellation.fitting import fit_cancellation
from stagecast.training.cancellation.landmarks import Landmarks, past
from stagecast.training.cancellation.model import CancellationModel
from stagecast.training.config import TrainConfig

ROWS_AT_ONCE = 2_000_000
"""Rows of customers and dates that features are worked out of together: only those of open
contracts are kept.
"""


@dataclass(frozen=True)
class ContractPanel:
    """What cancellations are learned from, as known at one as_of.

    Parameters
    ----------
    terms
        Which events tell of a contract.
    spells
        All contracts, and their customers.
    landmarks
        The contracts open at past dates.
    columns
        Predictor of the catalogue -> one value per row of the landmarks; null is NaN.
    """

    terms: Terms
    spells: Spells
    landmarks: Landmarks
    columns: Mapping[str, Array]


def build_contracts(
    table: DailyTable, catalog: Catalog, config: TrainConfig
) -> ContractPanel | None:
    """Return what a log says of contracts; None where churn is no cancellation.

    Parameters
    ----------
    catalog
        With its parameters; its predictors are the columns.
    """
    if config.churn != "cancellation":
        return None
    found = table.spells(config.terms)
    landmarks = past(found, config.horizon_days, config.seed)
    names = catalog.predictors
    columns = {name: np.empty(len(landmarks)) for name in names}
    wanted = catalog.needed_for(names)
    dates = landmarks.backs
    at_once = max(1, ROWS_AT_ONCE // max(len(table.customers), 1))
    for first in range(0, len(dates), at_once):
        some = dates[first : first + at_once]
        rows = np.flatnonzero(np.isin(landmarks.back, some))
        features = table.features(wanted, some)
        place = landmarks.of(rows).matched(features["back"], features["customer"])
        for name in names:
            columns[name][rows] = features[name][place]
    return ContractPanel(config.terms, found, landmarks, columns)


def fit_contracts(panel: ContractPanel | None, config: TrainConfig) -> CancellationModel | None:
    """Return the model of cancellations; None where there is nothing of contracts to learn."""
    if panel is None:
        return None
    return fit_cancellation(
        panel.spells, config.horizon_days, panel.landmarks, panel.columns, seed=config.seed
    )
