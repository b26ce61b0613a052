"""Draws of customers and dates: what intervals over both cover."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.training.judging import draws
from stagecast.training.judging.draws import draw_customers, mean_over_dates
from stagecast.training.learners.resampling import interval


@pytest.mark.slow
def test_intervals_cover_a_mean_over_dates_that_differ() -> None:
    """A level of each date that befalls everybody: its mean over many dates, 0, is the truth."""
    dates, customers = 6, 40
    ids = [[f"c{k}" for k in range(customers)]] * dates
    draws = draw_customers(ids, 1, seed=3)
    of_both = of_customers = 0
    for seed in range(150):
        random = np.random.default_rng(seed)
        level = random.normal(0, 0.5, (dates, 1))
        rows = level + random.normal(0, 0.3, (1, customers)) + random.normal(0, 0.5, (dates, 40))
        (weights,) = draws.blocks()
        figures = np.column_stack(
            [w @ r / w.sum(axis=1) for w, r in zip(weights, rows, strict=True)]
        )
        low, high = interval(mean_over_dates(figures, draws.dates)[1:])
        of_both += low <= 0 <= high
        low, high = interval(mean_over_dates(figures)[1:])
        of_customers += low <= 0 <= high
    assert 0.88 <= of_both / 150 <= 1.0
    assert of_customers / 150 < 0.6  # what it would be without the dates


def test_weights_of_the_dates_have_the_variance_of_a_mean_over_few() -> None:
    dates = draw_customers([["a"]] * 3, 1, seed=1).dates
    assert dates.mean(axis=1) == pytest.approx(1.0)
    values = np.array([1.0, 2.0, 6.0])
    drawn = mean_over_dates(np.tile(values, (len(dates), 1)), dates)
    assert drawn[0] == values.mean()
    # the unbiased variance of the mean of three
    assert drawn[1:].var() == pytest.approx(values.var(ddof=1) / 3, rel=0.15)


def test_one_date_is_always_drawn_once() -> None:
    assert (draw_customers([["a", "b"]], 1, seed=1).dates == 1).all()


def test_a_date_without_the_figure_is_left_out() -> None:
    values = np.array([[1.0, np.nan, 3.0], [np.nan] * 3])
    weights = np.array([[1.5, 0.0, 1.5], [1.0, 1.0, 1.0]])
    actual = mean_over_dates(values, weights)
    assert actual[0] == pytest.approx(2.0)
    assert np.isnan(actual[1])


def test_draws_that_are_measured_at_once_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = draw_customers([["a", "b", "c"], ["b"]], 1, seed=1)
    (whole,) = drawn.blocks()
    monkeypatch.setattr(draws, "_VALUES_AT_ONCE", 7)
    blocks = list(drawn.blocks())
    assert {len(of_date) for block in blocks for of_date in block} == {2, 1}
    for k, weights in enumerate(whole):
        assert weights.shape == (len(drawn.weights), len(drawn.rows[k]))
        assert np.array_equal(np.concatenate([block[k] for block in blocks]), weights)
