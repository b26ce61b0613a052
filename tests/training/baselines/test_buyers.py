"""The baselines learn from the past alone, by the methods their names say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import lightgbm
import numpy as np
import pytest
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from stagecast.training.baselines.buyers import (
    LABELS,
    SPEND_LABELS,
    WINDOWS,
    _recency_rule,
    fit_and_predict,
    fit_and_predict_spend,
)
from stagecast.training.learners.btyd.fit import fit
from tests.training.made import Trained


def test_the_recency_rule_by_hand() -> None:
    past = np.repeat(np.arange(1.0, 11.0), 10)
    inactive = np.repeat(np.arange(10), 10) > np.tile(
        np.arange(10), 10
    )  # of the k-th tenth, k of ten leave
    now = np.array([0.0, 1.0, 5.0, 10.0, 999.0])
    expected = [(k + 0.5) / 11 for k in (0, 0, 4, 9, 9)]
    np.testing.assert_allclose(_recency_rule(past, inactive, now), expected)


def test_all_speak_and_are_probabilities(shop: Trained) -> None:
    panel = shop.training.panel
    actual = fit_and_predict(panel, 90, tuple(LABELS))
    assert list(actual) == list(LABELS)
    for p in actual.values():
        assert p.shape == (int(panel.now.buyers.sum()),)
        assert ((p > 0) & (p < 1)).all()


def test_bg_nbd_is_fitted_on_the_whole_history(shop: Trained) -> None:
    panel = shop.training.panel
    x, t_x, T = (
        panel.now.features[name][panel.now.buyers] for name in ("frequency", "t_x_days", "T_days")
    )
    np.testing.assert_allclose(
        fit_and_predict(panel, 90)["bg_nbd"],
        fit("bg_nbd", x, t_x, T).p_none(90, x, t_x, T),
        rtol=1e-9,
    )


def stacked(shop: Trained, names: Sequence[str], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return columns and outcomes of the newest past dates, one date after the other."""
    dates = shop.training.panel.dates[:count]
    X = [np.column_stack([date.columns[name] for name in names]) for date in dates]
    return np.vstack(X), np.concatenate([date.inactive for date in dates])


@pytest.mark.parametrize(("name", "count"), [("rfm_logistic", 1), ("rfm_stacked", 99)])
def test_a_regression_is_on_the_logs_of_rfm_at_its_dates(
    shop: Trained, name: str, count: int
) -> None:
    panel = shop.training.panel
    assert len(panel.dates) > 1
    names = ("recency_days", "frequency", "T_days", "spend_mean")
    values, inactive = stacked(shop, names, count)
    past = np.log1p(values)
    now = np.column_stack([np.log1p(panel.now.features[name][panel.now.buyers]) for name in names])
    mean, scale = past.mean(axis=0), past.std(axis=0)
    model = LogisticRegression(tol=1e-9).fit((past - mean) / scale, inactive)
    theirs = model.predict_proba((np.clip(now, past.min(axis=0), past.max(axis=0)) - mean) / scale)[
        :, 1
    ]
    np.testing.assert_allclose(fit_and_predict(panel, 90, (name,))[name], theirs, atol=1e-4)


def test_the_average_is_of_the_log_odds_of_the_two(shop: Trained) -> None:
    panel = shop.training.panel
    alone = fit_and_predict(panel, 90, ("average",))["average"]
    both = fit_and_predict(panel, 90, ("lightgbm_small", "rfm_stacked"))
    np.testing.assert_allclose(
        logit(alone), (logit(both["lightgbm_small"]) + logit(both["rfm_stacked"])) / 2, rtol=1e-6
    )


@pytest.mark.parametrize("dates", [0, 1])
def test_without_a_date_one_horizon_back_only_bg_nbd_and_a_share_speak(
    shop: Trained, dates: int
) -> None:
    panel = replace(shop.training.panel, dates=shop.training.panel.dates[1 : 1 + dates])
    predictions = fit_and_predict(panel, 90, share=0.3)
    assert set(predictions) == {"bg_nbd", "share"}
    assert (predictions["share"] == 0.3).all()


def test_spend_is_said_by_all_and_never_negative(shop: Trained) -> None:
    panel = shop.training.panel
    actual = fit_and_predict_spend(panel, 90)
    assert list(actual) == list(SPEND_LABELS)
    buyers = panel.now.buyers
    assert all(
        money.shape == (int(buyers.sum()),) and (money >= 0).all() for money in actual.values()
    )
    rate = panel.now.features["spend"][buyers] / panel.now.features["T_days"][buyers] * 90
    np.testing.assert_allclose(actual["past_rate"], rate)
    assert set(fit_and_predict_spend(replace(panel, dates=(), base=None), 90)) == {"past_rate"}


def test_lightgbm_with_its_defaults_is_lightgbms(shop: Trained) -> None:
    panel = shop.training.panel
    names = [name for name in WINDOWS if name in panel.dates[0].columns]
    past, inactive = stacked(shop, names, 99)
    now = np.column_stack([panel.now.features[name][panel.now.buyers] for name in names])
    model = lightgbm.LGBMClassifier(
        verbose=-1, n_jobs=1, random_state=0, deterministic=True, force_row_wise=True
    )
    model.fit(past, inactive)
    theirs = model.predict_proba(now)[:, 1]
    np.testing.assert_allclose(
        fit_and_predict(panel, 90, ("lightgbm",))["lightgbm"], theirs, atol=1e-6
    )
