"""``stagecast score``: every customer of a log by a trained model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from stagecast.features.clock import iso
from stagecast.serving.commands.console import show, steps
from stagecast.serving.commands.options import as_of_option, common, dated
from stagecast.serving.commands.outputs import model_folder, publish
from stagecast.serving.commands.reading_options import open_log, reading
from stagecast.serving.settings import load_settings


@click.command()
@reading
@dated
@click.option(
    "--model", required=True, metavar="MODEL", help="A bundle folder, or models:/NAME@champion."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help=(
        "File to write, .parquet or .csv; without an ending, a folder of parts with "
        "which a stopped run goes on."
    ),
)
@click.option(
    "--reasons/--no-reasons", default=True, show_default=True, help="Reasons take most of the time."
)
@click.option("--publish", is_flag=True, help="Write the scores to the store that `serve` reads.")
@click.option(
    "--store", metavar="URL", help="The store; default ./stagecast.db (or STAGECAST_STORE)."
)
@click.option(
    "--tracking-uri",
    metavar="URI",
    help="MLflow store for models:/...; default sqlite:///mlflow.db.",
)
@common
def score(as_json: bool, model: str, out: Path, reasons: bool, **options: Any) -> None:
    """Score every customer of a log with a trained model."""
    from stagecast.features.part_files import check_ending
    from stagecast.serving.commands.stage_lines import stage_lines
    from stagecast.serving.runs.table_files import write_scores
    from stagecast.serving.scoring.batch import score_log, snapshot, stage_counts
    from stagecast.serving.scoring.scorer import load_scorer

    check_ending(out)
    settings = load_settings(store=options["store"], tracking_uri=options["tracking_uri"])
    folder = model_folder(model, settings)
    scorer = load_scorer(folder, threads=0, with_reasons=reasons)
    if options["engine"] == "spark":
        from stagecast.serving.commands.on_spark import score_on_spark

        score_on_spark(scorer, folder, out, options, as_json=as_json)
        return
    with open_log(options, out) as log, steps(2) as say:
        say("features and scores")
        as_of = log.choose_as_of(as_of_option(options))
        if options["publish"]:
            now, cutoff = snapshot(log, scorer.bundle, as_of)
            scores = scorer.score(now, cutoff)
            write_scores(scores, out)
            say("publishing")
            publish(settings, scores, folder, scorer.scheme)
            counts = stage_counts(scores, scorer.scheme.ids)
        else:
            counts = score_log(log, scorer, as_of, out)
    if as_json:
        told = {
            "out": str(out),
            "as_of": iso(as_of),
            "model_version": scorer.model_version,
            "stages": counts,
        }
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    show(
        [*stage_lines(counts, scorer.scheme), "", f"{sum(counts.values()):,} scores written: {out}"]
    )
