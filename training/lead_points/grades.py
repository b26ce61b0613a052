"""The grades of a lead: none, MQL (marketing-qualified), SQL (sales-qualified), by thresholds on
its points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.errors import NotEnoughDataError, UsageError, did_you_mean

Kind = Literal["points", "best", "share", "conversion"]

NONE, MQL, SQL = "none", "MQL", "SQL"
FEWEST_LEADS = 30
"""Leads above a threshold that are needed before their conversion is believed."""

_WORDS = 'a number of points, { best = 200 }, { share = "20%" } or { conversion = "10%" }'


@dataclass(frozen=True)
class Wanted:
    """What a grade is to be: so many ``points``, the ``best`` leads, a ``share`` of them, or a
    later ``conversion``.

    ``share`` and ``conversion`` are parts of one.
    """

    kind: Kind
    value: float

    def toml(self) -> str:
        """Return it as :func:`parse_wanted` reads it."""
        value = int(self.value) if self.value == int(self.value) else self.value
        return f"{value!r}" if self.kind == "points" else f"{{ {self.kind} = {value!r} }}"


def parse_wanted(entry: object, where: str) -> Wanted:
    """Return what is wanted of a grade, as a configuration has it.

    Raises
    ------
    UsageError
        It is none of the four forms.

    >>> parse_wanted({"share": "20%"}, "mql")
    Wanted(kind='share', value=0.2)
    """
    if not isinstance(entry, dict):
        return Wanted("points", _number(entry, where))
    if len(entry) != 1:
        raise UsageError(f"{where} is {entry!r}; write {_WORDS}")
    ((kind, value),) = entry.items()
    match kind:
        case "best":
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UsageError(
                    f"{where}: best is {value!r}, and must be a whole number of leads, at least 1"
                )
            return Wanted("best", float(value))
        case "share" | "conversion":
            part = _part(value, f"{where}: {kind}")
            return Wanted("share" if kind == "share" else "conversion", part)
    raise UsageError(
        f"{where}: unknown '{kind}'; write "
        f"{_WORDS}.{did_you_mean(kind, ('best', 'share', 'conversion'))}"
    )


def wanted_of(text: str, option: str) -> Wanted:
    """Return what is wanted of a grade, as an option has it: ``20``, ``best:200``, ``share:20%``,
    ``conversion:10%``.

    Raises
    ------
    UsageError
        It is none of the four forms.

    >>> wanted_of("best:200", "--mql")
    Wanted(kind='best', value=200.0)
    """
    kind, colon, value = text.partition(":")
    if colon:
        return parse_wanted(
            {kind.strip(): int(value) if value.strip().isdigit() and kind == "best" else value},
            option,
        )
    try:
        return parse_wanted(float(text), option)
    except ValueError:
        raise UsageError(
            f"{option} '{text}': write points like 20, or best:200, share:20%, conversion:10%"
        ) from None


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{where} is {value!r}; write {_WORDS}")
    return float(value)


def _part(value: object, where: str) -> float:
    problem = UsageError(
        f'{where} is {value!r}; write a part such as "20%" or 0.2, above 0 and at most 1'
    )
    if isinstance(value, str):
        try:
            part = float(value.strip().removesuffix("%")) / (
                100.0 if value.strip().endswith("%") else 1.0
            )
        except ValueError:
            raise problem from None
    else:
        part = _number(value, where)
    if not 0 < part <= 1:
        raise problem
    return part


@dataclass(frozen=True)
class Grades:
    """Fewest points of an MQL and of an SQL.

    Raises
    ------
    UsageError
        An SQL would need fewer points than an MQL.
    """

    mql: float
    sql: float

    def __post_init__(self) -> None:
        """Check the order."""
        if not self.sql >= self.mql:
            raise UsageError(
                f"an SQL would begin at {self.sql:g} points, below an MQL at "
                f"{self.mql:g}: ask more of sql (a smaller "
                "volume, a higher conversion) than of mql"
            )

    def of(self, points: Array) -> NDArray[np.object_]:
        """Return ``none``, ``MQL`` or ``SQL`` for each lead; ``none`` where points are null.

        >>> Grades(20, 50).of(np.array([19.9, 20.0, 50.0, np.nan])).tolist()
        ['none', 'MQL', 'SQL', 'none']
        """
        names = np.array([NONE, MQL, SQL], dtype=object)
        return np.asarray(names[(points >= self.mql).astype(np.int64) + (points >= self.sql)])


def threshold(
    wanted: Wanted,
    points: Array,
    past_points: Array | None = None,
    converted: NDArray[np.bool_] | None = None,
) -> float:
    """Return the fewest points of a grade.

    Parameters
    ----------
    points
        Of the leads to be graded; NaN where there are none.
    past_points, converted
        Of the leads of a past date, and who of them had converted a horizon later; for a wanted
        conversion.

    Returns
    -------
    float
        For a volume: no more leads than wanted are at or above it, but where leads with the most
        points alone are more, those. For a conversion: the fewest points such that those at or
        above it converted at least so often.

    Raises
    ------
    NotEnoughDataError
        No lead to take the best of; no past leads; or the conversion is not reached by any
        :data:`FEWEST_LEADS` of them: the message says which is.
    """
    if wanted.kind == "points":
        return wanted.value
    if wanted.kind == "conversion":
        if past_points is None or converted is None:
            raise NotEnoughDataError(
                f"a conversion of {wanted.value:.1%} is wanted, and no past date a "
                "horizon ago has leads to see it on; "
                "give the grade as points or as a volume"
            )
        return _by_conversion(wanted.value, past_points, converted)
    known = np.sort(points[np.isfinite(points)])[::-1]
    if not len(known):
        raise NotEnoughDataError(
            "there is no lead to take the best of; give the grade as points, or a later --as-of"
        )
    most = int(wanted.value) if wanted.kind == "best" else int(wanted.value * len(known) + 1e-9)
    if most >= len(known):
        return float(known[-1])
    # the first that is too many; those with as many points stay out with it
    above = known[known > known[most]]
    return float(above[-1]) if len(above) else float(known[0])


def _by_conversion(wanted: float, points: Array, converted: NDArray[np.bool_]) -> float:
    known = np.isfinite(points)
    order = np.argsort(-points[known], kind="stable")
    limits, hits = points[known][order], np.cumsum(converted[known][order])
    leads = np.arange(1, len(limits) + 1)
    # a threshold takes in all leads of equal points
    whole = np.r_[limits[1:] < limits[:-1], True] if len(limits) else np.zeros(0, dtype=np.bool_)
    usable = np.flatnonzero(whole & (leads >= FEWEST_LEADS))
    if not len(usable):
        raise NotEnoughDataError(
            f"a conversion of {wanted:.1%} is wanted, and {len(limits)} leads of the past "
            "are too few to see one (at "
            f"least {FEWEST_LEADS}); give the grade as points or as a volume"
        )
    rates = hits[usable] / leads[usable]
    enough = usable[rates >= wanted]
    if not len(enough):
        best = usable[int(np.argmax(rates))]
        raise NotEnoughDataError(
            f"no threshold has a conversion of {wanted:.1%}: the best is "
            f"{rates.max():.1%}, of {leads[best]} leads at "
            f"or above {limits[best]:g} points; ask for no more than that"
        )
    return float(limits[enough[-1]])
