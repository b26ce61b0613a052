"""P(no purchase): the rule by hand, the ladder, the pool."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from stagecast.features.arrays import Array
from stagecast.training.churn_kinds import kind_of
from stagecast.training.columns import buyer_columns
from stagecast.training.inactivity.fit_members import (
    HALF_SAFE,
    MEMBERS,
    TREES_TRIED,
    MemberFit,
    MemberRows,
    TreesPlan,
    _fit_trees,
    _member_rows,
    best_trees,
    prior_weights,
)
from stagecast.training.inactivity.fitting import (
    FEWEST_CUSTOMERS,
    FEWEST_OF_EACH,
    YOUNG_PULL,
    fit_churn,
    has_enough_rows,
)
from stagecast.training.inactivity.members import READERS, GapRule, GapRuleOdds
from stagecast.training.inactivity.model import ChurnModel
from stagecast.training.learners import boosting
from stagecast.training.learners.blend import carried_level, level_shift, pool_weights
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.pool import CustomerBaseOdds, Member
from stagecast.training.panel import Frame, Panel, not_for_trees, seasons_of
from stagecast.training.reasons.of_buyers import total_effects
from tests.training.made import Trained, a_frame

pytestmark = pytest.mark.slow

# completed gaps of 10 and 20 days, one open since 30
RULE = GapRule((10.0, 20.0, 30.0), (2 / 3, 1 / 3, 1 / 3), (3.0, 2.0, 1.0))


def fitted(panel: Panel, rule: GapRule) -> ChurnModel:
    buyers = np.flatnonzero(panel.now.buyers)
    now = buyer_columns(panel.now.features, buyers, panel.base, 90)
    return fit_churn(panel, now, rule, 90, 1)


@pytest.mark.parametrize(
    ("recency", "horizon", "expected"),
    [
        # of three, one ended by day 10; the window of one who bought yesterday ends before day 11
        (1.0, 10, (2 / 3 * 3 + 1) / (3 + 2)),
        # a window that ends before the shortest gap
        (1.0, 9, (3 + 1) / (3 + 2)),
        # on day 10 the gap of 10 days may still come
        (10.0, 10, (2 / 3 * 3 + 1) / (3 + 2)),
        # after the tenth day two are left, one ends by day 20: one half, less than after shorter
        # silences
        (11.0, 10, (2 / 3 * 3 + 1) / (3 + 2)),
        # longer than all that was seen; of the one gap that lasted nothing more is known
        (40.0, 60, 1 / 2),
    ],
)
def test_the_rule_by_hand(recency: float, horizon: int, expected: float) -> None:
    assert RULE.probability(np.array([recency]), horizon)[0] == pytest.approx(expected, abs=1e-12)


def test_the_rule_without_any_gap_says_one_half() -> None:
    assert GapRule((), (), ()).probability(np.array([0.0, 500.0]), 90).tolist() == [0.5, 0.5]


@given(
    recency=st.lists(st.floats(0, 2_000), min_size=1, max_size=5),
    horizon=st.floats(1, 2_000),
    gaps=st.lists(st.integers(1, 900), min_size=1, max_size=12, unique=True),
)
def test_the_rule_is_never_sure(recency: list[float], horizon: float, gaps: list[int]) -> None:
    times = sorted(gaps)
    alive = 1.0 - np.arange(1, len(times) + 1) / len(times)
    rule = GapRule(tuple(map(float, times)), tuple(alive), tuple(np.arange(len(times), 0, -1.0)))
    p = rule.probability(np.array(recency), horizon)
    assert ((p > 0) & (p < 1)).all()


def test_members_are_pooled_in_log_odds_and_shifted() -> None:
    members: dict[str, Member] = {"btyd": CustomerBaseOdds(), "rule": GapRuleOdds(RULE, 10)}
    model = ChurnModel("blend", 10, {"btyd": 0.5, "rule": 0.5}, 0.3, RULE, members)
    columns = {"btyd_none": np.array([-1.0, 50.0]), "recency_days": np.array([1.0, 1.0])}
    p = model.probability(columns)
    assert p[0] == pytest.approx(expit(0.5 * -1.0 + 0.5 * logit(3 / 5) + 0.3))
    # one member that is sure beyond all measure does not silence the others
    assert p[1] == pytest.approx(expit(0.5 * 13.0 + 0.5 * logit(3 / 5) + 0.3))


def test_a_date_teaches_where_there_are_enough_of_either_kind() -> None:
    def frame(customers: int, gone: int, recency: float = 1.0) -> bool:
        orders = np.r_[np.zeros(gone), np.ones(customers - gone)]
        return has_enough_rows(
            a_frame({"recency_days": recency * np.arange(customers)}, orders=orders.tolist())
        )

    assert frame(FEWEST_CUSTOMERS, FEWEST_OF_EACH)
    assert frame(FEWEST_CUSTOMERS, FEWEST_CUSTOMERS - FEWEST_OF_EACH)
    assert not frame(FEWEST_CUSTOMERS - 1, 60)
    assert not frame(FEWEST_CUSTOMERS, FEWEST_OF_EACH - 1)
    assert not frame(FEWEST_CUSTOMERS, FEWEST_CUSTOMERS - FEWEST_OF_EACH + 1)
    # customers who cannot be told apart teach nothing
    assert not frame(FEWEST_CUSTOMERS, 60, recency=0.0)


def test_the_ladder_falls_with_what_there_is_to_learn_from(shop: Trained) -> None:
    panel, rule = shop.training.panel, shop.training.models.churn.rule
    assert fitted(replace(panel, base=None), rule).weights == {"rule": 1.0}
    assert fitted(replace(panel, dates=()), rule).weights == {"btyd": 1.0}
    # without a date of which the horizon has just ended, nothing newer than the members tells their
    # weights
    assert fitted(replace(panel, dates=panel.dates[1:]), rule).method == "btyd"
    assert shop.training.models.churn.method == "blend"
    assert {"btyd", "trees"} < set(shop.training.models.churn.weights)


def test_the_fewer_customers_the_more_the_customer_base_counts_to_begin_with() -> None:
    begin = {name: member.prior_weight for name, member in MEMBERS.items()}
    assert sum(begin.values()) == pytest.approx(1.0)
    few, sample, many = prior_weights(200), prior_weights(HALF_SAFE), prior_weights(10**9)
    assert few["btyd"] > sample["btyd"] > many["btyd"]
    assert many == pytest.approx(begin)
    assert sample["btyd"] == pytest.approx((1 + begin["btyd"]) / 2)
    for weights in (few, sample, many):
        assert sum(weights.values()) == pytest.approx(1.0)
        assert weights["rfm"] / weights["trees"] == pytest.approx(begin["rfm"] / begin["trees"])


@pytest.fixture
def _few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit twenty trees, where it does not matter how good they are."""
    monkeypatch.setattr("stagecast.training.inactivity.fit_members.TREES_TRIED", (20,))


