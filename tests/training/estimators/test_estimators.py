"""The models as scikit-learn estimators: its own checks, the truth of simulated data, and every
refusal.
"""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from stagecast.features.arrays import Array
from stagecast.training.estimators import (
    ChurnClassifier,
    CustomerValueRegressor,
    NextStageClassifier,
)
from stagecast.training.estimators.folds import fold_numbers
from stagecast.training.estimators.inputs import rows_by_weight
from stagecast.training.learners.btyd import Model
from tests.profiles import examples

pytestmark = pytest.mark.slow

Estimator = Any

CLASSES = (ChurnClassifier, NextStageClassifier, CustomerValueRegressor)
EACH = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
FAST: dict[str, Any] = {"n_estimators": 8, "n_folds": 2, "random_state": 0}
HORIZON_DAYS = 90
# r, alpha, s, beta: half of the customers buy at most every 60 days, and stay for about a year
TRUTH = Model("pareto_nbd", (0.9, 40.0, 0.8, 250.0), 0.0, 1)

EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a row of weight 2 is not two rows: weights are relative to each other, and "
        "folds and the trees' samples are "
        "drawn by row"
    )
}


@parametrize_with_checks(
    [kind(n_estimators=8, n_folds=2) for kind in CLASSES],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_scikit_learns_own_checks(estimator: Estimator, check: Any) -> None:
    check(estimator)


def frame(rows: int, seed: int) -> pd.DataFrame:
    """Return columns of a snapshot: two that matter, noise, one that is mostly unknown, one
    constant, one empty.
    """
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "recency_days": random.exponential(60.0, rows),
            "spend_mean": random.gamma(2.0, 20.0, rows),
            "noise": random.normal(0.0, 1.0, rows),
            "gap_last": np.where(random.random(rows) < 0.7, np.nan, random.exponential(30.0, rows)),
            "constant": 1.0,
            "empty": np.nan,
        }
    )


def p_churn(X: pd.DataFrame) -> Array:
    """Return the true P(churn): it rises with the log of the silence and falls where customers
    spend much.
    """
    logs = np.log1p(X["recency_days"].to_numpy())
    return np.asarray(
        expit(1.2 * (logs - 3.5) - 0.4 * (np.log1p(X["spend_mean"].to_numpy()) - 3.5))
    )


def churned(X: pd.DataFrame, seed: int) -> NDArray[np.bool_]:
    return np.asarray(np.random.default_rng(seed).random(len(X)) < p_churn(X))


def p_stage(X: pd.DataFrame) -> Array:
    """Return the true probabilities of active, at_risk and lost."""
    logs = np.log1p(X["recency_days"].to_numpy()) - 3.5
    return np.asarray(
        softmax(np.column_stack([-1.5 * logs, np.full(len(X), 0.3), 1.5 * logs]), axis=1)
    )


def stages(X: pd.DataFrame, seed: int) -> NDArray[np.str_]:
    drawn = np.random.default_rng(seed).random((len(X), 1)) > p_stage(X).cumsum(axis=1)
    return np.array(["active", "at_risk", "lost"])[drawn.sum(axis=1)]


def money(X: pd.DataFrame, seed: int) -> Array:
    """Return amounts of mean ``(1 - p_churn) * spend_mean``, gamma distributed where there are
    any.
    """
    random = np.random.default_rng(seed)
    amount = X["spend_mean"].to_numpy() * random.gamma(2.0, 0.5, len(X))
    return np.where(random.random(len(X)) < p_churn(X), 0.0, amount)


def target(kind: type, X: pd.DataFrame, seed: int = 5) -> NDArray[Any]:
    made = {ChurnClassifier: churned, NextStageClassifier: stages, CustomerValueRegressor: money}
    return np.asarray(made[kind](X, seed))


def told(model: Estimator, X: Any) -> Array:
    return np.asarray(
        model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)
    )


