"""What the rules of a scheme can look at, and how it stood for each customer at any instant.

Two kinds of facts, by what changes them:

steps
    change at purchases (``orders``, ``spend``, ``return_ratio``, ...), at events (the counts of a
    scheme's own signals, ``activity``), or as a purchase leaves a window (``orders_90d``); in
    between they stand still
clocks
    grow with the time since something (``recency_days``, ``overdue_ratio``, ``silence_days``,
    ``tenure_days``, ``T_days``), and cross a limit at an instant that can be computed

:mod:`stagecast.features.stages.journeys` works out every instant at which a stage can begin;
:func:`facts_at` says how things stood at one. All facts but the signals have the catalogue's names
and meanings.
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

# clock -> the day it counts from, and the fact that it is divided by
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
    """The facts that the rules of one scheme look at, and what they are made of.

    Parameters
    ----------
    wanted
        Names of the facts; ``rhythm_days`` comes along, since the clocks need it.
    catalog
        With its parameters set where facts are to be evaluated.
    signals
        Names of the scheme's own counts of events.
    where
        The scheme, for the error.

    Raises
    ------
    UsageError
        A name that no rule can look at; the message says which there are.
    """

    def __init__(
        self, wanted: frozenset[str], catalog: Catalog, signals: tuple[str, ...], where: str
    ) -> None:
        self.catalog = catalog
        known = self.known(catalog, signals)
        if missing := sorted(wanted - set(known)):
            raise UsageError(
                f"{where}: no rule can look at '{missing[0]}'; rules can look at "
                f"{', '.join(known)}."
                f"{did_you_mean(missing[0], known)}"
            )
        self.clocks = tuple(name for name in CLOCKS if name in wanted)
        self.windows = tuple(f for f in catalog.features if f.name in wanted and _is_window(f))
        windowed = {feature.name for feature in self.windows}
        self.signals = tuple(name for name in (*signals, ACTIVITY) if name in wanted)
        self.counted = (*self.signals, ACTIVITY) if self._needs_activity(wanted) else self.signals
        rest = wanted - set(self.clocks) - windowed - set(self.signals)
        self.steps = tuple(sorted({*rest, "rhythm_days"}))
        self._formulas = _needed(catalog, {*self.steps, "first_day", "last_day"})

    def _needs_activity(self, wanted: frozenset[str]) -> bool:
        return "silence_days" in wanted and ACTIVITY not in self.signals

    @staticmethod
    def known(catalog: Catalog, signals: tuple[str, ...]) -> list[str]:
        """Return every name that a rule may look at."""
        steps = [
            name
            for name in _derivable(catalog)
            if name not in ("first_day", "last_day", "gap_squares")
        ]
        windows = [feature.name for feature in catalog.features if _is_window(feature)]
        return sorted({*steps, *windows, *CLOCKS, *signals, ACTIVITY})

    def after_purchases(self, days: PurchaseDays) -> dict[str, Array]:
        """Return the steps, and the days that clocks count from, just after each purchase day."""
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
        """The same for one customer who has not bought yet."""
        null = np.full(1, np.nan)
        return self._derived(
            {**dict.fromkeys(_AT_PURCHASES, null), "orders": np.zeros(1), "spend": np.zeros(1)}
        )

    def _derived(self, given: Mapping[str, Array]) -> dict[str, Array]:
        values: dict[str, Array | float] = {**given, **self.catalog.parameters}
        for name, made in self._formulas:
            values[name] = formula.evaluate(made, values)
        names = {*self.steps, "first_day", "last_day"}
        return {name: np.asarray(values[name], dtype=np.float64) for name in names}

    def window_rows(self, feature: Feature, days: PurchaseDays) -> Integers:
        """Return what one purchase day adds to a window: 1, or its spend in millionths."""
        if feature.function == "count":
            return np.ones(len(days.day), dtype=np.int64)
        return np.rint(days.spend * _MILLION).astype(np.int64)

    @staticmethod
    def window_value(feature: Feature, total: Integers) -> Array:
        """Return a window's value from the sum of what its purchase days add."""
        return np.asarray(
            total if feature.function == "count" else total / _MILLION, dtype=np.float64
        )


def clock_value(name: str, instant_days: Array, base: Mapping[str, Array]) -> Array:
    """Return what a clock shows at instants (day numbers), given the facts it counts from."""
    since, scale = CLOCKS[name]
    passed = instant_days - base[since]
    return passed if scale is None else passed / base[scale]


