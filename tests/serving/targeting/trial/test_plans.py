"""The read-outs of several plans as one."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.serving.targeting.trial.plans import pool_read_outs
from stagecast.serving.targeting.trial.readout import ReadOut, read_out
from tests.serving.targeting.trial.test_readout import campaign, without_money


def results(effect: float = 0.06, cost: float = 0.0, plans: int = 4) -> list[ReadOut]:
    return [
        read_out(campaign(effect, customers=1500, seed=seed), cost=cost, closed=True)
        for seed in range(plans)
    ]


def test_plans_that_each_prove_little_prove_it_together() -> None:
    single = results()
    pooled = pool_read_outs(single)
    assert pooled.verdict.word == "Proven"
    assert pooled.plans == 4
    assert pooled.net is not None
    width = [r.net.width / r.contacted for r in single if r.net is not None]
    assert pooled.net.mean.width < min(width)
    # 0.06 buyers of 10 money each
    assert pooled.net.mean.low < 0.6 < pooled.net.mean.high
    assert pooled.buyers.mean.low < 0.06 < pooled.buyers.mean.high


def test_a_single_plan_is_itself() -> None:
    (single,) = results(0.15, cost=300.0, plans=1)
    pooled = pool_read_outs([single])
    assert pooled.net is not None
    assert single.net is not None
    assert pooled.net.mean.low * single.contacted == pytest.approx(single.net.low)
    assert pooled.verdict.word == single.verdict.word


@pytest.mark.slow
def test_costs_count_by_plan() -> None:
    free, dear = (pool_read_outs(results(cost=cost)).net for cost in (0.0, 1000.0))
    assert free is not None
    assert dear is not None
    assert free.mean.estimate - dear.mean.estimate == pytest.approx(1000 / 1050, rel=0.05)


def test_a_plan_without_amounts_leaves_the_buyers() -> None:
    blind = read_out(without_money(campaign(0.06, seed=9)), cost=0.0, closed=True)
    pooled = pool_read_outs([*results(), blind])
    assert pooled.net is None
    assert pooled.buyers.plans == 5
    assert "buyers" in pooled.verdict.sentence


def test_json_has_plain_values_only() -> None:
    data = json.loads(json.dumps(pool_read_outs(results()).to_json(), allow_nan=False))
    assert data["net"]["plans"] == 4


def test_open_windows_mixed_levels_and_plans_without_purchases_are_refused() -> None:
    (closed,) = results(plans=1)
    with pytest.raises(UsageError, match="the window of plan 1 is open"):
        pool_read_outs([closed, read_out(campaign(), cost=0.0, closed=False)])
    with pytest.raises(UsageError, match="the levels"):
        pool_read_outs([closed, replace(closed, level=0.9)])
    empty = replace(campaign(), bought=np.zeros(3000, dtype=bool), spend=np.zeros(3000), daily=None)
    with pytest.raises(NotEnoughDataError, match="in none of 1 plans"):
        pool_read_outs([read_out(empty, cost=0.0, closed=True)])
    with pytest.raises(NotEnoughDataError, match="in none of 0 plans"):
        pool_read_outs([])
