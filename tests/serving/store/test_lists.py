"""The list of a run: its pages are those of the scores, by index, and its sums are right."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections import Counter

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagecast.serving.store.lists import building, pages
from stagecast.serving.store.lists.tables import flows, list_name, run_lists, segments
from stagecast.serving.store.publishing import discard_run
from stagecast.serving.store.queries import SORTS, Filters, Order
from stagecast.serving.store.store import Store
from stagecast.serving.store.tables import runs
from stagecast.serving.upkeep.backup import backup
from stagecast.serving.upkeep.restore import restore
from tests.postgres import postgres_url  # noqa: F401
from tests.profiles import examples
from tests.serving import published
from tests.serving.store.test_store import (
    DATABASES,
    FILTERS,
    LATER,
    by_hand,
    filled,  # noqa: F401
    ids_of,
    new_database,  # noqa: F401
    new_store,  # noqa: F401
    passes,
    store,  # noqa: F401
    the_run,
)

pytestmark = pytest.mark.slow

CUSTOMERS = 321


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    filters=FILTERS,
    column=st.sampled_from(SORTS),
    descending=st.booleans(),
    limit=st.integers(1, 60),
)
def test_pages_of_a_large_list_are_the_sorted_list(filled, filters, column, descending, limit):  # noqa: F811
    """As where every filter leaves too many customers to be sorted."""
    rows = published.scores(CUSTOMERS, extra=published.HOSTILE_IDS).to_pylist()
    order = Order(column, descending)
    with pytest.MonkeyPatch.context() as large:
        large.setattr(pages, "FEW", 2)
        large.setattr(pages, "LEAST_PORTION", 1)
        actual = [name for page in ids_of(filled, filters, order, limit) for name in page]
    assert actual == by_hand(rows, filters, order)


@settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(filters=FILTERS)
def test_totals_are_those_of_the_rows(filled, filters):  # noqa: F811
    rows = published.scores(CUSTOMERS, extra=published.HOSTILE_IDS).to_pylist()
    chosen = [row for row in rows if passes(row, filters)]
    totals = filled.totals(the_run(filled), filters)
    assert totals.customers == len(chosen)
    for name in ("value_at_risk", "value_gone", "clv", "spend"):
        values = [row[name] for row in chosen if row[name] is not None]
        assert getattr(totals, name) == (pytest.approx(sum(values)) if values else None), name


SELECTIONS = (
    Filters(),
    Filters(stages=("loyal", "at_risk")),
    Filters(band="high"),
    Filters(state="lapsed"),
    Filters(min_value=10.0),
    Filters(q="c0"),
)


def statements_of(engine: sa.Engine) -> list[tuple[str, object]]:
    """Return a list to which the statements on lists are added, with their values."""
    statements: list[tuple[str, object]] = []

    @sa.event.listens_for(engine, "before_cursor_execute")
    def note(connection, cursor, statement, parameters, context, executemany):
        if "list_" in statement and statement.startswith("SELECT"):
            statements.append((statement, parameters))

    return statements


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("column", SORTS)
def test_every_page_is_read_from_an_index(filled, column, descending, monkeypatch):  # noqa: F811
    """No statement reads a list from end to end, nor sorts what many customers pass."""
    monkeypatch.setattr(pages, "FEW", 2)
    statements = statements_of(filled.engine)
    order = Order(column, descending)
    for filters in SELECTIONS:
        page = filled.customers(the_run(filled), filters, order, limit=5)
        filled.customers(the_run(filled), filters, order, limit=5, cursor=page.next_cursor)
    assert len(statements) > 2 * len(SELECTIONS)
    sqlite = filled.engine.dialect.name == "sqlite"
    with filled.engine.connect() as connection:
        if not sqlite:  # a list as small as this one would be read from end to end
            for name in ("seqscan", "sort", "bitmapscan"):
                connection.exec_driver_sql(f"SET enable_{name} = off")
        for statement, values in statements:
            explain = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
            plan = connection.exec_driver_sql(explain + statement, values).all()
            text = "\n".join(str(row[-1]) for row in plan)
            scans = re.findall(r"SCAN list_\d+(?! USING (?:COVERING )?INDEX)", text)
            assert not scans, (statement, text)
            assert "Seq Scan on list_" not in text, (statement, text)
            assert "TEMP B-TREE" not in text, (statement, text)


def test_the_newest_two_runs_have_a_list_and_older_ones_answer_the_same(store):  # noqa: F811
    scored = published.scores(60)
    published.put(store, scored)
    first = the_run(store)
    asked = [
        (filters, Order(column, descending))
        for filters in SELECTIONS
        for column in ("value_at_risk", "orders", "stage", "customer_id", "next_order_date")
        for descending in (True, False)
    ]
    before = [store.customers(first, *question, limit=7).documents for question in asked]
    totals = [store.totals(first, filters) for filters in SELECTIONS]
    stages = store.stages(first)
    for _ in range(2):
        published.publish(store, published.scores(20, as_of=LATER))
    tables = sa.inspect(store.engine).get_table_names()
    assert {name for name in tables if name.startswith("list_")} == {"list_2", "list_3"}
    store._totals.cache_clear()
    assert [store.customers(first, *question, limit=7).documents for question in asked] == before
    for filters, expected in zip(SELECTIONS, totals, strict=True):
        actual = store.totals(first, filters)
        assert vars(actual) == {
            name: pytest.approx(value) for name, value in vars(expected).items()
        }
    assert [total.customers for total in store.stages(first)] == [t.customers for t in stages]


def test_a_list_that_is_dropped_while_it_is_read_is_read_from_the_scores(store):  # noqa: F811
    """As when another process publishes a run, between two statements of a page."""
    published.put(store, published.scores(30))
    run, filters, order = the_run(store), Filters(q="c00"), Order("clv", True)
    expected = store.customers(run, filters, order, limit=10).documents
    customers = store.totals(run, filters).customers
    store._totals.cache_clear()
    other = sa.create_engine(store.engine.url)
    drops = []

    @sa.event.listens_for(store.engine, "before_cursor_execute")
    def drop_first(connection, cursor, statement, parameters, context, executemany):
        if f"FROM {list_name(run.id)}" in statement.replace("\n", "") and not drops:
            drops.append(statement)
            building.drop(other, run.id)

    for question in (
        lambda: store.customers(run, filters, order, limit=10).documents == expected,
        lambda: store.totals(run, filters).customers == customers,
    ):
        assert question()
        assert len(drops) == 1
        assert building.build(store.engine, run.id)
        drops.clear()
    other.dispose()


def test_flows_from_a_run_go_with_it(store):  # noqa: F811
    published.put(store, published.scores(20), published.scores(20, as_of=LATER))
    assert store.flows(the_run(store)).flows
    with store.engine.begin() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(flows))
        connection.execute(runs.update().where(runs.c.id == 1).values(published_at=None))
    discard_run(store.engine, 1)
    assert store.flows(the_run(store)).flows == []
    with store.engine.connect() as connection:
        assert not connection.scalar(sa.select(sa.func.count()).select_from(flows))
    assert store.erase("c0003")


def test_a_cursor_goes_on_when_a_list_comes_or_goes(store):  # noqa: F811
    published.put(store, published.scores(60))
    run = the_run(store)
    for order in (Order("orders", False), Order("stage", True), Order("customer_id", False)):
        whole = [name for page in ids_of(store, Filters(), order, 60) for name in page]
        first = store.customers(run, Filters(), order, limit=20)
        building.drop(store.engine, run.id)
        second = store.customers(run, Filters(), order, limit=20, cursor=first.next_cursor)
        assert building.build(store.engine, run.id)
        third = store.customers(run, Filters(), order, limit=20, cursor=second.next_cursor)
        documents = first.documents + second.documents + third.documents
        assert [re.search('"customer_id":"([^"]*)"', text)[1] for text in documents] == whole


def test_an_erased_customer_is_out_of_pages_sums_and_flows(store, monkeypatch):  # noqa: F811
    monkeypatch.setattr(building, "PORTION", 7)
    earlier, later = published.scores(40, seed=3), published.scores(50, seed=4, as_of=LATER)
    published.publish(store, earlier)
    published.publish(store, later)
    page = store.customers(the_run(store), Filters(), Order("customer_id", False), limit=11)
    for name in ("c0010", "c0045"):  # the last of the page, and one who is new
        assert store.forget(name) is not None
    rows = [row for row in later.to_pylist() if row["customer_id"] not in ("c0010", "c0045")]
    run = the_run(store)
    assert store.totals(run, Filters()).customers == 48
    for total in store.stages(run):
        here = [row for row in rows if row["stage"] == total.stage]
        assert total.customers == len(here)
        risks = [row["value_at_risk"] for row in here if row["value_at_risk"] is not None]
        assert total.value_at_risk == (pytest.approx(sum(risks)) if risks else None)
    before = {row["customer_id"]: row["stage"] for row in earlier.to_pylist()}
    expected = Counter((before.get(row["customer_id"]), row["stage"]) for row in rows)
    assert {(a, b): n for a, b, n in store.flows(run).flows} == dict(expected)
    following = store.customers(
        run, Filters(), Order("customer_id", False), limit=3, cursor=page.next_cursor
    )
    assert '"customer_id":"c0011"' in following.documents[0]
    with store.engine.connect() as connection:
        listed = connection.scalars(sa.text(f"SELECT customer_id FROM {list_name(run.id)}")).all()
    assert not {"c0010", "c0045"} & set(listed)


@pytest.mark.parametrize("step", ["_upper_end", "_insert", "index_statements"])
def test_a_list_that_cannot_be_built_leaves_nothing(store, monkeypatch, step):  # noqa: F811
    published.put(store, published.scores(10))

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(building, step, stop)
        with pytest.raises(KeyboardInterrupt):
            published.publish(store, published.scores(20, as_of=LATER))
    assert the_run(store).id == 1
    assert not sa.inspect(store.engine).has_table("list_2")
    with store.engine.connect() as connection:
        for table in (run_lists, segments):
            assert set(connection.scalars(sa.select(table.c.run_id))) == {1}
    assert published.publish(store, published.scores(5, as_of=LATER)) == 3


KILLED = """
import os, signal, sys
from pathlib import Path
from stagecast.serving.store.lists import building
from tests.serving import published

