"""Families of columns that mean one thing to a reader, and the effect of each on the log odds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.catalog.own import OwnFeatures
from stagecast.training.learners.pool import Pool
from stagecast.training.usual_gap import LEAST_GAPS

SEASON = "season"
"""The family that is shown without numbers."""


@dataclass(frozen=True)
class Family:
    """Columns that mean one thing to a reader.

    Parameters
    ----------
    feature
        The feature that is shown.
    starts
        How the names of the columns of the family start.
    raises
        1 where more of the feature means more risk, -1 where less, 0 where it depends.
    meaning
        Meaning of one of the user's own features, which is the only column of its family; else
        empty.
    own_past
        Feature of the customer's own past that the shown one is compared with; empty: none.
    least_gaps
        Gaps between purchase days that the own past needs; with fewer, nothing is usual of it.
    overdue
        Whether a value above that of the own past is told as overdue, and is no reason of a lower
        risk.
    turns_at
        Column of the value below which the feature raises the risk and above which it lowers it;
        the feature is then compared with its own past alone. Empty: it has none.
    window_days
        Days before the as_of in which the feature counts, and before which it counts its own past;
        0: it has no window.
    """

    feature: str
    starts: tuple[str, ...] = ()
    raises: int = 0
    meaning: str = ""
    own_past: str = ""
    least_gaps: int = 0
    overdue: bool = False
    turns_at: str = ""
    window_days: int = 0

    def has(self, column: str) -> bool:
        """Return whether a column belongs to the family."""
        return column == self.feature if self.meaning else column.startswith(self.starts)


FAMILIES = (
    Family("refund_share", ("refund",)),
    Family(
        "orders_90d",
        ("orders_30d", "orders_90d", "orders_180d", "orders_prev", "trend_orders"),
        -1,
        own_past="orders_prev_90d",
        window_days=90,
    ),
    Family("spend_mean", ("spend", "monetary", "purchase_spend", "trend_spend"), -1),
    Family("activity_30d", ("activity", "silence"), -1),
    Family("gap_mean", ("gap", "return_ratio", "rhythm")),
    Family("T_days", ("T_days", "tenure")),
    Family("orders", ("orders", "frequency", "order_rate"), -1),
    # the length of the silence relative to what is usual, with the columns of the customer base
    Family(
        "recency_days",
        ("",),
        1,
        own_past="gap_mean",
        least_gaps=LEAST_GAPS,
        overdue=True,
    ),
)


def own_families(own: OwnFeatures) -> tuple[Family, ...]:
    """Return the families of the user's own features that models learn from."""
    return tuple(
        Family(feature.name, meaning=feature.meaning)
        for feature in own.features
        if feature.predictor
    )


def family_index(families: Sequence[Family], column: str) -> int:
    """Return the position of the first family that has the column."""
    return next(k for k, family in enumerate(families) if family.has(column))


def family_effects(
    pool: Pool, families: Sequence[Family], columns: Mapping[str, Array], threads: int
) -> Array:
    """Return the effect of each family on the log odds of a pool, shape (rows, families)."""
    effects = np.zeros((len(next(iter(columns.values()))), len(families)))
    positions = _positions(tuple(families))
    for column, effect in pool.effects(columns, threads):
        effects[:, positions[column]] += effect
    return effects


class _Positions(dict[str, int]):
    """Column -> :func:`family_index`, looked up once for each column."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def __missing__(self, column: str) -> int:
        self[column] = position = family_index(self._families, column)
        return position


@lru_cache(maxsize=16)
def _positions(families: tuple[Family, ...]) -> _Positions:
    return _Positions(families)
