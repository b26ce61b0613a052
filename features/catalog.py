"""The feature catalogue: each feature is data, read by SQL (:mod:`features.sql`) and NumPy (:mod:`features.online`).

A feature is either an **aggregate** over one of two relations of one customer's past,

``days``
    one row per purchase day: ``day`` (number since 1970), ``age`` (days from the start of that day to the as_of),
    ``spend`` (what refunds have left of that day's purchases), ``gap`` (days since the purchase day before; null on the
    first). Refunds take back what was bought last; a day that was taken back in full is not among them, and so does not
    count in orders, gaps, recency or anything else that is made of ``days``
``log``
    one row per day with any event: ``age``, ``day``, ``gross_spend`` (sum of the purchases, before refunds), ``refund``
    (money given back), ``purchases`` (purchase events), ``activity`` (events that are neither purchase nor refund nor
    made by the marketer), ``active_day`` (``day`` where there is any activity, else null)

or a **formula** over features that stand before it, ``as_of_day`` and the catalogue's parameters (numbers that the
training derives from the shop's log, such as ``shop_gap_days``). A new feature is one line here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from features.errors import UsageError, did_you_mean

WINDOWS_DAYS = (30, 90, 180, 365)

# Events that the shop, not the customer, makes: no predictors, since they follow the marketer's plans.
MARKETER_EVENTS = ("contact", "email_sent", "sms_sent", "push_sent", "ad_impression")

# A customer's own rhythm counts as much as the shop's once there are this many gaps.
RHYTHM_PRIOR_GAPS = 3

Relation = Literal["days", "log"]
Function = Literal["count", "sum", "sum_of_squares", "min", "max", "first", "last"]

# What can be asked of which column; engines answer all of these alike. A count counts rows, so it names the day.
_ANSWERED: Mapping[Relation, Mapping[str, tuple[str, ...]]] = {
    "days": {
        "count": ("day",),
        "sum": ("spend", "gap"),
        "sum_of_squares": ("gap",),
        "min": ("day", "age", "spend", "gap"),
        "max": ("day", "age", "spend", "gap"),
        "first": ("day", "spend", "gap"),
        "last": ("day", "spend", "gap"),
    },
    "log": {
        "sum": ("purchases", "gross_spend", "refund", "activity"),
        "min": ("day", "age", "active_day"),
        "max": ("day", "age", "active_day"),
    },
}


@dataclass(frozen=True)
class Feature:
    """One feature: an aggregate (``relation``, ``function``, ``column``, ``window_days``) or a ``formula``.

    ``window_days`` is a pair ``(newer, older)``: rows with ``newer < age <= older`` count. ``predictor`` says whether
    the models may learn from it.

    Raises
    ------
    UsageError
        Neither an aggregate that the relation can answer nor a formula.
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

    def __post_init__(self) -> None:
        """Check that engines can evaluate it alike."""
        here = f"feature '{self.name}'"
        if self.formula is not None:
            if (self.relation, self.function, self.column, self.window_days) != (None, None, None, None):
                raise UsageError(f"{here}: a formula has no relation, function, column or window of its own")
            return
        if self.relation is None or self.function is None:
            raise UsageError(f"{here}: give a formula, or a relation, a function and a column")
        columns = _ANSWERED[self.relation].get(self.function, ())
        if self.column not in columns:
            answered = ", ".join(f"{f}({c})" for f, named in _ANSWERED[self.relation].items() for c in named)
            raise UsageError(
                f"{here}: '{self.function}({self.column})' cannot be asked of '{self.relation}', only {answered}"
            )
        if self.window_days is not None:
            if self.function in ("first", "last"):
                raise UsageError(f"{here}: the {self.function} purchase day is that of all time; take the window away")
            if not 0 <= self.window_days[0] < self.window_days[1]:
                raise UsageError(f"{here}: window {self.window_days} is not (newer, older) with 0 <= newer < older")