def facts_at(
    vocabulary: Vocabulary,
    record: Record,
    instant: int,
    seen: int | None = None,
    after: Mapping[str, Array] | None = None,
    limits: Sequence[tuple[str, float]] = (),
) -> dict[str, Array]:
    """Return the facts at one instant, one entry per customer of the record.

    Parameters
    ----------
    instant
        In microseconds since 1970.
    seen
        Only what happened before it counts; None: before the instant. With an earlier one, the
        facts are those that silence from then on would lead to.
    after
        What :meth:`Vocabulary.after_purchases` says of the record's days, where it is at hand.
    limits
        Clocks with the numbers that rules compare them with: a clock stands on the side of each on
        which the whole microseconds are, as for the beginning of a stage, whatever the rounding of
        a ratio.

    Returns
    -------
    dict
        For customers of whom nothing was known, the facts of somebody who has not bought.
    """
    cut = instant if seen is None else seen
    count = len(record)
    days = record.days
    rows = np.flatnonzero(days.first_purchase < cut)
    last = np.full(count, -1, dtype=np.int64)
    last[days.customer[rows]] = rows  # the last assignment to a customer stands
    bought = last >= 0
    facts = {}
    before = vocabulary.before_purchases
    for name, values in (after or vocabulary.after_purchases(days)).items():
        facts[name] = np.where(bought, values[last] if len(values) else np.nan, before[name][0])
    age = instant / DAY_MICROSECONDS - days.day[rows]
    for feature in vocabulary.windows:
        newer, older = feature.window_days or (0, 0)
        inside = rows[(age > newer if newer else age >= 0) & (age <= older)]
        total = np.zeros(count, dtype=np.int64)
        np.add.at(total, days.customer[inside], vocabulary.window_rows(feature, days)[inside])
        facts[feature.name] = vocabulary.window_value(feature, total)
    signals = record.signals
    early = signals.instant < cut
    for name in vocabulary.counted:
        mine = early & (signals.signal == signals.names.index(name))
        facts[name] = np.bincount(signals.customer[mine], minlength=count).astype(np.float64)
        if name == ACTIVITY:
            active = np.full(count, np.nan)
            active[signals.customer[mine]] = signals.instant[mine] // DAY_MICROSECONDS
            facts["last_active_day"] = active
    known = record.first_events < np.iinfo(np.int64).max
    facts["first_event_day"] = np.where(known, record.first_events // DAY_MICROSECONDS, np.nan)
    at = np.full(count, instant / DAY_MICROSECONDS)
    for name in vocabulary.clocks:
        facts[name] = clock_value(name, at, facts)
    for name, limit in limits:
        facts[name] = _on_its_side(name, limit, instant, facts)
    return facts


def _on_its_side(name: str, limit: float, instant: int, facts: Mapping[str, Array]) -> Array:
    """Return a clock's values, those within rounding of a limit moved to the side on which the
    microseconds are.
    """
    since, scale = CLOCKS[name]
    with np.errstate(invalid="ignore"):
        span = limit if scale is None else limit * facts[scale]
        over = instant - facts[since] * float(DAY_MICROSECONDS) - np.rint(span * DAY_MICROSECONDS)
        values = np.where(
            (over > 0) & (facts[name] <= limit), np.nextafter(limit, np.inf), facts[name]
        )
        return np.where((over <= 0) & (values > limit), limit, values)


def _is_window(feature: Feature) -> bool:
    return (
        feature.relation == "days"
        and feature.window_days is not None
        and feature.column in ("day", "spend")
        and feature.function in ("count", "sum")
    )


def _derivable(catalog: Catalog) -> list[str]:
    """Return the facts that change at purchases only: those given, and formulas of them alone."""
    found = dict.fromkeys(_AT_PURCHASES)
    # shop_gap_days is set when there is a log
    given = {*found, *catalog.parameters, "shop_gap_days"}
    for feature in catalog.features:
        if feature.formula is not None and formula.names(feature.formula) <= given:
            given.add(feature.name)
            found[feature.name] = None
    return list(found)


def _needed(catalog: Catalog, wanted: set[str]) -> list[tuple[str, str]]:
    """Return name and formula of those derived facts that are wanted, and of what they are made
    of, in order.
    """
    derivable = set(_derivable(catalog))
    found: list[tuple[str, str]] = []
    for feature in reversed(catalog.features):
        if feature.formula is not None and feature.name in wanted and feature.name in derivable:
            found.append((feature.name, feature.formula))
            wanted = wanted | formula.names(feature.formula)
    return found[::-1]


def _running(values: Array, nth: Integers, first: Integers) -> Array:
    """Return the running sum within each customer, to the millionth (amounts have six decimals)."""
    scaled = np.rint(values * _MILLION)
    # whole numbers in 64 bits are exact, and may wrap between customers; of one customer they must
    # not
    whole = scaled.astype(np.int64 if scaled.sum() < 2**62 else object)
    total = np.cumsum(whole)
    return np.asarray((total - total[first] + whole[first]) / _MILLION, dtype=np.float64)
