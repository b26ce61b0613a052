"""The read-out of a campaign: what the contact brought, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from stagecast.features import plain_json
from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError
from stagecast.serving.targeting.trial.capped import Capped, capped_effect
from stagecast.serving.targeting.trial.effect import Comparison, compare
from stagecast.serving.targeting.trial.intervals import LEVEL, Interval, error_of
from stagecast.serving.targeting.trial.outcomes import Outcomes
from stagecast.serving.targeting.trial.segments import FEWEST, Segment, by_segment
from stagecast.serving.targeting.trial.sequence import Look, looks_at
from stagecast.serving.targeting.trial.verdict import Verdict, judge

LARGE_SHARE = 0.05
"""Part of the spend of all customers from which one customer is named in the notes."""


@dataclass(frozen=True)
class Measured:
    """One measure (buyers or money) of a campaign.

    Parameters
    ----------
    comparison
        Effect plain and adjusted; their intervals hold at one look, at the close.
    looks
        Effect at each look, with intervals that hold at all looks together; empty without daily
        outcomes.
    """

    comparison: Comparison
    looks: tuple[Look, ...]


@dataclass(frozen=True)
class ReadOut:
    """What a campaign brought.

    Parameters
    ----------
    customers, contacted, held_out
        Numbers of customers.
    closed
        Whether the window is over. While it is open, only the intervals of the looks hold.
    level
        Confidence level of all intervals.
    buyers, money
        Extra buyers and extra money; None if there is nothing to compare, or no amounts.
    cost
        Money spent on the contacts.
    net
        Extra money of all contacted customers less the cost; None without money.
    gain_per_money
        Extra money per money spent; None without money or cost.
    by_play, by_stage, by_band
        Effect per contacted customer (money if known, else buyers) shrunk to the whole; empty while
        the window is open, since these intervals do not allow for looks.
    verdict
        Proven, Not proven yet or Harmful.
    notes
        What a reader must know, in sentences.
    capped
        Extra money of which a customer counts up to a cap, a second measure; None while the window
        is open, and without money.
    """

    customers: int
    contacted: int
    held_out: int
    closed: bool
    level: float
    buyers: Measured | None
    money: Measured | None
    cost: float
    net: Interval | None
    gain_per_money: Interval | None
    by_play: tuple[Segment, ...]
    by_stage: tuple[Segment, ...]
    by_band: tuple[Segment, ...]
    verdict: Verdict
    notes: tuple[str, ...]
    capped: Capped | None = None

    def __repr__(self) -> str:
        state = "closed" if self.closed else "still open"
        return (
            f"ReadOut({self.verdict.word}; {self.contacted:,} contacted, {self.held_out:,} held "
            f"out, window {state})"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the read-out as dicts, lists, texts and numbers; infinite numbers as None."""
        plain: dict[str, Any] = _finite(plain_json.to_json(self))
        return plain


