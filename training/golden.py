"""Golden rows: what a bundle predicts for customers made up once, written with it.

A server reproduces them before it says that it is ready. So a bundle that another version of
LightGBM, another processor or a damaged installation reads in another way is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.errors import DataRefusedError
from stagecast.features.requests import CustomerEvents, Event
from stagecast.features.shop.clock import clock_named
from stagecast.features.snapshots import current_snapshot
from stagecast.training.models import Models, predict

TOLERANCE = 1e-6
"""Largest relative difference that is rounding: libraries add up in different orders."""
FIELDS = (
    "p_inactive",
    "p_convert",
    "p_alive",
    "p_stage",
    "expected_orders",
    "expected_spend",
    "clv",
)
# days before the as_of, type, amount
_HISTORIES: Mapping[str, tuple[tuple[float, str, float | None], ...]] = {
    "golden-lead": ((20.5, "visit", None), (3.25, "visit", None)),
    "golden-new": ((12.5, "purchase", 25.0),),
    "golden-once": ((300.5, "purchase", 40.0),),
    "golden-regular": tuple((7.5 + 30 * k, "purchase", 20.0 + k) for k in range(12)),
    "golden-lapsed": tuple((400.25 + 20 * k, "purchase", 60.0) for k in range(4)),
    "golden-refund": ((90.5, "purchase", 80.0), (80.5, "refund", 80.0), (40.5, "purchase", 15.0)),
}


def golden_customers(as_of: datetime) -> list[CustomerEvents]:
    """Return the customers, whose histories end before an as_of."""
    return [
        CustomerEvents(
            name,
            tuple(
                Event(as_of - timedelta(days=days), event, amount)
                for days, event, amount in sorted(history, reverse=True)
            ),
            {},
        )
        for name, history in _HISTORIES.items()
    ]


def golden_rows(models: Models, as_of: datetime) -> dict[str, list[Any]]:
    """Return what the models predict for the golden customers: field -> value of each, or values.

    Parameters
    ----------
    models
        Fitted models.
    as_of
        Instant of the training, UTC.
    """
    clock = clock_named(models.config.zone)
    events = MemoryEvents(clock.events(golden_customers(as_of)), clock.shop(as_of))
    snapshot = current_snapshot(events, models.plan)
    predicted = predict(models, snapshot, 1)
    columns = {name: np.asarray(getattr(predicted, name), dtype=np.float64) for name in FIELDS}
    # nine digits, so that the file is the same where only the last bits differ
    return {
        name: [_rounded(value) for value in column.ravel().tolist()]
        for name, column in columns.items()
    }


def check_golden(stored: Mapping[str, Any], models: Models, as_of: datetime, where: str) -> None:
    """Refuse models that do not predict what was stored with them.

    Parameters
    ----------
    stored
        Golden rows of the bundle.
    models, as_of
        As :func:`golden_rows`.
    where
        The bundle, for the error.

    Raises
    ------
    DataRefusedError
        A prediction differs; the message names the field.
    """
    for name, values in golden_rows(models, as_of).items():
        expected = np.array(stored.get(name, []), dtype=np.float64)
        actual = np.array(values, dtype=np.float64)
        if expected.shape != actual.shape or not np.allclose(
            actual, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True
        ):
            raise DataRefusedError(
                f"{where}: {name} of the golden customers is not what it was where the bundle was "
                "trained; install the same version of LightGBM, or train the bundle again here"
            )


def _rounded(value: float) -> float | None:
    return float(f"{value:.9g}") if np.isfinite(value) else None
