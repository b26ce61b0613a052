"""Facts that the rules of a scheme read, and their values for each customer at any instant.

There are two kinds of facts, which differ in what changes them:

steps
    change at purchases (``orders``, ``spend``, ``return_ratio``, ...), at events (the counts of a
    scheme's own signals, ``activity``, ``contracts``, ``open_contracts``), or when a purchase
    leaves a window (``orders_90d``); between these instants they are constant
clocks
    grow with the time since an event (``recency_days``, ``overdue_ratio``, ``silence_days``,
    ``tenure_days``, ``T_days``), and cross a limit at an instant that can be computed

:mod:`stagecast.features.stages.journeys` computes every instant at which a stage can begin;
:func:`facts_at` returns the facts at one instant. Except for the signals, facts have the names and
meanings of the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from stagecast.features.arrays import Array, Integers, position_within
from stagecast.features.catalog import formula
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import Feature
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.record import ACTIVITY, PurchaseDays, Record

# clock -> the fact with the day it counts from, and the fact it is divided by (None: by nothing)
CLOCKS: Mapping[str, tuple[str, str | None]] = {
    "recency_days": ("last_day", None),
    "overdue_ratio": ("last_day", "rhythm_days"),
    "T_days": ("first_day", None),
    "tenure_days": ("first_event_day", None),
    "silence_days": ("last_active_day", None),
}
_AT_PURCHASES = (
    "orders",
    "first_day",
    "last_day",
    "spend",
    "spend_first",
    "spend_last",
    "gap_last",
    "gap_squares",
)
_MILLION = 1e6


class Vocabulary:
    """The facts that the rules of one scheme read, and how they are computed.

    Parameters
    ----------
    names
        Names of the facts; ``rhythm_days`` is always added, since the clocks need it.
    catalog
        Needs its parameters set if the facts are to be evaluated.
    signals
        Names of the scheme's own counts of events.
    where
        Name of the scheme, for the error message.

    Raises
    ------
    UsageError
        A name is not a fact that a rule can read; the message lists those that are.
    """

    def __init__(
        self, names: frozenset[str], catalog: Catalog, signals: tuple[str, ...], where: str
    ) -> None:
        self.catalog = catalog
        allowed = self.fact_names(catalog, signals)
        if unknown := sorted(names - set(allowed)):
            raise UsageError(
                f"{where}: no rule can look at '{unknown[0]}'; rules can look at "
                f"{', '.join(allowed)}."
                f"{did_you_mean(unknown[0], allowed)}"
            )
        self.clocks = tuple(name for name in CLOCKS if name in names)
        self.windows = tuple(f for f in catalog.features if f.name in names and _is_window(f))
        window_names = {feature.name for feature in self.windows}
        self.signals = tuple(name for name in (*signals, ACTIVITY) if name in names)
        self.counted_signals = (
            (*self.signals, ACTIVITY) if self._needs_activity(names) else self.signals
        )
        step_names = names - set(self.clocks) - window_names - set(self.signals)
        self.steps = tuple(sorted({*step_names, "rhythm_days"}))
        self.formulas = _needed(catalog, {*self.steps, "first_day", "last_day"})
        self._derived_names = (*self.steps, "first_day", "last_day")

    def _needs_activity(self, names: frozenset[str]) -> bool:
        return "silence_days" in names and ACTIVITY not in self.signals

    @staticmethod
    def fact_names(catalog: Catalog, signals: tuple[str, ...]) -> list[str]:
        """Return every name that a rule may read."""
        steps = [
            name
            for name in _derivable(catalog)
            if name not in ("first_day", "last_day", "gap_squares")
        ]
        windows = [feature.name for feature in catalog.features if _is_window(feature)]
        return sorted({*steps, *windows, *CLOCKS, *signals, ACTIVITY})

    def after_purchases(self, days: PurchaseDays) -> dict[str, Array]:
        """Return the steps, and the days that clocks count from, just after each purchase day.

        Parameters
        ----------
        days
            Purchase days, ordered by customer and day.

        Returns
        -------
        dict
            Name of a fact -> its values, shape (n_purchase_days,).
        """
        nth = position_within(days.customer)
        first = np.arange(len(nth)) - nth
        day = days.day.astype(np.float64)
        gap = np.where(nth > 0, day - np.r_[0.0, day[:-1]], np.nan) if len(day) else day
        return self._derived(
            {
                "orders": np.asarray(nth + 1, dtype=np.float64),
                "first_day": day[first],
                "last_day": day,
                "spend": _running(days.spend, nth, first),
                "spend_first": days.spend[first],
                "spend_last": days.spend,
                "gap_last": gap,
                "gap_squares": _running(np.nan_to_num(gap * gap), nth, first),
            }
        )

    @cached_property
    def before_purchases(self) -> dict[str, Array]:
        """The facts of :meth:`after_purchases` for a customer without a purchase, shape (1,)."""
        unknown = np.full(1, np.nan)
        return self._derived(
            {**dict.fromkeys(_AT_PURCHASES, unknown), "orders": np.zeros(1), "spend": np.zeros(1)}
        )

    def _derived(self, at_purchases: Mapping[str, Array]) -> dict[str, Array]:
        """Return the steps, first and last purchase day from the facts in ``_AT_PURCHASES``."""
        values: dict[str, Array | float] = {**at_purchases, **self.catalog.parameters}
        compiled = ((name, formula.compiled(text)) for name, text in self.formulas)
        formula.evaluate_all(compiled, values)
        return {name: np.asarray(values[name], dtype=np.float64) for name in self._derived_names}

    def window_rows(self, feature: Feature, days: PurchaseDays) -> Integers:
        """Return what each purchase day adds to a window: 1, or its spend in millionths."""
        if feature.function == "count":
            return np.ones(len(days.day), dtype=np.int64)
        return np.rint(days.spend * _MILLION).astype(np.int64)

    @staticmethod
    def window_value(feature: Feature, total: Integers) -> Array:
        """Return the value of a window from the sum of what its purchase days add."""
        return np.asarray(
            total if feature.function == "count" else total / _MILLION, dtype=np.float64
        )


def clock_value(name: str, instant_days: Array, base: Mapping[str, Array]) -> Array:
    """Return the value of a clock at instants.

    Parameters
    ----------
    instant_days
        Instants as day numbers (days since 1970, UTC), with fractions.
    base
        The facts that the clock counts from and is divided by, of the same shape.
    """
    since, scale = CLOCKS[name]
    elapsed = instant_days - base[since]
    return elapsed if scale is None else elapsed / base[scale]


def facts_at(
    vocabulary: Vocabulary,
    record: Record,
    instant: int,
    known_until: int | None = None,
    after: Mapping[str, Array] | None = None,
    limits: Sequence[tuple[str, float]] = (),
) -> dict[str, Array]:
    """Return the facts at one instant, one entry per customer of the record.

    Parameters
    ----------
    instant
        In microseconds since 1970, UTC.
    known_until
        Only events before this instant count (microseconds since 1970, UTC); None: before
        ``instant``. If it is earlier than ``instant``, the facts are those that hold if nothing
        more happens in between.
    after
        Result of :meth:`Vocabulary.after_purchases` for the record's days, if it was computed
        before.
    limits
        Clocks with the numbers that rules compare them with. A clock is put on the side of each
        limit on which it is in whole microseconds, as for the start of a stage, so that the
        rounding of a ratio does not matter.

    Returns
    -------
    dict
        Name of a fact -> values, shape (n_customers,). Customers of whom nothing was known have the
        facts of a customer without a purchase.
    """
    cutoff = instant if known_until is None else known_until
    count = len(record)
    days = record.days
    rows = np.flatnonzero(days.first_purchase < cutoff)
    last_row = np.full(count, -1, dtype=np.int64)
    last_row[days.customer[rows]] = rows  # of several assignments to a customer the last one wins
    has_bought = last_row >= 0
    facts = {}
    before = vocabulary.before_purchases
    for name, values in (after or vocabulary.after_purchases(days)).items():
        facts[name] = np.where(
            has_bought, values[last_row] if len(values) else np.nan, before[name][0]
        )
    age = instant / DAY_MICROSECONDS - days.day[rows]
    for feature in vocabulary.windows:
        newer, older = feature.window_days or (0, 0)
        in_window = rows[(age > newer if newer else age >= 0) & (age <= older)]
        total = np.zeros(count, dtype=np.int64)
        np.add.at(total, days.customer[in_window], vocabulary.window_rows(feature, days)[in_window])
        facts[feature.name] = vocabulary.window_value(feature, total)
    signals, changes = record.signals, record.signals.changes
    before_cutoff = signals.instant < cutoff
    for name in vocabulary.counted_signals:
        selected = before_cutoff & (signals.signal == signals.names.index(name))
        facts[name] = np.bincount(
            signals.customer[selected], weights=changes[selected], minlength=count
        ).astype(np.float64)
        if name == ACTIVITY:
            active = np.full(count, np.nan)
            active[signals.customer[selected]] = signals.instant[selected] // DAY_MICROSECONDS
            facts["last_active_day"] = active
    known = record.first_events < np.iinfo(np.int64).max
    facts["first_event_day"] = np.where(known, record.first_events // DAY_MICROSECONDS, np.nan)
    instant_days = np.full(count, instant / DAY_MICROSECONDS)
    for name in vocabulary.clocks:
        facts[name] = clock_value(name, instant_days, facts)
    for name, limit in limits:
        facts[name] = _exact_side(name, limit, instant, facts)
    return facts


def _exact_side(name: str, limit: float, instant: int, facts: Mapping[str, Array]) -> Array:
    """Return a clock's values, moved to the side of a limit on which whole microseconds are."""
    since, scale = CLOCKS[name]
    with np.errstate(invalid="ignore"):
        span = limit if scale is None else limit * facts[scale]
        excess = instant - facts[since] * float(DAY_MICROSECONDS) - np.rint(span * DAY_MICROSECONDS)
        values = np.where(
            (excess > 0) & (facts[name] <= limit), np.nextafter(limit, np.inf), facts[name]
        )
        return np.where((excess <= 0) & (values > limit), limit, values)


