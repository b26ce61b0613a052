"""Reasons of buyers: they add up to the risk, go both ways, and show numbers that differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from stagecast.training.columns import buyer_columns
from stagecast.training.inactivity.fitting import fit_churn
from stagecast.training.learners.linear import LogisticModel
from stagecast.training.models import Predictions, predict
from stagecast.training.reasons.explanation import (
    MOST_LOWERING,
    MOST_RAISING,
    SMALLEST_EFFECT,
    Explanation,
)
from stagecast.training.reasons.families import FAMILIES, family_index
from stagecast.training.reasons.of_buyers import (
    buyer_explanations,
    total_effects,
    usual_of_buyers,
)
from stagecast.training.reasons.sentences import LOWERS, RAISES, clause, shown
from stagecast.training.reference.usual import AVERAGE
from tests.training.made import Trained

Made = tuple[dict[int, Explanation], Predictions]


@pytest.fixture(scope="module")
def made(shop: Trained) -> Made:
    panel, models = shop.training.panel, shop.training.models
    predicted = predict(models, panel.now)
    return buyer_explanations(models, panel.now, predicted, predicted.buyers), predicted


@pytest.mark.slow
def test_effects_sum_to_the_pooled_margin_less_the_members_bases(
    shop: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = shop.training.panel
    columns = panel.dates[0].columns
    # so that all members speak
    monkeypatch.setattr(
        "stagecast.training.inactivity.fitting.blend.pool_weights",
        lambda margins, target, start: start,
    )
    now = buyer_columns(panel.now.features, np.flatnonzero(panel.now.buyers), panel.base, 90)
    churn = fit_churn(panel, now, shop.training.models.churn.rule, 90, 1)
    assert churn.trees is not None
    rfm, splines = churn.members["rfm"], churn.members["splines"]
    assert isinstance(rfm, LogisticModel)
    assert isinstance(splines, LogisticModel)
    w = churn.weights
    base = w["trees"] * churn.trees.contributions(columns)[:, -1]
    base = base + w["rfm"] * rfm.intercept + w["splines"] * splines.intercept
    effects = total_effects(replace(shop.training.models, churn=churn), columns)
    assert effects.shape == (len(base), len(FAMILIES))
    inside = (
        np.abs(list(churn.margins(columns).values())).max(axis=0) < 13
    )  # where no member is held back
    np.testing.assert_allclose(
        (effects.sum(axis=1) + base + churn.level)[inside], churn.margin(columns)[inside], atol=1e-9
    )


def test_every_column_belongs_to_one_family() -> None:
    names = [family.feature for family in FAMILIES]
    named = {
        "refund_share": "refund_share",
        "orders_90d": "orders_90d",
        "trend_orders_90d": "orders_90d",
        "orders_365d": "orders",
        "order_rate": "orders",
        "frequency": "orders",
        "spend_90d": "spend_mean",
        "monetary": "spend_mean",
        "activity": "activity_30d",
        "gap_longest": "gap_mean",
        "rhythm_days": "gap_mean",
        "tenure_days": "T_days",
        "recency_days": "recency_days",
        "overdue_ratio": "recency_days",
        "btyd_none_mbg_nbd": "recency_days",
    }
    assert {column: names[family_index(FAMILIES, column)] for column in named} == named


def test_base_effects_and_rest_add_up_to_the_risk(made: Made) -> None:
    explanations, predicted = made
    for row, explanation in explanations.items():
        total = explanation.base + explanation.rest
        total += sum(r.effect for r in explanation.reasons if not np.isnan(r.effect))
        assert expit(total) == pytest.approx(predicted.p_inactive[row], abs=1e-9)


def test_all_effects_leave_no_rest_but_what_members_are_held_back_by(
    shop: Trained, made: Made
) -> None:
    panel, models = shop.training.panel, shop.training.models
    usual, predicted = models.reference.buyers, made[1]
    effects = total_effects(models, predicted.columns)
    inside = np.abs(list(models.churn.margins(predicted.columns).values())).max(axis=0) < 13
    beyond = effects - np.array(usual.mean_effects[AVERAGE])
    # the mean of the risks has other log odds than the mean of the log odds, by the same for all
    risk = predicted.p_silent[predicted.buyers]
    apart = usual.base[AVERAGE] + beyond.sum(axis=1) - logit(np.clip(risk, 1e-9, 1 - 1e-9))
    np.testing.assert_allclose(apart[inside], apart[inside][0], atol=1e-6)
    assert abs(apart[inside][0]) < 2
    assert len(panel.now) >= len(effects)


def test_up_to_three_raise_and_two_lower_each_strongest_first(made: Made) -> None:
    explanations = list(made[0].values())
    counts = [
        tuple(sum(r.direction == side for r in e.reasons) for side in (RAISES, LOWERS))
        for e in explanations
    ]
    assert max(raising for raising, _ in counts) == MOST_RAISING
    assert max(lowering for _, lowering in counts) == MOST_LOWERING
    both = np.mean([raising > 0 and lowering > 0 for raising, lowering in counts])
    assert both > 0.15
    for explanation in explanations:
        sides = [reason.direction for reason in explanation.reasons]
        assert sides == sorted(sides, key=[RAISES, LOWERS].index)
        for side in (RAISES, LOWERS):
            effects = [r.effect for r in explanation.reasons if r.direction == side]
            known = [e for e in effects if not np.isnan(e)]
            assert all((e > 0) == (side == RAISES) for e in known)
            assert [abs(e) for e in known] == sorted((abs(e) for e in known), reverse=True)
            assert all(abs(e) >= SMALLEST_EFFECT for e in known)
        assert len({r.feature for r in explanation.reasons}) == len(explanation.reasons)


def test_who_is_looked_at_first_and_above_the_average_risk_is_told_what_raises_it(
    shop: Trained, made: Made
) -> None:
    # who is worth much and likely to buy may have nothing that raises the risk
    explanations, predicted = made
    active = shop.training.panel.now.stage
    states = np.array([s.state for s in shop.training.models.scheme.stages])[active]
    stakes = np.where(states == "active", np.nan_to_num(predicted.value_at_risk), -1.0)
    average = predicted.p_inactive[states == "active"].mean()
    first = np.argsort(-stakes)[:200]
    risky = [int(row) for row in first if predicted.p_inactive[row] > average]
    raised = [any(r.direction == RAISES for r in explanations[row].reasons) for row in risky]
    assert len(risky) > 20
    assert np.mean(raised) > 0.8


def test_a_number_differs_from_the_usual_one_and_does_not_contradict(made: Made) -> None:
    raises = {family.feature: family.raises for family in FAMILIES}
    for explanation in made[0].values():
        for reason in explanation.reasons:
            if np.isnan(reason.usual):
                continue
            assert shown(reason.feature, reason.value) != shown(reason.feature, reason.usual)
            more = np.sign(reason.value - reason.usual)
            if ".not_due" in reason.code:  # a short silence raises the risk where none is due
                more = -more
            assert raises.get(reason.feature, 0) in (0, more * np.sign(reason.effect))


def test_nobody_at_a_high_risk_is_without_a_reason_for_it(made: Made) -> None:
    explanations, predicted = made
    high = [row for row in explanations if predicted.p_inactive[row] >= 2 / 3]
    assert len(high) > 50
    for row in high:
        assert any(reason.direction == RAISES for reason in explanations[row].reasons)


def test_values_are_the_customers_own_and_usual_ones_those_of_past_or_stage(
    shop: Trained, made: Made
) -> None:
    now, models = shop.training.panel.now, shop.training.models
    stages = np.array(models.scheme.ids)[now.stage]
    compared = set()
    for row, explanation in made[0].items():
        for reason in explanation.reasons:
            feature, _, versus = reason.code.rpartition(".")
            if feature == "stage":
                continue
            compared.add(versus)
            value = now.features[feature][row]
            assert reason.value == (value if feature == "gap_mean" else np.nan_to_num(value))
            if reason.code == "recency_days.own":
                # not the rhythm, which leans on the shop's gap, and which one order has, too
                assert reason.usual == now.features["gap_mean"][row]
            elif reason.code == "orders_90d.own":
                assert reason.usual == now.features["orders_prev_90d"][row]
            elif versus.endswith("due"):
                assert reason.usual == now.features["gap_mean"][row] > value
            elif versus.endswith("due_of_all"):
                assert reason.usual == models.reference.buyers.medians[AVERAGE]["gap_mean"] > value
            elif versus == "stage":
                assert reason.usual == models.reference.buyers.medians[stages[row]][feature]
            elif versus == "active":
                assert reason.usual == models.reference.buyers.medians[AVERAGE][feature]
    assert {"own", "stage", "active"} <= compared


def test_an_assumed_gap_of_the_shop_changes_no_reason(shop: Trained, made: Made) -> None:
    models, panel = shop.training.models, shop.training.panel
    scheme = replace(models.scheme, assumed=frozenset({"shop_gap_days", "at_risk_ratio"}))
    unknown = buyer_explanations(replace(models, scheme=scheme), panel.now, made[1], made[1].buyers)
    assert unknown == made[0]
    one_order = [row for row in made[0] if panel.now.features["frequency"][row] == 0]
    assert len(one_order) > 20
    codes = {reason.code for row in one_order for reason in made[0][row].reasons}
    assert codes
    assert "recency_days.own" not in codes


def test_usual_figures_are_those_of_the_training(shop: Trained, made: Made) -> None:
    models, panel = shop.training.models, shop.training.panel
    states = np.array([s.state for s in models.scheme.stages])[panel.now.stage]
    usual = usual_of_buyers(models, panel.now, made[1], states == "active")
    assert usual.base == pytest.approx(models.reference.buyers.base)
    assert usual.medians == models.reference.buyers.medians
    assert {"loyal", "at_risk"} <= set(usual.base)


def test_medians_are_those_of_all_buyers_where_effects_are_of_a_sample(
    shop: Trained, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a report tells the median silence of a stage beside reasons that compare with it
    monkeypatch.setattr("stagecast.training.reasons.of_buyers.SAMPLE", 150)
    models, now = shop.training.models, shop.training.panel.now
    active = np.array([s.state for s in models.scheme.stages])[now.stage] == "active"
    buyers = made[1].buyers
    assert len(buyers) >= 300
    usual = usual_of_buyers(models, now, made[1], active)
    stages = np.array([s.id for s in models.scheme.stages])[now.stage[buyers]]
    silence = now.features["recency_days"][buyers]
    assert len(usual.medians) > 2
    for stage, medians in usual.medians.items():
        members = active[buyers] if stage == AVERAGE else stages == stage
        assert medians["recency_days"] == np.median(silence[members])


def test_no_rows_have_no_reasons(shop: Trained, made: Made) -> None:
    nobody = np.zeros(0, dtype=np.int64)
    panel = shop.training.panel
    assert buyer_explanations(shop.training.models, panel.now, made[1], nobody) == {}


def test_the_rule_and_the_customer_base_speak_of_the_silence(shop: Trained) -> None:
    models, columns = shop.training.models, shop.training.panel.dates[0].columns
    alone = replace(models, churn=replace(models.churn, weights={"btyd": 1.0}))
    effects = total_effects(alone, columns)
    np.testing.assert_array_equal(effects[:, -1], alone.churn.margins(columns)["btyd"])
    assert (effects[:, :-1] == 0).all()


def test_every_family_has_a_clause() -> None:
    for family in FAMILIES:
        text = clause(f"{family.feature}.stage", 3.0, 2.0)
        assert text != f"{family.feature}: 3; 2 is usual on this stage"
