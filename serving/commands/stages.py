"""``stagecast stages``: the stage of each customer, their history, one customer explained, the
schemes.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.features.events import EventLog
from stagecast.features.stages.scheme import LANGUAGES, rule_text
from stagecast.features.stages.scheme_files import (
    known_schemes,
    load_scheme,
    scheme_to_json,
    thresholds_to_json,
)
from stagecast.serving.commands.console import show, table
from stagecast.serving.commands.options import as_of_option, chosen_scheme, common, standing
from stagecast.serving.commands.reading_options import open_log, own_features, reading
from stagecast.training.config import TrainConfig


@click.command()
@reading
@standing
@click.option("--out", type=click.Path(path_type=Path), help="File to write: .parquet or .csv.")
@click.option(
    "--history",
    type=click.Path(path_type=Path),
    help="File for every spell on a stage: .parquet or .csv.",
)
@click.option(
    "--explain",
    metavar="CUSTOMER",
    help="Say of one customer which rule holds, on which facts, since when.",
)
@click.option(
    "--list",
    "list_all",
    is_flag=True,
    help="The schemes there are, or the one that --stages names.",
)
@common
def stages(as_json: bool, list_all: bool, **options: Any) -> None:
    """Stage of each customer: customer_id, stage, stage_since, stage_rule."""
    if list_all:
        source = click.get_current_context().get_parameter_source("stages")
        _list(options["stages"] if source is ParameterSource.COMMANDLINE else None, as_json=as_json)
        return
    out, history, customer = options["out"], options["history"], options["explain"]
    if out is None and history is None and customer is None:
        raise UsageError(
            "say what is wanted: --out FILE, --history FILE, --explain CUSTOMER or --list"
        )
    from stagecast.serving.runs import stage_table
    from stagecast.serving.runs.table_files import check_targets

    check_targets(out=out, history=history)
    scheme = chosen_scheme(options)
    from stagecast.serving.commands.stage_explain import explain, lines
    from stagecast.serving.commands.stage_lines import stage_lines
    from stagecast.serving.runs.table_files import write_scores

    with open_log(options, out, history) as log:
        as_of = log.choose_as_of(as_of_option(options))
        found = stage_table.stages_of(
            log, as_of, scheme, keep_facts=history is not None or customer is not None
        )
        told = None if customer is None else explain(found, customer)
        if out is not None:
            rows = stage_table.stage_table(found)
            write_scores(_graded(rows, log, as_of) if scheme.lead_grades else rows, out)
        if history is not None:
            write_scores(stage_table.history_table(found), history)
    written = {"out": out, "history": history}
    if as_json:
        answer = {
            "thresholds": thresholds_to_json(found.life.scheme.thresholds),
            "merged": {stage: list(into) for stage, into in found.life.merged.items()},
            "customers": len(found.ids),
            **{name: str(path) for name, path in written.items() if path is not None},
            **({} if told is None else {"explained": told}),
        }
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    if told is not None:
        show(lines(told))
    else:
        show(stage_lines(found.counts, found.life.scheme, found.life.merged))
    show([f"written: {path}" for path in written.values() if path is not None])


def _graded(rows: Any, log: EventLog, as_of: datetime) -> Any:
    """Return the stages with the points and grades of leads, by the points of the package."""
    from stagecast.features.attributes import attribute_kinds, known_at_start
    from stagecast.features.catalog.of_customer import check_numbers
    from stagecast.features.leads import lead_events
    from stagecast.serving.runs.stage_table import with_lead_grades
    from stagecast.training.lead_points.points import load_points
    from stagecast.training.lead_points.ranking import SCHEMA, rank_leads

    catalog = own_features().catalog(TrainConfig.horizon_days)
    check_numbers(catalog, attribute_kinds(log.con), log.known_at_start)
    events = lead_events(log.con, as_of, until_purchase=True)
    told = known_at_start(log.con, events.customers, log.known_at_start)
    try:
        ranked = rank_leads(load_points(), events, as_of, TrainConfig.horizon_days, told).table
    except NotEnoughDataError:
        ranked = SCHEMA.empty_table()
    return with_lead_grades(rows, ranked)


def _list(chosen: str | None, *, as_json: bool) -> None:
    """Print every scheme, or the one that was named."""
    names = known_schemes() if chosen is None else [chosen]
    if as_json:
        click.echo(
            json.dumps([scheme_to_json(load_scheme(name)) for name in names], ensure_ascii=False)
        )
        return
    for name in names:
        scheme = load_scheme(name)
        titles = [scheme.title[language] for language in dict.fromkeys((scheme.language, "en"))]
        show(
            [
                "",
                f"{scheme.id}: {' / '.join(titles)}"
                + (f" ({scheme.source})" if scheme.source else ""),
            ]
        )
        heads = ["stage", *LANGUAGES, "rule", "meaning"]
        rows = [
            [s.id, *(s.title.get(x, "") for x in LANGUAGES), s.rule_text, s.meaning["en"]]
            for s in scheme.stages
        ]
        show(table([heads, *rows], set()))
        for group in scheme.groups:
            show([f"  group {group.id}: {rule_text(group.rule)}"])
