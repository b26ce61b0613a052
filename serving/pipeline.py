"""The main job: a log in, a folder with bundle, scores, report and what was refused out; whole,
or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from stagecast.features.events import EventLog
from stagecast.serving.reports.lifecycle_report import TABLES, figures, movement, write_tables
from stagecast.serving.reports.run_report import write_report
from stagecast.serving.runs.folders import new_folder
from stagecast.serving.runs.inspection import DATA_REPORT, REJECTED, inspect, write_inspection
from stagecast.serving.runs.summary import card, summary
from stagecast.serving.runs.table_files import write_scores
from stagecast.serving.scoring.scorer import Scorer
from stagecast.training.bundle import Bundle, save_bundle
from stagecast.training.config import TrainConfig
from stagecast.training.train import train

SCORES, REPORT, MODEL = "scores.parquet", "report.html", "model"
OURS = (DATA_REPORT, REJECTED, SCORES, REPORT, MODEL, TABLES)
# Steps that `run` names, for the length of the progress bar.
RUN_STEPS = 9


@dataclass(frozen=True)
class Run:
    """What a run left behind."""

    folder: Path
    bundle: Bundle
    scores: pa.Table
    summary: dict[str, Any]


def run(
    log: EventLog,
    out: Path,
    config: TrainConfig,
    *,
    as_of: datetime | None = None,
    force: bool = False,
    next_steps: Sequence[str] = (),
    say: Callable[[str], object] = lambda step: None,
    track: Callable[[Bundle, Path, Path], object] | None = None,
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
        Called with the bundle, its folder and the report once they are written; logs them to
        MLflow.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The folder, the as_of or the horizon cannot be used, or nobody has bought; nothing is left
        behind then.
    """
    config = replace(config, known_at_start=log.known_at_start)
    with new_folder(out, OURS, force=force) as draft:
        at = log.choose_as_of(as_of)
        inspected = inspect(log, at, config.horizon_days)
        write_inspection(log, inspected, draft)
        training = train(log.con, at, config, say)
        bundle = save_bundle(
            draft / MODEL, training.models, at, training.data_cutoff, card(training)
        )
        say("scores and reasons")
        scores = Scorer(bundle, threads=0).score(training.panel.now, training.data_cutoff)
        write_scores(scores, draft / SCORES)
        say("report")
        told = summary(bundle, log.report.to_json(), next_steps)
        life = training.panel.life
        moved = movement(life, at, has_amounts=training.models.value.mean_spend is not None)
        write_tables(moved, draft / TABLES)
        write_report(draft / REPORT, told, scores, figures(moved, life.scheme, life.merged))
        if track is not None:
            say("tracking")
            track(bundle, draft / MODEL, draft / REPORT)
    return Run(out, bundle, scores, told)
