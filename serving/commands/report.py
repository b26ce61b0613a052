"""``stagecast report``: how customers move through the stages, and what changed since a date, as
a page and tables.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stagecast.features.clock import iso, microseconds, parse_instant
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.serving.commands.console import show, steps
from stagecast.serving.commands.options import as_of_option, chosen_scheme, common, standing
from stagecast.serving.commands.reading_options import open_log, reading

if TYPE_CHECKING:
    from stagecast.features.describe.effectiveness import Costs
    from stagecast.features.engines.duckdb import DailyTable
    from stagecast.features.events import EventLog

REPORT = "report.html"
STEPS = 4


@click.command()
@reading
@standing
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder to write; it must be new or empty.",
)
@click.option(
    "--period",
    metavar="UNIT",
    help="week, month or quarter; default: what suits the length of the log.",
)
@click.option(
    "--from",
    "flow_from",
    metavar="DATE",
    help="First date of the flow diagram; default: 90 days before.",
)
@click.option(
    "--to", "flow_to", metavar="DATE", help="Second date of the flow diagram; default: the as_of."
)
@click.option(
    "--before-after",
    metavar="DATE",
    help="Compare sales, repeat orders, cost and stages before and after.",
)
@click.option(
    "--cost-event",
    "cost_events",
    multiple=True,
    metavar="TYPE",
    help=(
        "Type of event whose amount is what serving the customer cost; default: cost. "
        "May be repeated."
    ),
)
@click.option("--force", is_flag=True, help="Replace the report that --out holds.")
@common
def report(as_json: bool, out: Path, **options: Any) -> None:
    """How customers move through the stages: flows, time on each stage, repeat orders, cohorts,
    before and after.
    """
    from stagecast.features.describe.effectiveness import before_after
    from stagecast.features.engines.duckdb import DailyTable
    from stagecast.features.files import write_text
    from stagecast.features.stages.lifecycle import fit_lifecycle
    from stagecast.serving.reports.lifecycle_report import (
        TABLES,
        movement,
        render_lifecycle,
        write_tables,
    )
    from stagecast.serving.runs.folders import new_folder
    from stagecast.training.config import TrainConfig

    scheme = chosen_scheme(options)
    dates = tuple(
        None if options[k] is None else parse_instant(options[k], f"--{k[5:]}")
        for k in ("flow_from", "flow_to")
    )
    date = options["before_after"]
    since = None if date is None else parse_instant(date, "--before-after")
    with (
        new_folder(out, (REPORT, TABLES), force=options["force"]) as draft,
        open_log(options) as log,
        steps(STEPS) as say,
    ):
        as_of = log.choose_as_of(as_of_option(options))
        say("stages")
        table = DailyTable(log.con, as_of)
        life = fit_lifecycle(table, scheme, TrainConfig.horizon_days)
        say("flows")
        has_amounts = table.has_amounts()
        found = movement(
            life, as_of, has_amounts=has_amounts, unit=options["period"], dates=(dates[0], dates[1])
        )
        compared = None
        if since is not None:
            say("before and after")
            costs = _costs(table, log, [one.strip().lower() for one in options["cost_events"]])
            compared = before_after(
                life.journeys,
                life.record.days,
                len(life.record),
                life.record.first_events,
                costs,
                microseconds(since),
                microseconds(as_of),
                has_amounts=has_amounts,
            )
        say("report")
        write_tables(found, draft / TABLES, compared)
        write_text(
            draft / REPORT, render_lifecycle(found, life, as_of, log.report.to_json(), compared)
        )
    told = {
        "out": str(out),
        "as_of": iso(as_of),
        "scheme": life.scheme.id,
        **found.flows.to_json()["summary"],
    }
    if as_json:
        both = told if compared is None else {**told, "before_after": compared.to_json()}
        click.echo(json.dumps(both, ensure_ascii=False))
        return
    if compared is not None:
        show([compared.headline, *(f"  {measure.sentence}" for measure in compared.measures), ""])
    show(
        [
            f"  {out / REPORT!s:<36} the report; open it in a browser",
            f"  {out / TABLES!s:<36} its tables: Parquet, JSON",
        ]
    )


def _costs(table: DailyTable, log: EventLog, wanted: list[str]) -> Costs | None:
    """Return what serving customers cost, or None where the log does not say.

    Raises
    ------
    UsageError
        A type that was named has no event with an amount.
    """
    from stagecast.features.describe.effectiveness import Costs

    for name in wanted:
        if not len(table.amounts_of([name])[0]):
            types = [
                str(row[0])
                for row in log.con.execute(
                    "select distinct event from events order by 1"
                ).fetchall()
            ]
            raise UsageError(
                f"--cost-event {name}: the log has no event of this type with an amount; "
                "its types are "
                f"{', '.join(types[:20])}.{did_you_mean(name, types)}"
            )
    found = Costs(*table.amounts_of(wanted or ["cost"]))
    return found if len(found.amount) else None
