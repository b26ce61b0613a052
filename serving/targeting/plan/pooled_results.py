"""The closed plans of a store as one: what they brought together, and what such a plan brings."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from stagecast.features import plain_json
from stagecast.features.intake.counted import counted
from stagecast.serving.store.plan_tables import plans, readouts
from stagecast.serving.store.tables import runs
from stagecast.serving.targeting.plan.counts import Counts, counts_of, counts_together
from stagecast.serving.targeting.trial.intervals import LEVEL, Interval, critical_value
from stagecast.serving.targeting.trial.intervals import error_of as error_of_interval
from stagecast.serving.targeting.trial.pooled import Pooled, pool


@dataclass(frozen=True)
class PlayResult:
    """What plans brought of the customers of one play.

    Parameters
    ----------
    play
        Its id, or ``none``.
    plans
        Number of plans that had enough of its customers.
    contacted
        Contacted customers of these.
    total
        Extra money of these customers before costs, or extra buyers where the log has no amounts.
    """

    play: str
    plans: int
    contacted: int
    total: Interval


@dataclass(frozen=True)
class PooledResults:
    """What the closed plans of a store brought together.

    Parameters
    ----------
    plans
        Names of the plans, the oldest first.
    contacted, held_out
        Customers of all plans; one in two plans counts twice.
    level
        Confidence level of the intervals.
    buyers, money, net
        Extra buyers, extra money, and extra money less costs of all plans; the money is None unless
        all plans have amounts.
    cost
        Of all contacts, in money.
    mean_buyers, mean_net
        Mean over plans like these per contacted customer, and the interval of the next such plan.
    by_play
        The same total by play: money where it is known, else buyers.
    notes
        What a reader must know, in sentences.
    counts
        What ``buyers`` and ``mean_buyers`` count: of plans of contracts no buyers, but customers
        who are kept or come back.
    """

    plans: tuple[str, ...]
    contacted: int
    held_out: int
    level: float
    buyers: Interval
    money: Interval | None
    net: Interval | None
    cost: float
    mean_buyers: Pooled
    mean_net: Pooled | None
    by_play: tuple[PlayResult, ...]
    notes: tuple[str, ...]
    counts: Counts = "extra_buyers"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        plain: dict[str, Any] = plain_json.to_json(self)
        return plain


def pooled_results(engine: sa.Engine, level: float = LEVEL) -> PooledResults | None:
    """Return what the closed plans of a store brought together; None where there are none.

    The totals are of these very plans: the sums of their estimates, with the root of the sum of
    their squared errors on each side. The means are of plans like these, whose true effects differ.
    Plans in which nobody, or everybody, bought have nothing to compare and are left out, and so
    are those of another kind of churn, or another currency, than the newest.

    Parameters
    ----------
    engine
        The store.
    level
        Confidence level.
    """
    newest = (
        sa.select(sa.func.max(readouts.c.id))
        .where(readouts.c.closed.is_(True))
        .group_by(readouts.c.plan_id)
    )
    query = (
        sa.select(
            *(plans.c.name, plans.c.request, plans.c.proposal, readouts.c.result),
            runs.c.currency,
        )
        .join(plans, plans.c.id == readouts.c.plan_id)
        .outerjoin(runs, runs.c.id == plans.c.run_id)
        .where(readouts.c.id.in_(newest))
        .order_by(plans.c.id)
    )
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    usable = [
        row
        for row in rows
        if row.result["buyers"] is not None
        and _error(_adjusted(row.result, "buyers")) is not None
        # what a contact does to contracts says nothing of orders
        and row.proposal.get("churn") == rows[-1].proposal.get("churn")
        # nor can sums of several currencies be added
        and (None in (row.currency, rows[-1].currency) or row.currency == rows[-1].currency)
    ]
    if not usable:
        return None
    results = [row.result for row in usable]
    has_money = all(_error(_adjusted(result, "money")) is not None for result in results)
    contacted = [int(result["contacted"]) for result in results]
    cost = float(sum(result["cost"] for result in results))
    buyers = [_adjusted(result, "buyers") for result in results]
    money = [_adjusted(result, "money") for result in results] if has_money else None
    total = None if money is None else _total(money, contacted, level)
    return PooledResults(
        plans=tuple(row.name for row in usable),
        contacted=sum(contacted),
        held_out=sum(int(result["held_out"]) for result in results),
        level=level,
        buyers=_total(buyers, contacted, level),
        money=total,
        net=None if total is None else total.minus(cost),
        cost=cost,
        mean_buyers=_mean(buyers, [0.0] * len(results), level),
        mean_net=None
        if money is None
        else _mean(money, [r["cost"] / r["contacted"] for r in results], level),
        by_play=_by_play(results, level),
        notes=_notes(usable, len(rows) - len(usable)),
        counts=counts_together([counts_of(row.proposal) for row in usable]),
    )


def nothing_compared(engine: sa.Engine) -> str | None:
    """Return why closed plans have no results together; None where no plan is closed."""
    query = sa.select(sa.func.count(readouts.c.plan_id.distinct())).where(
        readouts.c.closed.is_(True)
    )
    with engine.connect() as connection:
        number = connection.scalar(query)
    if not number:
        return None
    return (
        f"{counted(number, 'plan')} {'is' if number == 1 else 'are'} closed, with nothing to "
        "compare: all customers of the plan have the same outcome, or an arm is too small; the "
        "read-out of each plan says which"
    )


def _adjusted(result: Mapping[str, Any], measure: str) -> tuple[Interval, float] | None:
    """Return the adjusted effect per contacted customer and its level; None without one."""
    if result[measure] is None:
        return None
    return _interval(result[measure]["comparison"]["adjusted"]["per_customer"]), result["level"]


def _interval(data: Mapping[str, Any]) -> Interval:
    low, high = (math.nan if data[end] is None else data[end] for end in ("low", "high"))
    return Interval(data["estimate"], low, high)


def _error(effect: tuple[Interval, float] | None) -> float | None:
    """Return a standard error; None where the interval has no ends, or none apart."""
    if effect is None or not math.isfinite(effect[0].width) or effect[0].width <= 0:
        return None
    return error_of_interval(*effect)


def _total(
    effects: Sequence[tuple[Interval, float] | None], contacted: Sequence[int], level: float
) -> Interval:
    """Return the sum of effects per contacted customer, times the contacted of each.

    Both sides of an interval add up apart, as squares: the total of one plan has its interval, also
    where that is not symmetric.
    """
    known = [
        (effect[0], critical_value(level) / critical_value(effect[1]) * n, n)
        for effect, n in zip(effects, contacted, strict=True)
        if effect is not None
    ]
    total = sum(own.estimate * n for own, _, n in known)
    below = math.sqrt(sum(((own.estimate - own.low) * scale) ** 2 for own, scale, _ in known))
    above = math.sqrt(sum(((own.high - own.estimate) * scale) ** 2 for own, scale, _ in known))
    return Interval(total, total - below, total + above)


def _mean(
    effects: Sequence[tuple[Interval, float] | None], costs: Sequence[float], level: float
) -> Pooled:
    estimates = [
        effect[0].estimate - cost
        for effect, cost in zip(effects, costs, strict=True)
        if effect is not None
    ]
    errors = [_error(effect) or 0.0 for effect in effects]
    return pool(estimates, errors, level=level)


def _by_play(results: Sequence[Mapping[str, Any]], level: float) -> tuple[PlayResult, ...]:
    parts: dict[str, list[tuple[tuple[Interval, float], int]]] = defaultdict(list)
    for result in results:
        for segment in result["by_play"]:
            if segment["alone"] is None:
                continue
            own = _interval(segment["alone"]), float(result["level"])
            if _error(own) is not None:
                parts[segment["label"]].append((own, int(segment["contacted"])))
    return tuple(
        PlayResult(
            play,
            len(own),
            sum(n for _, n in own),
            _total([effect for effect, _ in own], [n for _, n in own], level),
        )
        for play, own in sorted(parts.items())
    )


def _notes(rows: Sequence[Any], left_out: int) -> tuple[str, ...]:
    notes = []
    seeds = [row.request["seed"] for row in rows if row.request["standing"]]
    shared = max((seeds.count(seed) for seed in seeds), default=0)
    if shared > 1:
        notes.append(
            f"{shared} of the plans held out the same customers, whose luck they share: the "
            "intervals are too narrow."
        )
    if left_out:
        notes.append(
            f"{counted(left_out, 'closed plan')} left out: nothing to compare in "
            "them, or another kind of churn or currency."
        )
    return tuple(notes)
