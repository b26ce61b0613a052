"""Past dates and the contracts open at each, cut into steps: the rows that the hazards are fitted
on.

At a landmark one knows of each open contract what one would have known then; it is followed through
the steps of the horizon. A row is a contract at risk at the beginning of a step that was over
before the as_of, so censoring costs rows and biases nothing: a step that the as_of cuts would tell
of cancellations only, and is left out, cancelled or not. A cancellation counts from when it
happened, also at landmarks before it was recorded.

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

MOST_DATES = 30
MAX_ROWS = 50_000
"""Rows of landmarks, about: beyond these they are drawn, and weighted so that they stand for
all.
"""

OLDEST_DAYS = 1_096
"""Dates further back teach another shop."""

# Steps near a week, and no more of them than that.
_STEP_DAYS, _SHORTEST, _LONGEST, _MOST_STEPS = 7, 5, 10, 15


def step_days(horizon_days: int) -> int:
    """Return the length of a step: about a week, whole days, a part of the horizon where there is
    one.

    >>> [step_days(horizon) for horizon in (1, 7, 14, 30, 31, 90, 365)]
    [1, 7, 7, 6, 7, 6, 31]
    """
    if horizon_days <= _STEP_DAYS:
        return horizon_days
    parts = [
        s
        for s in range(_SHORTEST, _LONGEST + 1)
        if horizon_days % s == 0 and horizon_days // s <= _MOST_STEPS
    ]
    return (
        min(parts, key=lambda s: abs(s - _STEP_DAYS))
        if parts
        else max(_STEP_DAYS, -(-horizon_days // 12))
    )


def plan_backs(history_days: float, horizon_days: int) -> list[int]:
    """Return the past dates as whole days before the as_of, newest first.

    They stand at whole steps, the newest a step back, close together first and wider apart the
    older they are, where the history is longer than 30 steps.

    >>> plan_backs(40, 30)
    [6, 12, 18, 24, 30, 36]
    >>> plan_backs(2000, 30)[:4], plan_backs(2000, 30)[-3:], len(plan_backs(2000, 30))
    ([6, 12, 24, 36], [978, 1032, 1092], 30)
    """
    step = step_days(horizon_days)
    steps = int(min(history_days - 1e-9, OLDEST_DAYS) // step) if history_days > 0 else 0
    if steps <= MOST_DATES:
        return [step * (k + 1) for k in range(steps)]
    share = np.linspace(0.0, 1.0, MOST_DATES)
    power = max(1.0, np.log((steps - 1) / 1.0) / np.log(MOST_DATES - 1))
    chosen = np.unique(np.round(1 + (steps - 1) * share**power).astype(np.int64))
    return [int(step * k) for k in chosen]


@dataclass(frozen=True)
class Landmarks:
    """Contracts open at one date or several, each as it stood there.

    Parameters
    ----------
    at
        the date of each row, microseconds since 1970.
    back
        the same in whole days before the as_of.
    spell, customer
        rows of the :class:`~stagecast.features.contracts.Spells` and of its ``customers``.
    age_days
        days since the contract began.
    earlier_spells
        contracts that the customer had before.
    weight
        how many rows each stands for.
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
        """Return some of the rows."""
        return Landmarks(**{one.name: getattr(self, one.name)[rows] for one in fields(self)})

    def matched(self, back: Integers, customer: Integers) -> Integers:
        """Return for each row where it stands in a table with one row per date and customer, in any
        order.

        Parameters
        ----------
        back, customer
            Of the table: days before the as_of, and row of the customers. A customer has one
            contract open at a time.

        Raises
        ------
        UsageError
            The table lacks a date and customer of the landmarks.
        """
        wide = np.int64(1 + max(int(customer.max(initial=0)), int(self.customer.max(initial=0))))
        keys, wanted = back.astype(np.int64) * wide + customer, self.back * wide + self.customer
        order = np.argsort(keys, kind="stable")
        place = np.minimum(np.searchsorted(keys[order], wanted), max(len(keys) - 1, 0))
        missing = (
            np.flatnonzero(keys[order][place] != wanted) if len(keys) else np.arange(len(self))
        )
        if len(missing):
            lost = missing[0]
            raise UsageError(
                f"the table has no row for customer {self.customer[lost]}, "
                f"{self.back[lost]} days before the as_of "
                f"({len(missing):,} of {len(self):,} rows are missing); make it at all "
                "dates of Landmarks.backs"
            )
        return np.asarray(order[place], dtype=np.int64)


def current(spells: Spells) -> Landmarks:
    """Return the contracts that are open at the as_of: whom a prediction is for."""
    return _at(spells, 0)


