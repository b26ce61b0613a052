"""``stagecast erase``: the customer is gone everywhere, everything else is as it was, and the
proof can fail.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.interrupted import kill_erasures
from stagecast.features.errors import DataRefusedError, StagecastError, UsageError
from stagecast.features.events import ReadOptions, read_events
from stagecast.serving import pipeline
from stagecast.serving.commands.erase import erase as command
from stagecast.serving.erasure import csv_logs, customer_column, database
from stagecast.serving.erasure.csv_logs import LogOptions
from stagecast.serving.erasure.identity import Customer
from stagecast.serving.erasure.occurrences import search_stream
from stagecast.serving.erasure.replacing import draft_of, replace_file
from stagecast.serving.store.store import Store
from stagecast.training.bundle import load_bundle
from stagecast.training.config import TrainConfig
from stagecast.training.tracking import log_training
from tests.postgres import postgres_url  # noqa: F401
from tests.profiles import examples
from tests.serving import published
from tests.training.conftest import new_store  # noqa: F401
from tests.training.made import simulated_rows

pytestmark = pytest.mark.slow

HOSTILE = (
    "o'Hara\"; DROP TABLE scores; --",
    "100%_off",
    "two\nlines",
    "../../etc/passwd",
    "<b>&amp;</b>",
    "пётр & co",
    "a\\b\\n",
    "$(rm -rf x)",
    "x" * 10_240,
)


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str = ""

    @property
    def told(self) -> dict:
        return json.loads(self.out)

    def rows(self) -> dict[str, int]:
        return {Path(item["place"]).name: item["removed"] for item in self.told["places"]}


@pytest.fixture
def erase(tmp_path, monkeypatch, capsys):
    """Give the command, run in a folder of its own, with temporary files of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def call(*args: object, yes: bool = True) -> Said:
        capsys.readouterr()
        try:
            command.main(
                ["--yes"] * yes + [str(a) for a in args], prog_name="erase", standalone_mode=False
            )
        except StagecastError as error:
            return Said(error.exit_code, capsys.readouterr().out, str(error))
        result = capsys.readouterr()
        return Said(0, result.out, result.err)

    return call


def everything(folder: Path) -> dict[str, str]:
    """Return every file's digest; the side files of SQLite come and go with its readers."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


# ------------------------------------------------------------------ one shop, run, published twice
# and tracked


LATE = "c00007"  # has a row with an unreadable time and a malformed line
FAULTS = f"{LATE},soon,purchase,5\n{LATE},2021-01-01\nc00008,2021-01-01\nc00009,later,purchase,5\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory, new_store) -> Path:  # noqa: F811
    home = tmp_path_factory.mktemp("shop")
    new_store(home)
    rows = pd.DataFrame(
        simulated_rows(300, 500, 5), columns=["customer_id", "timestamp", "event", "amount"]
    )
    rows.assign(timestamp=[at.isoformat() for at in rows["timestamp"]]).to_csv(
        home / "shop.csv", index=False
    )
    with (home / "shop.csv").open("a") as file:
        file.write(FAULTS)
    here = Path.cwd()
    os.chdir(home)
    try:
        with read_events("shop.csv") as log:
            uri = "sqlite:///mlflow.db"
            done = pipeline.run(
                log,
                Path("out"),
                TrainConfig(max_dates=1),
                track=lambda *made: log_training(uri, *made),
            )
        store = Store.open("sqlite:///stagecast.db")
        for _ in range(2):
            store.publish(
                done.scores,
                model_path="out/model",
                scheme=done.bundle.models.scheme,
                past=[[(name, "[0]") for name in done.scores["customer_id"].to_pylist()]],
            )
        store.close()
    finally:
        os.chdir(here)
    return home


@pytest.fixture
def copied(shop, tmp_path) -> Path:
    """Give a copy of the shop whose MLflow artefacts are the copy's own."""
    for path in sorted(shop.rglob("*")):
        target = tmp_path / path.relative_to(shop)
        if path.is_dir():
            target.mkdir(exist_ok=True)
        elif not path.name.endswith(("-wal", "-shm")):
            target.write_bytes(path.read_bytes())
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as con, con:
        con.execute(
            "UPDATE runs SET artifact_uri = replace(artifact_uri, ?, ?)", (str(shop), str(tmp_path))
        )
    return tmp_path


def first_of_report(folder: Path) -> str:
    return (
        (folder / "out" / "report.html")
        .read_text("utf-8")
        .partition("<bdi>")[2]
        .partition("</bdi>")[0]
    )


