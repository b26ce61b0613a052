"""A bundle of a simulated shop, for the tests that score its log."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.simulation import AS_OF, simulate
from stagecast.features.events import ReadOptions, from_frame
from stagecast.features.intake.mapping import EventMapping
from stagecast.serving.jobs.training import bundle_of, learn
from stagecast.serving.reports.summary import card
from stagecast.training.bundle import write_bundle
from stagecast.training.config import TrainConfig
from tests.shared import once


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle that was trained on amounts in EUR; nobody writes into it."""

    def make(folder: Path) -> Path:
        in_euros = ReadOptions(mapping=EventMapping(currency="'EUR'"))
        with from_frame(simulate(600, seed=3), in_euros) as log:
            training = learn(log, AS_OF, TrainConfig(max_dates=1))
            bundle = bundle_of(log, AS_OF, training, card(training))
        write_bundle(folder / "model", bundle)
        return folder / "model"

    return once(tmp_path_factory, "in euros", make)
