"""Qini and AUUC: a number by hand, properties, and the standard error."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.errors import UsageError
from stagecast.training.uplift.curves import (
    auuc,
    qini,
    qini_difference,
    share_contacted,
    uplift_at,
)
from stagecast.training.uplift.pseudo_outcomes import effect_values
from stagecast.training.uplift.trial import make_trial
from tests.profiles import examples

SIX = make_trial(np.zeros((6, 1)), ["x"], [1, 0, 1, 0, 1, 0], 0.5, [1, 0, 1, 1, 0, 1])
ROWS = np.arange(6)


def test_six_rows_by_hand() -> None:
    # effects 2, 0, 2, -2, 0, -2; the curve over n is 2, 2, 4, 2, 2, 0 sixths at 1/6 .. 6/6, and
    # its area by trapezia is (2 + 2 + 4 + 2 + 2 + 0/2) / 36 = 1/3; all six bring 0
    g = effect_values(SIX)
    score = np.array([6.0, 5, 4, 3, 2, 1])
    assert g.tolist() == [2, 0, 2, -2, 0, -2]
    assert auuc(g, score, ROWS).value == pytest.approx(1 / 3)
    assert qini(g, score, ROWS).value == pytest.approx(1 / 3)
    values = [u.value for u in uplift_at(g, score, [1 / 6, 0.5, 1.0], ROWS)]
    assert values == pytest.approx([2 / 6, 4 / 6, 0.0])


def test_qini_is_the_area_less_half_of_what_all_bring() -> None:
    g, score = np.array([3.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])
    rows = np.arange(3)
    assert qini(g, score, rows).value == pytest.approx(auuc(g, score, rows).value - 1.0)


GROUPS = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 4)), min_size=2, max_size=30)


@given(GROUPS, st.randoms(use_true_random=False))
@settings(max_examples=examples(100))
def test_the_order_of_the_rows_does_not_matter(
    pairs: list[tuple[int, int]], random: Random
) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)
    figures = []
    for each in (pairs, shuffled):
        g, score = np.array(each, dtype=np.float64).T
        rows = np.arange(len(each))
        figures.append(
            [
                *(e.value for e in (qini(g, score, rows), auuc(g, score, rows))),
                qini(g, score, rows).standard_error,
                *(u.value for u in uplift_at(g, score, [0.3], rows)),
            ]
        )
    assert figures[0] == pytest.approx(figures[1], abs=1e-12)


@given(GROUPS)
@settings(max_examples=examples(100))
def test_a_ranking_upside_down_has_the_opposite_qini(pairs: list[tuple[int, int]]) -> None:
    g, score = np.array(pairs, dtype=np.float64).T
    rows = np.arange(len(pairs))
    assert qini(g, -score, rows).value == pytest.approx(-qini(g, score, rows).value, abs=1e-12)


@given(GROUPS, st.floats(0, 1))
@settings(max_examples=examples(100))
def test_exactly_the_depth_is_contacted(pairs: list[tuple[int, int]], depth: float) -> None:
    score = np.array(pairs, dtype=np.float64)[:, 1]
    p = share_contacted(score, depth)
    assert p.mean() == pytest.approx(depth, abs=1e-9)
    assert (np.diff(p[np.argsort(-score)]) <= 1e-12).all()


def test_one_score_for_all_has_a_qini_of_zero() -> None:
    assert qini(effect_values(SIX), np.ones(6), ROWS).value == 0.0


def test_the_standard_error_is_that_of_repeated_samples() -> None:
    random = np.random.default_rng(5)
    values, errors = [], []
    for _ in range(400):
        score = random.integers(0, 20, 300) / 10
        g = score + random.normal(0, 2, 300)
        figure = qini(g, score, np.arange(300))
        values.append(figure.value)
        errors.append(figure.standard_error)
    # 400 samples give a standard deviation to 3.5 %
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.12)


def test_rows_of_one_customer_are_one_observation() -> None:
    random = np.random.default_rng(6)
    g, score = random.normal(0, 1, 200), random.normal(0, 1, 200)
    single = qini(g, score, np.arange(200))
    twice = qini(np.tile(g, 2), np.tile(score, 2), np.tile(np.arange(200), 2))
    assert twice.value == pytest.approx(single.value)
    assert twice.standard_error == pytest.approx(single.standard_error)


def test_the_difference_of_a_ranking_from_itself_is_zero_without_error() -> None:
    random = np.random.default_rng(7)
    g, score = random.normal(0, 1, 50), random.normal(0, 1, 50)
    figure = qini_difference(g, score, score, np.arange(50))
    assert (figure.value, figure.standard_error) == (0.0, 0.0)


def test_a_score_that_is_not_finite_is_refused_with_its_row() -> None:
    with pytest.raises(UsageError, match="the score of row 2 is nan"):
        qini(np.ones(3), np.array([1.0, 2.0, np.nan]), np.arange(3))


def test_a_depth_beyond_the_list_is_refused() -> None:
    with pytest.raises(UsageError, match=r"depth is 1\.5"):
        share_contacted(np.ones(3), 1.5)
