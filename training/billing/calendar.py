"""Payments that are tied to a date of the year, whenever a contract began.

An association collects its fees in January, a theatre sells its season tickets in September: who
joins in between pays then, and not a year after joining. The date is the circular mean of the days
of the year of the second and later payments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array

YEAR: Final = 365.2425
"""Mean days of a year; day 0 is 1970-01-01."""


@dataclass(frozen=True)
class DueDate:
    """The date of the year on which contracts are paid.

    Parameters
    ----------
    day
        Days from the beginning of a year to the date, below :data:`YEAR`.
    covered
        Days before the date in which a first payment is taken to pay for the year that begins then.
    price
        What a later payment usually is, where first ones are only a part of it; None where they are
        whole.
    """

    day: float
    covered: float
    price: float | None = None

    def after(self, paid: Array, is_first: NDArray[np.bool_]) -> Array:
        """Return the day on which the payment after one is due, same shape.

        Parameters
        ----------
        paid
            Days of the payments, since 1970.
        is_first
            Whether each is the first of its contract: later ones belong to the date next to them.

        >>> DueDate(9.0, 10.0).after(np.array([100.0, 369.0]), np.array([True, False])).tolist()
        [374.2425, 739.485]
        """
        early = np.where(is_first, self.covered, YEAR / 2.0)
        years = np.floor((paid + early - self.day) / YEAR) + 1.0
        return np.asarray(self.day + years * YEAR)

    def to_json(self) -> dict[str, float]:
        """Return it as plain data."""
        price = {} if self.price is None else {"price": self.price}
        return {"day": self.day, "covered": self.covered, **price}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DueDate:
        """Read what :meth:`to_json` returns."""
        price = float(data["price"]) if "price" in data else None
        return cls(float(data["day"]), float(data["covered"]), price)
