"""Trainings that several tests look at, each made once a session."""

from __future__ import annotations

import pytest

from stagecast.training.config import TrainConfig
from tests.training.made import Trained, day, simulated_rows, trained


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train on two years of 1,200 customers, with visits, refunds and amounts."""
    folder = tmp_path_factory.mktemp("shop") / "model"
    return trained(simulated_rows(1_200, 730, seed=1), folder, day(730), TrainConfig(max_dates=3))
