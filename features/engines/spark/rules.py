"""Reasons for which a row of a log on Spark is rejected: the rules of DuckDB, in their order.

The names of the reasons are those of :mod:`stagecast.features.intake.reasons`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from stagecast.features.engines.spark.columns import too_large
from stagecast.features.intake.identity import EXACT_DOUBLE, SCIENTIFIC_ID
from stagecast.features.intake.reasons import ANNOUNCED_AHEAD, LARGEST_AMOUNT
from stagecast.features.intake.zones import FIRST_YEAR, LAST_YEAR

if TYPE_CHECKING:
    from pyspark.sql import Column

# text of a float of 64 bits from which neighbouring whole numbers are the same
_LARGE_FLOAT_ID = (
    f"(length(customer_id) >= {len(str(EXACT_DOUBLE)) + 2} AND customer_id RLIKE r'^\\d+\\.0$' "
    f"AND try_cast(customer_id AS double) >= {EXACT_DOUBLE}D)"
)


def rejection_reason(parts: Collection[str], latest: datetime) -> Column:
    """Return the first reason why a row is rejected; null: it is accepted.

    Parameters
    ----------
    parts
        Columns of the event contract that the source has.
    latest
        The latest allowed time of an event, in UTC.
    """
    from pyspark.sql import functions as sf

    reasons = {
        "missing_customer": "customer_id IS NULL",
        "inexact_customer": f"customer_id RLIKE r'^({SCIENTIFIC_ID})$' OR {_LARGE_FLOAT_ID}",
        "missing_time": "t_timestamp IS NULL",
        "unreadable_time": "timestamp IS NULL",
        "absurd_time": _is_absurd("timestamp"),
        "future_time": (
            f"unix_micros(timestamp) > {_microseconds(latest)} AND NOT "
            f"(coalesce(unix_micros(recorded_at) <= {_microseconds(latest)}, false) "
            f"AND unix_micros(timestamp) <= {_microseconds(latest + ANNOUNCED_AHEAD)})"
        ),
        "missing_event": "event IS NULL",
        **(_amount_reasons() if "amount" in parts else {}),
        "unreadable_discount": f"(t_discount IS NOT NULL AND discount IS NULL) OR "
        f"{too_large('discount', LARGEST_AMOUNT)}",
        "unreadable_recorded_at": (
            f"(t_recorded_at IS NOT NULL AND recorded_at IS NULL) OR {_is_absurd('recorded_at')}"
        ),
    }
    cases = " ".join(f"WHEN {condition} THEN '{name}'" for name, condition in reasons.items())
    return sf.expr(f"CASE {cases} END")


def _amount_reasons() -> dict[str, str]:
    is_absurd = too_large("amount", LARGEST_AMOUNT)
    return {
        "unreadable_amount": f"t_amount IS NOT NULL AND amount IS NULL AND NOT {is_absurd}",
        "missing_amount": "event = 'purchase' AND t_amount IS NULL",
        "absurd_amount": is_absurd,
        "negative_amount": "event = 'purchase' AND amount < 0",
    }


def _is_absurd(name: str) -> str:
    return f"year({name}) NOT BETWEEN {FIRST_YEAR} AND {LAST_YEAR}"


def _microseconds(instant: datetime) -> int:
    from stagecast.features.clock import microseconds

    return microseconds(instant)
