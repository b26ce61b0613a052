"""A catalogue as SQL: small named steps, joined to one query in an engine's dialect.

    events -> daily -> visible -> purchase_days -> days -> days_totals -+
                               -> log_totals ---------------------------+-> aggregates -> derived_1
                               -> ... -> snapshot
           -> typed -> types_totals ------------------------------------+
           -> valued -> values_totals ----------------------------------+
    attributes -> known_at_start -> told -------------------------------+

The tables ``daily``, ``typed``, ``valued`` and ``told`` are created once per log. All other steps
form one query over them, for any number of dates. ``purchase_days`` are net of refunds
(:func:`net_day_steps`). In a log without refunds and late records (see :class:`Shape`) a day either
is a purchase day or is not, at every date, so ``days_totals`` and ``log_totals`` are computed in
one step, ``totals``. For such a log DuckDB only computes ``daily``, and NumPy does the rest
(:mod:`stagecast.features.engines.plain`), unless its sums are too large for that.

Steps are written in DuckDB's dialect, restricted to what all engines have: filter, equality and
range join, group by with sum, count, min, max, bit_or and conditions, sum and min over rows, lag,
lead, least, greatest, cast, coalesce, floor, ln, sqrt, bit_count. DuckDB runs them as
:func:`joined` joins them; for another engine, and for people, :func:`render` parses them with
sqlglot and writes the engine's dialect.
"""

from stagecast.features.engines.sql.days import net_day_steps, outcome_steps, purchase_day_steps
from stagecast.features.engines.sql.snapshot import (
    partition_aggregates,
    side_table_steps,
    snapshot_steps,
)
from stagecast.features.engines.sql.steps import (
    ANY,
    Shape,
    Step,
    joined,
    largest_sum_query,
    render,
    shape_of,
    shape_query,
)
from stagecast.features.engines.sql.tables import Clock, daily_step, typed_step, valued_step

__all__ = [
    "ANY",
    "Clock",
    "Shape",
    "Step",
    "daily_step",
    "joined",
    "largest_sum_query",
    "net_day_steps",
    "outcome_steps",
    "partition_aggregates",
    "purchase_day_steps",
    "render",
    "shape_of",
    "shape_query",
    "side_table_steps",
    "snapshot_steps",
    "typed_step",
    "valued_step",
]
