"""A stratified sample of the customers of a log on Spark: what one machine trains on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stagecast.features.engines import sql
from stagecast.features.engines.spark.table import DIALECT, SparkTable

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

SAMPLE = 200_000
"""Customers that are drawn where nothing else is asked for."""

# strata by purchase days: (from, name)
_STRATA = ((0, "none"), (1, "1"), (2, "2 or 3"), (4, "4 to 9"), (10, "10 or more"))


@dataclass(frozen=True)
class Sample:
    """The events of the customers that were drawn, and what to say of it."""

    events: pa.Table
    notes: tuple[str, ...]


def draw(table: SparkTable, events: DataFrame, most: int = SAMPLE, seed: int = 20110901) -> Sample:
    """Draw customers with the same share from each stratum of purchase days.

    Within a stratum the hash of the id decides, so the same log gives the same sample, and that of
    a later as_of has mostly the same customers.
    """
    spark = events.sparkSession
    bounds = " ".join(
        f"when days >= {low} then {k}" for k, (low, _) in reversed(list(enumerate(_STRATA)))
    )
    steps = [
        *sql.purchase_days("known < 0", table.shape),
        sql.Step(
            "counted", "select customer, count(*) as days from purchase_days group by customer"
        ),
        sql.Step("everybody", "select customer from daily group by customer"),
        sql.Step(
            "strata",
            f"""select everybody.customer, case {bounds} end as stratum from (
                select everybody.customer, coalesce(days, 0) as days
                from everybody left join counted on counted.customer = everybody.customer)
                as everybody""",
        ),
    ]
    strata = spark.sql(
        sql.render([*steps, sql.Step("s", "select customer, stratum from strata")], DIALECT)
    ).persist()
    counts = {row["stratum"]: row["count"] for row in strata.groupBy("stratum").count().collect()}
    total = sum(counts.values())
    taken = allocated(counts, min(most, total))
    strata.createOrReplaceTempView("strata_of_customers")
    kept = " or ".join(
        f"(stratum = {stratum} and nth <= {count})" for stratum, count in taken.items()
    )
    spark.sql(
        f"""select customer from (select customer, stratum, row_number() over (
            partition by stratum order by xxhash64(customer, {seed}), customer) as nth
            from strata_of_customers)
        where {kept}"""
    ).createOrReplaceTempView("drawn")
    columns = [name for name in events.columns if name != "customer"]
    drawn = events.join(spark.table("drawn"), "customer", "left_semi").select(*columns)
    found = drawn.toArrow()
    strata.unpersist()
    return Sample(_without_empty(found), _notes(counts, taken))


def allocated(counts: Mapping[int, int], most: int) -> dict[int, int]:
    """Return how many to take of each stratum: the same share, ``most`` in all, by the largest
    remainder.

    >>> allocated({0: 50, 1: 33, 2: 17}, 10)
    {0: 5, 1: 3, 2: 2}
    """
    total = sum(counts.values())
    taken = {stratum: count * most // total for stratum, count in counts.items()}
    remainders = sorted(counts, key=lambda stratum: (-(counts[stratum] * most % total), stratum))
    for stratum in remainders[: most - sum(taken.values())]:
        taken[stratum] += 1
    return taken


def _without_empty(events: pa.Table) -> pa.Table:
    """Leave out columns that nothing is told in: a log without them is read as one that has
    none.
    """
    return events.select(
        [name for name in events.column_names if events[name].null_count < len(events)]
    )


def _notes(counts: Mapping[int, int], taken: Mapping[int, int]) -> tuple[str, ...]:
    total, drawn = sum(counts.values()), sum(taken.values())
    if drawn == total:
        return (f"Trained on all {total:,} customers of the log, collected from Spark.",)
    strata = ", ".join(
        f"{name}: {taken[k]:,} of {counts[k]:,}"
        for k, (_, name) in enumerate(_STRATA)
        if counts.get(k)
    )
    error = 100 * 1.96 * np.sqrt(0.25 / drawn) * np.sqrt(1 - drawn / total)
    return (
        f"Trained on {drawn:,} of {total:,} customers ({drawn / total:.1%}), with the "
        "same share of each number of "
        f"purchase days ({strata}).",
        f"The sample tells a share such as the churn rate to {error:.2f} percentage "
        "points or better (95 %); "
        "thresholds of the stages, percentiles and usual values are those of the sample.",
    )
