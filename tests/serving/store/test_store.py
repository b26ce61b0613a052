"""The store: a run is whole or not there, and the pages of a list are the list."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.serving.scoring import score_schema
from stagecast.serving.store import publishing
from stagecast.serving.store.exports import csv_pieces
from stagecast.serving.store.opening import open_engine
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.queries import SORTS, Filters, Order
from stagecast.serving.store.stage_totals import StageFlows
from stagecast.serving.store.store import Store
from stagecast.serving.store.tables import VERSION, store_version
from tests.postgres import new_database as new_postgres_database
from tests.postgres import postgres_url  # noqa: F401
from tests.profiles import examples
from tests.serving import published

pytestmark = pytest.mark.slow

LATER = datetime(1998, 4, 1, tzinfo=UTC)


DATABASES = ["sqlite", "postgresql"]


@pytest.fixture(scope="session")
def new_database(postgres_url, tmp_path_factory):  # noqa: F811
    """Make an empty database of a kind, and return its URL."""

    def make(kind):
        if kind == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp('store') / 'stagecast.db'}"
        return new_postgres_database(postgres_url)

    return make


@pytest.fixture(scope="session")
def new_store(postgres_url, tmp_path_factory):  # noqa: F811
    """Open a new store of a kind that holds scores, see :func:`published.open_store`."""

    def make(kind, *scored, past=()):
        if kind == "sqlite":
            return published.open_store(tmp_path_factory.mktemp("store"), *scored, past=past)
        return Store.open(published.postgres_store(postgres_url, *scored, past=past))

    return make


@pytest.fixture(scope="module", params=DATABASES)
def filled(request, new_store):
    store = new_store(request.param, published.scores(321, extra=published.HOSTILE_IDS))
    yield store
    store.close()


@pytest.fixture(params=DATABASES)
def store(request, new_store):
    store = new_store(request.param)
    yield store
    store.close()


def the_run(store: Store) -> Run:
    run = store.current_run()
    assert run is not None
    return run


def ids_of(store: Store, filters: Filters, order: Order, limit: int) -> list[list[str]]:
    """Return the ids of each page."""
    run, cursor, pages = the_run(store), None, []
    while True:
        page = store.customers(run, filters, order, limit=limit, cursor=cursor)
        pages.append([contract_id(document) for document in page.documents])
        cursor = page.next_cursor
        if cursor is None:
            return pages


def contract_id(document: str) -> str:
    return json.loads(document)["customer_id"]


def passes(row: dict, filters: Filters) -> bool:
    return (
        (not filters.stages or row["stage"] in filters.stages)
        and filters.band in (None, row["churn_band"])
        and filters.state in (None, row["state"])
        and (
            filters.min_value is None
            or (row["value_at_risk"] is not None and row["value_at_risk"] >= filters.min_value)
        )
        and (not filters.q or row["customer_id"].startswith(filters.q))
    )


def by_hand(rows: list[dict], filters: Filters, order: Order) -> list[str]:
    """Rank with Python: nulls last either way, ties by customer id."""
    rows = [
        {**row, "win_back": row["value_gone"] * row["p_return"]}
        if row["state"] == "lapsed" and row["p_return"] is not None
        else {**row, "win_back": None}
        for row in rows
    ]
    remaining = sorted(
        (row for row in rows if passes(row, filters)), key=lambda row: row["customer_id"]
    )
    sample = [row for row in remaining if row[order.column] is not None]
    sample.sort(
        key=lambda row: row[order.column], reverse=order.descending
    )  # stable, also in reverse
    return [
        row["customer_id"]
        for row in sample + [row for row in remaining if row[order.column] is None]
    ]


@pytest.mark.parametrize("column", SORTS)
@pytest.mark.parametrize("descending", [True, False])
def test_pages_put_together_are_the_sorted_list(filled, column, descending):
    rows = published.scores(321, extra=published.HOSTILE_IDS).to_pylist()
    order = Order(column, descending)
    pages = ids_of(filled, Filters(), order, limit=40)
    assert [len(page) for page in pages] == [40] * 8 + [9]
    assert [name for page in pages for name in page] == by_hand(rows, Filters(), order)


FILTERS = st.builds(
    Filters,
    stages=st.lists(st.sampled_from(published.STAGES), max_size=3, unique=True).map(tuple),
    band=st.sampled_from([None, "low", "medium", "high"]),
    state=st.sampled_from([None, "active", "lapsed", "prospect"]),
    min_value=st.sampled_from([None, 0.0, 10.0, 40.0]),
    q=st.sampled_from([None, "", "c", "c00", "c01", "%", "_", "<", "م", "🦊", "' OR 1=1 --"]),
)


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    filters=FILTERS,
    column=st.sampled_from(SORTS),
    descending=st.booleans(),
    limit=st.integers(1, 400),
)
def test_any_filter_and_order_loses_and_doubles_nobody(filled, filters, column, descending, limit):
    rows = published.scores(321, extra=published.HOSTILE_IDS).to_pylist()
    order = Order(column, descending)
    wanted = by_hand(rows, filters, order)
    assert [name for page in ids_of(filled, filters, order, limit) for name in page] == wanted
    assert filled.count(the_run(filled), filters) == len(wanted)
    assert [contract_id(d) for d in filled.all_customers(the_run(filled), filters, order)] == wanted


def test_a_cursor_says_how_many_were_seen(filled):
    run, order = the_run(filled), Order.parse("-value_at_risk")
    first = filled.customers(run, Filters(), order, limit=10)
    second = filled.customers(run, Filters(), order, limit=10, cursor=first.next_cursor)
    assert (first.seen, second.seen) == (0, 10)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "🦊",
        "AAAA",
        "W10",
        "bnVsbA",
        "' OR 1=1 --",
        "WzEsIiIsMCwiXHVkODAwIiwiYSJd",
        "e30" * 500,
        "=",
        "W" * 5000,
    ],
)
def test_a_damaged_cursor_is_refused(filled, cursor):
    with pytest.raises(UsageError, match="cursor"):
        filled.customers(the_run(filled), Filters(), Order.parse("clv"), cursor=cursor)


def test_a_cursor_of_other_filters_or_another_order_is_refused(filled):
    run, order = the_run(filled), Order.parse("-clv")
    cursor = filled.customers(run, Filters(), order, limit=5).next_cursor
    with pytest.raises(UsageError, match="other filters"):
        filled.customers(run, Filters(band="high"), order, cursor=cursor)
    with pytest.raises(UsageError, match="another order"):
        filled.customers(run, Filters(), Order.parse("clv"), cursor=cursor)
    with pytest.raises(UsageError, match="new scores were published"):
        filled.customers(replace(run, id=run.id + 1), Filters(), order, cursor=cursor)


def test_an_unknown_order_is_refused_with_the_nearest(filled):
    with pytest.raises(UsageError, match="Did you mean 'value_at_risk'"):
        Order.parse("-value_at_rsk")


def test_stage_totals_are_those_of_the_table(filled):
    rows = published.scores(321, extra=published.HOSTILE_IDS).to_pylist()
    totals = filled.stages(the_run(filled))
    assert [total.stage for total in totals] == the_run(filled).stage_ids
    for total in totals:
        here = [row for row in rows if row["stage"] == total.stage]
        assert total.customers == len(here)
        risks = [row["value_at_risk"] for row in here if row["value_at_risk"] is not None]
        assert total.value_at_risk == (pytest.approx(sum(risks)) if risks else None)


def test_flows_are_counted_between_the_last_two_runs_of_one_scheme(store):
    earlier = published.scores(80, seed=3, as_of=published.AS_OF.replace(year=1997))
    later = published.scores(100, seed=4)
    published.put(store, earlier)
    assert store.flows(the_run(store)) == StageFlows(None, [])
    published.publish(store, later)
    # a second run of the same day is no step, nor is one of another scheme
    other = load_scheme("clm5")
    actual = store.flows(the_run(store))
    assert actual.earlier_as_of == published.AS_OF.replace(year=1997)
    before = {row["customer_id"]: row["stage"] for row in earlier.to_pylist()}
    by_hand = Counter((before.get(row["customer_id"]), row["stage"]) for row in later.to_pylist())
    assert {(a, b): n for a, b, n in actual.flows} == dict(by_hand)
    assert sum(n for _, _, n in actual.flows) == 100
    published.publish(store, published.scores(100, seed=5))
    assert store.flows(the_run(store)).earlier_as_of == published.AS_OF.replace(year=1997)
    run = replace(the_run(store), scheme_id=other.id)
    assert store.flows(run) == StageFlows(None, [])


def test_a_customer_comes_back_as_the_contract_has_them(filled):
    scored = published.scores(321, extra=published.HOSTILE_IDS)
    expected = list(score_schema.json_rows(scored))
    actual = filled.lookup(the_run(filled), [row["customer_id"] for row in expected] + ["nobody"])
    assert {name: json.loads(document) for name, document in actual.items()} == {
        r["customer_id"]: r for r in expected
    }


def test_a_score_is_set_beside_one_of_the_same_scheme_and_horizon(store):
    published.put(store, published.scores(20))
    later = published.scores(20, seed=8, as_of=LATER)
    position = later.schema.get_field_index("horizon_days")
    other = later.set_column(
        position, later.schema.field(position), pa.array([30] * len(later), pa.int32())
    )
    published.publish(store, other)
    assert store.customer("c0001").previous_document is None


def test_every_score_is_kept_and_the_last_published_is_current(store):
    published.put(store, published.scores(20), published.scores(10, seed=8, as_of=LATER))
    assert the_run(store).as_of == LATER
    assert store.count(the_run(store), Filters()) == 10
    both, gone = store.customer("c0001"), store.customer("c0015")
    assert both is not None
    assert gone is not None
    assert [past.as_of for past in both.history] == [LATER, published.AS_OF]
    assert both.history[0].model_version == "retail-19980401"
    assert '"as_of":"1998-04-01T00:00:00Z"' in both.document
    assert both.previous_document is not None
    assert '"as_of":"1998-01-01T00:00:00Z"' in both.previous_document
    assert '"as_of":"1998-01-01T00:00:00Z"' in gone.document
    assert gone.previous_document is None
    assert store.customer("c0020") is None


def test_parquet_is_published_as_the_table_is(store, tmp_path):
    scored = published.scores(50)
    pq.write_table(scored, tmp_path / "scores.parquet")
    store.publish(tmp_path / "scores.parquet", model_path=tmp_path, scheme=published.retail())
    assert store.count(the_run(store), Filters()) == 50
    assert the_run(store).model_path == str(tmp_path)


def rows_left(store: Store) -> dict[str, int]:
    with store._engine.connect() as connection:
        return {
            name: connection.scalar(sa.text(f"select count(*) from {name}"))
            for name in ("runs", "scores", "documents")
        }


def test_an_interrupted_run_leaves_the_former_one_and_nothing_of_itself(store, monkeypatch):
    published.put(store, published.scores(30))
    monkeypatch.setattr(publishing, "CHUNK_ROWS", 10)
    written = []

    def stop(rows: int) -> None:
        written.append(rows)
        if len(written) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.publish(
            published.scores(40, as_of=LATER),
            model_path="m",
            scheme=published.retail(),
            progress=stop,
        )
    assert written == [10, 10]
    assert the_run(store).as_of == published.AS_OF
    assert rows_left(store) == {"runs": 1, "scores": 30, "documents": 30}


def test_what_a_killed_publication_left_is_invisible_and_deleted_by_the_next(store, monkeypatch):
    published.put(store, published.scores(30))
    with monkeypatch.context() as killed:
        # as after a power cut: nothing tidies up, the last step never comes
        killed.setattr(
            publishing, "_make_current", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        killed.setattr(publishing, "discard_run", lambda *_: None)
        with pytest.raises(KeyboardInterrupt):
            published.publish(store, published.scores(40, as_of=LATER))
    assert rows_left(store)["scores"] == 70
    assert the_run(store).as_of == published.AS_OF
    record = store.customer("c0001")
    assert record is not None
    assert len(record.history) == 1
    published.publish(store, published.scores(5, as_of=LATER))
    assert rows_left(store) == {"runs": 2, "scores": 35, "documents": 35}


def test_of_two_publications_at_once_the_later_wins_and_the_other_says_so(store, monkeypatch):
    monkeypatch.setattr(publishing, "CHUNK_ROWS", 10)

    def begin_another(_: int) -> None:
        published.publish(store, published.scores(5, as_of=LATER))

    with pytest.raises(UsageError, match="another publication"):
        store.publish(
            published.scores(30), model_path="m", scheme=published.retail(), progress=begin_another
        )
    assert the_run(store).as_of == LATER
    assert rows_left(store) == {"runs": 1, "scores": 5, "documents": 5}


def test_readers_never_see_half_a_run(store, monkeypatch):
    monkeypatch.setattr(publishing, "CHUNK_ROWS", 25)
    published.put(store, published.scores(200))
    sizes, stop = set(), threading.Event()

    def read() -> None:
        while not stop.is_set():
            run = the_run(store)
            order = Order.parse("-value_at_risk")
            listed = len(list(store.all_customers(run, Filters(), order)))
            sizes.add((run.customers, listed, store.count(run, Filters())))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for size in (150, 175, 225):
            published.publish(store, published.scores(size, as_of=LATER))
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert {size[0] for size in sizes} <= {200, 150, 175, 225}
    assert all(announced == listed == counted for announced, listed, counted in sizes)


def one(**columns) -> dict:
    return published.a_score("a", np.random.default_rng(1)) | columns


@pytest.mark.parametrize(
    ("scored", "complaint"),
    [
        (published.table([]), "no rows"),
        (published.scores(3).drop_columns(["clv", "rfm"]), "clv, rfm"),
        (published.table([one(), one()]), "customer 'a' stands more than once"),
        (
            published.table([one(), one(customer_id="b", clv=float("nan"))]),
            "clv .* not a finite number .* 'b'",
        ),
        (published.table([one(expected_orders=float("inf"))]), "expected_orders .* 'a'"),
        (
            published.table([one(), one(customer_id="b", as_of=LATER)]),
            "more than one run: as_of is 1998-01-01 and 1998-04-01",
        ),
        (pa.table({"customer_id": ["a"]}), "lack the column"),
    ],
    ids=["empty", "columns", "twice", "nan", "inf", "runs", "foreign"],
)
def test_a_table_that_will_not_do_is_refused_and_the_former_run_stays(store, scored, complaint):
    published.put(store, published.scores(3))
    with pytest.raises(DataRefusedError, match=complaint):
        published.publish(store, scored)
    assert rows_left(store) == {"runs": 1, "scores": 3, "documents": 3}


def test_a_customer_twice_in_different_chunks_is_named(store, monkeypatch):
    monkeypatch.setattr(publishing, "CHUNK_ROWS", 2)
    with pytest.raises(DataRefusedError, match="'c0000' stands more than once"):
        published.publish(store, published.scores(4, extra=["c0000"]))


def test_a_file_that_is_no_parquet_is_refused(store, tmp_path):
    (tmp_path / "scores.parquet").write_text("customer_id\n1\n")
    with pytest.raises(UsageError, match="cannot be read as Parquet"):
        store.publish(tmp_path / "scores.parquet", model_path="m", scheme=published.retail())


def test_a_store_of_a_newer_stagecast_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path / 'new.db'}"
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(store_version.insert().values(version=VERSION + 1))
    engine.dispose()
    with pytest.raises(UsageError, match="written by a newer stagecast"):
        Store.open(url)


@pytest.mark.parametrize(
    "url", ["sqlite:////nowhere/at/all.db", "nonsense://x", "sqlite:///{folder}/text.db", "://"]
)
def test_a_store_that_cannot_be_opened_says_why(tmp_path, url):
    (tmp_path / "text.db").write_text("this is no database, and long enough to be sure of it" * 20)
    with pytest.raises(UsageError, match="store"):
        Store.open(url.format(folder=tmp_path))


def test_a_password_in_the_url_is_not_shown(tmp_path):
    with pytest.raises(UsageError) as error:
        Store.open("nonsense://shop:secret@db/x")
    assert "secret" not in str(error.value)


def test_many_processes_may_open_a_new_store_at_once(tmp_path):
    url, faults = f"sqlite:///{tmp_path / 'stagecast.db'}", []

    def open_it() -> None:
        try:
            Store.open(url).close()
        except UsageError as error:
            faults.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_csv_has_the_columns_of_the_contract_and_starts_no_formula(filled):
    run = the_run(filled)
    text = "".join(
        csv_pieces(filled.all_customers(run, Filters(), Order.parse("customer_id")), run.stage_ids)
    )
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == score_schema.schema(run.stage_ids).names
    assert len(rows) == run.customers
    assert "'=HYPERLINK(1)" in {row["customer_id"] for row in rows}
    assert not [
        cell
        for row in rows
        for cell in row.values()
        if cell.startswith(("=", "+", "@", "\t", "\r", "＝"))
    ]


def test_a_folder_that_is_gone_is_named(tmp_path):
    with pytest.raises(UsageError, match="is the folder there"):
        Store.open(f"sqlite:///{Path(tmp_path) / 'missing' / 'stagecast.db'}")
