"""Every feature of the standard catalogue, worked out slowly for one customer from what the catalogue says it means.

No NumPy, no SQL, no code of the package: instants are ``datetime``, money and ratios are ``Fraction``. A root is taken
last, in floats.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

from features.requests import Event

BY_THE_SHOP = {"contact", "email_sent", "sms_sent", "push_sent", "ad_impression"}
DAY = timedelta(days=1)
Value = Fraction | float | None


def days(span: timedelta) -> Fraction:
    """Return a span in days, exactly."""
    return Fraction(span // timedelta(microseconds=1), 86_400_000_000)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def money(event: Event) -> Fraction:
    return Fraction(0) if event.amount is None else Fraction(round(Fraction(event.amount) * 1_000_000), 1_000_000)


def over(a: Value, b: Value) -> Fraction | None:
    return None if a is None or b is None or b == 0 else Fraction(a) / Fraction(b)


def minus(a: Fraction | None, b: Fraction | None) -> Fraction | None:
    return None if a is None or b is None else a - b


def purchase_days(events: Iterable[Event]) -> dict[date, Fraction]:
    """Return what refunds have left of each day's purchases, in order of days; days of which nothing is left are out.

    Single purchases lie on a stack in the order of days; a refund takes from its top until it is paid or the stack is
    empty. Of one day the purchases come before the refunds. A day of purchases for nothing cannot be taken back.
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


def outcome(events: Iterable[Event], start: datetime, end: datetime, anchor: datetime) -> tuple[int, Fraction]:
    """Return purchase days and spend within ``[start, end)``, known before the anchor, less refunds of the span."""
    within = [e for e in events if start <= e.timestamp < end and e.seen_from(anchor)]
    days = purchase_days(within)
    return len(days), sum(days.values(), Fraction(0))


def features(events: Iterable[Event], as_of: datetime, horizon: int, shop_gap: float) -> dict[str, Value] | None:
    """Return the features, or None for somebody of whom nothing is known at the as_of."""
    known = [e for e in events if e.timestamp < as_of and (e.recorded_at is None or e.recorded_at < as_of)]
    if not known:
        return None
    spend_of = purchase_days(known)
    bought = sorted(spend_of)
    gaps = [Fraction((later - earlier).days) for earlier, later in itertools.pairwise(bought)]
    others = [e for e in known if e.event not in {"purchase", "refund"} | BY_THE_SHOP]

    def age(day: date) -> Fraction:
        return days(as_of - midnight(day))

    def number(day: date) -> Fraction:
        return days(midnight(day) - datetime(1970, 1, 1, tzinfo=UTC))

    def orders(newer: int, older: int) -> Fraction:
        return Fraction(sum(1 for day in bought if newer < age(day) <= older))

    def spend(newer: int, older: int) -> Fraction:
        return sum((spend_of[day] for day in bought if newer < age(day) <= older), Fraction(0))

    found: dict[str, Value] = {
        "orders": Fraction(len(bought)),
        "first_day": number(bought[0]) if bought else None,
        "last_day": number(bought[-1]) if bought else None,
        "first_event_day": number(min(e.timestamp for e in known).date()),
        "last_active_day": number(max(e.timestamp for e in others).date()) if others else None,
        "purchase_events": Fraction(sum(1 for e in known if e.event == "purchase")),
        "spend": sum(spend_of.values(), Fraction(0)),
        "purchase_spend": sum((money(e) for e in known if e.event == "purchase"), Fraction(0)),
        "refund_spend": sum((money(e) for e in known if e.event == "refund"), Fraction(0)),
        "spend_first": spend_of[bought[0]] if bought else None,
        "spend_last": spend_of[bought[-1]] if bought else None,
        "spend_max": max(spend_of.values()) if bought else None,
        "gap_last": gaps[-1] if gaps else None,
        "gap_longest": max(gaps) if gaps else None,
        "gap_squares": sum((gap * gap for gap in gaps), Fraction(0)) if gaps else None,
        "activity": Fraction(len(others)),
        "orders_prev_90d": orders(90, 180),
        "spend_prev_90d": spend(90, 180),
    }
    if horizon < 365:
        ahead = [(as_of + i * DAY - 365 * DAY) for i in (0, horizon)]
        found["orders_ahead_last_year"] = Fraction(sum(1 for d in bought if ahead[0] <= midnight(d) < ahead[1]))
    for window in (30, 90, 180, 365):
        found[f"orders_{window}d"] = orders(0, window)
        found[f"spend_{window}d"] = spend(0, window)
        found[f"activity_{window}d"] = Fraction(sum(1 for e in others if age(e.timestamp.date()) <= window))
    found |= _derived(found, gaps, bought, age, Fraction(shop_gap), min(e.timestamp for e in known).date(), others)
    return found


def _derived(found, gaps, bought, age, shop_gap, first_event, others):  # type: ignore[no-untyped-def]
    repeats = Fraction(len(gaps))
    total = found["spend"]
    since_first = age(bought[0]) if bought else None
    since_last = age(bought[-1]) if bought else None
    way = sum(gaps, Fraction(0)) if bought else None
    mean = over(way, repeats)
    spread = None
    if len(gaps) > 1:
        spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / (repeats - 1))
    # three more gaps, each as long as the shop's
    rhythm = (3 * shop_gap + way) / (3 + repeats) if bought else None
    before_last = (3 * shop_gap + sum(gaps[:-1], Fraction(0))) / (3 + repeats - 1) if gaps else None
    two_windows = found["spend_90d"] + found["spend_prev_90d"]
    return {
        "frequency": repeats,
        "T_days": since_first,
        "t_x_days": way,
        "recency_days": since_last,
        "tenure_days": age(first_event),
        "silence_days": age(max(e.timestamp for e in others).date()) if others else None,
        "spend_mean": over(total, found["orders"]),
        "monetary": over(total - found["spend_first"], repeats) if bought else None,
        "refund_share": over(found["refund_spend"], found["purchase_spend"]),
        "order_rate": over(repeats, since_first),
        "gap_mean": mean,
        "gap_spread": spread,
        "rhythm_days": rhythm,
        "overdue_ratio": over(since_last, rhythm),
        "overdue_longest": over(since_last, found["gap_longest"]),
        "overdue_spread": None if spread is None else float(since_last - mean) / (spread + 1),
        "return_ratio": over(found["gap_last"], before_last),
        "trend_orders_90d": (found["orders_90d"] + 1) / (found["orders_prev_90d"] + 1),
        "trend_spend_90d": Fraction(1) if two_windows == 0 else 2 * found["spend_90d"] / two_windows,
    }
