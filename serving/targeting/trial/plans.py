"""The read-outs of several plans as one: what contact brings, and what the next plan may bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stagecast.features import plain_json
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.serving.targeting.trial.intervals import error_of
from stagecast.serving.targeting.trial.pooled import Pooled, pool
from stagecast.serving.targeting.trial.readout import ReadOut
from stagecast.serving.targeting.trial.verdict import Verdict, judge


@dataclass(frozen=True)
class PooledReadOut:
    """What several plans brought.

    Parameters
    ----------
    plans
        Number of plans that were read out.
    buyers
        Extra buyers per contacted customer, over the plans in which anybody bought.
    net
        Extra money less costs per contacted customer; None unless all of them have amounts.
    verdict
        On the net money, or on the buyers where there is none.
    """

    plans: int
    buyers: Pooled
    net: Pooled | None
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """Return the pooled read-out as dicts, lists, texts and numbers."""
        return plain_json.to_json(self)


def pool_read_outs(read_outs: Sequence[ReadOut]) -> PooledReadOut:
    """Pool the adjusted effects of plans whose windows are closed.

    Each plan must have drawn its own hold-out. The customers of a standing hold-out are the same in
    all plans: add up the outcomes of each customer over the plans instead, and read that out.

    Parameters
    ----------
    read_outs
        Closed read-outs at one confidence level, their money in one currency.

    Raises
    ------
    UsageError
        A window is open, or the levels differ.
    NotEnoughDataError
        In no plan anybody bought.

    Source: see :func:`stagecast.serving.targeting.trial.pooled.pool`.
    """
    for number, result in enumerate(read_outs):
        if not result.closed:
            raise UsageError(
                f"the window of plan {number} is open; pool it once it is closed, since its "
                "interval allows for looks"
            )
    levels = sorted({result.level for result in read_outs})
    if len(levels) > 1:
        raise UsageError(f"read-outs at the levels {levels} cannot be pooled; take one level")
    compared = [result for result in read_outs if result.buyers is not None]
    if not compared:
        raise NotEnoughDataError(
            f"in none of {len(read_outs)} plans is there anything to compare; wait for purchases"
        )
    level = levels[0]
    by_plan = [r.buyers.comparison.adjusted for r in compared if r.buyers is not None]
    buyers = pool(
        [effect.per_customer.estimate for effect in by_plan],
        [error_of(effect.per_customer, level) for effect in by_plan],
        level=level,
    )
    with_money = [
        (r.money.comparison.adjusted, r.cost / r.contacted) for r in compared if r.money is not None
    ]
    net = None
    if len(with_money) == len(compared):
        net = pool(
            [effect.per_customer.estimate - cost for effect, cost in with_money],
            [error_of(effect.per_customer, level) for effect, _ in with_money],
            level=level,
        )
    judged = buyers if net is None else net
    verdict = judge(
        judged.mean,
        what="buyers" if net is None else "money after costs",
        standard_error=error_of(judged.mean, level),
        customers=sum(result.customers for result in compared),
        closed=True,
        level=level,
    )
    return PooledReadOut(len(compared), buyers, net, verdict)
