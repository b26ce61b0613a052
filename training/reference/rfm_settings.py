"""How RFM scores are cut: ``[rfm]`` in ``stagecast.toml``, or :class:`RfmSettings`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from stagecast.features.errors import UsageError, did_you_mean

MEASURES = ("recency_days", "orders", "spend")
"""What R, F and M are scores of."""
FEWEST_BINS, MOST_BINS = 2, 9
QUINTILES = 5


@dataclass(frozen=True)
class RfmSettings:
    """How RFM scores are cut.

    Parameters
    ----------
    bins
        Number of scores of a measure without limits of its own, 2 to 9; 5 are quintiles.
    recency_days
        Days since the last purchase up to which a score is better by one, rising: ``(30, 90)``
        gives 3 up to 30 days, 2 up to 90, else 1. Empty: by quantiles.
    orders
        Purchase days from which a score is better by one, rising, above 1, so that one order
        has the score 1. Empty: by quantiles.
    spend
        Net spend from which a score is better by one, rising. Empty: by quantiles.

    Raises
    ------
    UsageError
        A value is out of its range, or limits do not rise.
    """

    bins: int = QUINTILES
    recency_days: tuple[float, ...] = ()
    orders: tuple[float, ...] = ()
    spend: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.bins, bool) or not isinstance(self.bins, int):
            raise UsageError(f"[rfm] bins = {self.bins!r} must be a whole number, like 5")
        if not FEWEST_BINS <= self.bins <= MOST_BINS:
            raise UsageError(
                f"[rfm] bins = {self.bins} must be between {FEWEST_BINS} and {MOST_BINS}: a score "
                "is one digit"
            )
        for name in MEASURES:
            limits = _limits(name, getattr(self, name))
            object.__setattr__(self, name, limits)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return {"bins": self.bins, **{name: list(getattr(self, name)) for name in MEASURES}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RfmSettings:
        """Read what :meth:`to_json` returns, or what stands under ``[rfm]``."""
        return cls(**data)


def rfm_from_toml(entries: object, where: str) -> RfmSettings:
    """Return the settings under ``[rfm]`` of a configuration.

    Parameters
    ----------
    entries
        Value of ``rfm`` in the parsed TOML file.
    where
        Name of the file, for error messages.

    Raises
    ------
    UsageError
        It is no table, has an unknown key, or a value that cannot be used.
    """
    known = [setting.name for setting in fields(RfmSettings)]
    if not isinstance(entries, Mapping):
        raise UsageError(f"{where}: rfm = {entries!r} must be a table [rfm] of {', '.join(known)}")
    if unknown := [key for key in entries if key not in known]:
        raise UsageError(
            f"{where}: [rfm] has no '{unknown[0]}', but {', '.join(known)}."
            f"{did_you_mean(unknown[0], known)}"
        )
    try:
        return RfmSettings.from_json(entries)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _limits(name: str, values: Any) -> tuple[float, ...]:
    wanted = f"must be up to {MOST_BINS - 1} rising numbers, like [2, 3, 5, 10]"
    if not isinstance(values, list | tuple) or len(values) >= MOST_BINS:
        raise UsageError(f"[rfm] {name} = {values!r} {wanted}")
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        raise UsageError(f"[rfm] {name} = {list(values)!r} {wanted}")
    limits = tuple(float(value) for value in values)
    rising = all(low < high for low, high in itertools.pairwise(limits))
    if not rising or not all(map(math.isfinite, limits)):
        raise UsageError(f"[rfm] {name} = {list(values)!r} {wanted}")
    if name == "orders" and limits and limits[0] <= 1:
        raise UsageError(
            f"[rfm] orders = {list(values)!r} must begin above 1: one order has the score 1"
        )
    return limits
