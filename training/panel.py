"""Past dates to learn from: which, how much each counts, and what the models see of them.

A date can teach only when its horizon is over before the as_of, so the newest stands one horizon
back. Dates overlap; they go back as far as there is history before them, and where the log has
years, the dates of the same season in earlier years are among them.
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
from stagecast.features.clock import day_number, from_microseconds
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.snapshots import Outcome, Snapshot, observe_outcomes, take_snapshots
from stagecast.features.stages.lifecycle import Lifecycle, fit_lifecycle
from stagecast.features.stages.scheme import Scheme
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.training.cancellation.panel import ContractPanel, build_contracts
from stagecast.training.columns import buyer_columns, rows_of
from stagecast.training.config import TrainConfig
from stagecast.training.learners.btyd.fit import FitError
from stagecast.training.learners.customer_base import CustomerBase, fit_customer_base

YEAR_DAYS = 365
# A date of the same season a year ago is worth a look only with this much history before it.
SEASON_HISTORY_DAYS = 180
# Dates further back than this many years of season teach another shop.
MOST_YEARS = 3
# Features that scores, notes and notebooks tell of, whether models learn from them or not.
TOLD = ("tenure_days", "refund_spend", "purchase_events", "orders_ahead_last_year")
# Customers that the customer-base models are fitted on, about: of a past date, and of the as_of.
# With the latter their parameters are known to half a per cent.
PAST_CUSTOMERS, MOST_CUSTOMERS = 5_000, 200_000


def not_for_trees(catalog: Catalog) -> frozenset[str]:
    """Return what a catalogue does not offer to models: day numbers, which tie a row to its
    date, parts of others.
    """
    return frozenset(catalog.names) - frozenset(catalog.predictors)


@dataclass(frozen=True)
class Frame:
    """Rows of one date as the models see them: named columns of equal length, null is NaN.

    ``customer`` are rows of :attr:`DailyTable.customers`; ``silent`` is the stage at the end of the
    horizon if nothing more had happened. Buyers and prospects are in frames of their own; the
    latter's columns have the counts of the scheme's signals, too. ``not_for_trees`` are the columns
    that the catalogue does not offer to models.
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
        return np.asarray(self.orders == 0)

    def of(self, rows: NDArray[np.int64]) -> Frame:
        """Return some of the rows."""
        each = {f.name: getattr(self, f.name) for f in fields(self)}
        kept = {name: value[rows] for name, value in each.items() if isinstance(value, np.ndarray)}
        return Frame(**{**each, **kept, "columns": rows_of(self.columns, rows)})


@dataclass(frozen=True)
class Panel:
    """Everything that one training sees: the snapshot to score and the past dates with their
    outcomes.

    ``dates`` are frames of buyers, newest first, ``prospects`` frames of those who had not bought
    yet. ``base`` holds the customer-base models of the as_of, or None where they cannot be fitted;
    ``contracts`` is None where churn is no cancellation.
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

    @property
    def scheme(self) -> Scheme:
        """With the thresholds of the as_of."""
        return self.life.scheme

    @property
    def catalog(self) -> Catalog:
        """With the parameters of the as_of."""
        return self.life.catalog


def plan_dates(history_days: float, horizon_days: int, most: int) -> list[int]:
    """Return the past dates as days before the as_of, newest first.

    They stand a third of a horizon apart, from one horizon back, while a quarter of the history or
    one horizon lies before them; then come the dates one, two and three years back, where that much
    history is there.

    >>> plan_dates(365, 90, 4)
    [90, 120, 150, 180]
    >>> plan_dates(100, 90, 4)
    []
    """
    before = min(horizon_days, history_days / 4)
    step = max(1, horizon_days // 3)
    near = list(range(horizon_days, int(history_days - before) + 1, step))[:most]
    years = [
        YEAR_DAYS * n
        for n in range(1, MOST_YEARS + 1)
        if horizon_days <= YEAR_DAYS * n <= history_days - SEASON_HISTORY_DAYS
    ]
    return sorted({*near, *years})


def seen_by_models(config: TrainConfig, scheme: Scheme) -> Catalog:
    """Return the part of the catalogue that a training needs: predictors, what rules look at,
    and what is told.
    """
    whole = config.catalog
    wanted = {*whole.predictors, *scheme.all_features, *TOLD}
    return whole.needed_for([name for name in whole.names if name in wanted])


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
        What was known at the as_of.
    scheme
        With thresholds; derived from the table where it is None.
    fitted
        Customer-base models by the date of their fit; looked up and added to, so that trainings at
        several as_of do not fit the same date twice. What a date knew does not depend on when one
        looks back at it.

    Raises
    ------
    UsageError
        A feature of the configuration asks for attributes that were not declared as known from the
        start.
    """
    check_declared(config.catalog, table.attribute_kinds(), config.known_at_start)
    scheme = scheme or load_scheme(config.scheme).with_pins(config.pins)
    life = fit_lifecycle(table, scheme, config.horizon_days, catalog=seen_by_models(config, scheme))
    history_days = day_number(table.anchor) - day_number(from_microseconds(table.first_event()))
    backs = plan_dates(history_days, config.horizon_days, config.max_dates)
    contracts = build_contracts(table, life.catalog, config)
    terms = None if contracts is None else contracts.terms
    now, *past = take_snapshots(table, life, [0, *backs], config.known_at_start, terms)
    outcomes = observe_outcomes(table, life.journeys, past, config.horizon_days)
    fitted = {} if fitted is None else fitted
    bases: dict[int, CustomerBase] = {}
    before: CustomerBase | None = None
    # newest first, where there is most to fit on; each later fit starts from the one before it
    for back, snapshot in [(0, now), *zip(backs, past, strict=True)]:
        base = fitted.get(snapshot.as_of)
        if base is None:
            try:
                bought = rows_of(snapshot.features, np.flatnonzero(snapshot.buyers))
                base = fit_customer_base(bought, before, PAST_CUSTOMERS if back else MOST_CUSTOMERS)
            except FitError:
                continue
            fitted[snapshot.as_of] = base
        bases[back] = before = base
    dates, prospects = [], []
    barred = not_for_trees(life.catalog)
    for back, snapshot, outcome in zip(backs, past, outcomes, strict=True):
        if back in bases:
            buyers = np.flatnonzero(snapshot.buyers)
            columns = buyer_columns(snapshot.features, buyers, bases[back], config.horizon_days)
            dates.append(_frame(snapshot, outcome, back, buyers, columns, barred))
        others = np.flatnonzero(~snapshot.buyers)
        if len(others):
            signals = {name: snapshot.standing.facts[name] for name in life.scheme.signals}
            columns = rows_of({**snapshot.features, **signals}, others)
            prospects.append(_frame(snapshot, outcome, back, others, columns, barred))
    return Panel(
        table.anchor,
        history_days,
        life,
        now,
        bases.get(0),
        bases,
        tuple(dates),
        tuple(prospects),
        contracts,
    )


