"""Design matrix of the linear models.

Each column is transformed (log where it is a positive quantity), clipped to the range of training,
imputed where it is null (with an indicator), expanded in a natural cubic spline or left linear, and
standardised.

Source: restricted cubic splines after Harrell (2015), "Regression Modeling Strategies", section
2.4.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.learners.compiled_terms import CompiledTerms, Term

FEW_ROWS = 64
"""Up to this many rows all terms are computed at once, at a tenth of the calls; beyond, each alone.
"""


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
        values = [columns[term.column] for term in self.terms]
        if values and len(values[0]) <= FEW_ROWS:
            return self.standardised(np.array(values, dtype=np.float64).T)
        expanded = zip(self.terms, values, strict=True)
        raw = np.column_stack([term.expand(column) for term, column in expanded])
        return np.asarray((raw - self.mean) / self.scale)

    def standardised(self, values: Array) -> Array:
        """Return the rows of the design, all terms computed at once; for a few rows.

        Parameters
        ----------
        values
            Value of each term's column, shape (rows, terms).
        """
        return np.asarray((self._compiled.expand(values) - self.mean) / self.scale)

    @cached_property
    def _compiled(self) -> CompiledTerms:
        return CompiledTerms.of(self.terms)

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
