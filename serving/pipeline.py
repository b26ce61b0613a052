"""The main job: a log in, a folder with bundle, scores, report and what was refused out; whole, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from features.errors import UsageError
from features.events import EventLog
from serving.batch import score_snapshot, write_scores
from serving.inspection import DATA_REPORT, REJECTED, inspect, write_inspection
from serving.report import write_report
from serving.scorer import Scorer
from serving.summary import card, summary
from training.bundle import Bundle, save_bundle
from training.config import TrainConfig
from training.train import train

SCORES, REPORT, MODEL = "scores.parquet", "report.html", "model"
OURS = (DATA_REPORT, REJECTED, SCORES, REPORT, MODEL)
# Steps that `run` names, for the length of the progress bar.
RUN_STEPS = 9


@dataclass(frozen=True)
class Run:
    """What a run left behind."""

    folder: Path
    bundle: Bundle
    scores: pa.Table
    summary: dict[str, Any]


@contextmanager
def new_folder(folder: Path, *, force: bool) -> Iterator[Path]:
    """Give a draft folder that becomes ``folder`` when all went well, and vanishes when it did not.

    Raises
    ------
    UsageError
        The folder holds another run and ``force`` is not set, or holds files that are not ours.
    """
    _check_place(folder, force=force)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        yield draft
        old = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        draft.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _check_place(folder: Path, *, force: bool) -> None:
    if folder.is_file():
        raise UsageError(f"--out {folder} is a file; name a folder")
    found = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    if strange := [name for name in found if name not in OURS]:
        raise UsageError(f"--out {folder} holds '{strange[0]}', which is not of a run; name an empty or a new folder")
    if found and not force:
        raise UsageError(f"--out {folder} holds another run; name another folder, or replace it with --force")


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
        Called with the bundle, its folder and the report once they are written; logs them to MLflow.

    Raises
    ------
    features.errors.StagecastError
        The folder, the as_of or the horizon cannot be used, or nobody has bought; nothing is left behind then.
    """
    with new_folder(out, force=force) as draft:
        at = log.choose_as_of(as_of)
        inspected = inspect(log, at, config.horizon_days)
        write_inspection(log, inspected, draft)
        training = train(log.con, at, config, say)
        bundle = save_bundle(draft / MODEL, training.models, at, training.data_cutoff, card(training))
        say("scores and reasons")
        scores = score_snapshot(Scorer(bundle, threads=0), training.panel.now, training.data_cutoff)
        write_scores(scores, draft / SCORES)
        say("report")
        told = summary(bundle, log.report.to_json(), next_steps)
        write_report(draft / REPORT, told, scores)
        if track is not None:
            say("tracking")
            track(bundle, draft / MODEL, draft / REPORT)
    return Run(out, bundle, scores, told)
