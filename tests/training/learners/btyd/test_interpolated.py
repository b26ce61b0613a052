"""The mean over the coin, interpolated over z, against the quadrature at each z."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.training.learners.btyd import betageometric
from stagecast.training.learners.btyd.betageometric import (
    _interpolated,
    _mean_over_coin,
    _means_at,
)

DRAWS = 300


def drawn(random: np.random.Generator) -> tuple[float, float, float, float]:
    """Return a, b, R and a knee: parameters beyond those of any log, customers of 0 to 400."""
    x = float(random.choice([0, 1, 2, 5, 30, 400]))
    a, b, r = np.exp(random.uniform(np.log(0.02), np.log(50.0), 3)).tolist()
    return a, b + x, r + x, 64.0 ** int(random.integers(0, 4))


def test_the_interpolation_is_the_quadrature() -> None:
    random, exact = np.random.default_rng(2), 0
    for _ in range(DRAWS):
        a, b, R, knee = drawn(random)
        least = knee / 64.0 / R if knee > 1.0 else 0.0
        # also close to the ends, and to no time at all
        z = least + (knee / R - least) * np.r_[random.random(30) ** 3, 1e-9, 1.0]
        np.testing.assert_allclose(
            _mean_over_coin(a, b, R, knee, z), _means_at(a, b, R, knee, z), rtol=1e-11
        )
        exact += _interpolated(a, b, R, knee) is not None
    # elsewhere the quadrature is used itself
    assert exact > 0.98 * DRAWS


def test_a_point_of_the_interpolation_has_its_own_value() -> None:
    polynomial = _interpolated(0.8, 3.0, 2.3, 64.0)
    assert polynomial is not None
    z = np.expm1(polynomial.t)
    means = polynomial.of(z)
    assert np.isfinite(means).all()
    np.testing.assert_allclose(means, _means_at(0.8, 3.0, 2.3, 64.0, z), rtol=1e-11)


def test_where_it_is_not_exact_the_quadrature_remains(monkeypatch: pytest.MonkeyPatch) -> None:
    z = np.linspace(0.1, 20.0, 50)
    monkeypatch.setattr(betageometric, "_EXACT", 0.0)
    _interpolated.cache_clear()
    try:
        assert _interpolated(0.7, 2.0, 1.5, 64.0) is None
        np.testing.assert_array_equal(
            _mean_over_coin(0.7, 2.0, 1.5, 64.0, z), _means_at(0.7, 2.0, 1.5, 64.0, z)
        )
    finally:
        _interpolated.cache_clear()
