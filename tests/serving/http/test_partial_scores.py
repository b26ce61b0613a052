"""One bad customer does not fail the others with strict=false; the default stays as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stagecast.features.errors import UsageError
from tests.serving import web

AS_OF = "1998-01-01T00:00:00Z"


def customer(name: Any, **event: Any) -> dict[str, Any]:
    events = [{"timestamp": "1997-06-01T00:00:00Z", "amount": 10.0} | event]
    return {"customer_id": name, "events": events}


BAD = {
    "no event before": customer("late", timestamp="1999-01-01"),
    "wrong type": customer("typed", amount="ten"),
    "unknown field": customer("field", amonut=3),
    "number as id": customer(17850),
    "no date": customer("dated", timestamp="soon"),
    "negative": customer("minus", amount=-1),
    "no events": {"customer_id": "empty", "events": []},
    "no object": 7,
}


class Picky(web.FakeScorer):
    """A scorer that refuses customers with an attribute."""

    def score_customers(self, customers: Any, as_of: Any) -> Any:
        for asked in customers:
            if asked.attributes:
                raise UsageError(f"attributes of {asked.customer_id}: give a text")
        return super().score_customers(customers, as_of)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Any:
    app = web.app_with(tmp_path_factory.mktemp("partial"), scorer=Picky())
    with web.client(app) as client:
        yield client


def body(*customers: Any) -> dict[str, Any]:
    return {"as_of": AS_OF, "customers": list(customers)}


@pytest.mark.parametrize("name", BAD)
def test_the_others_have_their_scores_and_the_bad_one_its_problem(api: Any, name: str) -> None:
    asked = body(customer("a"), BAD[name], customer("b"))
    answer = api.post("/v1/score?strict=false", json=asked)
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert [score["customer_id"] for score in content["scores"]] == ["a", "b"]
    (error,) = content["errors"]
    assert error["position"] == 1
    assert error["where"].startswith("customers[1]")
    assert error["problem"]
    named = BAD[name].get("customer_id") if isinstance(BAD[name], dict) else None
    assert error["customer_id"] == (named if isinstance(named, str) else None)
    # the default is that of the contract: all or nothing, at the same place
    for path in ("/v1/score", "/v1/score?strict=true"):
        refused = api.post(path, json=asked)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["where"] == error["where"]
        assert refused.json()["errors"][0]["problem"] == error["problem"]


def test_many_good_and_bad_customers_each_have_what_is_theirs(api: Any) -> None:
    draw = np.random.default_rng(1)
    kinds = list(BAD.values())[:3]
    asked, expected_bad = [], []
    for number in range(200):
        if draw.random() < 0.2:
            bad = kinds[int(draw.integers(len(kinds)))]
            asked.append(bad | {"customer_id": f"c{number}"})
            expected_bad.append(number)
        elif draw.random() < 0.1:
            asked.append(customer(f"c{number}") | {"attributes": {"x": 1}})
            expected_bad.append(number)
        else:
            asked.append(customer(f"c{number}"))
    content = api.post("/v1/score?strict=false", json=body(*asked)).json()
    assert [error["position"] for error in content["errors"]] == expected_bad
    assert [error["customer_id"] for error in content["errors"]] == [f"c{n}" for n in expected_bad]
    good = [f"c{n}" for n in range(200) if n not in expected_bad]
    assert [score["customer_id"] for score in content["scores"]] == good


def test_a_request_in_which_everything_is_wrong_is_refused(api: Any) -> None:
    for asked in (
        body(*BAD.values()),
        body(BAD["no date"]),
        body(),
        {"customers": 7},
        body(customer("a")) | {"as_of": "tomorrow"},
        body(customer("a") | {"attributes": {"x": 1}}),
    ):
        answer = api.post("/v1/score?strict=false", json=asked)
        assert answer.status_code == 422, asked
        assert answer.json()["errors"]


def test_without_a_fault_both_ways_give_the_same_answer(api: Any) -> None:
    asked = body(customer("a"), customer("b", event=" VISIT ", channel=" web "))
    strict = api.post("/v1/score", json=asked)
    assert api.post("/v1/score?strict=false", json=asked).content == strict.content
    assert strict.json()["errors"] == []


@pytest.mark.parametrize("name", ["strict", "reasons"])
def test_a_flag_is_true_or_false(api: Any, name: str) -> None:
    for text in ("true", "False", "0", "1"):
        assert api.post(f"/v1/score?{name}={text}", json=body(customer("a"))).status_code == 200
    answer = api.post(f"/v1/score?{name}=maybe", json=body(customer("a")))
    assert answer.status_code == 422
    assert f"query.{name}: is neither" in answer.json()["detail"]


def test_several_faults_of_one_customer_are_counted(api: Any) -> None:
    bad = customer("bad", timestamp="soon", discount=1e12)
    content = api.post("/v1/score?strict=false", json=body(bad, customer("a"))).json()
    assert content["errors"][0]["more"] == 1


def test_flags_are_described(api: Any) -> None:
    operation = api.get("/openapi.json").json()["paths"]["/v1/score"]["post"]
    assert [p["name"] for p in operation["parameters"]] == ["reasons", "strict"]


def test_the_default_without_reasons(tmp_path: Path) -> None:
    class Told(web.FakeScorer):
        def score_objects(
            self, customers: Any, as_of: Any, *, with_reasons: bool = True
        ) -> list[dict[str, Any]]:
            return [{"with_reasons": with_reasons}]

    with web.client(web.app_with(tmp_path, scorer=Told())) as api:
        for query, expected in (("", True), ("?reasons=true", True), ("?reasons=false", False)):
            answer = api.post(f"/v1/score{query}", json=body(customer("a"))).json()
            assert answer["scores"] == [{"with_reasons": expected, "warnings": []}]
