"""The closed forms against slow, independent computations: exact fractions, sums of positive
terms, quadrature.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from decimal import Decimal, getcontext
from fractions import Fraction
from itertools import pairwise, product
from math import factorial

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import betaln, gammaln
from scipy.stats import nbinom

from stagecast.training.learners.btyd import Model

NAMES = ("bg_nbd", "mbg_nbd", "pareto_nbd")


def _exact_beta_geometric(
    first_coin: int, params: tuple[int, ...], x: int, t_x: int, T: int
) -> tuple[float, float]:
    """Return log-likelihood and P(alive) in exact fractions, for whole-numbered parameters and
    times.
    """
    r, alpha, a, b = params

    def beta(m: int, n: int) -> Fraction:
        return Fraction(factorial(m - 1) * factorial(n - 1), factorial(m + n - 1))

    coins = x + first_coin
    lead = Fraction(factorial(r + x - 1), factorial(r - 1)) * Fraction(alpha) ** r / beta(a, b)
    active = beta(a, b + coins) / Fraction(alpha + T) ** (r + x)
    gone = beta(a + 1, b + coins - 1) / Fraction(alpha + t_x) ** (r + x) if coins else Fraction(0)
    getcontext().prec = 40
    likelihood = lead * (active + gone)
    log = Decimal(likelihood.numerator).ln() - Decimal(likelihood.denominator).ln()
    return float(log), float(active / (active + gone))


@pytest.mark.parametrize("name", ["bg_nbd", "mbg_nbd"])
@pytest.mark.parametrize(
    "history",
    [
        (0, 0, 40),
        (1, 0, 40),
        (1, 40, 40),
        (7, 3, 4000),
        (250, 38, 40),
        (2000, 2000, 4000),
        (2000, 3990, 4000),
    ],
)
@pytest.mark.parametrize("params", [(1, 4, 1, 2), (3, 50, 7, 1), (1, 1, 40, 300)])
def test_beta_geometric_likelihood_and_p_alive_are_the_exact_fractions(
    name: str, params: tuple[int, int, int, int], history: tuple[int, int, int]
) -> None:
    model = Model(name, params, 0.0, 1)
    log_likelihood, alive = _exact_beta_geometric(int(name == "mbg_nbd"), params, *history)
    assert float(model.log_likelihood_of(*history)) == pytest.approx(
        log_likelihood, rel=1e-12, abs=1e-10
    )
    assert float(model.p_alive(*history)) == pytest.approx(alive, rel=1e-10)


def _orders_by_count(a: float, b: float, R: float, z: float) -> float:
    """Sum over j of P(more than j would-be purchases) P(surviving j coins): no term is negative."""
    y = z / (1.0 + z)
    j = np.arange(int(3 * R * z + 60 / -np.log(y) + 500))
    return float(nbinom.sf(j, R, 1.0 - y) @ np.exp(betaln(a, b + j) - betaln(a, b)))


@pytest.mark.parametrize("name", ["bg_nbd", "mbg_nbd"])
@pytest.mark.parametrize(
    "coin",
    [(0.05, 0.3), (0.8, 2.4), (1.0, 1.0), (3.0, 250.0), (60.0, 0.5), (400.0, 400.0), (2e-4, 8e3)],
)
def test_beta_geometric_expected_orders_are_the_sum_over_counts(
    name: str, coin: tuple[float, float]
) -> None:
    a, b = coin
    for (r, alpha), x, T, days in product(
        [(0.24, 30.0), (8.0, 2.0)], [0, 1, 12, 2000], [3.0, 4000.0], [1.0, 365.0]
    ):
        if (r + x) * days / (alpha + T) > 1e5:
            continue  # the sum would take a minute
        model = Model(name, (r, alpha, a, b), 0.0, 1)
        history = (x, T if x else 0.0, T)
        actual = float(model.expected_orders(days, *history) / model.p_alive(*history))
        slow = _orders_by_count(a, b + x + (name == "mbg_nbd"), r + x, days / (alpha + T))
        assert actual == pytest.approx(slow, rel=1e-9), (r, alpha, x, T, days)


PARETO = [
    (0.55, 74.0, 0.61, 82.0),
    (0.6, 95.0, 0.31, 43.0),
    (3.0, 0.5, 0.05, 900.0),
    (0.2, 900.0, 6.0, 0.5),
    (1.0, 9.0, 1.0, 9.0),
]


def _quad(f: Callable[[float], float], upper: float) -> float:
    """Integrate over (0, upper) by adaptive quadrature in the log of time, cut into decades."""
    edges = np.concatenate([[0.0], upper * np.logspace(-9, 0, 19)])
    pieces = [
        quad(f, low, high, epsabs=0, epsrel=1e-12, limit=200)[0] for low, high in pairwise(edges)
    ]
    return float(np.sum(pieces))


@pytest.mark.parametrize("params", PARETO)
@pytest.mark.parametrize(
    "history",
    [
        (0, 0.0, 0.01),
        (0, 0.0, 272.0),
        (2, 213.0, 272.0),
        (26, 216.0, 217.0),
        (2000, 3000.0, 4000.0),
        (9, 5.0, 4000.0),
    ],
)
def test_pareto_nbd_is_its_defining_integrals(
    params: tuple[float, float, float, float], history: tuple[int, float, float]
) -> None:
    r, alpha, s, beta = params
    x, t_x, T = history
    R = r + x

    def leaving(u: float) -> float:  # silent and then gone at T - u, against silent to T
        return float(
            s
            / (beta + T - u)
            * np.exp(-R * np.log1p(-u / (alpha + T)) - s * np.log1p(-u / (beta + T)) - tilt)
        )

    def none(u: float) -> float:
        return float(
            s
            / (beta + T + u)
            * np.exp(-R * np.log1p(u / (alpha + T)) - s * np.log1p(u / (beta + T)))
        )

    tilt = R * np.log((alpha + T) / (alpha + t_x)) + s * np.log((beta + T) / (beta + t_x))
    days = 90.0
    with warnings.catch_warnings():
        # quad's own remark that it cannot reach 1e-12 in every decade
        warnings.simplefilter("ignore")
        odds = np.exp(tilt) * _quad(leaving, T - t_x) if tilt < 600 else np.inf
        silent = (1 + days / (alpha + T)) ** -R * (1 + days / (beta + T)) ** -s + _quad(none, days)
    alive = 1.0 / (1.0 + odds)
    model = Model("pareto_nbd", params, 0.0, 1)
    assert float(model.p_alive(*history)) == pytest.approx(alive, rel=1e-9)
    assert float(model.p_none(days, *history)) == pytest.approx(
        1 - alive + alive * silent, abs=1e-9
    )
    if np.isfinite(odds):
        plain = (
            gammaln(R) - gammaln(r) + r * np.log(alpha) + s * np.log(beta) - R * np.log(alpha + T)
        )
        whole = plain - s * np.log(beta + T) + np.log1p(odds)
        assert float(model.log_likelihood_of(*history)) == pytest.approx(whole, rel=1e-10, abs=1e-9)


@pytest.mark.parametrize("params", PARETO)
def test_pareto_nbd_expected_orders_are_the_mean_over_rates(
    params: tuple[float, float, float, float],
) -> None:
    r, alpha, s, beta = params
    model = Model("pareto_nbd", params, 0.0, 1)
    for x, T, days in product([0, 3, 2000], [1.0, 300.0], [1.0, 90.0, 3650.0]):
        since = beta + T

        def still_active(u: float, since: float = since) -> float:
            return float((1.0 + u / since) ** -s)

        actual = float(
            model.expected_orders(days, x, T if x else 0.0, T)
            / model.p_alive(x, T if x else 0.0, T)
        )
        assert actual == pytest.approx((r + x) / (alpha + T) * _quad(still_active, days), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("bg_nbd", (0.25, 31.0, 0.8, 2.4)),
        ("mbg_nbd", (0.52, 43.0, 0.9, 1.6)),
        ("pareto_nbd", (0.55, 74.0, 0.61, 82.0)),
        ("pareto_nbd", (0.35, 48.0, 7.9, 2.8)),  # gone within days: the hard case
    ],
)
@pytest.mark.parametrize(
    ("days", "rate", "error"), [(365.0, 0.1, 1e-7), (3650.0, 0.1, 1e-6), (3650.0, 1.0, 1e-5)]
)
def test_discounted_orders_are_the_discounted_increments(
    name: str, params: tuple[float, float, float, float], days: float, rate: float, error: float
) -> None:
    model = Model(name, params, 0.0, 1)
    grid = np.concatenate([[0.0], days * np.geomspace(1e-6, 1.0, 30_001)])
    middle = (grid[1:] + grid[:-1]) / 2
    for history in [(0, 0.0, 4.0), (0, 0.0, 272.0), (5, 250.0, 272.0), (300, 900.0, 901.0)]:
        increments = np.diff(model.expected_orders(grid, *history))
        slow = float(increments @ (1.0 + rate) ** (-middle / 365.0))
        actual = float(model.expected_orders_discounted(days, *history, annual_rate=rate))
        assert actual == pytest.approx(slow, rel=error)
