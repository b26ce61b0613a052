"""What ``stagecast plan learn`` prints."""

from __future__ import annotations

from stagecast.serving.commands.console import table
from stagecast.serving.targeting.learned.ranking import PlanRanking
from stagecast.training.uplift.estimate import Estimate

PER = 1_000


def learned_lines(learned: PlanRanking) -> list[str]:
    """Return which ranking is used and why, and how each was judged."""
    choice = learned.choice
    what = "money" if learned.depth is None else "buyers"
    lines = [
        f"Plan {learned.plan!r}: {learned.contacted:,} contacted, {learned.held_out:,} held out, "
        f"{learned.bought:,} ordered.",
        "",
        choice.reason,
    ]
    if choice.judged:
        rows = [["ranking", "contacted", f"{what} over random", "over nobody", "Qini"]]
        rows += [
            [j.name, f"{j.contacted:.0%}", *map(_words, (j.over_random, j.gain, j.qini))]
            for j in choice.judged
        ]
        lines += [
            "",
            f"Per {PER:,} customers of the list, with standard errors (the Qini in buyers):",
            *table(rows, {1, 2, 3, 4}),
        ]
    return [
        *lines,
        "",
        "This holds for customers like those of this plan, who were chosen for it; of whom it left "
        "out nothing is learned.",
    ]


def _words(estimate: Estimate) -> str:
    return f"{PER * estimate.value:+z.1f} ({PER * estimate.standard_error:.1f})"
