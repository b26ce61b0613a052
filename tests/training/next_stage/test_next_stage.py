"""P(stage at the end): sums, impossible stages, agreement with the churn probability, the chain
for few rows.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from stagecast.features.stages.conditions import Clause
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.training.models import Predictions, predict
from stagecast.training.next_stage.chain import SMOOTHING
from stagecast.training.next_stage.fitting import fit_next_stage
from stagecast.training.next_stage.model import FEWEST_ROWS, NextStageModel, stages_at_end
from stagecast.training.panel import Frame
from tests.training.made import Trained, a_frame

LIMITS = {
    "shop_gap_days": 30.0,
    "at_risk_ratio": 2.0,
    "sleeping_ratio": 4.0,
    "lost_after_days": 300.0,
    "loyal_orders": 4.0,
    "loyal_spend": 100.0,
}
SCHEME = load_scheme("retail").with_thresholds(LIMITS)
PROSPECT, NEW, REPEAT, LOYAL, AT_RISK, SLEEPING, LOST, REACTIVATED = range(8)


def frame(pairs: list[tuple[int, int, float]]) -> Frame:
    """Return a frame of (stage, stage after, orders)."""
    stage, after, orders = zip(*pairs, strict=True)
    columns = {
        "recency_days": np.arange(len(pairs)) + 1.0,
        "orders": np.arange(len(pairs)) % 4 + 1.0,
    }
    return a_frame(columns, orders=orders, stage=stage, stage_after=after)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def predicted(shop: Trained) -> Predictions:
    now = shop.training.panel.now
    return predict(shop.training.models, now)


def test_every_row_sums_to_one(predicted: Predictions) -> None:
    assert np.abs(predicted.p_stage.sum(axis=1) - 1).max() <= 1e-12
    assert (predicted.p_stage >= 0).all()


def test_silence_leads_to_its_stage_with_the_probability_of_no_purchase(
    shop: Trained, predicted: Predictions
) -> None:
    scheme = shop.training.models.scheme
    silent = shop.training.panel.now.standing.stage_if_silent
    p_none = np.where(np.isnan(predicted.p_inactive), 1 - predicted.p_convert, predicted.p_inactive)
    there = predicted.p_stage[np.arange(len(silent)), silent]
    assert (there >= p_none - 1e-12).all()
    # stages that end with the first order on the way are reached by silence alone
    only_silence = np.isin(scheme.ids, ["prospect", "sleeping", "lost"])[silent]
    assert only_silence.sum() > 100
    sleeping = there[only_silence & (shop.training.panel.now.features["orders"] == 0)]
    np.testing.assert_allclose(
        sleeping, p_none[only_silence & (shop.training.panel.now.features["orders"] == 0)]
    )


def test_what_the_scheme_forbids_is_exactly_zero(shop: Trained, predicted: Predictions) -> None:
    ids = shop.training.models.scheme.ids
    p = dict(zip(ids, predicted.p_stage.T, strict=True))
    bought = shop.training.panel.now.features["orders"] > 0
    several = shop.training.panel.now.features["orders"] > 1
    assert (p["prospect"][bought] == 0).all()
    assert (p["prospect"][~bought] > 0).all()
    assert (p["new"][several] == 0).all()


def test_a_threshold_of_never_is_a_stage_of_probability_zero() -> None:
    never = SCHEME.with_thresholds({**LIMITS, "lost_after_days": math.inf})
    observed = [frame([(SLEEPING, REPEAT, 1), (AT_RISK, SLEEPING, 0)])]
    for scheme, possible in ((SCHEME, True), (never, False)):
        model = fit_next_stage(scheme, observed, [], 1)
        assert bool((np.delete(model.chain[:, LOST], LOST) > 0).any()) == possible
        prior = model.given_purchase({}, np.array([SLEEPING]))
        silence = model.given_silence(
            {}, np.array([LOST if possible else SLEEPING]), np.array([False])
        )
        p = stages_at_end(np.array([0.3]), prior, silence)[0]
        assert (p[LOST] > 0) == possible
        assert p[SLEEPING if not possible else LOST] >= 0.7


def test_stages_at_end_by_hand() -> None:
    arguments, silence = np.zeros((1, 8)), np.zeros((1, 8))
    arguments[0, [REPEAT, AT_RISK]] = 0.75, 0.25
    silence[0, AT_RISK] = 1.0
    actual = stages_at_end(np.array([0.4]), arguments, silence)[0]
    np.testing.assert_allclose(actual[[REPEAT, AT_RISK]], [0.3, 0.1 + 0.6])
    silence[0, [AT_RISK, SLEEPING]] = 0.0, 1.0
    actual = stages_at_end(np.array([0.4]), arguments, silence)[0]
    np.testing.assert_allclose(actual[[REPEAT, AT_RISK, SLEEPING]], [0.3, 0.1, 0.6])


def test_no_purchase_leads_to_a_stage_of_prospects_however_its_rule_is_written() -> None:
    rules = {"prospect": ("orders <= 0",), "new": ("orders < 2", "orders > 0")}
    stages = tuple(
        replace(s, rule=tuple(Clause.parse(text, "here") for text in rules[s.id]))
        if s.id in rules
        else s
        for s in SCHEME.stages
    )
    model = fit_next_stage(replace(SCHEME, stages=stages), [], [], 1)
    for stage in (NEW, REPEAT, AT_RISK, SLEEPING):
        assert model.after_purchase[stage, PROSPECT] == 0
    assert model.after_purchase[PROSPECT, PROSPECT] == 0
    assert model.after_purchase[REPEAT, NEW] == 0
    assert model.after_purchase[PROSPECT, NEW] > 0


def test_without_other_events_silence_is_no_matter_of_chance() -> None:
    pairs = [(NEW, REPEAT, 1.0)] * 6 + [(NEW, AT_RISK, 0.0)] * 10
    np.testing.assert_array_equal(
        fit_next_stage(SCHEME, [frame(pairs)], [], 1).without_purchase, np.eye(8)
    )


def test_few_rows_leave_the_chain_to_speak() -> None:
    pairs = [(NEW, REPEAT, 1.0)] * 6 + [(NEW, AT_RISK, 1.0)] * 2 + [(NEW, AT_RISK, 0.0)] * 10
    model = fit_next_stage(SCHEME, [frame(pairs)], [], 1)
    assert (model.linear, model.trees, model.classes) == (None, None, ())
    each = (
        SMOOTHING / 8
    )  # of the 6 stages that can be reached from new by an order, none of them prospect or new
    reached = [REPEAT, LOYAL, AT_RISK, SLEEPING, LOST, REACTIVATED]
    expected = np.zeros(8)
    expected[reached] = each
    expected[[REPEAT, AT_RISK]] += 6, 2
    np.testing.assert_allclose(model.after_purchase[NEW], expected / expected.sum())
    assert model.chain[NEW, AT_RISK] == pytest.approx((12 + each) / (18 + 7 * each))
    prior = model.given_purchase({}, np.array([NEW, NEW]))
    np.testing.assert_array_equal(prior, model.after_purchase[[NEW, NEW]])


def test_a_stage_nobody_was_on_has_a_row_too() -> None:
    model = fit_next_stage(SCHEME, [], [], 1)
    np.testing.assert_allclose(model.after_purchase.sum(axis=1), 1.0)
    np.testing.assert_allclose(model.chain.sum(axis=1), 1.0)
    assert model.after_purchase[PROSPECT, PROSPECT] == 0
    assert model.after_purchase[PROSPECT, NEW] > 0


def test_prospects_teach_the_chain() -> None:
    converted = a_frame({}, orders=[1] * 9, stage=[PROSPECT] * 9, stage_after=[NEW] * 9)
    assert fit_next_stage(SCHEME, [], [converted], 1).after_purchase[PROSPECT, NEW] > 0.9


def rows(count: int) -> Frame:
    """Return buyers of whom those with the longer silence came back as reactivated."""
    pairs = [(SLEEPING, REACTIVATED if k > count / 2 else REPEAT, 1.0) for k in range(count)]
    return frame(pairs)


def test_enough_rows_are_learned_from() -> None:
    learned = rows(FEWEST_ROWS)
    model = fit_next_stage(SCHEME, [learned], [], 1)
    assert model.classes == (REPEAT, REACTIVATED)
    p = model.given_purchase(learned.columns, learned.stage)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    assert p[:100, REPEAT].min() > 0.8
    assert p[-100:, REACTIVATED].min() > 0.8
    assert (p[:, [PROSPECT, NEW]] == 0).all()
    assert fit_next_stage(SCHEME, [rows(FEWEST_ROWS - 1)], [], 1).trees is None


def test_one_class_alone_is_learned_without_a_fault() -> None:
    learned = frame([(REPEAT, REPEAT, 1.0)] * FEWEST_ROWS)
    model = fit_next_stage(SCHEME, [learned], [], 1)
    assert model.classes == (REPEAT,)
    assert model.given_purchase(learned.columns, learned.stage)[:, REPEAT].min() > 0.99


def test_the_pool_is_the_weighted_geometric_mean_and_json_gives_the_same_bytes(
    shop: Trained,
) -> None:
    model, now = shop.training.models.next_stage, shop.training.panel.dates[0]
    assert model.trees is not None
    assert model.linear is not None
    p = model.given_purchase(now.columns, now.stage)
    trees = np.exp(model.trees.raw(now.columns))
    trees /= trees.sum(axis=1, keepdims=True)
    assert sum(model.weights.values()) == pytest.approx(1.0)
    assert model.weights["trees"] > 0
    prior, w = model.after_purchase[now.stage], model.weights
    members = {"linear": model.linear.probability(now.columns), "trees": trees}
    full = prior ** w["chain"]
    for name, report in members.items():
        spread = np.full_like(prior, 1e-9)
        spread[:, list(model.classes)] = np.maximum(report, 1e-9)
        full *= np.where(prior > 0, spread, 0.0) ** w[name]
    np.testing.assert_allclose(p, full / full.sum(axis=1, keepdims=True), rtol=1e-9)
    assert (p[prior == 0] == 0).all()
    again = NextStageModel.from_json(json.loads(json.dumps(model.to_json())), model.trees.text)
    assert again.given_purchase(now.columns, now.stage).tobytes() == p.tobytes()
    assert again.chain.tobytes() == model.chain.tobytes()
