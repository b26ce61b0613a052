"""``stagecast features``: the features of every customer, the catalogue, its SQL."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from stagecast.features.errors import UsageError
from stagecast.serving.commands.console import show, show_json
from stagecast.serving.commands.options import common, span_days
from stagecast.serving.commands.reading_values import reading
from stagecast.serving.reading import Reading


@click.command()
@reading
@click.option("--horizon", default="90d", show_default=True, callback=span_days)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="With EVENTS, the file to write, .parquet or .csv; without an ending, a folder "
    "of parts with which a stopped "
    "run goes on.",
)
@click.option(
    "--list", "list_all", is_flag=True, help="The catalogue: name, unit, meaning, how it is made."
)
@click.option("--explain-sql", is_flag=True, help="The SQL of the catalogue, for --engine.")
@common
def features(
    reading: Reading,
    as_json: bool,
    horizon: int,
    out: Path | None,
    list_all: bool,
    explain_sql: bool,
) -> None:
    """The features of every customer of EVENTS; without --out, the catalogue: name, unit,
    meaning.
    """
    from stagecast.serving.commands import terminal

    catalog = reading.own.catalog(horizon)
    if explain_sql:
        from stagecast.serving.jobs.features import feature_queries

        queries = feature_queries(reading, catalog)
        if as_json:
            show_json(queries, ascii_only=True)
        else:
            show(terminal.query_lines(queries))
    elif list_all or (out is None and not reading.sources):
        if as_json:
            show_json([asdict(feature) for feature in catalog.features], ascii_only=True)
        else:
            show(terminal.catalog_lines(catalog))
    elif out is None:
        raise UsageError(
            "features of EVENTS need --out: a .parquet or .csv file, or a folder of "
            "parts, to write them to"
        )
    else:
        from stagecast.serving.jobs.features import write_feature_file

        written = write_feature_file(reading, catalog, out)
        if as_json:
            show_json(written.to_json(), ascii_only=True)
        else:
            show(terminal.written_lines(written))
