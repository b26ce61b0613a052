"""What is changed: churn, the time to the second order, the basket; alone and together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stagecast.features.errors import UsageError

LEAST_CHURN, MOST_CHURN = -0.9, 1.0
"""Changes of churn that are worked out, as shares."""
MOST_DAYS: Final = 300.0
"""Days by which the median second order is moved at most: it is looked for within a year."""
LEAST_BASKET, MOST_BASKET = -0.9, 10.0
TOGETHER: Final = "together"


class UnreachableError(UsageError):
    """The models cannot come to what a lever asks for."""


@dataclass(frozen=True)
class Levers:
    """What is changed; 0 changes nothing.

    Parameters
    ----------
    churn
        Change of the probability of leaving within the horizon, as a share: -0.05 is 5 % less.
    second_order_days
        Change of the median time to the second order of one-time buyers, in days: -10 is sooner.
    basket
        Change of the money per order, as a share.

    Raises
    ------
    UsageError
        A change that is too large to be worked out.
    """

    churn: float = 0.0
    second_order_days: float = 0.0
    basket: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges; NaN lies in none."""
        for name, value, low, high in (
            ("churn", self.churn, LEAST_CHURN, MOST_CHURN),
            ("basket", self.basket, LEAST_BASKET, MOST_BASKET),
        ):
            if not low <= value <= high:
                raise UsageError(
                    f"a change of {name} by {value:+.4g} is out of range; choose one from "
                    f"{low:+.0%} to {high:+.0%}"
                )
        if not abs(self.second_order_days) <= MOST_DAYS:
            raise UsageError(
                f"a second order moved by {self.second_order_days:+g} days is out of range; choose "
                f"at most {MOST_DAYS:.0f} days either way"
            )

    def alone(self) -> dict[str, Levers]:
        """Return each lever that changes something, by its name and change."""
        alone = {
            f"churn {100 * self.churn:+.6g}%": Levers(churn=self.churn),
            f"second order {self.second_order_days:+g}d": Levers(
                second_order_days=self.second_order_days
            ),
            f"basket {100 * self.basket:+.6g}%": Levers(basket=self.basket),
        }
        return {name: lever for name, lever in alone.items() if lever != Levers()}

    def scenarios(self) -> dict[str, Levers]:
        """Return each lever alone, and all together where there are several."""
        alone = self.alone()
        return alone if len(alone) < 2 else {**alone, TOGETHER: self}
