"""Whether the season explains that a model missed.

A model has the level of the season that it was trained for. In another season it misses, and one
that is trained today would miss in that season as well. The season explains a miss where

- what came is what came in the same days a year before, up to chance and what changes no decision,
- and the scores of the day of the training, the model's own season, held.

The second tells a model that is wrong all year round, which the season does not excuse. Both
compare outcomes that the model has not learned from, or has not said anything of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.monitoring.calibration import FEWEST, Compared, compared


@dataclass(frozen=True)
class Outcome:
    """What came of the customers who were active at a date.

    Parameters
    ----------
    left
        Whether they left within the horizon, shape (n,).
    spend
        Spend within it, shape (n,); None where there are no amounts.
    """

    left: NDArray[np.bool_]
    spend: Array | None = None


@dataclass(frozen=True)
class Season:
    """What came, against what the season brought a year before.

    Parameters
    ----------
    compared
        What would have come if as many had left, and each had spent as much, as in the same days a
        year before; and what came.
    own_season
        Scores of the day of the training, against what came.
    """

    compared: Compared
    own_season: Compared

    @property
    def explains_leaving(self) -> bool:
        """Whether as many left as the season lets expect, and the model held in its own season."""
        return not (self.compared.off or self.own_season.off)

    @property
    def explains_money(self) -> bool:
        """Whether so much money came, too."""
        known = self.compared.spend is not None and self.own_season.spend is not None
        return known and not (self.compared.money_off or self.own_season.money_off)


def season_of_outcomes(now: Outcome, same_days: Outcome, own_season: Compared) -> Season | None:
    """Return what the season explains; None with too few customers.

    Parameters
    ----------
    now
        At the date whose scores are held against what came.
    same_days
        A year before that date.
    own_season
        Scores of the day of the training, against what came.
    """
    count, before = len(now.left), len(same_days.left)
    if min(count, before, own_season.customers) < FEWEST:
        return None
    share = float(same_days.left.mean())
    # the share of a year before is one of a sample, too
    spread = math.sqrt(share * (1 - share) * (count + count**2 / before))
    said = spent = spend_spread = None
    if now.spend is not None and same_days.spend is not None:
        said, spent = count * float(same_days.spend.mean()), float(now.spend.sum())
        spend_spread = math.sqrt(
            count * float(now.spend.var()) + count**2 / before * float(same_days.spend.var())
        )
    return Season(
        compared(
            count,
            count * share,
            int(now.left.sum()),
            spread,
            spend_said=said,
            spend=spent,
            spend_spread=spend_spread,
        ),
        own_season,
    )
