"""Panel of past dates that models learn from: the choice of dates, their columns and outcomes.

The horizon of a date must end before the as_of, so the newest date is one horizon back. The
horizons of neighbouring dates overlap. Dates go back as far as there is history before them; in a
log of several years they include the dates of the same season in earlier years.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, fields
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.of_customer import check_declared
from stagecast.features.catalog.standard import standard
from stagecast.features.clock import YEAR_DAYS, day_number, from_microseconds, iso
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.intake.counted import counted
from stagecast.features.snapshots import Outcome, Snapshot, observe_outcomes, take_snapshots
from stagecast.features.stages.lifecycle import Lifecycle, fit_lifecycle
from stagecast.features.stages.scheme import Scheme
from stagecast.training.cancellation.panel import ContractPanel, build_contracts
from stagecast.training.columns import buyer_columns, rows_of
from stagecast.training.config import TrainConfig
from stagecast.training.fit_bases import fit_base
from stagecast.training.learners.agreement import UNKNOWN, Agreement
from stagecast.training.learners.btyd.fit import FitError
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.fit_season import agreement_of_years
from stagecast.training.learners.regularities import GAP_LOGS
from stagecast.training.schemes import scheme_of

# A date of the same season a year ago is used only with this much history before it.
SEASON_HISTORY_DAYS = 180
# Dates of the same season further back than this say little about the shop of today.
MAX_SEASON_YEARS = 3
# Features that scores, notes and notebooks report, whether models learn from them or not.
REPORTED_FEATURES = ("tenure_days", "refund_spend", "purchase_events", "orders_ahead_last_year")
# Features that a customer base reads, and models do not learn from.
FEATURES_OF_BASES = (GAP_LOGS,)


def not_for_trees(catalog: Catalog) -> frozenset[str]:
    """Return the features that a catalogue does not offer to models.

    These are day numbers, which identify the date of a row, and features that only serve as parts
    of others.
    """
    return frozenset(catalog.names) - frozenset(catalog.predictors)


@dataclass(frozen=True)
class Frame:
    """Rows of one date, buyers or prospects, with the columns of the models and the outcomes.

    Parameters
    ----------
    as_of
        The date.
    back
        Days from the date to the as_of of the panel.
    customer
        Rows of :attr:`DailyTable.customers`, shape (n_rows,), as all arrays here.
    columns
        Column name -> values; null is NaN. Prospects have the counts of the scheme's signals, too.
    stage
        Position of the stage at the date.
    orders, spend
        Purchase days within the horizon and their money.
    stage_after
        Position of the stage at the end of the horizon.
    silent
        Position of the stage at the end of the horizon if no event had followed the date.
    not_for_trees
        Columns that the catalogue does not offer to models.
    """

    as_of: datetime
    back: int
    customer: NDArray[np.int64]
    columns: Mapping[str, Array]
    stage: NDArray[np.int64]
    orders: Array
    spend: Array
    stage_after: NDArray[np.int64]
    silent: NDArray[np.int64]
    not_for_trees: frozenset[str] = not_for_trees(standard(1))

    def __len__(self) -> int:
        return len(self.customer)

    @property
    def inactive(self) -> NDArray[np.bool_]:
        """Whether there was no purchase within the horizon, shape (n_rows,)."""
        return np.asarray(self.orders == 0)

    def of(self, rows: NDArray[np.int64]) -> Frame:
        """Return the frame of these rows."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        arrays = {
            name: value[rows] for name, value in values.items() if isinstance(value, np.ndarray)
        }
        return Frame(**{**values, **arrays, "columns": rows_of(self.columns, rows)})


@dataclass(frozen=True)
class Panel:
    """Input of one training: the snapshot to score and the past dates with their outcomes.

    Parameters
    ----------
    as_of
        Date of the snapshot to score.
    history_days
        Days from the first event to the as_of.
    life
        The lifecycle, with the thresholds and parameters of the as_of.
    now
        The snapshot at the as_of.
    base
        Customer-base models of the as_of; None where they cannot be fitted.
    bases
        Days before the as_of -> customer-base models of that date.
    dates
        Frames of buyers, newest first.
    prospects
        Frames of customers who had not bought yet, newest first.
    contracts
        Panel of the contracts; None where churn is not cancellation.
    years
        How well the years of the log agree about the season of its purchases.
    """

    as_of: datetime
    history_days: float
    life: Lifecycle
    now: Snapshot
    base: CustomerBase | None
    bases: Mapping[int, CustomerBase]
    dates: tuple[Frame, ...]
    prospects: tuple[Frame, ...]
    contracts: ContractPanel | None = None
    years: Agreement = UNKNOWN

    def __repr__(self) -> str:
        return (
            f"Panel(as of {iso(self.as_of)}, {counted(len(self.now), 'customer')}, "
            f"{len(self.dates)} past dates of buyers, {len(self.prospects)} of prospects)"
        )

    @property
    def scheme(self) -> Scheme:
        """The stage scheme, with the thresholds of the as_of."""
        return self.life.scheme

    @property
    def catalog(self) -> Catalog:
        """The feature catalogue, with the parameters of the as_of."""
        return self.life.catalog


