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


def check(log: EventLog) -> list[dict[str, Any]]:
    """Compare a log read with :data:`RULES` with the figures of the set; return refused rows."""
    report = log.report
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
    rows: list[dict[str, Any]] = log.rejected().select(["line", "reason", "reasons"]).to_pylist()
    both = {"missing_customer", "price_not_positive"}
    assert any(row["reason"] == "missing_customer" and both <= set(row["reasons"]) for row in rows)
    return rows


def test_one_report_from_parquet_and_from_a_cyrillic_csv_with_decimal_commas(
    tmp_path: Path,
) -> None:
    options = ReadOptions(MAPPING, negative_amounts="refund", refuse=RULES)
    with read_events(LOG, options) as log:
        expected = check(log)
        events = log.con.sql("SELECT * FROM events").to_arrow_table()
        customers = log.report.customers
    path = tmp_path / "lines.csv"
    _write_csv(path)
    csv_options = ReadOptions(
        MAPPING, negative_amounts="refund", refuse=RULES, encoding="cp1251", decimal=","
    )
    with read_events(path, csv_options) as log:
        rows = check(log)
        assert any("in .0 and was read without it" in warning for warning in log.report.warnings)
        assert log.con.sql("SELECT * FROM events").to_arrow_table().equals(events)
        assert log.report.customers == customers
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


def _write_csv(path: Path) -> None:
    """Write the log as a Russian Excel does: cp1251, semicolons, decimal commas, ids as floats."""
    names = pq.read_schema(LOG).names
    with duckdb.connect() as con:
        columns = {name: f'"{name}"' for name in names}
        columns["Price"] = "replace(CAST(Price AS VARCHAR), '.', ',')"
        columns["Customer ID"] = "\"Customer ID\" || '.0'"
        selected = ", ".join(f'{sql} AS "{name}"' for name, sql in columns.items())
        utf8 = path.with_suffix(".utf8")
        con.execute(
            f"COPY (SELECT {selected} FROM read_parquet('{LOG}')) TO '{utf8}' (FORMAT csv, "
            "HEADER, DELIMITER ';')"
        )
    text = utf8.read_text("utf-8")
    path.write_bytes(text.encode("cp1251", "replace"))
