"""The store holds codes and numbers; whoever reads a score gets its sentences."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from stagecast.serving.scoring import score_schema
from stagecast.serving.store.documents import with_sentences, without_sentence
from stagecast.serving.store.rows import store_rows
from stagecast.serving.store.store import Store
from stagecast.serving.store.tables import documents
from tests.serving import published, web

SPENDS: dict[str, Any] = {
    "feature": "spend_mean",
    "value": 25.0,
    "usual": 30.4,
    "effect": 0.4,
    "code": "spend_mean.active",
    "direction": "raises",
    "label": None,
    "sentence": "as an earlier wording had it",
}
SAID = "spends £25 an order (£30 is usual)"
OLD: dict[str, Any] = {
    "feature": "orders",
    "value": 9.0,
    "usual": 4.0,
    "effect": -0.3,
    "sentence": "9 orders so far (4 is usual) (lowers the risk)",
    "code": None,
    "direction": None,
    "label": None,
}


def row(customer_id: str, *reasons: dict[str, Any]) -> dict[str, Any]:
    rng = np.random.default_rng(5)
    return published.a_score(customer_id, rng, stage="repeat", reasons=list(reasons))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = published.open_store(tmp_path)
    opened.publish(
        published.table([row("new", SPENDS), row("old", OLD)]),
        model_path="model",
        scheme=published.retail(),
        currency="GBP",
    )
    return opened


def test_the_store_holds_no_sentence_of_a_reason_with_a_code(store: Store) -> None:
    with store._engine.connect() as connection:
        texts = dict(
            connection.execute(sa.select(documents.c.customer_id, documents.c.score)).all()
        )
    assert json.loads(texts["new"])["reasons"] == [
        {name: value for name, value in SPENDS.items() if name != "sentence"}
    ]
    assert json.loads(texts["old"])["reasons"] == [OLD]


def test_documents_are_the_objects_of_the_api(store: Store) -> None:
    """Column by column as row by row, also with nulls, no reason and lists."""
    rng = np.random.default_rng(8)
    rows = [published.a_score(f"c{k}", rng) for k in range(40)]
    rows[0] |= {"clv_by_year": None, "reasons": [], "p_return": None, "next_order_date": None}
    rows[1] |= {"clv_by_year": [1.5, 2.0, 0.0, 1e-7], "low_data": True}
    rows[2] |= {"stage_since": published.AS_OF.replace(microsecond=7), "orders": 2**40}
    table = published.table([rows[3], *rows]).slice(1)  # not at the start of its buffers
    _, documents = store_rows(4, table)
    scores = list(score_schema.json_rows(table))
    assert [(run, name) for run, name, _ in documents] == [(4, row["customer_id"]) for row in rows]
    assert [json.loads(text) for _, _, text in documents] == scores
    assert [list(json.loads(text)) for _, _, text in documents] == [list(row) for row in scores]


def test_whoever_reads_a_score_gets_its_sentences(store: Store, tmp_path: Path) -> None:
    with web.client(web.app_with(tmp_path, store=store)) as client:
        listed = client.get("/v1/customers").json()["customers"]
        lines = client.get("/v1/customers?format=ndjson").text.splitlines()
        asked = client.post("/v1/customers/lookup", json={"customer_ids": ["old", "new"]})
        table = client.get("/v1/customers?format=csv&limit=all").text
        rows = [
            *listed,
            *map(json.loads, lines),
            *asked.json()["scores"],
            *(client.get(f"/v1/customers/{name}").json()["score"] for name in ("new", "old")),
            *(
                {**cells, "reasons": json.loads(cells["reasons"])}
                for cells in csv.DictReader(io.StringIO(table))
            ),
        ]
        page = client.get("/customers/new", headers={"accept": "text/html"}).text
    assert [score["customer_id"] for score in rows].count("new") == 5
    for score in rows:
        expected = {"new": {**SPENDS, "sentence": SAID}, "old": OLD}[score["customer_id"]]
        assert score["reasons"] == [expected]
    assert SAID in page


def test_only_the_reasons_of_a_score_are_written_anew() -> None:
    score = next(score_schema.json_rows(published.table([row("x", SPENDS, OLD)])))
    document = msgspec.json.encode(
        {**score, "reasons": [without_sentence({**reason}) for reason in score["reasons"]]}
    ).decode()
    answer = json.loads(with_sentences(document))
    assert answer.pop("reasons")[0]["sentence"] == "spends 25 an order (30 is usual)"
    assert list(answer.items()) == [item for item in score.items() if item[0] != "reasons"]
    assert score["reasons"][0]["sentence"] == SPENDS["sentence"]


def test_many_lines_come_in_few_pieces_and_all_of_them(tmp_path: Path) -> None:
    from stagecast.serving.store.exports import PIECE_BYTES, ndjson_pieces

    lines = [json.dumps({"customer_id": str(number)}) for number in range(20_000)]
    pieces = list(ndjson_pieces(lines))
    read = [json.loads(line)["customer_id"] for line in b"".join(pieces).splitlines()]
    assert read == [str(number) for number in range(20_000)]
    assert len(pieces) < 20
    assert all(len(piece) > PIECE_BYTES for piece in pieces[:-1])
