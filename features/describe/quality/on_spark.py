"""Warnings of odd times and amounts of a log on Spark: those of DuckDB that a few sums allow.

They are events in a wrong year, day and month swapped, orders of a hundred times the median, and a
month from which amounts are of another size. What needs the events of a customer in order (a
purchase that was taken back) is not looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stagecast.features.clock import iso, to_utc
from stagecast.features.describe.quality.amounts import Amounts, HeavyPurchase
from stagecast.features.describe.quality.daily import split_days
from stagecast.features.describe.quality.misdated import misdated
from stagecast.features.describe.quality.odd_amounts import (
    FEWEST_PURCHASES,
    HUGE_TIMES,
    has_huge,
    huge_orders_sentence,
    unit_change_sentence,
)
from stagecast.features.describe.quality.swapped import swapped

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_QUANTILES = (0.05, 0.5, 0.95)


def warnings_of(events: DataFrame) -> tuple[str, ...]:
    """Return sentences about what changes numbers.

    Parameters
    ----------
    events
        Events with times in shop time; see :mod:`stagecast.features.shop`.
    """
    purchases = events.filter("event = 'purchase' AND amount IS NOT NULL")
    sentences = [_unit_change(purchases), _huge_orders(purchases)]
    return (*_of_days(events), *(sentence for sentence in sentences if sentence is not None))


def _of_days(events: DataFrame) -> list[str]:
    days = events.groupBy(events["timestamp"].cast("date").alias("day")).count()
    rows = days.selectExpr("unix_date(day) AS day", "count").orderBy("day").collect()
    # neither warning looks at customers
    counts = [(row["day"], row["count"], 0, 0) for row in rows]
    calendar, far_days = split_days(np.array(counts, dtype=np.int64).T)
    return [*misdated(calendar, far_days), *swapped(calendar)]


def _huge_orders(purchases: DataFrame) -> str | None:
    shares = ", ".join(str(share) for share in _QUANTILES)
    row = purchases.selectExpr(
        "count(*) AS purchases",
        "cast(sum(amount) AS double) AS total",
        f"percentile_approx(cast(amount AS double), array({shares})) AS sizes",
        "max_by(struct(customer_id, timestamp, cast(amount AS double) AS amount), amount) AS first",
    ).collect()[0]
    if not row["purchases"]:
        return None
    low, median, high = row["sizes"]
    first = row["first"]
    at = iso(to_utc(first["timestamp"]))
    largest = HeavyPurchase(first["customer_id"], at, at[:10], first["amount"], 0.0)
    amounts = Amounts(
        row["purchases"], row["total"], median, first["amount"], low, high, 0.0, (), (largest,)
    )
    if not has_huge(amounts):
        return None
    huge = (
        purchases.filter(f"amount >= {HUGE_TIMES * median!r}D")
        .selectExpr("count(*) AS count", "cast(sum(amount) AS double) AS money")
        .collect()[0]
    )
    return huge_orders_sentence(amounts, huge["count"], huge["money"])


def _unit_change(purchases: DataFrame) -> str | None:
    months = purchases.filter("amount > 0").selectExpr(
        "12 * year(timestamp) + month(timestamp) - 1 AS month", "ln(cast(amount AS double)) AS size"
    )
    months.createOrReplaceTempView("sizes_of_purchases")
    rows = purchases.sparkSession.sql(
        f"""SELECT month, avg(size) AS usual FROM sizes_of_purchases GROUP BY month
        HAVING count(*) >= {FEWEST_PURCHASES} ORDER BY month"""
    ).collect()
    return unit_change_sentence([(row["month"], row["usual"]) for row in rows])
