"""Design matrix of the linear models.

Each column is transformed (log where it is a positive quantity), clipped to the range of training,
imputed where it is null (with an indicator), expanded in a natural cubic spline or left linear, and
standardised.

Source: restricted cubic splines after Harrell (2015), "Regression Modeling Strategies", section
2.4.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stagecast.features.arrays import Array


@dataclass(frozen=True)
class Term:
    """Transformation of one column into columns of the design.

    Parameters
    ----------
    column
        Name of the column.
    log
        Whether log(1 + value) is taken.
    knots
        Knots of a natural cubic spline on the transformed scale; empty for a linear term.
    low, high
        Range of training on the transformed scale, which values are clipped to.
    fill
        Replaces null, on the transformed scale.
    indicator
        Whether a column that marks null is added.
    """

    column: str
    log: bool
    knots: tuple[float, ...]
    low: float
    high: float
    fill: float
    indicator: bool

    @property
    def width(self) -> int:
        """Number of columns in the design."""
        return 1 + max(len(self.knots) - 2, 0) + int(self.indicator)

    def expand(self, values: Array) -> Array:
        """Return the term's columns, shape (rows, spline + linear + indicator)."""
        with np.errstate(invalid="ignore"):
            x = np.log1p(np.maximum(values, 0.0)) if self.log else values
        null = ~np.isfinite(x)
        x = np.where(null, self.fill, np.clip(x, self.low, self.high))
        parts = [x, *_natural_spline(x, self.knots)]
        if self.indicator:
            parts.append(null.astype(np.float64))
        return np.column_stack(parts)


def _natural_spline(x: Array, knots: Sequence[float]) -> list[Array]:
    """Return the nonlinear columns of a restricted cubic spline (linear beyond the outer knots)."""
    if len(knots) < 3:
        return []
    first, before, last = knots[0], knots[-2], knots[-1]
    scale = (last - first) ** 2

    def cube(knot: float) -> Array:
        above = np.maximum(x - knot, 0.0)
        return np.asarray(above * above * above)  # several times as fast as a power

    return [
        (
            cube(k)
            - cube(before) * (last - k) / (last - before)
            + cube(last) * (before - k) / (last - before)
        )
        / scale
        for k in knots[:-2]
    ]


@dataclass(frozen=True)
class Recipe:
    """Columns that a model uses: name -> (log, number of knots; 0 for linear)."""

    columns: Mapping[str, tuple[bool, int]]


@dataclass(frozen=True)
class Design:
    """Terms with the mean and scale of each column of the design, learned from training rows."""

    terms: tuple[Term, ...]
    mean: Array
    scale: Array

    def matrix(self, columns: Mapping[str, Array]) -> Array:
        """Return the standardised design matrix, shape (rows, columns).

        Raises
        ------
        KeyError
            A column of training is missing.
        """
        raw = np.column_stack([term.expand(columns[term.column]) for term in self.terms])
        return np.asarray((raw - self.mean) / self.scale)

    def to_json(self) -> dict[str, Any]:
        return {
            "terms": [
                {
                    "column": t.column,
                    "log": t.log,
                    "knots": list(t.knots),
                    "low": t.low,
                    "high": t.high,
                    "fill": t.fill,
                    "indicator": t.indicator,
                }
                for t in self.terms
            ],
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Design:
        terms = tuple(Term(**{**t, "knots": tuple(t["knots"])}) for t in data["terms"])
        return cls(
            terms,
            np.array(data["mean"], dtype=np.float64),
            np.array(data["scale"], dtype=np.float64),
        )
