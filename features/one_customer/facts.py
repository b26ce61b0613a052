"""The facts that rules read of one customer, at any instant.

They are those of :mod:`stagecast.features.stages.facts`, and change at the instants of
:mod:`stagecast.features.stages.journeys`.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import accumulate, pairwise

from stagecast.features.catalog.feature import MILLION, Feature
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.one_customer.formulas import straight_line
from stagecast.features.one_customer.past import Past
from stagecast.features.record import ACTIVITY, SignalTypes
from stagecast.features.stages.facts import CLOCKS, Vocabulary
from stagecast.features.stages.scheme import Scheme

Facts = dict[str, float]
_NEVER = 2**63 - 1
_NULL = math.nan


class Rules:
    """What facts are computed from, the same for every customer.

    Parameters
    ----------
    scheme
        With its thresholds set.
    vocabulary
        The facts that the rules read.
    counted
        Signal -> event types that count as it.
    """

    def __init__(self, scheme: Scheme, vocabulary: Vocabulary, counted: SignalTypes) -> None:
        self.vocabulary, self.counted = vocabulary, counted
        self.parameters = {name: float(v) for name, v in vocabulary.catalog.parameters.items()}
        self.derive = straight_line(vocabulary.formulas)
        self.before = {name: float(v[0]) for name, v in vocabulary.before_purchases.items()}
        self.limits = scheme.clock_limits
        finite = [(*CLOCKS[clock], clock, limit) for clock, limit in self.limits]
        finite = [entry for entry in finite if math.isfinite(entry[-1])]
        self.purchase_limits = [
            (scale, limit) for since, scale, _, limit in finite if since == "last_day"
        ]
        self.other_limits = [
            (clock, limit) for since, _, clock, limit in finite if since != "last_day"
        ]


class Walk:
    """The facts of one customer at any instant, each computed when it is asked for."""

    def __init__(self, rules: Rules, past: Past) -> None:
        self.rules, self.past = rules, past
        self.days = past.net_days
        self.starts = [day.first_purchase for day in self.days]
        self._after: dict[int, Facts] = {}
        self.signals = {
            name: past.instants_of(rules.counted[name]) for name in rules.vocabulary.counted_signals
        }
        self.first_event_day = float(past.first_event // DAY_MICROSECONDS)

    @cached_property
    def _totals(self) -> tuple[list[int], list[int]]:
        """Running spend and running squares of the gaps, in millionths."""
        days = [day.day for day in self.days]
        gaps = [0.0, *(float(b - a) for a, b in pairwise(days))]
        spend = accumulate(round(self._spend(row) * MILLION) for row in range(len(days)))
        squares = accumulate(round(gap * gap * MILLION) for gap in gaps)
        return list(spend), list(squares)

    def _spend(self, row: int) -> float:
        return self.days[row].spend / MILLION

    def after_purchase(self, row: int) -> Facts:
        """Return the steps just after a purchase day; of row -1, before all of them."""
        if row < 0:
            return self.rules.before
        facts = self._after.get(row)
        if facts is None:
            spend, squares = self._totals
            day = float(self.days[row].day)
            facts = {
                **self.rules.parameters,
                "orders": float(row + 1),
                "first_day": float(self.days[0].day),
                "last_day": day,
                "spend": spend[row] / MILLION,
                "spend_first": self._spend(0),
                "spend_last": self._spend(row),
                "gap_last": day - self.days[row - 1].day if row else _NULL,
                "gap_squares": squares[row] / MILLION,
            }
            self.rules.derive(facts)
            self._after[row] = facts
        return facts

    def present(self, stage_of: Callable[[Facts], int]) -> tuple[int, int]:
        """Return the stage at the as_of, and since when.

        Parameters
        ----------
        stage_of
            Returns the stage of facts.
        """
        current, since, end = -1, 0, -1
        for moment in self._moments_back():
            if moment < self.past.instant:
                # between two moments a clock stays on one side of each limit
                after = moment + 2 * DAY_MICROSECONDS if end < 0 else end
                half_way = (moment + (after - moment) / 2) / DAY_MICROSECONDS
                stage = stage_of(self._rule_facts(moment, half_way))
                if current < 0:
                    current = stage
                elif stage != current:
                    break
                since = moment
            end = moment
        return current, since

    def _rule_facts(self, moment: int, instant_days: float) -> Facts:
        """Return the facts just after a moment, the clocks at an instant."""
        facts = dict(self.after_purchase(bisect_right(self.starts, moment) - 1))
        for feature in self.rules.vocabulary.windows:
            total = sum(
                self._amount(feature, row)
                for row in range(len(self.days))
                if self._enters(feature, row) <= moment < self._leaves(feature, row)
            )
            facts[feature.name] = _window_value(feature, total)
        self._count_signals(facts, moment + 1)
        facts["first_event_day"] = self.first_event_day
        self._set_clocks(facts, instant_days)
        return facts

    def facts_at(self, instant: int, known_until: int) -> Facts:
        """Return the facts at an instant, if nothing happens after ``known_until``."""
        last = bisect_left(self.starts, known_until)
        facts = dict(self.after_purchase(last - 1))
        for feature in self.rules.vocabulary.windows:
            newer, older = feature.window_days or (0, 0)
            total = 0
            for row in range(last):
                age = instant / DAY_MICROSECONDS - self.days[row].day
                if (age > newer if newer else age >= 0) and age <= older:
                    total += self._amount(feature, row)
            facts[feature.name] = _window_value(feature, total)
        self._count_signals(facts, known_until)
        facts["first_event_day"] = self.first_event_day
        self._set_clocks(facts, instant / DAY_MICROSECONDS)
        for name, limit in self.rules.limits:
            facts[name] = _exact_side(name, limit, instant, facts)
        return facts

    def _count_signals(self, facts: Facts, before: int) -> None:
        for name, instants in self.signals.items():
            count = bisect_left(instants, before)
            facts[name] = float(count)
            if name == ACTIVITY:
                day = instants[count - 1] // DAY_MICROSECONDS if count else _NULL
                facts["last_active_day"] = float(day)

    def _set_clocks(self, facts: Facts, instant_days: float) -> None:
        for name in self.rules.vocabulary.clocks:
            since, scale = CLOCKS[name]
            elapsed = instant_days - facts[since]
            facts[name] = elapsed if scale is None else elapsed / facts[scale]

    def _moments_back(self) -> Iterator[int]:
        """Yield the instants at which a fact of the rules may change, the latest first."""
        others = self._moments()
        high = len(others)
        for row in range(len(self.days) - 1, -2, -1):
            low = bisect_left(others, self.starts[row]) if row >= 0 else 0
            moments = {*others[low:high], *self._crossings(row)}
            yield from sorted(moments, reverse=True)
            high = low

    def _moments(self) -> list[int]:
        """Return those that do not depend on the time since the last purchase, in order."""
        moments = {self.past.first_event, *self.starts}
        for instants in self.signals.values():
            moments.update(instants)
        for clock, limit in self.rules.other_limits:
            moments.update(self._other_crossings(clock, limit))
        for feature in self.rules.vocabulary.windows:
            for row in range(len(self.days)):
                moments.add(self._enters(feature, row))
                moments.add(self._leaves(feature, row))
        return sorted(moments)

    def _crossings(self, row: int) -> list[int]:
        """Return when clocks that count from a purchase day cross a limit before the next one."""
        if row < 0:
            return []
        last = row + 1 == len(self.days)
        reset = _NEVER if last else self.starts[row + 1]
        result = []
        for scale, limit in self.rules.purchase_limits:
            span = limit if scale is None else limit * self.after_purchase(row)[scale]
            result += _crossing(self.days[row].day, span, self.starts[row], reset)
        return result

    def _other_crossings(self, clock: str, limit: float) -> list[int]:
        since, scale = CLOCKS[clock]
        if since == "first_day":
            instants = self.starts[:1]
        else:
            is_activity = since == "last_active_day"
            instants = self.signals[ACTIVITY] if is_activity else [self.past.first_event]
        result = []
        for number, instant in enumerate(instants):
            reset = instants[number + 1] if number + 1 < len(instants) else _NEVER
            row = bisect_right(self.starts, instant) - 1
            span = limit if scale is None else limit * self.after_purchase(row)[scale]
            result += _crossing(instant // DAY_MICROSECONDS, span, instant, reset)
        return result

    def _amount(self, feature: Feature, row: int) -> int:
        return 1 if feature.function == "count" else round(self._spend(row) * MILLION)

    def _enters(self, feature: Feature, row: int) -> int:
        newer = (feature.window_days or (0, 0))[0]
        first = self.starts[row]
        return max((self.days[row].day + newer) * DAY_MICROSECONDS, first) if newer else first

    def _leaves(self, feature: Feature, row: int) -> int:
        older = (feature.window_days or (0, 0))[1]
        return max((self.days[row].day + older) * DAY_MICROSECONDS, self.starts[row])


def _crossing(day: int, span: float, event: int, reset: int) -> list[int]:
    """Return the instant at which a clock that counts from a day reaches a span in days, if it lies
    after the event and before the next such event.
    """
    if not math.isfinite(span):
        return []
    start = day * float(DAY_MICROSECONDS) + float(round(span * DAY_MICROSECONDS))
    return [int(start)] if float(event) < start < float(reset) else []


def _window_value(feature: Feature, total: int) -> float:
    return float(total) if feature.function == "count" else total / MILLION


def _exact_side(name: str, limit: float, instant: int, facts: Mapping[str, float]) -> float:
    """Return a clock, moved to the side of a limit on which whole microseconds are."""
    since, scale = CLOCKS[name]
    value = facts[name]
    span = limit if scale is None else limit * facts[scale]
    if not math.isfinite(span) or facts[since] != facts[since]:
        return value
    rounded = float(round(span * DAY_MICROSECONDS))
    excess = instant - facts[since] * float(DAY_MICROSECONDS) - rounded
    if excess > 0 and value <= limit:
        value = math.nextafter(limit, math.inf)
    return limit if excess <= 0 and value > limit else value
