"""The folder of `stagecast report`: how customers move through the stages, and what changed since
a date, as a page and tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from stagecast.features.clock import iso, microseconds
from stagecast.features.describe.effectiveness import BeforeAfter, Costs, before_after
from stagecast.features.describe.flows import Summary
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.events import EventLog
from stagecast.features.files import write_text
from stagecast.features.plain_json import to_json
from stagecast.features.stages.lifecycle import fit_lifecycle
from stagecast.features.stages.scheme import Scheme
from stagecast.serving.languages.display import Display
from stagecast.serving.progress import Steps, silently
from stagecast.serving.reading import Reading
from stagecast.serving.reports.lifecycle_report import movement, render_lifecycle, write_tables
from stagecast.serving.requests import MovementRequest
from stagecast.serving.runs.files import OF_A_MOVEMENT, REPORT, TABLES
from stagecast.serving.runs.folders import new_folder
from stagecast.serving.settings import load_settings
from stagecast.serving.store.comparisons import store_comparison
from stagecast.serving.store.store import Store
from stagecast.training.config import TrainConfig

STEPS = 4
TYPES_SHOWN = 20


@dataclass(frozen=True)
class MovementFolder:
    """A report that was written.

    Parameters
    ----------
    out
        Its folder.
    as_of
        Where the customers stand.
    scheme_id
        The scheme of the stages.
    summary
        The figures at its top.
    compared
        What changed at a date; None: nothing was compared.
    is_published
        Whether the comparison was written to the store.
    """

    out: Path
    as_of: datetime
    scheme_id: str
    summary: Summary
    compared: BeforeAfter | None
    is_published: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "out": str(self.out),
            "as_of": iso(self.as_of),
            "scheme": self.scheme_id,
            **to_json(self.summary),
            **({} if self.compared is None else {"before_after": self.compared.to_json()}),
            **({"published": True} if self.is_published else {}),
        }


def write_movement(
    reading: Reading, scheme: Scheme, request: MovementRequest, *, steps: Steps = silently
) -> MovementFolder:
    """Write how the customers of a log move through the stages of a scheme, as a page and tables.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The log cannot be read, a date or a period cannot be used, or there is too little to
        compare; nothing is left behind then.
    """
    with (
        new_folder(request.out, OF_A_MOVEMENT, force=request.force) as draft,
        reading.open(command="report") as log,
        steps(STEPS) as say,
    ):
        as_of = log.choose_as_of(reading.as_of)
        say("stages")
        table = DailyTable(log.con, as_of)
        # no rule looks at a feature that depends on the horizon
        life = fit_lifecycle(table, scheme, TrainConfig.horizon_days)
        say("flows")
        has_amounts = table.has_amounts()
        moved = movement(
            life,
            as_of,
            has_amounts=has_amounts,
            unit=request.period,
            dates=(_shop(log, request.flow_from), _shop(log, request.flow_to)),
        )
        compared = None
        if request.before_after is not None:
            say("before and after")
            compared = before_after(
                life.journeys,
                life.record.days,
                len(life.record),
                life.record.first_events,
                costs_of(table, log, request.cost_events),
                microseconds(log.clock.shop(request.before_after)),
                microseconds(as_of),
                has_amounts=has_amounts,
            )
        say("report")
        write_tables(moved, draft / TABLES, compared)
        display = Display(request.language)
        page = render_lifecycle(moved, life, as_of, log.report.to_json(), compared, display)
        write_text(draft / REPORT, page)
    is_published = False
    if request.publish and compared is not None:
        is_published = True
        _publish(request.store, life.scheme.id, compared)
    summary = moved.flows.summary
    return MovementFolder(request.out, as_of, life.scheme.id, summary, compared, is_published)


def _publish(url: str | None, scheme_id: str, compared: BeforeAfter) -> None:
    store = Store.open(load_settings(store=url).store)
    try:
        store_comparison(store.engine, scheme_id, compared.to_json())
    finally:
        store.close()


def _shop(log: EventLog, date: datetime | None) -> datetime | None:
    return None if date is None else log.clock.shop(date)


def costs_of(table: DailyTable, log: EventLog, named: Sequence[str]) -> Costs | None:
    """Return what serving customers cost, or None where the log does not say.

    Raises
    ------
    UsageError
        A type that was named has no event with an amount.
    """
    names = [name.strip().lower() for name in named]
    for name in names:
        if not len(table.amounts_of([name])[0]):
            rows = log.con.execute("select distinct event from events order by 1").fetchall()
            types = [str(row[0]) for row in rows]
            raise UsageError(
                f"--cost-event {name}: the log has no event of this type with an amount; "
                f"its types are {', '.join(types[:TYPES_SHOWN])}.{did_you_mean(name, types)}"
            )
    costs = Costs(*table.amounts_of(names or ["cost"]))
    return costs if len(costs.amount) else None
