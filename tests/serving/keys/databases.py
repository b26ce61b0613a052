"""A store on each database, emptied of keys and rates for each test."""

from __future__ import annotations

import pytest

from stagecast.serving.store.key_tables import api_keys, rates, server_secrets
from stagecast.serving.store.opening import open_engine

DATABASES = ["sqlite", "postgresql"]


@pytest.fixture(params=DATABASES)
def engine(request, tmp_path):
    """Yield the engine of a store without keys."""
    if request.param == "sqlite":
        opened = open_engine(f"sqlite:///{tmp_path / 'stagecast.db'}")
    else:
        opened = open_engine(request.getfixturevalue("postgres_url"))
        with opened.begin() as connection:
            for table in (api_keys, rates, server_secrets):
                connection.execute(table.delete())
    yield opened
    opened.dispose()
