"""``stagecast check``: what is in a log, what is refused and why, what the models can do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from stagecast.features.clock import parse_span_days
from stagecast.serving.commands.console import show
from stagecast.serving.commands.options import as_of_option, common, dated
from stagecast.serving.commands.reading_options import open_log, reading


@click.command()
@reading
@dated
@click.option(
    "--horizon", default="90d", show_default=True, help="Span that a training would speak of."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for data-report.json and rejected.parquet.",
)
@common
def check(as_json: bool, out: Path | None, **options: Any) -> None:
    """What is in the log, what is refused and why, and what the models can do with it."""
    from stagecast.serving.runs.inspection import inspect, write_inspection

    horizon_days = parse_span_days(options["horizon"])
    with open_log(options) as log:
        found = inspect(log, log.choose_as_of(as_of_option(options)), horizon_days)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            write_inspection(log, found, out)
        if as_json:
            click.echo(json.dumps(found.to_json(), ensure_ascii=False))
            return
        show(found.lines())
