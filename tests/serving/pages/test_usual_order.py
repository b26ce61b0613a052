"""The order of a list that asks for none: the page, the file and the API have the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from stagecast.serving.scoring import score_schema
from stagecast.serving.store.store import Store
from tests.serving import published
from tests.serving.web import Client

Score = dict[str, Any]


def may_return(row: Score) -> float:
    return -(row["value_gone"] * row["p_return"]) if row["state"] == "lapsed" else 1.0


def risk(row: Score) -> float:
    return 1.0 if row["churn_probability"] is None else -row["churn_probability"]


def at_risk(row: Score) -> float:
    return 1.0 if row["value_at_risk"] is None else -row["value_at_risk"]


def leaving(row: Score) -> float:
    return 1.0 if row["p_inactive"] is None else row["p_inactive"]


def conversion(row: Score) -> float:
    return 1.0 if row["p_convert"] is None else -row["p_convert"]


def rows(*, at_risk: float | None, gone: float | None) -> list[Score]:
    """Return scores of all states; ``at_risk`` and ``gone`` replace the money, None: not known."""
    made = published.scores(200).to_pylist()
    for k, row in enumerate(made):
        if row["state"] == "active":
            row["value_at_risk"] = None if at_risk is None else at_risk * row["clv"]
        elif row["state"] == "lapsed":
            row["value_gone"] = None if gone is None else gone * (k + 1)
        else:
            row["p_convert"] = 0.01 * (k % 7 + 1)
            row["expected_orders"] = 1.6 * row["p_convert"]
    return made


def listed(web: Client, query: str) -> list[str]:
    """Return the customers of the page, which are those of the API and of the file."""
    page = web.get(f"/customers?{query}").text
    ids = re.findall(r'class="who"><a [^>]*><bdi>([^<]*)</bdi>', page)
    api = web.get(f"/v1/customers?{query}&limit=1000").json()["customers"]
    assert [score["customer_id"] for score in api][: len(ids)] == ids
    file = re.search(r'href="(/v1/customers[^"]*format=csv[^"]*)"', page)
    assert file is not None
    lines = web.get(file[1].replace("&amp;", "&")).text.splitlines()[1:]
    assert [line.split(",")[0] for line in lines][: len(ids)] == ids
    return ids


@pytest.mark.parametrize(
    ("of_active", "gone", "query", "key"),
    [
        (0.2, 9.0, "", at_risk),
        (0.2, 9.0, "state=active", at_risk),
        (0.2, 9.0, "state=lapsed", may_return),
        (0.2, 9.0, "stage=lost&stage=sleeping", may_return),
        (0.2, 9.0, "stage=lost&stage=loyal", at_risk),
        (0.2, 9.0, "state=prospect", conversion),
        (0.0, 9.0, "", may_return),
        (0.0, 9.0, "state=active", risk),
        (0.0, 0.0, "", risk),
        (0.0, 0.0, "state=lapsed", leaving),
        (None, None, "", risk),
        (None, None, "state=lapsed", leaving),
        (None, None, "state=prospect", conversion),
        (None, 9.0, "", may_return),
    ],
)
def test_customers_are_ranked_by_what_can_be_moved_else_by_how_likely_it_is(
    web: Client,
    store: Store,
    of_active: float | None,
    gone: float | None,
    query: str,
    key: Callable[[Score], float],
) -> None:
    made = rows(at_risk=of_active, gone=gone)
    published.put(store, pa.Table.from_pylist(made, schema=score_schema.schema(published.STAGES)))
    parts = [part.split("=") for part in query.split("&") if part]
    for name in ("state", "stage"):
        wanted = {value for own, value in parts if own == name}
        made = [row for row in made if not wanted or row[name] in wanted]
    expected = [
        row["customer_id"] for row in sorted(made, key=lambda r: (key(r), r["customer_id"]))
    ]
    ids = listed(web, query)
    assert len(ids) > 3
    assert ids == expected[: len(ids)]


def test_no_column_of_a_list_is_empty_for_all_customers_of_its_state(
    web: Client, store: Store
) -> None:
    table = pa.Table.from_pylist(
        rows(at_risk=0.2, gone=9.0), schema=score_schema.schema(published.STAGES)
    )
    published.put(store, table)
    for state in ("active", "lapsed", "prospect"):
        page = web.get(f"/customers?state={state}").text
        cells = re.findall(r'<td data-label="([^"]*)"[^>]*>\s*(.*?)</td>', page, re.DOTALL)
        names = {name for name, _ in cells}
        assert len(names) > 5
        empty = {name for name in names if all(c == "–" for n, c in cells if n == name)}
        assert empty <= {"Next order"}, (state, empty)
