"""Members: settings that reach the learners, members left out, and classifiers of the user."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import logit
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stagecast.features.errors import UsageError
from stagecast.training.bundle import Bundle, load_bundle, make_bundle, write_bundle
from stagecast.training.config import TrainConfig
from stagecast.training.fitted.importances import importances
from stagecast.training.inactivity.fit_members import TreesPlan, fit_members, prior_weights
from stagecast.training.inactivity.fitting import fit_churn, training_dates
from stagecast.training.inactivity.own_members import EstimatorOdds, fit_estimator
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.boosting import COMMON
from stagecast.training.learners.fit_customer_base import fit_customer_base
from stagecast.training.learners.linear import LogisticModel
from stagecast.training.member_settings import (
    Btyd,
    Hazard,
    MemberSettings,
    Regression,
    Trees,
    member,
    members_of,
)
from stagecast.training.models import predict
from tests.training.made import Trained

LINEAR = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))


class Unknown(GaussianNB):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier that only this file knows."""


def test_defaults_are_the_training_of_before() -> None:
    ours = {"btyd": Btyd(), "trees": Trees(), "regression": Regression()}
    explicit = members_of({**ours, "hazard": Hazard()})
    assert explicit == members_of(None) == TrainConfig().members
    assert "members" not in TrainConfig(members=explicit).to_json()
    # the parameters of boosting that trees had when they had no settings
    assert {n: COMMON[n] for n in Trees().of_lightgbm()} == Trees().of_lightgbm()
    assert prior_weights(400)["btyd"] == 0.5 + 0.5 * (2 / 4.5)
    # a bundle of before there was a hazard does not name it
    assert members_of(ours) == MemberSettings.from_json(members_of(ours).to_json())
    assert "hazard" not in members_of(ours).to_json()
    assert MemberSettings.from_json(explicit.to_json()) == explicit
    own = members_of({"trees": Trees(leaves=3), "mine": member(LINEAR)})
    assert MemberSettings.from_json(own.to_json()) == own
    assert prior_weights(10**12, own) == pytest.approx({"trees": 0.5, "mine": 0.5})


def test_settings_reach_the_learners(shop: Trained) -> None:
    dates = training_dates(shop.training.panel)[:1]
    settings = members_of({"trees": Trees(leaves=3), "regression": Regression(penalty=1e4)})
    strong = fit_members(dates, 1, TreesPlan(7), settings)
    usual = fit_members(dates, 1, TreesPlan(2))
    assert set(strong) == {"rfm", "splines", "trees"}
    trees, curves, usual_curves = strong["trees"], strong["splines"], usual["splines"]
    assert isinstance(trees, Boosted)
    shapes = trees.booster.dump_model()["tree_info"]
    assert [shape["num_leaves"] for shape in shapes] == [3] * 7
    # without the customer base, its predictions are no columns of the others
    assert not any(name.startswith("btyd_") for name in trees.columns)
    assert isinstance(curves, LogisticModel)
    assert isinstance(usual_curves, LogisticModel)
    assert np.abs(curves.weights).max() < 0.2 * np.abs(usual_curves.weights).max()


def test_a_customer_base_of_one_model(shop: Trained) -> None:
    panel = shop.training.panel
    features = {name: values[panel.now.buyers] for name, values in panel.now.features.items()}
    base = fit_customer_base(features, max_customers=200, names=Btyd(models="mbg_nbd").models)
    assert [model.name for model in base.models] == ["mbg_nbd"]
    assert base.weights == (1.0,)


def test_effects_of_a_linear_classifier_are_its_coefficients() -> None:
    random = np.random.default_rng(1)
    columns = {name: random.normal(size=400) for name in ("a", "b", "c")}
    inactive = columns["a"] - columns["b"] + random.normal(size=400) > 0
    columns["b"][:5] = np.nan
    fitted = fit_estimator("lin", LogisticRegression(), columns, ["a", "b", "c"], inactive, 1)
    effects = dict(fitted.effects(columns))
    for k, (name, values) in enumerate(columns.items()):
        usual = np.nanmedian(values)
        expected = fitted.estimator.coef_[0, k] * (np.nan_to_num(values, nan=usual) - usual)
        np.testing.assert_allclose(effects[name], expected, atol=1e-9)
    forest = fit_estimator(
        "forest", RandomForestClassifier(5, min_samples_leaf=20), columns, ["a", "b"], inactive, 1
    )
    medians = {name: np.full(400, np.nanmedian(values)) for name, values in columns.items()}
    total = np.sum([effect for _, effect in forest.effects(columns)], axis=0)
    np.testing.assert_allclose(total, forest.margin(columns) - forest.margin(medians), atol=1e-9)
    again = fit_estimator("forest", forest.estimator, columns, ["a", "b"], inactive, 1)
    assert again.margin(columns).tolist() == forest.margin(columns).tolist()


@pytest.fixture(scope="module")
def bundle(shop: Trained) -> Bundle:
    """The shop's bundle, its churn of regressions and two classifiers of the user."""
    panel, models = shop.training.panel, shop.training.models
    forest = RandomForestClassifier(10, min_samples_leaf=20, max_depth=4)
    settings = members_of(
        {"regression": Regression(), "mine": member(LINEAR), "forest": member(forest)}
    )
    now = predict(models, panel.now).columns
    churn = fit_churn(panel, now, models.churn.rule, 90, 1, settings=settings)
    config = replace(models.config, members=settings)
    changed = replace(models, churn=churn, config=config)
    return make_bundle(changed, shop.as_of, shop.training.data_cutoff, shop.bundle.card)


