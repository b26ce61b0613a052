"""A store of each earlier version is upgraded when it is opened, and answers what it held."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import cache

import pytest
import sqlalchemy as sa

from stagecast.serving.http.app import create_app
from stagecast.serving.settings import Settings
from stagecast.serving.settled.ledger import _hash
from stagecast.serving.store import opening
from stagecast.serving.store.evidence import evidence
from stagecast.serving.store.lists import building
from stagecast.serving.store.lists.tables import derived
from stagecast.serving.store.opening import SUPERSEDED, TABLES
from stagecast.serving.store.plan_tables import contacts, plans, profiles, settled
from stagecast.serving.store.queries import Filters
from stagecast.serving.store.store import Store
from stagecast.serving.store.tables import VERSION, runs, store_version
from tests.postgres import postgres_url  # noqa: F401
from tests.serving import published, web
from tests.serving.store.earlier_versions import VERSIONS, columns_since, make_earlier
from tests.serving.store.test_store import DATABASES, new_database  # noqa: F401

pytestmark = pytest.mark.slow

LATER = datetime(1998, 4, 1, tzinfo=UTC)
NOW = datetime(1998, 5, 1, tzinfo=UTC)
ERASED = "c0007"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A store of this version: two runs, a plan, contacts, a settled run, and an erasure.

    It is only read.
    """
    store = published.open_store(
        tmp_path_factory.mktemp("source"),
        published.scores(60, extra=published.HOSTILE_IDS),
        published.scores(50, seed=8, as_of=LATER),
    )
    with store.engine.begin() as connection:
        plan = {
            "name": "spring",
            "owner": "ann",
            "state": "draft",
            "run_id": 2,
            "as_of": LATER,
            "starts_at": NOW,
            "window_days": 30,
            "created_at": NOW,
            "request": {},
            "proposal": {},
        }
        connection.execute(plans.insert().values(**plan))
        of_customer = {"customer_id": "c0001", "attributes": {}, "updated_at": NOW}
        connection.execute(profiles.insert().values(**of_customer, do_not_contact=True))
        connection.execute(
            contacts.insert().values(customer_id="c0002", contacted_at=NOW, source="log")
        )
        body, start = json.dumps({"run": 1}), "0" * 64
        row = {"run_id": 1, "settled_at": NOW, "body": body, "previous_hash": start}
        connection.execute(settled.insert().values(**row, hash=_hash(start, body)))
    store.erase(ERASED)
    yield store
    store.close()


@pytest.fixture(scope="module")
def answers_of(source, tmp_path_factory):
    """Return what a store of this version answers that holds what a version could hold."""

    @cache
    def made(version: int) -> dict[str, tuple[int, object]]:
        file = tmp_path_factory.mktemp("reduced") / "stagecast.db"
        with closing(sqlite3.connect(file)) as copy:
            copy.execute("PRAGMA auto_vacuum=INCREMENTAL")
            with closing(source.engine.raw_connection()) as connection:
                connection.driver_connection.backup(copy)
        reduced = Store.open(f"sqlite:///{file}")
        without_columns_since(reduced, version)
        expected = answers(reduced)
        reduced.close()
        return expected

    return made


def without_columns_since(store: Store, version: int) -> None:
    """Empty what a store of that version cannot have held."""
    with store.engine.begin() as connection:
        for table, names in columns_since(version).items():
            emptied = ", ".join(f"{name} = NULL" for name in names)
            connection.exec_driver_sql(f"UPDATE {table} SET {emptied}")
        connection.execute(evidence.delete())  # the customers expected on each stage
    for run_id in (1, 2):
        building.drop(store.engine, run_id)
    building.build_missing(store.engine)


PATHS = (
    "/v1/runs",
    "/v1/customers?limit=20",
    "/v1/customers?limit=7&sort=recency_days&state=active",
    "/v1/customers?sort=-win_back&state=lapsed",
    "/v1/customers?sort=stage&churn_band=high",
    "/v1/customers?sort=-spend&min_value_at_risk=10",
    "/v1/customers?sort=-days_overdue&state=active",
    "/v1/customers?sort=orders&customer_id_prefix=c00",
    "/v1/customers?run=1&sort=-clv",
    "/v1/totals?stage=loyal&stage=repeat",
    "/v1/totals?run=1",
    "/v1/stages",
    "/v1/stages/flows",
    "/v1/customers/c0001",
    f"/v1/customers/{ERASED}",
    "/v1/customer?id=a/b/../c",
)


