"""Covariances of the customer-base models of a training."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.training.fitted import btyd
from stagecast.training.fitted.btyd import histories_of, log_covariances
from tests.training.made import Trained


def test_covariances_of_a_sample_are_those_of_all_customers(
    shop: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, histories = shop.training.models.base, histories_of(shop.training.panel.now)
    exact = log_covariances(base, histories)
    monkeypatch.setattr(btyd, "MAX_ROWS", len(histories["frequency"]) // 3)
    sampled = log_covariances(base, histories)
    assert exact.keys() == sampled.keys() == {"mbg_nbd", "pareto_nbd", "gamma_gamma"}
    for name, matrix in exact.items():
        other = sampled[name]
        assert matrix is not None, name
        assert other is not None, name
        ratio = np.sqrt(np.diag(other) / np.diag(matrix))
        # a third of some 900 buyers; without their weight it would be 1.7 to 2
        assert (np.abs(ratio - 1.0) < 0.4).all(), (name, ratio)
