"""P(cancelled) of open contracts: recovered from simulations, the rungs of the ladder, JSON,
nothing of the future.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.arrays import Array
from stagecast.features.contracts import Spells
from stagecast.features.errors import UsageError
from stagecast.training.cancellation import landmarks
from stagecast.training.cancellation.fitting import fit_cancellation
from stagecast.training.cancellation.landmarks import Landmarks, current, past
from stagecast.training.cancellation.model import CancellationModel
from stagecast.training.learners import metrics
from tests.profiles import examples
from tests.training.cancellation.test_hazards import simulated, spells_of


def text(model: CancellationModel) -> str:
    return json.dumps(model.to_json(), sort_keys=True, allow_nan=False)


@cache
def told() -> tuple[Spells, Array, Landmarks, dict[str, Array], CancellationModel]:
    """Return contracts whose customers differ, what was known of them at past dates, and the
    model of it all.
    """
    random = np.random.default_rng(11)
    x = random.normal(size=2_500)
    rate = 0.006 * np.exp(0.9 * x)
    of = simulated(2_500, 240.0, seed=12, rate=rate)
    rows = past(of, 30)
    columns = {"activity_30d": np.exp(-x[rows.customer]), "noise": random.normal(size=len(rows))}
    return of, rate, rows, columns, fit_cancellation(of, 30, rows, columns, seed=1)


@cache
def few_told() -> tuple[Spells, Landmarks, dict[str, Array]]:
    """Return contracts like those of :func:`told`, a fifth as many, where quality is not asked."""
    random = np.random.default_rng(21)
    x = random.normal(size=500)
    of = simulated(500, 240.0, seed=22, rate=0.006 * np.exp(0.9 * x))
    rows = past(of, 30)
    return (
        of,
        rows,
        {"activity_30d": np.exp(-x[rows.customer]), "noise": random.normal(size=len(rows))},
    )


def now_told() -> tuple[Landmarks, dict[str, Array], Array]:
    of, rate, *_ = told()
    now = current(of)
    mine = rate[now.customer]
    noise = np.random.default_rng(13).normal(size=len(now))
    return now, {"activity_30d": np.exp(-np.log(mine / 0.006) / 0.9), "noise": noise}, mine


# --- recovered


def test_what_customers_do_is_learned() -> None:
    of, _, _, _, model = told()
    now, columns, rate = now_told()
    assert model.method == "pool"
    assert not model.low_data
    p, true = model.probability(now, columns), -np.expm1(-30 * rate)
    alone = fit_cancellation(of, 30, seed=1).probability(now)
    assert np.corrcoef(p, true)[0, 1] > 0.93
    assert np.abs(p - true).mean() < 0.5 * np.abs(alone - true).mean()
    assert p.mean() == pytest.approx(true.mean(), rel=0.1)
    came = np.random.default_rng(14).random(len(now)) < true
    assert metrics.log_loss(came, p) < metrics.log_loss(came, alone) - 0.01


@pytest.mark.slow
@pytest.mark.parametrize("shape", [0.7, 1.0, 1.6])
@pytest.mark.parametrize("as_of", [40.0, 200.0])
def test_p_is_recovered_at_every_age_however_much_is_censored(shape: float, as_of: float) -> None:
    of = simulated(3_000, as_of, seed=15, rate=0.008, shape=shape)
    model = fit_cancellation(of, 14, past(of, 14), seed=1)
    assert model.method == "pool"
    now = current(of)
    older = now.age_days > 2.0
    true = -np.expm1((now.age_days * 0.008) ** shape - ((now.age_days + 14) * 0.008) ** shape)
    p = model.probability(now)
    assert p.mean() == pytest.approx(true.mean(), rel=0.12)
    assert np.abs(p - true)[older].mean() < 0.02


def test_rows_that_were_drawn_give_the_level_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    of = simulated(6_000, 200.0, seed=16, rate=0.002)
    monkeypatch.setattr(landmarks, "MAX_ROWS", 6_000)
    model = fit_cancellation(of, 30, past(of, 30, seed=2), seed=1)
    now = current(of)
    assert model.probability(now).mean() == pytest.approx(-np.expm1(-0.06), rel=0.15)


@pytest.mark.slow
def test_who_came_back_can_differ() -> None:
    of = simulated(4_000, 200.0, seed=18, rate=np.where(np.arange(4_000) % 2, 0.03, 0.004))
    of = replace(of, earlier=(np.arange(len(of)) % 2).astype(np.int64))
    now = current(of)
    p = fit_cancellation(of, 14, past(of, 14), seed=1).probability(now)
    first, again = p[now.earlier_spells == 0], p[now.earlier_spells == 1]
    assert first.mean() == pytest.approx(-np.expm1(-14 * 0.004), abs=0.02)
    assert again.mean() == pytest.approx(-np.expm1(-14 * 0.03), abs=0.05)


@pytest.mark.slow
def test_the_season_is_heard_where_there_are_two_years() -> None:
    random = np.random.default_rng(19)
    start = random.uniform(0, 1_000, 2_000)
    days = np.arange(2_000)
    hazard = 0.004 * (1.0 + 0.9 * np.sin(2 * np.pi * days / 365.2425))
    cumulative = np.r_[0.0, np.cumsum(hazard)]
    at_start = np.interp(start, np.arange(2_001), cumulative)
    ends = np.interp(at_start + random.exponential(1, 2_000), cumulative, np.arange(2_001))
    actual = {}
    for as_of in (60.0 + 2 * 365.2425, 240.0 + 2 * 365.2425):
        of = spells_of(start, ends - start, as_of)
        model = fit_cancellation(of, 30, past(of, 30), seed=1)
        assert model.season
        actual[as_of] = model.probability(current(of)).mean()
    high, low = actual.values()
    assert high > 1.5 * low
    assert not told()[4].season


# --- any number of days


def test_p_over_days_is_the_product_of_the_steps() -> None:
    now, columns, _ = now_told()
    model = told()[4]
    hazards = model.hazards(now, columns)
    assert hazards.shape == (len(now), 5)
    assert ((hazards > 0) & (hazards < 1)).all()
    assert model.probability(now, columns) == pytest.approx(1 - (1 - hazards).prod(axis=1))
    assert model.probability(now, columns, 12.0) == pytest.approx(
        1 - (1 - hazards[:, :2]).prod(axis=1)
    )
    half = 1 - (1 - hazards[:, 0]) ** 0.5
    assert model.probability(now, columns, 3.0) == pytest.approx(half)


def test_p_grows_with_the_days_and_goes_on_beyond_the_horizon() -> None:
    now, columns, rate = now_told()
    model = told()[4]
    curve = np.array(
        [
            model.survival(now, days, columns)
            for days in (0.0, 1.0, 7.0, 29.9, 30.0, 30.1, 90.0, 2_000.0)
        ]
    )
    assert (curve[0] == 1.0).all()
    assert (np.diff(curve, axis=0) < 0).all()
    assert np.abs(1 - curve[-2] + np.expm1(-90 * rate)).mean() < 0.06
    each = np.where(np.arange(len(now)) % 2, 7.0, 90.0)
    mixed = model.survival(now, each, columns)
    assert mixed[::2].tolist() == curve[-2][::2].tolist()
    assert mixed[1::2].tolist() == curve[2][1::2].tolist()


def test_half_are_cancelled_at_the_median() -> None:
    now, columns, rate = now_told()
    model = told()[4]
    median = model.median_days(now, columns)
    known = np.isfinite(median)
    assert known.any()
    at = model.survival(now, np.where(known, median, 1.0), columns)
    assert at[known] == pytest.approx(np.full(known.sum(), 0.5), abs=1e-9)
    assert (model.survival(now, 1_826.0, columns)[~known] > 0.5).all()
    assert np.corrcoef(np.log(median[known]), -np.log(rate[known]))[0, 1] > 0.85


def test_a_median_within_the_horizon_and_one_beyond_five_years() -> None:
    fast, slow = (
        simulated(500, 60.0, seed=20, rate=0.2),
        simulated(3_000, 60.0, seed=21, rate=0.0002),
    )
    of_fast = fit_cancellation(fast, 30, past(fast, 30), seed=1).median_days(current(fast))
    assert np.median(of_fast) == pytest.approx(np.log(2) / 0.2, rel=0.25)
    assert np.isnan(
        fit_cancellation(slow, 30, past(slow, 30), seed=1).median_days(current(slow))
    ).all()


@pytest.mark.parametrize("days", [-1.0, float("nan"), float("inf")])
def test_days_that_cannot_be_are_refused(days: float) -> None:
    now, columns, _ = now_told()
    with pytest.raises(UsageError, match="finite and 0 or more"):
        told()[4].probability(now, columns, days)


# --- the rungs of the ladder


def test_below_ten_cancellations_there_is_one_rate_and_below_thirty_one_by_age() -> None:
    for cancelled, method in ((9, "share"), (10, "ages"), (29, "ages"), (45, "pool")):
        lasts = np.where(np.arange(200) < cancelled, 5.5 + np.arange(200) % 20, 900.0)
        of = spells_of(np.arange(200) % 60 * 1.0, lasts, 90.0)
        model = fit_cancellation(of, 30, past(of, 30), seed=1)
        assert (model.method, model.cancellations, model.spells) == (method, cancelled, 200)
        assert model.low_data == (method != "pool")
        p = model.probability(current(of))
        assert ((p > 0) & (p < 0.6)).all()
        assert (
            CancellationModel.from_json(json.loads(text(model))).probability(current(of)).tolist()
            == p.tolist()
        )


def test_the_smoothed_share_by_hand() -> None:
    # 40 contract-days seen and none cancelled: half a cancellation in 40 days and two horizons
    of = spells_of(np.array([0.0, 0.0]), np.array([99.0, 99.0]), 20.0)
    model = fit_cancellation(of, 30, seed=1)
    assert model.probability(current(of))[0] == pytest.approx(1 - (1 - 0.5 / 100) ** 30)


def test_an_empty_log_has_a_model_that_says_what_is_said_of_the_unknown() -> None:
    nothing = spells_of(np.zeros(0), np.zeros(0), 20.0)
    model = fit_cancellation(nothing, 30, past(nothing, 30), seed=1)
    assert model.method == "share"
    assert (
        model.probability(current(nothing)).shape
        == model.median_days(current(nothing)).shape
        == (0,)
    )
    item = spells_of(np.array([0.0]), np.array([99.0]), 20.0)
    assert 0.15 < model.probability(current(item))[0] < 0.3


def test_one_customer_alone() -> None:
    of = spells_of(np.array([0.0]), np.array([99.0]), 20.0)
    model = fit_cancellation(of, 30, past(of, 30), {"x": np.ones(len(past(of, 30)))}, seed=1)
    assert 0.1 < model.probability(current(of))[0] < 0.25


def test_nobody_cancelled() -> None:
    of = spells_of(np.arange(500) % 100 * 1.0, np.full(500, 900.0), 200.0)
    p = fit_cancellation(of, 30, past(of, 30), seed=1).probability(current(of))
    assert ((p > 0) & (p < 0.001)).all()


def test_everybody_cancelled() -> None:
    of = spells_of(np.arange(500) % 100 * 1.0, np.full(500, 10.5), 200.0)
    model = fit_cancellation(of, 30, past(of, 30), seed=1)
    assert len(current(of)) == 0
    later = spells_of(np.array([195.0, 199.5]), np.array([900.0, 900.0]), 200.0)
    p = model.probability(current(later))
    assert ((p > 0.85) & (p < 1)).all()


def test_everybody_cancelled_at_once() -> None:
    of = spells_of(np.arange(500) % 100 * 1.0, np.zeros(500), 200.0)
    model = fit_cancellation(of, 30, past(of, 30), seed=1)
    assert model.cancellations == 500
    p = model.probability(current(spells_of(np.array([199.5]), np.array([900.0]), 200.0)))
    assert 0.9 < p[0] < 1


@settings(max_examples=examples(15), deadline=None)
@given(
    spans=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=60),
    horizon=st.integers(1, 400),
    days=st.floats(0, 3_000),
)
def test_p_is_a_probability_whatever_the_log(
    spans: list[tuple[int, int]], horizon: int, days: float
) -> None:
    of = spells_of(
        np.array([a for a, _ in spans], dtype=float),
        np.array([b for _, b in spans], dtype=float),
        61.0,
    )
    now = current(of)
    model = fit_cancellation(of, horizon, past(of, horizon), seed=1)
    for p in (model.probability(now), model.probability(now, days=days)):
        assert p.shape == (len(now),)
        assert ((p > 0) & (p < 1)).all()
    median = model.median_days(now)
    assert (np.isnan(median) | ((median > 0) & (median <= 1_826))).all()


# --- columns of the caller


def test_columns_that_cannot_serve_are_refused() -> None:
    of, _, rows, columns, model = told()
    now, given_now, _ = now_told()
    with pytest.raises(UsageError, match="'noise' of the training is missing"):
        model.probability(now, {"activity_30d": given_now["activity_30d"]})
    with pytest.raises(UsageError, match="has the shape"):
        model.probability(now, {**given_now, "noise": np.zeros(3)})
    with pytest.raises(UsageError, match="'age_days' has a name"):
        fit_cancellation(of, 30, rows, {"age_days": columns["noise"]}, seed=1)
    with pytest.raises(UsageError, match="without the landmarks"):
        fit_cancellation(of, 30, None, columns, seed=1)
    with pytest.raises(UsageError, match="horizon_days = 0"):
        fit_cancellation(of, 0, seed=1)


@pytest.mark.slow
def test_nulls_are_told_and_columns_that_do_not_vary_are_left_out() -> None:
    of, rows, columns = few_told()
    now = current(of)
    holes = np.where(np.arange(len(rows)) % 5, columns["activity_30d"], np.nan)
    odd = {
        "activity_30d": holes,
        "same": np.full(len(rows), 2.0),
        "none": np.full(len(rows), np.nan),
    }
    model = fit_cancellation(of, 30, rows, odd, seed=1)
    assert model.columns == ("activity_30d",)
    known = np.where(np.arange(len(now)) % 5, 1.0, np.nan)
    p = model.probability(now, {"activity_30d": known})
    assert np.isfinite(p).all()
