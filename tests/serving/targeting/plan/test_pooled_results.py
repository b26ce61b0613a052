"""What closed plans brought together equals sums and roots worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from stagecast.serving.store.plan_tables import plans, readouts
from stagecast.serving.store.store import Store
from stagecast.serving.targeting.plan.pooled_results import pooled_results
from stagecast.serving.targeting.plan.results import last_readouts

AT = datetime(1998, 1, 1, tzinfo=UTC)
HALF = 1.959964
INACTIVITY = {"churn": "inactivity"}


def interval(estimate: float, error: float) -> dict[str, float]:
    ends = estimate - HALF * error, estimate + HALF * error
    return {"estimate": estimate, "low": ends[0], "high": ends[1]}


def measured(estimate: float, error: float) -> dict[str, Any]:
    return {"comparison": {"adjusted": {"per_customer": interval(estimate, error)}}}


def add(
    engine: sa.Engine,
    name: str,
    result: dict[str, Any],
    *,
    standing: bool = False,
    proposal: Mapping[str, Any] = INACTIVITY,
) -> None:
    document = {"level": 0.95, "held_out": 50, "money": None, "by_play": [], **result}
    with engine.begin() as connection:
        key = connection.execute(
            plans.insert().values(
                name=name,
                owner="",
                state="closed",
                run_id=1,
                window_days=30,
                **dict.fromkeys(("as_of", "starts_at", "created_at"), AT),
                request={"standing": standing, "seed": 0},
                proposal=dict(proposal),
            )
        ).inserted_primary_key[0]
        # an earlier look, which does not count
        for closed, read in ((False, {"buyers": None}), (True, document)):
            connection.execute(
                readouts.insert().values(
                    plan_id=key, read_at=AT, data_until=AT, closed=closed, result=read
                )
            )


@pytest.fixture
def store(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path / 'stagecast.db'}")
    yield store
    store.close()


def test_totals_are_sums_and_their_errors_add_as_squares(store: Store) -> None:
    assert pooled_results(store.engine) is None
    play = {"label": "loyal", "contacted": 60, "alone": interval(2.0, 0.5)}
    add(
        store.engine,
        "spring",
        {
            "contacted": 100,
            "cost": 20.0,
            "by_play": [play],
            "buyers": measured(0.05, 0.02),
            "money": measured(1.5, 0.4),
        },
        standing=True,
    )
    add(
        store.engine,
        "summer",
        {
            "contacted": 300,
            "cost": 30.0,
            "by_play": [{**play, "contacted": 200}],
            "buyers": measured(0.01, 0.01),
            "money": measured(0.5, 0.2),
        },
        standing=True,
    )
    add(store.engine, "nothing", {"contacted": 10, "cost": 0.0, "buyers": None})
    together = pooled_results(store.engine)
    assert together is not None
    assert together.plans == ("spring", "summer")
    assert (together.contacted, together.held_out, together.cost) == (400, 100, 50.0)
    assert together.money is not None
    assert together.net is not None
    assert together.mean_net is not None
    for total, estimate, error in (
        (together.buyers, 5.0 + 3.0, np.hypot(2.0, 3.0)),
        (together.money, 150.0 + 150.0, np.hypot(40.0, 60.0)),
        (together.net, 300.0 - 50.0, np.hypot(40.0, 60.0)),
        (together.by_play[0].total, 120.0 + 400.0, np.hypot(30.0, 100.0)),
    ):
        assert total.estimate == pytest.approx(estimate)
        assert total.high - total.estimate == pytest.approx(HALF * error, rel=1e-5)
        assert total.estimate - total.low == pytest.approx(HALF * error, rel=1e-5)
    assert together.mean_net.plans == 2
    assert any("same customers" in note for note in together.notes)
    assert any("1 closed plan left out" in note for note in together.notes)
    newest = last_readouts(store.engine)
    assert [newest[key]["buyers"] is None for key in sorted(newest)] == [False, False, True]


def test_money_is_left_out_where_a_plan_has_none(store: Store) -> None:
    add(store.engine, "a", {"contacted": 10, "cost": 1.0, "buyers": measured(0.1, 0.05)})
    both = {"buyers": measured(0.1, 0.05), "money": measured(1.0, 0.5)}
    add(store.engine, "b", {"contacted": 10, "cost": 1.0, **both})
    together = pooled_results(store.engine)
    assert together is not None
    assert (together.money, together.net, together.mean_net) == (None, None, None)
    assert together.buyers.estimate == pytest.approx(2.0)


def test_the_total_of_one_plan_has_its_interval_and_both_sides_add_up_apart(store: Store) -> None:
    skewed = {"estimate": 5.68, "low": -0.95, "high": 9.93}
    one = {"comparison": {"adjusted": {"per_customer": skewed}}}
    result = {"contacted": 100, "cost": 0.0, "buyers": measured(0.1, 0.1), "money": one}
    add(store.engine, "autumn", result)
    alone = pooled_results(store.engine)
    assert alone is not None
    assert alone.money is not None
    ends = (alone.money.estimate, alone.money.low, alone.money.high)
    assert ends == pytest.approx((568.0, -95.0, 993.0))
    add(store.engine, "winter", {**result, "contacted": 200})
    both = pooled_results(store.engine)
    assert both is not None
    assert both.money is not None
    below, above = np.hypot(663.0, 1326.0), np.hypot(425.0, 850.0)
    ends = (both.money.estimate, both.money.low, both.money.high)
    assert ends == pytest.approx((1704.0, 1704.0 - below, 1704.0 + above))


def test_plans_of_contracts_count_who_is_kept_or_comes_back(store: Store) -> None:
    result = {"contacted": 100, "cost": 50.0, "buyers": measured(0.1, 0.03)}
    add(store.engine, "orders", result)
    assert pooled_results(store.engine).counts == "extra_buyers"
    for name, former, counts in (
        ("kept", 0, "customers_kept"),
        ("kept again", 0, "customers_kept"),
        ("back", 100, "kept_or_back"),
    ):
        contacts = {"contacts": 100, "former": former}
        of_contracts = {"churn": "cancellation", "contacts": contacts}
        add(store.engine, name, result, proposal=of_contracts)
        assert pooled_results(store.engine).counts == counts
