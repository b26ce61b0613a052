"""Regressors of the user: their shares, their targets, and what they may not be."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError
from stagecast.training.config import TrainConfig
from stagecast.training.learners.factor import Factor
from stagecast.training.learners.fit_factor import Rows
from stagecast.training.member_settings import MemberSettings, member, members_of
from stagecast.training.one_row.trees import factor_of_one
from stagecast.training.value.own_regressors import OwnRegressors, with_own_regressors


def rows_of(truth: Array, x: Array, seed: int, *, orders: bool = False) -> Rows:
    """Return rows whose outcome has the mean ``truth``, where 10 is expected of all of them."""
    random = np.random.default_rng(seed)
    outcome = random.poisson(truth) if orders else truth * random.gamma(4.0, 0.25, len(truth))
    customer = np.arange(len(truth))
    columns = {"x": x, "noise": random.normal(size=len(x))}
    return Rows(
        columns, ["x", "noise"], np.full(len(x), 10.0), outcome * 1.0, np.ones(len(x)), customer
    )


def share_of(estimator: Any, rows: Rows, objective: Any = "gamma", first: float = 0.0) -> Factor:
    own = {"mine": member(estimator)}
    return with_own_regressors(Factor(), own, rows, None, None, objective, 1, first)


def test_a_regressor_that_knows_the_truth_gets_the_expectation() -> None:
    x = np.random.default_rng(1).uniform(0, 10, 2_000)
    rows = rows_of(5.0 + 3.0 * x, x, seed=2)
    factor = share_of(LinearRegression(), rows)
    assert factor.own is not None
    assert factor.own.weights["mine"] > 0.9
    corrected = factor.times(rows.expected, rows.columns)
    np.testing.assert_allclose(corrected, 5.0 + 3.0 * x, rtol=0.15)
    assert corrected.sum() == pytest.approx(rows.outcome.sum(), rel=1e-3)
    # the level stands over the regressors as it does over the trees
    assert factor.of(rows.columns, expected=rows.expected).tolist() == pytest.approx(
        (corrected / rows.expected).tolist()
    )


def test_the_share_is_that_of_the_least_deviance_on_unseen_rows() -> None:
    x = np.random.default_rng(3).uniform(0, 10, 3_000)
    rows, later = rows_of(8.0 + 0.4 * x, x, seed=4), rows_of(8.0 + 0.4 * x, x, seed=5)
    overfitted = DecisionTreeRegressor(min_samples_leaf=20, random_state=0)
    own = {"mine": member(overfitted)}
    factor = with_own_regressors(Factor(), own, rows, rows, later, "gamma", 1)
    assert factor.own is not None
    mean = overfitted.fit(np.column_stack(list(rows.columns.values())), rows.outcome).predict(
        np.column_stack(list(later.columns.values()))
    )
    ours = np.full(len(mean), later.outcome.mean())

    def deviance(share: float) -> float:
        mixed = (1 - share) * ours + share * mean
        mixed *= later.outcome.mean() / mixed.mean()
        pull = 20 / len(mean) * 2 * (share - 0.5) ** 2
        return float((later.outcome / mixed + np.log(mixed)).mean()) + pull

    best = min(np.linspace(0, 1, 1_001), key=deviance)
    assert 0.05 < best < 0.5  # it has learned noise, and is believed a little
    assert factor.own.weights["mine"] == pytest.approx(best, abs=0.002)


def test_a_regressor_that_knows_nothing_changes_nothing() -> None:
    x = np.random.default_rng(1).uniform(0, 10, 1_000)
    rows = rows_of(np.full(1_000, 10.0), x, seed=6)
    noise = DecisionTreeRegressor(random_state=0)  # learns every row by heart
    factor = share_of(noise, rows)
    share = 0.0 if factor.own is None else factor.own.weights["mine"]
    assert share < 0.1
    few = rows.of(np.arange(200))
    assert share_of(LinearRegression(), few) == Factor()


def test_the_first_order_is_no_part_of_the_repeat_orders() -> None:
    x = np.random.default_rng(1).uniform(0, 4, 2_000)
    rows = rows_of(0.5 + x, x, seed=7, orders=True)
    factor = share_of(LinearRegression(), rows, "poisson", first=1.0)
    assert factor.own is not None
    regressor = factor.own.members["mine"]
    slope, _ = regressor.estimator.coef_
    assert regressor.estimator.intercept_ == pytest.approx(1.5, abs=0.2)  # of orders, the first too
    assert slope == pytest.approx(1.0, abs=0.1)
    np.testing.assert_allclose(factor.times(rows.expected, rows.columns).mean(), 2.5, rtol=0.05)
    # no order is expected where a line falls below one
    assert regressor.mean({"x": np.full(3, -9.0), "noise": np.zeros(3)}).tolist() == [0.0] * 3
    # where nothing is expected, the regressor still is heard
    assert (factor.times(np.zeros(5), {"x": np.full(5, 4.0), "noise": np.zeros(5)}) > 1.0).all()


def test_two_regressors_share_what_is_theirs() -> None:
    x = np.random.default_rng(1).uniform(0, 10, 2_000)
    rows = rows_of(5.0 + 3.0 * x, x, seed=8)
    own = {"line": member(LinearRegression()), "flat": member(DummyRegressor())}
    factor = with_own_regressors(Factor(), own, rows, None, None, "gamma", 1)
    assert factor.own is not None
    assert factor.own.weights["line"] > 0.85
    assert sum(factor.own.weights.values()) <= 1.0 + 1e-9


def test_it_survives_json_with_its_code_and_has_no_form_for_one_row() -> None:
    x = np.random.default_rng(1).uniform(0, 10, 1_000)
    rows = rows_of(5.0 + 3.0 * x, x, seed=9)
    rows.columns["x"][:4] = np.nan
    factor = share_of(LinearRegression(), rows)
    assert isinstance(factor.own, OwnRegressors)
    code = {"mine": factor.own.members["mine"].estimator}
    data = json.loads(json.dumps(factor.to_json()))
    again = Factor.from_json(data, None, OwnRegressors.from_json(data["own"], code))
    assert again == factor
    assert again.times(rows.start, rows.columns).tolist() == (
        factor.times(rows.start, rows.columns).tolist()
    )
    with pytest.raises(KeyError):
        OwnRegressors.from_json(data["own"], {})
    with pytest.raises(ValueError, match="regressors of the user"):
        Factor.from_json(data, None)
    with pytest.raises(ValueError, match="hand it over"):
        factor.of(rows.columns)
    with pytest.raises(NotImplementedError):
        factor_of_one(factor)


def test_errors_of_regressors_say_what_to_write() -> None:
    from sklearn.linear_model import LogisticRegression

    line = member(LinearRegression())
    wrong: list[tuple[Any, str]] = [
        (lambda: members_of({"mine": line}), "as a member of spend_members or orders_members"),
        (lambda: members_of(None, {"mine": LinearRegression()}), "takes sc.member.regressor"),
        (lambda: members_of(None, {"mine": member(LogisticRegression())}), "spend_members.'mine'"),
        (lambda: members_of(None, None, {}), "orders_members must be a dict"),
        (lambda: members_of(None, {"a b": line}), "spend_members: 'a b' cannot be"),
    ]
    for call, reason in wrong:
        with pytest.raises(UsageError, match=reason):
            call()
    # contracts have orders and spend, too
    own = members_of(None, {"mine": line}, {"mine": line})
    assert TrainConfig(churn="cancellation", members=own).members == own
    assert MemberSettings.from_json(own.to_json()) == own
    assert own.of_churn == MemberSettings()

    class Lost(LinearRegression):  # type: ignore[misc]  # scikit-learn has no types
        def predict(self, X: Any) -> Any:
            return np.full(len(X), np.nan)

    x = np.random.default_rng(1).uniform(0, 10, 1_000)
    with pytest.raises(UsageError, match=r"member 'mine': predict returned .* not finite"):
        share_of(Lost(), rows_of(5.0 + x, x, seed=1))