def buyers(rows: int, seed: int) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Return histories drawn from ``TRUTH``, in days and fractions, and who makes no purchase in
    the horizon.
    """
    random = np.random.default_rng(seed)
    r, alpha, s, beta = TRUTH.params
    T = random.uniform(20.0, 700.0, rows)
    rate, leaving = random.gamma(r, 1 / alpha, rows), random.gamma(s, 1 / beta, rows)
    stays = random.exponential(1 / leaving)
    x = random.poisson(rate * np.minimum(stays, T)).astype(np.float64)
    t_x = np.where(x > 0, np.minimum(stays, T) * random.random(rows) ** (1 / np.maximum(x, 1)), 0.0)
    ahead = np.clip(stays - T, 0.0, HORIZON_DAYS)
    none = random.poisson(rate * ahead) == 0
    X = pd.DataFrame({"recency_days": T - t_x, "T_days": T, "frequency": x, "t_x_days": t_x})
    return X, np.asarray(none)


# --- what they learn ---


def test_churn_comes_close_to_the_true_probabilities_out_of_sample() -> None:
    X, new = frame(4_000, 1), frame(4_000, 2)
    model = ChurnClassifier(random_state=0).fit(X, churned(X, 3))
    p, came = model.predict_proba(new)[:, 1], churned(new, 4)
    base = np.full(len(new), churned(X, 3).mean())
    assert log_loss(came, p) < 0.9 * log_loss(came, base)
    assert log_loss(came, p) < 1.01 * log_loss(came, p_churn(new))
    assert np.abs(p - p_churn(new)).mean() < 0.03


def test_the_customer_base_speaks_of_churn_where_a_horizon_is_given() -> None:
    (X, none), (new, came) = buyers(2_500, 1), buyers(4_000, 2)
    truth = TRUTH.p_none(HORIZON_DAYS, new["frequency"], new["t_x_days"], new["T_days"])
    model = ChurnClassifier(horizon_days=HORIZON_DAYS, n_estimators=60, random_state=0).fit(X, none)
    without = ChurnClassifier(n_estimators=60, random_state=0).fit(X, none)
    p, plain = model.predict_proba(new)[:, 1], without.predict_proba(new)[:, 1]
    assert set(model.weights_) == {"linear", "splines", "trees", "btyd"}
    assert model.weights_["btyd"] > 0.2
    assert model.customer_base_ is not None
    assert without.customer_base_ is None
    assert np.abs(p - truth).mean() < 0.025 < np.abs(plain - truth).mean()
    assert log_loss(came, p) < log_loss(came, plain)
    # parameters are looked at in fit alone
    assert model.set_params(horizon_days=10).predict_proba(new)[:, 1].tobytes() == p.tobytes()


def test_next_stage_comes_close_to_the_true_probabilities_out_of_sample() -> None:
    X, new = frame(4_000, 1), frame(4_000, 2)
    model = NextStageClassifier(n_estimators=60, random_state=0).fit(X, stages(X, 3))
    p, came = model.predict_proba(new), stages(new, 4)
    shares = np.tile([np.mean(stages(X, 3) == stage) for stage in model.classes_], (len(new), 1))
    assert model.classes_.tolist() == ["active", "at_risk", "lost"]
    assert log_loss(came, p) < 0.9 * log_loss(came, shares)
    assert np.abs(p - p_stage(new)).mean() < 0.03


def test_value_comes_close_to_the_true_means_out_of_sample() -> None:
    X, new = frame(4_000, 1), frame(4_000, 2)
    model = CustomerValueRegressor(random_state=0).fit(X, money(X, 3))
    truth = (1 - p_churn(new)) * new["spend_mean"].to_numpy()
    actual = model.predict(new)
    assert np.abs(actual - truth).mean() < 0.12 * truth.mean()
    assert model.score(new, truth) > 0.95
    assert np.abs(model.predict_any(new) - (1 - p_churn(new))).mean() < 0.03
    np.testing.assert_allclose(model.predict_any(new) * model.predict_amount(new), actual)


@EACH
def test_the_pools_weights_are_not_negative_and_sum_to_1(kind: type) -> None:
    X = frame(300, 1)
    model = kind(**FAST).fit(X, target(kind, X))
    pools = (
        [model.any_weights_, model.amount_weights_]
        if kind is CustomerValueRegressor
        else [model.weights_]
    )
    for weights in pools:
        assert min(weights.values()) >= 0
        assert sum(weights.values()) == pytest.approx(1.0)


@EACH
def test_without_folds_members_count_alike(kind: type) -> None:
    X = frame(300, 1)
    model = kind(**FAST | {"n_folds": None}).fit(X, target(kind, X))
    pools = (
        [model.any_weights_, model.amount_weights_]
        if kind is CustomerValueRegressor
        else [model.weights_]
    )
    for weights in pools:
        assert set(weights.values()) == {1 / len(weights)}


def test_on_few_rows_the_weights_stay_near_equal_ones() -> None:
    X = frame(40, 1)
    assert all(
        0.2 < weight < 0.5
        for weight in ChurnClassifier(**FAST).fit(X, churned(X, 3)).weights_.values()
    )


# --- totals, levels, weights ---


def test_values_add_up_to_the_total_of_the_training() -> None:
    X = frame(500, 1)
    y, weight = money(X, 3), np.random.default_rng(4).gamma(1.0, 1.0, 500)
    assert CustomerValueRegressor(**FAST).fit(X, y).predict(X).sum() == pytest.approx(y.sum())
    weighted = CustomerValueRegressor(**FAST).fit(X, y, sample_weight=weight)
    assert weight @ weighted.predict(X) == pytest.approx(weight @ y)


@EACH
def test_rows_of_weight_0_are_left_out(kind: type) -> None:
    X = frame(300, 1)
    y, weight = target(kind, X), np.repeat([1.0, 0.0, 1.0], 100)
    sample = kind(**FAST).fit(X[weight > 0], y[weight > 0])
    assert (
        told(kind(**FAST).fit(X, y, sample_weight=weight), X).tobytes() == told(sample, X).tobytes()
    )


@EACH
def test_only_the_relation_of_weights_counts(kind: type) -> None:
    X = frame(300, 1)
    y, weight = target(kind, X), np.random.default_rng(4).gamma(1.0, 1.0, 300)
    small, huge = (
        told(kind(**FAST).fit(X, y, sample_weight=weight * by), X) for by in (1.0, 2.0**1000)
    )
    assert small.tobytes() == huge.tobytes()
    assert small.tobytes() != told(kind(**FAST).fit(X, y), X).tobytes()


def test_weights_move_the_level_of_churn() -> None:
    X = frame(1_000, 1)
    y = churned(X, 3)
    weight = np.where(y, 3.0, 1.0)
    p = ChurnClassifier(**FAST).fit(X, y, sample_weight=weight).predict_proba(X)[:, 1]
    assert np.average(p, weights=weight) == pytest.approx(np.average(y, weights=weight), abs=0.02)


# --- reproducible, and at home in scikit-learn ---


@EACH
def test_equal_random_states_give_equal_bytes(kind: type) -> None:
    X = frame(300, 1)
    y = target(kind, X)
    first, again = (kind(**FAST).fit(X, y) for _ in range(2))
    assert pickle.dumps(first) == pickle.dumps(again)
    assert told(first, X).tobytes() == told(again, X).tobytes()
    assert (
        told(kind(**FAST | {"random_state": 1}).fit(X, y), X).tobytes() != told(first, X).tobytes()
    )
    drawn = [
        told(kind(**FAST | {"random_state": np.random.RandomState(7)}).fit(X, y), X)
        for _ in range(2)
    ]
    assert drawn[0].tobytes() == drawn[1].tobytes()


@EACH
def test_threads_do_not_change_the_result(kind: type) -> None:
    X = frame(300, 1)
    y = target(kind, X)
    item, all_cores = (told(kind(**FAST, n_jobs=jobs).fit(X, y), X) for jobs in (None, -1))
    assert item.tobytes() == all_cores.tobytes()


@EACH
def test_a_pickled_model_says_the_same(kind: type) -> None:
    X = frame(300, 1)
    model = kind(**FAST).fit(X, target(kind, X))
    before = told(model, X)
    assert told(pickle.loads(pickle.dumps(model)), X).tobytes() == before.tobytes()


@EACH
def test_parameters_stay_as_given_and_a_clone_is_not_fitted(kind: type) -> None:
    X, given_seed = frame(100, 1), np.int64(3)
    model = kind(**FAST | {"random_state": given_seed}).fit(X, target(kind, X))
    assert model.get_params()["random_state"] is given_seed
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        clone(model).predict(X)
    assert not hasattr(clone(model), "feature_importances_")


@EACH
def test_a_pipeline_and_a_grid_search_run(kind: type) -> None:
    X = frame(240, 1)
    y = target(kind, X)
    pipeline = make_pipeline(FunctionTransformer(), kind(**FAST))
    name = f"{kind.__name__.lower()}__alpha"
    search = GridSearchCV(pipeline, {name: [0.5, 50.0]}, cv=2, error_score="raise").fit(X, y)
    assert search.best_params_[name] in (0.5, 50.0)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_[-1].feature_names_in_.tolist() == list(X.columns)
    assert len(cross_val_predict(pipeline, X, y, cv=2)) == len(X)


def test_calibration_runs_on_the_classifiers() -> None:
    X = frame(240, 1)
    for kind in (ChurnClassifier, NextStageClassifier):
        calibrated = CalibratedClassifierCV(kind(**FAST), cv=2).fit(X, target(kind, X))
        np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1.0)


def test_tags_say_what_is_accepted() -> None:
    assert [get_tags(kind()).input_tags.allow_nan for kind in CLASSES] == [True, True, True]
    assert get_tags(ChurnClassifier()).classifier_tags.multi_class is False
    assert get_tags(NextStageClassifier()).classifier_tags.multi_class is True
    assert get_tags(CustomerValueRegressor()).target_tags.positive_only is True


@EACH
def test_a_frame_and_its_array_give_the_same(kind: type) -> None:
    X = frame(200, 1)
    y = target(kind, X)
    named, plain = kind(**FAST).fit(X, y), kind(**FAST).fit(X.to_numpy(), y)
    assert named.feature_names_in_.tolist() == list(X.columns)
    assert not hasattr(plain, "feature_names_in_")
    assert told(named, X).tobytes() == told(plain, X.to_numpy()).tobytes()


@EACH
def test_other_columns_than_those_of_the_training_are_refused(kind: type) -> None:
    X = frame(100, 1)
    model = kind(**FAST).fit(X, target(kind, X))
    for other in (X[X.columns[::-1]], X.drop(columns="noise"), X.assign(more=1.0)):
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(other)


def test_names_that_lightgbm_refuses_and_nullable_columns_are_read() -> None:
    random = np.random.default_rng(1)
    odd = pd.DataFrame(
        {'a,[{":': random.normal(size=90), "b b": pd.array([1, None, 3] * 30, dtype="Int64")}
    )
    model = ChurnClassifier(**FAST).fit(odd, pd.Series(random.random(90) < 0.5))
    assert np.isfinite(model.predict_proba(odd)).all()


# --- labels ---


def test_churn_is_the_later_label() -> None:
    X = frame(300, 1)
    came = churned(X, 3)
    plain = ChurnClassifier(**FAST).fit(X, came)
    for labels in (("active", "churned"), (0, 1), (-1, 1)):
        model = ChurnClassifier(**FAST).fit(X, np.array(labels)[came.astype(int)])
        assert model.classes_.tolist() == list(labels)
        assert model.decision_function(X).tobytes() == plain.decision_function(X).tobytes()
        assert ((model.predict(X) == labels[1]) == (model.decision_function(X) > 0)).all()
        np.testing.assert_allclose(model.predict_proba(X)[:, 1], expit(model.decision_function(X)))


def test_labels_that_the_customer_base_contradicts_are_warned_of() -> None:
    X, none = buyers(400, 1)
    with pytest.warns(
        UserWarning, match=r"classes_\[1\] is 'stayed' .* If 'churned' is churn, rename the labels"
    ):
        ChurnClassifier(horizon_days=HORIZON_DAYS, **FAST).fit(
            X, np.where(none, "churned", "stayed")
        )


# --- the customer base ---


def test_who_has_not_bought_yet_is_told_of_by_the_others() -> None:
    X, none = buyers(600, 1)
    prospects = pd.DataFrame(
        {"recency_days": [5.0] * 60, "T_days": np.nan, "frequency": 0.0, "t_x_days": np.nan}
    )
    both, came = pd.concat([X, prospects]), np.r_[none, np.arange(60) % 10 > 0]
    model = ChurnClassifier(horizon_days=HORIZON_DAYS, **FAST).fit(both, came)
    assert model.predict_proba(prospects)[:, 1] == pytest.approx(0.9, abs=0.1)
    # fitted on prospects or not, the customer base hears buyers alone
    alone = ChurnClassifier(horizon_days=HORIZON_DAYS, **FAST).fit(X, none)
    assert model.customer_base_.models == alone.customer_base_.models


def test_with_few_buyers_the_customer_base_is_left_out() -> None:
    X, none = buyers(600, 1)
    few = np.r_[np.flatnonzero(none)[:12], np.flatnonzero(~none)[:12]]
    model = ChurnClassifier(horizon_days=HORIZON_DAYS, **FAST).fit(X.iloc[few], none[few])
    assert model.customer_base_ is None
    assert set(model.weights_) == {"linear", "splines", "trees"}


# --- importances ---


@EACH
def test_importances_are_shares_and_find_what_matters(kind: type) -> None:
    X = frame(1_500, 1)
    actual = pd.Series(kind(**FAST).fit(X, target(kind, X)).feature_importances_, index=X.columns)
    assert actual.sum() == pytest.approx(1.0)
    assert set(actual.nlargest(2).index) & {"recency_days", "spend_mean"}
    assert actual[["constant", "empty"]].tolist() == [0.0, 0.0]


def test_what_the_customer_base_brings_counts_for_its_columns() -> None:
    X, none = buyers(1_000, 1)
    X["noise"] = np.random.default_rng(2).normal(size=len(X))
    model = ChurnClassifier(horizon_days=HORIZON_DAYS, **FAST).fit(X, none)
    actual = pd.Series(model.feature_importances_, index=X.columns)
    assert actual.sum() == pytest.approx(1.0)
    assert actual[["frequency", "t_x_days", "T_days"]].min() > 0.2


# --- odd input ---


@EACH
def test_few_rows_give_finite_numbers(kind: type) -> None:
    X = frame(60, 1)
    for rows in (2, 3, 5):
        y = {
            ChurnClassifier: [0, 1, 1, 1, 0],
            NextStageClassifier: list("abbca"),
            CustomerValueRegressor: [0, 3, 1, 0, 9],
        }
        actual = told(kind(**FAST).fit(X[:rows], y[kind][:rows]), X)
        assert np.isfinite(actual).all()
        assert (actual >= 0).all()


@EACH
def test_columns_that_do_not_vary_leave_the_base_rate(kind: type) -> None:
    X = frame(300, 1)
    y = target(kind, X)
    actual = told(kind(**FAST).fit(X[["constant", "empty"]], y), X[["constant", "empty"]][:1])[0]
    if kind is CustomerValueRegressor:
        assert actual == pytest.approx(y.mean())
    else:
        assert actual == pytest.approx([np.mean(y == label) for label in np.unique(y)], abs=0.02)


@EACH
def test_huge_values_and_all_null_rows_give_finite_numbers(kind: type) -> None:
    X = frame(200, 1)
    huge = X.assign(noise=X["noise"] * 1e307, spend_mean=X["spend_mean"] * 1e200)
    actual = told(
        kind(**FAST).fit(huge, target(kind, X)), huge.assign(**dict.fromkeys(X.columns, np.nan))
    )
    assert np.isfinite(actual).all()


@pytest.mark.parametrize("unit", [1e-300, 1e300])
def test_amounts_of_any_size_are_told_in_their_unit(unit: float) -> None:
    X = frame(300, 1)
    y = money(X, 3)
    plain = CustomerValueRegressor(**FAST).fit(X, y).predict(X)
    np.testing.assert_allclose(
        CustomerValueRegressor(**FAST).fit(X, y * unit).predict(X), plain * unit, rtol=1e-4
    )


def test_one_huge_amount_does_not_rule_the_others() -> None:
    X = frame(1_000, 1)
    y = money(X, 3)
    plain = CustomerValueRegressor(**FAST).fit(X, y).predict(X)
    y[np.flatnonzero(y)[0]] = 1_000 * y.max()
    actual = CustomerValueRegressor(**FAST).fit(X, y).predict(X)
    # the total is met, so all rise; who is worth more than whom stays
    assert actual.sum() == pytest.approx(y.sum())
    assert pd.Series(actual).corr(pd.Series(plain), method="spearman") > 0.8


def test_no_amounts_give_0_and_amounts_throughout_a_hurdle_that_all_take() -> None:
    X = frame(100, 1)
    none = CustomerValueRegressor(**FAST).fit(X, np.zeros(100))
    assert (
        none.predict(X).tolist()
        == none.predict_any(X).tolist()
        == none.predict_amount(X).tolist()
        == [0.0] * 100
    )
    assert none.feature_importances_.tolist() == [0.0] * 6
    all_of_them = CustomerValueRegressor(**FAST).fit(X, money(X, 3) + 1.0)
    assert all_of_them.predict_any(X).tolist() == [1.0] * 100
    assert all_of_them.any_weights_ == {}


PARAMETERS = [
    ({"n_estimators": 0}, "n_estimators is 0; use a whole number of 1 or more"),
    ({"n_estimators": 2.5}, r"n_estimators is 2\.5; use a whole number"),
    ({"learning_rate": True}, "learning_rate is True; use a finite number above 0"),
    ({"learning_rate": np.nan}, "learning_rate is nan"),
    ({"max_leaf_nodes": 1}, "max_leaf_nodes is 1; use a whole number of 2 or more"),
    ({"alpha": "much"}, "alpha is 'much'; use a finite number above 0"),
    (
        {"n_knots": -1},
        "n_knots is -1; use a whole number of 0 or more; below 3 there are no splines",
    ),
    (
        {"n_folds": 1},
        "n_folds is 1; use a whole number of 2 or more; None counts all members alike",
    ),
    (
        {"n_jobs": 0},
        "n_jobs is 0; use a whole number of 1 or more, -1 for all cores, or None for one",
    ),
    ({"random_state": "a"}, "'a' cannot be used to seed"),
]


@pytest.mark.parametrize(("given_parameter", "message"), PARAMETERS)
def test_a_parameter_that_cannot_be_used_is_named(
    given_parameter: dict[str, Any], message: str
) -> None:
    X = frame(20, 1)
    for kind in CLASSES:
        with pytest.raises(ValueError, match=message):
            kind(**given_parameter).fit(X, target(kind, X))


def test_a_horizon_that_cannot_be_used_is_named() -> None:
    X, none = buyers(50, 1)
    with pytest.raises(ValueError, match="horizon_days is 0; use a whole number of 1 or more"):
        ChurnClassifier(horizon_days=0).fit(X, none)
    with pytest.raises(
        ValueError, match=r"X lacks t_x_days\. Pass a DataFrame that has them, or horizon_days=None"
    ):
        ChurnClassifier(horizon_days=90).fit(X.drop(columns="t_x_days"), none)
    with pytest.raises(ValueError, match="X lacks frequency, t_x_days, T_days"):
        ChurnClassifier(horizon_days=90).fit(X.to_numpy(), none)


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        ({"frequency": 1.5}, r"frequency 1\.5"),
        ({"frequency": -1.0}, "frequency -1"),
        ({"t_x_days": 9_999.0}, "t_x_days 9999"),
        ({"frequency": 0.0, "t_x_days": 3.0}, "frequency 0, t_x_days 3"),
    ],
)
def test_a_history_that_cannot_be_is_named_with_its_row(
    wrong: dict[str, float], shown: str
) -> None:
    X, none = buyers(80, 1)
    model = ChurnClassifier(horizon_days=HORIZON_DAYS, **FAST).fit(X, none)
    for name, value in wrong.items():
        X.loc[[7, 9], name] = value
    message = f"X has 2 rows with a history that cannot be, first row 7: .*{shown}"
    with pytest.raises(ValueError, match=message):
        ChurnClassifier(horizon_days=HORIZON_DAYS, **FAST).fit(X, none)
    with pytest.raises(ValueError, match=message):
        model.predict(X)


TARGETS = [
    (ChurnClassifier, [0, 0, 0, 0], "y holds one class only, 0 in all 4 rows that count"),
    (NextStageClassifier, ["a"] * 4, "y holds one class only, 'a' in all 4 rows that count"),
    (
        ChurnClassifier,
        ["a", "b", None, "b"],
        "y holds None at row 2; leave out rows whose label is unknown",
    ),
    (NextStageClassifier, [0.0, 1.0, np.nan, 2.0], "y contains NaN"),
    (
        NextStageClassifier,
        np.array([1, "a", 2, "b"], dtype=object),
        "labels of the types int, str, which have no order",
    ),
    (
        ChurnClassifier,
        [0, 1, 2, 1],
        r"Only binary .* y holds 3 labels, 0, 1, 2\. Make it two, or use NextStage",
    ),
    (ChurnClassifier, [0.1, 0.2, 0.3, 0.4], "Unknown label type: continuous"),
    (
        CustomerValueRegressor,
        [1.0, 0.0, -3.5, -1.0],
        r"2 amounts below 0, first -3\.5 at row 2; .*numpy\.maximum\(y, 0\)",
    ),
    (CustomerValueRegressor, [1.0, 0.0, np.inf, 1.0], "y contains infinity"),
]


@pytest.mark.parametrize(("kind", "y", "message"), TARGETS)
def test_a_target_that_cannot_be_used_is_named(kind: type, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**FAST).fit(frame(4, 1), y)


def test_the_row_of_a_wrong_amount_is_that_of_the_frame_though_others_have_no_weight() -> None:
    with pytest.raises(ValueError, match="first -1 at row 3"):
        CustomerValueRegressor(**FAST).fit(
            frame(4, 1), [1.0, -5.0, 0.0, -1.0], sample_weight=[1, 0, 1, 1]
        )


@EACH
def test_rows_that_cannot_be_read_are_refused(kind: type) -> None:
    X = frame(4, 1)
    y = {
        ChurnClassifier: [0, 1, 1, 0],
        NextStageClassifier: list("abca"),
        CustomerValueRegressor: [0, 3, 1, 0],
    }[kind]
    with pytest.raises(ValueError, match="contains infinity"):
        kind(**FAST).fit(X.assign(noise=np.inf), y)
    with pytest.raises(ValueError, match="could not convert string to float: 'c1'"):
        kind(**FAST).fit(X.assign(customer_id="c1"), y)
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        kind(**FAST).fit(X[:1], y[:1])
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        kind(**FAST).fit(X, y, sample_weight=[1, 1, -1, 1])


def test_nothing_is_warned_of_on_odd_columns() -> None:
    X = frame(200, 1).assign(same=lambda f: f["recency_days"], rare=np.r_[1.0, np.zeros(199)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in CLASSES:
            kind(**FAST).fit(X, target(kind, X)).predict(X)


# --- the parts ---


@given(weight=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=50))
@settings(max_examples=examples(50), deadline=None)
def test_copies_are_within_one_of_the_weight_and_as_many_as_rows(weight: list[float]) -> None:
    relative = np.array(weight) / np.mean(weight)
    times = np.bincount(rows_by_weight(relative), minlength=len(weight))
    assert times.sum() == len(weight)
    assert (np.abs(times - relative) < 1 + 1e-6).all()


@given(
    coded=st.lists(st.integers(0, 3), min_size=1, max_size=60),
    folds=st.integers(2, 6),
    seed=st.integers(0, 99),
)
@settings(max_examples=examples(50), deadline=None)
def test_folds_have_their_share_of_each_class(coded: list[int], folds: int, seed: int) -> None:
    actual = fold_numbers(np.array(coded), folds, seed)
    if actual is None:
        counts = np.sort(np.bincount(coded))
        assert counts[-1] < 2 or (len(set(coded)) > 1 and counts[-2] < 2)
        return
    for label in set(coded):
        share = np.bincount(actual[np.array(coded) == label], minlength=int(actual.max()) + 1)
        assert share.max() - share.min() <= 1
