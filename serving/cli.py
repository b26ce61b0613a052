"""The command line: ``stagecast``. Each command reads its options, calls one function, and prints
what came of it.

What is slow to import (models, charts, MLflow) is imported by the command that needs it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stagecast.features.clock import iso
from stagecast.features.demo import cdnow_log
from stagecast.features.errors import StagecastError, UsageError
from stagecast.features.events import EventLog
from stagecast.features.limits import explained_limits
from stagecast.serving.backtest_command import backtest
from stagecast.serving.console import show, steps
from stagecast.serving.erasure.command import erase
from stagecast.serving.lead_command import leads
from stagecast.serving.log_commands import check, features
from stagecast.serving.options import as_of_option, common, dated, learning, standing, train_config
from stagecast.serving.reading_options import open_log, reading
from stagecast.serving.report_command import report
from stagecast.serving.settings import Settings, keep_mlflow_quiet, load_settings
from stagecast.serving.stage_commands import stages
from stagecast.training.config import TrainConfig

if TYPE_CHECKING:
    from stagecast.serving.pipeline import Run
    from stagecast.training.bundle import Bundle

DEMO_FOLDER = Path("stagecast-demo")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="stagecast")
def cli() -> None:
    """Churn, lifecycle stage and customer value from a log of events."""


def _tracker(
    options: dict[str, Any], register: str | None = None
) -> Callable[[Bundle, Path, Path | None], None] | None:
    """Return what logs a training to MLflow, or None where it is not wanted."""
    if not options["track"]:
        return None
    uri = load_settings(tracking_uri=options["tracking_uri"]).tracking_uri
    keep_mlflow_quiet()

    def track(bundle: Bundle, folder: Path, report: Path | None) -> None:
        from stagecast.training.tracking import log_training

        try:
            log_training(uri, bundle, folder, report, register)
        except UsageError as error:
            if register is not None or options["tracking_uri"] is not None:
                raise
            # nobody asked for this store by name: the run stands without it
            click.echo(f"warning: not tracked: {error}", err=True)

    return track


def _publish(settings: Settings, scores: Any, model: Path, scheme: Any) -> None:
    from stagecast.serving.store import Store

    store = Store.open(settings.store)
    try:
        store.publish(scores, model_path=str(model.resolve()), scheme=scheme)
    finally:
        store.close()


def _run(
    log: EventLog,
    out: Path,
    config: TrainConfig,
    options: dict[str, Any],
    next_steps: Sequence[str],
) -> Run:
    from stagecast.serving import pipeline

    with steps(pipeline.RUN_STEPS) as say:
        done = pipeline.run(
            log,
            out,
            config,
            as_of=options["as_of"],
            force=options["force"],
            next_steps=next_steps,
            say=say,
            track=_tracker(options),
        )
        if options["publish"]:
            say("publishing")
            _publish(
                options["settings"], done.scores, out / pipeline.MODEL, done.bundle.models.scheme
            )
    return done


def _tell(done: Run, next_steps: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(done.summary, ensure_ascii=False))
    else:
        from stagecast.serving import terminal

        show([*terminal.run_lines(done), "", "Next:", *(f"  {line}" for line in next_steps)])


@cli.command()
@click.option("--out", type=click.Path(path_type=Path), default=DEMO_FOLDER, show_default=True)
@common
def demo(out: Path, as_json: bool) -> None:
    """The main job on the CDNOW log of the lifetimes package, and where to look next."""
    next_steps = [
        (
            "stagecast serve                      the ranked list at http://127.0.0.1:8000, "
            "the API at /docs"
        ),
        "jupyter lab notebooks/               the same in a notebook (notebooks/quickstart.ipynb)",
        "mlflow ui --backend-store-uri sqlite:///mlflow.db    this training among others",
        "stagecast run YOUR.csv --out DIR     the same on your own log",
    ]
    options = {
        "as_of": None,
        "force": True,
        "publish": True,
        "settings": load_settings(),
        "track": True,
        "tracking_uri": None,
    }
    with cdnow_log() as log:
        done = _run(log, out, TrainConfig(), options, next_steps)
    _tell(done, next_steps, as_json=as_json)


@cli.command()
@reading
@standing
@learning
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder to write; it must be new or empty.",
)
@click.option("--publish", is_flag=True, help="Write the scores to the store that `serve` reads.")
@click.option(
    "--store", metavar="URL", help="The store; default ./stagecast.db (or STAGECAST_STORE)."
)
@click.option("--force", is_flag=True, help="Replace the run that --out holds.")
@common
def run(as_json: bool, **options: Any) -> None:
    """Check, train, score and report in one go."""
    from stagecast.serving import pipeline

    config, as_of = train_config(options), as_of_option(options)
    settings = load_settings(store=options["store"])
    next_steps = [
        f"stagecast score EVENTS --model {options['out'] / pipeline.MODEL} --out scores.parquet",
        f"stagecast serve --model {options['out'] / pipeline.MODEL}",
    ]
    with open_log(options) as log:
        done = _run(
            log,
            options["out"],
            config,
            {**options, "as_of": as_of, "settings": settings},
            next_steps,
        )
    _tell(done, next_steps, as_json=as_json)


@cli.command()
@reading
@standing
@learning
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the bundle; it must be new.",
)
@click.option(
    "--register", metavar="NAME", help="Offer it in MLflow as challenger of this registered model."
)
@click.option(
    "--sample",
    type=int,
    metavar="N",
    help="Of --engine spark: customers to train on; default 200,000.",
)
@common
def train(
    as_json: bool, out: Path, register: str | None, sample: int | None, **options: Any
) -> None:
    """Train a bundle; also logs to MLflow."""
    from stagecast.serving import pipeline, terminal
    from stagecast.serving.summary import card
    from stagecast.training.bundle import save_bundle
    from stagecast.training.train import train as learn

    if register is not None and not options["track"]:
        raise UsageError("--register needs MLflow: leave --no-track out")
    if out.exists():
        raise UsageError(f"--out {out} exists; a bundle is written into a new folder")
    if sample is not None and (sample < 1 or options["engine"] != "spark"):
        raise UsageError("--sample is a number of customers, and belongs to --engine spark")
    config = train_config(options)
    with _log_and_notes(options, sample) as (log, as_of, notes), steps(pipeline.RUN_STEPS) as say:
        done = learn(log.con, as_of, replace(config, known_at_start=log.known_at_start), say)
        done = replace(done, notes=(*notes, *done.notes))
        bundle = save_bundle(out, done.models, as_of, done.data_cutoff, card(done))
        track = _tracker(options, register)
        if track is not None:
            say("tracking")
            track(bundle, out, None)
    if as_json:
        told = {
            "model_version": bundle.model_version,
            "as_of": iso(as_of),
            "out": str(out),
            **bundle.card,
        }
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    lines = [*terminal.evaluation_lines(done.evaluation, config.churn), *done.notes]
    show([*lines, "", f"model {bundle.model_version} written: {out}"])


@contextmanager
def _log_and_notes(
    options: dict[str, Any], sample: int | None
) -> Iterator[tuple[EventLog, datetime, tuple[str, ...]]]:
    """Open the log that a training learns from: of a log on Spark, a sample of its customers."""
    if options["engine"] == "spark":
        from stagecast.features.engines.spark.sample import SAMPLE
        from stagecast.serving.spark_commands import sampled_log

        with sampled_log(options, sample or SAMPLE) as found:
            yield found
        return
    with open_log(options) as log:
        yield log, log.choose_as_of(as_of_option(options)), ()


@cli.command()
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
    from stagecast.serving.batch import score_log, score_snapshot, snapshot
    from stagecast.serving.scorer import load_scorer
    from stagecast.serving.stage_lines import stage_lines
    from stagecast.serving.summary import stage_counts
    from stagecast.serving.table_files import write_scores

    check_ending(out)
    settings = load_settings(store=options["store"], tracking_uri=options["tracking_uri"])
    folder = _model_folder(model, settings)
    scorer = load_scorer(folder, threads=0, with_reasons=reasons)
    if options["engine"] == "spark":
        from stagecast.serving.spark_commands import score_on_spark

        score_on_spark(scorer, folder, out, options, as_json=as_json)
        return
    with open_log(options, out) as log, steps(2) as say:
        say("features and scores")
        as_of = log.choose_as_of(as_of_option(options))
        if options["publish"]:
            now, cutoff = snapshot(log, scorer.bundle, as_of)
            scores = score_snapshot(scorer, now, cutoff)
            write_scores(scores, out)
            say("publishing")
            _publish(settings, scores, folder, scorer.scheme)
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


def _model_folder(model: str, settings: Settings) -> Path:
    if not model.startswith("models:/"):
        return Path(model)
    keep_mlflow_quiet()
    from stagecast.training.tracking import fetch_bundle

    return fetch_bundle(settings.tracking_uri, model)


@cli.command()
@click.option(
    "--model",
    metavar="MODEL",
    help="Bundle for POST /v1/score; default: that of the published scores.",
)
@click.option(
    "--store", metavar="URL", help="The store; default ./stagecast.db (or STAGECAST_STORE)."
)
@click.option("--host", metavar="ADDRESS", help="Default 127.0.0.1; any other needs API keys.")
@click.option("--port", type=int, metavar="PORT", help="Default 8000.")
@common
def serve(
    as_json: bool, model: str | None, store: str | None, host: str | None, port: int | None
) -> None:
    """The API and the pages."""
    from stagecast.serving.server import serve as run_server

    settings = load_settings(store=store, host=host, port=port)
    folder = None if model is None else _model_folder(model, settings)
    run_server(settings, folder, as_json=as_json)


for _command in (check, stages, leads, features, backtest, report, erase):
    cli.add_command(_command)


def main() -> None:
    """Run the command line; a user's error is one line on stderr and its exit code."""
    try:
        with explained_limits():
            cli(standalone_mode=False)
    except StagecastError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped; nothing was left half-written", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # whoever read our output has gone, as `head` does
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        click.echo(f"error: {error.filename or 'a file'}: {error.strerror or error}", err=True)
        sys.exit(UsageError.exit_code)