def past(spells: Spells, horizon_days: int, seed: int = 0) -> Landmarks:
    """Return the contracts open at the past dates of :func:`plan_backs`, newest date first, then by
    spell.

    Parameters
    ----------
    seed
        Of the draw where there are more than :data:`MAX_ROWS`: half of the rows are contracts
        cancelled within the horizon, where there are as many, for these tell the most.
    """
    parts = [_at(spells, back) for back in plan_backs(spells.history_days, horizon_days)]
    rows = _joined(parts)
    if len(rows) <= MAX_ROWS:
        return rows
    cancelled = cancelled_within(spells, rows, horizon_days)
    hits = int(cancelled.sum())
    kept_hits = min(hits, max(MAX_ROWS // 2, MAX_ROWS - (len(rows) - hits)))
    shares = np.where(
        cancelled,
        kept_hits / max(hits, 1),
        min(1.0, (MAX_ROWS - kept_hits) / max(len(rows) - hits, 1)),
    )
    drawn = np.flatnonzero(np.random.default_rng(seed).random(len(rows)) < shares)
    return replace(rows.of(drawn), weight=1.0 / shares[drawn])


def standing(contracts: Contracts) -> Landmarks:
    """Return the contracts that are open, in the order of their customers; no spells belong to
    them.
    """
    rows = np.flatnonzero(contracts.open)
    none = np.full(len(rows), -1, dtype=np.int64)
    return Landmarks(
        np.full(len(rows), contracts.as_of, dtype=np.int64),
        np.zeros(len(rows), dtype=np.int64),
        none,
        rows,
        contracts.age_days[rows],
        contracts.earlier[rows],
        np.ones(len(rows)),
    )


def shares_cancelled(
    spells: Spells, landmarks: Landmarks, horizon_days: int
) -> list[tuple[int, int, float]]:
    """Return days before the as_of, contracts and the share cancelled of each date whose horizon
    is over.
    """
    cancelled = cancelled_within(spells, landmarks, horizon_days)
    found = []
    for back in landmarks.backs:
        here = landmarks.back == back
        weight = landmarks.weight[here]
        if back >= horizon_days:
            found.append(
                (
                    back,
                    round(float(weight.sum())),
                    float(weight @ cancelled[here]) / float(weight.sum()),
                )
            )
    return found


def cancelled_within(spells: Spells, landmarks: Landmarks, horizon_days: int) -> NDArray[np.bool_]:
    """Return which rows were cancelled within a horizon, as far as one has seen."""
    return np.asarray(spells.end[landmarks.spell] < landmarks.at + horizon_days * DAY_MICROSECONDS)


def _at(spells: Spells, back: int) -> Landmarks:
    at = spells.as_of - back * DAY_MICROSECONDS
    open_then = np.flatnonzero(spells.at_risk(at))
    rows = len(open_then)
    return Landmarks(
        np.full(rows, at, dtype=np.int64),
        np.full(rows, back, dtype=np.int64),
        open_then,
        spells.customer[open_then],
        spells.age_days(at, open_then),
        spells.earlier[open_then].astype(np.float64),
        np.ones(rows),
    )


def _joined(parts: list[Landmarks]) -> Landmarks:
    nothing = np.zeros(0, dtype=np.int64)
    empty = Landmarks(nothing, nothing, nothing, nothing, np.zeros(0), np.zeros(0), np.zeros(0))
    every = [empty, *parts]
    return Landmarks(
        **{
            one.name: np.concatenate([getattr(part, one.name) for part in every])
            for one in fields(empty)
        }
    )


@dataclass(frozen=True)
class Steps:
    """Contracts through steps, one row for each contract, landmark and step.

    Parameters
    ----------
    row
        row of the landmarks.
    ahead
        number of the step, 0 for the one that begins at the landmark.
    cancelled
        whether the contract was cancelled in it.
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
    """Return the steps that were over before the as_of, of contracts at risk at their beginning.

    Parameters
    ----------
    since, until
        Only landmarks at or after the one instant, and steps over by the other; microseconds since
        1970.
    """
    step = step_days(horizon_days) * DAY_MICROSECONDS
    last = spells.as_of if until is None else min(until, spells.as_of)
    end = spells.end[landmarks.spell]
    parts = []
    for k in range(-(-horizon_days * DAY_MICROSECONDS // step)):
        begin = landmarks.at + k * step
        seen = (begin + step <= last) & (end >= begin)
        rows = np.flatnonzero(seen if since is None else seen & (landmarks.at >= since))
        parts.append(Steps(rows, np.full(len(rows), k), end[rows] < begin[rows] + step))
    return Steps(
        np.concatenate([part.row for part in parts]),
        np.concatenate([part.ahead for part in parts]),
        np.concatenate([part.cancelled for part in parts]),
    )
