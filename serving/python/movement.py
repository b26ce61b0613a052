"""``LogFlows`` and ``Comparison``: how the customers of a log move, and what changed at a date."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from stagecast.features.arguments.values import refuse
from stagecast.features.clock import from_microseconds, iso, microseconds
from stagecast.features.frames.instants import Instant, as_datetime

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from stagecast.features.describe.effectiveness import BeforeAfter
    from stagecast.serving.python.event_log import EventLog
    from stagecast.serving.reports.lifecycle_report import Movement


@dataclass(frozen=True, repr=False)
class LogFlows:
    """How the customers of a log move through the stages, as DataFrames.

    What lasts at the as_of is censored, not counted as over.

    Parameters
    ----------
    movement
        The tables.
    order
        The stages in the order in which the rules are tried.
    notes
        Stages that the log cannot tell apart or reach, a sentence each.
    """

    movement: Movement
    order: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def summary(self) -> pd.Series:
        """Customers, buyers, repeat buyers, orders (purchase days) and spend."""
        figures = asdict(self.movement.flows.summary)
        figures.pop("concentration")
        return pd.Series(figures, name="log", dtype="float64")

    @property
    def stock(self) -> pd.DataFrame:
        """Customers on each stage at the end of each period: ``customers``, ``share``, ``value``
        (spend in the period), ``entries``, ``exits``; ``complete`` is false where the as_of cuts
        the period.
        """
        return _frame(self.movement.flows.stock)

    @property
    def transitions(self) -> pd.DataFrame:
        """Customers by stage before and after each period; ``from_stage`` is null for newcomers."""
        return _frame(self.movement.flows.transitions)

    @property
    def moved(self) -> pd.DataFrame:
        """Customers by their stages at the two dates ``moved_from`` and ``moved_until``."""
        return _frame(self.movement.moved)

    @property
    def moved_from(self) -> pd.Timestamp:
        """First date of :attr:`moved`."""
        return pd.Timestamp(self.movement.start)

    @property
    def moved_until(self) -> pd.Timestamp:
        """Second date of :attr:`moved`."""
        return pd.Timestamp(self.movement.end)

    @property
    def stays(self) -> pd.DataFrame:
        """Days on each stage, index ``stage``: quartiles of the product-limit estimate."""
        return _frame(self.movement.flows.spells).set_index("stage")

    @property
    def time_to_stage(self) -> pd.DataFrame:
        """Days from the first event until shares of the customers have reached a stage."""
        return _frame(self.movement.flows.time_to_stage).set_index("stage")

    @property
    def repeat(self) -> pd.DataFrame:
        """Share who order again within 365 days, by the number of orders so far."""
        return _frame(self.movement.flows.repeat).set_index("order")

    @property
    def pareto(self) -> pd.DataFrame:
        """Share of the spend by share of buyers, the best first."""
        return _frame(self.movement.flows.pareto)

    @property
    def cohorts(self) -> pd.DataFrame:
        """Purchases by period of the first purchase (``cohort``) and ``age`` in periods."""
        return _frame(self.movement.flows.cohorts)

    def __repr__(self) -> str:
        flows, total = self.movement.flows, self.movement.flows.summary
        return (
            f"LogFlows({total.customers:,} customers, {total.buyers:,} buyers, {total.orders:,} "
            f"orders, by {flows.unit} until {iso(from_microseconds(flows.as_of))})"
        )

    def _repr_html_(self) -> str:
        stock = self.stock
        table = stock.pivot(index="period_end", columns="stage", values="customers")
        table = table[[stage for stage in self.order if stage in table and table[stage].any()]]
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return f"<p>{escape(repr(self))}</p>{table.to_html()}" + (
            f"<ul>{notes}</ul>" if notes else ""
        )


@dataclass(frozen=True, repr=False)
class Comparison:
    """What differs between the time before a date and the time after it.

    It is no experiment: whatever else changed at the date is in the differences.

    Parameters
    ----------
    result
        The comparison with all its details.
    """

    result: BeforeAfter

    @property
    def headline(self) -> str:
        """The result in one sentence."""
        return self.result.headline

    @property
    def sentences(self) -> tuple[str, ...]:
        """The measures in words."""
        return tuple(measure.sentence for measure in self.result.measures)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader must know before believing a difference."""
        return self.result.caveats

    @property
    def window_days(self) -> int:
        """Days of each of the two windows."""
        return self.result.before.days

    @property
    def customers(self) -> tuple[int, int]:
        """Customers whom the figures per customer are over, before and after."""
        return self.result.customers_before, self.result.customers_after

    @property
    def summary(self) -> pd.DataFrame:
        """One row per measure, index ``id``: before, after, difference, its 95 % interval, and
        whether it is beyond chance among all comparisons.
        """
        columns = ["title", "unit", "before", "after", "difference", "low", "high", "beyond_chance"]
        return _frame(self.result.to_table()).set_index("id")[columns]

    def __repr__(self) -> str:
        return "\n- ".join([self.headline, *self.sentences])

    def _repr_html_(self) -> str:
        def listed(lines: tuple[str, ...]) -> str:
            return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"

        head = f"<p><b>{escape(self.headline)}</b></p>{listed(self.sentences)}"
        return f"{head}<p>Before you believe it:</p>{listed(self.caveats)}"


