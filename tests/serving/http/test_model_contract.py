"""What a model knows stands in its bundle and in `GET /v1/model`; a request that breaks it is
refused, or has warnings in its scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from stagecast.serving.scoring.scorer import Scorer
from stagecast.training.value.currency import LogMoney
from tests.serving.web import Client, app_with, client
from tests.training.conftest import shop  # noqa: F401
from tests.training.made import Trained, day

DAYS = 730  # the log of ``shop``


@pytest.fixture(scope="module")
def api(
    tmp_path_factory: pytest.TempPathFactory,
    shop: Trained,  # noqa: F811
) -> Iterator[Client]:
    bundle = shop.reloaded()
    scorer = Scorer(replace(bundle, money=LogMoney("EUR", amounts=True)))
    app = app_with(tmp_path_factory.mktemp("contract"), scorer=scorer)  # type: ignore[arg-type]
    with client(app) as opened:
        yield opened


def customer(*events: dict[str, Any], name: str = "a") -> dict[str, Any]:
    return {"customer_id": name, "events": list(events)}


def event(kind: str = "purchase", at: float = 100.0, **more: Any) -> dict[str, Any]:
    amount = {"amount": 10.0} if kind == "purchase" else {}
    return {"timestamp": day(at).isoformat(), "event": kind, **amount, **more}


def ask(api: Client, *customers: Any, at: float = DAYS, query: str = "") -> Any:
    body = {"as_of": day(at).isoformat(), "customers": list(customers)}
    return api.post(f"/v1/score?reasons=false{query}", json=body)


def codes(answer: Any) -> list[list[str]]:
    assert answer.status_code == 200, answer.text
    return [[warning["code"] for warning in score["warnings"]] for score in answer.json()["scores"]]


def test_the_contract_says_what_the_training_saw(api: Client) -> None:
    contract = api.get("/v1/model").json()["contract"]
    assert contract["event_types"][0] == "purchase"
    assert {"purchase", "refund"} <= set(contract["event_types_read"])
    assert contract["currency"] == "EUR"
    assert (contract["amounts"], contract["zone"], contract["horizon_days"]) == (True, "UTC", 90)
    assert contract["equal_events"] in ("one", "each")
    assert contract["first_as_of"] == day(DAYS).isoformat().replace("+00:00", "Z")
    assert contract["last_as_of"] == day(DAYS + 90).isoformat().replace("+00:00", "Z")
    assert contract["scheme"] == "retail"
    assert {"customer_id", "p_stage_loyal", "clv"} < set(contract["columns"])


def test_a_request_that_keeps_to_it_has_no_warnings(api: Client) -> None:
    assert codes(ask(api, customer(event()))) == [[]]
    assert codes(ask(api, customer(event(), event("refund", 120.0)), at=DAYS + 90)) == [[]]


@pytest.mark.parametrize("name", ["order", "Purchases", "purchse", " SALE "])
def test_purchases_of_another_name_make_no_silent_prospect(api: Client, name: str) -> None:
    bad = customer(event(name, amount=10.0))
    answer = ask(api, bad)
    assert answer.status_code == 422
    assert answer.json()["type"].endswith(":event-type-unknown")
    assert "Did you mean 'purchase'?" in answer.json()["detail"]
    answer = ask(api, bad, customer(event(), name="b"), query="&strict=false")
    assert [score["customer_id"] for score in answer.json()["scores"]] == ["b"]
    assert "Did you mean 'purchase'?" in answer.json()["errors"][0]["problem"]


def test_an_unknown_type_beside_purchases_is_a_warning_with_the_nearest_name(api: Client) -> None:
    answer = ask(api, customer(event(), event("refnd", 120.0)), customer(event(), name="b"))
    assert codes(answer) == [["unknown_event_type"], []]
    (warning,) = answer.json()["scores"][0]["warnings"]
    assert (warning["event"], warning["nearest"]) == ("refnd", "refund")


def test_a_prospect_of_an_unknown_type_is_a_prospect_with_a_warning(api: Client) -> None:
    answer = ask(api, customer(event("app_opened")))
    assert codes(answer) == [["unknown_event_type"]]
    assert answer.json()["scores"][0]["state"] == "prospect"
    assert "nearest" not in answer.json()["scores"][0]["warnings"][0]


def test_many_unknown_types_are_not_all_told(api: Client) -> None:
    events = [event(f"kind {number}") for number in range(40)]
    assert codes(ask(api, customer(event(), *events))) == [["unknown_event_type"] * 5]


def test_no_amounts_for_a_model_of_money_is_a_warning_and_money_is_null(api: Client) -> None:
    bare = {"timestamp": day(100.0).isoformat()}
    answer = ask(api, customer(bare))
    assert codes(answer) == [["no_amounts"]]
    assert answer.json()["scores"][0]["clv"] is None


def test_an_as_of_before_the_training_or_long_after_is_a_warning(api: Client) -> None:
    for at, code in ((DAYS - 0.5, "as_of_before_training"), (DAYS + 90.5, "model_outdated")):
        answer = ask(api, customer(event()), customer(event(), name="b"), at=at)
        assert codes(answer) == [[code], [code]]
        many = [customer(event(), name=f"c{number}") for number in range(6)]
        assert codes(ask(api, *many, at=at, query="&strict=false")) == [[code]] * 6
