"""Evaluates a catalogue in NumPy for customers whose events are in memory.

Gives the same features as :mod:`stagecast.features.engines.sql` for the same events; the tests in
``tests/parity`` compare both with one oracle.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.catalog import formula
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.of_customer import attribute_column, attribute_features
from stagecast.features.clock import calendar
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.engines.relations import (
    EventColumns,
    distinct_count,
    purchase_day_rows,
    validity_of,
)
from stagecast.features.engines.rows import Aggregates, Rows


class Evaluator:
    """A catalogue, prepared once to be evaluated for many requests.

    Parameters
    ----------
    catalog
        With its parameters set.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._names = catalog.names
        self._parameters = dict(catalog.parameters)
        aggregates = [feature for feature in catalog.features if feature.formula is None]
        self._days = Aggregates([f for f in aggregates if f.relation == "days"])
        # log and types are computed from the same rows, one per event
        self._log = Aggregates([f for f in aggregates if f.relation == "log"])
        self._types_features = [f for f in aggregates if f.relation == "types"]
        self._values_without_types = {f.name: f.empty_value for f in self._types_features}
        self._event_types = frozenset(
            event_type for feature in self._types_features for event_type in feature.events
        )
        self._aggregates_by_types: dict[frozenset[str], Aggregates] = {}
        self._values_features = [f for f in aggregates if f.relation == "values"]
        self._attribute_features = attribute_features(catalog)
        self._formulas = [
            (f.name, formula.compiled(f.formula)) for f in catalog.features if f.formula is not None
        ]

    def features(self, events: MemoryEvents) -> dict[str, Array]:
        """Return every feature, in the order of the catalogue.

        Parameters
        ----------
        events
            Events of the customers, cut at the as_of.

        Returns
        -------
        dict
            Name -> values, shape (n_customers,), in the order of ``events.customers``; null is NaN.
        """
        count = len(events.customers)
        calendar_values = calendar(events.instant)
        as_of_day = calendar_values["as_of_day"]
        event_rows = Rows(
            count, events.customer, events.day, EventColumns(events), validity_of(events)
        )
        days = events.net_days
        day_rows = purchase_day_rows(count, days.customer, days.day, days.spend)
        values: dict[str, Array | float] = {**calendar_values, **self._parameters}
        values |= self._days.at_date(day_rows, as_of_day)
        values |= self._log.at_date(event_rows, as_of_day)
        if self._types_features:
            values |= self._values_without_types
            values |= self._types_aggregates(events.types).at_date(event_rows, as_of_day)
        for feature in self._values_features:
            values[feature.name] = distinct_count(feature, events, as_of_day)
        for feature in self._attribute_features:
            values[feature.name] = attribute_column(feature, events.attributes)
        formula.evaluate_all(self._formulas, values)
        return {name: _full(values[name], count) for name in self._names}

    def _types_aggregates(self, types: Sequence[str]) -> Aggregates:
        """Return the aggregates of ``types`` for which the events have any of the types."""
        present = frozenset(types) & self._event_types
        if present not in self._aggregates_by_types:
            self._aggregates_by_types[present] = Aggregates(
                [f for f in self._types_features if not present.isdisjoint(f.events)]
            )
        return self._aggregates_by_types[present]


def _full(value: Array | float, count: int) -> Array:
    if isinstance(value, np.ndarray) and value.shape == (count,):
        return value
    return np.broadcast_to(np.asarray(value, dtype=np.float64), (count,))
