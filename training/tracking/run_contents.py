"""What a run holds, as plain data: it goes through a pipe to the process that logs it.

This module, ``client`` and ``runs`` import no models: the process starts without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stagecast.features.clock import iso, microseconds, parse_instant


@dataclass(frozen=True)
class DatedMetric:
    """A figure of one date.

    Parameters
    ----------
    as_of
        The date, whose outcomes gave the figure.
    step
        Position of the date, oldest first.
    """

    name: str
    value: float
    as_of: datetime
    step: int

    @property
    def milliseconds(self) -> int:
        """The date in milliseconds since 1970, UTC."""
        return microseconds(self.as_of) // 1000

    def to_json(self) -> list[Any]:
        """Return it as plain data."""
        return [self.name, self.value, iso(self.as_of), self.step]

    @classmethod
    def from_json(cls, data: Sequence[Any]) -> DatedMetric:
        """Read what :meth:`to_json` returns."""
        name, value, as_of, step = data
        return cls(str(name), float(value), parse_instant(as_of), int(step))


@dataclass(frozen=True)
class RunContents:
    """What a run holds of a training or a backtest.

    Parameters
    ----------
    name
        Of the run, for people.
    tags, parameters
        Texts by name.
    metrics
        Figures of single dates.
    overall
        Figures over all dates, by name; they are logged as ``all_NAME``.
    dates
        Each date that has a nested run, ISO 8601, with its figures.
    version_tags
        Tags of the version, where the run registers one.
    """

    name: str
    tags: Mapping[str, str]
    parameters: Mapping[str, str]
    metrics: Sequence[DatedMetric]
    overall: Mapping[str, float] = field(default_factory=dict)
    dates: Sequence[tuple[str, Sequence[DatedMetric]]] = ()
    version_tags: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "name": self.name,
            "tags": dict(self.tags),
            "parameters": dict(self.parameters),
            "metrics": [metric.to_json() for metric in self.metrics],
            "overall": dict(self.overall),
            "dates": [[date, [m.to_json() for m in metrics]] for date, metrics in self.dates],
            "version_tags": dict(self.version_tags),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunContents:
        """Read what :meth:`to_json` returns."""
        read = DatedMetric.from_json
        metrics = [read(row) for row in data["metrics"]]
        dates = [(date, [read(row) for row in rows]) for date, rows in data["dates"]]
        return cls(**{**data, "metrics": metrics, "dates": dates})
