"""Landmarks: contracts open at past dates, and the steps of their horizons.

The columns of a contract at a landmark are those known at that date; the contract is followed
through the steps of the horizon. The hazards are fitted on one row per contract at risk at the
beginning of a step that ended before the as_of. A step that contains the as_of could only show
cancellations and is left out, cancelled or not, so that censoring costs rows but causes no bias. A
cancellation counts from when it happened, also at landmarks before it was recorded.

Source: van Houwelingen (2007), "Dynamic prediction by landmarking in event history analysis",
Scandinavian Journal of Statistics 34; rows by person and period after Singer and Willett (1993),
Journal of Educational Statistics 18.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import Contracts, Spells
from stagecast.features.errors import UsageError

MAX_DATES = 30
MAX_ROWS = 50_000
"""About how many landmark rows are used; of more, a weighted random sample is taken."""

OLDEST_DAYS = 1_096
"""Dates further back say little about the shop of today."""

# Length of a step in days: wanted, least and largest; and the largest number of steps.
_STEP_DAYS, _SHORTEST, _LONGEST, _MAX_STEPS = 7, 5, 10, 15


def step_days(horizon_days: int) -> int:
    """Return the length of a step in whole days: about a week, a divisor of the horizon if any.

    >>> [step_days(horizon) for horizon in (1, 7, 14, 30, 31, 90, 365)]
    [1, 7, 7, 6, 7, 6, 31]
    """
    if horizon_days <= _STEP_DAYS:
        return horizon_days
    lengths = [
        length
        for length in range(_SHORTEST, _LONGEST + 1)
        if horizon_days % length == 0 and horizon_days // length <= _MAX_STEPS
    ]
    return (
        min(lengths, key=lambda length: abs(length - _STEP_DAYS))
        if lengths
        else max(_STEP_DAYS, -(-horizon_days // 12))
    )


def plan_backs(history_days: float, horizon_days: int) -> list[int]:
    """Return the past dates as whole days before the as_of, newest first.

    They are multiples of the step, the newest one step back. Where the history is longer than 30
    steps, the distance between dates grows with their age.

    >>> plan_backs(40, 30)
    [6, 12, 18, 24, 30, 36]
    >>> plan_backs(2000, 30)[:4], plan_backs(2000, 30)[-3:], len(plan_backs(2000, 30))
    ([6, 12, 24, 36], [978, 1032, 1092], 30)
    """
    step = step_days(horizon_days)
    steps = int(min(history_days - 1e-9, OLDEST_DAYS) // step) if history_days > 0 else 0
    if steps <= MAX_DATES:
        return [step * (k + 1) for k in range(steps)]
    position = np.linspace(0.0, 1.0, MAX_DATES)
    power = max(1.0, np.log((steps - 1) / 1.0) / np.log(MAX_DATES - 1))
    step_numbers = np.unique(np.round(1 + (steps - 1) * position**power).astype(np.int64))
    return [int(step * k) for k in step_numbers]


@dataclass(frozen=True)
class Landmarks:
    """Contracts open at one or several dates, with their state at that date.

    Parameters
    ----------
    at
        Date of each row, microseconds since 1970, UTC; shape (n_rows,), as all arrays here.
    back
        Whole days from the date to the as_of.
    spell, customer
        Rows of the :class:`~stagecast.features.contracts.Spells` and of its ``customers``.
    age_days
        Days since the contract began.
    earlier_spells
        Number of earlier contracts of the customer.
    weight
        Number of rows that each row stands for.
    """

    at: Integers
    back: Integers
    spell: Integers
    customer: Integers
    age_days: Array
    earlier_spells: Array
    weight: Array

    def __len__(self) -> int:
        return len(self.at)

    @property
    def backs(self) -> list[int]:
        """The dates, as days before the as_of, newest first."""
        return [int(back) for back in np.unique(self.back)]

    def of(self, rows: Integers) -> Landmarks:
        """Return the landmarks of these rows."""
        return Landmarks(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def matched(self, back: Integers, customer: Integers) -> Integers:
        """Return the position of each row in a table with one row per date and customer.

        Parameters
        ----------
        back, customer
            Columns of the table, in any order of rows: days before the as_of, and row of the
            customers. A customer has one contract open at a time.

        Raises
        ------
        UsageError
            A date and customer of the landmarks is not in the table.
        """
        n_customers = np.int64(
            1 + max(int(customer.max(initial=0)), int(self.customer.max(initial=0)))
        )
        keys, row_keys = (
            back.astype(np.int64) * n_customers + customer,
            self.back * n_customers + self.customer,
        )
        order = np.argsort(keys, kind="stable")
        position = np.minimum(np.searchsorted(keys[order], row_keys), max(len(keys) - 1, 0))
        missing = (
            np.flatnonzero(keys[order][position] != row_keys) if len(keys) else np.arange(len(self))
        )
        if len(missing):
            first = missing[0]
            raise UsageError(
                f"the table has no row for customer {self.customer[first]}, "
                f"{self.back[first]} days before the as_of "
                f"({len(missing):,} of {len(self):,} rows are missing); make it at all "
                "dates of Landmarks.backs"
            )
        return np.asarray(order[position], dtype=np.int64)


def current(spells: Spells) -> Landmarks:
    """Return the contracts open at the as_of that predictions are made for: no end is known."""
    return _landmarks_at(spells, 0)


def past(spells: Spells, horizon_days: int, seed: int = 0) -> Landmarks:
    """Return the contracts open at the past dates of :func:`plan_backs`, newest date first.

    Of more than :data:`MAX_ROWS` rows a random sample is taken. Up to half of it are contracts
    cancelled within the horizon, which carry the most information.

    Parameters
    ----------
    spells
        All contracts, with their as_of.
    horizon_days
        Horizon of the prediction, in days.
    seed
        Seed of the sample.
    """
    parts = [_landmarks_at(spells, back) for back in plan_backs(spells.history_days, horizon_days)]
    rows = _joined(parts)
    if len(rows) <= MAX_ROWS:
        return rows
    cancelled = cancelled_within(spells, rows, horizon_days)
    hits = int(cancelled.sum())
    sampled_hits = min(hits, max(MAX_ROWS // 2, MAX_ROWS - (len(rows) - hits)))
    probability = np.where(
        cancelled,
        sampled_hits / max(hits, 1),
        min(1.0, (MAX_ROWS - sampled_hits) / max(len(rows) - hits, 1)),
    )
    sample = np.flatnonzero(np.random.default_rng(seed).random(len(rows)) < probability)
    return replace(rows.of(sample), weight=1.0 / probability[sample])


def open_contracts(contracts: Contracts) -> Landmarks:
    """Return the open contracts in the order of the rows, with -1 as their spells."""
    rows = np.flatnonzero(contracts.open)
    no_spell = np.full(len(rows), -1, dtype=np.int64)
    return Landmarks(
        np.full(len(rows), contracts.as_of, dtype=np.int64),
        np.zeros(len(rows), dtype=np.int64),
        no_spell,
        rows,
        contracts.age_days[rows],
        contracts.earlier[rows],
        np.ones(len(rows)),
    )


def shares_cancelled(
    spells: Spells, landmarks: Landmarks, horizon_days: int
) -> list[tuple[int, int, float]]:
    """Return days before the as_of, contracts and share cancelled of dates with a past horizon."""
    cancelled = cancelled_within(spells, landmarks, horizon_days)
    shares = []
    for back in landmarks.backs:
        at_date = landmarks.back == back
        weight = landmarks.weight[at_date]
        if back >= horizon_days:
            shares.append(
                (
                    back,
                    round(float(weight.sum())),
                    float(weight @ cancelled[at_date]) / float(weight.sum()),
                )
            )
    return shares


def cancelled_within(spells: Spells, landmarks: Landmarks, horizon_days: int) -> NDArray[np.bool_]:
    """Return which rows are known to have been cancelled within the horizon."""
    return np.asarray(spells.end[landmarks.spell] < landmarks.at + horizon_days * DAY_MICROSECONDS)


def _landmarks_at(spells: Spells, back: int) -> Landmarks:
    instant = spells.as_of - back * DAY_MICROSECONDS
    spell = np.flatnonzero(spells.at_risk(instant))
    count = len(spell)
    return Landmarks(
        np.full(count, instant, dtype=np.int64),
        np.full(count, back, dtype=np.int64),
        spell,
        spells.customer[spell],
        spells.age_days(instant, spell),
        spells.earlier[spell].astype(np.float64),
        np.ones(count),
    )


def _joined(parts: list[Landmarks]) -> Landmarks:
    no_rows = np.zeros(0, dtype=np.int64)
    empty = Landmarks(no_rows, no_rows, no_rows, no_rows, np.zeros(0), np.zeros(0), np.zeros(0))
    landmarks = [empty, *parts]
    return Landmarks(
        **{
            field.name: np.concatenate([getattr(item, field.name) for item in landmarks])
            for field in fields(empty)
        }
    )


@dataclass(frozen=True)
class Steps:
    """Contracts at risk in steps, one row per contract, landmark and step.

    Parameters
    ----------
    row
        Row of the landmarks.
    ahead
        Number of the step, 0 for the one that begins at the landmark.
    cancelled
        Whether the contract was cancelled in the step.
    """

    row: Integers
    ahead: Integers
    cancelled: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.row)


def steps_of(
    spells: Spells,
    landmarks: Landmarks,
    horizon_days: int,
    *,
    since: int | None = None,
    until: int | None = None,
) -> Steps:
    """Return the steps that ended before the as_of, of contracts at risk at their beginning.

    Parameters
    ----------
    spells
        All contracts, with their as_of.
    landmarks
        Contracts open at past dates.
    horizon_days
        Horizon of the prediction, in days.
    since
        Only landmarks at or after this instant, microseconds since 1970, UTC.
    until
        Only steps that ended by this instant, microseconds since 1970, UTC.
    """
    step = step_days(horizon_days) * DAY_MICROSECONDS
    cutoff = spells.as_of if until is None else min(until, spells.as_of)
    end = spells.end[landmarks.spell]
    parts = []
    for k in range(-(-horizon_days * DAY_MICROSECONDS // step)):
        begin = landmarks.at + k * step
        complete = (begin + step <= cutoff) & (end >= begin)
        rows = np.flatnonzero(complete if since is None else complete & (landmarks.at >= since))
        parts.append(Steps(rows, np.full(len(rows), k), end[rows] < begin[rows] + step))
    return Steps(
        np.concatenate([part.row for part in parts]),
        np.concatenate([part.ahead for part in parts]),
        np.concatenate([part.cancelled for part in parts]),
    )
