"""Stratified sample of the customers of a log on Spark, small enough to train on one machine."""

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

DEFAULT_SAMPLE_SIZE = 200_000
"""Default number of customers of a sample."""

# strata by number of purchase days: (lowest number, name)
_STRATA = ((0, "none"), (1, "1"), (2, "2 or 3"), (4, "4 to 9"), (10, "10 or more"))


@dataclass(frozen=True)
class Sample:
    """A sample of customers.

    Parameters
    ----------
    events
        All events of the customers of the sample.
    notes
        Sentences that describe the sample, for reports.
    """

    events: pa.Table
    notes: tuple[str, ...]


def draw_sample(
    table: SparkTable,
    events: DataFrame,
    max_customers: int = DEFAULT_SAMPLE_SIZE,
    seed: int = 20110901,
) -> Sample:
    """Draw the same share of customers from each stratum of purchase days.

    Customers of a stratum are ordered by a hash of the id. So the same log gives the same sample,
    and samples at later as_ofs have mostly the same customers.

    Parameters
    ----------
    table
        State of the log, from which purchase days are counted.
    events
        Events of the log, from which the events of the sample are taken.
    max_customers
        Number of customers to draw; all customers if the log has fewer.
    seed
        Seed of the hash.
    """
    spark = events.sparkSession
    bounds = " ".join(
        f"when days >= {low} then {k}" for k, (low, _) in reversed(list(enumerate(_STRATA)))
    )
    steps = [
        *sql.purchase_day_steps("known < 0", table.shape),
        sql.Step(
            "counted", "select customer, count(*) as days from purchase_days group by customer"
        ),
        sql.Step("customers", "select customer from daily group by customer"),
        sql.Step(
            "strata",
            f"""select all_counted.customer, case {bounds} end as stratum from (
                select customers.customer, coalesce(days, 0) as days
                from customers left join counted on counted.customer = customers.customer)
                as all_counted""",
        ),
    ]
    strata = spark.sql(
        sql.render([*steps, sql.Step("s", "select customer, stratum from strata")], DIALECT)
    ).persist()
    counts = {row["stratum"]: row["count"] for row in strata.groupBy("stratum").count().collect()}
    total = sum(counts.values())
    sizes = allocation(counts, min(max_customers, total))
    strata.createOrReplaceTempView("strata_of_customers")
    condition = " or ".join(
        f"(stratum = {stratum} and rank_in_stratum <= {size})" for stratum, size in sizes.items()
    )
    spark.sql(
        f"""select customer from (select customer, stratum, row_number() over (
            partition by stratum order by xxhash64(customer, {seed}), customer) as rank_in_stratum
            from strata_of_customers)
        where {condition}"""
    ).createOrReplaceTempView("drawn")
    columns = [name for name in events.columns if name != "customer"]
    drawn = events.join(spark.table("drawn"), "customer", "left_semi").select(*columns)
    sample_events = drawn.toArrow()
    strata.unpersist()
    return Sample(_without_empty_columns(sample_events), _notes(counts, sizes))


def allocation(counts: Mapping[int, int], total_size: int) -> dict[int, int]:
    """Return the sample size of each stratum, proportional to its count.

    The sizes add up to ``total_size``; they are rounded by the largest remainder method.

    Parameters
    ----------
    counts
        Stratum -> number of customers.
    total_size
        Size of the sample, at most the number of customers.

    >>> allocation({0: 50, 1: 33, 2: 17}, 10)
    {0: 5, 1: 3, 2: 2}
    """
    total = sum(counts.values())
    sizes = {stratum: count * total_size // total for stratum, count in counts.items()}
    by_remainder = sorted(
        counts, key=lambda stratum: (-(counts[stratum] * total_size % total), stratum)
    )
    for stratum in by_remainder[: total_size - sum(sizes.values())]:
        sizes[stratum] += 1
    return sizes


def _without_empty_columns(events: pa.Table) -> pa.Table:
    """Return the table without columns that are null in every row.

    A log without such a column is read as one that has no values in it.
    """
    return events.select(
        [name for name in events.column_names if events[name].null_count < len(events)]
    )


def _notes(counts: Mapping[int, int], sizes: Mapping[int, int]) -> tuple[str, ...]:
    total, drawn = sum(counts.values()), sum(sizes.values())
    if drawn == total:
        return (f"Trained on all {total:,} customers of the log, collected from Spark.",)
    strata = ", ".join(
        f"{name}: {sizes[k]:,} of {counts[k]:,}"
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
