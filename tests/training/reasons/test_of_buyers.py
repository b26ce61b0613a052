"""Reasons add up to the margin, push in one direction, and say the right numbers in right words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stagecast.training.churn.fitting import fit_churn
from stagecast.training.churn_kinds import kind_of
from stagecast.training.columns import buyer_columns
from stagecast.training.learners.linear import LogisticModel
from stagecast.training.models import predict
from stagecast.training.reasons import of_buyers as explain
from stagecast.training.reasons.of_buyers import (
    FAMILIES,
    MAX_REASONS,
    SMALLEST_EFFECT,
    Family,
    Reason,
    mean_effects,
    reasons,
    total_effects,
)
from tests.training.made import Trained


@pytest.fixture(scope="module")
def told(shop: Trained) -> tuple[list[list[Reason]], np.ndarray]:
    panel, models = shop.training.panel, shop.training.models
    buyers = np.flatnonzero(panel.now.buyers)
    columns = buyer_columns(panel.now.features, buyers, models.base, 90)
    return reasons(models, columns, kind_of("inactivity").states(models, panel.now)[buyers]), buyers


def test_effects_sum_to_the_pooled_margin_less_the_members_bases(
    shop: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = shop.training.panel
    columns = panel.dates[0].columns
    # so that all members speak
    monkeypatch.setattr(
        "stagecast.training.churn.fitting.blend.pool_weights", lambda margins, target, start: start
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
    shown = [family.feature for family in FAMILIES]
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
    assert {column: shown[explain.family_index(FAMILIES, column)] for column in named} == named


def test_at_most_three_reasons_strongest_first_in_one_direction(
    told: tuple[list[list[Reason]], np.ndarray],
) -> None:
    found = [mine for mine in told[0] if mine]
    assert len(found) > 0.5 * len(told[0])  # most differ enough from the others in their state
    assert max(map(len, found)) == MAX_REASONS
    for mine in found:
        effects = [r.effect for r in mine]
        assert all(e > 0 for e in effects) or all(e < 0 for e in effects)
        assert [abs(e) for e in effects] == sorted((abs(e) for e in effects), reverse=True)
        assert min(abs(e) for e in effects) >= SMALLEST_EFFECT
        assert len({r.feature for r in mine}) == len(mine)


def test_reasons_push_where_the_customer_differs_from_their_state(
    shop: Trained, told: tuple[list[list[Reason]], np.ndarray]
) -> None:
    panel, models = shop.training.panel, shop.training.models
    p = predict(models, panel.now).p_inactive[told[1]]
    state = np.array([s.state for s in models.scheme.stages])[panel.now.stage[told[1]]]
    margin = np.log(p / (1 - p))
    for name in ("active", "lapsed"):
        rows = np.flatnonzero(state == name)
        beyond = margin[rows] - margin[rows].mean()
        sign = np.array([np.sign(told[0][row][0].effect) if told[0][row] else 0.0 for row in rows])
        clear = (np.abs(beyond) > 0.1) & (sign != 0)
        assert clear.sum() > 50
        assert (np.sign(beyond) == sign)[clear].all()


def test_no_reason_says_the_contrary_of_its_effect(
    told: tuple[list[list[Reason]], np.ndarray],
) -> None:
    raises = {family.feature: family.raises for family in FAMILIES}
    for reason in (reason for mine in told[0] for reason in mine):
        more = np.sign(reason.value - reason.usual)
        assert raises[reason.feature] in (0, more * np.sign(reason.effect))
        assert reason.sentence.endswith(explain.LOWERS) == (reason.effect < 0)


def test_values_are_the_customers_own(
    shop: Trained, told: tuple[list[list[Reason]], np.ndarray]
) -> None:
    features = shop.training.panel.now.features
    for mine, row in zip(*told, strict=True):
        for reason in mine:
            assert reason.value == np.nan_to_num(features[reason.feature][row])
            if reason.feature == "recency_days":
                assert reason.usual == features["rhythm_days"][row]
                assert f"no order for {round(reason.value)} day" in reason.sentence
            if reason.feature == "orders_90d":
                assert reason.usual == features["orders_prev_90d"][row]


def test_no_silence_is_compared_with_an_assumed_gap(
    shop: Trained, told: tuple[list[list[Reason]], np.ndarray]
) -> None:
    models, panel = shop.training.models, shop.training.panel
    scheme = replace(models.scheme, assumed=frozenset({"shop_gap_days", "at_risk_ratio"}))
    columns = buyer_columns(panel.now.features, told[1], models.base, 90)
    states = kind_of("inactivity").states(models, panel.now)[told[1]]
    unknown = reasons(replace(models, scheme=scheme), columns, states)
    assert any("the usual gap" in reason.sentence for mine in told[0] for reason in mine)
    assert not any("the usual gap" in reason.sentence for mine in unknown for reason in mine)
    assert any(unknown)


def test_effects_are_against_the_mean_of_the_state(shop: Trained) -> None:
    panel, models = shop.training.panel, shop.training.models
    buyers = np.flatnonzero(panel.now.buyers)
    columns = buyer_columns(panel.now.features, buyers, models.base, 90)
    state = kind_of("inactivity").states(models, panel.now)[buyers]
    means = mean_effects(models, columns, state)
    assert means == {
        name: pytest.approx(values) for name, values in models.reference.mean_effects.items()
    }
    effects = total_effects(models, columns)
    for name, mean in means.items():
        np.testing.assert_allclose(effects[state == name].mean(axis=0), mean, atol=1e-9)


def test_nobody_has_no_reasons(shop: Trained) -> None:
    assert reasons(shop.training.models, {}, np.zeros(0, dtype=np.str_)) == []


def test_the_rule_and_the_customer_base_speak_of_the_silence(shop: Trained) -> None:
    models, columns = shop.training.models, shop.training.panel.dates[0].columns
    alone = replace(models, churn=replace(models.churn, weights={"btyd": 1.0}))
    effects = total_effects(alone, columns)
    np.testing.assert_array_equal(effects[:, -1], alone.churn.margins(columns)["btyd"])
    assert (effects[:, :-1] == 0).all()


@pytest.mark.parametrize(
    ("feature", "value", "usual", "sentence"),
    [
        ("recency_days", 1, 30.4, "no order for 1 day; the usual gap is 30"),
        ("recency_days", 1234, 5.55, "no order for 1,234 days; the usual gap is 5.5"),
        ("orders", 1, 2, "1 order so far; 2 is usual"),
        ("orders", 3, 1, "3 orders so far; 1 is usual"),
        ("orders_90d", 0, 2, "0 orders in the last 90 days, 2 in the 90 before"),
        ("orders_90d", 1, 0, "1 order in the last 90 days, 0 in the 90 before"),
        ("spend_mean", 9.25, 1000.4, "spends 9.2 an order; 1,000 is usual"),
        ("activity_30d", 1, 4, "1 visit or other events in the last 30 days; 4 is usual"),
        ("activity_30d", 2, 4, "2 visits or other events in the last 30 days; 4 is usual"),
        ("gap_mean", 12, 30, "12 days between orders on average; 30 is usual"),
        ("gap_mean", 0, 30, "one order only, no rhythm yet"),
        ("T_days", 1, 90, "first order 1 day ago; 90 is usual"),
        ("refund_share", 0.25, 0.02, "25% of the spend was given back; 2% is usual"),
    ],
)
def test_sentences_say_the_numbers(feature: str, value: float, usual: float, sentence: str) -> None:
    own_past = "rhythm_days" if feature == "recency_days" else None
    assert explain._sentence(Family(feature), value, usual, own_past) == sentence


def test_every_family_has_a_sentence() -> None:
    for family in FAMILIES:
        assert explain._sentence(family, 3.0, 2.0, None)
