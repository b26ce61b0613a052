"""A store and a client of the pages that read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stagecast.serving.http.app import create_app
from stagecast.serving.settings import Settings
from stagecast.serving.store.store import Store
from tests.serving.web import Client, client


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{tmp_path / 'stagecast.db'}")
    yield store
    store.close()


@pytest.fixture
def web(store: Store) -> Iterator[Client]:
    def no_model(path: Path) -> None:
        raise AssertionError("no model is asked for")

    app = create_app(Settings(), scorer_loader=no_model, store=store)  # type: ignore[arg-type]
    with client(app) as http:
        yield http
