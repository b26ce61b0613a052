"""Replay of past dates: each is fitted on what was known then and compared with the outcomes.

    dates, a horizon apart -> panel, models and baselines of each -> predictions -> verdict

With dates a horizon apart the test windows do not overlap, so that no purchase is counted twice.
The intervals at a date are those that a training there delivers, learned by the same function on
the same past: the replay one horizon earlier, and a date before it. The oldest date has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY, from_microseconds, iso
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.features.shop.clock import UTC_CLOCK, ShopClock
from stagecast.training.baselines import buyers as baselines
from stagecast.training.checks import check_contracts, check_dates
from stagecast.training.churn_kinds import kind_of
from stagecast.training.churn_kinds.learned import LearnedFrom
from stagecast.training.config import Churn, TrainConfig
from stagecast.training.fitting import fit_models
from stagecast.training.judging.evaluate import (
    conversion_figures,
    interval_coverage,
    next_stage_figures,
    next_stage_losses,
    observed_outcomes,
)
from stagecast.training.judging.evaluation_result import (
    OURS,
    ConversionFigures,
    Coverage,
    StageFigures,
    StageLosses,
)
from stagecast.training.judging.past_value import spend_intervals
from stagecast.training.judging.rivals import Rivals, predict_rivals
from stagecast.training.judging.season_ahead import season_at
from stagecast.training.judging.segments import Labels, first_channels, segments_of
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.season_of_purchases import Season
from stagecast.training.panel import Panel, build
from stagecast.training.reproducible import single_threaded_blas
from stagecast.training.value.intervals import Intervals

DATES = 4


@dataclass(frozen=True)
class Replay:
    """Predictions of each method at one date for the customers who could leave, and the outcomes.

    Those are all buyers where churn is inactivity, and the open contracts where it is a
    cancellation, of which money is not compared. Arrays have one entry per customer, shape
    (n_customers,).

    Parameters
    ----------
    as_of
        First moment of the horizon, in shop time.
    customers
        Ids of the customers who could leave.
    inactive
        Who left within the horizon: bought nothing, or cancelled, as ``churn`` says.
    observed_spend
        Spend within the horizon.
    p_inactive, expected_spend
        Method -> its predictions, those of
        :data:`~stagecast.training.judging.evaluation_result.OURS` among them. ``expected_spend`` is
        empty where money is not compared.
    low, high
        Ends of our 90 % intervals of the spend; None without money, or without an earlier date to
        learn them on.
    next_stage, conversion, coverage
        Figures of the other predictions at this date.
    learned_from
        What our probabilities were learned from.
    next_intervals
        The intervals that a training one horizon later delivers; None without money.
    labels
        Name of a method -> label, where it is no built-in baseline.
    segments
        ``stage``, ``tenure``, ``size``, ``channel`` -> part that each customer belongs to, by what
        was known at the as_of.
    stage_losses
        Log losses of the next stage of all customers, prospects among them.
    season
        Of the purchases up to the end of the outcomes, at the newest date; None at the others.
    """

    as_of: datetime
    customers: tuple[str, ...]
    inactive: NDArray[np.bool_]
    observed_spend: Array
    churn: Churn
    p_inactive: Mapping[str, Array]
    expected_spend: Mapping[str, Array]
    low: Array | None
    high: Array | None
    next_stage: tuple[StageFigures, ...]
    conversion: ConversionFigures | None
    coverage: Coverage | None
    learned_from: LearnedFrom
    next_intervals: Intervals | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    segments: Mapping[str, Labels] = field(default_factory=dict)
    stage_losses: StageLosses | None = None
    season: Season | None = None

    def table(self, clock: ShopClock = UTC_CLOCK) -> pa.Table:
        """Return one row per customer: id, outcomes, and a column for each method's prediction.

        ``as_of`` is an instant, by the clock of the shop.
        """
        n = len(self.customers)
        columns: dict[str, Any] = {
            "as_of": pa.array([clock.instant(self.as_of)] * n, pa.timestamp("us", "UTC")),
            "customer_id": pa.array(self.customers, pa.string()),
            **{name: pa.array(parts, pa.string()) for name, parts in self.segments.items()},
            "inactive": self.inactive,
        }
        columns |= {f"p_inactive_{name}": values for name, values in self.p_inactive.items()}
        if self.expected_spend:
            columns["spend"] = self.observed_spend
            columns |= {
                f"expected_spend_{name}": values for name, values in self.expected_spend.items()
            }
            columns["expected_spend_low"] = (
                pa.array(self.low, pa.float64()) if self.low is not None else pa.nulls(n)
            )
            columns["expected_spend_high"] = (
                pa.array(self.high, pa.float64()) if self.high is not None else pa.nulls(n)
            )
        return pa.table(columns)


def plan_replays(
    history_days: float, horizon_days: int, step_days: int, max_dates: int
) -> list[int]:
    """Return the dates to replay as days before the as_of, oldest first.

    The newest is one horizon back, and the others are a step apart, each with at least a horizon of
    history before it.

    >>> plan_replays(545, 90, 90, 4)
    [360, 270, 180, 90]
    >>> plan_replays(200, 90, 90, 4)
    [90]
    """
    backs = range(horizon_days, int(history_days - horizon_days) + 1, step_days)
    return sorted(backs[:max_dates], reverse=True)


def replay(
    connection: duckdb.DuckDBPyConnection,
    as_of: datetime,
    config: TrainConfig,
    *,
    table: DailyTable | None = None,
    dates: int = DATES,
    step_days: int | None = None,
    rivals: Rivals | None = None,
    progress: Callable[[str], object] = lambda step: None,
) -> Iterator[Replay]:
    """Replay past dates, oldest first.

    Parameters
    ----------
    connection
        Holds the table ``events`` of the event contract.
    as_of
        Outcomes are known up to this instant.
    table
        What is known at the as_of; None: it is made here.
    dates
        Number of dates at most; the history may allow fewer.
    step_days
        Days between the dates; None takes the horizon. With a smaller step the windows overlap.
    rivals
        Methods of the user to compare with; None: the built-in baselines alone.
    progress
        Called with the name of each date as it begins.

    Raises
    ------
    UsageError
        The as_of or the horizon does not fit the log, or the step or the number of dates is below
        1.
    NotEnoughDataError
        No date has a horizon of history before it and one after it, or nobody could leave on any
        of them.
    """
    horizon = config.horizon_days
    step = horizon if step_days is None else step_days
    if dates < 1 or step < 1:
        raise UsageError(
            "a backtest needs at least one date and a step of at least a day, not "
            f"{dates} and {step}"
        )
    end = DailyTable(connection, as_of) if table is None else table
    as_of = end.anchor
    check_dates(end, horizon)
    check_contracts(end, config)
    if rivals is not None:
        rivals.check(config)
    history = (as_of - from_microseconds(end.first_event())) / DAY
    backs = plan_replays(history, horizon, step, dates)
    if not backs:
        raise NotEnoughDataError(
            "a backtest needs a horizon of history before a past date and one after it: "
            f"{2 * horizon} days, and the "
            f"log has {history:.0f} before {iso(as_of)}; take a shorter --horizon or a longer log"
        )
    fitted: dict[datetime, CustomerBase] = {}
    tables: dict[int, DailyTable] = {0: end}
    learned: list[tuple[datetime, Intervals]] = []
    channels = first_channels(connection)
    any_date = False
    for back in backs:
        date = as_of - timedelta(days=back)
        progress(f"as of {iso(date)[:10]}")
        try:
            past = _table(tables, connection, as_of, back)
        except NotEnoughDataError:  # what had happened by then was recorded later
            continue
        with single_threaded_blas():
            panel = build(past, config, fitted=fitted)
        if not kind_of(config.churn).can_learn(panel):
            continue
        known = [intervals for until, intervals in learned if until <= date]
        after = _table(tables, connection, as_of, back - horizon)
        with single_threaded_blas():
            intervals = known[-1] if known else None
            replayed = _replay_date(past, after, panel, config, intervals, channels)
            if replayed is not None and rivals is not None:
                replayed = _with_rivals(replayed, rivals, panel, past, after, fitted)
        if replayed is not None and back == backs[-1] and config.churn == "inactivity":
            season = season_at(end.purchase_days(), as_of, history, panel)
            replayed = replace(replayed, season=season)
        if replayed is not None and replayed.next_intervals is not None:
            learned.append((date + timedelta(days=horizon), replayed.next_intervals))
        for older in [b for b in tables if b > back]:
            del tables[older]
        if replayed is not None:
            any_date = True
            yield replayed
    if not any_date:
        nobody = kind_of(config.churn).wording.none_eligible.format(date=iso(date))
        raise NotEnoughDataError(f"{nobody}, the newest date to replay; take more history")


def _with_rivals(
    replayed: Replay,
    rivals: Rivals,
    panel: Panel,
    table: DailyTable,
    after: DailyTable,
    fitted: dict[datetime, CustomerBase],
) -> Replay:
    """Return a replay with the methods of the user after ours, and the baselines asked for."""
    theirs = predict_rivals(rivals, panel, table, after, replayed.customers, fitted)

    def joined(ours: Mapping[str, Array], others: Mapping[str, Array]) -> dict[str, Array]:
        wanted = {
            name: values
            for name, values in ours.items()
            if rivals.baselines is None or name in (OURS, *rivals.baselines)
        }
        own = {OURS: wanted.pop(OURS)} if OURS in wanted else {}
        return {**own, **others, **wanted}

    spend = replayed.expected_spend
    return replace(
        replayed,
        p_inactive=joined(replayed.p_inactive, theirs.p_inactive),
        # baselines of spend have names of their own
        expected_spend={**joined(spend, theirs.expected_spend), **spend} if spend else spend,
        next_stage=(*replayed.next_stage[:1], *theirs.next_stage, *replayed.next_stage[1:]),
        stage_losses=None
        if replayed.stage_losses is None
        else replayed.stage_losses.with_others(theirs.stage_losses),
        labels=rivals.labels,
    )


def _table(
    tables: dict[int, DailyTable], connection: duckdb.DuckDBPyConnection, as_of: datetime, back: int
) -> DailyTable:
    """Return the daily table of ``back`` days before the as_of, and store it for the next call."""
    if back not in tables:
        tables[back] = DailyTable(connection, as_of - timedelta(days=back))
    return tables[back]


def _replay_date(
    table: DailyTable,
    after: DailyTable,
    panel: Panel,
    config: TrainConfig,
    intervals: Intervals | None,
    channels: Mapping[str, str] | None,
) -> Replay | None:
    """Return the replay of one date; None where nobody could leave.

    Parameters
    ----------
    table, after
        What was known at the date, and one horizon later.
    panel
        Panel of the date.
    intervals
        90 % intervals of the spend that were learned before the date, or None.
    channels
        Customer -> channel of the first event; None without channels.
    """
    horizon = config.horizon_days
    has_amounts = table.has_amounts()
    models, predicted = fit_models(
        panel, table.purchase_days(), config, has_amounts, with_reference=False
    )
    later = observed_outcomes(after, panel, horizon)
    kind = kind_of(config.churn)
    churned = kind.churned(panel, models, predicted, later, quick=False)
    if not len(churned.rows):
        return None
    expected_spend: dict[str, Array] = {}
    next_intervals = low = high = None
    if models.value.mean_spend is not None and kind.predicts_money:
        expected_spend = {OURS: predicted.expected_spend[churned.rows]}
        expected_spend |= baselines.fit_and_predict_spend(panel, horizon, config.seed)
        outlook = predicted.spend_outlook
        next_intervals = spend_intervals(panel, models, outlook, later.spend)
        if intervals is not None:
            low, high = intervals.around(outlook.of(churned.rows))
    customers = tuple(str(panel.now.ids[row]) for row in panel.now.customer[churned.rows])
    return Replay(
        as_of=panel.as_of,
        customers=customers,
        inactive=churned.left,
        observed_spend=later.spend[churned.rows],
        p_inactive={OURS: churned.ours, **churned.predictions},
        churn=config.churn,
        expected_spend=expected_spend,
        next_intervals=next_intervals,
        low=low,
        high=high,
        next_stage=next_stage_figures(panel, models, predicted, later),
        conversion=conversion_figures(panel, models, predicted, later),
        coverage=interval_coverage(predicted, later, intervals),
        learned_from=kind.learned_from(panel, models),
        segments=segments_of(panel, churned.rows, customers, channels, has_amounts=has_amounts),
        stage_losses=next_stage_losses(panel, models, predicted, later),
    )
