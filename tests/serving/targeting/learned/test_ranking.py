"""Which ranking of the customers of a plan would have been the best."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.features.errors import DataRefusedError, NotEnoughDataError
from stagecast.serving.targeting.learned.closed import ClosedPlan, closed_plans
from stagecast.serving.targeting.learned.ranking import rank_plan
from tests.serving import published
from tests.serving.targeting.learned.made import AS_OF, add_closed

LEARNERS = ("T", "linear")
NAMES = ("orders", "recency_days", "noise")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    store = published.open_store(tmp_path)
    yield store.engine
    store.close()


def campaign(
    engine: sa.Engine, n: int, spread: float, *, chosen: bool = False
) -> tuple[ClosedPlan, Array, Array]:
    """Return a plan of n customers in three strata, their features and the true effects.

    Half of a stratum, two thirds and three quarters of another are contacted. The risk grows with
    ``recency_days``, the effect with ``orders`` by ``spread``. With ``chosen`` the contacted were
    not drawn at random.
    """
    random = np.random.default_rng(n)
    X = random.normal(0, 1, (n, 3))
    stratum = random.integers(0, 3, n)
    share = np.array([0.5, 2 / 3, 0.75])[stratum]
    contacted = random.uniform(size=n) < (expit(2 * X[:, 0]) if chosen else share)
    expected = 0.15 + 0.5 * expit(-2 * X[:, 1])
    effect = 0.1 + spread * np.tanh(X[:, 0])
    bought = random.uniform(size=n) < expected + contacted * effect
    add_closed(
        engine,
        "big",
        contacted,
        bought,
        expected=expected,
        gain=random.gamma(2, 1, n),
        stratum=stratum,
    )
    return closed_plans(engine, "big")[0], X, effect


@pytest.mark.slow
def test_uplift_is_chosen_where_a_contact_changes_other_customers_than_the_risky(
    engine: sa.Engine,
) -> None:
    plan, X, effect = campaign(engine, 7000, 0.2)
    ranked = rank_plan(plan, NAMES, X, depth=0.3, learners=LEARNERS)
    assert ranked.choice.group == "uplift"
    assert {j.name for j in ranked.choice.judged} == {"gain", "risk", "response", *LEARNERS}
    assert (ranked.contacted + ranked.held_out, ranked.depth) == (7000, 0.3)
    by_name = {j.name: j for j in ranked.choice.judged}
    truth = 0.3 * (np.sort(effect)[-2100:].mean() - effect.mean())
    best = by_name[ranked.choice.name].over_random
    assert abs(best.value - truth) < 3 * best.standard_error
    assert truth > 3 * best.standard_error


@pytest.mark.slow
def test_no_ranking_is_chosen_where_a_contact_does_the_same_to_all(engine: sa.Engine) -> None:
    plan, X, _ = campaign(engine, 3000, 0.0)
    ranked = rank_plan(plan, NAMES, X, depth=0.3, learners=("linear",))
    assert (ranked.choice.name, ranked.choice.enough) == ("random", True)
    assert ranked.choice.reason.startswith("No ranking is better than a draw at random")
    # an order is worth more than a contact costs: .1 x 10 - .2
    paid = rank_plan(plan, NAMES, X, worth=10.0, learners=("linear",))
    assert paid.choice.name == "everybody"
    assert (paid.depth, paid.worth, paid.cost) == (None, 10.0, pytest.approx(0.2))


def test_too_few_contacts_keep_the_ranking_of_the_plan(engine: sa.Engine) -> None:
    plan, X, _ = campaign(engine, 90, 0.2)
    ranked = rank_plan(plan, NAMES, X)
    assert (ranked.choice.name, ranked.choice.enough) == ("gain", False)
    assert ranked.choice.reason.startswith("Too few contacts to tell the rankings apart")


def test_contacts_that_were_not_drawn_at_random_are_refused(engine: sa.Engine) -> None:
    plan, X, _ = campaign(engine, 3000, 0.1, chosen=True)
    with pytest.raises(DataRefusedError, match="not drawn as stated"):
        rank_plan(plan, NAMES, X)


def test_a_plan_without_a_hold_out_is_refused(engine: sa.Engine) -> None:
    add_closed(engine, "all", np.ones(60), np.arange(60) % 2)
    plan = closed_plans(engine, "all")[0]
    with pytest.raises(NotEnoughDataError, match="0 were held out"):
        rank_plan(plan, NAMES, np.zeros((60, 3)))


def test_a_small_stratum_without_a_hold_out_is_merged(engine: sa.Engine) -> None:
    contacted = np.arange(400) % 2 == 0
    contacted[:6] = True
    stratum = np.r_[np.zeros(6), np.ones(394)]
    add_closed(engine, "a", contacted, np.arange(400) % 3 == 0, stratum=stratum)
    plan = closed_plans(engine, "a")[0]
    X = np.random.default_rng(1).normal(0, 1, (400, 3))
    ranked = rank_plan(plan, NAMES, X, learners=("linear",))
    assert ranked.contacted + ranked.held_out == 400


def test_closed_plans_come_the_oldest_first_and_without_those_still_open(
    engine: sa.Engine,
) -> None:
    arm = np.arange(10) < 5
    add_closed(engine, "a", arm, arm, as_of=AS_OF)
    add_closed(engine, "b", arm, arm, plan_state="sent")
    add_closed(engine, "c", arm, arm, as_of=AS_OF + timedelta(days=1))
    assert [plan.plan.name for plan in closed_plans(engine)] == ["a", "c"]
    assert closed_plans(engine, "b") == []
    first = closed_plans(engine, "a")[0]
    assert first.contacted.tolist() == first.bought.tolist() == arm.tolist()
    assert first.customer_id == tuple(f"a{k:05d}" for k in range(10))
