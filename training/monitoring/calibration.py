"""What was said of a group of customers against what came, and what chance explains."""

from __future__ import annotations

import math
from dataclasses import dataclass

NORMAL_95 = 1.959964
POINTS = 0.05
"""A share that is off by less, in shares of the customers, changes no decision."""
MONEY = 0.25
"""Money that came is off where it is more than this share below or above what was said."""
FEWEST = 20
"""Of a group of fewer customers nothing is concluded."""


@dataclass(frozen=True)
class Compared:
    """A group: expected and observed number of customers who left, and money.

    Parameters
    ----------
    customers
        Customers with a probability.
    said, left
        Expected number who leave, and the number who did.
    low, high
        Ends between which 95 % of draws of the outcomes lie where the probabilities are right.
    off
        Whether what came is beyond these ends, and by :data:`POINTS` of the customers or more.
    spend_said, spend
        Expected spend, and what came; None where there are no amounts.
    spend_low, spend_high
        The ends of what came as money, from the errors of the customers; None: not known.
    money_off
        Whether what was said is beyond these ends, and off by :data:`MONEY` or more.
    """

    customers: int
    said: float
    left: int
    low: float
    high: float
    off: bool
    spend_said: float | None = None
    spend: float | None = None
    spend_low: float | None = None
    spend_high: float | None = None
    money_off: bool = False

    @property
    def said_share(self) -> float | None:
        """Expected share who leave, 0 to 1."""
        return self.said / self.customers if self.customers else None

    @property
    def left_share(self) -> float | None:
        """Observed share who left, 0 to 1."""
        return self.left / self.customers if self.customers else None

    @property
    def money_ratio(self) -> float | None:
        """Money that came over what was said."""
        if self.spend is None or not self.spend_said:
            return None
        return self.spend / self.spend_said


def compared(
    customers: int,
    said: float,
    left: int,
    spread: float | None = None,
    *,
    spend_said: float | None = None,
    spend: float | None = None,
    spend_spread: float | None = None,
) -> Compared:
    """Compare what was said of a group with what came.

    Parameters
    ----------
    customers
        Customers with a probability.
    said, left
        Expected number who leave, and the number who did.
    spread
        Standard deviation of the number who leave if the probabilities are right, the root of the
        sum of p (1 - p). None: not known; then that of equal probabilities, which is the largest.
    spend_said, spend
        Expected spend, and what came.
    spend_spread
        Standard error of the sum of what came less what was said; None: not known.

    >>> compared(100, 30.0, 48).off, compared(100, 30.0, 36).off
    (True, False)
    """
    share = min(max(said / customers, 0.0), 1.0) if customers else 0.0
    spread = math.sqrt(customers * share * (1 - share)) if spread is None else spread
    low, high = said - NORMAL_95 * spread, said + NORMAL_95 * spread
    # a number is off where its next whole number is, too
    beyond = not low - 0.5 <= left <= high + 0.5
    off = customers >= FEWEST and beyond and abs(left - said) >= POINTS * customers
    spend_low = spend_high = None
    money_off = False
    if spend is not None and spend_said is not None and spend_spread is not None:
        spend_low, spend_high = (spend + s * NORMAL_95 * spend_spread for s in (-1, 1))
        apart = spend < (1 - MONEY) * spend_said or spend > (1 + MONEY) * spend_said
        money_off = customers >= FEWEST and apart and not spend_low <= spend_said <= spend_high
    return Compared(
        *(customers, said, left, max(low, 0.0), min(high, float(customers)), off),
        *(spend_said, spend, spend_low, spend_high, money_off),
    )