@pytest.mark.usefixtures("_few_trees")
def test_a_young_log_learns_its_weights_from_customers_left_out(
    shop: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, rule = shop.training.panel, shop.training.models.churn.rule
    dates = panel.dates[:2]  # none of which was over before the newest
    asked = {}

    def judged(
        margins: Mapping[str, Array], target: Array, start: Mapping[str, float], pull: float
    ) -> dict[str, float]:
        asked.update(margins)
        assert start == prior_weights(len(dates[0]))
        assert pull == YOUNG_PULL
        return pool_weights(margins, target, start, pull)

    monkeypatch.setattr("stagecast.training.inactivity.fitting.blend.pool_weights", judged)
    model = fitted(replace(panel, dates=dates), rule)
    assert sum(model.weights.values()) == pytest.approx(1.0)
    # one customer's outcomes turned over do not reach what is said of that customer, but do reach
    # others
    newest = dates[0]
    item = int(newest.customer[7])
    turned = [
        replace(
            frame,
            orders=np.where(
                frame.customer == item, np.where(frame.inactive, 1.0, 0.0), frame.orders
            ),
        )
        for frame in dates
    ]
    before = dict(asked)
    fitted(replace(panel, dates=tuple(turned)), rule)
    for name in ("rfm", "splines", "trees"):
        assert before[name][7] == pytest.approx(asked[name][7], abs=1e-12)
        assert not np.array_equal(before[name], asked[name])


def test_a_log_too_young_to_know_its_season_goes_half_the_way_to_the_customer_base(
    shop: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, rule = shop.training.panel, shop.training.models.churn.rule
    young = replace(panel, history_days=500.0, dates=tuple(f for f in panel.dates if f.back < 365))
    assert seasons_of(panel.dates, panel.history_days)
    monkeypatch.setattr(
        "stagecast.training.inactivity.fitting.blend.carried_level",
        lambda shifts, years, known: 0.0,
    )
    model = fitted(young, rule)
    now = buyer_columns(panel.now.features, np.flatnonzero(panel.now.buyers), panel.base, 90)
    safe = expit(now["btyd_none"]).mean()
    assert expit(model.margin(now) + model.level).mean() == pytest.approx(safe, abs=1e-6)
    assert abs(model.level) > 1e-3
    assert (model.drawn, model.weighed_by) == (model.level, "other_customers")
    older = fitted(panel, rule)
    assert (older.level, older.drawn, older.weighed_by) == (0.0, 0.0, "later_date")
    monkeypatch.undo()
    # beside what the newest date asks for
    both = fitted(young, rule)
    newest = young.dates[0]
    margin = both.margin(newest.columns) - both.level
    carried = carried_level([level_shift(margin, newest.inactive)])
    assert both.drawn == model.drawn
    assert both.level == pytest.approx(carried + model.drawn)


@pytest.mark.usefixtures("_few_trees")
def test_a_season_in_which_nobody_buys_is_known(shop: Trained) -> None:
    # no model can be fitted on such a date, so it was left out, and the next one had no season:
    # of those who give each December, a third were expected to give from February to April
    panel, rule = shop.training.panel, shop.training.models.churn.rule
    idle = tuple(
        replace(frame, orders=np.zeros(len(frame))) if frame.back % 365 == 0 else frame
        for frame in panel.dates
    )
    assert [frame.back for frame in seasons_of(idle, panel.history_days)] == [365]
    model = fitted(replace(panel, dates=idle), rule)
    assert model.drawn == 0.0
    # the shift that leaves less than one customer of the season, of which .6 is expected again
    assert model.level > 2.0
    now = buyer_columns(panel.now.features, np.flatnonzero(panel.now.buyers), panel.base, 90)
    usual = fitted(panel, rule).probability(now)
    assert (1.0 - model.probability(now)).mean() < 0.3 * (1.0 - usual).mean()


def test_what_ties_a_row_to_its_date_is_not_for_the_trees(shop: Trained) -> None:
    trees = shop.training.models.churn.trees
    assert trees is not None
    assert not not_for_trees(shop.training.models.catalog) & set(trees.columns)
    assert {"recency_days", "btyd_none_mbg_nbd"} <= set(trees.columns)


def test_a_member_without_weight_is_not_kept(
    shop: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, rule = shop.training.panel, shop.training.models.churn.rule
    chosen = {"btyd": 0.75, "rfm": 0.25, "splines": 5e-5, "trees": 0.0}
    monkeypatch.setattr(
        "stagecast.training.inactivity.fitting.blend.pool_weights",
        lambda margins, target, start: chosen,
    )
    monkeypatch.setattr("stagecast.training.inactivity.fit_members.TREES_TRIED", (2,))
    model = fitted(panel, rule)
    assert model.weights == pytest.approx({"btyd": 0.75, "rfm": 0.25}, abs=1e-4)
    assert sum(model.weights.values()) == pytest.approx(1.0, abs=1e-12)
    assert set(model.members) == {"btyd", "rfm"}


@pytest.mark.parametrize("name", ["trees", "splines", "rfm", "btyd"])
def test_a_member_that_has_all_the_weight_did_not_replace_a_pool(
    shop: Trained, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    panel, models = shop.training.panel, shop.training.models
    chosen = {member: float(member == name) for member in MEMBERS}
    monkeypatch.setattr(
        "stagecast.training.inactivity.fitting.blend.pool_weights",
        lambda margins, target, start: chosen,
    )
    monkeypatch.setattr("stagecast.training.inactivity.fitting.better_alone", lambda *given: None)
    monkeypatch.setattr("stagecast.training.inactivity.fit_members.TREES_TRIED", (2,))
    model = fitted(panel, models.churn.rule)
    assert (set(model.weights), model.alone) == ({name}, None)
    kind = kind_of("inactivity")
    assert kind.notes(panel, replace(models, churn=model)) == []
    assert json.loads(json.dumps(model.to_json())).get("alone") is None


@dataclass(frozen=True)
class MeanSilence:
    """A member as somebody would add it: log odds by the silence over its mean."""

    mean_days: float

    def margin(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        return np.asarray(np.log(np.maximum(columns["recency_days"], 0.5) / self.mean_days))

    def effects(
        self, columns: Mapping[str, Array], threads: int = 0
    ) -> Iterator[tuple[str, Array]]:
        yield "recency_days", self.margin(columns)

    def to_json(self) -> dict[str, float]:
        return {"mean_days": self.mean_days}


def test_a_member_named_as_the_recipe_says_is_fitted_weighed_stored_and_explained(
    shop: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(rows: MemberRows) -> Member:
        return MeanSilence(float(rows.columns["recency_days"].mean()))

    monkeypatch.setitem(MEMBERS, "silence", MemberFit(0.2, fit))
    monkeypatch.setitem(READERS, "silence", lambda data: MeanSilence(**data))
    panel, rule = shop.training.panel, shop.training.models.churn.rule
    monkeypatch.setattr(
        "stagecast.training.inactivity.fitting.blend.pool_weights",
        lambda margins, target, start: start,
    )
    model = fitted(panel, rule)
    assert model.weights["silence"] > 0.05
    columns = panel.dates[0].columns
    text = json.dumps(model.to_json())
    assert model.trees is not None
    again = ChurnModel.from_json(json.loads(text), model.trees.text)
    assert again.members["silence"] == model.members["silence"]
    assert again.probability(columns).tobytes() == model.probability(columns).tobytes()
    monkeypatch.delitem(READERS, "silence")
    with pytest.raises(ValueError, match="not stored: silence"):
        ChurnModel.from_json(json.loads(text), model.trees.text)
    with pytest.raises(ValueError, match=r"READERS does not name .* silence"):
        model.to_json()
    alone = replace(model, weights={"silence": 1.0}, level=0.0)
    effects = total_effects(replace(shop.training.models, churn=alone), columns)
    np.testing.assert_allclose(effects.sum(axis=1), alone.margins(columns)["silence"])


def test_json_and_back_gives_the_same_bytes(shop: Trained) -> None:
    model, columns = shop.training.models.churn, shop.training.panel.dates[0].columns
    assert isinstance(model.trees, Boosted)
    assert model.hazard is not None
    stored = json.loads(json.dumps(model.to_json()))
    again = ChurnModel.from_json(stored, model.trees.text, hazard_trees=model.hazard.trees.text)
    assert again.probability(columns).tobytes() == model.probability(columns).tobytes()
    with pytest.raises(ValueError, match="members that are not stored: hazard"):
        ChurnModel.from_json(stored, model.trees.text)
    assert (again.weighed_by, again.drawn) == (model.weighed_by, model.drawn)


def test_there_are_as_many_trees_as_a_later_date_likes_best(shop: Trained) -> None:
    newest = shop.training.panel.dates[0]
    names = ["recency_days", "frequency", "T_days"]
    columns = {name: newest.columns[name] for name in names}
    target, weight = newest.inactive.astype(np.float64), np.ones(len(newest))
    # on the very rows of the training more trees are always better; on outcomes by lot none are any
    # good
    learned = boosting.fit(
        columns, names, target, weight, "binary", trees=250, seed=1, num_leaves=31
    )
    assert best_trees(learned, [newest], newest, 1)[0] == TreesPlan(250)
    by_lot = replace(newest, orders=np.random.default_rng(1).permutation(newest.orders))
    plan, first = best_trees(learned, [newest], by_lot, 1)
    assert plan == TreesPlan(60)
    assert first.booster.num_trees() == 60
    np.testing.assert_array_equal(
        first.raw(columns),
        learned.booster.predict(learned.matrix(columns), raw_score=True, num_iteration=60),
    )


@pytest.mark.parametrize("seasonal", [True, False])
def test_trees_learn_from_the_season_alone_where_the_others_mislead(seasonal: bool) -> None:
    """In summer a long silence says the contrary of what it says in winter, or the same."""
    random = np.random.default_rng(5)

    def frame(back: int) -> Frame:
        silence = random.uniform(0, 100, 600)
        summer = back % 365 != 0
        direction = -1.0 if summer and seasonal else 1.0
        p = expit(direction * (silence - 50) / 20)
        columns = {"recency_days": silence, "frequency": random.poisson(2, 600).astype(float)}
        return a_frame(columns, orders=random.uniform(size=600) > p, back=back)

    later, dates = frame(365), [frame(back) for back in (730, 850, 970, 1095)]
    rows = _member_rows(dates, max(TREES_TRIED), 1)
    plan, best = best_trees(_fit_trees(rows), dates, later, 1)
    assert plan.seasonal == seasonal
    assert [d.back for d in plan.dates_of(dates)] == (
        [730, 1095] if seasonal else [730, 850, 970, 1095]
    )
    assert np.corrcoef(best.raw(later.columns), later.columns["recency_days"])[0, 1] > 0.8
    # one date of the season is too few
    assert plan.dates_of(dates[1:]) == dates[1:]


@pytest.mark.usefixtures("_few_trees")
def test_a_customer_base_model_that_one_date_lacks_is_heard_at_none(shop: Trained) -> None:
    panel, rule = shop.training.panel, shop.training.models.churn.rule
    assert panel.base is not None
    for lacking in (0, -1):
        dates = list(panel.dates)
        remaining = {
            name: v for name, v in dates[lacking].columns.items() if name != "btyd_none_pareto_nbd"
        }
        dates[lacking] = replace(dates[lacking], columns=remaining)
        model = fitted(replace(panel, dates=tuple(dates)), rule)
        assert model.trees is not None
        assert "btyd_none_pareto_nbd" not in model.trees.columns
    item = replace(panel.base, models=panel.base.models[:1], weights=(1.0,))
    model = fitted(replace(panel, base=item), rule)
    assert model.trees is not None
    assert "btyd_none_pareto_nbd" not in model.trees.columns
