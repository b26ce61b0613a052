"""Slow reference implementation of the standard catalogue, for one customer at a time.

It is written from the meanings of the features, without NumPy, SQL or code of the package: instants
are ``datetime``, money and days are ``Fraction``, logarithms have 30 digits. Only square roots are
computed in floats, as the last operation.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

from stagecast.features.requests import Event

MARKETER_EVENTS = {"contact", "email_sent", "sms_sent", "push_sent", "ad_impression"}
DAY = timedelta(days=1)
Value = Fraction | float | None


def days(span: timedelta) -> Fraction:
    """Return the exact length of a span in days."""
    return Fraction(span // timedelta(microseconds=1), 86_400_000_000)


def age(as_of: datetime, day: date) -> Fraction:
    """Return the days from the start of a day to the as_of."""
    return days(as_of - midnight(day))


@lru_cache(maxsize=100_000)
def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def number(day: date) -> Fraction:
    """Return the number of a day, counted from 1970-01-01."""
    return Fraction((day - date(1970, 1, 1)).days)


@lru_cache(maxsize=100_000)
def millionths(money: float | None) -> Fraction:
    """Return money rounded to millionths; None is 0."""
    return Fraction(0) if money is None else Fraction(round(Fraction(money) * 1_000_000), 1_000_000)


def money(event: Event) -> Fraction:
    """Return the amount of an event, rounded to millionths."""
    return millionths(event.amount)


def stripped(text: str | None) -> str | None:
    """Return a channel or category without blanks around it, or None if nothing is left."""
    return (text or "").strip() or None


def ratio(numerator: Fraction | None, denominator: Fraction | None) -> Fraction | None:
    """Return a quotient; None if it is not defined."""
    if numerator is None or denominator is None or denominator == 0:
        return None
    return numerator / denominator


def total(values: Iterable[Fraction]) -> Fraction:
    """Return a sum, 0 without values."""
    return sum(values, Fraction(0))


def count(values: Sequence[object]) -> Fraction:
    """Return the number of values."""
    return Fraction(len(values))


def purchase_days(events: Iterable[Event]) -> dict[date, Fraction]:
    """Return purchase day -> spend net of refunds, in order; fully refunded days are left out.

    Purchases lie on a stack in the order of days. A refund takes from its top until it is paid or
    the stack is empty. Within a day the purchases come before the refunds. A day whose purchases
    are all 0 cannot be refunded.
    """
    gross: dict[date, Fraction] = defaultdict(Fraction)
    stack: list[tuple[date, Fraction]] = []
    payments = [e for e in events if e.event in ("purchase", "refund")]
    for event in sorted(payments, key=lambda e: (e.timestamp.date(), e.event)):
        if event.event == "purchase":
            gross[event.timestamp.date()] += money(event)
            stack.append((event.timestamp.date(), money(event)))
            continue
        owed = money(event)
        while stack and owed:
            day, price = stack.pop()
            if price > owed:
                stack.append((day, price - owed))
            owed = max(owed - price, Fraction(0))
    net: dict[date, Fraction] = defaultdict(Fraction)
    for day, price in stack:
        net[day] += price
    return {day: net[day] for day in sorted(gross) if net[day] or not gross[day]}


def outcome(
    events: Iterable[Event], start: datetime, end: datetime, anchor: datetime
) -> tuple[int, Fraction]:
    """Return purchase days and spend within ``[start, end)``, net of refunds within it.

    Only events known before the anchor count.
    """
    within = [e for e in events if start <= e.timestamp < end and e.is_known_before(anchor)]
    days = purchase_days(within)
    return len(days), total(days.values())


class Past:
    """Events of one customer known before an as_of; windows are ``newer < age <= older`` in days.

    Attributes
    ----------
    known
        The events.
    spend_of
        Purchase day -> spend net of refunds.
    days
        Purchase days, ascending.
    gaps
        Days between them.
    """

    def __init__(self, known: list[Event], as_of: datetime) -> None:
        self.known, self.as_of = known, as_of
        self.spend_of = purchase_days(known)
        self.days = list(self.spend_of)
        self.gaps = [
            Fraction((later - earlier).days) for earlier, later in itertools.pairwise(self.days)
        ]
        self.purchases = [e for e in known if e.event == "purchase"]
        self.refunds = [e for e in known if e.event == "refund"]
        not_activity = {"purchase", "refund"} | MARKETER_EVENTS
        self.active = [e for e in known if e.event not in not_activity]
        self.since_first = self.age(self.days[0]) if self.days else None
        self.since_last = self.age(self.days[-1]) if self.days else None

    def age(self, day: date) -> Fraction:
        return age(self.as_of, day)

    def within(self, days: Iterable[date], newer: int, older: int) -> list[date]:
        return [day for day in days if newer * DAY < self.as_of - midnight(day) <= older * DAY]

    def orders(self, newer: int, older: int) -> Fraction:
        return count(self.within(self.days, newer, older))

    def spend(self, newer: int, older: int) -> Fraction:
        return total(self.spend_of[day] for day in self.within(self.days, newer, older))

    def activity(self, newer: int, older: int) -> Fraction:
        return count(self.within((e.timestamp.date() for e in self.active), newer, older))


def features(
    events: Iterable[Event], as_of: datetime, horizon: int, shop_gap: float
) -> dict[str, Value] | None:
    """Return the features; None for a customer without an event known before the as_of."""
    known = [
        e
        for e in events
        if e.timestamp < as_of and (e.recorded_at is None or e.recorded_at < as_of)
    ]
    if not known:
        return None
    past = Past(known, as_of)
    return {
        **_totals(past, horizon),
        **_rfm(past),
        **_rhythm(past, Fraction(shop_gap)),
        **_trends(past),
        **_money(past),
        **_breadth(past),
        **_engagement(past),
        **_calendar(as_of),
    }


def attribute(
    function: str, column: str, values: Sequence[str], attributes: Mapping[str, object]
) -> Value:
    """Return a feature of the relation ``customer`` from a customer's attributes."""
    value = attributes.get(column)
    if function == "value":
        return Fraction(value) if isinstance(value, int | float) else None
    text = stripped({True: "true", False: "false"}[value] if isinstance(value, bool) else value)  # type: ignore[arg-type]
    return None if text is None else Fraction(text in values)


