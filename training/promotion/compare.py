"""Champion and challenger on past dates that neither saw.

    champion.as_of <= date <= as_of - horizon
        champion's bundle: scores the date, which lies after everything that it learned from
        challenger's procedure: is fitted anew on what was known at the date, and scores it

The bundle of the challenger knows everything before its own as_of, so judging it on these dates
would be judging it on its training data; it takes no part here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import duckdb
import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.clock import DAY, day_number, iso, microseconds
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import NotEnoughDataError
from stagecast.features.snapshots import Snapshot, current_snapshot
from stagecast.features.stages.lifecycle import fit_lifecycle
from stagecast.features.stages.scheme import Scheme
from stagecast.training.bundle import Bundle
from stagecast.training.churn_kinds import kind_of
from stagecast.training.config import TrainConfig
from stagecast.training.fitting import fit_models
from stagecast.training.judging.evaluate import observed_outcomes, rows_in
from stagecast.training.judging.segments import first_channels
from stagecast.training.learners import metrics
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.models import Models, Predictions, predict
from stagecast.training.outcomes import Later
from stagecast.training.panel import Panel, build
from stagecast.training.promotion.losses import DateLosses, Paired
from stagecast.training.reproducible import single_threaded_blas
from stagecast.training.value.spans import Purchases

STEPS_PER_HORIZON = 3
"""Dates are at least so large a part of a horizon apart: closer ones say the same again."""
_LEAST_P = 1e-15


@dataclass(frozen=True)
class _Side:
    """One model at one date: its snapshot, its predictions, and the stages at the end by its
    scheme.
    """

    models: Models
    snapshot: Snapshot
    predicted: Predictions
    end_stage: Integers


def plan_dates(unseen_days: float, horizon_days: int, max_dates: int) -> list[int]:
    """Return the dates to compare as days before the as_of, oldest first.

    Parameters
    ----------
    unseen_days
        Days from the as_of of the champion to that of the challenger.

    >>> plan_dates(200, 90, 8)
    [180, 150, 120, 90]
    >>> plan_dates(80, 90, 8)
    []
    >>> plan_dates(800, 90, 3)
    [800, 445, 90]
    """
    newest, oldest = horizon_days, int(unseen_days)
    step = max(1, horizon_days // STEPS_PER_HORIZON)
    count = (oldest - newest) // step + 1
    if count <= max_dates:
        return [newest + step * k for k in reversed(range(max(0, count)))]
    return [round(back) for back in np.linspace(oldest, newest, max_dates)]


def incomparable(champion: Bundle, config: TrainConfig, zone: str) -> str | None:
    """Return why two models cannot be compared; None where they can."""
    theirs = champion.models.config
    for name, own, other in (
        ("horizon", f"{theirs.horizon_days} days", f"{config.horizon_days} days"),
        ("churn", theirs.churn, config.churn),
        ("days", champion.clock.zone, zone),
    ):
        if own != other:
            return (
                f"the champion's {name} is {own}, the challenger's {other}: they answer different "
                "questions; promote it by hand if that is meant"
            )
    return None


def compare(
    connection: duckdb.DuckDBPyConnection,
    as_of: datetime,
    champion: Bundle,
    config: TrainConfig,
    max_dates: int,
    notify: Callable[[str], object] = lambda step: None,
) -> list[DateLosses]:
    """Return the losses of both at each date that neither saw, oldest first.

    Parameters
    ----------
    connection
        Holds the table ``events`` of the event contract.
    as_of
        Outcomes are known up to this instant.
    champion
        The bundle of the champion.
    config
        Settings of the challenger's training.
    max_dates
        Largest number of dates.
    notify
        Called with the name of each date as it begins.

    Raises
    ------
    NotEnoughDataError
        No event stands before the as_of.
    """
    end = DailyTable(connection, as_of)
    config = replace(config, zone=end.clock.zone)
    unseen = (end.anchor - champion.clock.shop(champion.as_of)) / DAY
    fitted: dict[datetime, CustomerBase] = {}
    channels = first_channels(connection)
    results = []
    for back in plan_dates(unseen, config.horizon_days, max_dates):
        date = end.anchor - timedelta(days=back)
        notify(f"champion and challenger as of {iso(date)[:10]}")
        try:
            past = DailyTable(connection, date)
        except NotEnoughDataError:  # what had happened by then was recorded later
            continue
        after = DailyTable(connection, date + timedelta(days=config.horizon_days))
        with single_threaded_blas():
            losses = _at_date(past, after, end, champion.models, config, fitted, channels)
        past.close()
        after.close()
        if losses is not None:
            results.append(losses)
    end.close()
    return results


def _at_date(
    past: DailyTable,
    after: DailyTable,
    end: DailyTable,
    champion: Models,
    config: TrainConfig,
    fitted: dict[datetime, CustomerBase],
    channels: Mapping[str, str] | None,
) -> DateLosses | None:
    """Return the losses at one date; None where nobody could leave."""
    panel = build(past, config, fitted=fitted)
    kind = kind_of(config.churn)
    if not kind.can_learn(panel):
        return None
    # both are asked for the value over the days that have passed since, by the same accounts
    span = min(config.value_horizon_days, (end.anchor - past.anchor).days)
    models, _ = fit_models(
        panel, past.purchase_days(), config, past.has_amounts(), with_reference=False
    )
    later = observed_outcomes(after, panel, config.horizon_days)
    began = time.process_time()
    own = _asked(models, config, span)
    predicted = predict(own, panel.now)
    seconds = (time.process_time() - began) / max(1, len(panel.now))
    challenger = _Side(own, panel.now, predicted, later.stage)
    asked = _asked(champion, config, span)
    snapshot = current_snapshot(past, asked.plan)
    stages = _end_stages(after, asked.scheme, config.horizon_days)[rows_in(after, panel)]
    theirs = _Side(asked, snapshot, predict(asked, snapshot), stages)
    losses = _losses(panel, theirs, challenger, later, seconds, channels)
    if losses is None or own.value.mean_spend is None or asked.value.mean_spend is None:
        return losses
    spend, clv = _money(panel, theirs, challenger, later, end, span)
    return replace(losses, spend=spend, clv=clv)


def _asked(models: Models, config: TrainConfig, span_days: int) -> Models:
    """Return models that are asked for the value by the challenger's accounts."""
    return replace(
        models,
        config=replace(
            models.config,
            value_horizon_days=span_days,
            annual_discount=config.annual_discount,
            margin=config.margin,
        ),
    )