def flows_of(
    log: EventLog,
    at: datetime,
    scheme: str,
    period: str | None,
    dates: tuple[Instant | None, Instant | None],
) -> LogFlows:
    """Return the flows of a log; see :meth:`~stagecast.serving.python.event_log.EventLog.flows`."""
    from stagecast.features.describe.flows.periods import UNITS
    from stagecast.features.engines.duckdb import DailyTable
    from stagecast.features.stages.lifecycle import fit_lifecycle, merged_sentences
    from stagecast.features.stages.scheme_files import load_scheme
    from stagecast.features.stages.unreached import unreached_sentences
    from stagecast.serving.reports.lifecycle_report import movement
    from stagecast.training.config import TrainConfig

    if period is not None and period not in UNITS:
        refuse(period, "period", f"one of {', '.join(UNITS)}, or None")
    table = DailyTable(log.con, at)
    # no rule looks at a feature that depends on the horizon
    life = fit_lifecycle(table, load_scheme(scheme), TrainConfig.horizon_days)
    moved_from, moved_until = (
        None if date is None else log.clock.shop(as_datetime(date, name))
        for date, name in zip(dates, ("moved_from", "moved_until"), strict=True)
    )
    moves = movement(
        life, at, has_amounts=table.has_amounts(), unit=period, dates=(moved_from, moved_until)
    )
    notes = (*merged_sentences(life.scheme, life.merged), *unreached_sentences(life.scheme))
    return LogFlows(moves, tuple(life.scheme.ids), notes)


def comparison_of(log: EventLog, at: datetime, date: Instant, scheme: str) -> Comparison:
    """Return what changed at a date; see ``EventLog.before_after``."""
    from stagecast.features.describe.effectiveness import before_after
    from stagecast.features.engines.duckdb import DailyTable
    from stagecast.features.stages.lifecycle import fit_lifecycle
    from stagecast.features.stages.scheme_files import load_scheme
    from stagecast.serving.jobs.movement import costs_of
    from stagecast.training.config import TrainConfig

    table = DailyTable(log.con, at)
    life = fit_lifecycle(table, load_scheme(scheme), TrainConfig.horizon_days)
    result = before_after(
        life.journeys,
        life.record.days,
        len(life.record),
        life.record.first_events,
        costs_of(table, log, ()),
        microseconds(log.clock.shop(as_datetime(date, "date"))),
        microseconds(at),
        has_amounts=table.has_amounts(),
    )
    return Comparison(result)


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    return frame
