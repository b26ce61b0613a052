"""Calendar of known occasions: campaigns, holidays, changes of price, past and to come.

An occasion has a kind, and the days on which it holds. What a kind does to the number of customers
who order, to their orders and to their spend is learned from past dates whose horizons hold more
or fewer of its days (:mod:`stagecast.training.learners.calendar_effects`). Future occasions are
those that are known in advance; nothing else of the future is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError, did_you_mean

_KEYS = ("kind", "from", "to", "name")


@dataclass(frozen=True)
class Occasion:
    """Days of a kind.

    Parameters
    ----------
    kind
        What it is, such as ``campaign``; occasions of one kind are taken to act alike.
    first, last
        First and last day, both included.
    """

    kind: str
    first: date
    last: date


@dataclass(frozen=True)
class Calendar:
    """Occasions, past and to come."""

    occasions: tuple[Occasion, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the occasions, in alphabetical order."""
        return tuple(sorted({occasion.kind for occasion in self.occasions}))

    def days(self, as_of: datetime, horizon_days: int) -> Array:
        """Return the days of each kind in ``[as_of, as_of + horizon)``, shape (kinds,).

        A day on which two occasions of a kind hold counts once.

        >>> sale = Occasion("sale", date(2024, 1, 30), date(2024, 2, 2))
        >>> Calendar((sale, sale)).days(datetime(2024, 2, 1), 30)
        array([2.])
        """
        start = as_of.date()
        end = start + timedelta(days=horizon_days)
        counts = []
        for kind in self.kinds:
            covered = np.zeros(horizon_days, dtype=np.bool_)
            for occasion in self.occasions:
                if occasion.kind == kind and occasion.first < end and occasion.last >= start:
                    first = max((occasion.first - start).days, 0)
                    covered[first : (occasion.last - start).days + 1] = True
            counts.append(float(covered.sum()))
        return np.array(counts)

    def shares(self, as_of: datetime, horizon_days: int) -> Array:
        """Return the share of the days of a horizon that each kind holds on, shape (kinds,)."""
        return self.days(as_of, horizon_days) / horizon_days

    def to_json(self) -> list[dict[str, str]]:
        """Return the occasions as plain data."""
        return [
            {"kind": o.kind, "from": o.first.isoformat(), "to": o.last.isoformat()}
            for o in self.occasions
        ]

    @classmethod
    def from_json(cls, data: list[Mapping[str, str]]) -> Calendar:
        """Read what :meth:`to_json` returns."""
        return cls(
            tuple(
                Occasion(
                    entry["kind"],
                    date.fromisoformat(entry["from"]),
                    date.fromisoformat(entry["to"]),
                )
                for entry in data
            )
        )


def calendar_from_toml(entries: object, file: str) -> Calendar:
    """Read ``[[calendar]]`` of a configuration.

    Each entry has a ``kind``, the day ``from`` which it holds, and the last day ``to`` (the first
    if it is left out); ``name`` is for the reader alone.

    Raises
    ------
    UsageError
        An entry that is not written so, with the file and its position.
    """
    if not isinstance(entries, list):
        raise UsageError(
            f"{file}: 'calendar' must be a list of tables: write [[calendar]] with kind, from, to"
        )
    return Calendar(
        tuple(_occasion(entry, f"{file}: [[calendar]] {k}") for k, entry in enumerate(entries, 1))
    )


def _occasion(entry: object, where: str) -> Occasion:
    if not isinstance(entry, dict):
        raise UsageError(f"{where} must be a table with kind, from and to, not {entry!r}")
    for key in entry:
        if key not in _KEYS:
            raise UsageError(f"{where}: unknown key '{key}'.{did_you_mean(str(key), _KEYS)}")
    kind = entry.get("kind")
    if not isinstance(kind, str) or not kind.strip():
        raise UsageError(f'{where}: kind is {kind!r}; it must be a text, such as "campaign"')
    if "from" not in entry:
        raise UsageError(f"{where}: 'from' is missing; write the first day, like 2024-11-29")
    first = _day(entry["from"], f"{where}: from")
    last = _day(entry.get("to", entry["from"]), f"{where}: to")
    if last < first:
        raise UsageError(f"{where}: to = {last} lies before from = {first}")
    return Occasion(kind.strip(), first, last)


def _day(value: Any, where: str) -> date:
    if isinstance(value, datetime):
        value = value.date()
    if isinstance(value, str):
        with suppress(ValueError):
            value = date.fromisoformat(value)
    if not isinstance(value, date):
        raise UsageError(f"{where} is {value!r}; write a day, like 2024-11-29")
    return value
