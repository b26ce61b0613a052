"""Choice of the stage scheme of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagecast.features.engines.shop_gap import FEWEST_GAPS, mean_gaps
from stagecast.features.stages.scheme import Scheme
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.training.config import TrainConfig

if TYPE_CHECKING:
    from stagecast.features.engines.duckdb import DailyTable

BY_CONTRACT = "membership"
"""Scheme whose stages go by the start and the end of contracts."""


def scheme_of(config: TrainConfig, table: DailyTable) -> Scheme:
    """Return the scheme of a training, with its pins and the event types of contracts.

    Where churn is cancellation and the log has too few gaps between purchases to know a usual one,
    the rules of the default scheme would compare with a constant: the scheme
    :data:`BY_CONTRACT` replaces it.

    Parameters
    ----------
    config
        Settings of the training.
    table
        Daily table of the as_of.

    Raises
    ------
    UsageError
        The scheme is not known, or its file has an error.
    """
    name = config.scheme
    by_default = name == TrainConfig.scheme and config.churn == "cancellation"
    if by_default and mean_gaps(table.purchase_days()).gaps < FEWEST_GAPS:
        name = BY_CONTRACT
    scheme = load_scheme(name).with_pins(config.pins)
    return scheme.with_terms(config.terms) if config.churn == "cancellation" else scheme
