"""Stores with published scores for the tests of plans: SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from stagecast.serving.store.store import Store
from tests.postgres import postgres_url  # noqa: F401
from tests.serving import published

DATABASES = ["sqlite", "postgresql"]


@pytest.fixture(scope="session")
def new_store(postgres_url, tmp_path_factory) -> Callable[[str], str]:  # noqa: F811
    """Make a store of a kind with the scores of 321 customers and some of hostile ids, and return
    its URL: a copy of one that is published once.
    """
    scored = published.scores(321, extra=published.HOSTILE_IDS)

    def make(kind: str) -> str:
        if kind == "sqlite":
            folder = tmp_path_factory.mktemp("plans")
            published.open_store(folder, scored).close()
            return f"sqlite:///{folder / 'stagecast.db'}"
        return published.postgres_store(postgres_url, scored)

    return make


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
