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
from numpy.typing import NDArray

from stagecast.features.arrays import Array
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
from stagecast.training.monitoring.season import Outcome, season_of_outcomes

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
    log: EventLog,
    bundle: Bundle,
    past: Picture,
    until: datetime,
    trained: Picture | None = None,
    same_days: Picture | None = None,
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
    trained
        The customers at the training, with scores; None: the log does not have them.
    same_days
        The customers a year before that date; None: the log does not reach back.
    """
    scored = _settled(log, bundle, past, until)
    if scored is None:
        return None
    said, observed, result = scored
    active = np.asarray(said.state == "active", dtype=np.bool_) & np.isfinite(said.p_inactive)
    p, now = said.p_inactive[active], observed.of(active)
    lines = _lines("checked", [result])
    if not len(p):
        return None
    then = None if same_days is None else _a_year_before(log, bundle, same_days, until)
    own = None if trained is None or then is None else _settled(log, bundle, trained, until)
    checked = Checked(
        iso(past.as_of),
        lines[0].compared,
        finite(auc(now.left, p)),
        log_loss(now.left, p),
        float(np.mean((p - now.left) ** 2)),
        estimated_quality(p),
        None if then is None else float(then.left.mean()),
        None
        if then is None or own is None
        else season_of_outcomes(now, then, _compared([own[2]["active"]])),
    )
    return checked, lines


@dataclass(frozen=True)
class _Came:
    """What customers did within the horizon, shape (n,) each.

    No spend without amounts; ``stayed`` says whose contract was not cancelled, None where churn is
    no purchase.
    """

    orders: Array
    spend: Array | None
    stayed: NDArray[np.bool_] | None

    def of(self, active: NDArray[np.bool_]) -> Outcome:
        """Return the outcome of the active."""
        left = self.orders == 0 if self.stayed is None else ~self.stayed
        return Outcome(left[active], None if self.spend is None else self.spend[active])


def _came(
    log: EventLog, bundle: Bundle, ids: Sequence[str], at: datetime, until: datetime
) -> _Came | None:
    """Return what came after a date; None where nothing can be observed."""
    horizon_days, terms = bundle.models.config.horizon_days, bundle.models.plan.terms
    looks = np.array([horizon_days])
    try:
        observed = observe(log, ids, at, horizon_days, until=until, looks=looks)
        stayed = None
        if terms is not None:
            of_contracts = observe(
                log, ids, at, horizon_days, until=until, looks=looks, terms=terms
            )
            stayed = np.asarray(of_contracts.orders[:, -1] > 0)
    except (NotEnoughDataError, DataRefusedError):
        return None
    spend = None if observed.spend is None else observed.spend[:, -1]
    return _Came(observed.orders[:, -1], spend, stayed)


def _settled(
    log: EventLog, bundle: Bundle, date: Picture, until: datetime
) -> tuple[Said, _Came, dict[str, Any]] | None:
    """Return the scores of a date, what came, and both compared; None: nothing is observed."""
    if date.scores is None:
        return None
    columns = {name: date.scores[name].to_numpy(zero_copy_only=False) for name in _COLUMNS}
    ids = [str(name) for name in date.scores["customer_id"].to_pylist()]
    observed = _came(log, bundle, ids, date.as_of, until)
    if observed is None:
        return None
    said = Said(
        **{name: columns[name].astype(object) for name in _COLUMNS[:4]},
        **{name: columns[name].astype(np.float64) for name in _COLUMNS[4:]},
    )
    result = settlement(
        said,
        observed.orders,
        observed.spend,
        as_of=iso(date.as_of),
        horizon_days=bundle.models.config.horizon_days,
        model_version=bundle.model_version,
        customers=len(ids),
        kept=observed.stayed,
    )
    return said, observed, result.to_json()


def _a_year_before(log: EventLog, bundle: Bundle, date: Picture, until: datetime) -> Outcome | None:
    """Return what came of the active of a date; None where nobody was, or it is not known."""
    if not date.active_ids:
        return None
    observed = _came(log, bundle, date.active_ids, date.as_of, until)
    return None if observed is None else observed.of(np.ones(len(observed.orders), dtype=np.bool_))


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
