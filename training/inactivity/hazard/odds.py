"""The hazard as a member of the pool of P(no purchase): chances of an order, period by period.

The pool learns from customers at past dates, whose horizons are over. The hazard learns from every
period of about a week of every customer up to the as_of, so that it knows what came in the last
horizon, too, and how the chance of an order depends on the silence. How it is fitted:
:mod:`stagecast.training.inactivity.hazard.fitting`.

Its weight is fixed, not learned: on its own its level is that of all periods, which is wrong where
sales move with the season. At a small share, with the mean probability of the pool unchanged, it
changes the order of customers alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stagecast.features.arrays import Array
from stagecast.training.learners.boosted import Boosted

NAME = "hazard"
"""Name of the member in the pool and in a bundle."""


@dataclass(frozen=True)
class HazardOdds:
    """Log odds of no purchase within the horizon, by a hazard that was rolled out over it.

    Parameters
    ----------
    trees
        Give the log odds of the rolled-out hazard from columns of the catalogue.
    shift
        Is added to them, so that the mean probability of the pool is what it was without them.
    """

    trees: Boosted
    shift: float

    def margin(self, columns: Mapping[str, Array], threads: int = 0) -> Array:
        """Return the log odds, shape (rows,)."""
        return self.trees.raw(columns, threads) + self.shift

    def effects(
        self, columns: Mapping[str, Array], threads: int = 0
    ) -> Iterator[tuple[str, Array]]:
        """Yield the effect of each column on the log odds, shape (rows,).

        They add up to the difference from the mean log odds, as those of trees do.
        """
        yield from self.trees.effects(columns, threads)

    def to_json(self) -> dict[str, Any]:
        """Return the columns of the trees and the shift; their text is a file of its own."""
        return {"columns": list(self.trees.columns), "shift": self.shift}

    @classmethod
    def read(cls, data: Mapping[str, Any], text: str) -> HazardOdds:
        """Read what :meth:`to_json` returns, with the text of the trees.

        Raises
        ------
        KeyError, TypeError, ValueError
            ``data`` does not have that form, or LightGBM did not write the text on these columns.
        """
        return cls(Boosted.read(text, data["columns"]), float(data["shift"]))
