"""The customers of a log at a date: the features of the active, and what the model says of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import NotEnoughDataError
from stagecast.features.events import EventLog
from stagecast.features.snapshots import Snapshot, current_snapshot
from stagecast.serving.monitor.windows import YEAR
from stagecast.serving.scoring.scorer import Scorer
from stagecast.training.monitoring.movement import Dates, Label

MOST_ROWS = 20_000
"""Of more customers a sample is compared; the same one at each call."""
_SEED = 20110901
FEWEST_DAYS_BEFORE = 28
AGES = ("T_days", "t_x_days", "tenure_days")
"""Features that grow by a day a day, or less, for whoever stays."""

SCORES = (
    Label("churn_probability", "probability", "P(no purchase, or cancellation) of the active"),
    Label("expected_orders", "days", "purchase days expected of the active in the horizon"),
    Label("expected_spend", "money", "spend expected of the active in the horizon"),
)
STATES = (
    Label("state", "category", "prospect, active or lapsed, of all customers"),
    Label("stage", "category", "stage of all customers"),
)


@dataclass(frozen=True)
class Picture:
    """The customers at a date.

    Parameters
    ----------
    as_of
        The date, in shop time.
    customers, active
        Their number, and that of the active.
    active_ids
        Ids of the active.
    features
        Features of the active, by name.
    state, stage
        Of all customers.
    ages
        Days since the contract of each of the active began, or their purchases, of the rows of
        ``features``.
    scores
        Scores of all customers; None where the date is before the training.
    """

    as_of: datetime
    customers: int
    active: int
    active_ids: tuple[str, ...]
    features: Mapping[str, Array]
    ages: Array
    state: NDArray[np.object_]
    stage: NDArray[np.object_]
    scores: pa.Table | None


def picture(log: EventLog, scorer: Scorer, as_of: datetime, *, score: bool) -> Picture:
    """Return the customers at a date, as the log knew them then.

    Parameters
    ----------
    log
        The log; its days are those of the model.
    scorer
        The model.
    as_of
        The date, in shop time.
    score
        Whether to score them; only from the training on, since the model has learned from what came
        before.

    Raises
    ------
    NotEnoughDataError
        No event was known before the date.
    """
    table = DailyTable(log.con, as_of)
    try:
        snapshot = current_snapshot(table, scorer.bundle.models.plan)
        cutoff = table.data_cutoff()
    finally:
        table.close()
    states = scorer.kind.states(scorer.bundle.models, snapshot).astype(object)
    ids = np.array(scorer.scheme.ids, dtype=object)
    active = np.flatnonzero(states == "active")
    rows = _sample(active)
    return Picture(
        as_of,
        len(snapshot),
        len(active),
        tuple(str(name) for name in snapshot.ids[snapshot.customer[active]]),
        {name: values[rows] for name, values in _features(snapshot, scorer).items()},
        _ages(snapshot)[rows],
        states[_sample(np.arange(len(snapshot)))],
        ids[snapshot.stage][_sample(np.arange(len(snapshot)))],
        scorer.score(snapshot, cutoff, has_amounts=log.has_amounts) if score else None,
    )


def year_before(log: EventLog, as_of: datetime) -> datetime | None:
    """Return the same season a year ago; None where the log does not reach back."""
    return _in_log(log, as_of - timedelta(days=YEAR))


def as_long_before(log: EventLog, trained: datetime, as_of: datetime) -> datetime | None:
    """Return the date as long before the training as the as_of is after it; None where the log does
    not reach back.
    """
    return _in_log(log, trained - (as_of - trained))


def _in_log(log: EventLog, date: datetime) -> datetime | None:
    first = log.clock.shop(log.first_event)
    return date if date - first >= timedelta(days=FEWEST_DAYS_BEFORE) else None


def try_picture(log: EventLog, scorer: Scorer, date: datetime | None) -> Picture | None:
    """Return the customers at a date, without scores; None where nothing was known then."""
    try:
        return None if date is None else picture(log, scorer, date, score=False)
    except NotEnoughDataError:
        return None


def feature_columns(
    scorer: Scorer,
    training: Picture,
    now: Picture,
    year_ago: Picture | None,
    before: Picture | None,
    settled: Picture | None,
) -> list[tuple[Label, Dates]]:
    """Return the features that models may learn from, at the dates that are compared."""

    def at(date: Picture | None, name: str) -> Array | None:
        return None if date is None else date.features[name]

    by_name = {feature.name: feature for feature in scorer.bundle.models.catalog.features}
    columns = []
    for name in scorer.bundle.models.catalog.predictors:
        feature = by_name[name]
        dates = Dates(
            training.features[name],
            now.features[name],
            year_ago=at(year_ago, name),
            before=at(before, name),
            settled=at(settled, name),
            ages=None if name in AGES else (training.ages, now.ages),
        )
        ages = (now.as_of - training.as_of) / DAY if name in AGES else 0.0
        columns.append((Label(name, feature.unit, feature.meaning, ages_days=ages), dates))
    return columns


def score_columns(
    training: Picture, now: Picture, settled: Picture | None, *, has_amounts: bool
) -> list[tuple[Label, Dates]]:
    """Return what the model says, and where customers stand, at the dates that are compared."""
    columns: list[tuple[Label, Dates]] = []
    for label in SCORES if has_amounts else SCORES[:2]:
        values = [_active_scores(date, label.name) for date in (training, now, settled)]
        if values[0] is not None and values[1] is not None:
            columns.append((label, Dates(values[0], values[1], settled=values[2])))
    for label in STATES:
        then = None if settled is None else getattr(settled, label.name)
        texts = (getattr(training, label.name), getattr(now, label.name))
        columns.append((label, Dates(*texts, settled=then)))
    return columns


def _ages(snapshot: Snapshot) -> Array:
    """Return the days since the contract of each customer began, or their purchases."""
    if snapshot.contracts is not None:
        return snapshot.contracts.age_days
    return snapshot.features["T_days"]


def _features(snapshot: Snapshot, scorer: Scorer) -> dict[str, Array]:
    return {name: snapshot.features[name] for name in scorer.bundle.models.catalog.predictors}


def _active_scores(date: Picture | None, name: str) -> Array | None:
    if date is None or date.scores is None:
        return None
    active = np.asarray(date.scores["state"].to_numpy(zero_copy_only=False) == "active")
    values = date.scores[name].to_numpy(zero_copy_only=False).astype(np.float64)[active]
    return np.asarray(values[_sample(np.arange(len(values)))])


def _sample(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(rows) <= MOST_ROWS:
        return rows
    random = np.random.default_rng(_SEED)
    return np.sort(random.choice(rows, MOST_ROWS, replace=False))
