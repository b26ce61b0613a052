"""The words a catalogue is written in: a feature is data, read by SQL
(:mod:`stagecast.features.engines.sql`) and NumPy (`.online`).

A feature is either asked of one of five relations of one customer (mostly an **aggregate** of their
past), or a **formula** over features that stand before it, what the calendar says of the as_of
(:data:`CALENDAR`), and the catalogue's parameters (numbers that the training derives from the
shop's log, such as ``shop_gap_days``).

``days``
    one row per purchase day: ``day`` (number since 1970), ``age`` (days from the start of that day
    to the as_of), ``spend`` (what refunds have left of that day's purchases), ``spend_change`` (how
    far that is from the purchase day before, never negative), ``gap`` (days since the purchase day
    before), ``gap_entropy`` (gap x ln gap), ``gap_unevenness`` ((gap / (gap + the gap before) -
    1/2)^2), ``weekday`` (of the day, UTC), ``weekend`` (1 on Saturdays and Sundays, else 0). What
    needs a day before is null on the first, ``gap_unevenness`` on the second, too. Refunds take
    back what was bought last; a day that was taken back in full is not among them, and so does not
    count in orders, gaps, recency or anything else that is made of ``days``
``log``
    one row per day with any event: ``age``, ``day``, ``purchases`` (purchase events),
    ``gross_spend`` (their sum, before refunds), ``discount`` (taken off their price), ``refunds``
    (refund events), ``refund`` (money given back), ``activity`` (events that are neither purchase
    nor refund nor made by the marketer), ``active_day`` (``day`` where there is any activity, else
    null), ``hour`` (hours of the day, UTC, that have a purchase)
``types``
    one row per event type and day, of the types in ``events``: ``age``, ``day``, ``events`` (how
    many), ``amount`` (their sum; the mean is over events that have one)
``values``
    one row per different ``channel`` or ``category`` that the events had: ``age`` of the latest of
    them. ``events`` may name the types that count
``customer``
    the one row of the table of customers, or the ``attributes`` of a request: the ``value`` of a
    number or a flag, and whether a text ``is`` one of some ``values``. Only columns that were known
    from the first contact on, see :mod:`stagecast.features.catalog.of_customer`

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

# Events that the shop, not the customer, makes: no predictors, since they follow the marketer's
# plans.
MARKETER_EVENTS = ("contact", "email_sent", "sms_sent", "push_sent", "ad_impression")

NO_ACTIVITY = ("purchase", "refund", *MARKETER_EVENTS)
"""Event types that ``activity`` does not count."""

CALENDAR = ("as_of_day", "as_of_weekday", "as_of_month", "as_of_year_day")
"""What formulas may name of the as_of, in UTC: day number, weekday (1 Monday), month and day of
the year (from 1).
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

# What can be asked of which column; engines answer all of these alike. A count counts rows, so it
# names the day.
_ANSWERED: Mapping[Relation, Mapping[str, tuple[str, ...]]] = {
    "days": {
        "count": ("day",),
        "sum": ("spend", "spend_change", "gap", "gap_entropy", "gap_unevenness", "weekend"),
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
    # of any column of the user's
    "customer": {"value": (), "is": ()},
}
MONEY = ("spend", "spend_change", "gross_spend", "discount", "refund", "amount")
"""Columns of money, which engines add up as whole millionths."""

ENTROPY_SCALE, UNEVENNESS_SCALE = 1e10, 1e12
"""``gap_entropy`` and ``gap_unevenness`` are added up as whole numbers of these parts, exact in
any order of rows.
"""

MILLION = 1_000_000
"""Money is added up in whole millionths, so that sums are exact in any order."""

SCALES: Mapping[str, float] = {
    **dict.fromkeys(MONEY, float(MILLION)),
    "gap_entropy": ENTROPY_SCALE,
    "gap_unevenness": UNEVENNESS_SCALE,
}
"""Column -> what its whole numbers are divided by in the end."""

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,62}")