def _totals(past: Past, horizon: int) -> dict[str, Value]:
    days, spend_of, gaps = past.days, past.spend_of, past.gaps
    values: dict[str, Value] = {
        "orders": count(days),
        "first_day": number(days[0]) if days else None,
        "last_day": number(days[-1]) if days else None,
        "first_event_day": number(min(e.timestamp for e in past.known).date()),
        "last_active_day": number(max(e.timestamp for e in past.active).date())
        if past.active
        else None,
        "purchase_events": count(past.purchases),
        "spend": total(spend_of.values()),
        "purchase_spend": total(money(e) for e in past.purchases),
        "refund_spend": total(money(e) for e in past.refunds),
        "spend_first": spend_of[days[0]] if days else None,
        "spend_last": spend_of[days[-1]] if days else None,
        "spend_max": max(spend_of.values()) if days else None,
        "gap_last": gaps[-1] if gaps else None,
        "gap_longest": max(gaps) if gaps else None,
        "gap_squares": total(gap * gap for gap in gaps) if gaps else None,
        "activity": count(past.active),
        "orders_prev_90d": past.orders(90, 180),
        "spend_prev_90d": past.spend(90, 180),
    }
    if horizon < 365:
        start, end = (past.as_of + i * DAY - 365 * DAY for i in (0, horizon))
        values["orders_ahead_last_year"] = count([d for d in days if start <= midnight(d) < end])
    for window in (7, 30, 90, 180, 365):
        values[f"orders_{window}d"] = past.orders(0, window)
        values[f"spend_{window}d"] = past.spend(0, window)
        values[f"activity_{window}d"] = past.activity(0, window)
    return values


