"""A fit is not made again for the same customers, and made for any others."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import repeated
from stagecast.training.learners.btyd.closed_forms import Model
from stagecast.training.learners.btyd.fit import FitError
from stagecast.training.learners.btyd.fit import fit as fit_anew

X = np.arange(4.0)


class Counting:
    """A function that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(
        self, name: str, x: Array, weights: Array | None = None, start: Model | None = None
    ) -> float:
        self.calls += 1
        if name == "refused":
            raise FitError("too few")
        return float(x.sum())


def test_the_same_content_is_computed_once() -> None:
    counting = Counting()
    function = repeated.once(counting)
    start = Model("bg_nbd", (0.5, 40.0, 0.9, 1.6), 0.0, 30)
    for _ in range(2):
        assert function("a", X.copy(), start=start) == 6.0
    assert counting.calls == 1


def test_whatever_differs_is_computed() -> None:
    counting = Counting()
    function = repeated.once(counting)
    start = Model("bg_nbd", (0.5, 40.0, 0.9, 1.6), 0.0, 30)
    near = Model("bg_nbd", (0.5, np.nextafter(40.0, 41.0), 0.9, 1.6), 0.0, 30)
    other = X.copy()
    other[0] = np.nextafter(0.0, 1.0)
    function("a", X)
    function("b", X)
    function("a", other)
    function("a", X.astype(np.float32))
    function("a", X.reshape(2, 2))
    function("a", X, np.ones(4))
    function("a", X, start=start)
    function("a", X, start=near)
    assert counting.calls == 8


def test_an_error_is_raised_each_time() -> None:
    counting = Counting()
    function = repeated.once(counting)
    for _ in range(2):
        with pytest.raises(FitError, match="too few"):
            function("refused", X)
    assert counting.calls == 2


def test_the_oldest_result_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated, "MOST_RESULTS", 2)
    counting = Counting()
    function = repeated.once(counting)
    for name in ("a", "b", "c", "c", "b", "a"):
        function(name, X)
    assert counting.calls == 4


@pytest.mark.slow
def test_a_fit_that_is_repeated_is_the_fit() -> None:
    random = np.random.default_rng(5)
    T = random.uniform(50.0, 400.0, 200)
    x = random.poisson(2.0, 200).astype(np.float64)
    t_x = np.where(x > 0, T * random.uniform(0.2, 1.0, 200), 0.0)
    anew = fit_anew("mbg_nbd", x, t_x, T)
    assert repeated.fit("mbg_nbd", x, t_x, T) == anew
    assert repeated.fit("mbg_nbd", x, t_x, T) is repeated.fit("mbg_nbd", x, t_x, T)
