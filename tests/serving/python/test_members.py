"""Features and members of one's own as parameters of a ``Lifecycle``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import stagecast as sc
from stagecast.features.catalog.own import OwnFeatures
from stagecast.features.errors import UsageError
from stagecast.serving.python.parameters import config_of, parameters_of
from stagecast.training.learners.factor import Factor
from stagecast.training.models import predict
from stagecast.training.value.own_regressors import EstimatorMean, OwnRegressors, regressor_notes
from tests.training.made import Trained, frame_of, simulated_rows


@sc.feature(unit="ratio")
def basket_trend(f: Any) -> Any:
    """Spend of 90 days over that of the 90 before."""
    return f.spend_90d / f.spend_prev_90d


def test_parameters_come_back_from_the_settings() -> None:
    members = {"trees": sc.Trees(leaves=8), "mine": sc.member(GaussianNB())}
    model = sc.Lifecycle(features=[basket_trend], members=members)
    assert repr(model) == (
        "Lifecycle(features=[Feature(basket_trend = spend_90d / spend_prev_90d, ratio)], "
        "members={'trees': Trees(leaves=8), 'mine': member(GaussianNB())})"
    )
    assert model.get_params()["members"] is members
    copy = clone(model)
    assert repr(copy) == repr(model)
    assert copy.members is not None
    assert copy.members["mine"].estimator is not members["mine"].estimator  # type: ignore[attr-defined]
    config = config_of(model.get_params(), OwnFeatures())
    assert config.own.features == (basket_trend.in_catalog(),)
    assert repr(sc.Lifecycle(**parameters_of(config))) == repr(model)
    # a log that has the feature in its own configuration does not count it twice
    assert config_of(model.get_params(), config.own) == config


def test_settings_of_members_are_parameters() -> None:
    members = {"trees": sc.Trees(leaves=8), "mine": sc.member(GaussianNB())}
    model = sc.Lifecycle(members=members)
    deep = model.get_params()
    assert deep["members__trees__leaves"] == 8
    assert deep["members__mine__var_smoothing"] == 1e-9
    assert "members__btyd" not in deep
    # everything that is named can be set, and stays as it was
    assert repr(clone(model).set_params(**deep)) == repr(model)
    other = clone(model).set_params(members__mine__var_smoothing=0.1, members__trees__leaves=4)
    assert repr(other) == (
        "Lifecycle(members={'trees': Trees(leaves=4), "
        "'mine': member(GaussianNB(var_smoothing=0.1))})"
    )
    assert members["trees"].leaves == 8  # type: ignore[attr-defined]
    assert members["mine"].estimator.var_smoothing == 1e-9  # type: ignore[attr-defined]
    money = sc.Lifecycle(spend_members={"mine": sc.member(Ridge())})
    assert money.set_params(spend_members__mine__alpha=3).get_params()[
        "spend_members__mine__alpha"
    ] == pytest.approx(3)
    assert money.set_params(spend_members__mine=None).spend_members is None


def test_without_members_the_settings_are_those_of_the_usual_four() -> None:
    model = sc.Lifecycle()
    assert model.get_params()["members__trees__leaves"] == sc.Trees().leaves
    # ... of a model of cancellations there are none
    assert not [name for name in sc.Lifecycle(churn="cancellation").get_params() if "__" in name]
    model.set_params(members__trees=None, members__regression__penalty=2.0)
    rest = {"btyd": sc.Btyd(), "regression": sc.Regression(penalty=2.0), "hazard": sc.Hazard()}
    assert model.members == rest


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("members__tres__leaves", 8, "no 'tres'. Did you mean 'trees'"),
        ("members__trees__leafs", 8, "no setting 'leafs'. Did you mean 'leaves'"),
        ("members__trees__leaves", 1, "whole number between 2 and 1024"),
        ("spend_members__mine__alpha", 1, "spend_members has no 'mine'.*It has: none"),
        ("member__trees__leaves", 8, "no parameter 'member__trees__leaves'"),
    ],
)
def test_settings_that_no_member_has_are_refused(name: str, value: int, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        sc.Lifecycle().set_params(**{name: value})


def test_wrong_parameters_are_refused_before_anything_is_learned(log: sc.EventLog) -> None:
    unknown = sc.Feature(name="half", unit="days", formula="recency_dayz / 2")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"features": [unknown]}, "no feature before it.*Did you mean 'recency_days'"),
        ({"features": [basket_trend, basket_trend]}, "stands twice"),
        ({"members": {"mine": GaussianNB()}}, r"sc.member\(classifier\)"),
        ({"members": {"mine": sc.member(GaussianNB())}, "churn": "cancellation"}, "leave members"),
    ]
    for parameters, reason in wrong:
        with pytest.raises(UsageError, match=reason):
            sc.Lifecycle(**parameters).fit(log)


def test_the_evaluation_judges_each_member(shop: Trained) -> None:
    evaluation = shop.training.evaluation
    assert evaluation is not None
    table = sc.load(shop.folder).evaluate().by_member
    assert table["log_loss"].to_dict() == {m.name: m.log_loss for m in evaluation.members}
    assert len(table) > 1
    # the pool is a mean of the log odds of its members, in which the log loss is convex
    assert evaluation.models[0].log_loss <= table["log_loss"].max()


@pytest.fixture(scope="module")
def growing() -> Iterator[sc.EventLog]:
    """A log in which each order of a customer is larger than the one before it."""
    frame = frame_of(simulated_rows(900, 500, seed=2, prospects=0.0, refunds=0.0))
    number = frame.groupby("customer_id").cumcount()
    frame["amount"] *= 1.25 ** np.minimum(number, 8)
    with sc.read_events(frame, duplicates="keep") as opened:
        yield opened


@pytest.fixture(scope="module")
def of_regressors(growing: sc.EventLog) -> sc.Lifecycle:
    """A model whose spend and orders have regressors of the user."""
    line = make_pipeline(StandardScaler(), Ridge())
    tree = RandomForestRegressor(10, min_samples_leaf=30, max_depth=4)
    model = sc.Lifecycle(
        max_dates=1,
        members={"btyd": sc.Btyd()},
        spend_members={"tree": sc.member(tree), "line": sc.member(line)},  # a bundle sorts them
        orders_members={"tree": sc.member(tree)},
    )
    return model.fit(growing)


def test_regressors_take_part_in_orders_and_spend(of_regressors: sc.Lifecycle) -> None:
    weights = of_regressors.weights
    assert weights.groupby("part")["weight"].sum().to_dict() == pytest.approx(
        {"churn": 1.0, "orders": 1.0, "spend": 1.0}
    )
    assert set(weights["member"]) & {"line", "tree"}
    models = of_regressors.bundle_.models
    assert models.config.members.own == {}
    assert of_regressors.training_ is not None
    now = of_regressors.training_.panel.now
    predicted = predict(models, now)
    buyers, columns = predicted.buyers, predicted.columns
    # the parts: orders times spend per order, and the value if kept of its three parts
    per_order = models.value.spend_per_order(columns, models.base)
    assert per_order is not None
    np.testing.assert_allclose(
        predicted.expected_spend[buyers], predicted.expected_orders[buyers] * per_order, rtol=1e-12
    )
    # by hand: ours and the predictions of the regressors, in their shares
    factor = models.value.spend
    assert factor.own is not None
    expected = models.value.spend_so_far(columns, models.base)
    ours = replace(factor, own=None, level=1.0).times(expected, columns)
    mixed = (1 - sum(factor.own.weights.values())) * factor.own.scale * ours
    for name, own in factor.own.members.items():
        rows = pd.DataFrame({column: columns[column] for column in own.columns})
        if own.fills:
            rows = rows.fillna(dict(zip(own.columns, own.usual, strict=True)))
        mixed = mixed + factor.own.weights[name] * np.maximum(own.estimator.predict(rows), 0.0)
    np.testing.assert_allclose(per_order, factor.level * mixed, rtol=1e-9)
    scores = of_regressors.scores
    parts = scores["clv"] + scores["value_at_risk"] + scores["value_gone"]
    known = scores["value_if_kept"].notna()
    np.testing.assert_allclose(parts[known], scores["value_if_kept"][known], rtol=1e-9)


def test_regressors_are_saved_and_loaded_only_by_choice(
    of_regressors: sc.Lifecycle, growing: sc.EventLog, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    with pytest.raises(UsageError, match=r"spend\.\w+.*own_members='skops'"):
        of_regressors.save(folder)
    of_regressors.save(folder, own_members="skops")
    for load in (sc.load, sc.load_scorer):
        with pytest.raises(UsageError, match="a server or a command never loads them"):
            load(folder)
    loaded = sc.load(folder, allow_own_members=True)
    assert loaded.bundle_.model_version == of_regressors.bundle_.model_version
    for name in ("members", "spend_members", "orders_members"):  # by name, not in the given order
        theirs, own = getattr(loaded, name), getattr(of_regressors, name)
        assert {k: repr(v) for k, v in theirs.items()} == {k: repr(v) for k, v in own.items()}
    assert loaded.spend_members is not None
    assert loaded.spend_members["line"].estimator is not None  # it can be fitted again
    ours, theirs = (model.score(growing, reasons=False) for model in (of_regressors, loaded))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


@pytest.mark.parametrize(
    "value",
    ["yes", "", 1, 0, None, [1], {"a": 1}],
    ids=["text", "empty", "1", "0", "None", "list", "dict"],
)
def test_what_allows_members_is_true_false_or_names(value: Any, shop: Trained) -> None:
    with pytest.raises(
        UsageError, match=r"allow_own_members = .* cannot be used; give True, False"
    ):
        sc.load(shop.folder, allow_own_members=value)


def test_no_names_allow_no_members(
    of_regressors: sc.Lifecycle, shop: Trained, tmp_path: Path
) -> None:
    of_regressors.save(tmp_path / "model", own_members="skops")
    with pytest.raises(UsageError, match="members that its author wrote"):
        sc.load(tmp_path / "model", allow_own_members=[])
    assert sc.load(tmp_path / "model", allow_own_members=["shop.Scaler"]).spend_members
    assert sc.load(shop.folder, allow_own_members=np.True_) is not None  # type: ignore[arg-type]


def test_what_scikit_learn_does_not_know_is_no_member() -> None:
    class Bare:
        def fit(self, X: Any, y: Any) -> Any:
            return self

    with pytest.raises(UsageError, match="no scikit-learn estimator: derive its class from Class"):
        sc.member(Bare())


def test_a_folder_that_cannot_be_written_is_named(
    of_regressors: sc.Lifecycle, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file/model cannot be written: Not a directory; give"):
        of_regressors.save(tmp_path / "file" / "model", own_members="skops")


def test_regressors_stand_in_the_order_of_a_bundle() -> None:
    shares = {"tree": 0.1, "line": 0.2, "mine": 0.3}  # three: a sum of two has one order
    members = {name: EstimatorMean(name, None, ("orders",), (1.0,), True) for name in shares}
    given = OwnRegressors(members, shares)
    stored = json.loads(json.dumps(given.to_json(), sort_keys=True))
    again = OwnRegressors.from_json(stored, dict.fromkeys(shares))
    assert list(given.weights) == list(again.weights) == ["line", "mine", "tree"]
    assert list(given.members) == list(again.members) == ["line", "mine", "tree"]


def test_a_note_names_the_regressors_that_take_no_part(of_regressors: sc.Lifecycle) -> None:
    models = of_regressors.bundle_.models
    silent = replace(models.value, spend=Factor(), orders=Factor())
    notes = regressor_notes(silent, models.config.members)
    assert len(notes) == 2
    assert "spend per order (tree, line) take no part" in notes[1]
    assert sum("take no part" in note for note in of_regressors.card["notes"]) <= 2
