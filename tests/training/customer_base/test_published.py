"""The stand-alone models against published numbers and lifetimes, on the 1/10 sample of CDNOW."""

from __future__ import annotations

import contextlib
import io
import warnings

import numpy as np
import pandas as pd
import pytest

from stagecast.features.demo import cdnow_sample_frame
from stagecast.training.customer_base import (
    BetaGeo,
    GammaGamma,
    ModifiedBetaGeo,
    ParetoNBD,
    tracking_table,
)
from stagecast.training.customer_base.fitted import CustomerBaseModel
from tests.training.customer_base.made import WEEK, bg_nbd, cdnow, in_weeks

PUBLISHED = [
    # Fader, Hardie and Lee (2005); BTYDplus for MBG/NBD; Fader and Hardie (2013) for Gamma-Gamma
    (BetaGeo, (0.2426, 4.4136, 0.7929, 2.4259), -9582.429, 2357),
    (ModifiedBetaGeo, (0.5248, 6.1831, 0.8914, 1.6140), -9582.136, 2357),
    (ParetoNBD, (0.5533, 10.5777, 0.6062, 11.6687), -9594.976, 2357),
    (GammaGamma, (6.2496, 3.7442, 15.4435), -4055.918, 946),
]


@pytest.mark.parametrize(("kind", "params", "log_likelihood", "customers"), PUBLISHED)
def test_the_published_parameters_and_likelihoods_come_out(
    kind: type[CustomerBaseModel],
    params: tuple[float, ...],
    log_likelihood: float,
    customers: int,
) -> None:
    options = {} if kind is GammaGamma else {"time_unit": "week"}
    model = kind(**options).fit(in_weeks())
    assert model.params_.to_numpy() == pytest.approx(params, rel=5e-4)
    assert model.log_likelihood_ == pytest.approx(log_likelihood, abs=1e-3)
    assert model.aic_ == pytest.approx(2 * len(params) - 2 * log_likelihood, abs=2e-3)
    assert model.n_customers_ == customers
    summary = model.summary
    assert (summary["low"] < summary["estimate"]).all()
    assert (summary["estimate"] < summary["high"]).all()


def test_the_published_predictions_come_out() -> None:
    # Fader, Hardie and Lee (2005), spreadsheet: customer 0001, and E[X(t)] of a new customer
    first = pd.DataFrame({"x": [2], "t_x": [30.43], "T": [38.86]})
    assert bg_nbd().expected_purchases(first, "39w")[0] == pytest.approx(1.226, abs=5e-4)
    assert bg_nbd().p_alive(first)[0] == pytest.approx(0.7266, abs=5e-5)
    new = bg_nbd().expected_purchases_new([1 / WEEK, 1.0, 3.0, 78.0])
    assert new == pytest.approx([0.0078, 0.0532, 0.1506, 1.8576], abs=5e-4)
    assert bg_nbd().expected_purchases_new("21d") == pytest.approx(0.1506, abs=5e-5)
    ahead = bg_nbd().expected_purchases(in_weeks(), 39)
    assert ahead.sum() == pytest.approx(1653, abs=1)
    spend = GammaGamma().fit(in_weeks())
    # the first customers, by lifetimes from means that are rounded to cents
    first_three = spend.expected_spend(in_weeks()).to_numpy()[:3]
    assert first_three == pytest.approx([24.66, 35.17, 18.91], abs=1e-2)


def test_standard_errors_are_those_of_lifetimes() -> None:
    # lifetimes 0.11.3, Quickstart: se(coef) of r, alpha, a, b
    expected = [0.012557, 0.378221, 0.185719, 0.705345]
    assert bg_nbd().summary["standard_error"].to_numpy() == pytest.approx(expected, rel=2e-3)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from lifetimes import BetaGeoFitter

        X = in_weeks()
        theirs = BetaGeoFitter().fit(X["frequency"], X["recency"], X["T"])
    # lifetimes multiplies column j of the covariances of the logs by the square of parameter j, so
    # that its matrix is not symmetric: right on the diagonal only
    estimate = bg_nbd().params_.to_numpy()
    of_logs = theirs.variance_matrix_.to_numpy() / estimate[None, :] ** 2
    expected_matrix = of_logs * np.outer(estimate, estimate)
    np.testing.assert_allclose(bg_nbd().covariance_, expected_matrix, rtol=5e-3)


def test_the_table_of_customers_is_that_of_lifetimes() -> None:
    log = cdnow_sample_frame()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifetimes.utils import summary_data_from_transaction_data

        theirs = summary_data_from_transaction_data(
            log,
            "customer_id",
            "timestamp",
            monetary_value_col="amount",
            observation_period_end="1997-09-30",
        )
    assert theirs.index.tolist() == cdnow().index.tolist()
    for ours, name in (("frequency",) * 2, ("t_x_days", "recency"), ("T_days", "T")):
        assert (cdnow()[ours] == theirs[name]).all()
    np.testing.assert_allclose(cdnow()["monetary"], theirs["monetary_value"])
    model = BetaGeo().fit(theirs)
    assert model.params_["alpha"] == pytest.approx(4.4136 * WEEK, rel=5e-4)
    assert model.params_["b"] == pytest.approx(bg_nbd().params_["b"], rel=1e-3)


def test_tracking_adds_up_to_the_customers() -> None:
    log = cdnow_sample_frame()
    table = tracking_table(bg_nbd(), log, "1997-10-01")
    fitted = table[~table["held_out"]]
    # 1,882 repeat purchases in the 39 weeks held out: counted in the log
    assert table.loc[table["held_out"], "actual"].sum() == 1882
    assert fitted["actual"].sum() == cdnow()["frequency"].sum()
    age = cdnow()["T_days"].to_numpy() + 1.0
    expected = bg_nbd().expected_purchases_new(age / WEEK).sum()
    assert fitted["cumulative_expected"].iloc[-1] == pytest.approx(expected, rel=1e-12)
    assert table["cumulative_actual"].iloc[-1] == table["actual"].sum()
    assert len(table) == 78