def _end_stages(after: DailyTable, scheme: Scheme, horizon_days: int) -> Integers:
    """Return the stage of every customer at the end of the horizon, by a scheme."""
    life = fit_lifecycle(after, scheme, horizon_days)
    stage, _ = life.journeys.at(microseconds(after.anchor), len(after.customers))
    return stage


def _losses(
    panel: Panel,
    champion: _Side,
    challenger: _Side,
    later: Later,
    seconds: float,
    channels: Mapping[str, str] | None,
) -> DateLosses | None:
    kind = kind_of(challenger.models.config.churn)
    churned = kind.churned(panel, challenger.models, challenger.predicted, later, quick=True)
    is_cancellation = challenger.models.config.churn == "cancellation"
    theirs = champion.predicted.p_cancel if is_cancellation else champion.predicted.p_inactive
    known = np.isfinite(theirs[churned.rows]) & np.isfinite(churned.ours)
    rows, left, ours = churned.rows[known], churned.left[known], churned.ours[known]
    if not len(rows):
        return None
    p = theirs[rows]
    ids = panel.now.ids[panel.now.customer]
    return DateLosses(
        as_of=panel.as_of,
        churn=Paired(ids[rows], metrics.losses(left, p), metrics.losses(left, ours)),
        left=left,
        p_champion=p,
        p_challenger=ours,
        segments=_segments(panel, challenger.models, rows, channels),
        next_stage=_next_stage(ids, champion, challenger),
        seconds=seconds,
    )


def _next_stage(ids: NDArray[np.object_], champion: _Side, challenger: _Side) -> Paired | None:
    """Return the losses of the next stage, each by the rules of the own scheme; None where these
    are different schemes.
    """
    if champion.models.scheme.ids != challenger.models.scheme.ids:
        return None
    known = np.flatnonzero((champion.end_stage >= 0) & (challenger.end_stage >= 0))

    def loss(side: _Side) -> Array:
        p = side.predicted.p_stage[known, side.end_stage[known]]
        return np.asarray(-np.log(np.maximum(p, _LEAST_P)))

    return Paired(ids[known], loss(champion), loss(challenger)) if len(known) else None


def _money(
    panel: Panel,
    champion: _Side,
    challenger: _Side,
    later: Later,
    end: DailyTable,
    span_days: int,
) -> tuple[Paired, Paired]:
    """Return the absolute errors of spend and value of the buyers."""
    buyers, config = challenger.predicted.buyers, challenger.models.config
    ids = panel.now.ids[panel.now.customer][buyers]
    purchases = Purchases(end.purchase_days(), day_number(end.anchor))
    back = (end.anchor - panel.as_of).days
    value = purchases.within(
        rows_in(end, panel)[buyers], back, 0, span_days, config.annual_discount, money=True
    )
    observed = np.maximum(value, 0.0) * config.margin

    def errors(came: Array, name: str) -> Paired:
        own, other = (
            np.abs(came - np.nan_to_num(getattr(side.predicted, name)[buyers]))
            for side in (champion, challenger)
        )
        return Paired(ids, own, other)

    return errors(later.spend[buyers], "expected_spend"), errors(observed, "clv")


def _segments(
    panel: Panel, models: Models, rows: Integers, channels: Mapping[str, str] | None
) -> Mapping[str, NDArray[np.bool_]]:
    """Return segments of the customers who could leave.

    By stage, age, orders and spend so far, and where the log has channels by that of the first
    event.
    """
    now = panel.now
    features = {name: now.features[name][rows] for name in ("tenure_days", "orders", "spend")}
    stage, horizon = now.stage[rows], models.config.horizon_days
    segments = {f"stage {name}": np.asarray(stage == k) for k, name in enumerate(models.scheme.ids)}
    tenure, orders, spend = features["tenure_days"], features["orders"], features["spend"]
    segments |= {
        "younger than a horizon": tenure < horizon,
        "older than a horizon": tenure >= horizon,
        "one order": orders <= 1,
        "more than one order": orders > 1,
    }
    if models.value.mean_spend is not None:
        most = float(np.quantile(spend, 0.75))
        segments |= {"upper quarter by spend": spend >= most, "the rest by spend": spend < most}
    if channels is not None:
        customers = now.ids[now.customer][rows]
        names = np.array([channels.get(str(customer), "") for customer in customers], dtype=object)
        segments |= {
            f"channel {name}": np.asarray(names == name) for name in sorted(set(channels.values()))
        }
    return {name: mask for name, mask in segments.items() if mask.any()}
