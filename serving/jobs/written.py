"""A table of all customers that was written: features, or scores on Spark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from stagecast.features.clock import iso


@dataclass(frozen=True)
class Written:
    """A table with one row per customer.

    Parameters
    ----------
    what
        What it holds, for people: ``features`` or ``scores``.
    out
        Where it stands.
    as_of
        Where its customers stand.
    customers
        Its number of rows.
    counts
        Of a log on Spark: rows that were read, loaded and refused, by name.
    warnings
        Of a log on Spark: sentences about what changes numbers.
    """

    what: str
    out: Path
    as_of: datetime
    customers: int
    counts: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "out": str(self.out),
            "as_of": iso(self.as_of),
            "customers": self.customers,
            **self.counts,
            **({"warnings": list(self.warnings)} if self.warnings else {}),
        }