def answers(store: Store, paths: Sequence[str] = PATHS) -> dict[str, tuple[int, object]]:
    """Return what the API answers, without what names the request."""
    url = store.engine.url.render_as_string(hide_password=False)
    app = create_app(Settings(store=url), scorer_loader=lambda _: web.FakeScorer(), store=store)
    with web.client(app) as http:
        result = {}
        for path in paths:
            answer = http.get(path)
            content = answer.json()
            if answer.status_code != 200:
                content = content["type"]
            result[path] = (answer.status_code, content)
    return result


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_store_of_an_earlier_version_answers_what_it_held(
    source,
    answers_of,
    new_database,  # noqa: F811
    database,
    version,
):
    url = new_database(database)
    make_earlier(url, version, source.engine)
    Store.open(url).close()
    upgraded = Store.open(url)  # a second time there is nothing to do
    inspector = sa.inspect(upgraded.engine)
    tables = set(inspector.get_table_names())
    assert {table.name for table in (*TABLES, *derived.sorted_tables)} <= tables
    assert {"list_1", "list_2"} <= tables
    assert {index["name"] for index in inspector.get_indexes("scores")}.isdisjoint(SUPERSEDED)
    expected, actual = answers_of(version), answers(upgraded)
    assert expected[f"/v1/customers/{ERASED}"][0] == 404
    for path in PATHS:
        if actual[path] != expected[path]:  # most are equal, which is soon found
            assert actual[path] == close(expected[path]), path
    with upgraded.engine.connect() as connection:
        for table in (plans, profiles, contacts, settled) if version >= 3 else ():
            assert len(connection.execute(sa.select(table)).all()) == 1, table.name
    if version >= 5:  # who was erased before is known yet
        assert upgraded._erasures() == 1
    assert published.publish(upgraded, published.scores(30, as_of=NOW)) == 3
    assert upgraded.count(upgraded.current_run(), Filters()) == 30
    upgraded.close()


def close(content):
    """Return what equals the same content whose sums were added up in another order."""
    if isinstance(content, float):
        return pytest.approx(content, rel=1e-12)
    if isinstance(content, dict):
        return {name: close(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return type(content)(close(value) for value in content)
    return content


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize("step", ["_upper_end", "_insert", "index_statements", "move_log"])
def test_an_interrupted_upgrade_answers_meanwhile_and_is_finished_later(
    source,
    new_database,  # noqa: F811
    database,
    step,
    monkeypatch,
):
    url = new_database(database)
    make_earlier(url, 5, source.engine)

    def stop(*_):
        raise KeyboardInterrupt

    place = opening if step == "move_log" else building
    with monkeypatch.context() as stopped:
        stopped.setattr(place, step, stop)
        with pytest.raises(KeyboardInterrupt):
            Store.open(url)
        # another process opens it while nothing can be built
        stopped.setattr(place, step, lambda *_: (_ for _ in ()).throw(busy()))
        between = Store.open(url)
        first_page = PATHS[1:2]
        expected = answers(source, first_page)
        assert expected["/v1/customers?limit=20"][0] == 200
        assert answers(between, first_page) == expected
        between.close()
    upgraded = Store.open(url)
    with upgraded.engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT run_id FROM run_lists WHERE built_at > :t"), {
            "t": datetime(2000, 1, 1)
        }).scalars()  # fmt: skip
        assert sorted(rows) == [1, 2]
    inspector = sa.inspect(upgraded.engine)
    assert {index["name"] for index in inspector.get_indexes("scores")}.isdisjoint(SUPERSEDED)
    assert answers(upgraded, first_page) == expected
    upgraded.close()


def busy() -> sa.exc.OperationalError:
    return sa.exc.OperationalError("insert", None, Exception("database is locked"))


def test_a_reader_that_has_the_store_open_goes_on_while_it_is_upgraded(source, new_database):  # noqa: F811
    url = new_database("sqlite")
    make_earlier(url, 5, source.engine)
    with sa.create_engine(url).connect() as reader:
        page = sa.text("SELECT customer_id FROM scores WHERE run_id = 2 ORDER BY clv DESC LIMIT 5")
        before = reader.execute(page).all()
        upgraded = Store.open(url)
        assert reader.execute(page).all() == before
        reader.rollback()
        assert reader.execute(page).all() == before
    with upgraded.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(runs)) == 2
        assert connection.scalar(sa.select(sa.func.max(store_version.c.version))) == VERSION
    upgraded.close()