def _rfm(past: Past) -> dict[str, Value]:
    repeats, spend = count(past.gaps), total(past.spend_of.values())
    repeat_spend = total(past.spend_of[day] for day in past.days[1:])
    return {
        "frequency": repeats,
        "T_days": past.since_first,
        "t_x_days": total(past.gaps) if past.days else None,
        "recency_days": past.since_last,
        "tenure_days": past.age(min(e.timestamp for e in past.known).date()),
        "silence_days": past.age(max(e.timestamp for e in past.active).date())
        if past.active
        else None,
        "spend_mean": ratio(spend, count(past.days)),
        "monetary": ratio(repeat_spend, repeats),
        "refund_share": ratio(
            total(money(e) for e in past.refunds), total(money(e) for e in past.purchases)
        ),
        "order_rate": ratio(repeats, past.since_first),
    }


def _rhythm(past: Past, shop_gap: Fraction) -> dict[str, Value]:
    gaps, repeats, silence = past.gaps, count(past.gaps), past.since_last
    mean = ratio(total(gaps), repeats)
    spread = overdue_spread = None
    if mean is not None and silence is not None and len(gaps) > 1:
        spread = math.sqrt(total((gap - mean) ** 2 for gap in gaps) / (repeats - 1))
        overdue_spread = float(silence - mean) / (spread + 1)
    # three more gaps, each as long as the shop's usual gap
    rhythm = (3 * shop_gap + total(gaps)) / (3 + repeats) if past.days else None
    before_last = (3 * shop_gap + total(gaps[:-1])) / (3 + repeats - 1) if gaps else None
    return {
        "gap_mean": mean,
        "gap_spread": spread,
        "gap_variation": None if spread is None or mean is None else spread / float(mean),
        "rhythm_days": rhythm,
        "overdue_ratio": ratio(silence, rhythm),
        "overdue_longest": ratio(silence, max(gaps) if gaps else None),
        "overdue_spread": overdue_spread,
        "return_ratio": ratio(gaps[-1] if gaps else None, before_last),
        "gap_logs": total(logarithm(gap) for gap in gaps),
        "gap_entropy": total(times_logarithm(gap) for gap in gaps),
        "clumpiness": None if silence is None else clumpiness([*gaps, silence]),
        "gap_unevenness": total(unevenness(*pair) for pair in itertools.pairwise(gaps)),
        "regularity": regularity(gaps),
    }


@lru_cache(maxsize=100_000)
def logarithm(x: Fraction) -> Fraction:
    """Return ln x."""
    with localcontext(prec=30):
        return Fraction((Decimal(x.numerator) / Decimal(x.denominator)).ln())


def times_logarithm(x: Fraction) -> Fraction:
    """Return x ln x."""
    return x * logarithm(x)


def clumpiness(intervals: Sequence[Fraction]) -> Fraction | None:
    """Return 1 less the entropy of the intervals' shares, divided by its maximum.

    The entropy is largest for intervals of equal length.
    """
    if len(intervals) < 2:
        return None
    with localcontext(prec=30):
        largest_entropy = Fraction(Decimal(len(intervals)).ln())
    return 1 + total(times_logarithm(x / total(intervals)) for x in intervals) / largest_entropy


def unevenness(gap_before: Fraction, gap: Fraction) -> Fraction:
    """Return the squared deviation from 1/2 of a gap's share in two neighbouring gaps."""
    return (gap / (gap_before + gap) - Fraction(1, 2)) ** 2


def regularity(gaps: Sequence[Fraction]) -> Fraction:
    """Return the shape of gamma-distributed gaps, from the shares of neighbouring gaps.

    If gaps have shape r, the share of a gap in the sum of two neighbours is Beta(r, r), with mean
    1/2 and variance 1 / (4 (2 r + 1)). Three pairs of shape 1 are added, whose share is uniform
    with a variance of 1/12.
    """
    shares = [unevenness(*pair) for pair in itertools.pairwise(gaps)] + 3 * [Fraction(1, 12)]
    return (1 / (4 * total(shares) / len(shares)) - 1) / 2


