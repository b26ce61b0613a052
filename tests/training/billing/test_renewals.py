"""Renewals: what is known of the model, and parameters found again in simulated payments."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.training.billing.fit_renewals import fit_renewals
from stagecast.training.billing.renewals import Renewals


def test_the_survival_is_that_of_the_shifted_beta_geometric() -> None:
    # Fader and Hardie (2007), figure 2: alpha .668, beta 3.806 of the "high end" customers
    renewals = Renewals(0.668, 3.806, (0.0, 1.0))
    survival = np.exp(-renewals.hazard(np.ones(8), np.arange(8.0)))
    rate = [1.0]
    for t in range(1, 8):
        rate.append(rate[-1] * (3.806 + t - 1) / (0.668 + 3.806 + t - 1))
    np.testing.assert_allclose(survival, rate, rtol=1e-12)
    # within a period contracts end as the past ones did
    uniform = np.exp(-renewals.hazard(np.ones(1), np.array([0.5])))
    assert uniform[0] == pytest.approx(1 - 0.5 * (1 - rate[1]))


def test_hazards_add_up() -> None:
    renewals = Renewals(2.0, 5.0, (0.0, 0.2, 1.0))
    both = renewals.hazard(np.array([3.0]), np.array([2.7]))
    parts = renewals.hazard(np.array([3.0]), np.array([1.0])) + renewals.hazard(
        np.array([4.0]), np.array([1.7])
    )
    np.testing.assert_allclose(both, parts, rtol=1e-12)


def test_simulated_renewals_are_found_again() -> None:
    random = np.random.default_rng(3)
    lasting = random.beta(6.0, 2.0, 4000)
    number, renewed = [], []
    for keeps in lasting:
        for n in range(1, 7):
            on = random.random() < keeps
            number.append(n)
            renewed.append(on)
            if not on:
                break
    found = fit_renewals(
        np.array(number, dtype=np.float64),
        np.array(renewed, dtype=np.float64),
        np.ones(len(number)),
        np.ones(10),
    )
    payments = np.array([1.0, 3.0, 5.0])
    truth = Renewals(2.0, 6.0, (0.0, 1.0)).renewal(payments)
    np.testing.assert_allclose(found.renewal(payments), truth, atol=0.02)
    # everybody left at the end of a period
    assert found.ended[-2] < 0.2


def test_weights_count_as_payments_do() -> None:
    number, renewed = np.array([1.0, 1.0, 2.0]), np.array([1.0, 0.0, 1.0])
    twice = fit_renewals(np.tile(number, 2), np.tile(renewed, 2), np.ones(6), np.ones(1))
    weighted = fit_renewals(number, renewed, np.full(3, 2.0), np.ones(1))
    assert twice.alpha == pytest.approx(weighted.alpha, rel=1e-4)
    assert twice.beta == pytest.approx(weighted.beta, rel=1e-4)


def test_few_payments_make_nothing_certain() -> None:
    all_renewed = fit_renewals(np.ones(3), np.ones(3), np.ones(3), np.zeros(0))
    nobody = fit_renewals(np.ones(3), np.zeros(3), np.ones(3), np.zeros(0))
    one = np.ones(1)
    assert 0.5 < all_renewed.renewal(one)[0] < 0.95
    assert 0.05 < nobody.renewal(one)[0] < 0.5


def test_renewals_survive_json_and_refuse_nonsense() -> None:
    renewals = Renewals(1.5, 4.0, (0.0, 0.5, 1.0))
    assert Renewals.from_json(renewals.to_json()) == renewals
    with pytest.raises(ValueError, match="above 0"):
        Renewals.from_json({"alpha": 0.0, "beta": 1.0, "ended": [0.0, 1.0]})
