"""The commands that look at a log and nothing else: ``check``, ``features``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from features.catalog import standard
from features.clock import iso, parse_span_days
from features.errors import UsageError
from serving.console import show
from serving.options import as_of_option, common, dated
from serving.reading_options import open_log, reading


@click.command()
@reading
@dated
@click.option("--horizon", default="90d", show_default=True, help="Span that a training would speak of.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for data-report.json and rejected.parquet.")
@common
def check(as_json: bool, out: Path | None, **options: Any) -> None:
    """What is in the log, what is refused and why, and what the models can do with it."""
    from serving.inspection import inspect, write_inspection

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


@click.command()
@reading
@dated
@click.option("--horizon", default="90d", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="With EVENTS, the file to write: .parquet or .csv.")
@common
def features(as_json: bool, horizon: str, out: Path | None, **options: Any) -> None:
    """The features of every customer of EVENTS; without --out, the catalogue: name, unit, meaning."""
    if out is not None:
        _write_features(out, parse_span_days(horizon), options, as_json=as_json)
        return
    if options["events"]:
        raise UsageError("features of EVENTS need --out FILE, a .parquet or .csv file to write them to")
    catalog = standard(parse_span_days(horizon))
    if as_json:
        click.echo(json.dumps([asdict(feature) for feature in catalog.features]))
        return
    from serving.console import table

    rows = [["feature", "unit", "meaning"], *([f.name, f.unit, f.meaning] for f in catalog.features)]
    show(table(rows, set()))


def _write_features(out: Path, horizon_days: int, options: dict[str, Any], *, as_json: bool) -> None:
    from features.parts import write_features

    with open_log(options, out) as log:
        as_of = log.choose_as_of(as_of_option(options))
        customers = write_features(log, as_of, horizon_days, out)
    if as_json:
        click.echo(json.dumps({"out": str(out), "as_of": iso(as_of), "customers": customers}))
        return
    show([f"features of {customers:,} customers at {iso(as_of)} written: {out}"])
