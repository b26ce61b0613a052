"""The catalogue for customers whose events are in memory: NumPy, no SQL, many customers at once.

Gives what :mod:`stagecast.features.engines.sql` gives for the same events; both are held to one
oracle in ``tests/parity``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.catalog import formula
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.of_customer import given, of_customer
from stagecast.features.clock import calendar
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.engines.relations import EventColumns, days_of, different, given_of
from stagecast.features.engines.rows import Aggregates, Rows


class Evaluator:
    """A catalogue, ready to be evaluated for any events: what can be done once is done here.

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
        # the same rows, each of them an event
        self._log = Aggregates([f for f in aggregates if f.relation == "log"])
        self._of_types = [f for f in aggregates if f.relation == "types"]
        self._of_absent_types = {f.name: f.of_nothing for f in self._of_types}
        self._types = frozenset(one for feature in self._of_types for one in feature.events)
        self._of_present: dict[frozenset[str], Aggregates] = {}
        self._values = [f for f in aggregates if f.relation == "values"]
        self._of_customer = of_customer(catalog)
        self._formulas = [
            (f.name, formula.compiled(f.formula)) for f in catalog.features if f.formula is not None
        ]

    def features(self, events: MemoryEvents) -> dict[str, Array]:
        """Return every feature, one row per customer in their order; null is NaN."""
        count = len(events.customers)
        says = calendar(events.instant)
        as_of_day = says["as_of_day"]
        of_events = Rows(count, events.customer, events.day, EventColumns(events), given_of(events))
        values: dict[str, Array | float] = {**says, **self._parameters}
        values |= self._days.of(days_of(count, *events.net_days[:3]), as_of_day)
        values |= self._log.of(of_events, as_of_day)
        if self._of_types:
            values |= self._of_absent_types
            values |= self._present(events.types).of(of_events, as_of_day)
        for feature in self._values:
            values[feature.name] = different(feature, events, as_of_day)
        for feature in self._of_customer:
            values[feature.name] = given(feature, events.attributes)
        formula.evaluate_all(self._formulas, values)
        return {name: _full(values[name], count) for name in self._names}

    def _present(self, types: Sequence[str]) -> Aggregates:
        """Return the aggregates over those types that there are."""
        there = frozenset(types) & self._types
        if there not in self._of_present:
            some = [feature for feature in self._of_types if not there.isdisjoint(feature.events)]
            self._of_present[there] = Aggregates(some)
        return self._of_present[there]


def _full(value: Array | float, count: int) -> Array:
    if isinstance(value, np.ndarray) and value.shape == (count,):
        return value
    return np.broadcast_to(np.asarray(value, dtype=np.float64), (count,))