def read_out(
    outcomes: Outcomes,
    *,
    cost: float,
    closed: bool,
    counted: str = "buyers",
    margin: float = 1.0,
    level: float = LEVEL,
) -> ReadOut:
    """Read out a campaign: intention to treat, adjusted by the scores at freezing.

    Parameters
    ----------
    outcomes
        The customers, with their arms, scores and outcomes; with ``daily`` while it is open.
    cost
        Money spent on contacts and incentives in all, from 0 on.
    closed
        Whether the window is over.
    counted
        What those are called who have the outcome, after the word "extra".
    margin
        Money earned per money spent by a customer, above 0: 0.3 if 30 % of the price is profit.
    level
        Confidence level.

    Raises
    ------
    UsageError
        The cost is negative, the margin is not above 0, or the window is open and there are no
        daily outcomes.
    NotEnoughDataError
        An arm has fewer than 3 customers.
    """
    if not (np.isfinite(cost) and cost >= 0):
        raise UsageError(f"a cost of {cost} is not a sum of money from 0 on; give what was spent")
    if not (np.isfinite(margin) and margin > 0):
        raise UsageError(f"a margin of {margin} is not above 0; 1 counts the whole spend")
    if not closed and outcomes.daily is None:
        raise UsageError(
            "the window is open, and without daily outcomes no interval allows for looking early; "
            "give them, or wait for the close"
        )
    notes: list[str] = []
    daily, score, spend = outcomes.daily, outcomes.expected_purchase, outcomes.spend
    bought = outcomes.bought.astype(np.float64)
    at_looks = None if daily is None else daily.bought.astype(np.float64)
    buyers = _measure(outcomes, bought, at_looks, score, level, notes, closed=closed)
    money, judged, covariate = None, bought, score
    if spend is None:
        notes.append(f"The log has no amounts: {counted} are judged, and money is not known.")
    else:
        judged = spend * margin
        covariate = score if outcomes.expected_spend is None else outcomes.expected_spend
        at_looks = None if daily is None or daily.spend is None else daily.spend * margin
        money = _measure(outcomes, judged, at_looks, covariate, level, notes, closed=closed)
        if money is not None and money.comparison.largest_share > LARGE_SHARE:
            notes.append(
                f"One customer has {money.comparison.largest_share:.0%} of the spend of all: the "
                "extra money hangs on that customer, and its interval is as wide as that makes it."
            )
    capped = None
    if closed and money is not None:
        capped = capped_effect(
            judged, outcomes.contacted, outcomes.stratum_codes, covariate[:, None], level=level
        )
    # where nobody paid anything, who ordered is still an outcome
    counts_buyers = spend is None or (money is None and buyers is not None)
    contacted, customers = int(outcomes.contacted.sum()), len(outcomes.contacted)
    total = None if money is None else _valid(money, closed).times(contacted)
    by_play, by_stage, by_band = (
        by_segment(
            judged,
            outcomes.contacted,
            outcomes.stratum_codes,
            covariate[:, None],
            labels,
            level=level,
        )
        if closed
        else ()
        for labels in (outcomes.play, outcomes.stage, outcomes.band)
    )
    small = sorted({row.label for row in (*by_play, *by_stage, *by_band) if row.alone is None})
    if small:
        notes.append(
            f"Fewer than {FEWEST} customers in an arm, or no purchase at all: {', '.join(small)}. "
            "Nothing is shown of these; their intervals are those of any segment of this campaign."
        )
    return ReadOut(
        customers=customers,
        contacted=contacted,
        held_out=customers - contacted,
        closed=closed,
        level=level,
        buyers=buyers,
        money=money,
        cost=cost,
        net=None if total is None else total.minus(cost),
        gain_per_money=total.times(1 / cost) if total is not None and cost else None,
        by_play=by_play,
        by_stage=by_stage,
        by_band=by_band,
        verdict=_verdict(
            buyers if counts_buyers else money,
            counted if counts_buyers else None,
            cost,
            closed,
            level,
        ),
        notes=tuple(dict.fromkeys(notes)),
        capped=capped,
    )


def _measure(
    outcomes: Outcomes,
    outcome: Array,
    at_looks: Array | None,
    covariate: Array,
    level: float,
    notes: list[str],
    *,
    closed: bool,
) -> Measured | None:
    """Return the effect on one measure; None, and a note, if all outcomes are equal."""
    arms = outcomes.contacted, outcomes.stratum_codes, covariate[:, None]
    if len(outcome) and not np.ptp(outcome):
        notes.append(
            f"All {len(outcome):,} customers have the same outcome, {outcome[0]:g}: there is "
            f"nothing to compare{'' if closed else ' yet'}."
        )
        return None
    comparison = compare(outcome, *arms, level=level)
    looks: tuple[Look, ...] = ()
    if at_looks is not None and outcomes.daily is not None:
        looks = looks_at(at_looks, outcomes.daily.elapsed, *arms, level=level)
    return Measured(comparison, looks)


def _valid(measured: Measured, closed: bool) -> Interval:
    """Return the interval per customer that holds now: while the window is open, the last look's.

    The last look is the outcome, which differs between customers, so that it has an interval.
    """
    if closed:
        return measured.comparison.adjusted.per_customer
    return measured.looks[-1].per_customer


def _verdict(
    measured: Measured | None, counted: str | None, cost: float, closed: bool, level: float
) -> Verdict:
    if measured is None:
        alike = "All customers have the same outcome"
        rest = ": this list can show no effect." if closed else " so far; wait for more."
        return Verdict("Not proven yet", f"{alike}{rest}", None)
    adjusted = measured.comparison.adjusted
    return judge(
        _valid(measured, closed).minus(0.0 if counted else cost / adjusted.contacted),
        what=counted or "money after costs",
        standard_error=error_of(adjusted.per_customer, level),
        customers=adjusted.contacted + adjusted.held_out,
        closed=closed,
        level=level,
    )


def _finite(value: Any) -> Any:
    """Return JSON values with None for the numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
