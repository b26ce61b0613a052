"""Grades from A to D: log loss of the model against that of the best baseline.

The cut-offs are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stagecast.training.judging.evaluation_result import OURS, Letter
from stagecast.training.judging.verdict_result import Difference

CLEAR_GAIN = 0.02
"""Share of the best baseline's log loss that A asks for: 2 %."""
SLIGHT_GAIN = 0.005
"""Share of the best baseline's log loss that is more than a draw: half a per cent."""


@dataclass(frozen=True)
class Grade:
    """A letter, and the sentence that gives the reason for it."""

    letter: Letter
    sentence: str


NO_BASELINE = Grade(
    "C", "No baseline could be fitted on this log, so there is nothing to compare with."
)


def grade_period(log_loss: float, best_baseline: float | None) -> Grade:
    """Return the grade of a single later period.

    A: at least 2 % below the best baseline's log loss. B: at least half a per cent below it. C: no
    worse than half a per cent above it. D: worse.

    Parameters
    ----------
    log_loss, best_baseline
        Mean log losses; None where there is no baseline.
    """
    if best_baseline is None:
        return NO_BASELINE
    gain = 1.0 - log_loss / best_baseline
    if gain >= CLEAR_GAIN:
        return Grade(
            "A",
            f"Clearly better than every baseline: the log loss is {gain:.1%} below the best one's.",
        )
    if gain >= SLIGHT_GAIN:
        return Grade(
            "B", f"Better than every baseline: the log loss is {gain:.1%} below the best one's."
        )
    if gain >= -SLIGHT_GAIN:
        return Grade(
            "C",
            "As good as the best baseline, and no better: within half a per cent of its log loss.",
        )
    return Grade(
        "D",
        f"No better than a simple method on this period: the log loss is {-gain:.1%} "
        "above the best baseline's.",
    )


def grade_dates(log_loss: Mapping[str, float], against: Sequence[Difference]) -> Grade:
    """Return the grade of several dates, for which the differences from the baselines are known.

    A: at least 2 % below the best baseline's log loss, and the difference from each is beyond
    chance. B: at least half a per cent below it, or beyond chance. C: no worse than half a per cent
    above it, or within chance. D: worse.

    Parameters
    ----------
    log_loss
        Name of the method -> its mean log loss, for ours and each baseline.
    against
        Difference of our log loss from that of each baseline.
    """
    if not against:
        return NO_BASELINE
    best = min(against, key=lambda difference: log_loss[difference.name])
    gain = 1.0 - log_loss[OURS] / log_loss[best.name]
    all_beyond_chance = all(_is_below_zero(difference) for difference in against)
    worse_beyond_chance = best.low is not None and best.low > 0
    distance = (
        f"{abs(gain):.1%} {'below' if gain >= 0 else 'above'} that of {best.label}, "
        "the best of the others"
    )
    if gain >= CLEAR_GAIN and all_beyond_chance:
        return Grade(
            "A", f"Clearly better than every baseline: the log loss is {distance}, beyond chance."
        )
    if gain >= SLIGHT_GAIN or (gain > 0 and all_beyond_chance):
        by_chance = (
            "beyond chance"
            if _is_below_zero(best)
            else "which chance among customers could bring about"
        )
        return Grade("B", f"Better than every baseline: the log loss is {distance}, {by_chance}.")
    if gain >= -SLIGHT_GAIN:
        return Grade(
            "C", f"As good as the best baseline, and no better: the log loss is {distance}."
        )
    if not worse_beyond_chance:
        return Grade(
            "C",
            "No better than the best baseline, and within chance no worse: the log loss "
            f"is {distance}.",
        )
    return Grade(
        "D",
        f"No better than a simple method on these dates: the log loss is {distance}. "
        "Use that method.",
    )


def _is_below_zero(difference: Difference) -> bool:
    """Return whether the whole interval of a difference is below 0."""
    return difference.high is not None and difference.high < 0
