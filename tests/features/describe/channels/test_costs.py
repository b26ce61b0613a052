"""Costs of acquisition: read from a table or from the log, spread over days."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.describe.channels.costs import Cost, Costs, costs_of_rows, logged_costs
from stagecast.features.errors import DataRefusedError
from stagecast.features.events import from_frame

DAY = DAY_MICROSECONDS
COSTS = Costs((Cost("ads", 0, 10, 100.0), Cost("ads", 5, 6, 7.0), Cost("shop", 0, 1, 3.0)))


def test_a_cost_is_spread_evenly_over_its_days_and_payments_add_up() -> None:
    assert COSTS.within("ads", 0, 5 * DAY) == 50.0
    assert COSTS.within("ads", 5 * DAY, 6 * DAY) == 17.0
    assert COSTS.within("ads", -9 * DAY, 99 * DAY) == 107.0


def test_days_without_a_payment_have_no_known_cost() -> None:
    assert COSTS.within("ads", 10 * DAY, 20 * DAY) is None
    assert COSTS.within("mail", 0, 20 * DAY) is None
    instants = np.array([0, 10 * DAY - 1, 10 * DAY])
    assert COSTS.covered("ads", instants).tolist() == [True, True, False]


def test_the_last_day_of_a_row_is_paid_for_too() -> None:
    row = {"campaign": " Spring ", "from": "2024-01-01", "to": "2024-01-31", "cost": "310"}
    (cost,) = costs_of_rows([row], "campaign", "spend.csv").rows
    assert (cost.group, cost.end - cost.start, cost.amount) == ("Spring", 31, 310.0)
    assert cost.start == (date(2024, 1, 1) - date(1970, 1, 1)).days


def test_a_row_without_a_last_day_is_of_one_day() -> None:
    (cost,) = costs_of_rows(
        [{"channel": "a", "from": "2024-01-01", "cost": 5}], "channel", "x"
    ).rows
    assert cost.end - cost.start == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"from": "01.02.2024"}, "row 2: from is '01.02.2024', no date; write it like 2024-01-31"),
        ({"to": "2023-01-01"}, "row 2: to 2023-01-01 is before from 2024-01-01"),
        ({"cost": "-1"}, "row 2: cost is '-1', no number from 0 on"),
        ({"cost": "nan"}, "row 2: cost is 'nan'"),
        ({"cost": "many"}, "row 2: cost is 'many'"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_with_its_place(
    change: dict[str, Any], message: str
) -> None:
    row = {"channel": "a", "from": "2024-01-01", "to": "2024-01-02", "cost": "5"} | change
    with pytest.raises(DataRefusedError, match=message.replace(".", r"\.")):
        costs_of_rows([row], "channel", "spend.csv")


def test_costs_in_the_log_are_summed_by_channel_and_day_and_end_at_the_as_of() -> None:
    frame = pd.DataFrame(
        {
            "customer_id": ["us"] * 4 + ["a"],
            "timestamp": pd.to_datetime(
                ["1970-01-03", "1970-01-03 12:00", "1970-01-04", "1970-02-01", "1970-01-03"],
                format="ISO8601",
            ),
            "event": ["ad_cost"] * 4 + ["purchase"],
            "channel": ["ads", "ads", None, "ads", "ads"],
            "amount": [5.0, 2.0, 1.0, 9.0, 30.0],
        }
    )
    with from_frame(frame) as log:
        costs = logged_costs(log.con, datetime(1970, 1, 20, tzinfo=UTC))
    assert costs.rows == (Cost("", 3, 4, 1.0), Cost("ads", 2, 3, 7.0))
