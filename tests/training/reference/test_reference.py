"""Percentiles of the risk against the shop at the training."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stagecast.training.reference.reference import EMPTY, Reference, learn_reference
from stagecast.training.reference.rfm_settings import MEASURES


def learned(p_inactive: list[float]) -> Reference:
    columns = {name: np.ones(len(p_inactive)) for name in MEASURES}
    active = np.isfinite(p_inactive) & (np.array(p_inactive) < 2)
    return learn_reference(columns, active, np.array(p_inactive))


@given(
    risks=st.lists(st.floats(0.001, 0.999), min_size=1, max_size=60),
    asked=st.lists(st.floats(0, 1), min_size=2),
)
def test_percentiles_rise_with_the_risk_from_0_to_100(
    risks: list[float], asked: list[float]
) -> None:
    reference = learned(risks)
    p = reference.percentile(np.sort(asked))
    assert (np.diff(p) >= 0).all()
    assert p.min() >= 0
    assert p.max() <= 100
    assert reference.percentile(np.array([max(risks), min(risks) - 1e-6])).tolist() == [100.0, 0.0]


def test_a_percentile_is_the_share_of_the_active_whose_risk_is_not_higher() -> None:
    risks = np.random.default_rng(1).beta(2, 3, 2_001)
    asked = np.linspace(0.05, 0.95, 19)
    expected = [100 * (risks <= p).mean() for p in asked]
    np.testing.assert_allclose(learned(risks.tolist()).percentile(asked), expected, atol=1.0)


def test_where_all_are_alike_nobody_is_riskier() -> None:
    assert learned([0.4] * 9).percentile(np.array([0.4, 0.39, 0.41])).tolist() == [
        100.0,
        0.0,
        100.0,
    ]


def test_without_active_customers_the_percentile_is_in_the_middle() -> None:
    assert EMPTY.percentile(np.array([0.1, 0.9])).tolist() == [50.0, 50.0]


def test_only_the_active_make_the_percentiles() -> None:
    reference = learn_reference(
        {name: np.full(4, 100.0) for name in MEASURES},
        np.array([True, True, False, False]),
        np.array([0.1, 0.2, 0.9, np.nan]),
    )
    assert (reference.churn_quantiles[0], reference.churn_quantiles[-1]) == (0.1, 0.2)


def test_json_and_back_is_the_same_reference() -> None:
    reference = learned([0.1, 0.5, 0.7])
    assert Reference.from_json(reference.to_json()) == reference
