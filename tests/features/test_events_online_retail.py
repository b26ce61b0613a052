"""A real, dirty log as it is: UCI Online Retail II, where somebody has put it beside the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.events import EventMapping, ReadOptions, read_events

LOG = Path(__file__).parents[3] / "shared" / "data" / "online_retail_ii.parquet"


@pytest.mark.skipif(not LOG.exists(), reason=f"{LOG} is not here")
def test_online_retail_keeps_its_figures() -> None:
    mapping = EventMapping(customer="Customer ID", time="InvoiceDate", amount="Quantity * Price")
    with read_events(LOG, ReadOptions(mapping, negative_amounts="refund")) as log:
        report = log.report
        paying = log.con.execute(
            "SELECT count(DISTINCT customer_id) FROM events WHERE event = 'purchase' AND amount > 0"
        )
        assert paying.fetchall() == [(5_878,)]
    assert report.rejected_by_reason == {"missing_customer": 235_287}
    assert report.rows_in == 1_044_847 == report.rows_loaded + report.rows_rejected + report.rows_duplicate
    assert report.customers == 5_942