def _is_window(feature: Feature) -> bool:
    return (
        feature.relation == "days"
        and feature.window_days is not None
        and feature.column in ("day", "spend")
        and feature.function in ("count", "sum")
    )


def _derivable(catalog: Catalog) -> list[str]:
    """Return the facts that change only at purchases: the basic ones and formulas of them alone."""
    facts = dict.fromkeys(_AT_PURCHASES)
    # shop_gap_days gets its value only when there is a log
    operands = {*facts, *catalog.parameters, "shop_gap_days"}
    for feature in catalog.features:
        if feature.formula is not None and formula.names(feature.formula) <= operands:
            operands.add(feature.name)
            facts[feature.name] = None
    return list(facts)


def _needed(catalog: Catalog, names: set[str]) -> list[tuple[str, str]]:
    """Return name and formula of the derived facts among ``names`` and of their operands.

    They are ordered such that each formula follows its operands.
    """
    derivable = set(_derivable(catalog))
    formulas: list[tuple[str, str]] = []
    for feature in reversed(catalog.features):
        if feature.formula is not None and feature.name in names and feature.name in derivable:
            formulas.append((feature.name, feature.formula))
            names = names | formula.names(feature.formula)
    return formulas[::-1]


def _running(values: Array, nth: Integers, first: Integers) -> Array:
    """Return the running sum within each customer, to the millionth (amounts have six decimals)."""
    scaled = np.rint(values * _MILLION)
    # 64-bit integers are exact; the total over all customers may overflow, one customer's must not
    integers = scaled.astype(np.int64 if scaled.sum() < 2**62 else object)
    total = np.cumsum(integers)
    return np.asarray((total - total[first] + integers[first]) / _MILLION, dtype=np.float64)
