"""Each preset reads a made-up export of its vendor: customers, money, refunds, states, currency."""

from __future__ import annotations

from pathlib import Path

import pytest

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.events import (
    EventMapping,
    ReadOptions,
    from_frame,
    read_events,
    read_tables,
)
from stagecast.features.intake.presets import PRESETS, fitting_presets
from stagecast.features.intake.tables import parse_tables
from tests.features.intake.exports import EXPORTS

pytestmark = pytest.mark.slow


def test_every_preset_has_an_export() -> None:
    assert set(EXPORTS) == set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_reads_the_export_of_its_vendor(name: str, tmp_path: Path) -> None:
    export = EXPORTS[name]()
    path = export.write(tmp_path)
    with read_events(path, ReadOptions(preset=name)) as log:
        report = log.report
        spend = log.con.execute(
            "SELECT customer_id, sum(amount) FROM events GROUP BY 1 HAVING sum(amount) IS NOT NULL"
        ).fetchall()
    assert {customer: float(money) for customer, money in spend} == pytest.approx(export.spend)
    assert report.rows_loaded == export.events
    assert report.rows_rejected == 0
    assert report.currency == export.currency
    assert report.preset is not None
    assert report.preset["name"] == name
    assert report.to_json()["preset"]["columns"]["customer"]


@pytest.mark.parametrize("name", [name for name in PRESETS if not PRESETS[name].beside])
def test_frames_and_files_behave_alike(name: str) -> None:
    export = EXPORTS[name]()
    frame = export.frame.replace("", None)
    with from_frame(frame, ReadOptions(preset=name)) as log:
        assert log.report.rows_loaded == export.events


@pytest.mark.parametrize("name", PRESETS)
def test_an_export_is_known_by_its_columns(name: str) -> None:
    assert fitting_presets(list(EXPORTS[name]().frame.columns)) == [name]


@pytest.mark.parametrize("name", PRESETS)
def test_another_table_is_refused_with_what_it_lacks(name: str) -> None:
    other = "hubspot" if name == "stripe" else "stripe"
    with pytest.raises(DataRefusedError, match=f"it lacks .*Leave --preset {name} out"):
        from_frame(EXPORTS[other]().frame, ReadOptions(preset=name))


def test_what_the_user_declares_takes_the_place_of_the_preset() -> None:
    frame = EXPORTS["shopify"]().frame
    options = ReadOptions(
        preset="shopify", mapping=EventMapping(customer="Id"), where="Email LIKE 'cy%'"
    )
    with from_frame(frame, options) as log:
        assert log.report.rows_loaded == 1
        assert log.report.columns["customer"] == "Id"
        assert log.report.columns["time"] == "Created at"
        assert log.con.execute("SELECT customer_id FROM events").fetchall() == [("7417",)]


def test_states_of_another_language_are_named() -> None:
    frame = EXPORTS["hubspot"]().frame
    frame["Deal Stage"] = "Cierre ganado"
    refusal = "holds for none of 5 rows: of its rows --preset hubspot reads .*leave the preset out"
    with pytest.raises(DataRefusedError, match=refusal):
        from_frame(frame, ReadOptions(preset="hubspot"))


def test_optional_columns_may_be_missing() -> None:
    frame = EXPORTS["shopify"]().frame.drop(
        columns=["Refunded Amount", "Cancelled at", "Source", "Discount Amount"]
    )
    with from_frame(frame, ReadOptions(preset="shopify")) as log:
        assert log.report.rows_loaded == 4
        assert log.report.columns["amount"] == "Total"


def test_a_table_of_the_configuration_may_have_a_preset(tmp_path: Path) -> None:
    EXPORTS["hubspot"]().frame.to_csv(tmp_path / "deals.csv", index=False)
    EXPORTS["stripe"]().frame.to_csv(tmp_path / "payments.csv", index=False)
    entries = [
        {"source": "deals.csv", "preset": "hubspot", "currency": "'USD'"},
        {"source": "payments.csv", "preset": "stripe"},
    ]
    with read_tables(parse_tables(entries, ReadOptions(), tmp_path)) as log:
        assert log.report.rows_loaded == 5


def test_a_file_that_a_preset_needs_beside_the_export_is_named(tmp_path: Path) -> None:
    export = EXPORTS["olist"]()
    path = export.write(tmp_path)
    (tmp_path / "olist_customers_dataset.csv").unlink()
    with pytest.raises(
        DataRefusedError, match=r"olist_customers_dataset\.csv, which is not beside"
    ):
        read_events(path, ReadOptions(preset="olist"))
    joined = export.frame.assign(
        customer_unique_id="u", order_purchase_timestamp="2017-10-02", order_status="delivered"
    ).assign(customer_id="c")
    with from_frame(joined, ReadOptions(preset="olist")) as log:
        assert log.report.rows_loaded == 4


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        UsageError, match=r"--preset 'shopfiy' is not one of .*Did you mean 'shopify'"
    ):
        ReadOptions(preset="shopfiy")
