"""Names of customers: searched by their beginning in any capitals, and gone with the customer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from stagecast.serving.store.names import MOST_FOUND, customers_named, names_of, put_names
from stagecast.serving.store.plan_tables import profiles
from stagecast.serving.store.store import Store
from tests.postgres import postgres_url  # noqa: F401
from tests.serving import published
from tests.serving.store.earlier_versions import make_earlier
from tests.serving.store.test_store import DATABASES, new_database, new_store, store  # noqa: F401

pytestmark = pytest.mark.slow
NOW = datetime(1998, 5, 1, tzinfo=UTC)
NAMES = [
    ("c0001", "Анна Иванова"),
    ("c0002", "ANNA_%"),
    ("c0003", "anna smith"),
    ("c0004", "Straße"),
    ("nobody", "Anna without a score"),
]


def test_a_name_is_found_by_its_beginning_in_any_capitals(store):  # noqa: F811
    run = published.put(store, published.scores(10))
    put_names(store.engine, NAMES)
    search = [
        [customer_id for customer_id, _ in customers_named(store.engine, run, beginning)]
        for beginning in ("анна", "Anna", "anna_", "STRASSE", "nna", "", "  ", "%")
    ]
    assert search == [["c0001"], ["c0003", "c0002"], ["c0002"], ["c0004"], [], [], [], []]
    assert names_of(store.engine, ["c0001", "c0009"]) == {"c0001": "Анна Иванова"}


def test_a_search_returns_few_customers(store):  # noqa: F811
    run = published.put(store, published.scores(60))
    put_names(store.engine, [(f"c{k:04d}", "Ann") for k in range(60)])
    assert len(customers_named(store.engine, run, "ann")) == MOST_FOUND


def test_a_new_name_replaces_the_former_and_leaves_the_rest_of_the_profile(store):  # noqa: F811
    with store.engine.begin() as connection:
        row = {"customer_id": "c0001", "attributes": {"city": "Baku"}, "updated_at": NOW}
        connection.execute(profiles.insert().values(**row, consent=True, name="Old"))
    put_names(store.engine, [("c0001", "New"), ("c0002", "Other")])
    put_names(store.engine, [("c0001", "New"), ("c0002", "Third")])
    with store.engine.connect() as connection:
        rows = connection.execute(
            sa.select(profiles.c.customer_id, profiles.c.name, profiles.c.consent).order_by("name")
        ).all()
        attributes = connection.scalars(sa.select(profiles.c.attributes)).all()
    assert rows == [("c0001", "New", True), ("c0002", "Third", None)]
    assert {"city": "Baku"} in attributes


def test_the_name_of_an_erased_customer_is_gone(store):  # noqa: F811
    run = published.put(store, published.scores(10))
    put_names(store.engine, NAMES)
    store.forget("c0001")
    assert customers_named(store.engine, run, "Анна") == []
    assert names_of(store.engine, ["c0001"]) == {}


@pytest.mark.parametrize("database", DATABASES)
def test_names_of_a_store_of_the_former_version_are_found(database, new_database, tmp_path):  # noqa: F811
    source = Store.open(f"sqlite:///{tmp_path / 'source.db'}")
    for _ in range(2):
        published.publish(source, published.scores(10))
    put_names(source.engine, NAMES)
    url = new_database(database)
    make_earlier(url, 7, source.engine)
    source.close()
    upgraded = Store.open(url)
    assert customers_named(upgraded.engine, 2, "АННА") == [("c0001", "Анна Иванова")]
    upgraded.close()
