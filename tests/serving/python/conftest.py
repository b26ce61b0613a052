"""A trained model and its log, for the tests of the Python API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stagecast.serving.python.event_log import EventLog
from stagecast.serving.python.lifecycle import Lifecycle
from stagecast.serving.python.reading import read_events
from tests.training.conftest import shop  # noqa: F401
from tests.training.made import Trained, frame_of, simulated_rows


@pytest.fixture(scope="session")
def log() -> Iterator[EventLog]:
    """The log that ``shop`` was trained on."""
    with read_events(frame_of(simulated_rows(1_200, 730, seed=1)), duplicates="keep") as opened:
        yield opened


@pytest.fixture
def model(shop: Trained) -> Lifecycle:  # noqa: F811
    """A fitted model; each test gets one of its own, since scoring changes its scores."""
    fitted = Lifecycle.of_bundle(shop.bundle)
    fitted.training_ = shop.training
    return fitted