def plan_dates(history_days: float, horizon_days: int, max_dates: int) -> list[int]:
    """Return the past dates as days before the as_of, newest first.

    At most ``max_dates`` dates, a third of a horizon apart, start one horizon back and go on while
    a quarter of the history or one horizon lies before them. The dates one, two and three years
    back are added where there is enough history before them.

    >>> plan_dates(365, 90, 4)
    [90, 120, 150, 180]
    >>> plan_dates(100, 90, 4)
    []
    """
    before = min(horizon_days, history_days / 4)
    step = max(1, horizon_days // 3)
    recent = list(range(horizon_days, int(history_days - before) + 1, step))[:max_dates]
    seasonal = [
        YEAR_DAYS * n
        for n in range(1, MAX_SEASON_YEARS + 1)
        if horizon_days <= YEAR_DAYS * n <= history_days - SEASON_HISTORY_DAYS
    ]
    return sorted({*recent, *seasonal})


def training_catalog(config: TrainConfig, scheme: Scheme) -> Catalog:
    """Return the features that a training needs: predictors, those in rules, and reported ones."""
    catalog = config.catalog
    needed = {*catalog.predictors, *scheme.all_features, *REPORTED_FEATURES, *FEATURES_OF_BASES}
    return catalog.needed_for([name for name in catalog.names if name in needed])


def build(
    table: DailyTable,
    config: TrainConfig,
    scheme: Scheme | None = None,
    fitted: dict[datetime, CustomerBase] | None = None,
) -> Panel:
    """Return the panel of a daily table.

    Parameters
    ----------
    table
        Daily table of the as_of.
    config
        Settings of the training.
    scheme
        Stage scheme with thresholds; None takes that of the configuration, see
        :func:`stagecast.training.schemes.scheme_of`, with thresholds of the table.
    fitted
        Cache of customer-base models by the date of their fit, read and added to, so that trainings
        at several as_of do not fit the same date twice. What was known at a date is the same for
        every later as_of.

    Raises
    ------
    UsageError
        A feature of the configuration uses attributes that were not declared as known from the
        start.
    """
    check_declared(config.catalog, table.attribute_kinds(), config.known_at_start)
    scheme = scheme or scheme_of(config, table)
    catalog = training_catalog(config, scheme)
    life = fit_lifecycle(table, scheme, config.horizon_days, catalog=catalog)
    history_days = day_number(table.anchor) - day_number(from_microseconds(table.first_event()))
    backs = plan_dates(history_days, config.horizon_days, config.max_dates)
    contracts = build_contracts(table, life.catalog, config)
    terms = None if contracts is None else contracts.terms
    now, *past = take_snapshots(table, life, [0, *backs], config.known_at_start, terms)
    outcomes = observe_outcomes(table, life.journeys, past, config.horizon_days)
    fitted = {} if fitted is None else fitted
    bases: dict[int, CustomerBase] = {}
    start: CustomerBase | None = None
    # newest first, where there is most to fit on; each fit starts from the one of the date after it
    for back, snapshot in [(0, now), *zip(backs, past, strict=True)]:
        base = fitted.get(snapshot.as_of)
        if base is None:
            try:
                base = fit_base(table, life, snapshot, back, config, start)
            except FitError:
                continue
            fitted[snapshot.as_of] = base
        bases[back] = start = base
    dates, prospects = [], []
    excluded = not_for_trees(life.catalog)
    for back, snapshot, outcome in zip(backs, past, outcomes, strict=True):
        if back in bases:
            buyers = np.flatnonzero(snapshot.buyers)
            columns = buyer_columns(snapshot.features, buyers, bases[back], config.horizon_days)
            dates.append(_frame(snapshot, outcome, back, buyers, columns, excluded))
        non_buyers = np.flatnonzero(~snapshot.buyers)
        if len(non_buyers):
            signals = {name: snapshot.standing.facts[name] for name in life.scheme.signals}
            columns = rows_of({**snapshot.features, **signals}, non_buyers)
            prospects.append(_frame(snapshot, outcome, back, non_buyers, columns, excluded))
    return Panel(
        table.anchor,
        history_days,
        life,
        now,
        bases.get(0),
        bases,
        tuple(_with_plans(dates, bases)),
        tuple(prospects),
        contracts,
        _agreement(table, life, bases.get(0), history_days, config.horizon_days),
    )


def _with_plans(dates: Sequence[Frame], bases: Mapping[int, CustomerBase]) -> list[Frame]:
    """Return the dates at which the plans were known, where the customer base of today has some.

    Before anybody had paid for a second year, yearly payers seemed to have left.
    """
    now = bases.get(0)
    if now is None:
        return list(dates)
    alike = [frame for frame in dates if bases[frame.back].has_plans_of(now)]
    return alike or list(dates)


def _agreement(
    table: DailyTable,
    life: Lifecycle,
    base: CustomerBase | None,
    history_days: float,
    horizon_days: int,
) -> Agreement:
    if base is None or base.models[-1].regularity > 1:
        return UNKNOWN
    as_of_day = day_number(table.anchor)
    days, model = life.record.days, base.models[-1]
    return agreement_of_years(days, as_of_day, history_days, model, horizon_days)


def _frame(
    snapshot: Snapshot,
    outcome: Outcome,
    back: int,
    rows: NDArray[np.int64],
    columns: Mapping[str, Array],
    excluded: frozenset[str],
) -> Frame:
    return Frame(
        snapshot.as_of,
        back,
        snapshot.customer[rows],
        columns,
        snapshot.stage[rows],
        outcome.orders[rows],
        outcome.spend[rows],
        outcome.stage[rows],
        snapshot.standing.stage_if_silent[rows],
        excluded,
    )


def sampling_step(frames: Sequence[Sized], max_rows: int) -> int:
    """Return k such that every k-th customer of the frames makes about ``max_rows`` rows.

    1 where the frames have no more rows than that.
    """
    return max(1, -(-sum(len(frame) for frame in frames) // max_rows))


def thinned(frames: Sequence[Frame], max_rows: int) -> list[Frame]:
    """Return the frames with every k-th customer, so that about ``max_rows`` rows remain.

    The same customers remain at all dates.
    """
    step = sampling_step(frames, max_rows)
    if step == 1:
        return list(frames)
    # every k-th by rank, because numbers that were thinned before may all be even
    customers = np.unique(np.concatenate([frame.customer for frame in frames]))[::step]
    return [frame.of(np.flatnonzero(np.isin(frame.customer, customers))) for frame in frames]


def stack(frames: Sequence[Frame]) -> dict[str, Array]:
    """Return the columns that all frames have, with the rows of the frames one after the other."""
    shared = [name for name in frames[0].columns if all(name in f.columns for f in frames)]
    return {name: np.concatenate([f.columns[name] for f in frames]) for name in shared}


def varying(frames: Sequence[Frame], names: Sequence[str]) -> list[str]:
    """Return those of the named columns that vary on more than half of the dates.

    A column that is constant or missing at the early dates (a long window on a young log) adds no
    information, and can spoil a model when it starts to vary at scoring.
    """

    def varies(frame: Frame, name: str) -> bool:
        values = frame.columns[name]
        finite = values[np.isfinite(values)]
        return len(finite) > 0 and float(finite.max() - finite.min()) > 1e-12

    return [name for name in names if sum(varies(f, name) for f in frames) > len(frames) / 2]


def learnable(frames: Sequence[Frame], names: Sequence[str]) -> list[str]:
    """Return those of the named columns that the catalogue offers to models.

    Of the columns that :func:`varying` returns, trees are fitted on these.
    """
    return [name for name in names if name not in frames[0].not_for_trees]


def seasons_of(frames: Sequence[Frame], history_days: float) -> list[Frame]:
    """Return the frames of one, two and three years ago, without those in which the log was young.

    Newest first, as the frames are.
    """
    return [
        frame for frame in same_season(frames) if history_days - frame.back >= SEASON_HISTORY_DAYS
    ]


def same_season(frames: Sequence[Frame]) -> list[Frame]:
    """Return the frames of whole years ago, in the season of the as_of."""
    return [frame for frame in frames if frame.back % YEAR_DAYS == 0]


def days_known(frames: Sequence[Frame]) -> list[float]:
    """Return the days that the customers of each date had been known, of all together.

    A year of few customers who had come not long ago tells little of a season.
    """
    return [float(frame.columns["T_days"].sum()) + 1.0 for frame in frames]


def outside_season(frames: Sequence[Frame], season: Frame, horizon_days: int) -> list[Frame]:
    """Return the frames whose horizon does not overlap that of ``season``.

    A model fitted on them has not seen the level of that season.
    """
    return [frame for frame in frames if abs(frame.back - season.back) >= horizon_days]
