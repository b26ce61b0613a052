"""The logistic regression on RFM: scikit-learn's checks, and scikit-learn's own numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from stagecast.training.estimators import RfmLogistic


@parametrize_with_checks([RfmLogistic()])
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def rfm(rows: int) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    random = np.random.default_rng(1)
    X = pd.DataFrame(
        {
            "recency_days": random.exponential(60.0, rows),
            "visits": random.normal(size=rows),
            "frequency": random.poisson(2.0, rows).astype(float),
            "spend_mean": random.gamma(2.0, 20.0, rows),
        }
    )
    return X, random.random(rows) < X["recency_days"] / (X["recency_days"] + 60.0)


def test_it_is_scikit_learns_regression_on_the_logs_of_the_rfm_columns() -> None:
    X, y = rfm(400)
    ours = RfmLogistic().fit(X, y)
    assert ours.columns_ == ["recency_days", "frequency", "spend_mean"]
    theirs = make_pipeline(
        FunctionTransformer(np.log1p), StandardScaler(), LogisticRegression(tol=1e-8)
    ).fit(X[ours.columns_], y)
    expected = theirs.predict_proba(X[ours.columns_])
    np.testing.assert_allclose(ours.predict_proba(X), expected, atol=1e-5)


def test_unknown_values_are_a_group_of_their_own() -> None:
    X, y = rfm(400)
    X.loc[:99, "spend_mean"] = np.nan
    y[:90] = True
    p = RfmLogistic().fit(X, y).predict_proba(X)[:, 1]
    assert p[:100].mean() > 0.8 > p[100:].mean()


def test_columns_that_cannot_be_used_are_named() -> None:
    X, y = rfm(40)
    assert RfmLogistic(columns=["visits"]).fit(X, y).columns_ == ["visits"]
    with pytest.raises(ValueError, match=r"X has no column \['visit'\]; its columns are"):
        RfmLogistic(columns=["visit"]).fit(X, y)
    with pytest.raises(ValueError, match="without names: pass a DataFrame"):
        RfmLogistic(columns=["visits"]).fit(X.to_numpy(), y)
    with pytest.raises(ValueError, match="Only binary classification"):
        RfmLogistic().fit(X, np.arange(40) % 3)
