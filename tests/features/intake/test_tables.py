"""Several tables as one log: mappings, look-ups, the sum of the counts, and attributes."""

from __future__ import annotations

import tomllib
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.events import (
    CustomersTable,
    EventLog,
    EventMapping,
    ReadOptions,
    read_events,
    read_tables,
)
from stagecast.features.intake.tables import parse_tables

CHAIN = """
[[tables]]
source = "payments.csv"
customer = "person"
time = "paid"
amount = "eur"
decimal = ","
[[tables.lookups]]
source = "contracts.csv"
on = "contract"
key = "id"
columns = ["account"]
[[tables.lookups]]
source = "people.csv"
on = "account"
columns = ["person"]
"""
CONFIG = """
[[tables]]
source = "accounts.csv"
customer = "account"
time = "signed"
time_format = "%d-%m-%Y"
event = "'signup'"
channel = "found"

[[tables]]
source = "payments.csv"
time = "paid"
amount = "eur"
decimal = ","
customer = "account"
[[tables.lookups]]
source = "contracts.csv"
on = "contract"
key = "id"
columns = ["account"]

[[tables]]
source = "payments.csv"
time = "paid"
event = "'refund'"
amount = "back"
decimal = ","
customer = "account"
where = "back > 0"
[[tables.lookups]]
source = "contracts.csv"
on = "contract"
key = "id"
columns = ["account"]
"""
FILES = {
    "accounts.csv": "account,signed,found\na,31-12-2024,web\nb,01-02-2025,shop\n",
    "payments.csv": 'contract;paid;eur;back\n1;2025-03-01;"9,50";\n'
    "2;2025-03-02;20;5\n3;2025-03-03;7;\n",
    "contracts.csv": "id,account\n1,a\n2,b\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def load(folder: Path, config: str = CONFIG, **options: Any) -> EventLog:
    read_options = ReadOptions(**options)
    tables = parse_tables(tomllib.loads(config)["tables"], read_options, folder)
    return read_tables(tables, read_options)


def test_tables_become_events_of_their_types_with_customers_looked_up(folder: Path) -> None:
    with load(folder) as log:
        events = log.con.execute(
            'SELECT customer_id, "timestamp", event, amount, channel FROM events'
        ).fetchall()
        report, rejected = log.report, log.rejected().to_pylist()
    assert events == [
        ("a", datetime(2024, 12, 31), "signup", None, "web"),
        ("a", datetime(2025, 3, 1), "purchase", Decimal("9.5"), None),
        ("b", datetime(2025, 2, 1), "signup", None, "shop"),
        ("b", datetime(2025, 3, 2), "purchase", Decimal(20), None),
        ("b", datetime(2025, 3, 2), "refund", Decimal(5), None),
    ]
    assert report.rows_in == 6 == report.rows_loaded + report.rows_rejected + report.rows_duplicate
    assert report.rows_skipped == 2
    assert [
        (row["line"], row["reason"], row["reasons"], row["column"], row["value"])
        for row in rejected
    ] == [(4, "no_match", ["no_match", "missing_customer"], "contract", "3")]
    assert [source["rows_in"] for source in report.sources] == [2, 3, 1]


def test_a_look_up_may_begin_at_a_column_that_was_looked_up(folder: Path) -> None:
    (folder / "people.csv").write_text("account,person\na,p\n", "utf-8")
    with load(folder, CHAIN) as log:
        assert log.con.execute("SELECT customer_id, amount FROM events").fetchall() == [
            ("p", Decimal("9.5"))
        ]
        rejected = log.rejected().to_pylist()
    assert [(row["line"], row["reason"], row["column"], row["value"]) for row in rejected] == [
        (3, "no_match", "account", "b"),
        (4, "no_match", "contract", "3"),
    ]


def test_the_same_row_in_two_tables_is_two_events_and_within_one_is_one(folder: Path) -> None:
    config = (
        CONFIG + '\n[[tables]]\nsource = "accounts.csv"\ncustomer = "account"\ntime = "signed"\n'
    )
    config += 'time_format = "%d-%m-%Y"\nevent = "\'welcome\'"\n'
    (folder / "accounts.csv").write_text(FILES["accounts.csv"] + "a,31-12-2024,web\n", "utf-8")
    with load(folder, config) as log:
        assert log.report.event_types == {"purchase": 2, "signup": 2, "welcome": 2, "refund": 1}
        assert log.report.duplicates == {"same_row": 2}


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (
            ('on = "contract"', 'on = "contrct"'),
            DataRefusedError,
            ["Did you mean 'contract'", "payments.csv"],
        ),
        (('key = "id"', 'key = "ID"'), DataRefusedError, ["contracts.csv", "'ID'"]),
        (('columns = ["account"]', 'columns = ["paid"]'), UsageError, ["'paid'", "of its own"]),
        (
            ('columns = ["account"]', 'columns = "account"'),
            UsageError,
            ["tables 2, lookups 1", "list"],
        ),
        (('decimal = ","', 'decimal = ";"'), UsageError, ["tables 2", "--decimal"]),
        (('decimal = ","', 'decimel = ","'), UsageError, ["tables 2", "Did you mean 'decimal'"]),
        (('source = "accounts.csv"', "source = 7"), UsageError, ["tables 1", "source"]),
        (
            ('source = "accounts.csv"', 'source = "gone.csv"'),
            UsageError,
            ["gone.csv", "does not exist"],
        ),
        (("where = \"back > 0\"", "where = \"back >\""), UsageError, ["--where"]),
        (('time = "signed"', "time = 3"), UsageError, ["tables 1: time", "3"]),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_wrong_with_a_table_is_named(
    folder: Path, change: tuple[str, str], error: type[Exception], words: list[str]
) -> None:
    with pytest.raises(error) as error_info:
        load(folder, CONFIG.replace(*change))
    for word in words:
        assert word in str(error_info.value)


def test_a_key_that_stands_twice_with_different_values_cannot_be_looked_up(folder: Path) -> None:
    (folder / "contracts.csv").write_text("id,account\n1,a\n2,b\n1,a\n", "utf-8")
    with load(folder) as log:
        assert log.report.rows_loaded == 5
    (folder / "contracts.csv").write_text("id,account\n1,a\n2,b\n1,b\n", "utf-8")
    with pytest.raises(DataRefusedError, match=r"id '1' stands there 2 times"):
        load(folder)
    (folder / "contracts.csv").write_text("id,account\n1,a\n2\n", "utf-8")
    with pytest.raises(DataRefusedError, match=r"contracts.csv, line 3: 1 fields"):
        load(folder)


def test_purchases_with_amounts_and_purchases_without_do_not_mix(folder: Path) -> None:
    config = (
        CONFIG + '\n[[tables]]\nsource = "accounts.csv"\ncustomer = "account"\ntime = "signed"\n'
    )
    with pytest.raises(DataRefusedError, match="2 purchases have no amount"):
        load(folder, config + 'time_format = "%d-%m-%Y"\n')


def customers(
    folder: Path, text: str, **options: Any
) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    (folder / "customers.csv").write_text(text, "utf-8")
    (folder / "log.csv").write_text("customer_id,timestamp\na,2025-01-01\nb,2025-01-01\n", "utf-8")
    table = CustomersTable(str(folder / "customers.csv"), **options)
    with read_events(folder / "log.csv", customers=table) as log:
        rows = log.con.execute("SELECT * FROM attributes").fetchall()
        report = log.report.customers_table
    assert report is not None
    assert (
        report["rows_in"]
        == report["rows_loaded"] + report["rows_rejected"] + report["rows_duplicate"]
    )
    assert report["rows_loaded"] == len(rows)
    return rows, report


def test_attributes_have_declared_types_and_are_counted(folder: Path) -> None:
    text = (
        "customer_id,channel,acquisition_cost,consent,seats,code\n"
        "b,web,12.5,yes,3,007\na,,,N,,\nz,shop,0,1,9,x\nb,web,12.5,yes,3,007\n"
    )
    rows, report = customers(folder, text, numbers=("seats",))
    assert rows == [
        ("a", None, None, False, None, None),
        ("b", "web", 12.5, True, 3.0, "007"),
        ("z", "shop", 0.0, True, 9.0, "x"),
    ]
    assert report["columns"] == {
        "channel": "category",
        "acquisition_cost": "number",
        "consent": "flag",
        "seats": "number",
        "code": "category",
    }
    assert (report["rows_duplicate"], report["without_events"], report["without_attributes"]) == (
        1,
        1,
        0,
    )


def test_a_row_of_customers_that_cannot_be_read_is_refused_with_its_place(folder: Path) -> None:
    head = "customer_id,consent,acquisition_cost\n"
    text = head + "a,yes,1\n,no,1\nb,perhaps,1\nc,no,much\na,no,1\nd,no\n"
    rows, report = customers(folder, text)
    assert rows == [("a", True, 1.0)]
    assert {
        reason: (rejected["rows"], rejected["examples"][0]["line"])
        for reason, rejected in report["rejected"].items()
    } == {
        "conflicting_customer": (1, 6),
        "malformed_line": (1, 7),
        "missing_customer": (1, 3),
        "unreadable_flag": (1, 4),
        "unreadable_number": (1, 5),
    }
    with pytest.raises(DataRefusedError, match="'spend'"):
        customers(folder, text, numbers=("spend",))


def test_ids_of_customers_take_the_form_of_the_log(folder: Path) -> None:
    rows, report = customers(folder, "customer_id,segment\na.0,x\n")
    assert rows == [("a.0", "x")]
    assert report["without_attributes"] == 2
    (folder / "log2.csv").write_text("customer_id,timestamp\n17850.0,2025-01-01\n", "utf-8")
    (folder / "c2.csv").write_text("id,segment\n17850.0,x\n17851.0,y\n", "utf-8")
    with read_events(
        folder / "log2.csv", customers=CustomersTable(str(folder / "c2.csv"), "id")
    ) as log:
        assert log.con.execute("SELECT customer_id FROM attributes").fetchall() == [
            ("17850",),
            ("17851",),
        ]


def test_a_column_of_one_table_has_no_rule_in_another(folder: Path) -> None:
    with pytest.raises(DataRefusedError, match="--flag big"):
        load(folder, CONFIG, flag={"big": "eur > 10"})
    with load(
        folder, CONFIG.replace('amount = "eur"', 'amount = "eur"\nflag = {big = "eur > 10"}')
    ) as log:
        assert log.report.flags["big"]["rows"] == 1
    assert EventMapping(product="sku").product == "sku"
