"""Grades of leads by their points: none, MQL (marketing-qualified) or SQL (sales-qualified)."""

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
"""Least number of leads above a threshold whose conversion is used."""

_FORMS = 'a number of points, { best = 200 }, { share = "20%" } or { conversion = "10%" }'


@dataclass(frozen=True)
class GradeTarget:
    """Definition of a grade.

    Parameters
    ----------
    kind
        ``points`` (at least this many), ``best`` (this many leads), ``share`` (of the leads), or
        ``conversion`` (later).
    value
        The number; a fraction of 1 for ``share`` and ``conversion``.
    """

    kind: Kind
    value: float

    def toml(self) -> str:
        """Return the TOML value that :func:`parse_grade_target` reads."""
        value = int(self.value) if self.value == int(self.value) else self.value
        return f"{value!r}" if self.kind == "points" else f"{{ {self.kind} = {value!r} }}"


def parse_grade_target(entry: object, location: str) -> GradeTarget:
    """Return the definition of a grade in a TOML file.

    Raises
    ------
    UsageError
        ``entry`` has none of the four forms; the message names ``location``.

    >>> parse_grade_target({"share": "20%"}, "mql")
    GradeTarget(kind='share', value=0.2)
    """
    if not isinstance(entry, dict):
        return GradeTarget("points", _number(entry, location))
    if len(entry) != 1:
        raise UsageError(f"{location} is {entry!r}; write {_FORMS}")
    ((kind, value),) = entry.items()
    match kind:
        case "best":
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UsageError(
                    f"{location}: best is {value!r}, and must be a whole number of leads, at "
                    "least 1"
                )
            return GradeTarget("best", float(value))
        case "share" | "conversion":
            fraction = _fraction(value, f"{location}: {kind}")
            return GradeTarget("share" if kind == "share" else "conversion", fraction)
    raise UsageError(
        f"{location}: unknown '{kind}'; write "
        f"{_FORMS}.{did_you_mean(kind, ('best', 'share', 'conversion'))}"
    )


def grade_target_of_option(text: str, option: str) -> GradeTarget:
    """Return the definition of a grade in the value of a command line option.

    The forms are ``20``, ``best:200``, ``share:20%`` and ``conversion:10%``.

    Raises
    ------
    UsageError
        ``text`` has none of these forms.

    >>> grade_target_of_option("best:200", "--mql")
    GradeTarget(kind='best', value=200.0)
    """
    kind, colon, value = text.partition(":")
    if colon:
        return parse_grade_target(
            {kind.strip(): int(value) if value.strip().isdigit() and kind == "best" else value},
            option,
        )
    try:
        return parse_grade_target(float(text), option)
    except ValueError:
        raise UsageError(
            f"{option} '{text}': write points like 20, or best:200, share:20%, conversion:10%"
        ) from None


def _number(value: object, location: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{location} is {value!r}; write {_FORMS}")
    return float(value)


def _fraction(value: object, location: str) -> float:
    error = UsageError(
        f'{location} is {value!r}; write a part such as "20%" or 0.2, above 0 and at most 1'
    )
    if isinstance(value, str):
        try:
            fraction = float(value.strip().removesuffix("%")) / (
                100.0 if value.strip().endswith("%") else 1.0
            )
        except ValueError:
            raise error from None
    else:
        fraction = _number(value, location)
    if not 0 < fraction <= 1:
        raise error
    return fraction


@dataclass(frozen=True)
class Grades:
    """Least number of points of an MQL and of an SQL.

    Raises
    ------
    UsageError
        An SQL would need fewer points than an MQL.
    """

    mql: float
    sql: float

    def __post_init__(self) -> None:
        """Check that an SQL needs at least the points of an MQL."""
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
    target: GradeTarget,
    points: Array,
    past_points: Array | None = None,
    converted: NDArray[np.bool_] | None = None,
) -> float:
    """Return the least number of points of a grade.

    Parameters
    ----------
    target
        Definition of the grade.
    points
        Points of the leads to be graded, shape (n_leads,); NaN where there are none.
    past_points
        Points of the leads of a past date; needed for a conversion.
    converted
        Whether each of these had converted a horizon later.

    Returns
    -------
    float
        For ``best`` and ``share``: the lowest threshold with no more leads than that at or above
        it, or the highest points of all where more leads than that have them. For ``conversion``:
        the lowest threshold such that the leads at or above it converted at least that often.

    Raises
    ------
    NotEnoughDataError
        There are no leads or no past leads; or no :data:`FEWEST_LEADS` of them reach the
        conversion, in which case the message names the conversion that is reached.
    """
    if target.kind == "points":
        return target.value
    if target.kind == "conversion":
        if past_points is None or converted is None:
            raise NotEnoughDataError(
                f"a conversion of {target.value:.1%} is wanted, and no past date a "
                "horizon ago has leads to see it on; "
                "give the grade as points or as a volume"
            )
        return _by_conversion(target.value, past_points, converted)
    sorted_points = np.sort(points[np.isfinite(points)])[::-1]
    if not len(sorted_points):
        raise NotEnoughDataError(
            "there is no lead to take the best of; give the grade as points, or a later --as-of"
        )
    count = (
        int(target.value)
        if target.kind == "best"
        else int(target.value * len(sorted_points) + 1e-9)
    )
    if count >= len(sorted_points):
        return float(sorted_points[-1])
    # leads with as many points as the first that is too many are left out, too
    above = sorted_points[sorted_points > sorted_points[count]]
    return float(above[-1]) if len(above) else float(sorted_points[0])


def _by_conversion(target: float, points: Array, converted: NDArray[np.bool_]) -> float:
    known = np.isfinite(points)
    order = np.argsort(-points[known], kind="stable")
    limits, hits = points[known][order], np.cumsum(converted[known][order])
    leads = np.arange(1, len(limits) + 1)
    # a threshold includes all leads of equal points
    last_of_ties = (
        np.r_[limits[1:] < limits[:-1], True] if len(limits) else np.zeros(0, dtype=np.bool_)
    )
    usable = np.flatnonzero(last_of_ties & (leads >= FEWEST_LEADS))
    if not len(usable):
        raise NotEnoughDataError(
            f"a conversion of {target:.1%} is wanted, and {len(limits)} leads of the past "
            "are too few to see one (at "
            f"least {FEWEST_LEADS}); give the grade as points or as a volume"
        )
    rates = hits[usable] / leads[usable]
    reached = usable[rates >= target]
    if not len(reached):
        best = usable[int(np.argmax(rates))]
        raise NotEnoughDataError(
            f"no threshold has a conversion of {target:.1%}: the best is "
            f"{rates.max():.1%}, of {leads[best]} leads at "
            f"or above {limits[best]:g} points; ask for no more than that"
        )
    return float(limits[reached[-1]])
