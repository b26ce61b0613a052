"""Terms of a design: the columns that one feature becomes, for a term alone and for all at once.

Both give the same bits: each number is the result of the same operations in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers


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
class CompiledTerms:
    """All terms of a design as arrays, to compute their columns at once.

    Parameters
    ----------
    log
        Whether log(1 + value) is taken, shape (terms,).
    low, high, fill
        See :class:`Term`, shape (terms,).
    cube_term, cube_knot
        Term and knot of each cube that a spline needs, shape (cubes,).
    own, before, last
        Cubes of the knot itself, of the last but one and of the last, shape (splines,).
    to_last, to_before, between, scale
        Distances of the knots, shape (splines,); see :func:`_natural_spline`.
    indicators
        Terms that mark null, shape (indicators,).
    places
        Column of the design of each term, spline and indicator, one after the other.
    """

    log: NDArray[np.bool_]
    low: Array
    high: Array
    fill: Array
    cube_term: Integers
    cube_knot: Array
    own: Integers
    before: Integers
    last: Integers
    to_last: Array
    to_before: Array
    between: Array
    scale: Array
    indicators: Integers
    places: Integers

    @classmethod
    def of(cls, terms: Sequence[Term]) -> CompiledTerms:
        """Return the terms as arrays."""
        cubes: list[tuple[int, float]] = []
        splines: list[tuple[int, int, int, float, float, float, float]] = []
        of_terms, of_splines, of_indicators, indicators = [], [], [], []
        column = 0
        for number, term in enumerate(terms):
            of_terms.append(column)
            column += 1
            knots = term.knots if len(term.knots) >= 3 else ()
            base = len(cubes)
            cubes += [(number, knot) for knot in knots]
            for position, knot in enumerate(knots[:-2]):
                first, before, last = knots[0], knots[-2], knots[-1]
                distances = last - knot, before - knot, last - before, (last - first) ** 2
                end = base + len(knots)
                splines.append((base + position, end - 2, end - 1, *distances))
                of_splines.append(column)
                column += 1
            if term.indicator:
                indicators.append(number)
                of_indicators.append(column)
                column += 1
        knots_of = np.array(splines, dtype=np.float64).reshape(-1, 7)
        own, before_last, last_cube = knots_of[:, :3].astype(np.int64).T
        to_last, to_before, between, scale = knots_of[:, 3:].T
        return cls(
            log=np.array([term.log for term in terms], dtype=np.bool_),
            low=np.array([term.low for term in terms], dtype=np.float64),
            high=np.array([term.high for term in terms], dtype=np.float64),
            fill=np.array([term.fill for term in terms], dtype=np.float64),
            cube_term=np.array([number for number, _ in cubes], dtype=np.int64),
            cube_knot=np.array([knot for _, knot in cubes], dtype=np.float64),
            own=own,
            before=before_last,
            last=last_cube,
            to_last=to_last,
            to_before=to_before,
            between=between,
            scale=scale,
            indicators=np.array(indicators, dtype=np.int64),
            places=np.argsort([*of_terms, *of_splines, *of_indicators]),
        )

    def expand(self, values: Array) -> Array:
        """Return the columns of all terms side by side, shape (rows, columns of the design).

        Parameters
        ----------
        values
            Value of each term's column, shape (rows, terms).
        """
        with np.errstate(invalid="ignore"):
            x = np.where(self.log, np.log1p(np.maximum(values, 0.0)), values)
        null = ~np.isfinite(x)
        x = np.where(null, self.fill, np.clip(x, self.low, self.high))
        above = np.maximum(x[:, self.cube_term] - self.cube_knot, 0.0)
        cube = above * above * above
        splines = (
            cube[:, self.own]
            - cube[:, self.before] * self.to_last / self.between
            + cube[:, self.last] * self.to_before / self.between
        ) / self.scale
        parts = [x, splines, null[:, self.indicators].astype(np.float64)]
        return np.concatenate(parts, axis=1)[:, self.places]
