"""What may return of a lapsed customer: one number on Home, in the list, of the customer, in a
plan, in the totals of the API, in the report and in a plan made from a table of scores.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from stagecast.serving.python.plan_scores import candidates_of
from stagecast.serving.reports.run_figures import headline
from stagecast.serving.scoring import score_schema
from stagecast.serving.store.store import Store
from tests.serving import published
from tests.serving.pages.recomputed import money
from tests.serving.pages.test_new_places import text
from tests.serving.web import Client

GONE, RETURN = 400.0, 0.125
OF_ONE = 50.0
"""What may return of the customer, in money; by the risk it would be another number."""


@pytest.fixture
def table(store: Store) -> pa.Table:
    """Publish a run with one lapsed customer, whose payments say another chance than a contract."""
    rows: list[dict[str, Any]] = [
        row for row in published.scores(60).to_pylist() if row["state"] != "lapsed"
    ]
    one = published.a_score("gone", np.random.default_rng(3), stage="lost")
    one |= {"value_gone": GONE, "p_return": RETURN, "p_inactive": 0.5, "value_at_risk": 7.0}
    made = pa.Table.from_pylist(
        [*rows, one | {"play": "worth_winning_back"}],
        schema=score_schema.schema(published.STAGES),
    )
    published.put(store, made)
    return made


def test_every_door_says_the_same_of_a_customer(web: Client, store: Store, table: pa.Table) -> None:
    home = text(web, "/")
    assert f"{money(OF_ONE)} may return from those who left, of {money(GONE)} gone" in home
    assert f"Worth winning back 1 – {money(OF_ONE)}" in home
    cell = re.search(
        r'<td data-label="May return" [^>]*>([^<]*)</td>', web.get("/customers?state=lapsed").text
    )
    assert cell is not None
    assert cell[1] == money(OF_ONE)
    assert f"{money(OF_ONE)} may return, of {money(GONE)} gone" in text(web, "/customers")
    assert f"May return {money(OF_ONE)}" in text(web, "/customers/gone")
    csv = web.get("/v1/customers?state=lapsed&column=win_back&format=csv").text
    assert csv.splitlines() == ["Customer,May return", "gone,50.0"]
    assert web.get("/v1/totals?state=lapsed").json()["win_back"] == OF_ONE
    asked = {"customer_ids": ["gone"], "states": ["lapsed"]}
    plan = web.post("/v1/plans", json={"audience": asked, "holdout": 0, "effects": {"win_back": 1}})
    assert plan.json()["contacts"]["may_return"] == OF_ONE
    assert headline(table)["may_return"] == OF_ONE
    frame = table.to_pandas()
    assert candidates_of(frame).customers.may_return.sum() == OF_ONE


@pytest.mark.parametrize(("least", "number"), [(49.0, 1), (51.0, 0)])
def test_a_least_value_of_a_plan_is_of_what_may_return(
    web: Client, table: pa.Table, least: float, number: int
) -> None:
    audience = {"states": ["lapsed"], "min_value": least}
    answer = web.post("/v1/plans", json={"audience": audience, "holdout": 0})
    assert answer.json()["considered"] == number, answer.text
