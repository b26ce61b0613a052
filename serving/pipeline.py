"""The main job: a log in, a folder with bundle, scores, report and what was refused out; whole,
or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from stagecast.features.events import EventLog
from stagecast.serving.jobs.training import STEPS, bundle_of
from stagecast.serving.languages.display import Display, Language
from stagecast.serving.progress import Say, Steps, silent, silently
from stagecast.serving.reports.lifecycle_report import movement, movement_figures, write_tables
from stagecast.serving.reports.run_report import write_report
from stagecast.serving.reports.summary import card, summary
from stagecast.serving.requests import RunRequest
from stagecast.serving.runs.files import MODEL, OF_A_RUN, REPORT, SCORES, TABLES
from stagecast.serving.runs.findings import findings
from stagecast.serving.runs.folders import new_folder
from stagecast.serving.runs.inspection import inspect, write_inspection
from stagecast.serving.runs.run import Run
from stagecast.serving.runs.table_files import write_scores
from stagecast.serving.runs.tracking import tracker
from stagecast.serving.scoring.scorer import Scorer
from stagecast.serving.settings import load_settings
from stagecast.training.bundle import Bundle, write_bundle
from stagecast.training.config import TrainConfig
from stagecast.training.train import train


def run(
    log: EventLog,
    out: str | Path,
    config: TrainConfig,
    *,
    as_of: datetime | None = None,
    force: bool = False,
    next_steps: Sequence[str] = (),
    say: Say = silent,
    track: Callable[[Bundle, Path, Path], object] | None = None,
    language: Language = "en",
) -> Run:
    """Check, train, score and report in one go.

    Parameters
    ----------
    log
        Read already; what it refused is written along.
    out
        Folder that appears when all is done.
    as_of
        None: the day after the last event.
    track
        Called with the bundle, its folder and the report once they are in their place; logs them
        to MLflow.
    language
        Of the report.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The folder, the as_of or the horizon cannot be used, or nobody has bought; nothing is left
        behind then.
    """
    out = Path(out)
    config = replace(config, known_at_start=log.known_at_start)
    with new_folder(out, OF_A_RUN, force=force) as draft:
        at = log.choose_as_of(as_of)
        inspected = inspect(log, at, config)
        write_inspection(log, inspected, draft)
        training = train(log.con, at, config, say)
        bundle_card = card(training)
        bundle = bundle_of(log, at, training, bundle_card)
        write_bundle(draft / MODEL, bundle)
        say("scores and reasons")
        scores = Scorer(bundle, threads=0).score(training.panel.now, training.data_cutoff)
        write_scores(scores, draft / SCORES)
        say("report")
        log_findings = findings(inspected.quality)
        contents = summary(bundle, bundle_card, inspected.for_summary(), next_steps, log_findings)
        life = training.panel.life
        moves = movement(life, at, has_amounts=training.models.value.mean_spend is not None)
        write_tables(moves, draft / TABLES)
        display = Display(language)
        figures = movement_figures(moves, life.scheme, life.merged, display)
        write_report(draft / REPORT, contents, scores, figures, display)
    if track is not None:
        say("tracking")
        track(bundle, out / MODEL, out / REPORT)
    return Run(out, bundle, scores, contents)


def run_and_publish(
    open_log: Callable[[], EventLog],
    request: RunRequest,
    *,
    as_of: datetime | None = None,
    steps: Steps = silently,
    warn: Say = silent,
) -> Run:
    """Check, train, score and report in one go; log the training to MLflow and write the scores to
    the store where that is asked for.

    Parameters
    ----------
    open_log
        Reads the log, such as :meth:`stagecast.serving.reading.Reading.open`.
    as_of
        None: the day after the last event.
    warn
        Is called with the reason where MLflow does not take the training, and need not.

    Raises
    ------
    stagecast.features.errors.StagecastError
        As :func:`run`; or MLflow or the store does not take what it should.
    """
    settings = load_settings(store=request.store)
    track = tracker(request.training, warn)
    with open_log() as log, steps(STEPS) as say:
        done = run(
            log,
            request.out,
            request.training.config,
            as_of=as_of,
            force=request.force,
            next_steps=request.next_steps,
            language=request.language,
            say=say,
        )
        if request.publish:
            from stagecast.serving.runs.publishing import publish  # SQLAlchemy is slow to import

            say("publishing")
            publish(
                settings,
                done.scores,
                request.out / MODEL,
                done.bundle,
                log,
                log.choose_as_of(as_of),
            )
        if track is not None:
            track.note(log)
            say("tracking")
            track(done.bundle, request.out / MODEL, request.out / REPORT)
    return done