@dataclass(frozen=True)
class Feature:
    """One feature: an aggregate (``relation``, ``function``, ``column``, ``window_days``,
    ``events``) or a ``formula``.

    Parameters
    ----------
    name, unit, meaning
        A column's name, its unit (``days``, ``money``, ``events``, ``ratio``, ...), and what it
        says in a sentence.
    relation, function, column
        What is asked of which relation, see the module.
    window_days
        A pair ``(newer, older)``: rows with ``newer < age <= older`` count; None: all of them.
    events
        Event types that count, for ``types`` and ``values``.
    formula
        Arithmetic over what stands before it, see :mod:`stagecast.features.catalog.formula`.
    predictor
        Whether the models may learn from it.
    source
        Where it is published.
    values
        Texts of which an attribute must be one, for ``is``.

    Raises
    ------
    UsageError
        Neither an aggregate that the relation can answer nor a formula, or a name that is no name.
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
        """Check that engines can evaluate it alike."""
        here = f"feature '{self.name}'"
        if not _NAME.fullmatch(self.name):
            raise UsageError(
                f"{here}: a name is a letter, then letters, digits and _, at most 63 of them"
            )
        if self.formula is not None:
            given = (self.relation, self.function, self.column, self.window_days)
            if given != (None, None, None, None) or self.events or self.values:
                raise UsageError(
                    f"{here}: a formula has no relation, function, column, window, events "
                    "or values of its own"
                )
            try:
                formula.parse(self.formula)
            except UsageError as error:
                raise UsageError(f"{here}: {error}") from None
            return
        if self.relation is None or self.function is None:
            raise UsageError(f"{here}: give a formula, or a relation, a function and a column")
        if self.relation not in _ANSWERED:
            raise UsageError(
                f"{here}: no relation '{self.relation}'.{did_you_mean(self.relation, _ANSWERED)}"
            )
        if self.relation == "customer":
            self._check_attribute(here)
            return
        columns = _ANSWERED[self.relation].get(self.function, ())
        if self.column not in columns:
            answered = ", ".join(
                f"{f}({c})" for f, named in _ANSWERED[self.relation].items() for c in named
            )
            raise UsageError(
                f"{here}: '{self.function}({self.column})' cannot be asked of "
                f"'{self.relation}', only {answered}"
            )
        self._check_events(here)
        self._check_values(here)
        if self.window_days is not None:
            self._check_window(here, *self.window_days)

    def _check_attribute(self, here: str) -> None:
        if self.function not in _ANSWERED["customer"]:
            raise UsageError(
                f"{here}: '{self.function}' cannot be asked of 'customer', only value and is"
            )
        if not self.column:
            raise UsageError(
                f"{here}: name the column of the table of customers, like column = 'plan'"
            )
        if self.window_days is not None or self.events:
            raise UsageError(
                f"{here}: 'customer' has one row and no events; take window and events away"
            )
        self._check_values(here)

    def _check_values(self, here: str) -> None:
        if self.function == "is" and not self.values:
            raise UsageError(f"{here}: name the texts that count, like values = ['pro', 'team']")
        if self.function != "is" and self.values:
            raise UsageError(
                f"{here}: values {list(self.values)!r} belong to function = 'is' of 'customer'"
            )
        if odd := [
            one for one in self.values if not isinstance(one, str) or one != one.strip() or not one
        ]:
            raise UsageError(
                f"{here}: values {odd!r} are not texts without blanks around them, like "
                "'pro' or '1'"
            )

    def _check_events(self, here: str) -> None:
        if self.relation == "types" and not self.events:
            raise UsageError(f"{here}: name the event types that count, like events = ['visit']")
        if self.relation in ("days", "log") and self.events:
            raise UsageError(
                f"{here}: '{self.relation}' has no event types to choose from; ask 'types'"
            )
        if not all(isinstance(one, str) and one for one in self.events):
            raise UsageError(f"{here}: events {list(self.events)!r} are not names of event types")

    def _check_window(self, here: str, newer: int, older: int) -> None:
        if self.function in ("first", "last"):
            raise UsageError(
                f"{here}: the {self.function} purchase day is that of all time; take the "
                "window away"
            )
        if not 0 <= newer < older:
            raise UsageError(
                f"{here}: window {self.window_days} is not (newer, older) with 0 <= newer < older"
            )
        if newer and self.relation == "values":
            raise UsageError(
                f"{here}: only the latest of each value is known; its window must begin at 0"
            )

    @property
    def of_nothing(self) -> float:
        """What an aggregate is where there is no row: nothing bought is 0 bought, a mean or a
        day of nothing null.
        """
        return 0.0 if self.function in ("count", "sum", "distinct") else math.nan

    @property
    def how(self) -> str:
        """How it is made: its formula, or its aggregate in one line."""
        if self.formula is not None:
            return self.formula
        of = f" of {', '.join(self.events)}" if self.events else ""
        of += f" one of {', '.join(self.values)}" if self.values else ""
        newer, older = self.window_days or (0, 0)
        window = (
            ""
            if self.window_days is None
            else f", {newer} < age <= {older}"
            if newer
            else f", age <= {older}"
        )
        return f"{self.function}({self.relation}.{self.column}){of}{window}"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data; ``values`` stand there where there are some, as bundles of
        before have none.
        """
        told = {
            **asdict(self),
            "events": list(self.events),
            "window_days": self.window_days and [*self.window_days],
        }
        del told["values"]
        return {**told, "values": list(self.values)} if self.values else told

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Feature:
        """Read what :meth:`to_json` gives.

        Raises
        ------
        UsageError
            An entry that no feature has, or one that cannot be evaluated.
        """
        known = [field.name for field in fields(cls)]
        if strange := sorted(set(data) - set(known)):
            raise UsageError(f"a feature has no '{strange[0]}'.{did_you_mean(strange[0], known)}")
        window = data.get("window_days")
        lists = {name: tuple(data.get(name, ())) for name in ("events", "values")}
        return cls(**{**data, **lists, "window_days": window and tuple(window)})
