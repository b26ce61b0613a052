"""Trainings that several tests look at."""

from __future__ import annotations

import shutil
from collections.abc import Callable
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


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    """Give what puts an SQLite store of MLflow into a folder, and returns its address.

    Its migrations take seconds, so that they run once, and the file is copied.
    """

    def make(folder: Path) -> Path:
        from stagecast.training.tracking.client import open_client

        open_client(f"sqlite:///{folder / 'mlflow.db'}").search_experiments()
        return folder / "mlflow.db"

    empty = once(tmp_path_factory, "mlflow", make)

    def put(folder: Path) -> str:
        return f"sqlite:///{shutil.copy(empty, folder / 'mlflow.db')}"

    return put
