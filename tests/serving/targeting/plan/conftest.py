"""Stores with published scores for the tests of plans: SQLite and PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from stagecast.serving.store.store import Store
from tests.postgres import postgres_url  # noqa: F401
from tests.serving import published

DATABASES = ["sqlite", "postgresql"]


@pytest.fixture(scope="session")
def new_database(postgres_url, tmp_path_factory) -> Iterator[Callable[[str], str]]:  # noqa: F811
    """Make an empty database of a kind, and return its URL."""
    server = sa.create_engine(
        postgres_url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
    )
    numbers = itertools.count()

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp('plans') / 'stagecast.db'}"
        name = f"plans_{next(numbers)}"
        with server.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        return postgres_url.rsplit("/", 1)[0] + "/" + name

    yield make
    server.dispose()


@pytest.fixture(params=DATABASES)
def url(request, new_database) -> str:
    """Return the URL of a store with the scores of 321 customers and some of hostile ids."""
    url = new_database(request.param)
    store = Store.open(url)
    published.publish(store, published.scores(321, extra=published.HOSTILE_IDS))
    store.close()
    return url


@pytest.fixture
def store(url) -> Iterator[Store]:
    """Return the open store."""
    store = Store.open(url)
    yield store
    store.close()
