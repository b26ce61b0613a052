"""Definition of a feature: data that SQL and NumPy both evaluate.

:mod:`stagecast.features.engines.sql` evaluates it in SQL,
:mod:`stagecast.features.engines.evaluator` in NumPy.

A feature is either an **aggregate** over one of five relations of a customer's past, or a
**formula** over earlier features of the catalogue, the calendar of the as_of (:data:`CALENDAR`),
and the catalogue's parameters (numbers that the training derives from the shop's log, such as
``shop_gap_days``).

``days``
    One row per purchase day: ``day`` (days since 1970), ``age`` (days from the start of that day to
    the as_of), ``spend`` (of that day's purchases, net of refunds), ``spend_change`` (absolute
    difference from the spend of the purchase day before), ``gap`` (days since the purchase day
    before), ``gap_log`` (ln gap), ``gap_entropy`` (gap x ln gap), ``gap_unevenness`` ((gap / (gap +
    the gap before) - 1/2)^2), ``weekday`` (of the day, UTC), ``weekend`` (1 on Saturdays and
    Sundays, else 0).
    Columns that use the day before are null on the first day; ``gap_unevenness`` is null on the
    second day as well. A refund reverses the latest purchases first. A day that was refunded in
    full has no row, so it counts neither in orders, gaps and recency nor in anything else computed
    from ``days``.
``log``
    One row per day with any event: ``age``, ``day``, ``purchases`` (number of purchase events),
    ``gross_spend`` (their sum, before refunds), ``discount`` (taken off their price), ``refunds``
    (number of refund events), ``refund`` (money paid back), ``activity`` (number of events that are
    neither purchase nor refund nor made by the marketer), ``active_day`` (``day`` if there is any
    activity, else null), ``hour`` (hours of the day, UTC, with a purchase).
``types``
    One row per event type and day, for the types in ``events``: ``age``, ``day``, ``events`` (their
    number), ``amount`` (their sum; the mean is over events that have an amount).
``values``
    One row per distinct ``channel`` or ``category`` of the events: ``age`` of the latest event with
    that value. ``events`` may limit the event types.
``customer``
    The one row of the table of customers, or the ``attributes`` of a request: the ``value`` of a
    number or a flag, or whether a text ``is`` in ``values``. Only columns that were known from the
    first contact on, see :mod:`stagecast.features.catalog.of_customer`.

A new feature is one line in :mod:`stagecast.features.catalog.standard`, or a table in
``stagecast.toml`` (:mod:`stagecast.features.catalog.own`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from stagecast.features.catalog import formula
from stagecast.features.errors import UsageError, did_you_mean

# Events made by the shop rather than the customer. They are no predictors, since they depend on the
# marketer's plans.
MARKETER_EVENTS = ("contact", "email_sent", "sms_sent", "push_sent", "ad_impression")

NO_ACTIVITY = ("purchase", "refund", *MARKETER_EVENTS)
"""Event types that ``activity`` does not count."""

CALENDAR = ("as_of_day", "as_of_weekday", "as_of_month", "as_of_year_day")
"""Names that formulas may use for the as_of, in UTC.

