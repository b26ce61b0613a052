"""Grades from A to D: log loss of the model against that of the best baseline, beyond chance.

One later period and several dates are graded alike. Baselines always include the share that left
before, so there is always something to compare with. The cut-offs are ours, and all of them are
here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from stagecast.training.judging.evaluation_result import Difference, Letter, SpendFigures

CLEAR_GAIN = 0.02
"""Share of the best baseline's log loss that A asks for: 2 %."""
SLIGHT_GAIN = 0.005
"""Share of the best baseline's log loss that is more than a draw: half a per cent."""
DRAW = 0.001
"""Difference in log loss, in nats, up to which a worse model is a draw however sure it is: where
nearly all customers stay, a share of a tiny log loss says nothing."""
RANDOM_AUC, RANDOM_LIFT = 0.5, 1.0
"""AUC and lift at 10 % of a ranking by lot; below them a good log loss is contradicted."""
CALIBRATION_ERROR = 0.1
"""Mean gap between predicted and observed shares of tenths above which a good log loss is
contradicted, beyond the gap that chance makes in tenths of that many customers."""
BETTER_RANKING = 0.02
"""Gain in AUC on the best baseline from which a grade of C or D says that the level is off."""
WORSE_CALIBRATION = 0.05
"""Difference in calibration error from the best baseline that this asks for, too."""


class Figures(Protocol):
    """Figures of one method, such as those of an evaluation or of a backtest."""

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def log_loss(self) -> float: ...
    @property
    def auc(self) -> float | None: ...
    @property
    def calibration_error(self) -> float: ...
    @property
    def lift_10(self) -> float | None: ...


VALUE_TOTAL, VALUE_TOTAL_AT_MOST = 0.10, 0.25
"""Share by which a total of the value may be off for A or B, and for C."""
VALUE_ERROR = 0.05
"""Share of the best baseline's mean absolute error that ours may be above it for C."""


_CAPPED: Mapping[Letter, str] = {
    "B": "Better than every baseline",
    "C": "Better by the log loss alone",
}
"""Best letter that contradicting figures allow -> how the sentence begins instead."""


@dataclass(frozen=True)
class Grade:
    """A letter, and the sentence that gives the reason for it."""

    letter: Letter
    sentence: str


def grade(
    methods: Sequence[Figures],
    against: Sequence[Difference],
    customers: int,
    period: str,
    asked: str = "",
) -> Grade:
    """Return the grade of a model.

    A: at least 2 % below the best baseline's log loss, and the difference from each is beyond
    chance. B: below it beyond chance. C: no worse than half a per cent above it, or within chance.
    D: worse. An AUC below that of a lottery, or none since all customers did the same, allows no
    more than C; a lift below 1, or a calibration error above .1 beyond chance, no more than B; the
    sentence names them.

    Parameters
    ----------
    methods
        The model first, then the baselines, at least one.
    against
        Difference of our log loss from that of each baseline.
    customers
        Number of customers that the figures of one date are of.
    period
        What was compared, such as ``these dates``.
    asked
        Whom it was compared on, such as ``on the active``; empty for all.
    """
    ours, *baselines = methods
    best = min(baselines, key=lambda method: method.log_loss)
    letter, sentence = _by_log_loss(ours, best, against, period, f" {asked}" if asked else "")
    best_allowed, doubts = _doubts(ours, customers)
    if letter in ("A", "B") and doubts:
        start = _CAPPED[best_allowed]
        sentence = f"{start}{sentence[sentence.index(':') :]}"
        sentence += f" Other figures contradict it: {', '.join(doubts)}."
    elif letter in ("C", "D") and _ranks_better(ours, best):
        sentence += (
            f" It ranks better (AUC {ours.auc:.3f} against {best.auc:.3f}): what is off is the "
            f"level (calibration error {ours.calibration_error:.3f})."
        )
    return Grade(max(letter, best_allowed), sentence)


def _against(difference: float, label: str, draw: str = "the same as") -> str:
    """Return how a figure lies to that of the best of the others, in the digits that are shown.

    ``draw`` is said where they are the same in these.

    >>> _against(-0.012, "recency rule")
    '1.2% below that of recency rule, the best of the others'
    >>> _against(0.0004, "recency rule")
    'the same as that of recency rule, the best of the others'
    """
    share = f"{abs(difference):.1%}"
    side = "above" if difference > 0 else "below"
    distance = draw if share == "0.0%" else f"{share} {side}"
    return f"{distance} that of {label}, the best of the others"


def _off(predicted: float, actual: float) -> float:
    """Return by which share of what came a total is off; infinite where nothing came."""
    if actual > 0:
        return predicted / actual - 1.0
    return 0.0 if predicted == actual else math.inf


