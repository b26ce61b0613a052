"""Rows of the known events as arrays: the numbers of customers, and no nulls."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.features.engines.duckdb.known_events import KnownEvents
from tests.training.made import day, log_of


def test_rows_are_arrays_without_nulls() -> None:
    later = [(name, day(at), "purchase", 10.0) for name, at in (("a", 9), ("b", 1), ("c", 2))]
    with log_of(later) as log:
        known = KnownEvents(log.con, day(5))
        # the customer who is not known yet leaves a gap in the numbers of the log
        assert known.customers.tolist() == ["b", "c"]
        columns = known.rows(
            "select customer, cast(? as varchar) as text, 9007199254740993 as large from daily "
            "order by 1",
            ["as given"],
        )
        assert columns["customer"].tolist() == [0, 1]
        assert columns["text"].tolist() == ["as given"] * 2
        assert (columns["large"].dtype, columns["large"][0]) == (np.int64, 9007199254740993)
        with pytest.raises(ValueError, match="the column amount has nulls: select customer"):
            known.rows("select customer, cast(null as bigint) as amount from daily")
        known.connection.close()