def test_a_customer_goes_from_every_place_and_everything_else_stays(erase, copied):
    top = first_of_report(copied)
    before = everything(copied)
    scores, log = (
        pq.read_table("out/scores.parquet"),
        Path("shop.csv").read_bytes().splitlines(keepends=True),
    )
    report = Path("out/report.html").read_text("utf-8")
    result = erase(top, "shop.csv", "--run", "out", "--json")
    assert result.code == 0, result.err
    assert result.told["proven"] is True
    assert result.told["left"] == 0
    assert top not in result.out
    gone = [line for line in log if line.startswith(top.encode())]
    wanted = {"shop.csv": len(gone), "scores.parquet": 1, "report.html": 1, "stagecast.db": 5}
    assert result.rows() == wanted
    assert sum(item["kind"] == "mlflow" for item in result.told["places"]) == 1
    assert Path("shop.csv").read_bytes() == b"".join(line for line in log if line not in gone)
    left = pq.read_table("out/scores.parquet")
    assert left.equals(scores.filter(pa.compute.not_equal(scores["customer_id"], top)))
    assert left.schema.equals(scores.schema, check_metadata=True)
    page = Path("out/report.html").read_text("utf-8")
    assert (page.count("<bdi>"), page.count("<tr>")) == (
        report.count("<bdi>") - 1,
        report.count("<tr>") - 1,
    )
    # the text above the list does not count who stands in it
    listed = page.partition('<table class="ranked">')[0].rpartition("<p>")[2]
    assert listed.startswith("The active customers with most")
    assert page.partition('<section id="stages"')[2] == report.partition('<section id="stages"')[2]
    assert next(Path("mlruns").rglob("report.html")).read_text("utf-8") == page
    changed = {name for name, digest in everything(copied).items() if before[name] != digest}
    assert {Path(name).name for name in changed} == set(wanted)
    for path in copied.rglob("*"):
        assert not path.is_file() or top.encode() not in path.read_bytes(), path
    load_bundle(Path("out/model"))


def test_totals_of_a_published_run_stay_and_its_lists_do_not_show_the_customer(erase, copied):
    store = Store.open("sqlite:///stagecast.db")
    before = store.current_run()
    store.close()
    assert erase(LATE).code == 0
    store = Store.open("sqlite:///stagecast.db")
    run = store.current_run()
    assert run == before
    assert store.customer(LATE) is None
    assert store.lookup(run, [LATE, "c00008"]).keys() == {"c00008"}
    store.close()


def test_refused_rows_and_their_examples_go_and_their_counts_stay(erase, copied):
    before = json.loads(Path("out/data-report.json").read_text("utf-8"))
    result = erase(LATE, "shop.csv", "--run", "out", "--include-malformed", "--json")
    assert result.code == 0, result.err
    assert result.rows()["rejected.parquet"] == 2
    assert result.rows()["data-report.json"] == 2
    assert pq.read_table("out/rejected.parquet")["line"].to_pylist() == [1721, 1722]
    after = json.loads(Path("out/data-report.json").read_text("utf-8"))
    shown = [
        item["line"] for entry in after["rejected_examples"].values() for item in entry["examples"]
    ]
    assert sorted(shown) == [1721, 1722]
    assert {**after, "rejected_examples": None} == {**before, "rejected_examples": None}


@pytest.mark.parametrize("name", ["17", "x1y2"])
def test_customers_that_a_data_report_or_a_page_speaks_of_go_with_the_entry(erase, name):
    Path("out").mkdir()
    heavy = [{"customer_id": customer, "events": 9_000} for customer in (name, "170")]
    result = [f"customer {customer} has 9,000 events" for customer in (name, "170")]
    report = {
        "rows_in": 17,
        "quality": {"buyers": {"heavy": heavy}},
        "warnings": result,
        "files": ["17.csv"],
    }
    Path("out/data-report.json").write_text(json.dumps(report))
    page = "<ul><li>{}</li><li>{}</li></ul><p>17 rows</p>"
    Path("out/report.html").write_text(page.format(*result))
    actual = erase(name, "--run", "out", "--json")
    assert (actual.code, actual.rows()) == (0, {"data-report.json": 2, "report.html": 1})
    left = {**report, "quality": {"buyers": {"heavy": heavy[1:]}}, "warnings": result[1:]}
    assert json.loads(Path("out/data-report.json").read_text()) == left
    assert Path("out/report.html").read_text() == page.replace("<li>{}</li>", "", 1).format(
        result[1]
    )