def _frame(
    snapshot: Snapshot,
    outcome: Outcome,
    back: int,
    rows: NDArray[np.int64],
    columns: Mapping[str, Array],
    barred: frozenset[str],
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
        barred,
    )


def every(frames: Sequence[Sized], most: int) -> int:
    """Return which so manyth customer is kept for the frames to have about ``most`` rows in all;
    1 where they fit.
    """
    return max(1, -(-sum(len(frame) for frame in frames) // most))


def thinned(frames: Sequence[Frame], most: int) -> list[Frame]:
    """Return the frames with about ``most`` rows in all: every so manyth customer, the same at
    all dates.
    """
    step = every(frames, most)
    if step == 1:
        return list(frames)
    # by their rank: numbers that were thinned before may all be even
    kept = np.unique(np.concatenate([frame.customer for frame in frames]))[::step]
    return [frame.of(np.flatnonzero(np.isin(frame.customer, kept))) for frame in frames]


def stack(frames: Sequence[Frame]) -> dict[str, Array]:
    """Return the columns of the frames, one after the other; only columns that all have."""
    shared = [name for name in frames[0].columns if all(name in f.columns for f in frames)]
    return {name: np.concatenate([f.columns[name] for f in frames]) for name in shared}


def varying(frames: Sequence[Frame], names: Sequence[str]) -> list[str]:
    """Return those columns that vary on more than half of the dates.

    A column that was constant or missing at the early dates (a long window on a young log) teaches
    a model nothing sound, and can wreck it when the column comes alive at scoring.
    """

    def varies(frame: Frame, name: str) -> bool:
        values = frame.columns[name]
        seen = values[np.isfinite(values)]
        return len(seen) > 0 and float(seen.max() - seen.min()) > 1e-12

    return [name for name in names if sum(varies(f, name) for f in frames) > len(frames) / 2]


def learnable(frames: Sequence[Frame], names: Sequence[str]) -> list[str]:
    """Return those columns that the catalogue offers to models: of :func:`varying` ones, what
    trees are fitted on.
    """
    return [name for name in names if name not in frames[0].not_for_trees]


def year_back(frames: Sequence[Frame], history_days: float) -> Frame | None:
    """Return the frame of the same season a year ago, or None where the log was too young then."""
    for frame in frames:
        if frame.back == YEAR_DAYS and history_days - YEAR_DAYS >= SEASON_HISTORY_DAYS:
            return frame
    return None


def unseen(frames: Sequence[Frame], season: Frame, horizon_days: int) -> list[Frame]:
    """Return the frames whose horizon does not meet that of a season: what is fitted on them
    cannot know its level.
    """
    return [frame for frame in frames if abs(frame.back - season.back) >= horizon_days]
