"""The columns of published scores that a plan is made from, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array

Texts = NDArray[np.object_]

COLUMNS = (
    "customer_id",
    "state",
    "stage",
    "churn_band",
    "play",
    "p_inactive",
    "value_at_risk",
    "value_gone",
    "clv",
    "expected_orders",
    "expected_spend",
)
_TEXTS = ("customer_id", "state", "stage", "churn_band", "play")


@dataclass(frozen=True)
class Candidates:
    """Customers whom a plan may choose from, in the order of their ids.

    Parameters
    ----------
    customer_id, state, stage, churn_band, play
        Columns of the scores, shape (n,); None where the score has none.
    p_inactive
        P(no purchase in the horizon), or P(cancel), shape (n,); NaN for prospects.
    value_at_risk, value_gone, clv, expected_spend
        In money, shape (n,); NaN where the score has none.
    expected_orders
        Purchase days expected in the horizon, shape (n,).
    """

    customer_id: Texts
    state: Texts
    stage: Texts
    churn_band: Texts
    play: Texts
    p_inactive: Array
    value_at_risk: Array
    value_gone: Array
    clv: Array
    expected_orders: Array
    expected_spend: Array

    def __len__(self) -> int:
        return len(self.customer_id)

    def take(self, rows: NDArray[Any]) -> Candidates:
        """Return some of the customers, by position or by a mask."""
        return Candidates(**{part.name: getattr(self, part.name)[rows] for part in fields(self)})

    @property
    def lapsed(self) -> NDArray[np.bool_]:
        """Who is to be won back rather than kept, shape (n,)."""
        return np.asarray(self.state == "lapsed", dtype=np.bool_)

    @property
    def has_money(self) -> bool:
        """Whether the scores have money: any customer has a value, or there is no customer."""
        columns = (self.value_at_risk, self.value_gone, self.clv, self.expected_spend)
        return not len(self) or any(bool(np.isfinite(column).any()) for column in columns)


def candidates(columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> Candidates:
    """Return candidates from columns of scores, ordered by the customer's id.

    Parameters
    ----------
    columns
        The columns :data:`COLUMNS`, n values each; None where there is none.
    """
    ids = np.array(columns["customer_id"], dtype=object)
    is_ordered = bool(np.all(ids[:-1] <= ids[1:]))
    order = slice(None) if is_ordered else np.argsort(ids, kind="stable")
    arrays = {}
    for name in COLUMNS:
        values = np.array(columns[name], dtype=object if name in _TEXTS else np.float64)
        arrays[name] = values[order]
    return Candidates(**arrays)
