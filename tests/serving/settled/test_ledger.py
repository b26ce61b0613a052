"""The ledger of settled runs: an edited, missing or added row shows; what came is counted right."""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from stagecast.features.errors import DataRefusedError
from stagecast.features.events import from_frame
from stagecast.serving.settled.ledger import append, entries
from stagecast.serving.settled.settle import settle_due
from stagecast.serving.settled.settlement import Said, settlement
from stagecast.serving.store.plan_tables import settled
from tests.serving import published

AS_OF = published.AS_OF
DAY = timedelta(days=1)


def said(**columns):
    usual = {
        "state": ["active", "active", "lapsed", "prospect"],
        "stage": ["loyal", "new", "lost", "prospect"],
        "churn_band": ["high", "low", None, None],
        "method": ["blend", "blend", "btyd", "rule"],
        "p_inactive": [0.75, 0.25, 0.9, np.nan],
        "expected_orders": [1.0, 2.0, 0.1, np.nan],
        "expected_spend": [10.0, 20.0, 1.0, np.nan],
    }
    return Said(**{name: np.array(values) for name, values in (usual | columns).items()})


def settled_by_hand(kept=None):
    return settlement(
        said(
            state=np.array(["active", "active", "lapsed", "prospect"], dtype=object),
            churn_band=np.array(["high", "low", None, None], dtype=object),
        ),
        np.array([0.0, 3.0, 1.0, 0.0]),
        np.array([0.0, 45.0, 5.0, 0.0]),
        as_of="1998-01-01",
        horizon_days=90,
        model_version="m",
        customers=5,
        kept=kept,
    )


def test_a_row_says_what_its_probabilities_are_of():
    assert settled_by_hand().churn == "inactivity"
    kept = np.array([True, False, True, True])
    assert settled_by_hand(kept).to_json()["churn"] == "cancellation"


def test_what_was_said_and_what_came_by_hand():
    result = settled_by_hand()
    assert result.missing == 1
    assert (result.active.customers, result.active.said_to_leave, result.active.left) == (2, 1, 1)
    assert (result.active.spend_said, result.active.spend) == (30.0, 45.0)
    assert set(result.by_band) == {"high", "low"}
    assert (result.by_band["high"].left, result.by_band["low"].left) == (1, 0)
    assert result.by_stage["lost"].orders == 1
    # (0.75 - 1)^2 and (0.25 - 0)^2
    assert result.brier == pytest.approx(0.0625)


@pytest.fixture
def store(tmp_path):
    store = published.open_store(tmp_path)
    with store.engine.begin() as connection:
        for run_id in (1, 2, 3):
            append(connection, run_id, settled_by_hand())
    yield store
    store.close()


def test_a_ledger_that_nobody_touched_is_read(store):
    with store.engine.connect() as connection:
        rows = entries(connection)
    assert [row.run_id for row in rows] == [1, 2, 3]
    assert len({row.hash for row in rows}) == 3
    assert rows[0].result == json.loads(json.dumps(settled_by_hand().to_json()))


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE settled SET body = replace(body, '45.0', '46.0') WHERE id = 2",
        "UPDATE settled SET run_id = 9 WHERE id = 2",
        "DELETE FROM settled WHERE id = 1",
        "DELETE FROM settled WHERE id = 2",
        "UPDATE settled SET hash = previous_hash WHERE id = 3",
        "UPDATE settled SET id = id + 10 WHERE id = 1",
        "INSERT INTO settled SELECT 4, 4, settled_at, body, hash, hash FROM settled WHERE id = 3",
    ],
)
def test_an_edited_row_shows(store, edit):
    with store.engine.begin() as connection:
        connection.execute(sa.text(edit))
        with pytest.raises(DataRefusedError, match="ledger of settled runs"):
            entries(connection)


def test_a_run_is_settled_once(store):
    with pytest.raises(sa.exc.IntegrityError), store.engine.begin() as connection:
        append(connection, 2, settled_by_hand())
    with store.engine.connect() as connection:
        assert len(entries(connection)) == 3


def log_of(rows):
    frame = pd.DataFrame(rows, columns=["customer_id", "timestamp", "amount"])
    return from_frame(frame)


def a_shop(*later):
    first = [(f"c{k:04d}", AS_OF - 30 * DAY, 10.0) for k in range(10)]
    return log_of([*first, *later, ("other", AS_OF + 200 * DAY, 1.0)])


@pytest.fixture
def open_run(tmp_path):
    store = published.open_store(tmp_path, published.scores(10))
    yield store
    store.close()


def test_a_run_whose_horizon_is_over_is_settled_from_the_log(open_run):
    orders = [
        ("c0001", AS_OF + DAY, 7.0),
        ("c0001", AS_OF + 89 * DAY, 5.0),
        ("c0002", AS_OF + 90 * DAY, 3.0),  # the horizon is over
    ]
    with a_shop(*orders) as log:
        assert settle_due(open_run.engine, log, AS_OF + 89 * DAY) == []
        (entry,) = settle_due(open_run.engine, log, AS_OF + 90 * DAY)
        assert settle_due(open_run.engine, log, AS_OF + 90 * DAY) == []
    groups = entry.result["by_stage"].values()
    assert sum(group["orders"] for group in groups) == 2
    assert sum(group["spend"] or 0 for group in groups) == 12.0
    assert entry.result["missing"] == 0


def test_a_log_that_begins_after_the_scores_settles_nothing(open_run):
    with log_of([("c0001", AS_OF + DAY, 1.0), ("c0001", AS_OF + 99 * DAY, 1.0)]) as log:
        assert settle_due(open_run.engine, log, AS_OF + 95 * DAY) == []


def test_a_log_of_another_shop_settles_nothing(open_run):
    rows = [("stranger", AS_OF - DAY, 1.0), ("stranger", AS_OF + 99 * DAY, 1.0)]
    with log_of(rows) as log:
        assert settle_due(open_run.engine, log, AS_OF + 95 * DAY) == []


def test_a_row_of_the_ledger_names_no_customer(open_run):
    with a_shop(("c0001", AS_OF + DAY, 7.0)) as log:
        settle_due(open_run.engine, log, AS_OF + 95 * DAY)
    with open_run.engine.connect() as connection:
        (body,) = connection.scalars(sa.select(settled.c.body))
    assert "c00" not in body


def test_contracts_are_settled_by_who_cancelled():
    of_contracts = settlement(
        said(),
        np.array([2.0, 0.0, 1.0, 0.0]),
        None,
        as_of="1998-01-01",
        horizon_days=90,
        model_version="m",
        customers=4,
        kept=np.array([False, True, True, True]),
    )
    # the first paid and cancelled, the second did not pay and stayed; the lapsed one ordered
    assert (of_contracts.active.left, of_contracts.by_stage["lost"].left) == (1, 0)
    assert of_contracts.brier == pytest.approx((0.25**2 + 0.25**2) / 2)
    assert of_contracts.spread is None


def test_the_newest_rows_are_checked_against_the_one_before(tmp_path):
    store = published.open_store(tmp_path)
    with store.engine.begin() as connection:
        for run_id in (1, 2, 3, 4):
            append(connection, run_id, settled_by_hand())
        assert [entry.run_id for entry in entries(connection, 2)] == [3, 4]
        assert len(entries(connection, 9)) == 4
        connection.execute(settled.update().where(settled.c.run_id == 3).values(body="{}"))
        with pytest.raises(DataRefusedError, match="row 3 of the ledger"):
            entries(connection, 2)
    store.close()