def test_a_malformed_line_is_told_with_its_place_and_goes_only_when_asked(erase, copied):
    result = erase(LATE, "shop.csv", "--json")
    assert result.code == 3
    (log,) = [item for item in result.told["places"] if item["place"] == "shop.csv"]
    data = Path("shop.csv").read_bytes()
    assert (log["left"], log["first"]) == (1, f"byte {data.index(LATE.encode())}")
    assert "--include-malformed" in result.err
    assert erase(LATE, "shop.csv", "--include-malformed").code == 0
    assert Path("shop.csv").read_bytes() == data.replace(f"{LATE},2021-01-01\n".encode(), b"")


def test_a_second_time_there_is_nothing_and_nothing_is_touched(erase, copied):
    args = (LATE, "shop.csv", "--run", "out", "--include-malformed")
    assert erase(*args).code == 0
    before = everything(copied)
    result = erase(*args, yes=False)
    assert (result.code, result.out.startswith("Nothing found: ")) == (0, True)
    assert everything(copied) == before


def test_a_dry_run_counts_what_would_go_and_changes_nothing(erase, copied):
    before = everything(copied)
    dry = erase(
        LATE, "shop.csv", "--run", "out", "--include-malformed", "--dry-run", "--json", yes=False
    )
    assert dry.code == 0
    assert everything(copied) == before
    assert dry.told["proven"] is False
    real = erase(LATE, "shop.csv", "--run", "out", "--include-malformed", "--json")
    assert real.rows() == dry.rows()


def test_without_a_terminal_it_asks_for_yes_before_anything_is_changed(erase, copied):
    before = everything(copied)
    result = erase(LATE, "shop.csv", yes=False)
    assert (result.code, "--yes" in result.err) == (2, True)
    assert everything(copied) == before


def test_without_names_the_demo_folder_the_store_and_mlflow_are_worked_on(erase, copied):
    Path("out").rename("stagecast-demo")
    result = erase(LATE, "--json")
    assert set(result.rows()) == {
        "scores.parquet",
        "rejected.parquet",
        "data-report.json",
        "stagecast.db",
    }
    Path("stagecast-demo/notes.txt").write_text("mine")
    assert "scores.parquet" not in erase("c00008", "--json").rows()


def test_a_model_that_holds_the_id_is_not_changed_and_is_told(erase, copied):
    card = Path("out/model/card.json")
    data = json.loads(card.read_text("utf-8"))
    card.write_text(json.dumps({**data, "notes": [f"as {LATE} does"]}), "utf-8")
    before = card.read_bytes()
    result = erase(LATE, "--run", "out", "--json")
    assert result.code == 3
    (item,) = [item for item in result.told["places"] if item["left"]]
    assert (item["kind"], item["first"]) == ("model", f"byte {before.index(LATE.encode())}")
    assert "train again" in item["note"]
    assert card.read_bytes() == before


@pytest.mark.parametrize("ending", ["draft", "old"])
def test_what_a_killed_run_left_is_cleaned(erase, copied, ending):
    Path("out").rename(f".out.{ending}")
    broken = Path(f".out.{ending}/model.draft.parquet")
    broken.write_bytes(b"PAR1 cut off")
    result = erase(LATE, "--run", "out", "--json")
    assert result.code == 0, result.err
    assert result.rows()["scores.parquet"] == 1
    assert LATE not in str(
        pq.read_table(f".out.{ending}/scores.parquet")["customer_id"].to_pylist()
    )


def test_a_half_written_file_of_ours_goes_when_nobody_has_written_it_for_an_hour(erase, copied):
    Path("out").rename(".out.draft")
    cut = Path(".out.draft/rejected.parquet")
    cut.write_bytes(cut.read_bytes()[:-9])
    result = erase(LATE, "--run", "out", "--json")
    assert (result.code, "half-written" in result.err) == (3, True)
    old = time.time() - 7_200
    os.utime(cut, (old, old))
    assert erase(LATE, "--run", "out").code == 0
    assert not cut.exists()


def test_a_draft_beside_a_log_goes_when_it_is_old(erase, tmp_path):
    Path("scores.csv").write_text("customer_id,stage\nx1y2,new\nb,new\n")
    draft = Path(".scores.csv.draft")
    draft.write_text("customer_id,stage\nx1y2,n")
    result = erase("x1y2", "scores.csv")
    assert (result.code, "half-written" in result.err) == (3, True)
    os.utime(draft, (0, 0))
    assert erase("x1y2", "scores.csv").code == 0
    assert not draft.exists()


