"""Evaluates a catalogue for one customer, in plain Python.

Gives the numbers of :class:`stagecast.features.engines.evaluator.Evaluator`, bit by bit.
"""

from __future__ import annotations

from stagecast.features.catalog import formula
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import CALENDAR
from stagecast.features.catalog.of_customer import attribute_column, attribute_features
from stagecast.features.clock import DAY_MICROSECONDS, calendar
from stagecast.features.one_customer.aggregates import AggregatesOfOne, distinct_count
from stagecast.features.one_customer.formulas import straight_line
from stagecast.features.one_customer.past import Past
from stagecast.features.one_customer.relations import event_rows, purchase_day_rows


class EvaluatorOfOne:
    """A catalogue, prepared once to be evaluated for one customer at a time.

    Parameters
    ----------
    catalog
        With its parameters set.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._parameters = {name: float(v) for name, v in catalog.parameters.items()}
        aggregates = [feature for feature in catalog.features if feature.formula is None]
        self._days = AggregatesOfOne([f for f in aggregates if f.relation == "days"])
        self._log = AggregatesOfOne([f for f in aggregates if f.relation in ("log", "types")])
        self._values = [f for f in aggregates if f.relation == "values"]
        self._attributes = attribute_features(catalog)
        formulas = [(f.name, f.formula) for f in catalog.features if f.formula is not None]
        self._evaluate = straight_line(formulas)
        used = frozenset[str]().union(*(formula.names(text) for _, text in formulas))
        self._reads_calendar = not used.isdisjoint(CALENDAR)

    def features(self, past: Past) -> dict[str, float]:
        """Return every feature of the catalogue, beside its parameters; NaN is null.

        Parameters
        ----------
        past
            Events of the customer, cut at the as_of.

        Raises
        ------
        ArithmeticError
            A formula divides by zero or overflows where arrays go on with infinity.
        """
        as_of_day = past.instant / DAY_MICROSECONDS
        values = dict(self._parameters)
        if self._reads_calendar:
            values |= calendar(past.instant)
        values |= self._days.values(purchase_day_rows(past.net_days), as_of_day)
        values |= self._log.values(event_rows(past), as_of_day)
        for feature in self._values:
            values[feature.name] = distinct_count(feature, past, as_of_day)
        for feature in self._attributes:
            column = attribute_column(feature, [past.customer.attributes])
            values[feature.name] = float(column[0])
        self._evaluate(values)
        return values