def _of_total(off: float) -> str:
    share = f"{abs(off):.0%}"
    return (
        "within half a per cent of what came"
        if share == "0%"
        else f"{share} {'above' if off > 0 else 'below'} what came"
    )


def _by_log_loss(
    ours: Figures, best: Figures, against: Sequence[Difference], period: str, asked: str
) -> tuple[Letter, str]:
    gain = 1.0 - ours.log_loss / best.log_loss if best.log_loss > 0 else 0.0
    from_best = next(difference for difference in against if difference.name == best.name)
    all_beyond_chance = all(_is_below_zero(difference) for difference in against)
    worse_beyond_chance = from_best.low is not None and from_best.low > 0
    distance = f"the log loss{asked} is {_against(-gain, best.label)}"
    if gain >= CLEAR_GAIN and all_beyond_chance:
        return "A", f"Clearly better than every baseline: {distance}, beyond chance."
    if gain > 0 and _is_below_zero(from_best):
        least = f"the log loss{asked} is {_against(-gain, best.label, '<0.1% below')}"
        return "B", f"Better than every baseline: {least}, beyond chance."
    if gain >= SLIGHT_GAIN:
        return "C", (
            f"Not better than the best baseline beyond chance: {distance}, which chance among "
            "customers could bring about."
        )
    if "the same as" in distance:
        return "C", f"As good as the best baseline, and no better: {distance}."
    if gain >= -SLIGHT_GAIN:
        return "C", f"Half a per cent apart or less, which counts as a draw: {distance}."
    if ours.log_loss - best.log_loss <= DRAW:
        return "C", f"{DRAW} nats apart or less, which counts as a draw: {distance}."
    if not worse_beyond_chance:
        return "C", (
            f"Worse than the best baseline, but not beyond chance: {distance}, which chance among "
            "customers could bring about."
        )
    return "D", f"No better than a simple method on {period}: {distance}. Use that method."


def _doubts(ours: Figures, customers: int) -> tuple[Letter, list[str]]:
    """Return the best letter that the other figures allow, and those that contradict a good one."""
    allowed: Letter = "A"
    doubts = []
    # mean absolute value of a normal error of the share of a tenth, at a share of one half
    by_chance = math.sqrt(2 / math.pi * 10 * 0.25 / max(customers, 1))
    if ours.calibration_error > CALIBRATION_ERROR + by_chance:
        allowed = "B"
        doubts.append(f"the calibration error is {ours.calibration_error:.3f}")
    if ours.lift_10 is not None and ours.lift_10 < RANDOM_LIFT:
        allowed = "B"
        doubts.append(f"the lift at 10 % is {ours.lift_10:.2f}, below that of a lottery")
    if ours.auc is None:  # as in a window in which nobody could buy
        allowed = "C"
        doubts.append("the customers all did the same")
    elif ours.auc < RANDOM_AUC:
        allowed = "C"
        doubts.append(f"the AUC is {ours.auc:.3f}, below that of a lottery")
    return allowed, doubts


def _ranks_better(ours: Figures, best: Figures) -> bool:
    if ours.auc is None or best.auc is None:
        return False
    return (
        ours.auc - best.auc >= BETTER_RANKING
        and ours.calibration_error - best.calibration_error >= WORSE_CALIBRATION
    )


def _is_below_zero(difference: Difference) -> bool:
    """Return whether the whole interval of a difference is below 0."""
    return difference.high is not None and difference.high < 0


def grade_value(figures: Sequence[SpendFigures]) -> Grade:
    """Return the grade of the value: mean absolute error and total, against the baselines.

    A: the error is below the best baseline's and the total within 10 %. B: one of both. C: the
    error is at most 5 % above the best baseline's and the total within 25 %. D: worse.

    Parameters
    ----------
    figures
        Ours first, then the baselines.
    """
    ours, baselines = figures[0], figures[1:]
    best = min(baselines, key=lambda row: row.mae)
    error = ours.mae / best.mae - 1.0 if best.mae > 0 else 0.0
    off = _off(ours.predicted_total, ours.actual_total)
    better, near = error <= 0, abs(off) <= VALUE_TOTAL
    total = (
        f"The total was {_of_total(off)}"
        if math.isfinite(off)
        else f"No money came, net of refunds, and {ours.predicted_total:,.2f} was expected"
    )
    sentence = f"{total}; the mean absolute error is {_against(error, best.label)}."
    if better and near:
        return Grade("A", sentence)
    if better or near:
        return Grade("B", sentence)
    if error <= VALUE_ERROR and abs(off) <= VALUE_TOTAL_AT_MOST:
        return Grade("C", sentence)
    return Grade("D", sentence)