Days since 1970, day of the week (1 is Monday), month, and day of the year (from 1).
"""

Relation = Literal["days", "log", "types", "values", "customer"]
Function = Literal[
    "count",
    "sum",
    "mean",
    "sum_of_squares",
    "min",
    "max",
    "first",
    "last",
    "distinct",
    "value",
    "is",
]

# A count counts rows, so its column is the day.
COLUMNS_BY_FUNCTION: Mapping[Relation, Mapping[str, tuple[str, ...]]] = {
    "days": {
        "count": ("day",),
        "sum": (
            "spend",
            "spend_change",
            "gap",
            "gap_log",
            "gap_entropy",
            "gap_unevenness",
            "weekend",
        ),
        "mean": ("spend", "gap"),
        "sum_of_squares": ("gap",),
        "min": ("day", "age", "spend", "gap"),
        "max": ("day", "age", "spend", "gap"),
        "first": ("day", "spend"),
        "last": ("day", "spend", "gap"),
        "distinct": ("weekday",),
    },
    "log": {
        "sum": ("purchases", "gross_spend", "discount", "refunds", "refund", "activity"),
        "min": ("day", "age", "active_day"),
        "max": ("day", "age", "active_day"),
        "distinct": ("hour",),
    },
    "types": {
        "sum": ("events", "amount"),
        "mean": ("amount",),
        "min": ("day", "age"),
        "max": ("day", "age"),
    },
    "values": {"distinct": ("channel", "category")},
    # any column of the user's table
    "customer": {"value": (), "is": ()},
}
"""Relation -> function -> columns to which it applies; all engines give the same results."""

MONEY = ("spend", "spend_change", "gross_spend", "discount", "refund", "amount")
"""Columns of money, which engines add up in whole millionths."""

LOG_SCALE, UNEVENNESS_SCALE = 1e10, 1e12
"""``gap_log`` and ``gap_entropy``, and ``gap_unevenness``, are rounded to integers of these.

