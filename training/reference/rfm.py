"""Scores of recency, frequency and money (RFM), and the segment that they put a buyer in.

The score of a value is 1 plus the number of cuts that it is beyond, so that equal values share the
lowest score that any of them can have: with 87 % one-time buyers, one order is frequency 1 and
two orders are frequency 5. Cuts are quantiles of the buyers at the training (fifths unless
``[rfm]`` says otherwise), or the user's own limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.reference.rfm_settings import MEASURES, RfmSettings

SMALLER_IS_BETTER = frozenset({"recency_days"})
FIFTHS = 5
"""Number of scores on the scale of the segments."""


@dataclass(frozen=True)
class RfmScale:
    """Scores of one measure.

    Parameters
    ----------
    cuts
        Rising values between the scores, shape (scores - 1,).
    smaller_is_better
        Whether small values have high scores.
    own
        Whether the cuts are the user's own limits: a value on a limit has the better score then,
        and the lower one otherwise.
    """

    cuts: tuple[float, ...] = ()
    smaller_is_better: bool = False
    own: bool = False

    @property
    def scores(self) -> int:
        """Number of scores."""
        return len(self.cuts) + 1

    def score(self, values: Array) -> NDArray[np.int64]:
        """Return the score of each value, from 1 up to ``scores``, shape (n,)."""
        cuts = np.array(self.cuts)
        if self.smaller_is_better:
            beyond = np.searchsorted(cuts, values, side="left" if self.own else "right")
            return np.asarray(self.scores - beyond, dtype=np.int64)
        beyond = np.searchsorted(cuts, values, side="right" if self.own else "left")
        return np.asarray(1 + beyond, dtype=np.int64)

    def fifths(self) -> tuple[int, ...]:
        """Return the place of each score, lowest first, on the scale of segments, 1 to 5.

        The lowest score is 1 and the highest 5.
        """
        steps = max(self.scores - 1, 1)
        return tuple(
            1 + (2 * (FIFTHS - 1) * step + steps) // (2 * steps) for step in range(self.scores)
        )

    def to_json(self) -> dict[str, Any]:
        """Return the scale as plain data."""
        return {
            "cuts": list(self.cuts),
            "smaller_is_better": self.smaller_is_better,
            "own": self.own,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RfmScale:
        """Read what :meth:`to_json` returns."""
        return cls(tuple(data["cuts"]), data["smaller_is_better"], data["own"])


@dataclass(frozen=True)
class RfmScales:
    """The scales of R, F and M of one training."""

    recency_days: RfmScale = field(default_factory=lambda: RfmScale(smaller_is_better=True))
    orders: RfmScale = field(default_factory=RfmScale)
    spend: RfmScale = field(default_factory=RfmScale)

    def to_json(self) -> dict[str, Any]:
        """Return the scales as plain data."""
        return {name: getattr(self, name).to_json() for name in MEASURES}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RfmScales:
        """Read what :meth:`to_json` returns."""
        return cls(**{name: RfmScale.from_json(data[name]) for name in MEASURES})


def learn_scales(
    features: Mapping[str, Array], buyers: NDArray[np.bool_], settings: RfmSettings
) -> RfmScales:
    """Return the scales of a snapshot.

    Parameters
    ----------
    features
        ``recency_days``, ``orders`` and ``spend``, shape (n_rows,) each.
    buyers
        Rows that the quantiles are taken over, shape (n_rows,).
    settings
        Number of scores, or limits.
    """
    scales = {}
    for name in MEASURES:
        own, smaller = getattr(settings, name), name in SMALLER_IS_BETTER
        cuts = own or _quantiles(features[name][buyers], settings.bins, smaller=smaller)
        scales[name] = RfmScale(cuts, smaller, bool(own))
    return RfmScales(**scales)


def _quantiles(values: Array, bins: int, *, smaller: bool) -> tuple[float, ...]:
    """Return cuts such that a score is 1 + floor(bins x share of the buyers with a worse value)."""
    values = values[np.isfinite(values)]
    if not len(values):
        return (0.0,) * (bins - 1)
    sign = -1.0 if smaller else 1.0
    shares = np.arange(1, bins) / bins
    cuts = sign * np.quantile(sign * values, shares, method="inverted_cdf")
    return tuple(float(cut) for cut in np.sort(cuts))


@dataclass(frozen=True)
class Segment:
    """An RFM segment: a range of recency and one of frequency, both on a scale of 1 to 5."""

    name: str
    recency: tuple[int, int]
    frequency: tuple[int, int]

    def holds(self, recency: int, frequency: int) -> bool:
        """Return whether a buyer with these scores, 1 to 5, belongs to the segment."""
        return (
            self.recency[0] <= recency <= self.recency[1]
            and self.frequency[0] <= frequency <= self.frequency[1]
        )

    @property
    def definition(self) -> str:
        """The ranges in words.

        >>> Segment("champions", (5, 5), (4, 5)).definition
        'R 5, F 4 or 5'
        """
        return f"R {_range(*self.recency)}, F {_range(*self.frequency)}"


def _range(low: int, high: int) -> str:
    if low == high:
        return str(low)
    return f"{low} or {high}" if high == low + 1 else f"{low} to {high}"


SEGMENTS = (
    Segment("champions", (5, 5), (4, 5)),
    Segment("loyal customers", (3, 4), (4, 5)),
    Segment("potential loyalists", (4, 5), (2, 3)),
    Segment("new customers", (5, 5), (1, 1)),
    Segment("promising", (4, 4), (1, 1)),
    Segment("need attention", (3, 3), (3, 3)),
    Segment("about to sleep", (3, 3), (1, 2)),
    Segment("cannot lose them", (1, 2), (5, 5)),
    Segment("at risk", (1, 2), (3, 4)),
    Segment("hibernating", (1, 2), (1, 2)),
)
"""The segments; each pair of scores belongs to exactly one."""


def rfm_segment(recency: int, frequency: int) -> str:
    """Return the RFM segment of scores of recency and frequency (1 to 5, 5 is best).

    >>> rfm_segment(5, 4), rfm_segment(1, 1)
    ('champions', 'hibernating')
    """
    return next(segment.name for segment in SEGMENTS if segment.holds(recency, frequency))


def segment_definition(name: str | None) -> str:
    """Return the scores that make a segment; empty for a name that is none.

    >>> segment_definition("champions"), segment_definition(None)
    ('R 5, F 4 or 5', '')
    """
    return next((segment.definition for segment in SEGMENTS if segment.name == name), "")
