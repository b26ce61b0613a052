"""Stores with published scores for the tests of plans: SQLite and PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import cache

import pytest
import sqlalchemy as sa

from stagecast.serving.store.store import Store
from tests.postgres import postgres_url  # noqa: F401
from tests.serving import published

DATABASES = ["sqlite", "postgresql"]


@pytest.fixture(scope="session")
def new_store(postgres_url, tmp_path_factory) -> Iterator[Callable[[str], str]]:  # noqa: F811
    """Make a store of a kind with the scores of 321 customers and some of hostile ids, and return
    its URL: a copy of one that is published once.
    """
    server = sa.create_engine(
        postgres_url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
    )
    numbers = itertools.count()

    def database(template: str = "template1") -> str:
        name = f"plans_{next(numbers)}"
        with server.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        return name

    @cache
    def source() -> str:
        name = database()
        store = Store.open(postgres_url.rsplit("/", 1)[0] + "/" + name)
        published.publish(store, published.scores(321, extra=published.HOSTILE_IDS))
        store.close()
        return name

    def make(kind: str) -> str:
        if kind == "sqlite":
            folder = tmp_path_factory.mktemp("plans")
            published.published_store(tmp_path_factory, folder).close()
            return f"sqlite:///{folder / 'stagecast.db'}"
        return postgres_url.rsplit("/", 1)[0] + "/" + database(source())

    yield make
    server.dispose()


@pytest.fixture(params=DATABASES)
def url(request, new_store) -> str:
    """Return the URL of a store of each kind, see :func:`new_store`."""
    return new_store(request.param)


@pytest.fixture
def store(url) -> Iterator[Store]:
    """Return the open store."""
    store = Store.open(url)
    yield store
    store.close()