def test_a_log_with_a_title_above_its_header_loses_the_customer_and_keeps_the_title(erase):
    title = "Seller: made up\n\n"
    Path("log.data").write_text(
        title + "Buyer,timestamp\nx1y2,2025-01-01\nb,2025-01-01\n", encoding="utf-8"
    )
    assert erase("x1y2", "log.data", "--customer", "Buyer", "--header-line", "3").code == 0
    assert Path("log.data").read_text("utf-8") == title + "Buyer,timestamp\nb,2025-01-01\n"


def test_what_a_killed_erasure_left_goes_with_the_next(erase, tmp_path):
    Path("log.csv").write_text("customer_id,timestamp\nx1y2,2025-01-01\nb,2025-01-01\n")
    draft_of(Path("log.csv")).write_text("customer_id,timestamp\nx1y2,2025-")
    assert erase("z9z9", "log.csv").code == 0
    assert not draft_of(Path("log.csv")).exists()


def test_whoever_is_asked_may_say_no(erase, copied, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    asked = []
    monkeypatch.setattr(click, "confirm", lambda text, **_: asked.append(text))
    before = everything(copied)
    with pytest.raises(click.Abort):
        erase(LATE, yes=False)
    assert asked == ["Remove 5 rows from 1 place for good?"]
    assert everything(copied) == before


# ------------------------------------------------------------------ the store


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    opened = published.open_store(
        tmp_path,
        published.scores(60, extra=[*HOSTILE, "17", "17850", "c00012345"]),
        published.scores(60, seed=8, extra=[*HOSTILE, "17", "17850"]),
    )
    yield opened
    opened.close()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_id_is_only_an_id(erase, store, name, tmp_path):
    rows = [
        {"customer_id": item, "timestamp": "2025-01-01", "amount": 1}
        for item in (*HOSTILE, "other")
    ]
    pd.DataFrame(rows).to_csv("log.csv", index=False)
    pd.DataFrame(rows).to_parquet("log.parquet")
    before = everything(tmp_path)
    result = erase("--json", "--", name, "log.csv", "log.parquet")
    assert result.code == 0, result.err
    assert result.rows() == {"log.csv": 1, "log.parquet": 1, "stagecast.db": 4}
    assert set(everything(tmp_path)) == set(before)
    for left in (pd.read_csv("log.csv"), pd.read_parquet("log.parquet")):
        assert set(left["customer_id"]) == {*HOSTILE, "other"} - {name}
    assert store.customer(name) is None
    assert all(store.customer(other) for other in HOSTILE if other != name)


@pytest.mark.parametrize("text", ["", "  ", "nan", "NULL", "a\udcff"])
def test_what_is_no_id_is_refused(erase, text):
    assert erase("--", text).code == 2


def test_ids_that_begin_alike_are_not_confused(erase, store):
    result = erase("c0001", "--json")
    assert (result.code, result.rows()) == (0, {"stagecast.db": 4})
    assert store.customer("c00012345")
    assert erase("c0002", "--json").code == 0


@pytest.mark.parametrize("name", ["17", "17850", "17850.0"])
def test_a_number_is_the_customer_only_where_an_id_can_stand(erase, store, name):
    with sa.create_engine("sqlite:///stagecast.db").begin() as con:
        con.exec_driver_sql(
            "UPDATE scores SET orders = 17850, spend = 17 WHERE customer_id = 'c0000'"
        )
    result = erase(name, "--json")
    assert result.code == 0, result.err
    assert result.rows() == {"stagecast.db": 4}
    assert any("a number" in note for note in result.told["notes"])


def test_bytes_that_sqlite_left_in_free_space_go_even_when_no_row_is_there(erase, store):
    store.close()
    with closing(sqlite3.connect("stagecast.db")) as con:
        con.execute("PRAGMA secure_delete=OFF")
        for table in ("scores", "documents"):
            con.execute(f"DELETE FROM {table} WHERE customer_id = 'c00012345'")
        con.commit()
        con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"c00012345" in Path("stagecast.db").read_bytes()
    dry = erase("c00012345", "--dry-run", "--json")
    assert (dry.told["removed"], dry.told["left"] > 0) == (0, True)
    assert "stagecast.db, byte " in dry.told["places"][0]["first"]
    assert erase("c00012345", yes=False).code == 0
    assert b"c00012345" not in Path("stagecast.db").read_bytes()


def test_while_a_reader_holds_the_log_of_writes_it_is_told_and_later_made_good(
    erase, store, monkeypatch
):
    monkeypatch.setattr("stagecast.serving.store.opening.BUSY_MILLISECONDS", 100)
    with closing(sqlite3.connect("stagecast.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM scores").fetchone()
        result = erase("c00012345", "--json")
        assert result.code == 3
        assert "stop what uses the store" in result.err
    store.close()
    assert erase("c00012345").code == 0
    assert erase("c00012345").out.startswith("Nothing found")


def test_a_table_that_is_added_later_is_covered(erase, store):
    with closing(sqlite3.connect("stagecast.db")) as con, con:
        con.execute("CREATE TABLE later_lists (id INTEGER PRIMARY KEY)")
        con.execute(
            "CREATE TABLE later_rows (list_id REFERENCES later_lists (id), customer_id TEXT)"
        )
        con.execute("INSERT INTO later_lists VALUES (1)")
        con.execute("INSERT INTO later_rows VALUES (1, 'c0003'), (1, 'c0004')")
    assert erase("c0003", "--json").rows() == {"stagecast.db": 5}


def test_an_id_that_another_row_names_is_left_and_told(erase, store):
    with closing(sqlite3.connect("stagecast.db")) as con, con:
        con.execute("CREATE TABLE notes (text TEXT)")
        con.execute("INSERT INTO notes VALUES ('a friend of c0003, they say')")
    result = erase("c0003", "--json")
    assert result.code == 3
    assert result.told["places"][0]["left"] == 1


def test_a_damaged_file_of_a_run_is_refused_before_anything_is_changed(erase, copied):
    broken = Path("out/scores.parquet")
    broken.write_bytes(broken.read_bytes()[:-100] + b"x" * 100)
    Path("out/data-report.json").write_text("[")
    before = everything(copied)
    result = erase(LATE, "shop.csv", "--run", "out")
    assert (result.code, "data-report.json" in result.err) == (3, True)
    assert everything(copied) == before


def test_what_is_no_store_is_refused_and_not_made_one(erase, tmp_path):
    with closing(sqlite3.connect("other.db")) as con, con:
        con.execute("CREATE TABLE t (customer_id TEXT)")
    before = everything(tmp_path)
    assert erase("a", "--store", "other.db").code == 2
    assert erase("a", "--store", "gone.db").code == 2
    assert erase("a", "--tracking-uri", "sqlite:///gone.db").code == 2
    assert erase("a", "--run", "gone").code == 2
    assert everything(tmp_path) == before


def test_a_store_in_postgresql_is_erased_and_says_what_cannot_be_searched(erase, postgres_url):  # noqa: F811
    url = published.postgres_store(postgres_url, published.scores(20, extra=HOSTILE[:3]))
    url = url.replace("postgresql://", "postgresql+psycopg://")
    store = Store.open(url)
    for name in (HOSTILE[0], "c0003"):
        result = erase("--store", url, "--json", "--", name)
        assert result.code == 0, result.err
        assert result.told["removed"] == 2
        assert any("cannot be searched" in note for note in result.told["notes"])
        assert store.customer(name) is None
    assert "***" in result.told["places"][0]["place"]
    store.close()


# ------------------------------------------------------------------ MLflow elsewhere


def test_a_tracking_server_is_not_done_and_says_so(erase, tmp_path):
    result = erase("c0001", "--tracking-uri", "http://mlflow.example:5000", "--json")
    assert result.code == 3
    assert result.told["places"][0]["left"] is None
    assert "not done" in result.err


# ------------------------------------------------------------------ logs


LOGS = {
    "plain.csv": (
        "customer_id,timestamp,amount\nx,2025-01-01,1\nb,2025-01-01,2\nx,2025-01-02,3\n",
        "utf-8",
    ),
    "semicolon.csv": (
        "\ufeffcustomer_id;timestamp\r\nx;2025-01-01\r\n\r\n b ;2025-01-01\r\n x ;2025-01-02",
        "utf-8",
    ),
    "mac.txt": ("customer_id\ttimestamp\rx\t2025-01-01\rb\t2025-01-01\r", "utf-8"),
    "quoted.csv": ('a,customer_id\n"1\nx,2\n","b"\n"""x",x\n"x,\r\n3",x\n"x""",b', "utf-8"),
    "packed.csv.gz": ("customer_id,timestamp\nx,2025-01-01\nb,2025-01-01\n", "utf-8"),
    "packed.tsv.zst": ("customer_id\ttimestamp\nx\t2025-01-01\nb\t2025-01-01\n", "utf-8"),
    "wide.csv": ("customer_id,город\nx,Тула\nb,Тверь\nx,Орёл\n", "utf-16"),
    "wide-be.csv": ("\ufeffcustomer_id,город\nx,Тула\nb,Тверь\nx,Орёл\n", "utf-16-be"),
    "cyrillic.csv": ("customer_id,город\nx,Тула\nb,Тверь\n", "cp1251"),
    "last.csv": ("customer_id,timestamp\nb,2025-01-01\nx,2025-01-01", "utf-8"),
    "only.csv": ("customer_id,timestamp\nx,2025-01-01\n", "utf-8"),
}


def packed(name: str, data: bytes) -> bytes:
    if name.endswith(".gz"):
        return gzip.compress(data)
    return pa.compress(data, "zstd", asbytes=True) if name.endswith(".zst") else data


def unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        return pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
    return data


@pytest.mark.parametrize("name", LOGS)
def test_only_the_records_of_the_customer_leave_a_text_log(erase, name):
    text, encoding = LOGS[name]
    Path(name).write_bytes(packed(name, text.encode(encoding)))
    records = {
        "semicolon.csv": ["x;2025-01-01\r\n", " x ;2025-01-02"],
        "mac.txt": ["x\t2025-01-01\r"],
        "quoted.csv": ['"""x",x\n', '"x,\r\n3",x\n'],
        "packed.tsv.zst": ["x\t2025-01-01\n"],
    }.get(name, [line for line in text.splitlines(keepends=True) if line.startswith("x,")])
    wanted = text
    for record in records:
        assert record in wanted
        wanted = wanted.replace(record, "", 1)
    result = erase(
        "x", name, "--encoding", "utf-16" if name.startswith("wide") else encoding, "--json"
    )
    assert result.code == 0, result.err
    assert result.rows() == {name: len(records)}
    assert unpacked(Path(name)) == wanted.encode(encoding)


@pytest.mark.parametrize("name", ["17850", "17850.0", " 17850"])
def test_a_number_is_compared_as_the_reader_reads_it(erase, name):
    ids = ["17850", "17850.0", " 17850 ", '"17850.0"', "178500", "017850", "17850.5", "-17850"]
    Path("log.csv").write_text("n,customer_id\n" + "".join(f"17850,{entry}\n" for entry in ids))
    for kind, values in (("int", [17850, 1, None]), ("float", [17850.0, 1.5, None])):
        pq.write_table(pa.table({"customer_id": values, "stock": [17850, 1, 2]}), f"{kind}.parquet")
    result = erase("--json", "--", name, "log.csv")
    assert (result.code, result.rows()) == (0, {"log.csv": 4})
    assert result.told["places"][0]["alike"] == 4
    assert Path("log.csv").read_text().split() == [
        "n,customer_id",
        *(f"17850,{entry}" for entry in ids[4:]),
    ]
    for kind in ("int", "float"):
        assert erase("--json", "--", name, f"{kind}.parquet").rows() == {f"{kind}.parquet": 1}
        assert pq.read_table(f"{kind}.parquet")["stock"].to_pylist() == [1, 2]


def test_the_customer_may_stand_in_a_named_column_or_an_expression(erase):
    Path("log.csv").write_text('"Customer ID",shop\nann,A\nAnn,B\nbob,A\n')
    assert erase(
        "B/Ann", "log.csv", "--customer", "shop || '/' || \"Customer ID\"", "--json"
    ).rows() == {"log.csv": 1}
    assert erase("ann", "log.csv", "--customer", "Customer ID", "--json").rows() == {"log.csv": 1}
    assert Path("log.csv").read_text() == '"Customer ID",shop\nbob,A\n'
    result = erase(
        "ann", "log.csv", "--customer", "CASE WHEN \"Customer ID\" > 1 THEN 'a' ELSE shop END"
    )
    assert (result.code, "as a number" in result.err) == (2, True)
    result = erase("ann", "log.csv")
    assert (result.code, "--customer COL" in result.err) == (3, True)


def test_a_telling_id_that_another_customers_row_names_is_left_with_its_byte(erase):
    data = "customer_id,friend\nann-7,b\nb,of ann-7\nc,joann-7\nd,ann-70\n"
    Path("log.csv").write_text(data)
    result = erase("ann-7", "log.csv", "--json")
    assert result.code == 3
    left = Path("log.csv").read_text()
    assert left == data.replace("ann-7,b\n", "")
    assert result.told["places"][0]["first"] == f"byte {left.index('ann-7')}"
    assert result.told["places"][0]["left"] == 1


def test_a_quote_that_would_swallow_other_lines_keeps_the_log_as_it_is(erase):
    data = 'customer_id,note\na,"open\nx1y2,"y"\nb,z\nc,"\n'
    Path("log.csv").write_text(data)
    result = erase("x1y2", "log.csv")
    assert (result.code, "would be read otherwise" in result.err) == (3, True)
    assert Path("log.csv").read_text() == data
    assert not draft_of(Path("log.csv")).exists()


def test_a_database_is_refused_with_the_statement_to_run(erase):
    result = erase(
        "o'Hara", "postgresql://me:secret@db/shop?table=orders", "--customer", "Customer ID"
    )
    assert result.code == 2
    assert (
        """DELETE FROM orders WHERE trim(CAST("Customer ID" AS VARCHAR)) IN ('o''Hara')"""
        in result.err
    )
    assert "secret" not in result.err


def test_parquet_keeps_its_schema_compression_groups_and_metadata(erase):
    table = pa.table(
        {
            "customer_id": pa.array(
                ["x", "b", "x", "c", None], pa.dictionary(pa.int32(), pa.string())
            ),
            "at": pa.array([1, 2, 3, 4, 5], pa.timestamp("ns", "Europe/London")),
            "price": pa.array([1, 2, 3, 4, 5], pa.decimal128(12, 2)),
            "parts": [[{"sku": "x1"}], [], None, [{"sku": None}], []],
        }
    ).replace_schema_metadata({"made by": "us"})
    how = {
        "compression": {
            "customer_id": "gzip",
            "at": "zstd",
            "price": "none",
            "parts.list.element.sku": "snappy",
        }
    }
    pq.write_table(table, "log.parquet", row_group_size=2, **how)
    old = pq.ParquetFile("log.parquet")
    assert erase("x", "log.parquet", "--json").rows() == {"log.parquet": 2}
    new = pq.ParquetFile("log.parquet")
    assert new.schema.equals(old.schema)
    assert new.schema_arrow.equals(old.schema_arrow, check_metadata=True)
    # but for what the library calls an item of a list, which has no name of its own
    assert {**new.metadata.metadata, b"ARROW:schema": b""} == {
        **old.metadata.metadata,
        b"ARROW:schema": b"",
    }
    assert [new.metadata.row_group(i).num_rows for i in range(new.num_row_groups)] == [1, 1, 1]
    for i in range(old.metadata.num_columns):
        assert (
            new.metadata.row_group(0).column(i).compression
            == old.metadata.row_group(0).column(i).compression
        )
    assert new.read().equals(table.take([1, 3, 4]))


CELLS = st.sampled_from(
    ["x", "b", "x.0", "", " x ", '"x"', '"a\nb"', '"', 'q"', "1,2", "\r", "я", "2025-02-01", "x\0"]
)
RECORDS = st.lists(st.lists(CELLS, min_size=1, max_size=4).map(",".join), max_size=12)


def read(data: bytes, folder: Path) -> list[tuple]:
    """Return the sound rows as the log's reader loads them, in its order; none where it refuses
    the whole.
    """
    path = folder / "read.csv"
    path.write_bytes(data)
    try:
        with read_events(str(path), ReadOptions(duplicates="keep")) as log:
            return log.con.execute(
                "SELECT customer_id, timestamp, amount, channel FROM events ORDER BY ALL"
            ).fetchall()
    except DataRefusedError:
        return []


@settings(
    max_examples=examples(50),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    records=RECORDS,
    sound=st.integers(1, 5),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    name=st.sampled_from("xb"),
    malformed=st.booleans(),
)
def test_reading_the_log_without_a_customer_is_reading_the_log_and_dropping_them(
    tmp_path, records, sound, end, name, malformed
):
    rows = [f"{'xbc'[i % 3]},2025-01-0{1 + i},{i},web" for i in range(sound)]
    for i, record in enumerate(records):
        rows.insert((i * 7) % (len(rows) + 1), record)
    data = end.join(["customer_id,timestamp,amount,channel", *rows]).encode()
    path = tmp_path / "log.csv"
    path.write_bytes(data)
    how = LogOptions(Customer((name,), ambiguous=True), include_malformed=malformed)
    with customer_column.duckdb_connection() as con:
        try:
            replace_file(path, lambda draft: csv_logs.copy_without(con, path, draft, how))
        except DataRefusedError:
            # a quote that is not closed would swallow other lines, or the reader refuses the log
            assert path.read_bytes() == data
            return
    after = path.read_bytes()
    assert read(after, tmp_path) == [row for row in read(data, tmp_path) if row[0] != name]
    rest = iter(data)
    assert all(byte in rest for byte in after)  # what is there stood there, in this order


@settings(max_examples=examples(200), deadline=None)
@given(
    pieces=st.lists(
        st.sampled_from(["ann-7", "ann-70", "joann-7", "ann", ".", "@", " ", "-", "x", "é"]),
        max_size=40,
    ),
    size=st.integers(1, 9),
)
def test_a_search_in_pieces_finds_what_a_search_in_the_whole_finds(pieces, size):
    text = "".join(pieces)
    customer = Customer.parse("ann-7")

    class Slowly(io.BytesIO):
        def read(self, _: int | None = None) -> bytes:
            return super().read(size)

    actual = search_stream(Slowly(text.encode()), customer)
    places = [len(text[:at].encode()) for at in customer.offsets_in(text)]
    assert actual.count == len(places)
    assert actual.first == (f"byte {min(places)}" if places else None)


# ------------------------------------------------------------------ files are replaced whole


def test_mode_links_and_owner_of_a_log_stay(erase, tmp_path):
    (tmp_path / "data").mkdir()
    log = tmp_path / "data" / "log.csv"
    log.write_text("customer_id,timestamp\nx,2025-01-01\nb,2025-01-01\n")
    log.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(log, 1, 1)
    before = log.stat()
    Path("link.csv").symlink_to(log)
    assert erase("x", "link.csv").code == 0
    assert Path("link.csv").is_symlink()
    assert log.read_text() == "customer_id,timestamp\nb,2025-01-01\n"
    after = log.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )
    os.link(log, "second.csv")
    result = erase("b", "link.csv")
    assert (result.code, "hard links" in result.err) == (3, True)
    assert "b,2025-01-01" in log.read_text()


def test_a_log_that_grows_meanwhile_is_left_as_it_is(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("old")

    def write(draft: Path) -> None:
        assert draft.stat().st_mode & 0o777 == 0o600
        draft.write_text("new")
        path.write_text("older")

    with pytest.raises(UsageError, match="was written to"):
        replace_file(path, write)
    assert path.read_text() == "older"
    assert not draft_of(path).exists()


def test_two_erasures_of_one_file_do_not_overwrite_each_other(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("old")

    def write(draft: Path) -> None:
        with pytest.raises(UsageError, match="another erasure"):
            replace_file(path, lambda inner: inner.write_text("inner"))
        draft.write_text("outer")

    replace_file(path, write)
    assert path.read_text() == "outer"


def test_a_kill_at_any_moment_leaves_the_old_log_or_the_new_one(tmp_path):
    """`make bench` has the same with more kills, of a larger log."""
    drafts = kill_erasures(tmp_path / "log.csv", 3, [0.4, 1.0, 1.1])
    assert drafts


def test_the_rule_of_tokens_holds_in_bytes_of_any_encoding():
    customer = Customer.parse("ann@shop.example")
    text = (
        "ann@shop.example, joann@shop.example <ann@shop.example>. "
        "mary.ann@shop.example ann@shop.example-2"
    )
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        assert search_stream(io.BytesIO(text.encode(encoding)), customer).count == 2, encoding
    quoted = Customer.parse('say "я"')
    for written in (json.dumps('say "я"'), "say &#34;я&#34;", '"say ""я"""', "say%20%22%D1%8F%22"):
        assert search_stream(io.BytesIO(written.encode()), quoted).count == 1, written


def test_what_is_plain_and_what_is_telling():
    plain = ("17", "17850", "1234567", "abc", "loyal", "retail", "customer_id")
    telling = ("c001", "12345678", "ann@shop.example", "a-b-c")
    assert [name for name in (*plain, *telling) if Customer.parse(name).ambiguous] == list(plain)


def test_the_search_of_the_store_explains_longer_ids_and_nothing_else(tmp_path, store):
    store.close()
    file = tmp_path / "stagecast.db"
    assert (
        database.search(file, Customer.parse("c000")).count == 0
    )  # the beginning of many, and none itself
    data = bytearray(file.read_bytes())
    data[-8:] = b"\0c000\0\0\0"
    other = tmp_path / "copy.db"
    other.write_bytes(bytes(data))
    actual = database.search(other, Customer.parse("c000"))
    assert (actual.count, actual.first) == (1, f"copy.db, byte {len(data) - 7}")
    assert np.isfinite(actual.count)
