"""Purchase days of buyers, and the columns of the hazard at any day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stagecast.features.arrays import Array, Integers
from stagecast.features.catalog import formula
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.engines.relations import purchase_day_rows
from stagecast.features.engines.rows import Aggregates, Rows
from stagecast.features.record import PurchaseDays

COLUMNS = (
    "recency_days",
    "T_days",
    "orders",
    "gap_mean",
    "gap_last",
    "gap_longest",
    "gap_spread",
    "rhythm_days",
    "order_rate",
    "overdue_ratio",
    "overdue_longest",
    "overdue_spread",
    "return_ratio",
)
"""Features that the hazard learns from: days of purchase alone, of which silence moves the
recency, T and their ratios."""


@dataclass(frozen=True)
class Histories:
    """Purchase days of buyers, and what the catalogue makes of them at any day.

    Parameters
    ----------
    customer
        0, 1, 2, ..., in the order of which the days stand, shape (n_days,).
    day
        Days since 1970, shape (n_days,).
    catalog
        With its parameters set.
    """

    customer: Integers
    day: Integers
    catalog: Catalog

    @classmethod
    def of(cls, days: PurchaseDays, catalog: Catalog) -> Histories:
        """Return the histories of all customers with a purchase day."""
        _, customer = np.unique(days.customer, return_inverse=True)
        return cls(customer, days.day, catalog.needed_for(COLUMNS))

    def every(self, step: int) -> Histories:
        """Return the histories of every ``step``-th customer."""
        if step == 1:
            return self
        chosen = self.customer % step == 0
        return Histories(self.customer[chosen] // step, self.day[chosen], self.catalog)

    @cached_property
    def first_day(self) -> Integers:
        """Day of the first purchase of each customer, shape (n_customers,)."""
        return self.day[np.flatnonzero(np.diff(self.customer, prepend=-1))]

    def __len__(self) -> int:
        return len(self.first_day)

    @cached_property
    def _rows(self) -> Rows:
        # no feature of these columns looks at money
        return purchase_day_rows(len(self), self.customer, self.day, np.zeros_like(self.day))

    def at(self, dates: Sequence[float]) -> list[dict[str, Array]]:
        """Return the aggregates of all customers at several days, shape (n_customers,) each."""
        features = [feature for feature in self.catalog.features if feature.formula is None]
        return list(Aggregates(features).at_dates(self._rows, dates))

    def columns(
        self, aggregates: Mapping[str, Array], as_of_day: Array | float
    ) -> dict[str, Array]:
        """Return the columns of rows, where nothing came between their aggregates and a day.

        Parameters
        ----------
        aggregates
            Those of the rows, shape (rows,) each.
        as_of_day
            The day, for all rows or for each.
        """
        values: dict[str, Array | float] = {
            **self.catalog.parameters,
            **aggregates,
            "as_of_day": np.broadcast_to(np.float64(as_of_day), len(aggregates["orders"])),
        }
        formulas = [(f.name, f.formula) for f in self.catalog.features if f.formula is not None]
        formula.evaluate_all([(name, formula.compiled(text)) for name, text in formulas], values)
        return {name: np.asarray(values[name], dtype=np.float64) for name in COLUMNS}
