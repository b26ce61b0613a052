"""Features of the customers of a plan as of its as_of."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from stagecast.features.catalog.standard import standard
from stagecast.features.errors import DataRefusedError
from stagecast.features.events import ReadOptions, from_frame
from stagecast.serving.targeting.learned.features import features_before

AS_OF = datetime(2021, 6, 1, tzinfo=UTC)
ROWS = [
    ("a", "2021-01-05", 10.0),
    ("a", "2021-03-05", 20.0),
    ("b", "2021-02-01", 5.0),
    ("b", "2021-05-01", 7.0),
    ("c", "2021-04-02", 9.0),
]
LATER = [("a", "2021-06-01", 99.0), ("c", "2021-07-15", 50.0), ("late", "2021-06-20", 1.0)]


def values_of(
    rows: list[tuple[str, str, float]], ids: list[str]
) -> tuple[tuple[str, ...], np.ndarray]:
    frame = pd.DataFrame(rows, columns=["customer_id", "timestamp", "amount"])
    frame["timestamp"] = pd.to_datetime(frame["timestamp"])
    catalog = standard(90).with_parameters(shop_gap_days=30.0)
    with from_frame(frame.assign(event="purchase"), ReadOptions()) as log:
        return features_before(log, AS_OF, catalog, ids)


def test_nothing_at_or_after_the_as_of_has_an_influence() -> None:
    names, before = values_of(ROWS, ["c", "a", "b"])
    _, with_later = values_of(ROWS + LATER, ["c", "a", "b"])
    np.testing.assert_array_equal(before, with_later)
    at = names.index("recency_days")
    # in the order of the ids: 2 April, 5 March and 1 May to 1 June
    assert before[:, at].tolist() == [60.0, 88.0, 31.0]


def test_who_was_not_known_yet_has_no_values() -> None:
    _, X = values_of(ROWS + LATER, ["late", "a", "nobody"])
    assert np.isnan(X[[0, 2]]).all()
    assert not np.isnan(X[1]).all()
    assert not np.isinf(X).any()


def test_a_log_of_another_shop_is_refused() -> None:
    with pytest.raises(DataRefusedError, match="none of the 2 customers is in the log"):
        values_of(ROWS, ["x", "y"])
