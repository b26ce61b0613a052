"""Titles above the header: the line of the header is declared, and proposed where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.events import (
    CustomersTable,
    EventMapping,
    ReadOptions,
    read_events,
    read_tables,
)
from stagecast.features.intake.header_proposal import propose_below
from stagecast.features.intake.tables import parse_tables

MAPPING = EventMapping(customer="Buyer", time="Sold on", amount="Pieces * Price")
TITLE = 'Seller: "made up\nReport of 2025-02-01,,,\n\n'
HEADER = "Buyer,Sold on,Pieces,Price\n"


def export(folder: Path, title: str = TITLE, name: str = "export.csv") -> Path:
    """Write a log of eight sales below a title; return its path."""
    rows = "".join(f"b{i % 3},2025-01-0{i + 1},2,{i}.50\n" for i in range(8))
    path = folder / name
    path.write_text(title + HEADER + rows, "utf-8")
    return path


def refusal(path: Path, options: ReadOptions) -> str:
    with pytest.raises(DataRefusedError) as error_info:
        read_events(path, options)
    return str(error_info.value)


def test_the_lines_above_the_header_are_not_read_and_lines_keep_their_numbers(
    tmp_path: Path,
) -> None:
    path = export(tmp_path)
    path.write_text(path.read_text("utf-8") + "b9,soon,1,1\n", "utf-8")
    with read_events(path, ReadOptions(mapping=MAPPING, header_line=4)) as log:
        assert (log.report.rows_in, log.report.rows_loaded) == (9, 8)
        assert log.rejected().to_pylist()[0]["line"] == 13
        total = log.con.execute("SELECT sum(amount) FROM events").fetchall()
    assert float(total[0][0]) == 2 * sum(i + 0.5 for i in range(8))


@pytest.mark.parametrize("title", ["1,2,3,4\n", "Sales;of,March\n", "a,a\n", "\n", TITLE])
def test_a_refusal_proposes_the_line_that_holds_the_mapped_names(
    tmp_path: Path, title: str
) -> None:
    line = title.count("\n") + 1
    assert f"--header-line {line}" in refusal(export(tmp_path, title), ReadOptions(mapping=MAPPING))


def test_nothing_is_proposed_where_no_line_holds_the_names(tmp_path: Path) -> None:
    options = ReadOptions(mapping=EventMapping(customer="Client", time="Sold on"))
    assert "--header-line" not in refusal(export(tmp_path), options)


def test_a_line_behind_the_end_of_the_file_is_refused(tmp_path: Path) -> None:
    text = refusal(export(tmp_path), ReadOptions(header_line=30))
    assert "has 12 lines" in text
    assert "--header-line 30" in text


def test_no_line_is_before_the_first() -> None:
    with pytest.raises(UsageError, match="--header-line 0"):
        ReadOptions(header_line=0)


@pytest.mark.parametrize("value", [0, "4", True, 1.5])
def test_a_line_in_a_table_is_a_whole_number(tmp_path: Path, value: object) -> None:
    entry = {"source": "export.csv", "header_line": value}
    with pytest.raises(UsageError, match="tables 1: header_line must be the number of a line"):
        parse_tables([entry], ReadOptions(), tmp_path)


def test_tables_and_their_look_ups_have_lines_of_their_own(tmp_path: Path) -> None:
    export(tmp_path)
    (tmp_path / "buyers.csv").write_text("All buyers\nid,person\nb0,p\nb1,q\nb2,q\n", "utf-8")
    entry = {
        "source": "export.csv",
        "header_line": 4,
        "customer": "person",
        "time": "Sold on",
        "lookups": [
            {
                "source": "buyers.csv",
                "on": "Buyer",
                "key": "id",
                "columns": ["person"],
                "header_line": 2,
            }
        ],
    }
    with read_tables(parse_tables([entry], ReadOptions(), tmp_path)) as log:
        assert (log.report.rows_loaded, log.report.customers) == (8, 2)


def test_a_look_up_and_the_table_of_customers_propose_their_line(tmp_path: Path) -> None:
    path = export(tmp_path)
    people = tmp_path / "buyers.csv"
    people.write_text("All buyers\nid,person\nb0,p\nb1,q\nb2,q\n", "utf-8")
    entry = {
        "source": "export.csv",
        "header_line": 4,
        "customer": "person",
        "time": "Sold on",
        "lookups": [{"source": "buyers.csv", "on": "Buyer", "key": "id", "columns": ["person"]}],
    }
    with pytest.raises(DataRefusedError, match=r"header_line = 2 in \[\[tables.lookups\]\]"):
        read_tables(parse_tables([entry], ReadOptions(), tmp_path))
    options = ReadOptions(mapping=MAPPING, header_line=4)
    with pytest.raises(DataRefusedError, match=r"header_line = 2 in \[customers\]"):
        read_events(path, options, CustomersTable(str(people), "id"))
    table = CustomersTable(str(people), "id", header_line=2)
    with read_events(path, options, table) as log:
        assert log.report.customers_table is not None
        assert log.report.customers_table["rows_loaded"] == 3


@pytest.mark.parametrize("title", ["1,2,3,4\n", "a,a\n", "\n\n", TITLE, "Sales, of March,,\n"])
def test_a_header_below_is_proposed_where_nothing_is_mapped(tmp_path: Path, title: str) -> None:
    below = propose_below(str(export(tmp_path, title)), ReadOptions())
    assert below is not None
    table, proposal, options = below
    line = title.count("\n") + 1
    assert (proposal.header_line, options.header_line, table.rows) == (line, line, 8)
    assert proposal.options() == {
        "header-line": str(line),
        "customer": "Buyer",
        "time": "Sold on",
        "amount": "Pieces * Price",
    }


def test_a_header_in_another_language_is_proposed_by_the_times_below_it(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    rows = "".join(f"k{i};2024-0{i + 1}-11;{i}.5\n" for i in range(8))
    path.write_text("Verkäufe 2024\nKunde;Datum;Betrag\n" + rows, "utf-8")
    below = propose_below(str(path), ReadOptions())
    assert below is not None
    assert (below[1].header_line, below[1].is_complete) == (2, False)
    assert below[1].options() == {"header-line": "2", "time": "Datum"}


@pytest.mark.parametrize("rows", ["k1,2024-01-01,5\nk2,2024-01-02,6\n", "a,b,c\nd,e,f\n", ""])
def test_rows_of_a_log_are_no_header(tmp_path: Path, rows: str) -> None:
    path = tmp_path / "export.csv"
    path.write_text("Kunde,Datum,Betrag\n" + rows, "utf-8")
    assert propose_below(str(path), ReadOptions()) is None
