"""A store on each database, without keys and rates."""

from __future__ import annotations

import pytest

from stagecast.serving.store.store import Store
from tests.serving import published

DATABASES = ["sqlite", "postgresql"]


@pytest.fixture(params=DATABASES)
def engine(request, tmp_path):
    """Yield the engine of a store without keys."""
    if request.param == "sqlite":
        store = published.open_store(tmp_path)
    else:
        store = Store.open(published.postgres_store(request.getfixturevalue("postgres_url")))
    yield store.engine
    store.close()
