"""What ``stagecast whatif`` prints."""

from __future__ import annotations

from stagecast.features.clock import iso
from stagecast.features.intake.counted import counted
from stagecast.serving.commands.console import table
from stagecast.serving.jobs.what_if import AS_IS, Group, WhatIfTable

_HEAD = ["what if", "one year", "difference", "", "three years", "difference", ""]


def whatif_lines(made: WhatIfTable) -> list[str]:
    """Return the values with their differences, and the assumptions."""
    unit = "" if made.currency is None else f", in {made.currency}"
    customers = counted(made.everybody.customers, "customer")
    lines = [
        f"Value of {customers} from {iso(made.as_of)} on{unit}.",
        *_table(made.everybody),
    ]
    for group in made.groups:
        lines += [
            "",
            f"{made.by} {group.name}: {counted(group.customers, 'customer')}",
            *_table(group),
        ]
    return [*lines, "", "What this assumes:", *(f"- {text}" for text in made.assumptions)]


def _table(group: Group) -> list[str]:
    now = group.values[AS_IS]
    rows = [_HEAD]
    for name, values in group.values.items():
        cells = [name]
        for value, before in zip(values, now, strict=True):
            cells += [f"{value:,.0f}", *(["", ""] if name == AS_IS else _change(value, before))]
        rows.append(cells)
    return table(rows, set(range(1, len(_HEAD))))


def _change(value: float, before: float) -> list[str]:
    share = f"{value / before - 1.0:+z.1%}" if before > 0 else "-"
    return [f"{value - before:+z,.0f}", share]