setattr(building, sys.argv[2], lambda *_: os.kill(os.getpid(), signal.SIGKILL))
published.publish(published.open_store(Path(sys.argv[1])), published.scores(30))
"""


@pytest.mark.parametrize("step", ["_insert", "index_statements"])
def test_a_publication_killed_while_its_list_is_built_leaves_the_store_usable(tmp_path, step):
    first = published.open_store(tmp_path)
    published.publish(first, published.scores(60))
    child = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), step], check=False)
    assert child.returncode == -signal.SIGKILL
    for opened in (first, published.open_store(tmp_path)):
        assert sa.inspect(opened.engine).has_table("list_2")  # half of it
        assert opened.count(the_run(opened), Filters()) == 60
        assert len(opened.customers(the_run(opened), Filters(), Order("clv", True)).documents) == 50
    assert published.publish(first, published.scores(20)) == 3
    assert not sa.inspect(first.engine).has_table("list_2")
    assert first.count(the_run(first), Filters()) == 20
    opened.close()
    first.close()


def test_who_is_erased_while_a_list_is_built_is_not_in_it(store, monkeypatch):  # noqa: F811
    published.publish(store, published.scores(40))
    run = the_run(store)
    building.drop(store.engine, run.id)
    monkeypatch.setattr(building, "PORTION", 10)
    real, portions = building._insert, []

    def erase_between(connection, run_id, last, upper, before):
        real(connection, run_id, last, upper, before)
        portions.append(upper)

    def ends(engine, run_id, last):
        if len(portions) == 2:  # one who is inserted, and one who is to be
            for name in ("c0003", "c0033"):
                store.forget(name)
        return real_end(engine, run_id, last)

    real_end = building._upper_end
    monkeypatch.setattr(building, "_insert", erase_between)
    monkeypatch.setattr(building, "_upper_end", ends)
    assert building.build(store.engine, run.id)
    assert len(portions) == 4
    assert store.totals(run, Filters()).customers == 38
    (names,) = ids_of(store, Filters(), Order("customer_id", False), 50)
    assert names == [f"c{k:04d}" for k in range(40) if k not in (3, 33)]


def test_two_processes_build_a_list_once_and_a_stopped_one_is_taken_over(store, monkeypatch):  # noqa: F811
    published.put(store, published.scores(10))
    run = the_run(store)
    building.drop(store.engine, run.id)
    assert building._claim(store.engine, run.id)
    assert not building.build(store.engine, run.id)  # the other one is at it
    assert store.count(run, Filters()) == 10
    with store.engine.begin() as connection:  # it was killed when it had begun, an hour ago
        connection.execute(run_lists.update().values(begun_at=LATER))
        connection.exec_driver_sql(f"CREATE TABLE {list_name(run.id)} (position INTEGER)")
    building.build_missing(store.engine)
    assert sa.inspect(store.engine).get_columns(list_name(run.id))[1]["name"] == "customer_id"
    assert not building.build(store.engine, run.id)  # it is built


def test_each_step_of_a_build_renews_its_claim_and_one_that_is_overtaken_ends(store, monkeypatch):  # noqa: F811
    published.publish(store, published.scores(10))
    run = the_run(store)
    building.drop(store.engine, run.id)
    begun = []

    def watched(connection, *arguments):
        begun.append(connection.scalar(sa.select(run_lists.c.begun_at)))
        real_insert(connection, *arguments)
        if len(begun) > 3:  # another process believed that this one was stopped
            connection.execute(run_lists.update().values(begun_at=LATER))

    real_insert = building._insert
    monkeypatch.setattr(building, "_insert", watched)
    monkeypatch.setattr(building, "PORTION", 2)
    assert not building.build(store.engine, run.id)
    assert len(begun) == 4
    assert sorted(set(begun)) == begun
    with store.engine.connect() as connection:  # what the other has is left alone
        assert connection.scalar(sa.select(run_lists.c.begun_at)) == LATER
        assert connection.scalar(sa.select(run_lists.c.built_at)) is None


@pytest.mark.parametrize("target", DATABASES)
def test_a_restored_store_has_lists_of_what_was_restored(store, target, new_database, tmp_path):  # noqa: F811
    published.put(store, published.scores(30))
    file, url = tmp_path / "backup.db", new_database(target)
    backup(store.engine.url.render_as_string(hide_password=False), file)
    other = Store.open(url)
    published.publish(other, published.scores(50, seed=9))
    published.publish(other, published.scores(50, seed=9, as_of=LATER))
    other.close()
    restore(file, url, overwrite=True, erased=["c0003"])
    restored = Store.open(url)
    tables = sa.inspect(restored.engine).get_table_names()
    assert {name for name in tables if name.startswith("list_")} == {"list_1"}
    with restored.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(flows)) == 0
    assert restored.count(the_run(restored), Filters()) == 29
    (names,) = ids_of(restored, Filters(), Order("customer_id", False), 50)
    assert names == [f"c{k:04d}" for k in range(30) if k != 3]
    restored.close()
