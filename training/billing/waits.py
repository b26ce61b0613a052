"""How long it takes until something begins, which may also end without it.

A trial waits for its first payment, and may be cancelled before it. A former customer waits for the
first payment of another contract, which most never make. With the shares that have begun and that
are over by each day, as they would be without censoring (Aalen and Johansen 1978),

    P(begins within g days | waited u days)  =  (begun(u + g) - begun(u)) / (1 - begun(u) - over(u))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array

LONGEST: Final = 3650
"""Days of the longest wait that is told apart."""
BIN_EDGES: Final = (0, 7, 14, 31, 61, 91, 122, 183, 274, 365, 548, 730, 1095, 1460, 1825, LONGEST)
"""Days between which the hazard of a wait without an end is taken to be constant."""
SUPPOSED: Final = 0.2
"""Beginnings, at the hazard of all, that are supposed in each of these spans."""
_LEAST: Final = 1e-9


@dataclass(frozen=True)
class Wait:
    """Shares of what waits that have begun, and that are over without it, by day.

    Parameters
    ----------
    days
        Days waited, ascending from 0, shape (n,); in between the shares are linear.
    begun, over
        Shares by then, shape (n,) each.
    left
        Share that is supposed to wait on, and to begin no more, beside those that are seen to: who
        has waited longer than anybody before does not begin for sure.
    """

    days: tuple[float, ...]
    begun: tuple[float, ...]
    over: tuple[float, ...]
    left: float

    @property
    def ever(self) -> float:
        """P(it begins), from the first day."""
        return self.begun[-1]

    def begins(self, waited: Array, within: Array) -> Array:
        """Return P(it begins within so many days | waited), shapes that broadcast.

        >>> wait = Wait((0.0, 14.0), (0.0, 0.6), (0.0, 0.4), 0.0)
        >>> wait.begins(np.array([0.0, 7.0]), np.array([7.0, 7.0])).round(6).tolist()
        [0.3, 0.6]
        """
        begun, over = (np.interp(waited, self.days, share) for share in (self.begun, self.over))
        later = np.interp(waited + within, self.days, self.begun)
        rest = np.maximum(1.0 - begun - over + self.left, _LEAST)
        return np.asarray(np.minimum((later - begun) / rest, 1.0))

    def begins_unless_over(self, waited: Array, within: Array) -> Array:
        """Return P(it begins by each of some days | waited, and it will not be over without).

        What is over without it counts as not seen any longer, at hazards that are proportional to
        each other from one day to the next.

        Parameters
        ----------
        waited
            Days waited so far, shape (rows,).
        within
            Days ahead, ascending from 0, shape (days,).

        Returns
        -------
        array
            Shape (rows, days).

        >>> wait = Wait((0.0, 14.0, 400.0), (0.0, 0.6, 0.6), (0.0, 0.4, 0.4), 0.0)
        >>> wait.begins_unless_over(np.zeros(1), np.array([0.0, 14.0])).round(6).tolist()
        [[0.0, 1.0]]
        >>> wait = Wait((0.0, 1.0), (0.0, 0.1), (0.0, 0.0), 0.0)
        >>> wait.begins_unless_over(np.zeros(1), np.array([0.0, 1.0])).round(6).tolist()
        [[0.0, 0.1]]
        """
        at = waited[:, None] + within[None, :]
        begun, over = (np.interp(at, self.days, share) for share in (self.begun, self.over))
        rest = np.maximum(1.0 - begun - over + self.left, 0.0)
        before, begins = rest[:, :-1], np.diff(begun, axis=1)
        either = np.maximum(begins + np.diff(over, axis=1), _LEAST)
        stays = np.where(before > _LEAST, rest[:, 1:] / np.maximum(before, _LEAST), 1.0)
        waits_on = np.cumprod(stays ** (begins / either), axis=1)
        return np.column_stack([np.zeros(len(waited)), 1.0 - waits_on])

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        shares = {name: list(getattr(self, name)) for name in ("days", "begun", "over")}
        return {**shares, "left": self.left}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Wait:
        """Read what :meth:`to_json` returns."""
        days, begun, over = (
            tuple(float(value) for value in data[name]) for name in ("days", "begun", "over")
        )
        return cls(days, begun, over, float(data["left"]))


def by_day(waited: Array, begun: NDArray[np.bool_], over: NDArray[np.bool_]) -> Wait:
    """Return a wait by single days, as of trials, which begin and end on a few of them.

    Parameters
    ----------
    waited
        Days until it began, was over, or was seen last, shape (n,).
    begun, over
        Whether it began, and whether it was over without; neither: it still waits.
    """
    day = np.clip(np.floor(waited), 0, LONGEST).astype(np.int64)
    last = int(day[begun | over].max(initial=0)) + 1
    counts = [
        np.bincount(np.minimum(day[rows], last), minlength=last + 1)[: last + 1].astype(np.float64)
        for rows in (np.ones(len(day), dtype=np.bool_), begun, over)
    ]
    at_risk = counts[0][::-1].cumsum()[::-1]
    per_day = [count / np.maximum(at_risk, 1.0) for count in counts[1:]]
    waits_on = np.cumprod(1.0 - per_day[0] - per_day[1])
    before = np.r_[1.0, waits_on[:-1]]
    days = np.arange(last + 2.0)  # what happens on a day has happened at its end
    shares = [np.r_[0.0, np.cumsum(before * share)] for share in per_day]
    begins, ends = (tuple(share.tolist()) for share in shares)
    return Wait(tuple(days.tolist()), begins, ends, 1.0 / max(len(day), 1))


def by_hazard(waited: Array, begun: NDArray[np.bool_]) -> Wait:
    """Return a wait that is never over, from its hazard in spans of days that become longer.

    :data:`SUPPOSED` beginnings are added to each span, at the hazard of all.

    Parameters
    ----------
    waited
        Days until it began, or was seen last, shape (n,).
    begun
        Whether it began, shape (n,).
    """
    edges = np.array(BIN_EDGES, dtype=np.float64)
    exposed = np.diff(np.minimum(waited[:, None], edges), axis=1).sum(axis=0)
    position = np.clip(np.searchsorted(edges, waited[begun], side="right") - 1, 0, len(edges) - 2)
    events = np.bincount(position, minlength=len(edges) - 1).astype(np.float64)
    usual = (events.sum() + SUPPOSED) / max(float(exposed.sum()), 1.0)
    hazard = (events + SUPPOSED) / (exposed + SUPPOSED / usual)
    # what nobody has waited for is not known, and not supposed
    hazard = np.where(exposed > 0, hazard, 0.0)
    share = -np.expm1(-np.r_[0.0, np.cumsum(hazard * np.diff(edges))])
    # in between, the share that waits on falls exponentially: a few points are enough
    between = np.arange(len(edges) * 4 - 3) / 4.0
    days = np.interp(between, np.arange(len(edges)), edges)
    log_left = np.interp(days, edges, np.log1p(-share))
    shares = tuple((-np.expm1(log_left)).tolist())
    return Wait(tuple(days.tolist()), shares, (0.0,) * len(days), 0.0)
