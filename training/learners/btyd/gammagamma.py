"""Gamma-Gamma: model of the mean spend per purchase of a customer.

A customer's purchases are Gamma(p, nu) and the rates nu are Gamma(q, v) over customers, independent
of how often they buy. The expectation is shrunk towards the population's mean, more so the smaller
x.

Source: Fader and Hardie (2013), "The Gamma-Gamma Model of Monetary Value".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaln

from stagecast.features.arrays import Array
from stagecast.features.intake.counted import counted
from stagecast.training.learners.btyd.stored import count, finite, positive, read_keys

_KEYS = ("p", "q", "v", "mean_spend", "log_likelihood", "customers")


@dataclass(frozen=True)
class GammaGamma:
    """One fitted Gamma-Gamma model.

    Parameters
    ----------
    p, q : float
        Shapes, without unit.
    v : float
        Scale, in the log's money.
    mean_spend : float
        Money per purchase over the repeaters it was fitted on, each weighted by x. It is used where
        the population has no finite mean (``q <= 1``).
    log_likelihood : float
        Over all repeaters.
    customers : int
        Number of repeaters it was fitted on.

    Raises
    ------
    ValueError
        A parameter that is not positive and finite.

    Examples
    --------
    >>> model = GammaGamma(6.2496, 3.7442, 15.4435, 35.0, -4055.918, 946)
    >>> model.expected_spend([2, 0], [22.35, 0.0]).round(2).tolist()
    [24.66, 35.17]
    """

    p: float
    q: float
    v: float
    mean_spend: float
    log_likelihood: float
    customers: int

    def __post_init__(self) -> None:
        for key in ("p", "q", "v", "mean_spend"):
            object.__setattr__(self, key, positive(key, getattr(self, key)))
        object.__setattr__(self, "log_likelihood", finite("log_likelihood", self.log_likelihood))
        object.__setattr__(self, "customers", count("customers", self.customers))

    def expected_spend(self, x: ArrayLike, monetary: ArrayLike) -> Array:
        """Return E[money per purchase | mean of x repeat purchases].

        Parameters
        ----------
        x : array_like
            Repeat purchase days.
        monetary : array_like, broadcasts with x
            Mean money per repeat purchase day; not read where x = 0.

        Returns
        -------
        array
            ``p (v + x monetary) / (p x + q - 1)``; where that is not finite and positive (``p x + q
            <= 1``, so a customer without repeat purchases under ``q <= 1``), ``mean_spend``.

        Raises
        ------
        ValueError
            x negative or not finite; monetary not positive and finite where x > 0.

        Notes
        -----
        Source: Fader and Hardie (2013), eq. 5.
        """
        x, monetary = np.broadcast_arrays(
            np.asarray(x, dtype=np.float64), np.asarray(monetary, dtype=np.float64)
        )
        bad = ~(np.isfinite(x) & (x >= 0)) | ((x > 0) & ~(np.isfinite(monetary) & (monetary > 0)))
        if bad.any():
            position = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"{counted(int(bad.sum()), 'customer')} without a possible spend, first at "
                f"position {position}: x={x.flat[position]:g}, "
                f"monetary={monetary.flat[position]:g}; x >= 0 and, where x > 0, "
                "monetary > 0 must hold"
            )
        denominator = self.p * x + self.q - 1.0
        usable = denominator > 0
        spent = np.where(x > 0, x * np.where(x > 0, monetary, 0.0), 0.0)
        return np.where(
            usable, self.p * (self.v + spent) / np.where(usable, denominator, 1.0), self.mean_spend
        )

    def log_likelihood_of(self, x: ArrayLike, monetary: ArrayLike) -> Array:
        """Return the log-density of each repeater's mean spend.

        Parameters
        ----------
        x, monetary : array_like
            Repeat purchase days and mean money per such day, both above 0.

        Raises
        ------
        ValueError
            One of them is not above 0 and finite.

        Notes
        -----
        Source: Fader and Hardie (2013), eq. 1a.
        """
        x, monetary = np.asarray(x, dtype=np.float64), np.asarray(monetary, dtype=np.float64)
        if not (
            np.all(np.isfinite(x) & (x > 0)) and np.all(np.isfinite(monetary) & (monetary > 0))
        ):
            raise ValueError(
                "x and monetary must be finite and above 0; leave customers without "
                "repeat purchase out"
            )
        return log_density(self.p, self.q, self.v, x, monetary)

    def to_json(self) -> dict[str, Any]:
        """Return the model as JSON values, which :meth:`from_json` reads back exactly."""
        return {key: getattr(self, key) for key in _KEYS}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        ValueError
            A key is missing or unknown, or a value is invalid; the message names the key.
        """
        return cls(*read_keys("Gamma-Gamma model", stored, _KEYS))


def log_density(p: float, q: float, v: float, x: Array, monetary: Array) -> Array:
    """Log-density of the mean spend over x purchases.

    Source: Fader and Hardie (2013), eq. 1a.
    """
    spent = x * monetary
    log_kernel = p * x * -np.log1p(v / spent) - q * np.log1p(spent / v)
    density: Array = log_kernel - np.log(monetary) - betaln(p * x, q)
    return density
