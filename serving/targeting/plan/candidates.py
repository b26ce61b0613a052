"""The columns of published scores that a plan is made from, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers

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
    "win_back",
    "clv",
    "expected_orders",
    "expected_spend",
)
LABELS = ("state", "stage", "churn_band", "play")
"""Columns of few different texts, which are stored once each."""
NUMBERS = COLUMNS[5:]


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
    win_back
        What may return of the lapsed, in money, shape (n,), as
        :func:`stagecast.serving.scoring.win_back.win_back` says; NaN for the others.
    expected_orders
        Purchase days expected in the horizon, shape (n,).
    cell
        Code of state, stage, churn band and play together, shape (n,): customers of one code have
        the same four.
    """

    customer_id: Texts
    state: Texts
    stage: Texts
    churn_band: Texts
    play: Texts
    p_inactive: Array
    value_at_risk: Array
    value_gone: Array
    win_back: Array
    clv: Array
    expected_orders: Array
    expected_spend: Array
    cell: Integers

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
    def at_risk(self) -> Array:
        """Value at risk of the active, in money, shape (n,); 0 for the others."""
        return np.where(self.state == "active", np.nan_to_num(self.value_at_risk), 0.0)

    @property
    def may_return(self) -> Array:
        """What may return of the lapsed, in money, shape (n,); 0 for the others."""
        return np.nan_to_num(self.win_back)

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
    coder = LabelCoder()
    cell = coder.codes([columns[name] for name in LABELS])
    numbers = {name: np.array(columns[name], dtype=np.float64) for name in NUMBERS}
    return coder.candidates(np.array(columns["customer_id"], dtype=object), cell, numbers)


class LabelCoder:
    """Texts of customers as small codes, part by part: each text is stored once.

    A million customers have a hundred combinations of state, stage, band and play; to look up and
    to compare codes is cheaper than to hold four texts of each customer.
    """

    def __init__(self) -> None:
        self._code: dict[tuple[str | None, ...], int] = {}

    def codes(self, labels: Sequence[Sequence[Any] | NDArray[Any]]) -> Integers:
        """Return the codes of customers by their :data:`LABELS`, n values of each."""
        code = self._code
        n = len(labels[0])
        cells = list(zip(*labels, strict=True))
        for cell in set(cells):
            code.setdefault(cell, len(code))
        return np.fromiter(map(code.__getitem__, cells), np.int64, n)

    def candidates(self, ids: Texts, cell: Integers, numbers: Mapping[str, Array]) -> Candidates:
        """Return candidates by their ids, codes and numbers, ordered by the id."""
        if not bool(np.all(ids[:-1] <= ids[1:])):
            order = np.argsort(ids, kind="stable")
            ids, cell = ids[order], cell[order]
            numbers = {name: values[order] for name, values in numbers.items()}
        columns: dict[str, Any] = {"customer_id": ids, "cell": cell, **numbers}
        for position, name in enumerate(LABELS):
            known = np.empty(len(self._code), dtype=object)
            known[:] = [labels[position] for labels in self._code]
            columns[name] = known[cell]
        return Candidates(**columns)
