"""The way of each customer through the stages: when each stage began, in one pass over the purchase days.

Between two purchases nothing but the silence changes, so a stage can begin only at a purchase or where the silence
crosses a limit of a rule. Those instants are computed, not searched for, and so ``stage_since`` is exact and stays the
same however much later one looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features import formula
from features.catalog import Catalog
from features.clock import DAY_MICROSECONDS
from features.conditions import SILENCE
from features.engines.duckdb import PurchaseDays
from features.errors import UsageError, did_you_mean
from features.stages import Scheme
from features.thresholds import position_within

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Journeys:
    """Spells on a stage, ordered by customer and start; consecutive spells differ in stage.

    ``stage`` is a position in the stages of ``scheme``, ``start`` microseconds since 1970. A spell ends where the
    customer's next one starts.
    """

    scheme: Scheme
    customer: NDArray[np.int64]
    stage: NDArray[np.int64]
    start: NDArray[np.int64]

    def at(self, instant: int, customers: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return stage and start of the spell that each of ``customers`` customers is in just before an instant.

        The stage is -1 for those of whom nothing was known yet.
        """
        before = np.flatnonzero(self.start < instant)
        customer = self.customer[before]
        last = before[np.r_[customer[1:] != customer[:-1], True]] if len(before) else before
        stage = np.full(customers, -1, dtype=np.int64)
        start = np.zeros(customers, dtype=np.int64)
        stage[self.customer[last]] = self.stage[last]
        start[self.customer[last]] = self.start[last]
        return stage, start


def walk(scheme: Scheme, catalog: Catalog, days: PurchaseDays, first_events: NDArray[np.int64]) -> Journeys:
    """Return every spell of every customer.

    Parameters
    ----------
    scheme
        With its thresholds set.
    catalog
        With its parameters set; defines what the rules look at.
    days
        Purchase days, ordered by customer and day.
    first_events
        Instant of each customer's first event of any type, in microseconds.

    Raises
    ------
    UsageError
        A rule looks at a feature that changes otherwise than at purchases or by silence.
    """
    facts = _facts_after_purchase(scheme, catalog, days)
    begin = days.first_purchase
    following = np.r_[begin[1:], np.iinfo(np.int64).max]
    if len(begin):
        changes = np.r_[days.customer[1:] != days.customer[:-1], True]
        following[changes] = np.iinfo(np.int64).max
    limits = _silence_limits(scheme, facts)
    edges = np.sort(np.column_stack([np.zeros(len(begin)), *limits]), axis=1)
    customers, stages, starts = [np.arange(len(first_events))], [], [first_events]
    stages.append(scheme.assign(_no_purchase(scheme, catalog, len(first_events))))
    for j in range(edges.shape[1]):
        left = edges[:, j]
        right = edges[:, j + 1] if j + 1 < edges.shape[1] else left + 2.0
        with np.errstate(invalid="ignore"):
            silence = np.where(np.isfinite(right), (left + right) / 2, left + 1.0)
            # the silence is rounded by itself: to the microsecond, however long after 1970
            start = days.day * float(DAY_MICROSECONDS) + np.rint(left * DAY_MICROSECONDS)
            kept = (right > left) & np.isfinite(start) & (start < following.astype(np.float64))
        if not kept.any():
            continue
        at = np.maximum(start[kept].astype(np.int64), begin[kept])
        whole = at < following[kept]
        rows = np.flatnonzero(kept)[whole]
        seen = {name: values[rows] for name, values in facts.items()}
        seen["recency_days"] = silence[rows]
        seen["overdue_ratio"] = silence[rows] / seen["rhythm_days"]
        customers.append(days.customer[rows])
        stages.append(scheme.assign(seen))
        starts.append(at[whole])
    return _merged(scheme, np.concatenate(customers), np.concatenate(stages), np.concatenate(starts))


