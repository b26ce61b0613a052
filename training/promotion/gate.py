"""The gate: whether a challenger replaces the champion, and every reason in words and numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import iso
from stagecast.features.plain_json import to_json
from stagecast.training.learners import metrics
from stagecast.training.promotion.intervals import Estimate, Sample, mean_difference
from stagecast.training.promotion.losses import DateLosses, Paired
from stagecast.training.promotion.rules import Rules

TENTHS = 10


@dataclass(frozen=True)
class Check:
    """One thing that a challenger must show.

    Parameters
    ----------
    name
        ``dates``, ``better``, ``segments``, ``calibration``, ``next_stage``, ``spend``, ``clv`` or
        ``time``; or why there was nothing to compare.
    passed
        Whether it did.
    sentence
        What was measured against what.
    numbers
        The same as numbers.
    """

    name: str
    passed: bool
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """Whether the challenger is promoted, and why.

    Parameters
    ----------
    promote
        Whether every check passed.
    checks
        All that was checked.
    look
        How many times this champion was challenged, this time included; 0 where nothing was
        compared, and no look is spent.
    level
        Error rate of this look.
    dates
        The dates that were compared, ISO 8601.
    """

    promote: bool
    checks: tuple[Check, ...]
    look: int = 0
    level: float | None = None
    dates: tuple[str, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why not, a sentence each; where it is promoted, what was better."""
        return tuple(c.sentence for c in self.checks if self.promote or not c.passed)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return to_json(self)


def refused(name: str, sentence: str) -> Decision:
    """Return the decision not to promote where nothing could be compared."""
    return Decision(False, (Check(name, False, sentence),))


def decide(
    dates: Sequence[DateLosses], horizon_days: int, rules: Rules | None = None, look: int = 1
) -> Decision:
    """Decide whether a challenger replaces its champion.

    Parameters
    ----------
    dates
        Losses of both at dates that neither has seen, oldest first.
    horizon_days
        Length of the horizons.
    rules
        What the challenger must show; None: the usual.
    look
        How many times the champion was challenged, this time included; see :meth:`Rules.level`.
    """
    rules = rules or Rules()
    enough = _enough(dates, rules)
    if not enough.passed:
        return Decision(False, (enough,), dates=tuple(iso(date.as_of) for date in dates))
    level = rules.level(look)
    checks = [enough, _better(dates, horizon_days, rules, level, look)]
    checks += [_segments(dates, horizon_days, rules), _calibrated(dates, rules)]
    for name, words, losses in _others(dates):
        checks.append(_no_worse(name, words, losses, dates, horizon_days, rules))
    checks.append(_in_time(dates, rules))
    return Decision(
        all(check.passed for check in checks),
        tuple(checks),
        look,
        level,
        tuple(iso(date.as_of) for date in dates),
    )


def _enough(dates: Sequence[DateLosses], rules: Rules) -> Check:
    usable = [date for date in dates if len(date.churn) >= rules.min_customers]
    numbers = {"dates": len(usable), "needed": rules.min_dates}
    if len(usable) >= rules.min_dates and len(usable) == len(dates):
        return Check("dates", True, f"compared on {len(dates)} dates that neither saw", numbers)
    if len(dates) >= rules.min_dates:
        fewest = min(len(date.churn) for date in dates)
        return Check(
            "dates",
            False,
            f"too few customers: {fewest} could leave at one of the dates, and "
            f"{rules.min_customers} are needed at each",
            numbers,
        )
    return Check(
        "dates",
        False,
        f"too few dates: {len(usable)} that neither saw, and {rules.min_dates} are needed; wait, "
        "or take a shorter horizon",
        numbers,
    )


def _better(
    dates: Sequence[DateLosses], horizon_days: int, rules: Rules, level: float, look: int
) -> Check:
    estimate, share = _relative([date.churn for date in dates], dates, horizon_days)
    high = estimate.bound(1.0 - level)
    passed = bool(high < 0.0 and share <= -rules.margin)
    direction = "better" if share < 0 else "worse"
    sentence = f"log loss of churn {abs(share):.2%} {direction} than the champion's"
    if passed:
        sentence += f" (at least {rules.margin:.2%} asked), beyond chance at look {look}"
    elif share > -rules.margin:
        sentence += f"; at least {rules.margin:.2%} better is asked"
    else:
        sentence += (
            f", which may be chance: at an error rate of {level:.2%} (look {look} at this "
            f"champion) the difference of {estimate.mean:+.4f} goes up to {high:+.4f}"
        )
    numbers = {"difference": estimate.mean, "high": high, "relative": share, "level": level}
    return Check("better", passed, sentence, numbers)


