"""Past dates replayed: at each the whole procedure is fitted on what was known then, and held
against what came.

    dates, a horizon apart -> panel, models and baselines of each -> predictions -> verdict

A horizon apart, the windows that are tested do not overlap, so that no purchase is counted twice.
Intervals at a date are those that one would have had: learned on a date before it, whose window was
over by then; the oldest has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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
from stagecast.training.baselines import buyers as baselines
from stagecast.training.checks import check_contracts, check_dates
from stagecast.training.churn_kinds import kind_of
from stagecast.training.config import Churn, TrainConfig
from stagecast.training.fitting import fit_models
from stagecast.training.judging.evaluate import (
    conversion_figures,
    coverage_figures,
    next_stage_figures,
    what_came,
)
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.panel import Panel, build
from stagecast.training.reproducible import single_threaded_blas
from stagecast.training.value.intervals import Intervals, conformal

OURS = "stagecast"
DATES = 4


@dataclass(frozen=True)
class Replay:
    """One date: what each method said of those who could leave, and what came within the horizon;
    an entry for each.

    They are all buyers where churn is inactivity, and open contracts where it is a cancellation;
    the money of these is not judged.

    ``inactive`` (or cancelled, as ``churn`` says) and ``spend_came`` are outcomes; ``p_inactive``
    and ``expected_spend`` go by the name of the method, :data:`OURS` among them. ``low`` and
    ``high`` are the ends of our 90 % intervals of the spend, None where there is no money, or no
    date replayed before to learn them on. ``used`` says what the probabilities were learned on.
    """

    as_of: datetime
    customers: tuple[str, ...]
    inactive: NDArray[np.bool_]
    spend_came: Array
    churn: Churn
    p_inactive: Mapping[str, Array]
    expected_spend: Mapping[str, Array]
    low: Array | None
    high: Array | None
    evaluation: Mapping[str, Any]
    used: Mapping[str, Any]

    def table(self) -> pa.Table:
        """Return the rows of the date: customer, outcomes, and a column for each method's
        prediction.
        """
        n = len(self.customers)
        columns: dict[str, Any] = {
            "as_of": pa.array([self.as_of] * n, pa.timestamp("us", "UTC")),
            "customer_id": pa.array(self.customers, pa.string()),
            "inactive": self.inactive,
        }
        columns |= {f"p_inactive_{name}": values for name, values in self.p_inactive.items()}
        if self.expected_spend:
            columns["spend"] = self.spend_came
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


def plan_replays(history_days: float, horizon_days: int, step_days: int, most: int) -> list[int]:
    """Return the dates to replay as days before the as_of, oldest first.

    The newest stands one horizon back; further ones a step apart, while at least a horizon of
    history lies before them.

    >>> plan_replays(545, 90, 90, 4)
    [360, 270, 180, 90]
    >>> plan_replays(200, 90, 90, 4)
    [90]
    """
    backs = range(horizon_days, int(history_days - horizon_days) + 1, step_days)
    return sorted(backs[:most], reverse=True)


def replay(
    connection: duckdb.DuckDBPyConnection,
    as_of: datetime,
    config: TrainConfig,
    *,
    dates: int = DATES,
    step_days: int | None = None,
    say: Callable[[str], object] = lambda step: None,
) -> Iterator[Replay]:
    """Replay past dates, oldest first.

    Parameters
    ----------
    connection
        Holds the table ``events`` of the event contract.
    as_of
        Where one stands: outcomes are known up to it.
    dates
        How many, at most; the history may allow fewer.
    step_days
        Days between the dates; None takes the horizon. Less lets the windows overlap.
    say
        Called with the name of each date as it begins.

    Raises
    ------
    UsageError
        The as_of or the horizon does not fit the log, or the step or the number of dates is below
        1.
    NotEnoughDataError
        No date has a horizon of history before it and one after it, or nobody had bought before
        any.
    """
    horizon = config.horizon_days
    step = horizon if step_days is None else step_days
    if dates < 1 or step < 1:
        raise UsageError(
            "a backtest needs at least one date and a step of at least a day, not "
            f"{dates} and {step}"
        )
    end = DailyTable(connection, as_of)
    check_dates(end, horizon)
    check_contracts(end, config)
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
    any_date = False
    for back in backs:
        date = as_of - timedelta(days=back)
        say(f"as of {iso(date)[:10]}")
        try:
            table = _table(tables, connection, as_of, back)
        except NotEnoughDataError:  # what had happened by then was recorded later
            continue
        with single_threaded_blas():
            panel = build(table, config, fitted=fitted)
        if not panel.now.buyers.any():
            continue
        known = [intervals for until, intervals in learned if until <= date]
        after = _table(tables, connection, as_of, back - horizon)
        with single_threaded_blas():
            done = _one(table, after, panel, config, known[-1] if known else None)
        if done is not None and done.expected_spend:
            learned.append(
                (
                    date + timedelta(days=horizon),
                    conformal(done.expected_spend[OURS], done.spend_came),
                )
            )
        for old in [b for b in tables if b > back]:
            del tables[old]
        if done is not None:
            any_date = True
            yield done
    if not any_date:
        nobody = kind_of(config.churn).wording.none_eligible.format(date=iso(date))
        raise NotEnoughDataError(f"{nobody}, the newest date to replay; take more history")


def _table(
    tables: dict[int, DailyTable], connection: duckdb.DuckDBPyConnection, as_of: datetime, back: int
) -> DailyTable:
    """Return what was known so many days before the as_of, made once."""
    if back not in tables:
        tables[back] = DailyTable(connection, as_of - timedelta(days=back))
    return tables[back]


def _one(
    table: DailyTable,
    after: DailyTable,
    panel: Panel,
    config: TrainConfig,
    intervals: Intervals | None,
) -> Replay | None:
    """Return one date: fitted on the panel of what was known then, held against the table of a
    horizon later.

    None where nobody could leave.
    """
    horizon = config.horizon_days
    models, predicted = fit_models(panel, table.purchase_days(), config, table.has_amounts())
    later = what_came(after, panel, horizon)
    kind = kind_of(config.churn)
    who = kind.churned(panel, models, predicted, later, quick=False)
    if not len(who.rows):
        return None
    money: dict[str, Array] = {}
    low = high = None
    if models.value.mean_spend is not None and kind.predicts_money:
        money = {OURS: predicted.expected_spend[who.rows]}
        money |= baselines.fit_and_predict_spend(panel, horizon, config.seed)
        if intervals is not None:
            low, high = intervals.around(money[OURS])
    return Replay(
        as_of=panel.as_of,
        customers=tuple(str(panel.now.ids[row]) for row in panel.now.customer[who.rows]),
        inactive=who.left,
        spend_came=later.spend[who.rows],
        p_inactive={OURS: who.ours, **who.predictions},
        churn=config.churn,
        expected_spend=money,
        low=low,
        high=high,
        evaluation={
            "next_stage": next_stage_figures(panel, models, predicted, later),
            "conversion": conversion_figures(panel, models, predicted, later),
            "coverage": coverage_figures(predicted, later, intervals),
        },
        used=kind.learned_from(panel, models),
    )
