"""Product-limit estimate of durations that are partly censored, and an upper bound of the chance
that a duration ends.

Source: Kaplan and Meier (1958), "Nonparametric estimation from incomplete observations".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from stagecast.features.arrays import Array, Integers

FEWEST_AT_RISK = 30
"""With fewer durations at risk than this, nothing is said of the chance that one of them ends."""

_Z = 1.6448536269514722  # 95 % quantile of the standard normal distribution

Durations = TypeVar("Durations", Array, Integers)


def survival(completed: Durations, still_open: Durations) -> tuple[Durations, Array]:
    """Return the product-limit estimate of P(duration > t).

    Parameters
    ----------
    completed, still_open
        Durations that ended, and durations that are still open (censored), in any unit. A duration
        that is open at the time at which another ends is still at risk then.

    Returns
    -------
    times
        The distinct completed durations, ascending.
    probability
        The estimate from each of them to the next, same shape.

    >>> times, probability = survival(np.array([2, 3]), np.array([2, 4]))
    >>> times.tolist(), probability.tolist()
    ([2, 3], [0.75, 0.375])
    """
    times, end_counts = np.unique(completed, return_counts=True)
    durations = np.sort(np.r_[completed, still_open])
    at_risk = len(durations) - np.searchsorted(durations, times, side="left")
    return times, np.asarray(np.cumprod(1 - end_counts / at_risk), dtype=np.float64)


@dataclass(frozen=True)
class Outlook:
    """How durations that have lasted some days go on; see :func:`outlook`.

    Parameters
    ----------
    probability
        Product-limit estimate of P(duration > t) for t = 0, 1, ... days.
    after
        Number of durations that are known to last beyond t, or that are open at t.
    effective
        Number of durations that t is known of, as if none had been censored before: ``after`` over
        ``probability``; it never increases.
    ended
        Number of durations that ended by t.
    """

    probability: Array
    after: Integers
    effective: Array
    ended: Integers

    def chance_at_most(self, silence: Integers, span_days: int, least_days: float) -> Array:
        """Return a bound of P(a duration ends within a span | it has lasted so long).

        It is the upper end of the one-sided 95 % interval of Wilson (1927), with the effective
        sample size of Peto et al. (1977) in the place of the number of trials (Rothman 1978):
        unlike Greenwood's variance it is not zero where no duration has ended yet. The chance is
        observed for as long as at least half of those at risk are followed, and at least
        :data:`FEWEST_AT_RISK`. A shorter time than the span is extrapolated: the cumulative hazard
        grows as a power of time, with the upper 95 % bound of the exponent by which it grew from
        half of that time to its end, and never faster than at a constant hazard.

        Parameters
        ----------
        silence
            Durations so far in whole days, shape (n,), below ``len(self.after)``.
        span_days
            The span in days.
        least_days
            Shortest time in days that is extrapolated to the span.

        Returns
        -------
        numpy.ndarray
            Shape (n,); 1 where too few durations are at risk, or are followed for too short a time.

        Source: Peto et al. (1977), "Design and analysis of randomized clinical trials requiring
        prolonged observation of each patient II"; Rothman (1978), "Estimation of confidence limits
        for the cumulative probability of survival in life table analysis"; Wilson (1927).

        >>> curve = outlook(np.zeros(0), np.full(100, 365.0))
        >>> round(float(curve.chance_at_most(np.array([0]), 365, 90)[0]), 4)  # z^2 / (100 + z^2)
        0.0263
        """
        probability, at_risk = self.probability[silence], self.after[silence]
        followed = np.maximum(FEWEST_AT_RISK, at_risk / 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            needed = np.where(at_risk >= FEWEST_AT_RISK, followed / probability, np.inf)
            # rounding of the quotient must not end the time in which all are followed
            last = np.searchsorted(-self.effective, -needed * (1 - 1e-9), side="right") - 1
            end = np.clip(last, silence, silence + span_days)
            observed = np.where(at_risk >= FEWEST_AT_RISK, end - silence, 0)
            ended = 1 - self.probability[end] / probability
            bound = _wilson_upper(ended, self.effective[end] * probability)
            growth = (span_days / observed) ** self._growth(silence, end)
            over_span = 1 - (1 - bound) ** growth
        return np.where((observed > 0) & (observed >= least_days), over_span, 1.0)

    def _growth(self, start: Integers, end: Integers) -> Array:
        """Return the upper bound of the power of time with which the cumulative hazard grows.

        From the hazards A and B of the first and the second half of a time, with a and b durations
        that ended, the exponent is log2(1 + B / A); its variance by the delta method is
        (B / (A + B))^2 (1 / a + 1 / b) / ln(2)^2. It is at most 1, and 1 where no duration ended in
        one of the halves.
        """
        middle = start + (end - start) // 2
        first = -np.log(self.probability[middle] / self.probability[start])
        second = -np.log(self.probability[end] / self.probability[middle])
        a = self.ended[middle] - self.ended[start]
        b = self.ended[end] - self.ended[middle]
        deviation = second / (first + second) * np.sqrt(1 / a + 1 / b)
        bound = (np.log1p(second / first) + _Z * deviation) / np.log(2)
        return np.where((a > 0) & (b > 0), np.minimum(bound, 1.0), 1.0)


def outlook(completed: Array, still_open: Array) -> Outlook:
    """Return the product-limit estimate of durations, day by day.

    Parameters
    ----------
    completed, still_open
        Durations in days that ended, at the end of a day, and durations that are still open.
    """
    ends = np.ceil(completed).astype(np.int64)
    censored = np.floor(still_open).astype(np.int64)
    days = int(max(ends.max(initial=0), censored.max(initial=0))) + 1
    end_counts = np.bincount(ends, minlength=days)
    at_risk = (end_counts + np.bincount(censored, minlength=days))[::-1].cumsum()[::-1]
    after = np.asarray(at_risk - end_counts, dtype=np.int64)
    probability = np.cumprod(after / np.maximum(at_risk, 1))
    effective = np.zeros(days)
    np.divide(after, probability, out=effective, where=probability > 0)
    ended = np.asarray(end_counts.cumsum(), dtype=np.int64)
    return Outlook(probability, after, np.minimum.accumulate(effective), ended)


def _wilson_upper(share: Array, trials: Array) -> Array:
    """Return the upper end of Wilson's one-sided 95 % interval of a share."""
    z = _Z**2 / trials
    half_width = np.sqrt(share * (1 - share) * z + z**2 / 4)
    return np.asarray((share + z / 2 + half_width) / (1 + z))
