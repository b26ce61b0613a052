"""``stagecast features``: the features of every customer, the catalogue, its SQL."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.clock import iso, microseconds, parse_span_days
from stagecast.features.engines.shop_gap import FALLBACK_GAP_DAYS
from stagecast.features.errors import UsageError
from stagecast.serving.commands.console import show
from stagecast.serving.commands.options import as_of_option, common, dated
from stagecast.serving.commands.reading_options import open_log, own_features, reading


@click.command()
@reading
@dated
@click.option("--horizon", default="90d", show_default=True)
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
    as_json: bool, horizon: str, out: Path | None, list_all: bool, explain_sql: bool, **options: Any
) -> None:
    """The features of every customer of EVENTS; without --out, the catalogue: name, unit,
    meaning.
    """
    catalog = own_features().catalog(parse_span_days(horizon))
    if explain_sql:
        _explain(catalog, options, as_json=as_json)
    elif list_all or (out is None and not options["events"]):
        _list(catalog, as_json=as_json)
    elif out is None:
        raise UsageError(
            "features of EVENTS need --out: a .parquet or .csv file, or a folder of "
            "parts, to write them to"
        )
    elif options["engine"] == "spark":
        from stagecast.serving.commands.on_spark import features_on_spark

        features_on_spark(catalog, out, options, as_json=as_json)
    else:
        _write_features(out, catalog, options, as_json=as_json)


def _list(catalog: Catalog, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([asdict(feature) for feature in catalog.features]))
        return
    from stagecast.serving.commands.console import table

    head = ["feature", "unit", "meaning", "how it is made"]
    show(table([head, *([f.name, f.unit, f.meaning, f.how] for f in catalog.features)], set()))


def _explain(catalog: Catalog, options: dict[str, Any], *, as_json: bool) -> None:
    """Print the queries in their order; of a log without EVENTS, those that fit any log."""
    from stagecast.features.engines import duckdb, sql
    from stagecast.features.engines.spark import table as spark

    as_of = as_of_option(options) or datetime(2025, 1, 1, tzinfo=UTC)
    at, engine = microseconds(as_of), spark if options["engine"] == "spark" else duckdb
    shape = sql.ANY
    if options["events"]:
        with open_log({**options, "engine": "duckdb"}) as log:
            at = microseconds(log.choose_as_of(as_of_option(options)))
            shape = duckdb.shape_of(
                log.con, f"(select * from events where {duckdb.KNOWN} < {at}) as known_events", at
            )
    catalog = catalog.with_parameters(shop_gap_days=FALLBACK_GAP_DAYS)
    clock = engine.clock(at)
    made = [
        sql.daily(clock, "known_events", shape),
        *sql.tables_beside(catalog, clock, "known_events", shape),
    ]
    queries = {step.name: sql.render([step], engine.DIALECT) for step in made}
    queries["features"] = sql.render(sql.snapshot(catalog, at, [0], shape), engine.DIALECT)
    if as_json:
        click.echo(json.dumps(queries))
        return
    click.echo("\n\n".join(f"-- {name}\n{text};" for name, text in queries.items()))


def _write_features(out: Path, catalog: Catalog, options: dict[str, Any], *, as_json: bool) -> None:
    from stagecast.features.engines.larger_than_memory import write_features

    with open_log(options, out) as log:
        as_of = log.choose_as_of(as_of_option(options))
        customers = write_features(log, as_of, catalog, out)
    if as_json:
        click.echo(json.dumps({"out": str(out), "as_of": iso(as_of), "customers": customers}))
        return
    show([f"features of {customers:,} customers at {iso(as_of)} written: {out}"])
