"""``PlanReadOut``: what a plan brought, with how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from stagecast.features.arguments.values import shown
from stagecast.features.clock import iso
from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.events import EventLog as CheckedLog
from stagecast.features.frames.given import as_frame
from stagecast.features.frames.instants import Instant, as_datetime
from stagecast.features.shop.customer_ids import customer_id_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stagecast.serving.python.plan import Plan
    from stagecast.serving.targeting.plan.observed import Observed
    from stagecast.serving.targeting.trial.intervals import Interval
    from stagecast.serving.targeting.trial.readout import ReadOut

NAME = "of sc.plan"


@dataclass(frozen=True, repr=False)
class PlanReadOut:
    """What a plan brought.

    Parameters
    ----------
    plan
        The plan.
    observed
        What its customers did, up to each look.
    result
        Effects with all their details.
    """

    plan: Plan
    observed: Observed
    result: ReadOut

    @property
    def verdict(self) -> str:
        """``Proven``, ``Not proven yet`` or ``Harmful``."""
        return self.result.verdict.word

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know, in sentences."""
        return self.result.notes

    @property
    def summary(self) -> pd.DataFrame:
        """Extra buyers (of contracts customers kept or back), extra money, money net of cost, and
        money per money spent.

        Index ``measure``; ``estimate``, ``low`` and ``high`` (the interval holds at any look while
        the window is open, else at its end). A measure that cannot be told is left out.
        """
        from stagecast.serving.targeting.plan.counts import counts_of_members, title

        result = self.result
        measures: dict[str, Interval] = {}
        counts = counts_of_members(self.plan.churn, [row["state"] for row in self.plan.rows])
        for name, measured in ((title(counts), result.buyers), ("extra money", result.money)):
            if measured is None:
                continue
            if result.closed:
                measures[name] = measured.comparison.adjusted.total
            elif measured.looks:
                measures[name] = measured.looks[-1].total
        of_money = {"money net of cost": result.net, "money per money spent": result.gain_per_money}
        measures |= {name: interval for name, interval in of_money.items() if interval is not None}
        rows = [(interval.estimate, interval.low, interval.high) for interval in measures.values()]
        index = pd.Index(list(measures), name="measure")
        return pd.DataFrame(rows, index, ["estimate", "low", "high"], dtype="float64")

    def to_json(self) -> dict[str, Any]:
        """Return the read-out as plain data."""
        return {"closed": self.observed.closed, **self.result.to_json()}

    def __repr__(self) -> str:
        state = "the window is over" if self.result.closed else "the window is still open"
        what = "contracts" if self.plan.churn == "cancellation" else "orders"
        lines = [
            f"{self.verdict}. {self.result.verdict.sentence}",
            f"{what} from {iso(self.plan.starts_at)} to {iso(self.observed.until)} ({state}); "
            f"{self.result.contacted:,} contacted, {self.result.held_out:,} held out; "
            f"{self.result.level:.0%} intervals",
        ]
        lines += [
            f"  {name}: {row['estimate']:,.2f} [{row['low']:,.2f}, {row['high']:,.2f}]"
            for name, row in self.summary.iterrows()
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head, *_ = repr(self).split("\n")
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        table = self.summary.to_html(float_format="{:,.2f}".format)
        return f"<p>{escape(head)}</p>{table}" + (f"<ul>{notes}</ul>" if notes else "")


def read_out_of(plan: Plan, later: object, *, until: Instant | None, margin: float) -> PlanReadOut:
    """Return what a plan brought; see :meth:`~stagecast.serving.python.plan.Plan.readout`."""
    from stagecast.serving.targeting.plan.observed import observe
    from stagecast.serving.targeting.plan.results import result_of

    rows = sorted((dict(row) for row in plan.rows), key=lambda row: str(row["customer_id"]))
    ids = [str(row["customer_id"]) for row in rows]
    if not isinstance(later, CheckedLog):
        give = "an EventLog, sc.read_events(...), or a table of counted outcomes"
        observed = _counted(plan, as_frame(later, "later", give), ids)
    elif plan.churn == "cancellation":
        raise UsageError(
            "this plan keeps contracts, and the orders of a log do not tell who cancelled; count "
            "it: a DataFrame with customer_id and orders, 1 for who is a customer at the end of "
            "the window and 0 for who is not"
        )
    else:
        end = None if until is None else as_datetime(until, "until")
        observed = observe(later, ids, plan.starts_at, plan.window_days, until=end)
    result = result_of(rows, observed, plan.window_days, name=NAME, churn=plan.churn, margin=margin)
    return PlanReadOut(plan, observed, result)


def _number(value: Any, column: str, customer: str) -> float | None:
    """Return a number of counted outcomes; None where it is null."""
    if pd.isna(value):
        return None
    if type(value).__name__ in ("bool", "bool_"):
        raise DataRefusedError(
            f"later: {column} of customer {customer!r} is {shown(value)}; give a number, such as "
            "how many orders there were"
        )
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DataRefusedError(
            f"later: {column} of customer {customer!r} is {shown(value)}, which is no number"
        ) from None


def _orders(value: Any, customer: str) -> float:
    orders = _number(value, "orders", customer)
    if orders is None:
        raise DataRefusedError(
            f"later: orders of customer {customer!r} is {shown(value)}; give 0 for who ordered "
            "nothing, or leave the row out"
        )
    return orders


def _counted(plan: Plan, frame: pd.DataFrame, ids: Sequence[str]) -> Observed:
    from stagecast.serving.targeting.plan.observed import observed_at_end, outcomes_by_customer

    table = frame.reset_index() if frame.index.name == "customer_id" else frame
    if not {"customer_id", "orders"} <= set(table.columns):
        raise UsageError(
            "counted outcomes need the columns customer_id and orders, and spend where there is "
            f"money; the table has: {', '.join(map(str, table.columns))}. Events are read first: "
            "sc.read_events(...)"
        )
    spend = table["spend"] if "spend" in table else pd.Series(None, table.index, dtype="object")
    customers = [customer_id_text(id_, "customer_id of later") for id_ in table["customer_id"]]
    rows = [
        (id_, _orders(orders, id_), _number(money, "spend", id_))
        for id_, orders, money in zip(customers, table["orders"], spend, strict=True)
    ]
    for id_, orders, money in rows:
        # who cancelled may have paid before; money paid back needs no order
        if plan.churn != "cancellation" and not orders and money is not None and money > 0:
            raise DataRefusedError(
                f"later: customer {id_!r} has no order and spend {money:g}; give the orders that "
                "brought it, or spend 0"
            )
    outcomes = outcomes_by_customer(rows, ids, NAME)
    return observed_at_end(outcomes, ids, plan.window_days, plan.ends_at)
