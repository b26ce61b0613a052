"""Two models of a made shop of which is known which one is better, and where.

Every customer has a true log odds of leaving. A model says it with an error of its own for each
customer (the same at all dates) and for each date (a season that suits it or not, the sum of daily
shocks over the horizon, so that overlapping horizons share it). The smaller error is better.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.learners import metrics
from stagecast.training.promotion.losses import DateLosses, Paired

START, HORIZON, STEP = datetime(2024, 1, 1), 90, 30


@dataclass(frozen=True)
class Model:
    """Errors of a model: standard deviations over customers and dates, on a segment, and the factor
    by which its log odds are too large.
    """

    of_customer: float = 0.6
    of_date: float = 0.15
    on_segment: float | None = None
    factor: float = 1.0


def sigmoid(x: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def season(random: np.random.Generator, count: int, size: float) -> Array:
    """Return an error for each date, of that standard deviation, alike where horizons overlap."""
    days = random.normal(0.0, size / np.sqrt(HORIZON), STEP * count + HORIZON)
    return np.array([days[k * STEP : k * STEP + HORIZON].sum() for k in range(count)])


def shop(
    champion: Model,
    challenger: Model,
    seed: int,
    *,
    dates: int = 6,
    customers: int = 600,
    lucky: int | None = None,
) -> list[DateLosses]:
    """Return the losses of two models; ``lucky`` is a date on which the challenger knows all."""
    random = np.random.default_rng(seed)
    truth = random.normal(0.0, 1.5, customers)
    segment = np.arange(customers) % 4 == 0  # a quarter of them
    ids = np.arange(customers).astype(object)
    said = []
    for model in (champion, challenger):
        each = np.full(customers, model.of_customer)
        if model.on_segment is not None:
            each[segment] = model.on_segment
        said.append((truth + random.normal(0.0, 1.0, customers) * each, model))
    seasons = [season(random, dates, model.of_date) for _, model in said]
    result = []
    for k in range(dates):
        left = random.random(customers) < sigmoid(truth)
        own, other = (
            sigmoid((odds + seasons[m][k]) * model.factor) for m, (odds, model) in enumerate(said)
        )
        if lucky == k:
            other = np.where(left, 0.99, 0.01)
        result.append(
            DateLosses(
                START + timedelta(days=STEP * k),
                Paired(ids, metrics.losses(left, own), metrics.losses(left, other)),
                left,
                own,
                other,
                {"quarter": segment, "rest": ~segment},
            )
        )
    return result


def season_of_losses(
    random: np.random.Generator, dates: int, customers: int, *, mean: float = 0.0
) -> list[tuple[datetime, NDArray[np.object_], Array]]:
    """Return paired differences of a known mean, with errors of customers, dates and rows."""
    ids = np.arange(customers).astype(object)
    each, of_date = random.normal(0.0, 0.3, customers), season(random, dates, 0.02)
    return [
        (
            START + timedelta(days=STEP * k),
            ids,
            mean + each + of_date[k] + random.normal(0.0, 0.5, customers),
        )
        for k in range(dates)
    ]