Sums of integers are exact in any order of rows.
"""

MILLION = 1_000_000
"""Money is added up in whole millionths, so that sums are exact in any order of rows."""

SCALES: Mapping[str, float] = {
    **dict.fromkeys(MONEY, float(MILLION)),
    "gap_log": LOG_SCALE,
    "gap_entropy": LOG_SCALE,
    "gap_unevenness": UNEVENNESS_SCALE,
}
"""Column -> divisor of its aggregate, for columns that are added up as scaled integers."""

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,62}")


@dataclass(frozen=True)
class Feature:
    """One feature: an aggregate of a relation, or a formula.

    Parameters
    ----------
    name, unit, meaning
        Column name, unit (``days``, ``money``, ``events``, ``ratio``, ...), and a description in
        one sentence.
    relation, function, column
        The aggregate, see the module.
    window_days
        A pair ``(newer, older)``: only rows with ``newer < age <= older`` count; None: all rows.
    formula
        Arithmetic over earlier features, see :mod:`stagecast.features.catalog.formula`.
    predictor
        Whether the models may use it.
    events
        Event types that count, for ``types`` and ``values``.
    source
        Where it is published.
    values
        For ``is``: texts that count as true.

    Raises
    ------
    UsageError
        Neither a formula nor an aggregate that the relation allows, or an invalid name.
    """

    name: str
    unit: str
    meaning: str
    relation: Relation | None = None
    function: Function | None = None
    column: str | None = None
    window_days: tuple[int, int] | None = None
    formula: str | None = None
    predictor: bool = False
    events: tuple[str, ...] = ()
    source: str = ""
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that every engine can evaluate the feature."""
        label = f"feature '{self.name}'"
        if not _NAME.fullmatch(self.name):
            raise UsageError(
                f"{label}: a name is a letter, then letters, digits and _, at most 63 of them"
            )
        if self.formula is not None:
            aggregate = (self.relation, self.function, self.column, self.window_days)
            if aggregate != (None, None, None, None) or self.events or self.values:
                raise UsageError(
                    f"{label}: a formula has no relation, function, column, window, events "
                    "or values of its own"
                )
            try:
                formula.parse(self.formula)
            except UsageError as error:
                raise UsageError(f"{label}: {error}") from None
            return
        if self.relation is None or self.function is None:
            raise UsageError(f"{label}: give a formula, or a relation, a function and a column")
        if self.relation not in COLUMNS_BY_FUNCTION:
            raise UsageError(
                f"{label}: no relation '{self.relation}'."
                f"{did_you_mean(self.relation, COLUMNS_BY_FUNCTION)}"
            )
        if self.relation == "customer":
            self._check_attribute(label)
            return
        columns_by_function = COLUMNS_BY_FUNCTION[self.relation]
        if self.column not in columns_by_function.get(self.function, ()):
            allowed = ", ".join(
                f"{function}({column})"
                for function, columns in columns_by_function.items()
                for column in columns
            )
            raise UsageError(
                f"{label}: '{self.function}({self.column})' cannot be asked of "
                f"'{self.relation}', only {allowed}"
            )
        self._check_events(label)
        self._check_values(label)
        if self.window_days is not None:
            self._check_window(label, *self.window_days)

    def _check_attribute(self, label: str) -> None:
        if self.function not in COLUMNS_BY_FUNCTION["customer"]:
            raise UsageError(
                f"{label}: '{self.function}' cannot be asked of 'customer', only value and is"
            )
        if not self.column:
            raise UsageError(
                f"{label}: name the column of the table of customers, like column = 'plan'"
            )
        if self.window_days is not None or self.events:
            raise UsageError(
                f"{label}: 'customer' has one row and no events; take window and events away"
            )
        self._check_values(label)

    def _check_values(self, label: str) -> None:
        if self.function == "is" and not self.values:
            raise UsageError(f"{label}: name the texts that count, like values = ['pro', 'team']")
        if self.function != "is" and self.values:
            raise UsageError(
                f"{label}: values {list(self.values)!r} belong to function = 'is' of 'customer'"
            )
        if invalid := [
            value
            for value in self.values
            if not isinstance(value, str) or value != value.strip() or not value
        ]:
            raise UsageError(
                f"{label}: values {invalid!r} are not texts without blanks around them, like 'pro' "
                "or '1'"
            )

    def _check_events(self, label: str) -> None:
        if self.relation == "types" and not self.events:
            raise UsageError(f"{label}: name the event types that count, like events = ['visit']")
        if self.relation in ("days", "log") and self.events:
            raise UsageError(
                f"{label}: '{self.relation}' has no event types to choose from; ask 'types'"
            )
        if not all(isinstance(event, str) and event for event in self.events):
            raise UsageError(f"{label}: events {list(self.events)!r} are not names of event types")

    def _check_window(self, label: str, newer: int, older: int) -> None:
        if self.function in ("first", "last"):
            raise UsageError(
                f"{label}: the {self.function} purchase day is that of all time; take the window "
                "away"
            )
        if not 0 <= newer < older:
            raise UsageError(
                f"{label}: window {self.window_days} is not (newer, older) with 0 <= newer < older"
            )
        if newer and self.relation == "values":
            raise UsageError(
                f"{label}: only the latest of each value is known; its window must begin at 0"
            )

    @property
    def empty_value(self) -> float:
        """Value of an aggregate without rows: 0 for counts and sums, else null (NaN)."""
        return 0.0 if self.function in ("count", "sum", "distinct") else math.nan

    @property
    def definition(self) -> str:
        """The formula, or the aggregate in one line."""
        if self.formula is not None:
            return self.formula
        selection = f" of {', '.join(self.events)}" if self.events else ""
        selection += f" one of {', '.join(self.values)}" if self.values else ""
        newer, older = self.window_days or (0, 0)
        window = (
            ""
            if self.window_days is None
            else f", {newer} < age <= {older}"
            if newer
            else f", age <= {older}"
        )
        return f"{self.function}({self.relation}.{self.column}){selection}{window}"

    def to_json(self) -> dict[str, Any]:
        """Return the feature as JSON data.

        ``values`` is left out if empty, as in bundles from before the field existed.
        """
        data = {
            **asdict(self),
            "events": list(self.events),
            "window_days": self.window_days and [*self.window_days],
        }
        del data["values"]
        return {**data, "values": list(self.values)} if self.values else data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Feature:
        """Return the feature that :meth:`to_json` wrote.

        Raises
        ------
        UsageError
            An unknown field, or a feature that cannot be evaluated.
        """
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(data) - set(known)):
            raise UsageError(f"a feature has no '{unknown[0]}'.{did_you_mean(unknown[0], known)}")
        window = data.get("window_days")
        lists = {name: tuple(data.get(name, ())) for name in ("events", "values")}
        return cls(**{**data, **lists, "window_days": window and tuple(window)})
