"""The reasons for which a row is refused; reports and ``rejected.parquet`` hold their names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from stagecast.features.intake.zones import FIRST_YEAR, LAST_YEAR

ANNOUNCED_AHEAD = timedelta(days=731)
"""How far ahead of its recording an event may be announced: the end of a contract of two years."""
LARGEST_AMOUNT = 1e11
"""Largest absolute amount of one row, in the currency of the row and in that of the report."""

HINTS: Mapping[str, str] = {
    "malformed_line": "the line does not have the header's number of fields, or a quote "
    "is out of place: put fields "
    'that hold the separator, a quote or a line end into "quotes", and double the quotes inside',
    "no_match": "the key of the row stands in no row of the table that it is looked up in",
    "missing_customer": (
        "the row names no customer (blank, nan, null, none): sales to nobody cannot be followed"
    ),
    "inexact_customer": "the id is in scientific notation, or a float from 2^53 on, in which the "
    "last digits are lost: several customers would become one. Read or export the column as text "
    "(a workbook: format it as text or 0 before saving; pandas: dtype 'string' or 'Int64')",
    "missing_time": "the row has no time",
    "unreadable_time": "times are ISO 8601, like 2025-02-01 or 2025-02-01T12:30:00Z; for "
    "others give "
    "--time-format '%d/%m/%Y' or '%m/%d/%Y' (01/02/2025 fits both: only you know "
    "which), or excel for day numbers",
    "absurd_time": (
        f"the time stands outside {FIRST_YEAR} to {LAST_YEAR}: a placeholder, or %Y for two digits?"
    ),
    "future_time": "the time is later than now (or than --as-of) and the allowed --skew: "
    "a wrong clock, a placeholder, "
    "or a planned date, which is read if --recorded-at says since when it is known. For a log that "
    "is set in the future give --as-of",
    "missing_event": "the row has no event type, while others have one",
    "inexact_event_id": "the event's own id is in scientific notation, or a float from 2^53 on: "
    "several events would become one. Read or export the column as text, or leave --event-id out",
    "missing_amount": "a purchase without an amount; write 0 if it was free",
    "unreadable_amount": "amounts are plain numbers like 1234.50; for 1.234,50 give "
    "--decimal , --thousands . "
    "for $1,234.50 --currency-sign '$' --thousands ,",
    "absurd_amount": f"the amount is not finite, or beyond {LARGEST_AMOUNT:.0e}",
    "order_at_a_loss": "the amount is a profit, and below 0: profit is not supported as the "
    "amount. Give the revenue (--amount), and to `run` and `train` --margin for the share of it "
    "that is profit",
    "negative_amount": "a purchase with a negative amount; --negative-amounts refund "
    "reads it as a refund, or map "
    "--event to an expression that tells refunds from purchases. If the amount is a profit, "
    "give the revenue and --margin instead",
    "unreadable_discount": "discounts are money, written like amounts, up to "
    f"{LARGEST_AMOUNT:.0e}. For percent map "
    "--discount-amount to an expression such as 'price * percent / 100'; "
    "--discount-amount NULL leaves the column out",
    "missing_currency": (
        "the row has an amount or a discount and no currency, while others have one"
    ),
    "unreadable_currency": "a currency is a code of three letters, like EUR",
    "no_rate": "an amount or a discount in a currency that --rates does not name",
    "unreadable_number": "a column that a rule of --refuse looks at as a number is none here",
    "unreadable_recorded_at": (
        "the time at which the row became known is read like the time of the event"
    ),
    "test_customer": "the customer's id is one of those that --test-customers names",
    "not_a_product": (
        "the product is one of those that --not-products names: postage, fees, samples"
    ),
}
"""Reason -> what to try, in the order in which a row's first reason is chosen.

The user's own rules follow after these.
"""

RULE_HINT = "the row meets the rule of --refuse: {condition}"

FLAGS: Mapping[str, str] = {
    "dst_gap": (
        "the local time was skipped when the clocks went forward; read with the "
        "offset before the change"
    ),
    "dst_overlap": (
        "the local time happened twice when the clocks went back; read as the first of the two"
    ),
}
"""Flag -> meaning; flagged rows are loaded."""
