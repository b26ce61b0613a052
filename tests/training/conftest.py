"""Trainings that several tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from stagecast.training.config import TrainConfig
from tests.shared import once
from tests.training.made import Trained, day, simulated_rows, trained


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train on two years of 1,200 customers, with visits, refunds and amounts."""

    def make(folder: Path) -> Trained:
        rows = simulated_rows(1_200, 730, seed=1)
        return trained(rows, folder / "model", day(730), TrainConfig(max_dates=3))

    return once(tmp_path_factory, "shop", make)
