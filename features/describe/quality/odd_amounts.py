"""Amounts that stand out: slips of the decimal sign, huge orders, large purchases taken back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import duckdb

from stagecast.features.clock import iso, parse_instant, to_utc
from stagecast.features.describe.quality.amounts import (
    Amounts,
    HeavyPurchase,
    heavy_purchase,
)
from stagecast.features.shop.events import clock_of, events_of
from stagecast.features.shop.money import precise_money as exact

# A purchase is huge from this many times the median; more of them than this share, and than this
# number, are usual for the shop.
HUGE_TIMES, HABIT_SHARE, HABIT = 100, 0.001, 10
# Times the median around a thousand at which a slip of the decimal sign is asked for.
SLIP_TIMES = (300, 3_000)
# A month whose usual amount is this many times that of the month before, both with this many
# purchases, is of another unit.
UNIT_TIMES, FEWEST_PURCHASES = 30, 20
# Days within which a purchase is taken back, and the share of it that has to be.
REFUND_DAYS, REFUNDED_SHARE = 7, 0.9
REFUSED_NEGATIVES = "refused_negatives"
"""Table of a log with ``customer_id``, ``timestamp`` and ``amount`` of the negative purchases that
were refused; a log without it has none."""


@dataclass(frozen=True)
class CustomerNote:
    """A sentence about the money of one customer."""

    customer_id: str
    note: str


def odd_amounts(
    con: duckdb.DuckDBPyConnection,
    amounts: Amounts,
    notes: Sequence[CustomerNote] = (),
    currency: str | None = None,
) -> list[str]:
    """Return sentences about the amounts of a log that stand out.

    Parameters
    ----------
    con
        Holds the table ``events``, and ``amount_counts`` of
        :func:`stagecast.features.describe.quality.amounts.describe_amounts`.
    amounts
        Their description.
    notes
        As of :func:`customer_notes`: a single huge purchase that was taken back is not named twice.
    currency
        Code of the currency of the amounts; None: not known.
    """
    noted = {note.customer_id for note in notes}
    sentences = [_unit_change(con, currency), _huge_orders(con, amounts, noted, currency)]
    return [sentence for sentence in sentences if sentence is not None]


def _huge_orders(
    con: duckdb.DuckDBPyConnection,
    amounts: Amounts,
    customers_noted: set[str],
    currency: str | None,
) -> str | None:
    """Return the sentence about huge purchases; None where the largest was noted already."""
    if not has_huge(amounts):
        return None
    ((count, money),) = con.execute(
        "SELECT CAST(sum(n) AS BIGINT), sum(amount * CAST(n AS DOUBLE)) FROM amount_counts "
        "WHERE amount >= ?",
        [HUGE_TIMES * amounts.median],
    ).fetchall()
    if count == 1 and amounts.events[0].customer_id in customers_noted:
        return None
    return huge_orders_sentence(amounts, count, money, currency)


def has_huge(amounts: Amounts) -> bool:
    """Return whether the largest purchase is a hundred times the median or more.

    The median of fewer than :data:`FEWEST_PURCHASES` says little.
    """
    return (
        amounts.purchases >= FEWEST_PURCHASES and 0 < HUGE_TIMES * amounts.median <= amounts.largest
    )


def huge_orders_sentence(
    amounts: Amounts, count: int, money: float, currency: str | None = None
) -> str | None:
    """Return the sentence about purchases of a hundred times the median; None: they are usual.

    Parameters
    ----------
    amounts
        The money of the log.
    count, money
        Number and sum of the purchases of a hundred times the median or more.
    currency
        Code of the currency of the amounts; None: not known.
    """
    if count > max(HABIT, HABIT_SHARE * amounts.purchases):
        return None
    first = amounts.events[0]
    times = first.amount / amounts.median
    low, high = SLIP_TIMES
    is_slip = low <= times <= high and amounts.low <= first.amount / 1_000 <= amounts.high
    cause = (
        "a thousandth of it is usual: is it a slip of the decimal sign?"
        if is_slip
        else "a wholesaler, or a mistyped amount?"
    )
    subject = "1 purchase is" if count == 1 else f"{count:,} purchases are"
    return (
        f"{subject} a hundred times the median of {exact(amounts.median, currency)} or more and "
        f"{'makes' if count == 1 else 'make'} {money / amounts.total:.1%} of the spend, such as "
        f"{exact(first.amount, currency)} of customer {first.customer_id} on {first.day}: {cause}"
    )


def _unit_change(con: duckdb.DuckDBPyConnection, currency: str | None) -> str | None:
    """Return the sentence about the month from which the usual amount is of another size."""
    months = con.execute(
        f"""SELECT month, usual FROM (SELECT 12 * year("timestamp") + month("timestamp") - 1
            AS month, count(*) AS purchases, avg(ln(CAST(amount AS FLOAT))) AS usual
        FROM {events_of(con)} WHERE event = 'purchase' AND amount > 0 GROUP BY month)
        WHERE purchases >= {FEWEST_PURCHASES} ORDER BY month"""
    ).fetchall()
    return unit_change_sentence(months, currency)


def unit_change_sentence(
    months: Sequence[tuple[int, float]], currency: str | None = None
) -> str | None:
    """Return the sentence about the month from which the usual amount is of another size.

    Parameters
    ----------
    months
        (Number of a month, 12 for each year, and the mean logarithm of its amounts), in order;
        those with at least :data:`FEWEST_PURCHASES` purchases.
    currency
        Code of the currency of the amounts; None: not known.
    """
    changes = [
        (abs(after - before), month, before, after)
        for (_, before), (month, after) in pairwise(months)
    ]
    size, month, before, after = max(changes, default=(0.0, 0, 0.0, 0.0))
    if size < math.log(UNIT_TIMES):
        return None
    usual_before, usual_after = (exact(math.exp(log), currency) for log in (before, after))
    return (
        f"the usual amount changes from {usual_before} to {usual_after} with "
        f"{month // 12}-{month % 12 + 1:02d}: another unit, "
        "another currency, or decimals read as thousands in part of the rows?"
    )


def customer_notes(
    con: duckdb.DuckDBPyConnection, amounts: Amounts, currency: str | None = None
) -> tuple[tuple[CustomerNote, ...], bool]:
    """Return a note on each of the largest purchases that was taken back within days.

    Parameters
    ----------
    con
        Holds the table ``events``, and perhaps :data:`REFUSED_NEGATIVES`.
    amounts
        Its largest purchases, and the customers who weigh most.
    currency
        Code of the currency of the amounts; None: not known.

    Returns
    -------
    notes
        The largest purchase first.
    refused
        Whether what took one of them back was refused, so that it still counts as bought.
    """
    sources = {"events": "event = 'refund'"}
    if con.execute(
        "SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [REFUSED_NEGATIVES]
    ).fetchall():
        sources[REFUSED_NEGATIVES] = "true"
    notes, has_refused = [], False
    for purchase in _candidates(con, amounts):
        for table, condition in sources.items():
            rows = con.execute(
                f"""SELECT date_diff('second', CAST(? AS TIMESTAMP), "timestamp"), abs(amount)
                FROM {table} WHERE customer_id = ? AND {condition}
                AND abs(amount) BETWEEN ? AND ? AND "timestamp" BETWEEN CAST(? AS TIMESTAMP)
                    AND CAST(? AS TIMESTAMP) + to_days({REFUND_DAYS})
                ORDER BY 1 LIMIT 1""",
                [
                    _plain(purchase),
                    purchase.customer_id,
                    REFUNDED_SHARE * purchase.amount,
                    purchase.amount / REFUNDED_SHARE,
                    _plain(purchase),
                    _plain(purchase),
                ],
            ).fetchall()
            if not rows:
                continue
            seconds, taken_back = rows[0]
            is_refused = table == REFUSED_NEGATIVES
            has_refused = has_refused or is_refused
            refused = " in a row that was refused, so that it still counts" if is_refused else ""
            notes.append(
                CustomerNote(
                    purchase.customer_id,
                    f"the purchase of {exact(purchase.amount, currency)} on {purchase.day} was "
                    f"taken back {_span(seconds)} later ({exact(taken_back, currency)}){refused}",
                )
            )
            break
    return tuple(notes), has_refused


def _candidates(con: duckdb.DuckDBPyConnection, amounts: Amounts) -> list[HeavyPurchase]:
    """Return the largest purchases of the log, and of the customers who weigh most."""
    purchases = {(event.customer_id, event.timestamp): event for event in amounts.events}
    clock = clock_of(con)
    for buyer in amounts.customers:
        rows = con.execute(
            """SELECT "timestamp", amount FROM events WHERE customer_id = ? AND event = 'purchase'
            ORDER BY amount DESC NULLS LAST, "timestamp" LIMIT 1""",
            [buyer.customer_id],
        ).fetchall()
        for timestamp, amount in rows:
            key = (buyer.customer_id, iso(to_utc(timestamp)))
            if amount and not any(
                event.customer_id == buyer.customer_id and event.amount == float(amount)
                for event in purchases.values()
            ):
                purchases[key] = heavy_purchase(
                    clock, buyer.customer_id, timestamp, float(amount), amounts.total
                )
    return sorted(purchases.values(), key=lambda purchase: -purchase.amount)


def _plain(purchase: HeavyPurchase) -> str:
    return parse_instant(purchase.timestamp).replace(tzinfo=None).isoformat(" ")


def _span(seconds: int) -> str:
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def note_sentences(notes: tuple[CustomerNote, ...], *, refused: bool) -> list[str]:
    """Return the notes as one warning each, and what to try where a refund was refused."""
    hint = "; --negative-amounts refund reads such rows as refunds" if refused else ""
    return [f"customer {note.customer_id}: {note.note}{hint}" for note in notes]
