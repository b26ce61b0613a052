"""Backup, restore and retention: whole, checked, and nobody who was erased comes back."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.serving.cli import cli
from stagecast.serving.settled.ledger import _hash
from stagecast.serving.store import publishing
from stagecast.serving.store.opening import TABLES
from stagecast.serving.store.plan_tables import plans, settled
from stagecast.serving.store.publishing import _make_current
from stagecast.serving.store.queries import Filters
from stagecast.serving.store.saved_views import save_view
from stagecast.serving.store.store import Store
from stagecast.serving.store.tables import VERSION, runs
from stagecast.serving.upkeep import copying
from stagecast.serving.upkeep import prune as prune_module
from stagecast.serving.upkeep.backup import backup
from stagecast.serving.upkeep.prune import Retention, prune
from stagecast.serving.upkeep.restore import restore
from tests.postgres import postgres_url  # noqa: F401
from tests.serving import published
from tests.serving.store.test_store import DATABASES, LATER, new_database, new_store  # noqa: F401

pytestmark = pytest.mark.slow
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(params=DATABASES)
def store(request, new_store):  # noqa: F811
    """A store of two runs, the first of them settled."""
    past = [(f"c{i:04d}", '[0,["1998-03-30","purchase",1,9.5]]') for i in range(20)]
    earlier = published.scores(30, extra=published.HOSTILE_IDS)
    opened = new_store(request.param, earlier, published.scores(20, as_of=LATER), past=[past])
    save_view(opened.engine, "The dear", [("sort", "-clv")])
    with opened.engine.begin() as connection:
        previous = "0" * 64
        for run in (1, 7):
            body = json.dumps({"run": run, "text": "settled"})
            row = {"run_id": run, "settled_at": NOW, "body": body, "previous_hash": previous}
            previous = _hash(previous, body)
            connection.execute(settled.insert().values(**row, hash=previous))
    yield opened
    opened.close()


def url_of(store: Store) -> str:
    return store.engine.url.render_as_string(hide_password=False)


def content(engine: sa.Engine) -> dict[str, list[Any]]:
    """Return every row of every table, beside those that a restore adds to."""
    with engine.connect() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(sa.select(table))))
            for table in TABLES
            if table.name not in ("erasure_notes", "server_secrets", "purges")
        }


@pytest.mark.parametrize("target", DATABASES)
def test_a_backup_restores_every_row_into_either_database(store, target, new_database, tmp_path):  # noqa: F811
    file, url = tmp_path / "backup.db", new_database(target)
    made = backup(url_of(store), file)
    assert (made.runs, made.scores, made.settled) == (2, 38 + 20, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["backup.db"]
    done = restore(file, url)
    assert (done.runs, done.scores, done.settled, done.erased_again) == (2, 58, 2, 0)
    other = Store.open(url)
    assert content(other.engine) == content(store.engine)
    assert published.publish(other, published.scores(3)) == 3  # the next number, none twice
    other.close()


def test_a_restore_replaces_runs_only_when_told_and_gives_no_number_twice(store, tmp_path):
    file = tmp_path / "backup.db"
    backup(url_of(store), file)
    published.publish(store, published.scores(5))
    before = content(store.engine)
    with pytest.raises(UsageError, match=r"holds 3 published run.*--overwrite"):
        restore(file, url_of(store))
    assert content(store.engine) == before
    done = restore(file, url_of(store), overwrite=True)
    assert (done.runs, done.replaced_runs) == (2, 3)
    assert published.publish(store, published.scores(5)) == 4


@pytest.mark.parametrize(("of_backup", "of_store"), [(4096, 8192), (8192, 4096)])
def test_a_restore_takes_pages_of_another_length(of_backup, of_store, tmp_path):
    """A store that an earlier version made has shorter pages than a new one."""
    for name, length, customers in (("old", of_backup, 30), ("new", of_store, 5)):
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as connection:
            connection.execute(f"PRAGMA page_size={length}")
            connection.execute("VACUUM")
        store = Store.open(f"sqlite:///{tmp_path / name}.db")
        published.publish(store, published.scores(customers))
        store.close()
    file, url = tmp_path / "backup.db", f"sqlite:///{tmp_path / 'new.db'}"
    backup(f"sqlite:///{tmp_path / 'old.db'}", file)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA page_size").fetchone()[0] == of_backup
    reader = Store.open(url)  # a server that goes on
    assert reader.count(reader.current_run(), Filters()) == 5
    restore(file, url, overwrite=True)
    assert reader.count(reader.current_run(), Filters()) == 30
    reader.close()


def test_the_erased_do_not_come_back(store, tmp_path):
    file, erased = tmp_path / "backup.db", published.HOSTILE_IDS[0]
    store.erase("c0001")  # before the backup: nothing of it is left to erase
    backup(url_of(store), file)
    store.erase("c0002")
    assert store.forget(erased) is not None
    done = restore(file, url_of(store), overwrite=True, erased=["c0003", "nobody"])
    assert done.erased_again == 3
    for gone in ("c0001", "c0002", "c0003", erased):
        assert store.customer(gone) is None
    assert store.customer("c0004") is not None
    # the store that was restored knows of them, too
    again = restore(file, url_of(store), overwrite=True)
    assert again.erased_again == 3


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_notes_of_erasures_hold_no_id(store):
    store.erase("c0002")
    file = copying.sqlite_path(url_of(store))
    store.close()
    assert b"c0002" not in file.read_bytes()


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_backup_is_of_one_moment_while_the_store_is_written(store, tmp_path):
    """Each publication leaves as many scores as documents, and so does each backup."""
    stop, faults = threading.Event(), []

    def write() -> None:
        try:
            while not stop.is_set():
                published.publish(store, published.scores(40))
        except Exception as error:
            faults.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(4):
            file = tmp_path / f"{number}.db"
            made = backup(url_of(store), file)
            with closing(sqlite3.connect(file)) as connection:
                promised, scores, documents = (
                    connection.execute(query).fetchone()[0]
                    for query in (
                        "SELECT sum(customers) FROM runs WHERE published_at IS NOT NULL",
                        "SELECT count(*) FROM scores JOIN runs ON id = run_id AND published_at > 0",
                        "SELECT count(*) FROM documents JOIN runs ON id = run_id "
                        "AND published_at > 0",
                    )
                )
            assert promised == scores == documents == made.scores
    finally:
        stop.set()
        writer.join()
    assert faults == []


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize("step", ["copy_pages", "empty_log", "check_is_store", "finish_file"])
def test_stopped_at_any_step_a_restore_leaves_the_old_store_or_the_new(
    store, tmp_path, monkeypatch, step
):
    file = tmp_path / "backup.db"
    backup(url_of(store), file)
    published.publish(store, published.scores(5))
    before = content(store.engine)
    real, calls = getattr(copying, step), []

    def stop(*arguments):
        calls.append(step)
        if step != "copy_pages" or len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as stopped:
        stopped.setattr(copying, step, stop)
        with pytest.raises(KeyboardInterrupt):
            restore(file, url_of(store), overwrite=True)
    if step != "empty_log":  # after which it is in place
        assert content(store.engine) == before
    assert restore(file, url_of(store), overwrite=True).runs == 2


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_what_is_no_backup_is_refused(store, tmp_path):
    file = tmp_path / "backup.db"
    with pytest.raises(UsageError, match="does not exist"):
        restore(file, url_of(store))
    backup(url_of(store), file)
    with pytest.raises(UsageError, match="exists; name a new file"):
        backup(url_of(store), file)
    newer = shutil.copy(file, tmp_path / "newer.db")
    with closing(sqlite3.connect(newer)) as connection, connection:
        connection.execute("INSERT INTO store_version VALUES (?)", (VERSION + 1,))
    with pytest.raises(UsageError, match="newer stagecast"):
        restore(newer, url_of(store), overwrite=True)
    edited = shutil.copy(file, tmp_path / "edited.db")
    with closing(sqlite3.connect(edited)) as connection, connection:
        connection.execute("UPDATE settled SET body = replace(body, 'settled', 'better')")
    with pytest.raises(DataRefusedError, match="row 1 of the ledger"):
        restore(edited, url_of(store), overwrite=True)
    torn = tmp_path / "torn.db"
    torn.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DataRefusedError, match="damaged"):
        restore(torn, url_of(store), overwrite=True)
    (tmp_path / "text.db").write_text("no database" * 200)
    with pytest.raises(DataRefusedError, match="damaged or no store"):
        restore(tmp_path / "text.db", url_of(store), overwrite=True)
    assert published.publish(store, published.scores(3)) == 3


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_backup_of_an_earlier_version_is_upgraded(store, tmp_path):
    file = tmp_path / "backup.db"
    backup(url_of(store), file)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE store_version SET version = 3")
        connection.execute("ALTER TABLE scores DROP COLUMN window_closes")
        connection.execute("DROP TABLE erasure_notes")
    done = restore(file, f"sqlite:///{tmp_path / 'new.db'}")
    assert (done.upgraded_from, done.runs) == (3, 2)


def with_a_plan(store: Store, run_id: int) -> None:
    row = {
        "name": "spring",
        "owner": "ann",
        "state": "closed",
        "run_id": run_id,
        "as_of": NOW,
        "starts_at": NOW,
        "window_days": 30,
        "created_at": NOW,
        "request": {},
        "proposal": {},
    }
    with store.engine.begin() as connection:
        connection.execute(plans.insert().values(**row))


def test_pruning_deletes_old_runs_and_nothing_that_is_needed(store):
    for _ in range(3):
        published.publish(store, published.scores(10))  # runs 3, 4 and 5; 1 is settled
    with_a_plan(store, 3)
    ledger = content(store.engine)["settled"]
    looked = prune(store.engine, Retention(runs=1), NOW, dry_run=True)
    assert [fate.run for fate in looked.deleted] == [1]
    assert len(store.runs(limit=10)) == 5
    done = prune(store.engine, Retention(runs=1, unsettled=True), NOW)
    assert [fate.run for fate in done.deleted] == [4, 2, 1]
    reasons = {fate.run: fate.reasons for fate in done.stored}
    assert reasons == {
        5: ("it is the current run", "it is among the newest 1"),
        3: ("the plan spring is made of it",),
    }
    assert [run.id for run in store.runs(limit=10)] == [5, 3]
    counts = {name: len(rows) for name, rows in content(store.engine).items()}
    assert (counts["scores"], counts["documents"], counts["plans"]) == (20, 20, 1)
    assert content(store.engine)["settled"] == ledger
    assert done.problem is None
    if store.engine.dialect.name == "sqlite":  # PostgreSQL uses the space again
        assert done.bytes_after < done.bytes_before


def test_days_and_runs_each_keep(store):
    with store.engine.begin() as connection:
        connection.execute(
            runs.update().where(runs.c.id == 1).values(published_at=NOW - timedelta(days=40))
        )
    assert not prune(store.engine, Retention(days=41), NOW).deleted
    assert not prune(store.engine, Retention(runs=2, days=39), NOW).deleted
    assert [fate.run for fate in prune(store.engine, Retention(days=39), NOW).deleted] == [1]


def test_a_pruning_stopped_halfway_leaves_whole_runs(store, monkeypatch):
    published.publish(store, published.scores(10))
    real, done = prune_module._delete_run, []

    def stop(engine, run_id):
        if done:
            raise KeyboardInterrupt
        done.append(run_id)
        real(engine, run_id)

    monkeypatch.setattr(prune_module, "_delete_run", stop)
    with pytest.raises(KeyboardInterrupt):
        prune(store.engine, Retention(runs=1, unsettled=True), NOW)
    assert done == [1]
    assert [(run.id, run.customers) for run in store.runs(limit=5)] == [(3, 10), (2, 20)]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_run_in_writing_is_no_run_to_prune(store, monkeypatch):
    with monkeypatch.context() as killed:
        killed.setattr(
            publishing,
            "_make_current",
            lambda engine, run_id, expected: (
                prune(engine, Retention(runs=1, unsettled=True), NOW),
                _make_current(engine, run_id, expected),
            ),
        )
        assert published.publish(store, published.scores(10)) == 3
    assert store.count(store.current_run(), Filters()) == 10


def test_the_commands_say_what_they_did(tmp_path):
    store = published.open_store(tmp_path, published.scores(10), published.scores(12))
    file = tmp_path / "backup.db"
    at = ["--store", url_of(store)]

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(cli, ["store", *arguments, *at], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    assert "2 run(s) with 22 scores, 0 settled; checked." in run("backup", str(file))
    store.erase("c0003")
    looked = run("prune", "--keep-runs", "1", "--unsettled", "--dry-run")
    assert "1 run(s) would be deleted, 1 stay." in looked
    output = json.loads(run("prune", "--keep-runs", "1", "--unsettled", "--json"))
    assert [fate["run"] for fate in output["deleted"]] == [1]
    restored = run("restore", str(file), "--overwrite")
    assert "1 customer(s) who were erased since did not come back" in restored
    with pytest.raises(UsageError, match="--keep-runs N or --keep-days D"):
        run("prune")
    (tmp_path / "ids.txt").write_text("c0004\n\n")
    listed = run(
        "restore", str(file), "--overwrite", "--erased", str(tmp_path / "ids.txt"), "--json"
    )
    assert json.loads(listed)["erased_again"] == 2
    with pytest.raises(UsageError, match="--erased"):
        run("restore", str(file), "--overwrite", "--erased", str(tmp_path / "none.txt"))
    assert sorted(p.name for p in Path(tmp_path).glob("*.part*")) == []
    store.close()
