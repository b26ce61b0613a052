"""How far the level of a new date lies from its prediction, for all customers of a log together.

A shop grows, shrinks, has its seasons: at one date nearly everybody brings more than was expected,
at another less. Dates that the models were fitted on hide it, since their level was fitted too. It
is learned where nobody had looked ahead: from the totals that the customer base of each past date,
fitted as at that date, expected, and from those that a whole training of the past expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.config import TrainConfig
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.panel import Frame
from stagecast.training.value.spans import Purchases

# Standard deviation of the log of what came over what was expected at new dates, among logs, and
# the number of dates that this counts as: measured on CDNOW, Online Retail II, a grocer's log and a
# simulated one.
USUAL_DRIFT: Final = 0.2
PRIOR_DATES: Final = 2.0
# In logs; a further level counts as this far.
FURTHEST: Final = 1.0


@dataclass(frozen=True)
class LevelError:
    """Error of a total: the log of what came over what was expected.

    Parameters
    ----------
    log_ratio
        The error, at most ``FURTHEST`` on either side.
    variance
        Its variance by the customers who happened to buy.
    """

    log_ratio: float
    variance: float = 0.0

    @classmethod
    def of(cls, outcome: Array, expected: Array) -> LevelError | None:
        """Return the error of the total of rows, shape (rows,) each; None where one is nothing."""
        observed, total = float(outcome.sum()), float(expected.sum())
        if not (observed > 0 and total > 0):
            return None
        variance = float(((outcome - expected * observed / total) ** 2).sum()) / observed**2
        return cls(float(np.clip(np.log(observed / total), -FURTHEST, FURTHEST)), variance)

    @property
    def square(self) -> float:
        """The squared error beyond chance."""
        return max(self.log_ratio**2 - self.variance, 0.0)

    def shrunk(self, drift: float) -> float:
        """Return the error in logs, shrunk towards 0 as chance makes it look larger."""
        return self.log_ratio * drift**2 / (drift**2 + self.variance)


def errors_of_bases(
    frames: Sequence[Frame],
    bases: Mapping[int, CustomerBase],
    purchases: Purchases,
    span: int,
    config: TrainConfig,
) -> list[LevelError]:
    """Return the errors of the customer base of each date, which saw nothing after its date.

    Parameters
    ----------
    frames
        The dates, ``span`` days or more before the as_of.
    bases
        Days before the as_of -> customer base of that date.
    purchases
        Every purchase day known at the as_of.
    span
        Days after each date that are looked at.
    config
        Settings of the training.
    """
    errors = []
    for frame in frames:
        base, rate = bases[frame.back], config.annual_discount
        per_order = base.spend_per_order(frame.columns)
        if per_order is None:
            continue
        expected = base.discounted_orders(span, frame.columns, rate) * per_order
        outcome = purchases.within(frame.customer, frame.back, 0, span, rate, money=True)
        errors.append(LevelError.of(np.maximum(outcome, 0.0), expected))
    return [error for error in errors if error is not None]


def drift_of(errors: Sequence[LevelError], dates: float, trained: float | None) -> float:
    """Return the standard deviation, in logs, of the level of a new date.

    Parameters
    ----------
    errors
        Errors of past dates, whose spans may overlap.
    dates
        As how many dates they count: the length from the first to the last day of their spans, in
        spans.
    trained
        Log of the total that came over the one that a whole training of the past expected, which
        counts as a date of its own; None: there was none.

    Notes
    -----
    The square root of the mean of the squared errors beyond chance and of that of other logs,
    weighted by numbers of dates.

    >>> drift_of([], 0.0, None)
    0.2
    """
    count, square = PRIOR_DATES, PRIOR_DATES * USUAL_DRIFT**2
    if errors:
        count += dates
        square += dates * float(np.mean([error.square for error in errors]))
    if trained is not None:
        count += 1.0
        chance = float(np.mean([error.variance for error in errors])) if errors else 0.0
        square += LevelError(float(np.clip(trained, -FURTHEST, FURTHEST)), chance).square
    return float(np.sqrt(square / count))
