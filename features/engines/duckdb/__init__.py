"""DuckDB engine: the state of a log at one as_of as a daily table, and queries over it.

expressions (of time) <- known_events (views, daily table) <- features, purchases, event_rows
    <- table (one object for all of them)
"""

from stagecast.features.engines.duckdb.expressions import DIALECT, HAPPENED, clock, shape_of
from stagecast.features.engines.duckdb.known_events import last_event_before
from stagecast.features.engines.duckdb.table import DailyTable

__all__ = ["DIALECT", "HAPPENED", "DailyTable", "clock", "last_event_before", "shape_of"]
