"""Tables, ids and logs as notebooks hold them: with gaps, of other libraries, closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import stagecast as sc
from stagecast.features.errors import DataRefusedError, StagecastError, UsageError
from tests.serving import published

ROWS = pd.DataFrame(
    {
        "customer_id": [17, 17, 21, 35],
        "timestamp": pd.to_datetime(["2024-01-01", "2024-02-01", "2024-02-03", "2024-02-05"]),
        "amount": [1.0, 2.0, 3.0, 4.0],
    }
)
TABLES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "arrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
}


def numbered() -> pd.DataFrame:
    scores = published.scores(60).to_pandas()
    scores["customer_id"] = [1310.0 + k for k in range(len(scores))]
    return scores


def counted(plan: sc.Plan, **columns: Any) -> pd.DataFrame:
    ids = [float(name) for name in (*plan.contacts.index, *plan.holdout.index)]
    return pd.DataFrame({"customer_id": ids, "orders": 1.0, "spend": 2.0} | columns)


@pytest.mark.parametrize("library", TABLES)
def test_ids_as_floats_are_those_of_the_scores_and_of_the_outcomes(library: str) -> None:
    of = TABLES[library]
    plan = sc.plan(of(numbered()), holdout="20%", seed=1)
    assert "1310" in {*plan.contacts.index, *plan.holdout.index}
    assert (
        plan.digest == sc.plan(numbered().astype({"customer_id": int}), holdout=0.2, seed=1).digest
    )
    assert plan.readout(of(counted(plan))).observed.orders.sum() == len(plan)


@pytest.mark.parametrize("orders", [float("nan"), 0.5, -1.0, float("inf"), "many", None])
def test_orders_of_a_readout_are_whole_numbers(orders: Any) -> None:
    plan = sc.plan(numbered(), holdout=0.2)
    with pytest.raises(DataRefusedError, match=r"customer '\d+'.*"):
        plan.readout(counted(plan, orders=orders))


@pytest.mark.parametrize("library", TABLES)
def test_a_table_of_customers_is_read_as_its_file_is(library: str, tmp_path: Any) -> None:
    customers = pd.DataFrame({"customer_id": [17.0, 21.0], "channel": ["shop", "web"]})
    customers.astype({"customer_id": int}).to_csv(tmp_path / "customers.csv", index=False)
    query = "select * from attributes order by customer_id"
    with sc.read_events(ROWS, customers=str(tmp_path / "customers.csv")) as of_file:
        expected = of_file.con.sql(query).fetchall()
    with sc.read_events(ROWS, customers=TABLES[library](customers)) as log:
        assert log.con.sql(query).fetchall() == expected
    with sc.read_events(ROWS, customers=customers.set_index("customer_id")) as log:
        assert log.con.sql(query).fetchall() == expected


def test_days_as_periods_are_their_starts_and_longer_periods_are_refused() -> None:
    days = ROWS.assign(timestamp=ROWS["timestamp"].dt.to_period("D"))
    with sc.read_events(days) as log, sc.read_events(ROWS) as expected:
        assert log.history(17).equals(expected.history("17"))
    pd.testing.assert_frame_equal(sc.purchase_summary(days), sc.purchase_summary(ROWS))
    months = ROWS.assign(timestamp=ROWS["timestamp"].dt.to_period("M"))
    with pytest.raises(UsageError, match="column 'timestamp' has periods such as 2024-01"):
        sc.read_events(months)
    with pytest.raises(UsageError, match="purchases cannot be read"):
        sc.purchase_summary(months)


def test_a_closed_log_says_so() -> None:
    log = sc.read_events(ROWS)
    log.close()
    uses: tuple[Callable[[], object], ...] = (
        log.features,
        log.rejected,
        log.check,
        lambda: log.history(17),
        lambda: sc.Lifecycle(horizon="7d").fit(log),
        lambda: sc.purchase_summary(log),
    )
    for use in uses:
        with pytest.raises(UsageError, match=r"closed.* has no database any more; read the events"):
            use()


def test_a_model_of_rules_has_no_curve_and_says_why() -> None:
    with sc.read_events(ROWS) as log:
        model = sc.Lifecycle(horizon="7d").fit(log)
        for draw in (
            lambda: sc.plot.customer(model, log, customer_id=17),
            lambda: sc.plot.tracking(model, log),
            lambda: sc.plot.alive_matrix(model),
        ):
            with pytest.raises(UsageError, match=r"no customer-base model .*its method is 'rule'"):
                draw()


def test_a_column_alone_is_no_table() -> None:
    column = pl.Series([1, 2])
    for call in (lambda: sc.read_events(column), lambda: sc.purchase_summary(column)):
        with pytest.raises(UsageError, match="able"):
            call()
    with pytest.raises(UsageError, match=r"an event log is a pandas.* table, not a Series"):
        sc.read_events(column)


def test_a_column_that_no_log_can_hold_is_named() -> None:
    with pytest.raises(UsageError, match="column 'amount' is of type complex128, which an event"):
        sc.read_events(ROWS.assign(amount=1j))


@pytest.mark.parametrize("wanted", ["1003.0", "01003", 1003.0])
def test_an_id_that_was_taken_for_a_number_is_proposed_as_the_log_has_it(wanted: object) -> None:
    ids = [str(1000 + k) for k in range(100)]
    with sc.read_events(pd.DataFrame({"customer_id": ids, "timestamp": "2024-01-01"})) as log:
        if isinstance(wanted, float):
            assert len(log.history(wanted)) == 1
        else:
            with pytest.raises(UsageError, match=r"is no customer of the log. Did you mean '1003'"):
                log.history(wanted)
    with (
        sc.read_events(
            pd.DataFrame({"customer_id": ["00004", "00014"], "timestamp": "2024-01-01"})
        ) as log,
        pytest.raises(UsageError, match="Did you mean '00004'"),
    ):
        log.history(4)


def test_a_lazy_table_is_to_be_collected() -> None:
    lazy = pl.from_pandas(ROWS).lazy()
    with pytest.raises(StagecastError, match=r"call collect\(\) first"):
        sc.purchase_summary(lazy)
    with pytest.raises(StagecastError, match=r"call collect\(\) first"):
        sc.plan(numbered(), holdout=0.2, do_not_contact=lazy)
