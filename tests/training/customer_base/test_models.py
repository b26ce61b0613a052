"""What the stand-alone models read, refuse, store and conclude."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from stagecast.features.arrays import Array
from stagecast.features.catalog.standard import standard
from stagecast.features.errors import (
    DataRefusedError,
    NotEnoughDataError,
    StagecastError,
    UsageError,
)
from stagecast.training.customer_base import (
    BetaGeo,
    GammaGamma,
    ModifiedBetaGeo,
    ParetoNBD,
    purchase_summary,
    tracking_table,
)
from stagecast.training.customer_base.uncertainty import covariance_of_logs
from tests.training.customer_base.made import WEEK, bg_nbd, cdnow, in_weeks, regular_purchases

# --- what is read ---


def test_tables_of_any_kind_and_unit_give_the_same() -> None:
    expected = bg_nbd().expected_purchases(in_weeks(), "90d")
    assert expected.index.equals(in_weeks().index)
    days = in_weeks().assign(recency=cdnow()["t_x_days"], T=cdnow()["T_days"])
    in_days = BetaGeo().fit(days)
    assert in_days.expected_purchases(days, 90).to_numpy() == pytest.approx(
        expected.to_numpy(), rel=1e-3
    )
    tables: list[Any] = [
        cdnow(),  # columns in days whatever the unit
        in_weeks()[["frequency", "recency", "T"]].to_numpy(),
        in_weeks().to_dict(orient="list"),
        pa.Table.from_pandas(in_weeks(), preserve_index=False),
        in_weeks().rename(columns={"frequency": "x", "recency": "t_x"}).astype({"x": "Int64"}),
    ]
    for table in tables:
        actual = bg_nbd().expected_purchases(table, timedelta(days=90))
        np.testing.assert_allclose(np.asarray(actual), expected)
    assert {"frequency", "t_x_days", "T_days", "monetary"} <= set(standard(90).names)


def test_who_has_not_bought_yet_is_left_out_and_unknown() -> None:
    prospects = pd.DataFrame({"frequency": [0.0, np.nan], "t_x_days": np.nan, "T_days": np.nan})
    both = pd.concat([cdnow(), prospects])
    model = BetaGeo(time_unit="week").fit(both)
    alone = BetaGeo(time_unit="week").fit(cdnow())
    assert model.params_.equals(alone.params_)
    assert model.p_no_purchase(both, "30d").isna().tolist() == [False] * 2357 + [True] * 2


def test_weights_are_customers() -> None:
    weight = np.arange(2357) % 3
    weighted = BetaGeo().fit(cdnow(), sample_weight=weight)
    repeated = BetaGeo().fit(cdnow().loc[cdnow().index.repeat(weight)])
    pd.testing.assert_frame_equal(weighted.summary, repeated.summary, rtol=1e-6)
    assert weighted.log_likelihood_ == pytest.approx(repeated.log_likelihood_, rel=1e-12)


def test_a_horizon_per_customer_is_that_of_each() -> None:
    few, spans = in_weeks()[:3], np.array([1.0, 4.0, 52.0])
    actual = bg_nbd().p_no_purchase(few, spans)
    single = [bg_nbd().p_no_purchase(few[k : k + 1], spans[k]).item() for k in range(3)]
    assert actual.tolist() == pytest.approx(single, rel=1e-12)


# --- what is concluded ---


@pytest.mark.parametrize("kind", ["hessian", "sandwich"])
def test_the_covariance_is_the_closed_form_of_exponential_times(kind: Any) -> None:
    # log f = log rate - rate t: in log rate the information is n, a score is 1 - rate t
    t, n = np.random.default_rng(1).gamma(0.4, 10.0, 500), 500
    rate = 1.0 / t.mean()
    actual = covariance_of_logs(
        lambda v: np.log(v[0]) - v[0] * t, np.array([rate]), np.ones(n), kind
    )
    expected = 1.0 / n if kind == "hessian" else np.sum((1.0 - rate * t) ** 2) / n**2
    assert actual.item() == pytest.approx(expected, rel=1e-5)


def test_a_parameter_that_the_data_do_not_determine_has_no_interval() -> None:
    flat = covariance_of_logs(lambda v: np.full(9, 1.0 / v[0]), np.ones(2), np.ones(9))
    assert np.isnan(flat).all()


@pytest.mark.parametrize("seed", range(8))
def test_parameters_that_only_a_combination_determines_have_no_covariance(seed: int) -> None:
    # as of equal amounts, or of a rhythm without any variation: the likelihood is flat along a line
    random = np.random.default_rng(seed)
    direction, offset = random.uniform(0.2, 3.0, 3), float(random.uniform(1e3, 1e5))

    def log_likelihood(v: Array) -> Array:
        return np.full(50, -offset - float(direction @ np.log(v)) ** 2)

    assert np.isnan(covariance_of_logs(log_likelihood, np.ones(3), np.ones(50))).all()
    assert np.isnan(covariance_of_logs(log_likelihood, np.ones(3), np.ones(50), "sandwich")).all()


def test_lifetime_value_is_purchases_times_spend_discounted_day_by_day() -> None:
    spend = GammaGamma().fit(cdnow())
    few = cdnow()[:20]
    plain = spend.customer_lifetime_value(bg_nbd(), few, "100d", annual_rate=0.0)
    product = bg_nbd().expected_purchases(few, "100d") * spend.expected_spend(few)
    np.testing.assert_allclose(plain, product)
    edges = np.linspace(0.0, 100.0, 201)
    by_time = np.array([bg_nbd().expected_purchases(few, edge / WEEK) for edge in edges])
    middle = (edges[1:] + edges[:-1]) / 2
    discounted = (np.diff(by_time, axis=0) * 1.5 ** (-middle / 365)[:, None]).sum(axis=0)
    actual = spend.customer_lifetime_value(bg_nbd(), few, timedelta(days=100), annual_rate=0.5)
    np.testing.assert_allclose(actual, discounted * spend.expected_spend(few), rtol=1e-5)


def test_an_unknown_spend_is_the_mean_of_all() -> None:
    spend = GammaGamma().fit(cdnow())
    X = pd.DataFrame({"frequency": [0, 3, 3], "monetary": [0.0, 0.0, np.nan]})
    p, q, v = spend.params_
    assert spend.expected_spend(X).to_numpy() == pytest.approx([p * v / (q - 1)] * 3)
    assert abs(spend.correlation_) < 0.2


@pytest.mark.slow
def test_regular_gaps_are_recognised_and_random_ones_are_not() -> None:
    regular = purchase_summary(regular_purchases(150, 8, seed=1), "2021-05-15")
    model = ModifiedBetaGeo(regularity="auto").fit(regular)
    assert 6 <= model.regularity_ <= 12
    assert (
        model.regularity_ == ModifiedBetaGeo(regularity=model.regularity_).fit(regular).regularity_
    )
    random = purchase_summary(regular_purchases(150, 1, seed=2), "2021-05-15")
    assert ModifiedBetaGeo(regularity="auto").fit(random).regularity_ == 1
    # overdue by three gaps: gone, if gaps are regular
    overdue = pd.DataFrame({"frequency": [10], "t_x_days": [200.0], "T_days": [260.0]})
    plain = ModifiedBetaGeo().fit(regular)
    assert model.p_alive(overdue).item() < 0.2 * plain.p_alive(overdue).item()


# --- files ---


@pytest.mark.parametrize("kind", [BetaGeo, ModifiedBetaGeo, ParetoNBD, GammaGamma])
def test_a_stored_model_says_the_same(kind: Any, tmp_path: Path) -> None:
    options = {} if kind is GammaGamma else {"time_unit": "week"}
    model = kind(**options, covariance="sandwich").fit(cdnow()[:800])
    model.save(tmp_path / "model.json")
    stored = kind.load(tmp_path / "model.json")
    predict = "expected_spend" if kind is GammaGamma else "p_alive"
    assert getattr(stored, predict)(cdnow()).equals(getattr(model, predict)(cdnow()))
    assert stored.summary.equals(model.summary)
    assert stored.log_likelihood_ == model.log_likelihood_
    assert stored.get_params() == model.get_params()
    assert not hasattr(clone(stored), "params_")


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    bg_nbd().save(path)
    stored = json.loads(path.read_text("utf-8"))
    with pytest.raises(UsageError, match=r"holds a BetaGeo; read it with BetaGeo\.load"):
        ParetoNBD.load(path)
    with pytest.raises(UsageError, match="is no file"):
        BetaGeo.load(tmp_path / "none.json")
    changes: list[tuple[Any, str]] = [
        ({**stored, "format": 9}, "format is 9"),
        ({**stored, "extra": 1}, "unknown key 'extra'"),
        ({**stored, "arguments": {"time_unit": "week"}}, "lacks the key 'covariance'"),
        ({**stored, "log_covariance": [[1.0]]}, "log_covariance has no shape"),
        ({**stored, "fitted": {}}, "fitted lacks the key 'model'"),
        ([], "is a list"),
    ]
    for data, message in changes:
        path.write_text(json.dumps(data), "utf-8")
        with pytest.raises(DataRefusedError, match=message):
            BetaGeo.load(path)
    path.write_text(path.read_text("utf-8")[:-1], "utf-8")
    with pytest.raises(DataRefusedError, match="save the model again"):
        BetaGeo.load(path)


# --- what is refused ---

ONE = {"frequency": [1.0], "recency": [5.0], "T": [9.0]}


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ({**ONE, "frequency": [1.5]}, "1 customer without a possible history, first customer 0"),
        ({**ONE, "recency": [12.0]}, r"recency 84 days, T 63 days\..*at most T"),
        ({**ONE, "frequency": [0.0]}, "0 where frequency is 0"),
        ({**ONE, "T": [np.nan]}, "without a possible history"),
        ({**ONE, "customer_id": ["c7"], "T": [-1.0]}, r"first customer 'c7' \(row 0\)"),
        ({"frequency": [1], "T": [9.0]}, "no column t_x_days or recency or t_x; its columns are"),
        (
            {"frequency": [1], "recency_days": [4.0], "T_days": [9.0]},
            "recency_days is the time since the last purchase",
        ),
        ({**ONE, "frequency": ["many"]}, "column frequency of X is not numeric"),
        (np.ones(3), r"shape \(3,\); pass a DataFrame with the columns"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(X: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        bg_nbd().p_alive(X)


def test_what_else_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match=r"time_unit is 'weak'; use .* Did you mean 'week'"):
        BetaGeo(time_unit="weak").fit(in_weeks())
    with pytest.raises(UsageError, match="covariance is 'robust'; use 'hessian' or 'sandwich'"):
        BetaGeo(covariance="robust").fit(in_weeks())
    with pytest.raises(UsageError, match="regularity is 0; use a whole number from 1 to 100"):
        ModifiedBetaGeo(regularity=0).fit(in_weeks())
    with pytest.raises(UsageError, match="needs the columns log_gaps and digamma_gaps"):
        ModifiedBetaGeo(regularity="auto").fit(in_weeks())
    with pytest.raises(UsageError, match="sample_weight is -1 at row 0"):
        BetaGeo().fit(in_weeks(), sample_weight=-np.ones(2357))
    with pytest.raises(UsageError, match=r"sample_weight has shape \(3,\)"):
        BetaGeo().fit(in_weeks(), sample_weight=[1, 1, 1])
    with pytest.raises(UsageError, match=r"horizon '3': the unit is missing"):
        bg_nbd().expected_purchases_new("3")
    with pytest.raises(UsageError, match="horizon is -1; use a finite length"):
        bg_nbd().p_no_purchase(in_weeks(), -1)
    with pytest.raises(UsageError, match=r"horizon has shape \(2,\); give a single one"):
        bg_nbd().p_no_purchase(in_weeks(), [1, 2])
    with pytest.raises(UsageError, match=r"first 3 \(row 1\): frequency 2, monetary -5"):
        GammaGamma().fit(pd.DataFrame({"frequency": [1, 2], "monetary": [2.0, -5.0]}, index=[2, 3]))
    with pytest.raises(NotEnoughDataError, match="cannot be fitted on 20 customers"):
        ParetoNBD().fit(in_weeks()[:20])
    for model, call in ((BetaGeo(), "p_alive"), (GammaGamma(), "expected_spend")):
        with pytest.raises(NotFittedError, match=r"not fitted yet; call fit\(X\) first"):
            getattr(model, call)(in_weeks())
        with pytest.raises(NotFittedError):
            model.summary  # noqa: B018
        with pytest.raises(StagecastError):  # all errors of this package have one base
            getattr(model, call)(in_weeks())


def test_a_log_that_cannot_be_read_is_refused() -> None:
    log = pd.DataFrame({"customer_id": ["a", None], "timestamp": ["2024-01-01", "2024-02-01"]})
    with pytest.raises(UsageError, match="1 row without a customer or a time, first row 1"):
        purchase_summary(log)
    log["customer_id"] = "a"
    with pytest.raises(UsageError, match=r"no column 'shopper'; .* Say which it is by customer="):
        purchase_summary(log, customer="shopper")
    with pytest.raises(UsageError, match="as_of 'soon' is no date"):
        purchase_summary(log, "soon")
    with pytest.raises(UsageError, match="as_of 2023-01-01: no purchase before it"):
        purchase_summary(log, "2023-01-01")
    with pytest.raises(UsageError, match="less than a period of 140"):
        tracking_table(bg_nbd(), log, "2024-01-10", period="20w")
    with pytest.raises(UsageError, match="write times like 2024-01-31"):
        purchase_summary(log.assign(timestamp="31/01/2024"))
    with pytest.raises(UsageError, match="purchases have no row; check what they were filtered by"):
        purchase_summary(log.iloc[:0])
    for lacking in (np.nan, np.inf, None):
        money = log.assign(amount=[5.0] * (len(log) - 1) + [lacking])
        assert len(purchase_summary(money))  # the amounts are not asked for
        with pytest.raises(
            UsageError, match=rf"1 row without an amount in 'amount', first row {len(log) - 1}; lea"
        ):
            purchase_summary(money, amount="amount")


def test_purchases_at_or_after_the_as_of_are_not_read() -> None:
    log = pd.DataFrame({"customer_id": "a", "timestamp": ["2024-01-01", "2024-01-09 23:59"]})
    later = pd.concat([log, log.assign(timestamp="2024-01-10")])
    pd.testing.assert_frame_equal(
        purchase_summary(later, "2024-01-10"), purchase_summary(log, "2024-01-10")
    )
