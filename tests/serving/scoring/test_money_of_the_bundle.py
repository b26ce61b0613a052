"""A bundle knows the currency of its training, and whether there were amounts."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from bench.simulation import AS_OF, simulate
from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.events import EventLog, ReadOptions, from_frame
from stagecast.features.intake.mapping import EventMapping
from stagecast.features.requests import CustomerEvents, Event
from stagecast.serving.scoring.batch import score_log, snapshot
from stagecast.serving.scoring.scorer import Scorer, load_scorer
from stagecast.serving.scoring.without_amounts import MONEY_COLUMNS
from stagecast.training.bundle import MANIFEST, SEAL, load_bundle
from stagecast.training.value.currency import LogMoney
from tests.serving import web

pytestmark = pytest.mark.slow


def log_in(currency: str | None, seed: int = 5, **options: object) -> EventLog:
    mapping = EventMapping(currency=None if currency is None else f"'{currency}'")
    return from_frame(simulate(300, seed=seed), ReadOptions(mapping=mapping, **options))


def without_amounts() -> pd.DataFrame:
    return simulate(120, seed=6).drop(columns="amount")


@pytest.fixture(scope="module")
def scorer(model: Path) -> Scorer:
    return load_scorer(model, threads=0)


def test_the_currency_of_the_training_stands_in_bundle_and_card(scorer: Scorer) -> None:
    assert scorer.bundle.money == LogMoney("EUR", amounts=True)
    assert (scorer.card["currency"], scorer.card["amounts"]) == ("EUR", True)


def test_a_log_in_another_currency_is_refused(scorer: Scorer, tmp_path: Path) -> None:
    hint = "in USD, .* trained on amounts in EUR; give --report-currency EUR --rates USD=RATE"
    with log_in("USD") as log:
        with pytest.raises(UsageError, match=hint):
            score_log(log, scorer, AS_OF, tmp_path / "scores.parquet")
        with pytest.raises(UsageError, match=hint):
            snapshot(log, scorer.bundle, AS_OF)
    assert not (tmp_path / "scores.parquet").exists()


@pytest.mark.parametrize("currency", ["EUR", None])
def test_the_same_currency_and_one_not_stated_are_scored(
    scorer: Scorer, tmp_path: Path, currency: str | None
) -> None:
    with log_in(currency) as log:
        score_log(log, scorer, AS_OF, tmp_path / "scores.parquet")


def test_amounts_turned_into_the_currency_of_the_training_are_scored(
    scorer: Scorer, tmp_path: Path
) -> None:
    with log_in("USD", report_currency="EUR", rates={"USD": 0.9}) as log:
        score_log(log, scorer, AS_OF, tmp_path / "scores.parquet")


def test_a_log_without_amounts_has_null_money_and_a_dash_in_rfm(
    scorer: Scorer, tmp_path: Path
) -> None:
    with from_frame(without_amounts()) as log:
        score_log(log, scorer, AS_OF, tmp_path / "scores.parquet", rows_per_part=50)
    scores = pq.read_table(tmp_path / "scores.parquet")
    for name in MONEY_COLUMNS:
        assert scores[name].null_count == len(scores), name
    assert set(scores["rfm"].drop_null().to_pandas().str[2]) == {"-"}
    assert scores["p_inactive"].null_count < len(scores)
    in_money = {f.name for f in scorer.bundle.models.catalog.features if f.unit == "money"}
    named = {r["feature"] for reasons in scores["reasons"].to_pylist() for r in reasons}
    assert named
    assert not named & in_money


def test_money_columns_are_all_that_the_contract_calls_money(scorer: Scorer) -> None:
    rows = (Path(__file__).parents[3] / "docs" / "scores.md").read_text().splitlines()
    in_docs = {line.split("`")[1] for line in rows if line.startswith("|") and "| money |" in line}
    assert set(MONEY_COLUMNS) >= in_docs


def test_a_request_without_amounts_has_null_money_and_a_prospect_keeps_theirs(
    scorer: Scorer,
) -> None:
    instant = AS_OF - timedelta(days=20)
    buyer = CustomerEvents("a", (Event(instant, "purchase"),))
    paying = CustomerEvents("a", (Event(instant, "purchase", 10.0),))
    visitor = CustomerEvents("b", (Event(instant, "visit"),))
    (bare,) = scorer.score_customers([buyer], AS_OF).to_pylist()
    (paid,) = scorer.score_customers([paying], AS_OF).to_pylist()
    (visit,) = scorer.score_customers([visitor], AS_OF).to_pylist()
    assert bare["clv"] is None
    assert bare["spend"] is None
    assert bare["rfm"][2] == "-"
    assert paid["clv"] is not None
    assert paid["spend"] == 10.0
    assert paid["rfm"][2] != "-"
    assert visit["clv"] is not None


def test_a_bundle_without_the_keys_still_loads(model: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(model, old)
    manifest = json.loads((old / MANIFEST).read_text())
    del manifest["money"], manifest[SEAL]
    (old / MANIFEST).write_text(json.dumps(manifest))
    bundle = load_bundle(old)
    assert bundle.money == LogMoney()
    assert bundle.model_version == load_bundle(model).model_version
    with log_in("USD") as log:  # nothing is known of its currency, so nothing can be refused
        snapshot(log, bundle, AS_OF)


@pytest.mark.parametrize("money", [{"currency": "euro"}, {"currency": 7}, {"amounts": "yes"}])
def test_a_bundle_with_odd_money_is_refused(model: Path, tmp_path: Path, money: dict) -> None:
    odd = tmp_path / "odd"
    shutil.copytree(model, odd)
    manifest = json.loads((odd / MANIFEST).read_text())
    del manifest[SEAL]
    (odd / MANIFEST).write_text(json.dumps({**manifest, "money": money}))
    with pytest.raises(DataRefusedError, match="not a bundle of this format"):
        load_bundle(odd)


class EuroScorer(web.FakeScorer):
    """A scorer whose training was in euros."""

    card = {**web.FakeScorer.card, "currency": "EUR", "amounts": True}  # noqa: RUF012


def body(**fields: object) -> dict:
    events = [{"timestamp": "1997-06-01T00:00:00Z", "event": "purchase", "amount": 10.0}]
    customers = [{"customer_id": "a", "events": events}]
    return {"as_of": "1998-01-01T00:00:00Z", "customers": customers, **fields}


def test_a_request_in_another_currency_is_refused(tmp_path: Path) -> None:
    with web.client(web.app_with(tmp_path, scorer=EuroScorer())) as client:
        answer = client.post("/v1/score", json=body(currency="USD"))
        assert answer.status_code == 422
        assert "in USD" in answer.json()["detail"]
        assert "in EUR" in answer.json()["detail"]
        for currency in ("EUR", None):
            assert client.post("/v1/score", json=body(currency=currency)).status_code == 200
        assert client.post("/v1/score", json=body()).status_code == 200
        assert client.post("/v1/score", json=body(currency="euro")).status_code == 422
