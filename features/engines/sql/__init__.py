"""The catalogue as SQL: a few small named steps, rendered to one query for an engine's dialect.

    events -> daily -> visible -> purchase_days -> days -> days_totals -+
                               -> log_totals ---------------------------+-> aggregates -> derived_1
                               -> ... -> snapshot
           -> typed -> types_totals ------------------------------------+
           -> valued -> values_totals ----------------------------------+
    attributes -> known_at_start -> told -------------------------------+

``daily``, ``typed``, ``valued`` and ``told`` are made once per log; every other step, for any
number of dates, is one query over them. ``purchase_days`` are net of refunds (:func:`net_days`). Of
a log without refunds and late records (see :class:`Shape`) a day is a purchase day or none, so
``days_totals`` and ``log_totals`` are one step, ``totals``. On DuckDB NumPy goes on from the
``daily`` of such a log (:mod:`stagecast.features.engines.plain`), unless its sums are too large for
that.

Steps are written in DuckDB's dialect within a set that engines share (filter, equality and range
join, group by with sum, count, min, max, bit_or and conditions, sum and min over rows, lag, lead,
least, greatest, cast, coalesce, floor, ln, sqrt, bit_count); :func:`render` parses them with
sqlglot and writes the engine's own.
"""

from stagecast.features.engines.sql.days import net_days, outcomes, purchase_days
from stagecast.features.engines.sql.snapshot import present, snapshot, tables_beside
from stagecast.features.engines.sql.steps import (
    ANY,
    Shape,
    Step,
    looked_at,
    most_of_one,
    render,
    shape_of,
)
from stagecast.features.engines.sql.tables import Clock, daily, typed, valued

__all__ = [
    "ANY",
    "Clock",
    "Shape",
    "Step",
    "daily",
    "looked_at",
    "most_of_one",
    "net_days",
    "outcomes",
    "present",
    "purchase_days",
    "render",
    "shape_of",
    "snapshot",
    "tables_beside",
    "typed",
    "valued",
]
