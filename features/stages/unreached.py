"""What a log is too short or too small to show of the stages: a sentence each."""

from __future__ import annotations

import math

from stagecast.features.engines.shop_gap import FEWEST_GAPS
from stagecast.features.stages.conditions import Clause
from stagecast.features.stages.scheme import Scheme
from stagecast.features.survival import FEWEST_AT_RISK


def unreached_sentences(scheme: Scheme) -> list[str]:
    """Return why nobody is called sleeping or lost, and which thresholds are assumed, if so.

    Parameters
    ----------
    scheme
        With its thresholds set.
    """
    used = {condition.bound for condition in scheme.conditions}
    never = {name for name in used if math.isinf(scheme.thresholds.get(name, 0.0))}
    sentences = []
    if assumed := sorted(scheme.assumed & used):
        sentences.append(
            f"The log has fewer than {FEWEST_GAPS} gaps between purchase days: the usual gap is "
            f"not known, and {' and '.join(assumed)} is assumed."
        )
    if "sleeping_ratio" in never:
        empty = [
            f"'{stage.title['en']}'"
            for stage in scheme.stages
            if any(_never_holds(clause, "sleeping_ratio") for clause in stage.rule)
        ]
        nobody = f"nobody is on {', '.join(empty)}" if empty else "nobody is sleeping"
        sentences.append(
            "However long a silence lasts, this log does not show that at most half of the "
            "customers order again within a year (upper 95 % bound, from at least "
            f"{FEWEST_AT_RISK} silences): {nobody}."
        )
    elif "lost_after_days" in never:
        sentences.append(
            "No silence in this log is long enough to call a customer lost (chance of an order "
            f"within a year below 5 %; upper 95 % bound, from at least {FEWEST_AT_RISK} "
            "silences): sleeping and lost cannot be told apart yet."
        )
    return sentences


def _never_holds(clause: Clause, never: str) -> bool:
    """Return whether a clause holds for nobody where a threshold is infinite."""
    return all(c.bound == never and c.operator in (">", ">=", "==") for c in clause.alternatives)
