"""A real, dirty log: UCI Online Retail II, if the file is in a folder next to the repository.

Figures of the data set: 1,044,847 lines, 235,287 without a customer, 19,165 cancellations (the
invoice begins with C), 6,029 prices at or below zero, 5,942 customers, 5,878 of them with a
positive purchase.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from stagecast.features.events import EventLog, EventMapping, ReadOptions, read_events

LOG = Path(__file__).parents[3] / "shared" / "data" / "online_retail_ii.parquet"
MAPPING = EventMapping(customer="Customer ID", time="InvoiceDate", amount="Quantity * Price")
RULES = {"cancellation": "Invoice LIKE 'C%'", "price_not_positive": "Price <= 0"}

pytestmark = pytest.mark.skipif(not LOG.exists(), reason=f"{LOG} is not here")


def test_online_retail_keeps_its_figures() -> None:
    with read_events(LOG, ReadOptions(MAPPING, negative_amounts="refund")) as log:
        report = log.report
        paying = log.con.execute(
            "SELECT count(DISTINCT customer_id) FROM events WHERE event = 'purchase' AND amount > 0"
        )
        assert paying.fetchall() == [(5_878,)]
    assert report.rejected_by_reason == {"missing_customer": 235_287}
    assert (
        report.rows_in
        == 1_044_847
        == report.rows_loaded + report.rows_rejected + report.rows_duplicate
    )
    assert report.customers == 5_942


def test_rules_refuse_as_many_rows_as_the_set_has() -> None:
    with read_events(LOG, ReadOptions(MAPPING, negative_amounts="refund", refuse=RULES)) as log:
        report = log.report
        rows = refused(log)
    assert (
        report.rows_in
        == 1_044_847
        == report.rows_loaded + report.rows_rejected + report.rows_duplicate
    )
    assert report.rejected_by_any_reason == {
        "missing_customer": 235_287,
        "cancellation": 19_165,
        "price_not_positive": 6_029,
    }
    assert report.rejected_by_reason["missing_customer"] == 235_287
    assert sum(report.rejected_by_reason.values()) == report.rows_rejected
    both = {"missing_customer", "price_not_positive"}
    assert any(row["reason"] == "missing_customer" and both <= set(row["reasons"]) for row in rows)


def refused(log: EventLog) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = log.rejected().select(["line", "reason", "reasons"]).to_pylist()
    return rows


def test_one_report_from_parquet_and_from_a_cyrillic_csv_with_decimal_commas(
    tmp_path: Path,
) -> None:
    """Of every tenth invoice."""
    some, path = tmp_path / "some.parquet", tmp_path / "lines.csv"
    with duckdb.connect() as con:
        con.execute(
            f"COPY (SELECT * FROM read_parquet('{LOG}') WHERE hash(Invoice) % 10 = 0) TO '{some}'"
        )
    _write_csv(some, path)
    options = ReadOptions(MAPPING, negative_amounts="refund", refuse=RULES)
    with read_events(some, options) as log:
        expected, report = refused(log), log.report
        events = log.con.sql("SELECT * FROM events").to_arrow_table()
    assert report.rows_in > 90_000
    assert set(report.rejected_by_any_reason) == {"missing_customer", *RULES}
    csv_options = ReadOptions(
        MAPPING, negative_amounts="refund", refuse=RULES, encoding="cp1251", decimal=","
    )
    with read_events(path, csv_options) as log:
        rows = refused(log)
        assert any("in .0 and was read without it" in warning for warning in log.report.warnings)
        assert log.con.sql("SELECT * FROM events").to_arrow_table().equals(events)
        for name in ("customers", "rows_in", "rows_loaded", "rows_rejected", "rows_duplicate"):
            assert getattr(log.report, name) == getattr(report, name), name
        assert log.report.rejected_by_reason == report.rejected_by_reason
        assert log.report.rejected_by_any_reason == report.rejected_by_any_reason
    # the line of a row is its number in Parquet, and one more below the header of CSV
    assert [{**row, "line": row["line"] - 1} for row in rows] == expected


def test_cancellations_are_refunds_where_they_are_flagged_rather_than_refused() -> None:
    event = "CASE WHEN Invoice LIKE 'C%' THEN 'refund' ELSE 'purchase' END"
    mapping = EventMapping(
        customer="Customer ID", time="InvoiceDate", amount="Quantity * Price", event=event
    )
    options = ReadOptions(
        mapping,
        flag={"cancellation": RULES["cancellation"]},
        refuse={"free": RULES["price_not_positive"]},
    )
    with read_events(LOG, options) as log:
        report = log.report
    assert report.flags["cancellation"]["rows"] == 19_165
    assert report.rejected_by_any_reason["free"] == 6_029
    assert (
        report.event_types["refund"] + report.duplicates["same_row"]
        >= report.flags["cancellation"]["rows_not_refused"]
    )


def _write_csv(log: Path, path: Path) -> None:
    """Write a part of the log as a Russian Excel does: cp1251, semicolons, commas, float ids."""
    names = pq.read_schema(log).names
    with duckdb.connect() as con:
        columns = {name: f'"{name}"' for name in names}
        columns["Price"] = "replace(CAST(Price AS VARCHAR), '.', ',')"
        columns["Customer ID"] = "\"Customer ID\" || '.0'"
        selected = ", ".join(f'{sql} AS "{name}"' for name, sql in columns.items())
        utf8 = path.with_suffix(".utf8")
        con.execute(
            f"COPY (SELECT {selected} FROM read_parquet('{log}')) TO '{utf8}' (FORMAT csv, "
            "HEADER, DELIMITER ';')"
        )
    text = utf8.read_text("utf-8")
    path.write_bytes(text.encode("cp1251", "replace"))
