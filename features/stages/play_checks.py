"""Checks of the plays of a scheme together, before any log is read."""

from __future__ import annotations

from collections.abc import Sequence

from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.stages.plays import BANDS, CHURN, STATES, TEXTS, Comparison, Play


def check_plays(plays: Sequence[Play], stages: Sequence[str], where: str) -> None:
    """Check what the plays of a scheme say together.

    Parameters
    ----------
    plays
        In the order of the file.
    stages
        Ids of the stages of the scheme.
    where
        Place of the scheme, for error messages.

    Raises
    ------
    UsageError
        An id stands twice, a text is not one that its column can have, or no customer can have a
        play.
    """
    values = {"stage": tuple(stages), "state": STATES, "churn_band": BANDS, "churn": CHURN}
    ids = [play.id for play in plays]
    for play in plays:
        place = f"{where}, play '{play.id}'"
        if ids.count(play.id) > 1:
            raise UsageError(f"{place}: the id stands twice; give each play its own")
        for comparison in play.comparisons:
            known = values.get(comparison.column)
            if known is not None and comparison.bound not in known:
                raise UsageError(
                    f"{place}: condition '{comparison}': '{comparison.bound}' is none of "
                    f"{', '.join(known)}.{did_you_mean(comparison.bound, known)}"
                )
        _check_possible(play, place)
    for number, play in enumerate(plays):
        for earlier in plays[:number]:
            if set(earlier.when) <= set(play.when):
                raise UsageError(
                    f"{where}, play '{play.id}': nobody has it, because '{earlier.id}' before it "
                    "holds whenever it does; put it first, or change its conditions"
                )


def _check_possible(play: Play, place: str) -> None:
    """Raise an error if the clauses of one comparison contradict each other."""
    single = [clause[0] for clause in play.when if len(clause) == 1]
    for position, first in enumerate(single):
        for second in single[position + 1 :]:
            if first.column == second.column and _contradict(first, second):
                raise UsageError(
                    f"{place}: nobody has it: '{first}' and '{second}' never hold together"
                )


def _contradict(first: Comparison, second: Comparison) -> bool:
    if first.column in TEXTS:
        return first.bound != second.bound
    low, high = (first, second) if first.operator in (">", ">=") else (second, first)
    lower, upper = low.number, high.number
    if lower is None or upper is None:
        return False
    if low.operator in (">", ">=") and high.operator in ("<", "<=", "=="):
        touching = low.operator == ">=" and high.operator != "<"
        return lower > upper or (lower == upper and not touching)
    return first.operator == second.operator == "==" and lower != upper
