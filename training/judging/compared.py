"""Which methods and dates of a backtest are compared: the same dates for every method.

A method can be lacking at a date, such as LightGBM where no past date has outcomes to learn from.
Left out at every date, a strong baseline would flatter ours for one young date; measured on the
dates that it has, it would be held against other dates than ours. So a date that lacks what most
dates have is not compared, and a method that most dates lack is left out. What is left out is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagecast.features.arrays import Array
from stagecast.features.clock import iso
from stagecast.training.baselines.buyers import SPEND_LABELS
from stagecast.training.churn_kinds import kind_of
from stagecast.training.judging.evaluation_result import OURS

if TYPE_CHECKING:
    from stagecast.training.judging.backtest import Replay

WHY = "no past date with both outcomes to learn from, or too few repeat purchases or cancellations"


@dataclass(frozen=True)
class Compared:
    """Positions of the dates that are compared, and names of the methods that all of them have."""

    dates: tuple[int, ...]
    methods: tuple[str, ...]


def compared(predictions: Sequence[Mapping[str, Array]]) -> Compared:
    """Return the dates and methods to compare.

    The methods are those of more than half of the dates, and the dates those that have all of
    these; where ours is lacking at a date, or half of the dates or fewer would be left, they are
    the methods that every date has, at all dates.

    Parameters
    ----------
    predictions
        Name of a method -> its predictions, for each date.

    >>> import numpy as np
    >>> p = np.zeros(1)
    >>> young, full = {"stagecast": p, "share": p}, {"stagecast": p, "share": p, "lightgbm": p}
    >>> compared([young, full, full])
    Compared(dates=(1, 2), methods=('stagecast', 'share', 'lightgbm'))
    >>> compared([young, full])
    Compared(dates=(0, 1), methods=('stagecast', 'share'))
    """
    count = len(predictions)
    names = list(dict.fromkeys(name for of_date in predictions for name in of_date))
    having = {name: [name in of_date for of_date in predictions] for name in names}
    most = tuple(name for name in names if 2 * sum(having[name]) > count)
    dates = tuple(k for k in range(count) if all(having[name][k] for name in most))
    if 2 * len(dates) > count and all(having.get(OURS, ())):
        return Compared(dates, most)
    return Compared(tuple(range(count)), tuple(name for name in names if all(having[name])))


def comparison_notes(replays: Sequence[Replay]) -> tuple[str, ...]:
    """Return which dates are not compared, which methods are left out, and why."""
    labels = {**SPEND_LABELS, **kind_of(replays[0].churn).baseline_labels, **replays[0].labels}
    lacking: dict[int, dict[str, None]] = {}
    rare: dict[int, dict[str, None]] = {}
    for predictions in (
        [replay.p_inactive for replay in replays],
        [replay.expected_spend for replay in replays],
    ):
        chosen = compared(predictions)
        for name in dict.fromkeys(name for of_date in predictions for name in of_date):
            without = [k for k, of_date in enumerate(predictions) if name not in of_date]
            if name not in chosen.methods:
                rare.setdefault(len(replays) - len(without), {})[labels.get(name, name)] = None
            for k in without if name in chosen.methods else ():
                lacking.setdefault(k, {})[labels.get(name, name)] = None
    return (
        *(
            f"as of {iso(replays[k].as_of)[:10]} there is no {_listed(list(names))} to compare "
            f"with ({WHY}): the grade and the figures of the methods are of the other dates"
            for k, names in sorted(lacking.items())
        ),
        *(
            f"left out of the comparison: {_listed(list(names), 'and')}, which only {having:,} of "
            f"the {len(replays):,} dates {'has' if having == 1 else 'have'} ({WHY})"
            for having, names in sorted(rare.items())
        ),
    )


def _listed(names: Sequence[str], last: str = "or") -> str:
    """Return names in a row.

    >>> _listed(["a"]), _listed(["a", "b", "c"])
    ('a', 'a, b or c')
    """
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
