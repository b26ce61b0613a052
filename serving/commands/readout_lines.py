"""What ``stagecast plan readout`` prints."""

from __future__ import annotations

from collections.abc import Sequence

from stagecast.features.intake.counted import counted
from stagecast.serving.jobs.readouts import PlanReadOut
from stagecast.serving.reports.shop_days import day_on
from stagecast.serving.targeting.plan.counts import WORDS, counts_of, title
from stagecast.serving.targeting.plan.pooled_results import PooledResults
from stagecast.serving.targeting.trial.intervals import Interval
from stagecast.serving.targeting.trial.readout import Measured
from stagecast.serving.targeting.trial.segments import Segment


def readout_lines(read: PlanReadOut) -> list[str]:
    """Return what a plan brought."""
    result, plan = read.result, read.plan
    state = "the window is over" if result.closed else "the window is still open"
    of_contracts = plan.proposal.get("churn") == "cancellation"
    lines = [
        f"Plan {plan.name!r}, {'contracts' if of_contracts else 'orders'} from "
        f"{day_on(read.clock, plan.starts_at)} to {day_on(read.clock, read.observed.until)} "
        f"({state})",
        f"{result.contacted:,} contacted, {result.held_out:,} held out; "
        f"{result.level:.0%} intervals.",
        "",
        f"{result.verdict.word}. {result.verdict.sentence}",
        "",
    ]
    who = title(counts_of(plan.proposal))
    for what, measured in ((who, result.buyers), ("extra money", result.money)):
        if measured is not None:
            lines += _measured(what, measured, result.closed)
    if result.capped is not None and result.closed:
        lines.append(
            f"  up to {result.capped.cap:,.0f} each: {_interval(result.capped.effect.total)} extra "
            "money, where no single customer decides"
        )
    lines.append(f"  cost              {result.cost:,.2f}")
    if result.net is not None:
        lines.append(f"  net of cost       {_interval(result.net)}")
    if result.gain_per_money is not None:
        lines.append(f"  per money spent   {_interval(result.gain_per_money)}")
    for by, segments in (
        ("play", result.by_play),
        ("stage", result.by_stage),
        ("band", result.by_band),
    ):
        lines += _segments(by, segments)
    return [*lines, *result.notes]


def results_lines(together: PooledResults) -> list[str]:
    """Return what several plans brought together."""
    number = len(together.plans)
    lines = [
        f"{counted(number, 'plan')} together: {', '.join(together.plans)}",
        f"{together.contacted:,} contacted, {together.held_out:,} held out; "
        f"{together.level:.0%} intervals.",
        "",
        f"  {title(together.counts):<17} {_interval(together.buyers)}",
    ]
    if together.money is not None:
        lines.append(f"  extra money       {_interval(together.money)}")
    lines.append(f"  cost              {together.cost:,.2f}")
    if together.net is not None:
        lines.append(f"  net of cost       {_interval(together.net)}")
    who = WORDS[together.counts]
    mean = together.mean_net or together.mean_buyers
    what = who if together.mean_net is None else "money after costs"
    lines += ["", f"Per contacted customer of such plans, {what}: {_interval(mean.mean)}"]
    if mean.next_plan is not None:
        low, high = mean.next_plan.low, mean.next_plan.high
        lines.append(f"The next such plan: {low:z,.2f} to {high:z,.2f}")
    if together.by_play:
        what = who if together.money is None else "money before costs"
        lines += ["", f"By play, extra {what}:"]
        lines += [
            f"  {part.play}: {_interval(part.total)}  ({part.contacted:,} contacted, "
            f"{counted(part.plans, 'plan')})"
            for part in together.by_play
        ]
    return [*lines, *together.notes]


def _measured(what: str, measured: Measured, closed: bool) -> list[str]:
    comparison = measured.comparison
    if not closed:
        if not measured.looks:
            return []
        total = measured.looks[-1].total
        return [f"  {what:<17} {_interval(total)}  (holds at any look)"]
    lines = [f"  {what:<17} {_interval(comparison.adjusted.total)}"]
    if comparison.narrower:
        width = "narrower" if comparison.narrower > 0 else "wider"
        lines.append(
            f"  {'':<17} {_interval(comparison.plain.total)} without the scores, whose use makes "
            f"the interval {abs(comparison.narrower):.0%} {width}"
        )
    else:
        lines.append(f"  {'':<17} the scores did not predict this, and were not used")
    return lines


def _interval(interval: Interval) -> str:
    return f"{interval.estimate:z,.2f} [{interval.low:z,.2f}, {interval.high:z,.2f}]"


def _segments(by: str, segments: Sequence[Segment]) -> list[str]:
    if len(segments) < 2:
        return []
    alone = [part for part in segments if part.alone is not None]
    small = [part.label for part in segments if part.alone is None]
    lines = [
        f"  {part.label}: {_interval(part.shrunk)}  ({part.contacted:,} contacted, "
        f"{part.held_out:,} held out)"
        for part in alone
    ]
    if small:
        lines.append(f"  too few customers to tell: {', '.join(small)}")
    return ["", f"By {by}, per contacted customer, shrunk to the whole:", *lines]
