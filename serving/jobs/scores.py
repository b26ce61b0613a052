"""Every customer of a log scored by a trained model: into files, and into the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from stagecast.features.clock import iso
from stagecast.features.files.part_files import check_ending
from stagecast.features.stages.scheme import Scheme
from stagecast.serving.jobs.written import Written
from stagecast.serving.progress import Steps, silently
from stagecast.serving.reading import Reading
from stagecast.serving.requests import ScoringRequest
from stagecast.serving.runs.models import model_folder
from stagecast.serving.runs.table_files import write_scores
from stagecast.serving.scoring.batch import score_log, snapshot, stage_counts
from stagecast.serving.scoring.scorer import load_scorer
from stagecast.serving.settings import load_settings

STEPS = 2


@dataclass(frozen=True)
class Scored:
    """Scores that were written on this machine.

    Parameters
    ----------
    out
        Where they stand.
    as_of
        Where the customers stand.
    model_version
        Of the bundle.
    scheme, counts
        The stages, and how many customers stand on each, in the scheme's order.
    """

    out: Path
    as_of: datetime
    model_version: str
    scheme: Scheme
    counts: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "out": str(self.out),
            "as_of": iso(self.as_of),
            "model_version": self.model_version,
            "stages": dict(self.counts),
        }


def score_customers(
    reading: Reading, request: ScoringRequest, *, steps: Steps = silently
) -> Scored | Written:
    """Score every customer of a log; on Spark, what was written is all that is returned.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The model or the log cannot be read, the scores cannot be written, or the model has seen
        what comes after the as_of.
    """
    check_ending(request.out)
    settings = load_settings(store=request.store, tracking_uri=request.tracking_uri)
    folder = model_folder(request.model, settings)
    scorer = load_scorer(folder, threads=0, with_reasons=request.reasons)
    reading = reading.counting_days_of(scorer.bundle.clock.zone)
    if reading.spark is not None:
        from stagecast.serving.jobs.on_spark import score_on_spark

        return score_on_spark(reading, request, scorer, folder)
    with reading.open(request.out, command="score") as log, steps(STEPS) as say:
        say("features and scores")
        as_of = log.choose_as_of(reading.as_of)
        if request.publish:
            from stagecast.serving.runs.publishing import publish  # SQLAlchemy is slow to import

            now, cutoff = snapshot(log, scorer.bundle, as_of)
            scores = scorer.score(now, cutoff, has_amounts=log.has_amounts)
            write_scores(scores, request.out)
            say("publishing")
            margin = scorer.bundle.models.config.margin
            publish(settings.store, scores, folder, scorer.scheme, log, as_of, margin=margin)
            counts = stage_counts(scores, scorer.scheme.ids)
        else:
            counts = score_log(log, scorer, as_of, request.out)
    return Scored(request.out, as_of, scorer.model_version, scorer.scheme, counts)
