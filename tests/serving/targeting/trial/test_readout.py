"""The read-out of a campaign, put together."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.serving.targeting.trial.outcomes import DailyOutcomes, Outcomes
from stagecast.serving.targeting.trial.readout import read_out

LOOKS = 4


def campaign(effect: float = 0.0, customers: int = 3000, seed: int = 1) -> Outcomes:
    """Return a campaign in which contact adds a probability to buy of 10 money each."""
    random = np.random.default_rng(seed)
    p = random.uniform(0.05, 0.5, customers)
    contacted = random.random(customers) < 0.7
    day = random.random(customers) * LOOKS
    buys = random.random(customers) < p + effect * contacted
    amount = 10.0 * random.gamma(4.0, 0.25, customers)
    bought = buys[:, None] & (day[:, None] < np.arange(1, LOOKS + 1))
    spend = bought * amount[:, None]
    band = np.where(p < 0.2, "low", "high").tolist()
    return Outcomes(
        customer_id=[f"c{k}" for k in range(customers)],
        contacted=contacted,
        stratum=band,
        play=["call", "mail"] * (customers // 2),
        stage=["loyal"] * customers,
        band=band,
        bought=bought[:, -1],
        expected_purchase=p,
        spend=spend[:, -1],
        expected_spend=10.0 * p,
        daily=DailyOutcomes(np.arange(1, LOOKS + 1) / LOOKS, bought, spend),
    )


def without_money(outcomes: Outcomes) -> Outcomes:
    assert outcomes.daily is not None
    return replace(outcomes, spend=None, daily=replace(outcomes.daily, spend=None))


def test_an_effect_is_proven_and_a_harm_is_harmful_and_nothing_is_not_proven() -> None:
    for effect, word in ((0.15, "Proven"), (-0.15, "Harmful"), (0.0, "Not proven yet")):
        for closed in (True, False):
            assert read_out(campaign(effect), cost=0.0, closed=closed).verdict.word == word


def test_the_totals_add_up() -> None:
    result = read_out(campaign(0.15), cost=500.0, closed=True)
    assert result.money is not None
    assert result.net is not None
    assert result.gain_per_money is not None
    adjusted = result.money.comparison.adjusted
    assert result.contacted + result.held_out == result.customers == 3000
    assert adjusted.total.estimate == pytest.approx(
        adjusted.per_customer.estimate * result.contacted
    )
    assert result.net.low == pytest.approx(adjusted.total.low - 500.0)
    assert result.gain_per_money.high == pytest.approx(adjusted.total.high / 500.0)
    # 0.15 buyers of 10 money each
    assert adjusted.per_customer.low < 1.5 < adjusted.per_customer.high


def test_costs_can_turn_a_gain_into_harm() -> None:
    outcomes = campaign(0.15)
    assert read_out(outcomes, cost=100.0, closed=True).verdict.word == "Proven"
    dear = read_out(outcomes, cost=10_000.0, closed=True)
    assert dear.verdict.word == "Harmful"
    assert dear.net is not None
    assert dear.net.high < 0


def test_the_margin_is_what_counts_of_the_spend() -> None:
    outcomes = campaign(0.15)
    whole, third = (read_out(outcomes, cost=0.0, closed=True, margin=m).net for m in (1.0, 0.3))
    assert whole is not None
    assert third is not None
    assert third.estimate == pytest.approx(0.3 * whole.estimate)
    assert third.width == pytest.approx(0.3 * whole.width)


def test_while_the_window_is_open_the_verdict_rests_on_the_interval_of_the_looks() -> None:
    result = read_out(campaign(0.15), cost=0.0, closed=False)
    assert result.money is not None
    assert result.net is not None
    assert result.net.width == pytest.approx(result.money.looks[-1].total.width)
    assert result.net.width > result.money.comparison.adjusted.total.width
    assert (result.by_play, result.by_stage, result.by_band) == ((), (), ())


def test_an_early_look_rests_on_the_days_so_far() -> None:
    outcomes = campaign(0.15)
    assert outcomes.daily is not None
    assert outcomes.daily.spend is not None
    early = DailyOutcomes(
        outcomes.daily.elapsed[:2], outcomes.daily.bought[:, :2], outcomes.daily.spend[:, :2]
    )
    so_far = replace(
        outcomes, bought=early.bought[:, -1], spend=outcomes.daily.spend[:, 1], daily=early
    )
    whole = read_out(outcomes, cost=0.0, closed=False).buyers
    part = read_out(so_far, cost=0.0, closed=False).buyers
    assert whole is not None
    assert part is not None
    for look, again in zip(whole.looks[:2], part.looks, strict=True):
        assert again.per_customer.high == pytest.approx(look.per_customer.high)


def test_without_amounts_buyers_are_judged() -> None:
    result = read_out(without_money(campaign(0.15)), cost=500.0, closed=True)
    assert result.money is None
    assert result.net is None
    assert result.gain_per_money is None
    assert result.verdict.word == "Proven"
    assert "extra buyers" in result.verdict.sentence
    assert any("no amounts" in note for note in result.notes)
    assert result.by_band[0].shrunk.estimate == pytest.approx(0.15, abs=0.06)


def test_segments_carry_the_effect_of_their_customers() -> None:
    result = read_out(campaign(0.15), cost=0.0, closed=True)
    assert [row.label for row in result.by_play] == ["call", "mail"]
    assert [row.label for row in result.by_band] == ["high", "low"]
    (whole,) = result.by_stage
    assert result.money is not None
    adjusted = result.money.comparison.adjusted.per_customer
    assert whole.shrunk.estimate == pytest.approx(adjusted.estimate)


def test_a_campaign_without_any_purchase_proves_nothing_and_says_so() -> None:
    outcomes = campaign()
    nothing = replace(outcomes, bought=np.zeros(3000, dtype=bool), spend=np.zeros(3000), daily=None)
    result = read_out(nothing, cost=10.0, closed=True)
    assert result.buyers is None
    assert result.verdict.word == "Not proven yet"
    assert any("nothing to compare" in note for note in result.notes)
    assert result.by_play == ()


def test_once_the_window_is_over_nobody_is_told_to_wait() -> None:
    outcomes = campaign()
    nothing = np.zeros(len(outcomes.bought))
    alike = replace(outcomes, bought=nothing > 0, spend=nothing, daily=None)
    closed = read_out(alike, cost=0.0, closed=True)
    assert closed.verdict.word == "Not proven yet"
    assert closed.verdict.sentence.endswith("this list can show no effect.")
    assert len(closed.notes) == len(set(closed.notes))
    assert not any("yet" in note or "wait" in note for note in closed.notes)


def test_orders_without_money_are_judged_as_buyers() -> None:
    outcomes = campaign(effect=0.3)
    free = replace(outcomes, spend=np.zeros(len(outcomes.bought)), daily=None)
    result = read_out(free, cost=0.0, closed=True)
    assert result.money is None
    assert result.verdict.word == "Proven"
    assert "extra buyers" in result.verdict.sentence


def test_one_large_customer_is_named_in_the_notes() -> None:
    outcomes = replace(campaign(0.15), daily=None)
    assert outcomes.spend is not None
    spend = outcomes.spend.copy()
    spend[0] = spend.sum()
    result = read_out(replace(outcomes, spend=spend), cost=0.0, closed=True)
    assert any("One customer has 5" in note for note in result.notes)


def test_money_up_to_a_cap_stands_beside_the_money_once_the_window_is_closed() -> None:
    result = read_out(campaign(0.15), cost=0.0, closed=True)
    assert result.capped is not None
    assert result.money is not None
    # most of 0.15 buyers of 10 money each; what counts as the effect is the whole
    assert 0.9 < result.capped.effect.per_customer.estimate < 1.9
    assert result.net is not None
    assert result.net.estimate == result.money.comparison.adjusted.total.estimate
    assert read_out(campaign(0.15), cost=0.0, closed=False).capped is None
    assert read_out(without_money(campaign(0.15)), cost=0.0, closed=True).capped is None


def test_segments_of_which_nothing_is_shown_are_named_in_the_notes() -> None:
    outcomes = replace(campaign(0.15), stage=["rare"] * 30 + ["loyal"] * 2970, daily=None)
    result = read_out(outcomes, cost=0.0, closed=True)
    assert any(": rare. Nothing is shown" in note for note in result.notes)


def test_the_order_of_the_customers_does_not_matter() -> None:
    outcomes = replace(campaign(0.15), daily=None)
    order = np.random.default_rng(2).permutation(3000)
    moved = replace(
        outcomes,
        **{
            name: [getattr(outcomes, name)[k] for k in order]
            for name in ("customer_id", "stratum", "play", "stage", "band")
        },
        **{
            name: getattr(outcomes, name)[order]
            for name in ("contacted", "bought", "expected_purchase", "spend", "expected_spend")
        },
    )
    first, again = (read_out(o, cost=0.0, closed=True).net for o in (outcomes, moved))
    assert first is not None
    assert again is not None
    assert again.low == pytest.approx(first.low)


def test_json_holds_every_number_and_none_that_json_lacks() -> None:
    for closed in (True, False):
        result = read_out(campaign(0.15), cost=500.0, closed=closed)
        data = json.loads(json.dumps(result.to_json(), allow_nan=False))
        assert data["verdict"]["word"] == "Proven"
        assert data["net"]["low"] == pytest.approx(result.net.low if result.net else None)
        assert len(data["buyers"]["looks"]) == LOOKS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bought": np.zeros(5, dtype=bool)}, "bought has 5 elements, but there are 3000"),
        ({"bought": np.zeros(3000)}, "bought is of type float64"),
        ({"play": ["call"]}, "play has 1 elements"),
        ({"expected_purchase": np.full(3000, np.nan)}, "expected_purchase of customer 'c0' is not"),
        ({"customer_id": ["c"] * 3000}, "2999 customers are listed more than once"),
        ({"spend": None}, "spend is known at the looks or at the end only"),
        ({"bought": np.ones(3000, dtype=bool)}, "read both out on the same day"),
    ],
)
def test_outcomes_that_do_not_fit_together_are_refused(
    change: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        replace(campaign(), **change)  # type: ignore[arg-type]


def test_a_read_out_that_cannot_be_made_is_refused() -> None:
    outcomes = campaign()
    with pytest.raises(UsageError, match=r"a cost of -1\.0"):
        read_out(outcomes, cost=-1.0, closed=True)
    with pytest.raises(UsageError, match=r"a margin of 0\.0"):
        read_out(outcomes, cost=1.0, closed=True, margin=0.0)
    with pytest.raises(UsageError, match="the window is open"):
        read_out(replace(outcomes, daily=None), cost=1.0, closed=False)
    with pytest.raises(UsageError, match="a confidence level of 95"):
        read_out(outcomes, cost=1.0, closed=True, level=95)
    with pytest.raises(NotEnoughDataError, match="0 held-out customers"):
        read_out(replace(outcomes, contacted=np.ones(3000, dtype=bool)), cost=1.0, closed=True)
