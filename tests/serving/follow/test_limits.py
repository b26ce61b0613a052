"""Limits of a canary: what breaks each of them, and how seldom an equal model does."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from stagecast.serving.follow.limits import LOOKS, Limits
from stagecast.serving.follow.pairs import Pairs


def customers(count, seed=1):
    """Return true log odds and money of simulated customers."""
    draw = np.random.default_rng(seed)
    return draw.normal(-0.5, 1.5, count), draw.gamma(1.2, 80.0, count)


def scored(odds, money, draw, *, noise=0.15, shift=0.0, factor=1.0):
    """Return the scores of a model that knows the truth up to noise."""
    churn = 1 / (1 + np.exp(-(odds + shift + draw.normal(0, noise, len(odds)))))
    clv = factor * money * np.exp(draw.normal(0, noise, len(odds)))
    bands = np.array(["low", "medium", "high"])[np.searchsorted([1 / 3, 2 / 3], churn)]
    return [
        [p, p, v, v / 4, band, "new"]
        for p, v, band in zip(churn.tolist(), clv.tolist(), bands.tolist(), strict=True)
    ]


def compared(count=200, **change):
    odds, money = customers(count)
    draw, pairs, chance = np.random.default_rng(2), Pairs("new", "old"), random.Random(1)
    new, old = scored(odds, money, draw, **change), scored(odds, money, draw)
    for one, other in zip(new, old, strict=True):
        pairs.add(one, other, chance)
    return pairs


def test_an_equal_model_breaks_no_limit():
    assert Limits().broken(compared()) is None


@pytest.mark.parametrize(
    ("change", "limits", "words"),
    [
        ({"shift": 2.0}, Limits(), "churn_probability has another distribution: PSI"),
        ({"shift": 0.9}, Limits(psi=9.0), "churn_probability differs by 0.1"),
        ({"shift": 0.9}, Limits(psi=9.0, difference=1.0), "churn_band is the same for"),
        ({"factor": 1.7}, Limits(psi=9.0), "clv is .* on average, where the old model says"),
        ({"factor": 0.5}, Limits(psi=9.0), "at most 1.5 times apart"),
        ({"noise": 3.0}, Limits(psi=9.0), "churn_probability differs by"),
        (
            {"noise": 5.0},
            Limits(psi=9.0, difference=1.0, agreement=0.0, money=1e9),
            "orders the customers otherwise",
        ),
    ],
)
def test_a_shift_breaks_the_limit_that_is_about_it(change, limits, words):
    assert re.search(words, limits.broken(compared(**change)))


def test_a_slow_model_breaks_its_limit_and_an_even_one_does_not():
    pairs = compared()
    pairs.timed, pairs.seconds_answered, pairs.seconds_beside = 200, 1.2, 0.2
    assert Limits().broken(pairs) == "a score takes 6.0 times as long, at most 5"
    assert Limits(slower=7).broken(pairs) is None


def test_a_failure_breaks_the_limit_of_none_and_more_only_where_they_are_allowed():
    assert Limits().failed({}) is None
    assert "failed at 3 customers" in Limits().failed({"KeyError": 1, "refused": 2})
    assert "KeyError 1, refused 2" in Limits().failed({"KeyError": 1, "refused": 2})
    assert Limits(errors=3).failed({"KeyError": 3}) is None


def test_few_pairs_say_nothing():
    assert Limits().broken(compared(30, shift=2.0)) is None


def test_the_looks_stand_at_each_fifth():
    limits = Limits(customers=500)
    assert [limits.looks_of(n) for n in (0, 99, 100, 299, 499, 500, 900)] == [0, 0, 1, 2, 4, 5, 5]


@pytest.mark.parametrize("draws", [60, pytest.param(1_000, marks=pytest.mark.long)])
def test_an_equal_model_is_hardly_ever_rolled_back_at_the_defaults(draws):
    """At most one in a hundred: also where the noise is three times that of a retraining."""
    limits, falls = Limits(), 0
    for seed in range(draws):
        odds, money = customers(limits.customers, seed)
        draw, chance = np.random.default_rng(seed), random.Random(seed)
        new, old = (scored(odds, money, draw, noise=0.35) for _ in range(2))
        pairs = Pairs("new", "old")
        for number, (one, other) in enumerate(zip(new, old, strict=True), 1):
            pairs.add(one, other, chance)
            if number * LOOKS % limits.customers == 0 and limits.broken(pairs):
                falls += 1
                break
    assert falls <= draws // 100
