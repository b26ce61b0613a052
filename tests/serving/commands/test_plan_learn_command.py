"""``--effects learned`` and ``stagecast plan learn``: what closed plans teach, in words."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stagecast.serving.store.store import Store
from stagecast.training.config import TrainConfig
from tests.serving import published, web
from tests.serving.targeting.learned.made import add_closed, drawn
from tests.shared import once
from tests.training.made import frame_of, simulated_rows, trained

AS_OF = datetime(2021, 6, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path):
    store = published.open_store(tmp_path)
    published.publish(store, published.scores(321))
    yield store
    store.close()


def closed(store: Store, name: str = "spring", **values: Any) -> None:
    contacted, bought, expected = drawn(1200, 0.2, 3)
    add_closed(store.engine, name, contacted, bought, expected=expected, **values)


def test_learned_effects_without_a_closed_plan_are_refused(stagecast, store):
    refused = stagecast("plan", "--name", "autumn", "--effects", "learned")
    assert refused.code == 4
    assert "no closed plan has 20 contacted and 20 held-out customers" in refused.err
    assert "No plan was made yet" in stagecast("plan", "list").out


@pytest.mark.slow
def test_a_plan_takes_the_learned_effect_and_says_from_how_many_plans(stagecast, store):
    closed(store)
    closed(store, "second")
    said = stagecast("plan", "--effects", "learned", "--contact-cost", 0.2)
    assert said.code == 0, said.err
    assert "The effects are learned from 2 plans: a contact keeps" in said.out
    assert "nothing is known of winning back, which is assumed" in said.out
    assert "assumed, not measured" not in said.out
    assumed = json.loads(stagecast("plan", "--json", "--contact-cost", 0.2).out)
    learned = json.loads(
        stagecast("plan", "--effects", "learned", "--contact-cost", 0.2, "--json").out
    )
    # about 20 % instead of 5 %
    assert learned["contacts"]["gross"] > 1.5 * assumed["contacts"]["gross"]
    stated = stagecast("plan", "--effects", "learned", "--effect", "3%", "--contact-cost", 0.2)
    assert "keeping is stated as 3.0 %" in stated.out


def test_the_api_takes_the_learned_effects(tmp_path, store):
    body = {"contacts": 60, "costs": {"contact": 0.2}, "effects": {"learned": True}}
    with web.client(web.app_with(tmp_path, store=store)) as api:
        refused = api.post("/v1/plans", json=body)
        assert refused.status_code == 422
        assert "no effect can be learned" in refused.json()["detail"]
        closed(store)
        made = api.post("/v1/plans", json={**body, "name": "autumn"})
        assert made.status_code == 201, made.text
        answer = made.json()
        assert answer["notes"][0].startswith("The effects are learned from 1 plan: a contact keeps")
        assert answer["plan"]["request"]["effects"]["keep"] == pytest.approx(0.2, abs=0.1)
        # the frozen list is made with the same effects, whatever was read out since
        closed(store, "later")
        frozen = api.post_text("/v1/plans/autumn/freeze", "").json()
        assert frozen["request"]["effects"] == answer["plan"]["request"]["effects"]


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("nobody", 2, "there is no plan 'nobody'"),
        ("open", 2, "plan 'open' is sent"),
        ("spring", 2, "the model that the scores of plan 'spring' are of cannot be read"),
        ("erased", 2, "all its customers were erased"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(stagecast, store, name, code, says):
    closed(store)
    closed(store, "open", plan_state="sent")
    add_closed(store.engine, "erased", np.zeros(0), np.zeros(0))
    Path("log.csv").write_text("customer_id,timestamp,amount\na,2021-01-01,5\n", "utf-8")
    refused = stagecast("plan", "learn", name, "log.csv")
    assert refused.code == code
    assert says in refused.err
    assert "Traceback" not in refused.err


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """A bundle trained on the log up to the as_of, and the whole log beside it."""

    def make(folder: Path) -> Path:
        frame = frame_of(simulated_rows(500, 500, 5))
        before = frame[frame["timestamp"] < AS_OF.replace(tzinfo=None)]
        trained(before, folder / "model", AS_OF, TrainConfig(max_dates=1), threads=1)
        frame.to_csv(folder / "log.csv", index=False)
        return folder

    return once(tmp_path_factory, "plan_learn_model", make)


@pytest.mark.slow
def test_learn_compares_the_rankings_of_a_plan_on_the_log(stagecast, store, model, tmp_path):
    shutil.copytree(model / "model", tmp_path / "model")
    ids = [f"c{k:05d}" for k in range(300)]
    contacted, bought, expected = drawn(300, 0.2, 1, holdout=0.5)
    add_closed(store.engine, "big", contacted, bought, expected=expected, ids=ids, as_of=AS_OF)
    few = drawn(60, 0.2, 2)
    add_closed(store.engine, "few", few[0], few[1], expected=few[2], ids=ids[:60], as_of=AS_OF)
    said = stagecast("plan", "learn", "big", model / "log.csv", "--depth", "30%")
    assert said.code == 0, said.err
    assert "Plan 'big': 150 contacted, 150 held out" in said.out
    assert "at depth 30%" in said.out
    assert "Per 1,000 customers of the list" in said.out
    for ranking in ("gain", "risk", "response", "linear"):
        assert f"\n{ranking} " in said.out
    data = json.loads(stagecast("plan", "learn", "few", model / "log.csv", "--json").out)
    choice = data["choice"]
    assert (data["plan"], choice["name"], choice["enough"]) == (
        "few",
        "gain",
        False,
    )
    assert "Too few contacts" in choice["reason"]
