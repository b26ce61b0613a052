"""What is known of the customers of a campaign when it is read out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.errors import UsageError


@dataclass(frozen=True)
class DailyOutcomes:
    """Outcomes from the start of the window up to each look, such as each day so far.

    The looks must be those of a plan (each day, each week), whether or not anybody looked, up to
    now; the last one is what :class:`Outcomes` says.

    Parameters
    ----------
    elapsed
        Part of the planned window that has passed at each look, in (0, 1], shape (n_looks,).
    bought
        Whether each customer had bought by the look, shape (n, n_looks).
    spend
        Money spent up to the look, shape (n, n_looks); None where the log has no amounts.
    """

    elapsed: Array
    bought: NDArray[np.bool_]
    spend: Array | None = None


@dataclass(frozen=True)
class Outcomes:
    """The customers of a campaign, one element each, in any order.

    Parameters
    ----------
    customer_id
        Shape (n,).
    contacted
        Assigned arm, shape (n,): False for the held-out, whether or not a contact reached them.
    stratum
        Strata of the draw, shape (n,).
    play, stage, band
        Labels at freezing, shape (n,).
    bought
        Whether the customer bought in the window, shape (n,).
    expected_purchase
        P(purchase in the window) by the score at freezing, shape (n,).
    spend
        Money spent in the window, less refunds, shape (n,); None where the log has no amounts.
    expected_spend
        Expected spend in the window by the score at freezing, in money, shape (n,); None if
        unknown.
    daily
        The same up to each look; needed while the window is open.

    Raises
    ------
    UsageError
        Lengths differ, a customer is listed twice, a number is not finite, or the last look differs
        from the outcome.
    """

    customer_id: Sequence[str]
    contacted: NDArray[np.bool_]
    stratum: Sequence[str]
    play: Sequence[str]
    stage: Sequence[str]
    band: Sequence[str]
    bought: NDArray[np.bool_]
    expected_purchase: Array
    spend: Array | None = None
    expected_spend: Array | None = None
    daily: DailyOutcomes | None = None

    def __post_init__(self) -> None:
        n = len(self.customer_id)
        if len(set(self.customer_id)) != n:
            raise UsageError(
                f"{n - len(set(self.customer_id))} customers are listed more than once; add up "
                "the outcomes of each"
            )
        for name in ("contacted", "stratum", "play", "stage", "band", "bought"):
            _check_length(name, len(getattr(self, name)), n)
        for name in ("contacted", "bought"):
            if getattr(self, name).dtype != np.bool_:
                raise UsageError(
                    f"{name} is of type {getattr(self, name).dtype}; give true or false of each"
                )
        for name in ("expected_purchase", "spend", "expected_spend"):
            values = getattr(self, name)
            if values is not None:
                _check_length(name, len(values), n)
                _check_finite(name, values, self.customer_id)
        if self.daily is not None:
            self._check_daily(self.daily)

    def _check_daily(self, daily: DailyOutcomes) -> None:
        shape = (len(self.customer_id), len(daily.elapsed))
        for name, looks, last in (
            ("bought", daily.bought, self.bought),
            ("spend", daily.spend, self.spend),
        ):
            if (looks is None) != (last is None):
                raise UsageError(
                    f"{name} is known at the looks or at the end only; give both or none"
                )
            if looks is None or last is None:
                continue
            if looks.shape != shape or not shape[1]:
                raise UsageError(
                    f"{name} at the looks has the shape {looks.shape}, not {shape} of customers "
                    "and looks"
                )
            _check_finite(f"{name} at the looks", looks, self.customer_id)
            if not np.allclose(looks[:, -1], last):
                worst = int(np.argmax(~np.isclose(looks[:, -1], last)))
                raise UsageError(
                    f"customer {self.customer_id[worst]!r} has {name} {looks[worst, -1]} at the "
                    f"last look, but {last[worst]} in the outcome; read both out on the same day"
                )

    @property
    def stratum_codes(self) -> Integers:
        """Numbers of the strata in the order of their names, shape (n,)."""
        return np.unique(np.asarray(self.stratum, dtype=np.str_), return_inverse=True)[1]


def _check_length(name: str, length: int, customers: int) -> None:
    if length != customers:
        raise UsageError(f"{name} has {length} elements, but there are {customers} customers")


def _check_finite(name: str, values: NDArray[np.generic], customers: Sequence[str]) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        worst = int(np.argwhere(bad)[0][0])
        raise UsageError(
            f"{name} of customer {customers[worst]!r} is not a finite number; {int(bad.sum())} "
            "values are not. Give 0 for no purchase, and score every customer before freezing"
        )
