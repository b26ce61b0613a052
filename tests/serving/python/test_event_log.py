"""The log of the Python API: what it reads, and the frames that it gives."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import stagecast as sc
from stagecast.features.errors import UsageError
from tests.serving.calling import Stagecast
from tests.serving.conftest import stagecast  # noqa: F401
from tests.training.made import frame_of, simulated_rows

ORDERS = pd.DataFrame(
    {
        "Customer ID": [17850, 17850, 13047, 13047],
        "InvoiceDate": ["2010-12-01", "2011-01-07", "2010-12-01", "never"],
        "Quantity": [6, 2, 1, 1],
        "Price": [2.5, 3.0, 8.0, 8.0],
    }
)
MAPPED = {"customer": "Customer ID", "time": "InvoiceDate", "amount": "Quantity * Price"}


def sources(folder: Path) -> dict[str, object]:
    """Return the same orders in every form."""
    file, parts = folder / "orders.csv", folder / "parts"
    parts.mkdir()
    ORDERS.to_csv(file, index=False)
    ORDERS[:2].to_csv(parts / "1.csv", index=False)
    ORDERS[2:].to_csv(parts / "2.csv", index=False)
    return {
        "pandas": ORDERS,
        "a stream, as polars gives one": pa.Table.from_pandas(ORDERS).to_reader(),
        "arrow": pa.Table.from_pandas(ORDERS, preserve_index=False),
        "path": file,
        "glob": f"{parts}/*.csv",
        "frames": [ORDERS[:2], ORDERS[2:]],
    }


@pytest.mark.slow
def test_orders_are_the_same_log_in_every_form(tmp_path: Path) -> None:
    histories = {}
    for name, source in sources(tmp_path).items():
        with sc.read_events(source, **MAPPED) as log:  # type: ignore[arg-type]
            assert repr(log).startswith("EventLog(3 events of 2 customers"), name
            histories[name] = (log.history(17850), log.rejected()["reason"].tolist())
    first, reasons = histories["pandas"]
    assert first["amount"].tolist() == [15.0, 6.0]
    assert reasons == ["unreadable_time"]
    for name, (history, other) in histories.items():
        pd.testing.assert_frame_equal(history, first, obj=name)
        assert other == reasons, name


def test_a_rejected_row_says_where_it_stands_and_what_it_held() -> None:
    with sc.read_events(ORDERS, **MAPPED) as log:  # type: ignore[arg-type]
        (row,) = log.rejected().to_dict("records")
    assert (row["line"], row["column"], row["value"]) == (4, "InvoiceDate", "never")
    assert "17850" not in row["raw"]
    assert "13047" in row["raw"]


def test_a_mistyped_column_of_two_words_is_named_with_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"'Customer Id' is neither .* Did you mean 'Customer ID'"):
        sc.read_events(ORDERS, **{**MAPPED, "customer": "Customer Id"})  # type: ignore[arg-type]


def test_a_feature_of_ones_own_is_a_column_of_features_and_of_panels(log: sc.EventLog) -> None:
    @sc.feature(unit="ratio")
    def trend(f):  # type: ignore[no-untyped-def]
        return f.spend_90d / f.spend_prev_90d

    date = log.last_event - pd.Timedelta("100d")
    table = log.features(date, features=[trend])
    assert table.columns[-1] == "trend"
    expected = table["spend_90d"] / table["spend_prev_90d"].where(table["spend_prev_90d"] != 0)
    pd.testing.assert_series_equal(table["trend"], expected, check_names=False)
    of_panel = log.snapshots(date, features=[trend]).X["trend"].droplevel("as_of")
    pd.testing.assert_series_equal(of_panel, table["trend"].loc[of_panel.index])
    assert {*table.columns} - {*sc.catalog().index} == {"trend"}
    with pytest.raises(UsageError, match=r"put @sc\.feature\(unit='ratio'\) above the function"):
        sc.feature(lambda f: f.orders)


def test_a_log_goes_into_customer_base_models_with_the_days_of_the_shop() -> None:
    times = ["2024-06-01 23:30", "2024-06-03 01:00", "2024-06-03 02:00"]
    rows = pd.DataFrame({"customer_id": "a", "timestamp": times, "amount": [1.0, 2.0, 3.0]})
    with sc.read_events(rows, zone="America/New_York") as log:
        summary = sc.purchase_summary(log, "2024-06-11", amount="amount")
        features = log.features("2024-06-11")
    assert summary[["frequency", "t_x_days", "T_days", "monetary"]].loc["a"].tolist() == [
        1.0,
        2.0,
        10.0,
        5.0,
    ]
    for name in ("frequency", "t_x_days", "T_days"):
        assert features.loc["a", name] == summary.loc["a", name]


@pytest.mark.slow
@pytest.mark.parametrize(
    "table",
    [
        lambda log, at: log.features(at),
        lambda log, at: log.stages(at),
        lambda log, at: log.spells(at),
        lambda log, at: log.flows(at),
        lambda log, at: sc.purchase_summary(log, at),
        lambda log, at: sc.plot.customer(
            sc.BetaGeo().fit(log.features()), log, at, customer_id="c00001"
        ),
    ],
    ids=["features", "stages", "spells", "flows", "purchase_summary", "plot.customer"],
)
def test_a_date_a_year_after_the_log_is_told_where_it_was_written(
    table: Callable[[sc.EventLog, pd.Timestamp], object], log: sc.EventLog
) -> None:
    last = pd.Timestamp(log.last_event).normalize()
    with pytest.warns(UserWarning, match="newer events are missing, or as_of should be") as told:
        table(log, last + pd.Timedelta("400D"))
    assert [Path(warning.filename).name for warning in told] == [Path(__file__).name]
    table(log, last + pd.Timedelta("300D"))  # warnings are errors here


def test_features_and_stages_are_those_of_the_commands(
    stagecast: Stagecast,  # noqa: F811
    tmp_path: Path,
) -> None:
    frame_of(simulated_rows(60, 300, seed=4)).to_csv("log.csv", index=False)
    at = ("--as-of", "2020-08-01")
    for command in ("features", "stages"):
        done = stagecast(command, "log.csv", *at, "--out", f"{command}.parquet")
        assert done.code == 0, done.err
    with sc.read_events("log.csv") as log:
        for name, ours in (
            ("features", log.features("2020-08-01")),
            ("stages", log.stages("2020-08-01")),
        ):
            written = pd.read_parquet(tmp_path / f"{name}.parquet").set_index("customer_id")
            pd.testing.assert_frame_equal(ours, written[list(ours.columns)], check_exact=True)


def test_days_are_those_of_the_zone() -> None:
    rows = pd.DataFrame({"customer_id": ["a"], "timestamp": ["2024-06-01 23:30"], "amount": 1.0})
    with sc.read_events(rows, zone="America/New_York") as log:
        assert log.history("a")["timestamp"][0] == pd.Timestamp("2024-06-02 03:30", tz="UTC")
        # an order of the first of June on the shop's clock, which is over at its midnight
        assert log.features("2024-06-02")["recency_days"].tolist() == [1.0]


def test_a_check_is_short_and_says_what_can_be_learned(log: sc.EventLog) -> None:
    check = log.check(horizon="90d", as_of="2021-12-31")
    assert len(repr(check).splitlines()) <= 12
    assert check.summary.loc["method blend", "possible"]
    assert check.report.rows_loaded == log.report.rows_loaded
    assert check._repr_html_().count("<table") == 2
    assert f"{log.report.customers:,}" in log._repr_html_()
    assert not log.check(horizon="700d", as_of="2021-12-31").readiness["evaluation"].allowed


def test_a_log_says_when_it_is_closed_and_leaves_nothing(tmp_path: Path) -> None:
    log = sc.read_events(ORDERS, **MAPPED, temp_dir=tmp_path)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="cannot be copied"):
        copy.copy(log)
    log.close()
    assert "closed" in repr(log)
    assert not list(tmp_path.iterdir())


def test_an_options_object_and_keywords_are_not_mixed() -> None:
    from stagecast.features.events import ReadOptions

    with pytest.raises(UsageError, match="options and keywords"):
        sc.read_events(ORDERS, ReadOptions(), zone="Europe/London", **MAPPED)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="both paths and tables"):
        sc.read_events([ORDERS, "orders.csv"])


def test_the_public_names_are_imported_on_first_use() -> None:
    assert {"EventLog", "Lifecycle", "Panel", "load", "read_events"} <= set(sc.__all__)
    for name in sc.__all__:
        assert getattr(sc, name) is not None