def _trends(past: Past) -> dict[str, Value]:
    def ratio_plus_one(current: Fraction, previous: Fraction) -> Fraction:
        return (current + 1) / (previous + 1)

    def ratio_to_mean(current: Fraction, previous: Fraction) -> Fraction:
        if current + previous == 0:
            return Fraction(1)
        return current / ((current + previous) / 2)

    quarter, season = past.orders(0, 90), past.orders(365, 455)
    return {
        "trend_orders_90d": ratio_plus_one(quarter, past.orders(90, 180)),
        "trend_spend_90d": ratio_to_mean(past.spend(0, 90), past.spend(90, 180)),
        "orders_prev_30d": past.orders(30, 60),
        "trend_orders_30d": ratio_plus_one(past.orders(0, 30), past.orders(30, 60)),
        "orders_last_year_90d": season,
        "spend_last_year_90d": past.spend(365, 455),
        "trend_orders_year": ratio_plus_one(quarter, season),
        "trend_spend_year": ratio_to_mean(past.spend(0, 90), past.spend(365, 455)),
        "activity_prev_30d": past.activity(30, 60),
        "trend_activity_30d": ratio_plus_one(past.activity(0, 30), past.activity(30, 60)),
    }


def _money(past: Past) -> dict[str, Value]:
    spends = [past.spend_of[day] for day in past.days]
    spend = total(spends)
    change = total(abs(later - earlier) for earlier, later in itertools.pairwise(spends))
    # the mean absolute difference of two draws from a normal distribution is 2 / sqrt(pi) standard
    # deviations
    spread = ratio(ratio(change, count(past.gaps)), Fraction(2 / math.sqrt(math.pi)))
    discount = total(millionths(e.discount) for e in past.purchases)
    return {
        "spend_change": change,
        "spend_spread": spread,
        "spend_variation": ratio(spread, ratio(spend, count(spends))),
        "spend_share_90d": ratio(past.spend(0, 90), spend),
        "refunds": count(past.refunds),
        "discount": discount,
        "discount_share": ratio(discount, discount + total(money(e) for e in past.purchases)),
    }


def _breadth(past: Past) -> dict[str, Value]:
    weekend = [day for day in past.days if day.isoweekday() in (6, 7)]
    last_year = [e for e in past.known if past.as_of - midnight(e.timestamp.date()) <= 365 * DAY]
    return {
        "weekdays": Fraction(len({day.isoweekday() for day in past.days})),
        "hours": Fraction(len({e.timestamp.hour for e in past.purchases})),
        "weekend_orders": count(weekend),
        "weekend_share": ratio(count(weekend), count(past.days)),
        "channels": Fraction(len({stripped(e.channel) for e in past.known} - {None})),
        "channels_365d": Fraction(len({stripped(e.channel) for e in last_year} - {None})),
        "categories": Fraction(len({stripped(e.category) for e in past.known} - {None})),
        "categories_365d": Fraction(len({stripped(e.category) for e in last_year} - {None})),
    }


def _engagement(past: Past) -> dict[str, Value]:
    values: dict[str, Value] = {
        "unsubscribes": count([e for e in past.known if e.event == "unsubscribe"])
    }
    for kind, plural, windows in (
        ("visit", "visits", (7, 30, 90, 180, 365)),
        ("email_open", "email_opens", (30, 90, 365)),
        ("ticket", "tickets", (30, 90, 365)),
        ("contact", "contacts", (7, 30, 90)),
    ):
        days = [e.timestamp.date() for e in past.known if e.event == kind]
        values |= {f"{plural}_{window}d": count(past.within(days, 0, window)) for window in windows}
        values[f"last_{kind}_day"] = number(max(days)) if days else None
        values[f"days_since_{kind}"] = past.age(max(days)) if days else None
    return values


def _calendar(as_of: datetime) -> dict[str, Value]:
    new_year = date(as_of.year, 1, 1)
    return {
        "as_of_on_weekday": Fraction(as_of.isoweekday()),
        "as_of_in_month": Fraction(as_of.month),
        "as_of_in_year": Fraction((as_of.date() - new_year).days + 1),
    }
