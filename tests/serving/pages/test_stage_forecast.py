"""Beside today's customers of a stage stands how many are expected on it in a horizon."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from stagecast.features.errors import DataRefusedError
from stagecast.serving.store import publishing
from stagecast.serving.store.evidence import evidence
from stagecast.serving.store.store import Store
from tests.serving import published
from tests.serving.pages.recomputed import expected, expected_on
from tests.serving.pages.test_home_page import rows, text
from tests.serving.web import Client


def test_the_expected_are_the_sums_of_the_probabilities(
    web: Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "CHUNK_ROWS", 7)  # several chunks are added up
    made = rows(1)
    published.publish(store, published.table(made))
    wanted = expected_on(made)
    assert sum(wanted.values()) == pytest.approx(len(made))
    stages = web.get("/v1/stages").json()["stages"]
    assert {stage["id"]: stage["expected"] for stage in stages} == pytest.approx(wanted)
    page = web.get("/").text
    cards = page.split('<nav class="stages"')[1].split("</nav>")[0].split("<li>")[1:]
    assert len(cards) == len(stages)
    for stage, card in zip(stages, cards, strict=True):
        assert f"{expected(wanted[stage['id']])} expected in 90 days" in card


def test_a_run_of_an_earlier_version_says_nothing(web: Client, store: Store) -> None:
    published.put(store, published.table(rows(1)))
    with store.engine.begin() as connection:
        connection.execute(sa.delete(evidence))
    assert {stage["expected"] for stage in web.get("/v1/stages").json()["stages"]} == {None}
    assert "expected in" not in text(web)


def test_a_publication_that_fails_leaves_no_forecast(store: Store) -> None:
    made = rows(1)
    made[-1]["customer_id"] = made[0]["customer_id"]
    with pytest.raises(DataRefusedError, match="more than once"):
        published.publish(store, published.table(made))
    with store.engine.connect() as connection:
        assert connection.execute(sa.select(evidence)).all() == []
