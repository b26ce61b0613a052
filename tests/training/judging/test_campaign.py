"""The campaign of EMPC: money of the log, and costs at which rankings differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stagecast.features.errors import UsageError
from stagecast.training.judging.campaign import PUBLISHED, Campaign, CampaignCosts, campaign_of
from stagecast.training.learners import metrics
from tests.training.judging.test_verdict import made


def profit(left: np.ndarray, p: np.ndarray, campaign: Campaign) -> float:
    """EMPC by brute force: the best share to contact at each share that accepts."""
    order = np.argsort(-p, kind="stable")
    leavers = np.r_[0, np.cumsum(left[order])] / len(left)
    stayers = np.r_[0, np.cumsum(~left[order])] / len(left)
    accepted = np.random.default_rng(1).beta(6, 14, 20_000)
    best = [
        (
            (g * (campaign.clv - campaign.incentive_cost) - campaign.contact_cost) * leavers
            - (campaign.incentive_cost + campaign.contact_cost) * stayers
        ).max()
        for g in accepted
    ]
    return float(np.mean(best))


def test_the_costs_of_the_log_tell_methods_apart_where_the_published_do_not() -> None:
    random = np.random.default_rng(5)
    truth = random.beta(8, 2, 1_500)  # four in five leave
    left = random.random(1_500) < truth
    replay = replace(made(1), inactive=left, observed_spend=np.where(left, 0.0, 60.0))
    campaign = campaign_of([replay])
    assert campaign.clv == pytest.approx(60.0)
    assert campaign.incentive_cost == pytest.approx(3.0)
    blind = random.random(1_500)
    costs = {
        "clv": campaign.clv,
        "incentive_cost": campaign.incentive_cost,
        "contact_cost": campaign.contact_cost,
    }
    ours, by_lot = (metrics.empc(left, p, **costs) for p in (truth, blind))
    assert ours is not None
    assert by_lot is not None
    assert ours[0] == pytest.approx(profit(left, truth, campaign), rel=0.05)
    assert ours[0] > 1.15 * by_lot[0]
    published = [metrics.empc(left, p) for p in (truth, blind)]
    assert published[0] is not None
    assert published[1] is not None
    assert published[0][0] < 1.02 * published[1][0]


def test_contacting_everybody_earns_nothing() -> None:
    replay = made(2)
    campaign = campaign_of([replay], CampaignCosts(clv=80.0, incentive_cost=4.0))
    left = replay.inactive.mean()
    gained = left * (0.3 * (80.0 - 4.0) - campaign.contact_cost)
    assert gained == pytest.approx((1 - left) * (4.0 + campaign.contact_cost))


def test_what_is_set_is_used_and_without_money_the_published_value_is() -> None:
    assert campaign_of([made(1)], CampaignCosts(50.0, 2.0, 1.0)) == Campaign(50.0, 2.0, 1.0)
    bare = campaign_of([made(1, money=False)])
    assert (bare.clv, bare.incentive_cost) == (PUBLISHED.clv, PUBLISHED.incentive_cost)


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ({"clv": 0.0}, "--clv 0.0 must be above 0"),
        ({"contact_cost": -1.0}, "--contact-cost -1.0 must be 0 or more"),
        ({"clv": 5.0, "incentive_cost": 5.0}, "nobody would be worth keeping"),
    ],
)
def test_costs_that_cannot_be_are_refused(costs: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        CampaignCosts(**costs)