def _merged(
    scheme: Scheme, customer: NDArray[np.int64], stage: NDArray[np.int64], start: NDArray[np.int64]
) -> Journeys:
    """Order the spells; of those with one start keep the last, of equal neighbours the first."""
    if not len(start):
        return Journeys(scheme, customer, stage, start)
    order = np.lexsort((np.arange(len(start)), start, customer))
    customer, stage, start = customer[order], stage[order], start[order]
    last_of_instant = np.r_[(customer[1:] != customer[:-1]) | (start[1:] != start[:-1]), True]
    customer, stage, start = customer[last_of_instant], stage[last_of_instant], start[last_of_instant]
    changed = np.r_[True, (customer[1:] != customer[:-1]) | (stage[1:] != stage[:-1])]
    return Journeys(scheme, customer[changed], stage[changed], start[changed])


def _facts_after_purchase(scheme: Scheme, catalog: Catalog, days: PurchaseDays) -> dict[str, Array]:
    """Return what the rules look at, as it stands just after each purchase day."""
    nth = position_within(days.customer)
    first = np.arange(len(nth)) - nth
    day = days.day.astype(np.float64)
    gap = np.where(nth > 0, day - np.r_[0.0, day[:-1]], np.nan) if len(day) else day
    values: dict[str, Array | float] = {
        "orders": np.asarray(nth + 1, dtype=np.float64),
        "first_day": day[first],
        "last_day": day,
        "spend": _running(days.spend, nth, first),
        "spend_first": days.spend[first],
        "spend_last": days.spend,
        "gap_last": gap,
        "gap_squares": _running(np.nan_to_num(gap * gap), nth, first),
        **catalog.parameters,
    }
    return _derived(scheme, catalog, values)


def _no_purchase(scheme: Scheme, catalog: Catalog, rows: int) -> dict[str, Array]:
    """Return what the rules look at for customers who have not bought yet."""
    null, zero = np.full(rows, np.nan), np.zeros(rows)
    values: dict[str, Array | float] = {
        **dict.fromkeys(("first_day", "last_day", "spend_first", "spend_last", "gap_last", "gap_squares"), null),
        "orders": zero,
        "spend": zero,
        **catalog.parameters,
    }
    return _derived(scheme, catalog, values)


def _derived(scheme: Scheme, catalog: Catalog, values: dict[str, Array | float]) -> dict[str, Array]:
    """Return the facts that the rules want, and the rhythm; without an as_of, none that time alone changes."""
    wanted = set(scheme.features) - set(SILENCE) | {"rhythm_days"}
    for feature in catalog.features:
        if feature.formula is not None and formula.names(feature.formula) <= set(values):
            values.setdefault(feature.name, formula.evaluate(feature.formula, values))
    known = sorted(set(values) - set(catalog.parameters) | set(SILENCE))
    if missing := sorted(wanted - set(known)):
        raise UsageError(
            f"scheme '{scheme.id}': no rule can look at {missing}; rules can look at {', '.join(known)}."
            f"{did_you_mean(missing[0], known)}"
        )
    facts = {name: np.asarray(values[name], dtype=np.float64) for name in wanted}
    return facts | {name: np.full(len(facts["rhythm_days"]), np.nan) for name in SILENCE}


def _running(values: Array, nth: NDArray[np.int64], first: NDArray[np.int64]) -> Array:
    """Return the running sum within each customer, to the millionth (amounts have six decimals)."""
    scaled = np.rint(values * 1e6)
    # whole numbers in 64 bits are exact, and may wrap between customers; of one customer they must not
    whole = scaled.astype(np.int64 if scaled.sum() < 2**62 else object)
    total = np.cumsum(whole)
    return np.asarray((total - total[first] + whole[first]) / 1e6, dtype=np.float64)


def _silence_limits(scheme: Scheme, facts: Mapping[str, Array]) -> list[Array]:
    """Return, for each limit on silence that a rule names, the silence in days at which each row crosses it."""
    rhythm = facts["rhythm_days"]
    found = {
        (c.feature, c.limit(scheme.thresholds)) for stage in scheme.stages for c in stage.rule if c.feature in SILENCE
    }
    return [
        np.full(len(rhythm), limit) if feature == "recency_days" else limit * rhythm for feature, limit in sorted(found)
    ]


def after_silence(features: Mapping[str, Array], days: float) -> dict[str, Array]:
    """Return the features as they will stand after ``days`` days without an event, as far as rules look at them."""
    later = dict(features)
    later["recency_days"] = features["recency_days"] + days
    later["overdue_ratio"] = later["recency_days"] / features["rhythm_days"]
    return later
