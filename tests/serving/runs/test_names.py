"""Names from the table of customers: of those who are scored, and of no use to a model."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.events import CustomersTable, read_events
from stagecast.features.intake.attributes import parse_customers
from stagecast.serving.runs.names import store_names
from stagecast.serving.store.names import names_of
from tests.serving import published

IDS = ["a", "b", "c", "d"]
EVENTS = """customer_id,timestamp,amount
a,2021-01-01,10
b,2021-01-02,5
c,2021-06-01,5
"""


def shop(tmp_path, head="name", **options):
    (tmp_path / "log.csv").write_text(EVENTS)
    rows = 'a,"<b>Ann, & co</b>"\nb,\nc,Cem\nd,Dan\n'
    (tmp_path / "people.csv").write_text(f"customer_id,{head}\n{rows}")
    table = CustomersTable(str(tmp_path / "people.csv"), **options)
    return read_events(tmp_path / "log.csv", customers=table)


@pytest.mark.parametrize("head", ["name", "Name"])
def test_names_of_customers_with_an_event_before_the_as_of_are_stored(tmp_path, head):
    store = published.open_store(tmp_path)
    with shop(tmp_path, head) as log:
        store_names(store.engine, log, datetime(2021, 2, 1, tzinfo=UTC))
    assert names_of(store.engine, IDS) == {"a": "<b>Ann, & co</b>"}
    store.close()


def test_without_a_column_of_names_nothing_is_stored(tmp_path):
    store = published.open_store(tmp_path)
    with shop(tmp_path, "surname") as log:
        store_names(store.engine, log, datetime(2022, 1, 1, tzinfo=UTC))
    assert names_of(store.engine, IDS) == {}
    store.close()


def test_no_model_learns_from_names(tmp_path):
    with pytest.raises(UsageError, match="no model learns from it"):
        shop(tmp_path, known_at_start=("name",))


def test_first_and_last_names_of_two_columns_are_one_name(tmp_path):
    (tmp_path / "log.csv").write_text(EVENTS)
    (tmp_path / "people.csv").write_text(
        "customer_id,First name,Last name,city\na,Ann,Lee,Rome\nb,,Roe,\nc, ,,Bern\n"
    )
    entry = {"source": "people.csv", "name": ["First name", "Last name"]}
    table = parse_customers(entry, tmp_path)
    store = published.open_store(tmp_path)
    with read_events(tmp_path / "log.csv", customers=table) as log:
        columns = log.report.customers_table["columns"]
        assert columns == {"city": "category", "name": "category"}
        store_names(store.engine, log, datetime(2022, 1, 1, tzinfo=UTC))
    assert names_of(store.engine, IDS) == {"a": "Ann Lee", "b": "Roe"}
    store.close()


def test_a_name_that_is_told_twice_is_refused(tmp_path):
    (tmp_path / "log.csv").write_text(EVENTS)
    (tmp_path / "people.csv").write_text("customer_id,name,Full name\na,A,Ann\n")
    entry = {"source": "people.csv", "name": "Full name"}
    with pytest.raises(UsageError, match="a column 'name' as well: leave it out"):
        read_events(tmp_path / "log.csv", customers=parse_customers(entry, tmp_path))


def test_a_name_of_a_column_that_is_missing_is_refused(tmp_path):
    (tmp_path / "log.csv").write_text(EVENTS)
    (tmp_path / "people.csv").write_text("customer_id,full_name\na,Ann\n")
    table = parse_customers({"source": "people.csv", "name": "fullname"}, tmp_path)
    with pytest.raises(DataRefusedError, match=r"no column 'fullname'.*full_name"):
        read_events(tmp_path / "log.csv", customers=table)
