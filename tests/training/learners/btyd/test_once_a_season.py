"""BG/BB with the days of a season, against donors who are drawn here."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.training.billing.calendar import YEAR
from stagecast.training.learners.btyd.once_a_season import PARTS, OnceASeason

PARAMS = (4.0, 2.0, 2.0, 10.0)
LENGTH = 60.0
DAYS = tuple(np.linspace(0.0, LENGTH, PARTS + 1).tolist())
MODEL = OnceASeason.of(PARAMS, DAYS, 0.0, 100)
DONORS, SEASONS = 200_000, 8


class Drawn:
    """Donors with a first gift in season 0, and whether and when they give in later seasons."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        alpha, beta, gamma, delta = PARAMS
        p, q = random.beta(alpha, beta, DONORS), random.beta(gamma, delta, DONORS)
        self.p = p
        stays = random.random((DONORS, SEASONS)) > q[:, None]
        self.active = np.cumprod(stays, axis=1).astype(bool)  # when season n + 1 began
        self.gives = self.active & (random.random((DONORS, SEASONS)) < p[:, None])
        self.day = random.uniform(0.0, LENGTH, (DONORS, SEASONS))

    def as_of(self, seasons: int, into: float) -> tuple[Array, Array, Array]:
        """Return the histories on a day of a season: x, t_x, T."""
        number = np.arange(1, SEASONS + 1)
        known = (number < seasons) | ((number == seasons) & (self.day <= into))
        seen = self.gives & known
        last = np.where(seen.any(axis=1), SEASONS - np.argmax(seen[:, ::-1], axis=1), 0)
        T = np.full(DONORS, seasons * YEAR + into)
        return seen.sum(axis=1).astype(float), last * YEAR, T

    def ahead(self, seasons: int, into: float, days: float) -> Array:
        """Return the gifts within so many days, shape (donors, seasons)."""
        at = (np.arange(1, SEASONS + 1) - seasons) * YEAR + self.day - into
        return np.asarray(self.gives & (at > 0) & (at <= days))


@pytest.mark.parametrize(("seasons", "into"), [(3, 30.0), (4, 200.0), (1, 10.0)])
def test_each_history_is_expected_what_such_donors_do(seasons: int, into: float) -> None:
    drawn = Drawn(1)
    x, t_x, T = drawn.as_of(seasons, into)
    active = drawn.active[:, seasons - 1]
    ids = x * 100.0 + np.round(t_x / YEAR)
    for history in np.unique(ids):
        rows = np.flatnonzero(ids == history)
        if len(rows) < 4_000:
            continue
        own = x[rows[0]], t_x[rows[0]], T[rows[0]]
        sigma = 4.0 * np.sqrt(0.25 / len(rows))
        assert float(MODEL.p_alive(*own)) == pytest.approx(active[rows].mean(), abs=sigma)
        for days in (20.0, 90.0, 365.0, 500.0):
            came = drawn.ahead(seasons, into, days)[rows]
            none = 1.0 - came.any(axis=1).mean()
            assert float(MODEL.p_none(days, *own)) == pytest.approx(none, abs=sigma)
            orders = came.sum(axis=1).mean()
            assert float(MODEL.expected_orders(days, *own)) == pytest.approx(orders, abs=2 * sigma)


def test_between_two_seasons_nothing_comes_and_a_silence_says_nothing() -> None:
    T = 3 * YEAR + np.array([LENGTH + 1.0, 100.0, 200.0, 300.0])
    x, t_x = np.full(4, 2.0), np.full(4, 3 * YEAR)
    assert MODEL.p_none(60.0, x, t_x, T).tolist() == pytest.approx([1.0] * 4)
    assert MODEL.p_alive(x, t_x, T).tolist() == pytest.approx([1.0] * 4)
    missed = MODEL.p_alive(x, t_x - YEAR, T)
    assert missed == pytest.approx(missed[:1].repeat(4))
    assert 0.2 < missed[0] < 0.7
    # who has given this season does not again, who has not may
    at = 3 * YEAR + 20.0
    assert float(MODEL.p_none(30.0, 2.0, 3 * YEAR, at)) == 1.0
    assert 0.2 < float(MODEL.p_none(30.0, 2.0, 2 * YEAR, at)) < 0.8


def test_who_stays_gives_more_and_money_ahead_is_worth_less() -> None:
    x, t_x, T = np.array([0.0, 2.0]), np.array([0.0, 2 * YEAR]), np.full(2, 2 * YEAR + 100.0)
    orders = MODEL.expected_orders_discounted(730.0, x, t_x, T, 0.0)
    now = MODEL.expected_orders_discounted(730.0, x, t_x, T, 0.1)
    assert (0.85 * orders < now).all()
    assert (now < 0.95 * orders).all()
    kept = MODEL.orders_if_kept(730.0, x, t_x, T, 0.0)
    alive = MODEL.p_alive(x, t_x, T)
    assert (kept * alive > orders).all()
    given = MODEL.expected_orders_discounted(730.0, x, t_x, T, 0.0, np.ones(2))
    assert given == pytest.approx(orders / alive)
    assert (MODEL.rate_if_left(x, t_x, T) * YEAR < 1.0).all()
    leaving = MODEL.p_leaving(365.0, x, t_x, T)
    assert (leaving > 0.05).all()
    assert MODEL.p_leaving(100.0, x, t_x, T).tolist() == [0.0, 0.0]


def test_a_stored_model_says_the_same_and_another_is_refused() -> None:
    again = OnceASeason.from_json(MODEL.to_json())
    assert again == MODEL
    stored = MODEL.to_json()["season"]
    for wrong in ({"days": [1.0]}, {"alpha": -1.0}, {"customers": "many"}):
        with pytest.raises(ValueError, match=r"season|alpha|customers"):
            OnceASeason.from_json({"season": {**stored, **wrong}})