@dataclass(frozen=True)
class Catalog:
    """Features in the order of evaluation, with the parameters their formulas use.

    Raises
    ------
    UsageError
        Two features of one name, or a parameter that is no finite number.
    """

    features: tuple[Feature, ...]
    parameters: Mapping[str, float]

    def __post_init__(self) -> None:
        """Check names and parameters."""
        names = [*self.names, *self.parameters, "as_of_day", "customer", "back"]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(f"catalogue: {twice} stands twice among features, parameters and our own columns")
        if odd := {name: value for name, value in self.parameters.items() if not math.isfinite(value)}:
            raise UsageError(f"catalogue: parameters {odd} are no finite numbers")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    @property
    def predictors(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features if feature.predictor)

    def __getitem__(self, name: str) -> Feature:
        for feature in self.features:
            if feature.name == name:
                return feature
        raise UsageError(f"no feature '{name}' in the catalogue.{did_you_mean(name, self.names)}")

    def with_parameters(self, **parameters: float) -> Catalog:
        """Return the catalogue with parameters set; a formula that needs one that is missing cannot be evaluated."""
        return Catalog(self.features, {**self.parameters, **parameters})


def _aggregate(
    name: str,
    unit: str,
    meaning: str,
    of: str,
    function: Function,
    window: tuple[int, int] | None = None,
    predictor: bool = False,
) -> Feature:
    relation, column = of.split(".")
    return Feature(name, unit, meaning, _relation(relation), function, column, window, None, predictor)


def _relation(text: str) -> Relation:
    return "days" if text == "days" else "log"


def _formula(name: str, unit: str, meaning: str, formula: str, predictor: bool = True) -> Feature:
    return Feature(name, unit, meaning, formula=" ".join(formula.split()), predictor=predictor)


def _windows() -> list[Feature]:
    features = []
    for days in WINDOWS_DAYS:
        window, ago = (0, days), f"in the last {days} days"
        features += [
            _aggregate(f"orders_{days}d", "days", f"purchase days {ago}", "days.day", "count", window, True),
            _aggregate(f"spend_{days}d", "money", f"spend {ago}", "days.spend", "sum", window, True),
            _aggregate(f"activity_{days}d", "events", f"visits and other {ago}", "log.activity", "sum", window, True),
        ]
    return features