def test_a_classifier_is_fitted_and_weighed_like_our_members(shop: Trained, bundle: Bundle) -> None:
    churn = bundle.models.churn
    assert "btyd" not in churn.weights
    assert "trees" not in churn.weights
    assert set(churn.weights) & {"mine", "forest"}
    for name, own in churn.own.items():
        assert isinstance(own, EstimatorOdds)
        # by hand: all dates of the panel, one row per buyer and date
        dates = training_dates(shop.training.panel)
        rows = np.vstack([np.column_stack([d.columns[c] for c in own.columns]) for d in dates])
        target = np.concatenate([date.orders == 0 for date in dates])
        usual = np.nanmedian(rows, axis=0)
        rows = np.where(np.isnan(rows), usual, rows) if own.fills else rows
        estimator = bundle.models.config.members.own[name].estimator
        seeded = {key: 1 for key in estimator.get_params() if key.endswith("random_state")}
        by_hand = estimator.set_params(**seeded).fit(rows, target)
        newest = dates[0]
        first = rows[: len(newest)]
        p = np.clip(by_hand.predict_proba(first)[:, 1], 1e-6, 1 - 1e-6)
        np.testing.assert_allclose(own.margin(newest.columns), logit(p), atol=1e-6)
    table = importances(bundle.models).groupby("member")
    np.testing.assert_allclose(table["share"].sum(), 1.0)
    assert table["weight"].first().to_dict() == pytest.approx(dict(churn.weights))


def test_a_classifier_is_saved_and_loaded_only_by_choice(
    bundle: Bundle, shop: Trained, tmp_path: Path
) -> None:
    from stagecast.serving.scoring.scorer import Scorer, load_scorer

    folder = tmp_path / "model"
    with pytest.raises(UsageError, match=r"own_members='skops'"):
        write_bundle(folder, bundle)
    assert not folder.exists()
    with pytest.raises(UsageError, match="neither 'refuse' nor 'skops'"):
        write_bundle(folder, bundle, "pickle")  # type: ignore[arg-type]
    write_bundle(folder, bundle, "skops")
    for load in (load_bundle, load_scorer):
        with pytest.raises(UsageError, match="a server or a command never loads them"):
            load(folder)
    loaded = load_bundle(folder, allow_own_members=True)
    assert loaded.model_version == bundle.model_version
    of_both = [
        Scorer(each, with_reasons=False).score(shop.training.panel.now, shop.training.data_cutoff)
        for each in (bundle, loaded)
    ]
    # the same bits: the pool sums its members in the order in which a bundle stores them
    np.testing.assert_array_equal(*(t["p_inactive"].to_numpy() for t in of_both))
    effects, again = (
        dict(each.models.churn.pool.effects(predict(each.models, shop.training.panel.now).columns))
        for each in (bundle, loaded)
    )
    assert list(effects) == list(again)
    for name, own in loaded.models.config.members.own.items():  # it can be fitted again
        fresh = own.estimator
        assert type(fresh) is type(bundle.models.config.members.own[name].estimator)
        assert not hasattr(fresh, "classes_")


@pytest.mark.slow
def test_a_class_that_is_not_trusted_is_named(bundle: Bundle, tmp_path: Path) -> None:
    churn = bundle.models.churn
    name, own = next(iter(churn.own.items()))
    assert isinstance(own, EstimatorOdds)
    rows = np.random.default_rng(1).normal(size=(40, len(own.columns)))
    foreign = replace(own, estimator=Unknown().fit(rows, np.arange(40) % 2))
    models = replace(bundle.models, churn=replace(churn, members={**churn.members, name: foreign}))
    write_bundle(tmp_path / "model", replace(bundle, models=models), "skops")
    with pytest.raises(UsageError, match="not trusted") as raised:
        load_bundle(tmp_path / "model", allow_own_members=True)
    where = f"{Unknown.__module__}.Unknown"
    assert f"allow_own_members=['{where}']" in str(raised.value)
    loaded = load_bundle(tmp_path / "model", allow_own_members=[where])
    assert type(loaded.models.churn.own[name].estimator) is Unknown


def test_errors_of_members_say_what_to_write() -> None:
    from sklearn.linear_model import LinearRegression, RidgeClassifier

    wrong: list[tuple[Any, str]] = [
        (lambda: members_of({"mine": member(LinearRegression())}), "is a regressor"),
        (lambda: member(RidgeClassifier()), "has no predict_proba"),
        (lambda: member(LogisticRegression), r"is a class; write LogisticRegression\(\)"),
        (lambda: members_of({}), "at least one member"),
        (lambda: members_of({"mine": LINEAR}), r"sc.member\(classifier\)"),
        (lambda: members_of({"btyd": member(LINEAR)}), r"takes sc.Btyd\(\)"),
        (lambda: members_of({"boost": Trees()}), "stands under 'trees'"),
        (lambda: members_of({"rfm": member(LINEAR)}), "cannot be the name of a member"),
        (lambda: Trees(leaves=1), "leaves = 1 must be a whole number between 2 and 1024"),
        (lambda: Trees(subsample="1"), "subsample = '1'"),  # type: ignore[arg-type]
        (lambda: Regression(penalty=0), "penalty = 0 must be"),
        (lambda: Hazard(weight=1.0), "weight = 1.0 must be"),
        (lambda: Btyd(models=("mbg",)), "Did you mean 'mbg_nbd'"),
        (lambda: TrainConfig(churn="cancellation", members=MemberSettings(btyd=None)), "leave"),
    ]
    for call, reason in wrong:
        with pytest.raises(UsageError, match=reason):
            call()
    assert repr(Trees(leaves=8)) == "Trees(leaves=8)"
    assert repr(Btyd()) == "Btyd()"
