"""Fit of the hazard member: periods of every customer so far, rolled out over the horizon.

    purchase days -> rows of customers and periods -> hazard -> rolled out -> trees of the log odds

A discrete-time hazard model (LightGBM) learns whether an order came in a period of about a week,
from the columns of the catalogue at its start. Over the horizon it is evaluated period by period on
the silence so far and to come: P(no purchase) = product over the periods of (1 - hazard). A second
ensemble learns the log odds of that product from the columns at the start of the horizon, so that
one evaluation gives what one for each period would.

Source: Singer and Willett (1993), "It's about time: using discrete-time survival analysis to study
duration and the timing of events".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from stagecast.features.arrays import Array, Integers
from stagecast.features.catalog import formula
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.clock import day_number
from stagecast.features.engines.relations import purchase_day_rows
from stagecast.features.engines.rows import Aggregates, Rows
from stagecast.features.record import PurchaseDays
from stagecast.training.inactivity.hazard import NAME, HazardOdds
from stagecast.training.inactivity.model import ChurnModel
from stagecast.training.learners import boosting
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.pool import MAX_LOG_ODDS
from stagecast.training.member_settings import Hazard as HazardSettings

COLUMNS = (
    "recency_days",
    "T_days",
    "orders",
    "gap_mean",
    "gap_last",
    "gap_longest",
    "gap_spread",
    "rhythm_days",
    "order_rate",
    "overdue_ratio",
    "overdue_longest",
    "overdue_spread",
    "return_ratio",
)
"""Features that the hazard learns from: days of purchase alone, of which silence moves the
recency, T and their ratios."""
PERIOD_DAYS = 7
MAX_ROWS, MAX_PERIODS = 300_000, 104
"""About how many rows of customers and periods the hazard learns from, and how many periods."""
FEWEST_OF_EACH = 100
"""Least number of periods with an order, and without one."""
TREES = 200
HAZARD: Mapping[str, Any] = {"num_leaves": 12, "learning_rate": 0.05, "feature_fraction": 0.6}
# Of the trees of the rolled-out log odds, which have no noise to learn. With 100 trees of 16 leaves
# the gain in log loss was the same (CDNOW, yearly gifts) or .07 % more (online grocer), and the
# contributions of a row took .2 ms instead of .05.
TREES_ROLLED_OUT = 60
ROLLED_OUT: Mapping[str, Any] = {
    "num_leaves": 8,
    "max_depth": 4,
    "learning_rate": 0.3,
    "feature_fraction": 1.0,
    "bagging_fraction": 1.0,
    "lambda_l2": 1.0,
    "min_data_in_leaf": 10,
}
SAMPLE_NOW, SAMPLE_PAST = 3_000, 6_000
"""About how many customers of today, and rows of the past, the log odds are learned from."""


def periods_of(horizon_days: int) -> tuple[int, int]:
    """Return the number of periods of about a week in a horizon, and their length in days.

    >>> periods_of(90), periods_of(30), periods_of(3)
    ((13, 7), (4, 8), (1, 3))
    """
    number = max(1, round(horizon_days / PERIOD_DAYS))
    return number, max(1, round(horizon_days / number))


@dataclass(frozen=True)
class Histories:
    """Purchase days of buyers, and what the catalogue makes of them at any day.

    Parameters
    ----------
    customer
        0, 1, 2, ..., in the order of which the days stand, shape (n_days,).
    day
        Days since 1970, shape (n_days,).
    catalog
        With its parameters set.
    """

    customer: Integers
    day: Integers
    catalog: Catalog

    @classmethod
    def of(cls, days: PurchaseDays, catalog: Catalog) -> Histories:
        """Return the histories of all customers with a purchase day."""
        _, customer = np.unique(days.customer, return_inverse=True)
        return cls(customer, days.day, catalog.needed_for(COLUMNS))

    def every(self, step: int) -> Histories:
        """Return the histories of every ``step``-th customer."""
        if step == 1:
            return self
        chosen = self.customer % step == 0
        return Histories(self.customer[chosen] // step, self.day[chosen], self.catalog)

    @cached_property
    def first_day(self) -> Integers:
        """Day of the first purchase of each customer, shape (n_customers,)."""
        return self.day[np.flatnonzero(np.diff(self.customer, prepend=-1))]

    def __len__(self) -> int:
        return len(self.first_day)

    @cached_property
    def _rows(self) -> Rows:
        # no feature of these columns looks at money
        return purchase_day_rows(len(self), self.customer, self.day, np.zeros_like(self.day))

    def at(self, dates: Sequence[float]) -> list[dict[str, Array]]:
        """Return the aggregates of all customers at several days, shape (n_customers,) each."""
        features = [feature for feature in self.catalog.features if feature.formula is None]
        return list(Aggregates(features).at_dates(self._rows, dates))

    def columns(
        self, aggregates: Mapping[str, Array], as_of_day: Array | float
    ) -> dict[str, Array]:
        """Return the columns of rows, where nothing came between their aggregates and a day.

        Parameters
        ----------
        aggregates
            Those of the rows, shape (rows,) each.
        as_of_day
            The day, for all rows or for each.
        """
        values: dict[str, Array | float] = {
            **self.catalog.parameters,
            **aggregates,
            "as_of_day": np.broadcast_to(np.float64(as_of_day), len(aggregates["orders"])),
        }
        formulas = [(f.name, f.formula) for f in self.catalog.features if f.formula is not None]
        formula.evaluate_all([(name, formula.compiled(text)) for name, text in formulas], values)
        return {name: np.asarray(values[name], dtype=np.float64) for name in COLUMNS}


@dataclass(frozen=True)
class Periods:
    """Customers and past periods: what was known at the start, and whether an order came.

    Parameters
    ----------
    aggregates
        Of the catalogue at the start of the period, shape (rows,) each.
    start
        First day of the period, days since 1970.
    came
        Whether an order came in the period.
    """

    aggregates: Mapping[str, Array]
    start: Array
    came: NDArray[np.bool_]

    @classmethod
    def of(cls, histories: Histories, today: int, length: int) -> Periods:
        """Return the periods of ``length`` days that were over before the day ``today``.

        Those of every k-th customer remain where there are more than ``MAX_ROWS``.
        """
        first = histories.first_day
        oldest = max(int(first.min(initial=today)), today - length * MAX_PERIODS - 1)
        starts = np.arange(today - length, oldest, -length)
        total = sum(int((first < start).sum()) for start in starts)
        histories = histories.every(max(1, -(-total // MAX_ROWS)))
        first = histories.first_day
        after, *before = histories.at([float(today), *starts.astype(np.float64)])
        parts, came = [], []
        for start, known in zip(starts, before, strict=True):
            buyers = first < start
            parts.append({name: values[buyers] for name, values in known.items()})
            came.append((after["orders"] > known["orders"])[buyers])
            after = known
        names = tuple(after)
        return cls(
            {name: np.concatenate([np.zeros(0), *(p[name] for p in parts)]) for name in names},
            np.repeat(starts.astype(np.float64), [len(part) for part in came]),
            np.concatenate([np.zeros(0, dtype=np.bool_), *came]),
        )

    def every(self, step: int) -> Periods:
        """Return every ``step``-th row."""
        part = {name: values[::step] for name, values in self.aggregates.items()}
        return Periods(part, self.start[::step], self.came[::step])


@dataclass(frozen=True)
class Hazard:
    """P(an order within a period), over the periods of a horizon.

    Parameters
    ----------
    trees
        Log odds of an order, from :data:`COLUMNS` at the start of a period.
    histories
        Evaluate the columns.
    horizon_days
        Horizon in days.
    """

    trees: Boosted
    histories: Histories
    horizon_days: int

    def log_odds(self, aggregates: Mapping[str, Array], as_of_day: Array | float) -> Array:
        """Return the log odds of no purchase in the horizon from a day on, shape (rows,)."""
        number, length = periods_of(self.horizon_days)
        log_none = np.zeros(len(aggregates["orders"]))
        for period in range(number):
            ahead = self.histories.columns(aggregates, as_of_day + float(period * length))
            log_none -= np.logaddexp(0.0, self.trees.raw(ahead))
        log_none *= self.horizon_days / (number * length)
        with np.errstate(divide="ignore"):
            odds = log_none - np.log(-np.expm1(log_none))
        return np.clip(odds, -MAX_LOG_ODDS, MAX_LOG_ODDS)


def fit_periods(periods: Periods, histories: Histories, horizon_days: int, seed: int) -> Hazard:
    """Return the hazard that rows of customers and periods teach."""
    rows = len(periods.came)
    trees = boosting.fit(
        histories.columns(periods.aggregates, periods.start),
        COLUMNS,
        periods.came.astype(np.float64),
        np.ones(rows),
        "binary",
        trees=TREES,
        seed=seed,
        min_data_in_leaf=int(np.clip(rows / 500, 20, 400)),
        **HAZARD,
    )
    return Hazard(trees, histories, horizon_days)


def rolled_out(hazard: Hazard, periods: Periods, as_of_day: float, seed: int) -> Boosted:
    """Return trees of the log odds of a hazard over the horizon, from the columns at its start.

    They learn from customers as they are at the as_of, as they will be after more silence, and as
    they were at the start of past periods.
    """
    histories = hazard.histories
    sample = histories.every(max(1, -(-len(histories) // SAMPLE_NOW)))
    (now,) = sample.at([as_of_day])
    past = periods.every(max(1, -(-len(periods.start) // SAMPLE_PAST)))
    silences = [as_of_day + share * hazard.horizon_days for share in (0.0, 0.5)]
    rows = [*((now, np.full(len(sample), day)) for day in silences), (past.aggregates, past.start)]
    columns = [histories.columns(*row) for row in rows]
    target = np.concatenate([hazard.log_odds(*row) for row in rows])
    return boosting.fit(
        {name: np.concatenate([part[name] for part in columns]) for name in COLUMNS},
        COLUMNS,
        target,
        np.ones(len(target)),
        "regression",
        trees=TREES_ROLLED_OUT,
        seed=seed,
        **ROLLED_OUT,
    )


def fit_hazard(
    days: PurchaseDays, catalog: Catalog, as_of_day: float, horizon_days: int, seed: int
) -> Boosted | None:
    """Return trees of the log odds of no purchase within the horizon, by a hazard of periods.

    None where too few periods had an order, or were without one.

    Parameters
    ----------
    days
        The purchase days known at the as_of.
    catalog
        Of the columns that the trees are evaluated on, with its parameters set.
    as_of_day
        The as_of, days since 1970.
    horizon_days
        Horizon in days.
    seed
        Seed of LightGBM.
    """
    histories = Histories.of(days, catalog)
    _, length = periods_of(horizon_days)
    periods = Periods.of(histories, int(np.floor(as_of_day)), length)
    orders = int(periods.came.sum())
    if min(orders, len(periods.came) - orders) < FEWEST_OF_EACH:
        return None
    hazard = fit_periods(periods, histories, horizon_days, seed)
    return rolled_out(hazard, periods, as_of_day, seed)


def with_hazard(
    model: ChurnModel,
    days: PurchaseDays,
    catalog: Catalog,
    as_of: datetime,
    current: Mapping[str, Array],
    seed: int,
    settings: HazardSettings | None,
) -> ChurnModel:
    """Return the model with the hazard as a member, at the mean probability of the pool.

    The model is returned as it is where it is no pool of all members, or the hazard is left out or
    cannot be fitted.

    Parameters
    ----------
    model
        The pool with learned weights and its level.
    days
        The purchase days known at the as_of.
    catalog
        Of ``current``, with its parameters set.
    as_of
        The as_of.
    current
        Columns of the buyers at the as_of, or of a sample of them.
    seed
        Seed of LightGBM.
    settings
        Of the hazard; None leaves it out.
    """
    is_pool = model.method == "blend" and not model.few_customers and model.alone is None
    if settings is None or not is_pool:
        return model
    trees = fit_hazard(days, catalog, day_number(as_of), model.horizon_days, seed)
    shift = None if trees is None else keeping_level(model, trees, current, settings.weight)
    if trees is None or shift is None:
        return model
    rest = 1.0 - settings.weight
    weights = {name: rest * weight for name, weight in model.weights.items()}
    weights[NAME] = settings.weight
    return replace(
        model,
        # in the order in which a bundle stores them: sums of floats depend on it
        weights=dict(sorted(weights.items())),
        members={**model.members, NAME: HazardOdds(trees, shift)},
    )


def keeping_level(
    model: ChurnModel, trees: Boosted, current: Mapping[str, Array], weight: float
) -> float | None:
    """Return the shift of a hazard with which the mean probability stays that of the pool.

    None where no shift does that.

    Parameters
    ----------
    model
        The pool.
    trees
        Of the hazard.
    current
        Columns of the buyers at the as_of, or of a sample of them.
    weight
        Of the hazard.
    """
    pool = model.margin(current)
    others = (1.0 - weight) * (pool - model.level) + model.level
    odds = trees.raw(current)
    mean = float(expit(pool).mean())

    def gap(shift: float) -> float:
        clipped = np.clip(odds + shift, -MAX_LOG_ODDS, MAX_LOG_ODDS)
        return float(expit(others + weight * clipped).mean()) - mean

    limit = 2.0 * MAX_LOG_ODDS
    return float(brentq(gap, -limit, limit, xtol=1e-12)) if gap(-limit) < 0 < gap(limit) else None
