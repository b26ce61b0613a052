"""What ``stagecast channels`` prints."""

from __future__ import annotations

from stagecast.features.clock import from_microseconds, iso
from stagecast.features.describe.channels.curves import Payback
from stagecast.features.describe.channels.figures import Figure
from stagecast.features.describe.channels.rows import Row
from stagecast.serving.commands.console import table
from stagecast.serving.jobs.channels import Channels
from stagecast.serving.store.kept_costs import KeptCost

_HEAD = [
    "first seen in",
    "people",
    "customers",
    "cost",
    "cost per customer",
    "first order",
    "first year",
    "clv",
    "LTV:CAC",
    "payback, days",
    "lost",
]


def channel_lines(made: Channels) -> list[str]:
    """Return the groups with their figures, what kept customers cost, and what must be known."""
    result = made.table
    unit = f"{len(result.cohorts):,} cohorts by {result.unit}"
    lines = [
        f"Customers by {result.by}, as first seen, at {iso(from_microseconds(result.as_of))}; "
        "95 % intervals in brackets.",
        *table([_HEAD, *map(_cells, result.rows)], set(range(1, len(_HEAD)))),
        "",
        *_keeping(made),
        *result.notes,
    ]
    if made.out is None:
        return [*lines, f"{unit}: --out FILE or --json shows them."]
    return [*lines, f"{unit} written: {made.out}"]


def _cells(row: Row) -> list[str]:
    return [
        row.group,
        f"{row.people:,}",
        f"{row.customers:,}",
        "-" if row.cost is None else f"{row.cost:,.0f}",
        *(_figure(f, 2) for f in (row.cac, row.first_order, row.year, row.clv, row.ltv_to_cac)),
        _payback(row.payback),
        _share(row.lost),
    ]


def _figure(figure: Figure | None, digits: int) -> str:
    if figure is None:
        return "-"
    if figure.value is None:
        return _too_few(figure)
    ends = ["?" if end is None else f"{end:z,.{digits}f}" for end in (figure.low, figure.high)]
    return f"{figure.value:z,.{digits}f} [{ends[0]}, {ends[1]}]"


def _share(figure: Figure | None) -> str:
    if figure is None or figure.value is None or figure.low is None or figure.high is None:
        return _figure(figure, 2)
    return f"{figure.value:.0%} [{figure.low:.0%}, {figure.high:.0%}]"


def _too_few(figure: Figure) -> str:
    of = "" if figure.needed is None else f" of {figure.needed:,}"
    return f"too few to tell ({figure.customers:,}{of})"


def _payback(payback: Payback | None) -> str:
    if payback is None:
        return "-"
    if payback.days is None:
        return f"not by day {payback.followed_days:,.0f}"
    ends = ["later" if end is None else f"{end:,.0f}" for end in (payback.low, payback.high)]
    return f"{payback.days:,.0f} [{ends[0]}, {ends[1]}]"


def _keeping(made: Channels) -> list[str]:
    """Return what a kept and a new customer cost, side by side; nothing without a plan."""
    if not made.kept:
        return []
    rows = [["keeping and winning", "customers", "cost", "cost per customer"]]
    rows += [_kept_cells(cost) for cost in made.kept]
    rows += [
        [
            f"won, first seen in {row.group}",
            f"{row.cac.customers:,}",
            f"{row.cost:,.0f}",
            _figure(row.cac, 2),
        ]
        for row in made.table.rows
        if row.cac is not None and row.cost is not None
    ]
    return [*table(rows, {1, 2, 3}), ""]


def _kept_cells(cost: KeptCost) -> list[str]:
    per = cost.per_kept()
    high = "no limit" if per["high"] is None else f"{per['high']:z,.2f}"
    low = "no limit" if per["low"] is None else f"{per['low']:z,.2f}"
    value = "nobody was kept" if per["value"] is None else f"{per['value']:z,.2f} [{low}, {high}]"
    return [f"kept, plan {cost.plan}", f"{cost.kept:,.1f}", f"{cost.cost:,.0f}", value]