def _segments(dates: Sequence[DateLosses], horizon_days: int, rules: Rules) -> Check:
    rows = sum(len(date.churn) for date in dates)
    names = dict.fromkeys(name for date in dates for name in date.segments)
    worse, numbers, large = [], {}, 0
    for name in names:
        inside = [date.segments.get(name, np.zeros(len(date.churn), bool)) for date in dates]
        size = sum(int(mask.sum()) for mask in inside)
        if size < max(rules.segment_customers, rules.segment_share * rows):
            continue
        large += 1
        losses = [date.churn.of(mask) for date, mask in zip(dates, inside, strict=True)]
        estimate, share = _relative(losses, dates, horizon_days)
        numbers[name] = share
        if reason := _worse(estimate, share, rules):
            worse.append(f"{name} ({size / rows:.0%} of the customers) {share:+.1%}, {reason}")
    if worse:
        return Check("segments", False, f"worse on a large segment: {'; '.join(worse)}", numbers)
    return Check("segments", True, f"not worse on any of {large} large segments", numbers)


def _calibrated(dates: Sequence[DateLosses], rules: Rules) -> Check:
    champion = _excess([(date.left, date.p_champion) for date in dates])
    challenger = _excess([(date.left, date.p_challenger) for date in dates])
    passed = bool(challenger <= max(rules.calibration, champion))
    sentence = (
        f"predicted shares of churn are {challenger:.3f} off the observed ones beyond chance "
        f"(champion {champion:.3f}, at most {rules.calibration:.3f} asked)"
    )
    return Check("calibration", passed, sentence, {"challenger": challenger, "champion": champion})


def _excess(dates: Sequence[tuple[NDArray[np.bool_], Array]]) -> float:
    """Return the mean gap over tenths of the customers less what chance gives, mean over dates.

    The mean absolute deviation of a share of n customers is about sqrt(2 / pi) standard errors.
    """
    excess = []
    for left, p in dates:
        order = np.argsort(p, kind="stable")
        gaps = chance = 0.0
        for rows in np.array_split(order, TENTHS):
            if len(rows):
                weight = len(rows) / len(p)
                error = float(np.sqrt((p[rows] * (1.0 - p[rows])).sum())) / len(rows)
                gaps += weight * abs(float(left[rows].mean() - p[rows].mean()))
                chance += weight * float(np.sqrt(2.0 / np.pi)) * error
        excess.append(max(0.0, gaps - chance))
    return float(np.mean(excess))


def _others(dates: Sequence[DateLosses]) -> Iterator[tuple[str, str, list[Paired]]]:
    asked: tuple[tuple[str, str, Callable[[DateLosses], Paired | None]], ...] = (
        ("next_stage", "log loss of the next stage", lambda date: date.next_stage),
        ("spend", "error of the expected spend", lambda date: date.spend),
        ("clv", "error of the value", lambda date: date.clv),
    )
    for name, words, get in asked:
        losses = [paired for date in dates if (paired := get(date)) is not None]
        if len(losses) == len(dates):
            yield name, words, losses


def _no_worse(
    name: str,
    words: str,
    losses: Sequence[Paired],
    dates: Sequence[DateLosses],
    horizon_days: int,
    rules: Rules,
) -> Check:
    estimate, share = _relative(losses, dates, horizon_days)
    reason = _worse(estimate, share, rules)
    side = "higher" if share > 0 else "lower"
    sentence = f"{words} {abs(share):.2%} {side} than the champion's"
    sentence += f", {reason}" if reason else ""
    return Check(name, not reason, sentence, {"difference": estimate.mean, "relative": share})


def _worse(estimate: Estimate, share: float, rules: Rules) -> str:
    """Return why a loss counts as worse, or an empty text."""
    if share > rules.tolerance:
        return f"more than {rules.tolerance:.0%} worse"
    if share > 0 and estimate.bound(rules.chance) > 0:
        return "worse beyond chance"
    return ""


def _in_time(dates: Sequence[DateLosses], rules: Rules) -> Check:
    spent = 1000.0 * float(np.mean([date.seconds for date in dates]))
    return Check(
        "time",
        bool(spent <= rules.milliseconds),
        f"predictions take {spent:.2f} ms per customer (at most {rules.milliseconds:g})",
        {"milliseconds": spent},
    )


def _relative(
    losses: Sequence[Paired], dates: Sequence[DateLosses], horizon_days: int
) -> tuple[Estimate, float]:
    """Return the mean difference over dates, and its share of the champion's mean loss."""
    samples = [
        Sample(date.as_of, paired.customers, paired.difference)
        for date, paired in zip(dates, losses, strict=True)
    ]
    estimate = mean_difference(samples, horizon_days)
    base = float(np.mean([paired.champion.mean() for paired in losses if len(paired)]))
    return estimate, metrics.finite(estimate.mean / base) or 0.0 if base > 0 else 0.0
