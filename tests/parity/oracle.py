"""Every feature of the standard catalogue, worked out slowly for one customer from what the
catalogue says it means.

No NumPy, no SQL, no code of the package: instants are ``datetime``, money and days are
``Fraction``, logarithms have 30 digits. A root is taken last, in floats.
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

BY_THE_SHOP = {"contact", "email_sent", "sms_sent", "push_sent", "ad_impression"}
DAY = timedelta(days=1)
Value = Fraction | float | None


def days(span: timedelta) -> Fraction:
    """Return a span in days, exactly."""
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
    return Fraction(0) if money is None else Fraction(round(Fraction(money) * 1_000_000), 1_000_000)


def money(event: Event) -> Fraction:
    return millionths(event.amount)


def told(text: str | None) -> str | None:
    """Return a channel or category without blanks around it; one of blanks alone tells nothing."""
    return (text or "").strip() or None


def over(a: Fraction | None, b: Fraction | None) -> Fraction | None:
    return None if a is None or b is None or b == 0 else a / b


def total(some: Iterable[Fraction]) -> Fraction:
    return sum(some, Fraction(0))


def count(some: Sequence[object]) -> Fraction:
    return Fraction(len(some))


def purchase_days(events: Iterable[Event]) -> dict[date, Fraction]:
    """Return what refunds have left of each day's purchases, in order of days; days of which
    nothing is left are out.

    Single purchases lie on a stack in the order of days; a refund takes from its top until it is
    paid or the stack is empty. Of one day the purchases come before the refunds. A day of purchases
    for nothing cannot be taken back.
    """
    gross: dict[date, Fraction] = defaultdict(Fraction)
    stack: list[tuple[date, Fraction]] = []
    moved = [e for e in events if e.event in ("purchase", "refund")]
    for event in sorted(moved, key=lambda e: (e.timestamp.date(), e.event)):
        if event.event == "purchase":
            gross[event.timestamp.date()] += money(event)
            stack.append((event.timestamp.date(), money(event)))
            continue
        owed = money(event)
        while stack and owed:
            day, worth = stack.pop()
            if worth > owed:
                stack.append((day, worth - owed))
            owed = max(owed - worth, Fraction(0))
    left: dict[date, Fraction] = defaultdict(Fraction)
    for day, worth in stack:
        left[day] += worth
    return {day: left[day] for day in sorted(gross) if left[day] or not gross[day]}


def outcome(
    events: Iterable[Event], start: datetime, end: datetime, anchor: datetime
) -> tuple[int, Fraction]:
    """Return purchase days and spend within ``[start, end)``, known before the anchor, less
    refunds of the span.
    """
    within = [e for e in events if start <= e.timestamp < end and e.seen_from(anchor)]
    days = purchase_days(within)
    return len(days), total(days.values())


class Past:
    """What is known of one customer at an instant; windows are ``newer < age <= older``, in
    days.
    """

    def __init__(self, known: list[Event], as_of: datetime) -> None:
        self.known, self.as_of = known, as_of
        self.spend_of = purchase_days(known)
        self.bought = list(self.spend_of)
        self.gaps = [
            Fraction((later - earlier).days) for earlier, later in itertools.pairwise(self.bought)
        ]
        self.purchases = [e for e in known if e.event == "purchase"]
        self.refunds = [e for e in known if e.event == "refund"]
        self.others = [e for e in known if e.event not in {"purchase", "refund"} | BY_THE_SHOP]
        self.since_first = self.age(self.bought[0]) if self.bought else None
        self.since_last = self.age(self.bought[-1]) if self.bought else None

    def age(self, day: date) -> Fraction:
        return age(self.as_of, day)

    def within(self, some: Iterable[date], newer: int, older: int) -> list[date]:
        return [day for day in some if newer * DAY < self.as_of - midnight(day) <= older * DAY]

    def orders(self, newer: int, older: int) -> Fraction:
        return count(self.within(self.bought, newer, older))

    def spend(self, newer: int, older: int) -> Fraction:
        return total(self.spend_of[day] for day in self.within(self.bought, newer, older))

    def activity(self, newer: int, older: int) -> Fraction:
        return count(self.within((e.timestamp.date() for e in self.others), newer, older))


def features(
    events: Iterable[Event], as_of: datetime, horizon: int, shop_gap: float
) -> dict[str, Value] | None:
    """Return the features, or None for somebody of whom nothing is known at the as_of."""
    known = [
        e
        for e in events
        if e.timestamp < as_of and (e.recorded_at is None or e.recorded_at < as_of)
    ]
    if not known:
        return None
    past = Past(known, as_of)
    found: dict[str, Value] = {
        **_bought(past, horizon),
        **_rfm(past),
        **_rhythm(past, Fraction(shop_gap)),
    }
    return {
        **found,
        **_trends(past),
        **_money(past),
        **_breadth(past),
        **_engagement(past),
        **_calendar(as_of),
    }


def attribute(
    function: str, column: str, values: Sequence[str], known: Mapping[str, object]
) -> Value:
    """Return what a feature of the relation ``customer`` says of what is known of somebody."""
    value = known.get(column)
    if function == "value":
        return Fraction(value) if isinstance(value, int | float) else None
    text = told({True: "true", False: "false"}[value] if isinstance(value, bool) else value)  # type: ignore[arg-type]
    return None if text is None else Fraction(text in values)


def _bought(past: Past, horizon: int) -> dict[str, Value]:
    bought, spend_of, gaps = past.bought, past.spend_of, past.gaps
    found: dict[str, Value] = {
        "orders": count(bought),
        "first_day": number(bought[0]) if bought else None,
        "last_day": number(bought[-1]) if bought else None,
        "first_event_day": number(min(e.timestamp for e in past.known).date()),
        "last_active_day": number(max(e.timestamp for e in past.others).date())
        if past.others
        else None,
        "purchase_events": count(past.purchases),
        "spend": total(spend_of.values()),
        "purchase_spend": total(money(e) for e in past.purchases),
        "refund_spend": total(money(e) for e in past.refunds),
        "spend_first": spend_of[bought[0]] if bought else None,
        "spend_last": spend_of[bought[-1]] if bought else None,
        "spend_max": max(spend_of.values()) if bought else None,
        "gap_last": gaps[-1] if gaps else None,
        "gap_longest": max(gaps) if gaps else None,
        "gap_squares": total(gap * gap for gap in gaps) if gaps else None,
        "activity": count(past.others),
        "orders_prev_90d": past.orders(90, 180),
        "spend_prev_90d": past.spend(90, 180),
    }
    if horizon < 365:
        ahead = [past.as_of + i * DAY - 365 * DAY for i in (0, horizon)]
        found["orders_ahead_last_year"] = count(
            [d for d in bought if ahead[0] <= midnight(d) < ahead[1]]
        )
    for window in (7, 30, 90, 180, 365):
        found[f"orders_{window}d"] = past.orders(0, window)
        found[f"spend_{window}d"] = past.spend(0, window)
        found[f"activity_{window}d"] = past.activity(0, window)
    return found


def _rfm(past: Past) -> dict[str, Value]:
    repeats, spend = count(past.gaps), total(past.spend_of.values())
    later = total(past.spend_of[day] for day in past.bought[1:])
    return {
        "frequency": repeats,
        "T_days": past.since_first,
        "t_x_days": total(past.gaps) if past.bought else None,
        "recency_days": past.since_last,
        "tenure_days": past.age(min(e.timestamp for e in past.known).date()),
        "silence_days": past.age(max(e.timestamp for e in past.others).date())
        if past.others
        else None,
        "spend_mean": over(spend, count(past.bought)),
        "monetary": over(later, repeats),
        "refund_share": over(
            total(money(e) for e in past.refunds), total(money(e) for e in past.purchases)
        ),
        "order_rate": over(repeats, past.since_first),
    }


def _rhythm(past: Past, shop_gap: Fraction) -> dict[str, Value]:
    gaps, repeats, silence = past.gaps, count(past.gaps), past.since_last
    mean = over(total(gaps), repeats)
    spread = overdue_spread = None
    if mean is not None and silence is not None and len(gaps) > 1:
        spread = math.sqrt(total((gap - mean) ** 2 for gap in gaps) / (repeats - 1))
        overdue_spread = float(silence - mean) / (spread + 1)
    # three more gaps, each as long as the shop's
    rhythm = (3 * shop_gap + total(gaps)) / (3 + repeats) if past.bought else None
    before_last = (3 * shop_gap + total(gaps[:-1])) / (3 + repeats - 1) if gaps else None
    return {
        "gap_mean": mean,
        "gap_spread": spread,
        "gap_variation": None if spread is None or mean is None else spread / float(mean),
        "rhythm_days": rhythm,
        "overdue_ratio": over(silence, rhythm),
        "overdue_longest": over(silence, max(gaps) if gaps else None),
        "overdue_spread": overdue_spread,
        "return_ratio": over(gaps[-1] if gaps else None, before_last),
        "gap_entropy": total(times_logarithm(gap) for gap in gaps),
        "clumpiness": None if silence is None else clumpiness([*gaps, silence]),
        "gap_unevenness": total(unevenness(*pair) for pair in itertools.pairwise(gaps)),
        "regularity": regularity(gaps),
    }


@lru_cache(maxsize=100_000)
def times_logarithm(x: Fraction) -> Fraction:
    """Return x ln x."""
    with localcontext(prec=30):
        exact = Decimal(x.numerator) / Decimal(x.denominator)
        return Fraction(exact * exact.ln())


def clumpiness(intervals: Sequence[Fraction]) -> Fraction | None:
    """Return 1 less the entropy of the intervals' shares over its largest, which evenly spread
    purchases have.
    """
    if len(intervals) < 2:
        return None
    with localcontext(prec=30):
        largest = Fraction(Decimal(len(intervals)).ln())
    return 1 + total(times_logarithm(x / total(intervals)) for x in intervals) / largest


def unevenness(before: Fraction, gap: Fraction) -> Fraction:
    return (gap / (before + gap) - Fraction(1, 2)) ** 2


def regularity(gaps: Sequence[Fraction]) -> Fraction:
    """Return the shape of gamma-distributed gaps from the variance of the shares of neighbours in
    their sum.

    Of two gaps of shape r the share of one in both is Beta(r, r), with mean 1/2 and variance 1 / (4
    (2 r + 1)). Three pairs of shape 1 are added, with a share that is uniform and has a variance of
    1/12.
    """
    shares = [unevenness(*pair) for pair in itertools.pairwise(gaps)] + 3 * [Fraction(1, 12)]
    return (1 / (4 * total(shares) / len(shares)) - 1) / 2


def _trends(past: Past) -> dict[str, Value]:
    def plus_one(now: Fraction, before: Fraction) -> Fraction:
        return (now + 1) / (before + 1)

    def over_mean(now: Fraction, before: Fraction) -> Fraction:
        return now / ((now + before) / 2) if now + before else Fraction(1)

    quarter, season = past.orders(0, 90), past.orders(365, 455)
    return {
        "trend_orders_90d": plus_one(quarter, past.orders(90, 180)),
        "trend_spend_90d": over_mean(past.spend(0, 90), past.spend(90, 180)),
        "orders_prev_30d": past.orders(30, 60),
        "trend_orders_30d": plus_one(past.orders(0, 30), past.orders(30, 60)),
        "orders_last_year_90d": season,
        "spend_last_year_90d": past.spend(365, 455),
        "trend_orders_year": plus_one(quarter, season),
        "trend_spend_year": over_mean(past.spend(0, 90), past.spend(365, 455)),
        "activity_prev_30d": past.activity(30, 60),
        "trend_activity_30d": plus_one(past.activity(0, 30), past.activity(30, 60)),
    }


def _money(past: Past) -> dict[str, Value]:
    spends = [past.spend_of[day] for day in past.bought]
    spend = total(spends)
    change = total(abs(now - before) for before, now in itertools.pairwise(spends))
    # of two draws from one normal distribution the mean absolute difference is 2 / sqrt(pi)
    # standard deviations
    spread = over(over(change, count(past.gaps)), Fraction(2 / math.sqrt(math.pi)))
    discount = total(millionths(e.discount) for e in past.purchases)
    return {
        "spend_change": change,
        "spend_spread": spread,
        "spend_variation": over(spread, over(spend, count(spends))),
        "spend_share_90d": over(past.spend(0, 90), spend),
        "refunds": count(past.refunds),
        "discount": discount,
        "discount_share": over(discount, discount + total(money(e) for e in past.purchases)),
    }


def _breadth(past: Past) -> dict[str, Value]:
    weekend = [day for day in past.bought if day.isoweekday() in (6, 7)]
    last_year = [e for e in past.known if past.as_of - midnight(e.timestamp.date()) <= 365 * DAY]
    return {
        "weekdays": Fraction(len({day.isoweekday() for day in past.bought})),
        "hours": Fraction(len({e.timestamp.hour for e in past.purchases})),
        "weekend_orders": count(weekend),
        "weekend_share": over(count(weekend), count(past.bought)),
        "channels": Fraction(len({told(e.channel) for e in past.known} - {None})),
        "channels_365d": Fraction(len({told(e.channel) for e in last_year} - {None})),
        "categories": Fraction(len({told(e.category) for e in past.known} - {None})),
        "categories_365d": Fraction(len({told(e.category) for e in last_year} - {None})),
    }


def _engagement(past: Past) -> dict[str, Value]:
    found: dict[str, Value] = {
        "unsubscribes": count([e for e in past.known if e.event == "unsubscribe"])
    }
    for kind, plural, windows in (
        ("visit", "visits", (7, 30, 90, 180, 365)),
        ("email_open", "email_opens", (30, 90, 365)),
        ("ticket", "tickets", (30, 90, 365)),
        ("contact", "contacts", (7, 30, 90)),
    ):
        when = [e.timestamp.date() for e in past.known if e.event == kind]
        found |= {f"{plural}_{window}d": count(past.within(when, 0, window)) for window in windows}
        found[f"last_{kind}_day"] = number(max(when)) if when else None
        found[f"days_since_{kind}"] = past.age(max(when)) if when else None
    return found


def _calendar(as_of: datetime) -> dict[str, Value]:
    new_year = date(as_of.year, 1, 1)
    return {
        "as_of_on_weekday": Fraction(as_of.isoweekday()),
        "as_of_in_month": Fraction(as_of.month),
        "as_of_in_year": Fraction((as_of.date() - new_year).days + 1),
    }
