"""How well the years of a log agree about its season."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Agreement:
    """How well the years of a log agree about its season.

    Parameters
    ----------
    variance
        Variance between years at the same time of the year, over that between the times of the
        year.
    freedom
        Degrees of freedom that it was measured with; 0: nothing is known.
    """

    variance: float = 0.0
    freedom: float = 0.0


UNKNOWN: Final = Agreement()
