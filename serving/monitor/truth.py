"""What scores said against what came: published runs of the store, and the model's own scores of
the newest date whose horizon has passed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa

from stagecast.features.clock import iso, parse_instant
from stagecast.features.errors import DataRefusedError, NotEnoughDataError
from stagecast.features.events import EventLog
from stagecast.serving.monitor.pictures import Picture
from stagecast.serving.settled.ledger import entries
from stagecast.serving.settled.settle import settle_due
from stagecast.serving.settled.settlement import Said, settlement
from stagecast.serving.store.tables import runs
from stagecast.serving.targeting.plan.observed import observe
from stagecast.training.bundle import Bundle
from stagecast.training.learners.metrics import auc, finite, log_loss
from stagecast.training.monitoring.advice import Checked
from stagecast.training.monitoring.calibration import Compared, compared
from stagecast.training.monitoring.estimated import estimated_quality

By = Literal["run", "version", "band", "stage", "method"]
_GROUPS: tuple[tuple[By, str], ...] = (
    ("band", "by_band"),
    ("stage", "by_stage"),
    ("method", "by_method"),
)


@dataclass(frozen=True)
class SettledLine:
    """A group of scores against what came.

    Parameters
    ----------
    source
        ``published``: runs of the store; ``checked``: the scores that the model gives to a past
        date after its training.
    by, name
        What the group is of, and which: a run by its as_of, a version, band, stage or method.
    compared
        Said and came. Of several runs it is the sum, whose ends take it that they err alike.
    brier
        Mean squared error of the probabilities; None where it is not known.
    version
        Version of the model; None where the group is of several.
    """

    source: Literal["published", "checked"]
    by: By
    name: str
    compared: Compared
    brier: float | None = None
    version: str | None = None


@dataclass(frozen=True)
class PublishedRun:
    """Number of customers of a published run, to compare with what the log has of its as_of."""

    as_of: datetime
    customers: int


def settled_lines(engine: sa.Engine, log: EventLog, as_of: datetime) -> list[SettledLine]:
    """Settle the runs of a store that are due, and return what all settled runs came to.

    Runs that were published only after their horizon foresaw nothing and are left out.

    Parameters
    ----------
    engine
        The store.
    log
        The log with what came.
    as_of
        End of what is known, in shop time; runs whose horizon ends later are left out.
    """
    settle_due(engine, log, as_of)
    with engine.connect() as connection:
        rows = [entry.result for entry in entries(connection)]
    rows = [
        row
        for row in rows
        if row.get("in_time", True)
        and log.clock.shop(parse_instant(row["as_of"])) + timedelta(days=row["horizon_days"])
        <= as_of
    ]
    return _lines("published", rows)


def newest_run(engine: sa.Engine, as_of: datetime) -> PublishedRun | None:
    """Return the newest published run that is not after an instant; None where there is none."""
    with engine.connect() as connection:
        row = connection.execute(
            sa.select(runs.c.as_of, runs.c.customers)
            .where(runs.c.published_at.is_not(None), runs.c.as_of <= as_of)
            .order_by(runs.c.id.desc())
            .limit(1)
        ).first()
    return None if row is None else PublishedRun(row.as_of, int(row.customers))


def checked_scores(
    log: EventLog, bundle: Bundle, past: Picture, until: datetime, year_ago: Picture | None = None
) -> tuple[Checked, list[SettledLine]] | None:
    """Hold the scores of a past date against what came; None where nothing can be observed.

    Parameters
    ----------
    log
        The log.
    bundle
        The model that gave the scores.
    past
        The customers at the date, with scores; the date is not before the training, and its horizon
        is over.
    until
        End of what is known, in shop time.
    year_ago
        The customers a year before that date; None: the log does not reach back.
    """
    if past.scores is None:
        return None
    horizon_days = bundle.models.config.horizon_days
    columns = {name: past.scores[name].to_numpy(zero_copy_only=False) for name in _COLUMNS}
    ids = [str(name) for name in past.scores["customer_id"].to_pylist()]
    try:
        observed = observe(
            log, ids, past.as_of, horizon_days, until=until, looks=np.array([horizon_days])
        )
    except (NotEnoughDataError, DataRefusedError):
        return None
    scores = Said(
        **{name: columns[name].astype(object) for name in _COLUMNS[:4]},
        **{name: columns[name].astype(np.float64) for name in _COLUMNS[4:]},
    )
    orders = observed.orders[:, -1]
    result = settlement(
        scores,
        orders,
        None if observed.spend is None else observed.spend[:, -1],
        as_of=iso(past.as_of),
        horizon_days=horizon_days,
        model_version=bundle.model_version,
        customers=len(ids),
    )
    active = np.asarray(scores.state == "active", dtype=np.bool_) & np.isfinite(scores.p_inactive)
    p, left = scores.p_inactive[active], np.asarray(orders[active] == 0)
    lines = _lines("checked", [result.to_json()])
    if not len(p):
        return None
    checked = Checked(
        iso(past.as_of),
        lines[0].compared,
        finite(auc(left, p)),
        log_loss(left, p),
        float(np.mean((p - left) ** 2)),
        estimated_quality(p),
        None if year_ago is None else _share_left(log, year_ago, horizon_days, until),
    )
    return checked, lines


def _share_left(log: EventLog, at: Picture, horizon_days: int, until: datetime) -> float | None:
    """Return the share of the active who ordered nothing within the horizon; None: not known."""
    if not at.active_ids:
        return None
    looks = np.array([horizon_days])
    try:
        observed = observe(log, at.active_ids, at.as_of, horizon_days, until=until, looks=looks)
    except (NotEnoughDataError, DataRefusedError):
        return None
    return float((observed.orders[:, -1] == 0).mean())


_COLUMNS = (
    "state",
    "stage",
    "churn_band",
    "method",
    "p_inactive",
    "expected_orders",
    "expected_spend",
)


def _lines(
    source: Literal["published", "checked"], rows: Sequence[Mapping[str, Any]]
) -> list[SettledLine]:
    """Return the lines of settlements as plain data: each run, then sums by each kind of group."""
    lines = [
        SettledLine(
            source,
            "run",
            row["as_of"],
            _compared([row["active"]]),
            row["brier"],
            row["model_version"],
        )
        for row in rows
    ]
    versions = sorted({row["model_version"] for row in rows})
    if source == "published":
        lines += [
            SettledLine(
                source,
                "version",
                version,
                _compared([row["active"] for row in rows if row["model_version"] == version]),
                version=version,
            )
            for version in versions
        ]
    for by, key in _GROUPS:
        names = list(dict.fromkeys(name for row in rows for name in row[key]))
        groups = {name: [row[key][name] for row in rows if name in row[key]] for name in names}
        lines += [SettledLine(source, by, name, _compared(group)) for name, group in groups.items()]
    return lines


def _compared(groups: Sequence[Mapping[str, Any]]) -> Compared:
    """Return the sum of groups; where they are several, their errors are added, not their squares,
    since runs of one shop are right or wrong together.
    """

    def total(key: str) -> float | None:
        values = [group.get(key) for group in groups]
        return None if any(value is None for value in values) else float(sum(values))  # type: ignore[arg-type]

    asked = [group.get("asked") for group in groups]
    customers = sum(
        group["customers"] if number is None else number
        for group, number in zip(groups, asked, strict=True)
    )
    return compared(
        customers,
        sum(group["said_to_leave"] for group in groups),
        sum(group["left"] for group in groups),
        total("leave_spread"),
        spend_said=total("spend_said"),
        spend=total("spend"),
        spend_spread=total("spend_spread"),
    )
