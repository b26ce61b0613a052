"""The table of channels: all groups, all of them by cohort, and what must be known to read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from stagecast.features.clock import from_microseconds, iso
from stagecast.features.describe.channels.costs import Costs
from stagecast.features.describe.channels.origins import NONE, OTHERS, Origins
from stagecast.features.describe.channels.rows import Buyers, Row, RowMaker, named
from stagecast.features.describe.flows.periods import default_unit, periods
from stagecast.features.errors import UsageError, did_you_mean

FIRST_SEEN = (
    "Customers count for what they were first seen in. That it brought them, or that more money "
    "there would bring more of them, does not follow: who would have come anyway counts too, and "
    "the next customers cost more than those so far."
)


@dataclass(frozen=True)
class ChannelTable:
    """Customers by what they were first seen in.

    Parameters
    ----------
    by
        ``channel``, or the name of an attribute.
    as_of
        Microseconds since 1970.
    unit
        Of the cohorts: ``week``, ``month`` or ``quarter``.
    margin
        Share of the spend that is earned, by which payback and LTV:CAC count.
    rows
        One per group, the largest first.
    cohorts
        One per group and period in which customers of it were first seen.
    notes
        What must be known to read it, in sentences.
    """

    by: str
    as_of: int
    unit: str
    margin: float
    rows: tuple[Row, ...]
    cohorts: tuple[Row, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data; instants are dates of the shop's clock."""
        return {
            "by": self.by,
            "as_of": iso(from_microseconds(self.as_of)),
            "unit": self.unit,
            "margin": self.margin,
            "groups": [
                {
                    "first_seen_in": row.group,
                    **row.figures(),
                    "earned": [vars(point) for point in row.earned],
                }
                for row in self.rows
            ],
            "cohorts": [
                {"first_seen_in": row.group, "cohort": _date(row.cohort), **row.figures()}
                for row in self.cohorts
            ],
            "notes": list(self.notes),
        }

    def to_table(self) -> pa.Table:
        """Return one line per group and cohort; the cohort of a whole group is null.

        A figure has the columns ``<name>``, ``<name>_low``, ``<name>_high`` and ``<name>_needed``,
        the customers whom it takes.
        """
        lines = []
        for row in (*self.rows, *self.cohorts):
            line: dict[str, Any] = {"first_seen_in": row.group, "cohort": _date(row.cohort)}
            for name, part in row.figures().items():
                if name in ("people", "customers", "cost"):
                    line[name] = part
                    continue
                ends = part or {}
                first, last = (
                    ("days", "followed_days") if name == "payback" else ("value", "needed")
                )
                line[name] = ends.get(first)
                line[f"{name}_low"], line[f"{name}_high"] = ends.get("low"), ends.get("high")
                line[f"{name}_{last}"] = ends.get(last)
            lines.append(line)
        return pa.Table.from_pylist(lines, schema=_schema(lines[0]))


def channel_table(
    groups: Origins,
    buyers: Buyers,
    costs: Costs,
    *,
    margin: float = 1.0,
    unit: str | None = None,
    has_amounts: bool = True,
) -> ChannelTable:
    """Return customers by what they were first seen in.

    Parameters
    ----------
    groups
        The group of each customer.
    buyers
        What is known of the customers.
    costs
        What was paid for acquisition, by the names of the groups.
    margin
        Share of the spend that is earned, above 0 and at most 1.
    unit
        ``week``, ``month`` or ``quarter``; None: what suits the length of the log.
    has_amounts
        Whether the log has amounts.

    Raises
    ------
    UsageError
        The margin is not above 0 and at most 1, or the unit is unknown.
    """
    if not 0 < margin <= 1:
        raise UsageError(f"--margin {margin:g} must be above 0 and at most 1, like 0.3 for 30 %")
    costs = costs.renamed({"": NONE, **dict.fromkeys(groups.folded, OTHERS)})
    maker = RowMaker(buyers, costs, margin, has_amounts)
    first_events = buyers.first_events
    first = min(int(first_events[groups.counted].min(initial=buyers.as_of)), buyers.as_of)
    calendar = periods(first, buyers.as_of, unit or default_unit(first, buyers.as_of))
    period = calendar.positions(first_events)
    everything = (np.iinfo(np.int64).min // 2, buyers.as_of)
    rows, cohorts = [], []
    for position, group in enumerate(named(groups.names, costs)):
        people = (groups.group == position) & groups.counted
        rows.append(maker.row(group, people, everything))
        for k in np.unique(period[people]).tolist():
            start, end = int(calendar.start[k]), int(calendar.end[k])
            cohorts.append(maker.row(group, people & (period == k), (start, end), start))
    return ChannelTable(
        groups.by,
        buyers.as_of,
        calendar.unit,
        margin,
        tuple(rows),
        tuple(cohorts),
        _notes(groups, costs, buyers, has_amounts=has_amounts),
    )


def _notes(groups: Origins, costs: Costs, buyers: Buyers, *, has_amounts: bool) -> tuple[str, ...]:
    notes = [FIRST_SEEN]
    if not has_amounts:
        notes.append("The log has no amounts, so nothing is told in money but the cost.")
    if OTHERS in groups.names:
        notes.append(f"Only the largest groups have a row of their own; {OTHERS} are the rest.")
    if not costs.rows:
        notes.append(
            "No cost of acquisition is known, so there is no cost per customer, LTV:CAC or "
            "payback; name a file with the columns "
            f"{groups.by}, from, to, cost with --spend."
        )
    if buyers.clv is None:
        notes.append("No scores were given, so value to come and LTV:CAC are not told.")
    real = [name for name in groups.names if name not in (NONE, OTHERS)]
    notes.extend(
        f"Costs are known for '{group}', and nobody was first seen in it."
        f"{did_you_mean(group, real)}"
        for group in costs.groups
        if group not in groups.names
    )
    return tuple(notes)


def _date(instant: int | None) -> str | None:
    return None if instant is None else iso(from_microseconds(instant))[:10]


def _schema(line: dict[str, Any]) -> pa.Schema:
    texts, numbers = ("first_seen_in", "cohort"), ("people", "customers")
    return pa.schema(
        [
            pa.field(
                name,
                pa.string()
                if name in texts
                else pa.int64()
                if name in numbers or name.endswith("_needed")
                else pa.float64(),
            )
            for name in line
        ]
    )