def standard(horizon_days: int) -> Catalog:
    """Return the standard catalogue for a horizon in days.

    Its parameter ``shop_gap_days`` is the shop's usual gap between two purchase days of a customer; set it with
    :meth:`Catalog.with_parameters` before features are computed.

    Sources: frequency, recency and T after Fader, Hardie and Lee (2005), "Counting your customers the easy way".

    >>> "recency_days" in standard(90).predictors
    True
    """
    prior = RHYTHM_PRIOR_GAPS
    base = [
        _aggregate("orders", "days", "purchase days", "days.day", "count", predictor=True),
        _aggregate("first_day", "day number", "first purchase day", "days.day", "min"),
        _aggregate("last_day", "day number", "last purchase day", "days.day", "max"),
        _aggregate("first_event_day", "day number", "day of the first event of any type", "log.day", "min"),
        _aggregate("last_active_day", "day number", "day of the last visit or other event", "log.active_day", "max"),
        _aggregate("purchase_events", "events", "purchase events (lines)", "log.purchases", "sum"),
        _aggregate("spend", "money", "spend net of refunds", "days.spend", "sum", predictor=True),
        _aggregate("refund_spend", "money", "money given back", "log.refund", "sum"),
        _aggregate("spend_first", "money", "spend on the first purchase day", "days.spend", "first", predictor=True),
        _aggregate("spend_last", "money", "spend on the last purchase day", "days.spend", "last", predictor=True),
        _aggregate("spend_max", "money", "largest spend on one day", "days.spend", "max", predictor=True),
        _aggregate("gap_last", "days", "the last gap between two purchase days", "days.gap", "last", predictor=True),
        _aggregate("gap_longest", "days", "the longest gap", "days.gap", "max", predictor=True),
        _aggregate("gap_squares", "days^2", "sum of squared gaps", "days.gap", "sum_of_squares"),
        _aggregate("activity", "events", "visits and other events so far", "log.activity", "sum", predictor=True),
        _aggregate(
            "orders_prev_90d",
            "days",
            "purchase days 91 to 180 days ago",
            "days.day",
            "count",
            (90, 180),
            True,
        ),
        _aggregate("spend_prev_90d", "money", "spend 91 to 180 days ago", "days.spend", "sum", (90, 180), True),
    ]
    if horizon_days < 365:
        base.append(
            _aggregate(
                "orders_ahead_last_year",
                "days",
                "purchase days a year ago, in the days that now lie ahead",
                "days.day",
                "count",
                (365 - horizon_days, 365),
                False,
            )
        )
    formulas = [
        _formula("frequency", "days", "repeat purchase days", "greatest(orders - 1, 0)"),
        _formula("T_days", "days", "first purchase day to the as_of", "as_of_day - first_day"),
        _formula("t_x_days", "days", "first to last purchase day", "last_day - first_day"),
        _formula("recency_days", "days", "last purchase day to the as_of", "as_of_day - last_day"),
        _formula("tenure_days", "days", "first event to the as_of", "as_of_day - first_event_day", predictor=False),
        _formula("silence_days", "days", "last visit or other event to the as_of", "as_of_day - last_active_day"),
        _aggregate("purchase_spend", "money", "spend before refunds", "log.gross_spend", "sum", predictor=True),
        _formula("spend_mean", "money", "spend per purchase day", "spend / nullif(orders, 0)"),
        _formula(
            "monetary",
            "money",
            "mean spend per repeat purchase day",
            "(spend - spend_first) / nullif(frequency, 0)",
        ),
        _formula(
            "refund_share", "ratio", "refunds over spend before refunds", "refund_spend / nullif(purchase_spend, 0)"
        ),
        _formula("order_rate", "1/days", "repeat purchase days per day", "frequency / T_days"),
        _formula("gap_mean", "days", "mean gap between purchase days", "t_x_days / nullif(frequency, 0)"),
        _formula(
            "gap_spread",
            "days",
            "standard deviation of the gaps",
            # in whole days up to the division, so that nothing is lost where gaps are nearly the same
            "sqrt(greatest(frequency * gap_squares - t_x_days * t_x_days, 0) / (frequency * (frequency - 1)))",
        ),
        _formula(
            "rhythm_days",
            "days",
            f"the customer's usual gap, shrunk to the shop's as if by {prior} more gaps",
            f"({prior} * shop_gap_days + t_x_days) / ({prior} + frequency)",
        ),
        _formula("overdue_ratio", "ratio", "silence over the usual gap", "recency_days / rhythm_days"),
        _formula("overdue_longest", "ratio", "silence over the longest gap", "recency_days / gap_longest"),
        _formula(
            "overdue_spread",
            "ratio",
            "silence beyond the mean gap, in spreads",
            "(recency_days - gap_mean) / (gap_spread + 1)",
        ),
        _formula(
            "return_ratio",
            "ratio",
            "the last gap over what had been usual before it",
            f"gap_last * ({prior} + frequency - 1) / ({prior} * shop_gap_days + t_x_days - gap_last)",
        ),
        _formula(
            "trend_orders_90d",
            "ratio",
            "purchase days of the last 90 days over the 90 before, each plus one",
            "(orders_90d + 1) / (orders_prev_90d + 1)",
        ),
        _formula(
            "trend_spend_90d",
            "ratio",
            "spend of the last 90 days over the mean of the last 180, 1 if there was none",
            "coalesce(2 * spend_90d / nullif(spend_90d + spend_prev_90d, 0), 1)",
        ),
    ]
    return Catalog(tuple(base + _windows() + formulas), {})
