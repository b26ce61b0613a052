"""A bundle trained on a log: on the whole of it, or on a sample of a log on Spark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from stagecast.features.clock import iso
from stagecast.features.errors import UsageError
from stagecast.features.events import EventLog
from stagecast.features.plain_json import to_json
from stagecast.serving.jobs.models import challenge_champion
from stagecast.serving.progress import Say, Steps, silent, silently
from stagecast.serving.reading import Reading
from stagecast.serving.reports.summary import card
from stagecast.serving.requests import SAMPLE_ON_SPARK, TrainingRequest
from stagecast.serving.runs.tracking import tracker
from stagecast.training.bundle import Bundle, make_bundle, write_bundle
from stagecast.training.card import Card
from stagecast.training.config import TrainConfig
from stagecast.training.fitted.btyd import histories_of, log_covariances
from stagecast.training.promotion.challenge import Challenge
from stagecast.training.train import Training, train
from stagecast.training.value.currency import LogMoney

# Steps that a training names, and those of `run` behind them, for the length of the progress bar.
STEPS = 9


@dataclass(frozen=True)
class TrainedBundle:
    """A bundle that was trained, its card, and the folder that it was written to.

    ``promotion`` says whether it is the champion of its name now; None where it was not registered.
    """

    out: Path
    bundle: Bundle
    card: Card
    promotion: Challenge | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, without the models."""
        return {
            "model_version": self.bundle.model_version,
            "as_of": iso(self.bundle.as_of),
            "out": str(self.out),
            **to_json(self.card),
            **({} if self.promotion is None else {"promotion": self.promotion.to_json()}),
        }


def train_bundle(
    reading: Reading,
    request: TrainingRequest,
    out: Path,
    *,
    steps: Steps = silently,
    warn: Say = silent,
) -> TrainedBundle:
    """Train a bundle, and log the training to MLflow where that is asked for.

    Parameters
    ----------
    out
        Folder of the bundle; it must be new.
    warn
        Is called with the reason where MLflow does not take the training, and need not.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The folder exists, the log cannot be read, or there is nothing to learn from; or the bundle,
        which is written by then, could not be registered or compared.
    """
    if out.exists():
        raise UsageError(f"--out {out} exists; a bundle is written into a new folder")
    if request.sample is not None and reading.spark is None:
        raise UsageError(SAMPLE_ON_SPARK)
    track, promotion = tracker(request, warn), None
    with _opened(reading, request.sample) as (log, as_of, notes), steps(STEPS) as say:
        config = replace(request.config, known_at_start=log.known_at_start)
        training = learn(log, as_of, config, say)
        training = replace(training, notes=(*notes, *training.notes))
        bundle_card = card(training)
        bundle = bundle_of(log, as_of, training, bundle_card)
        write_bundle(out, bundle)
        if track is not None:
            track.note(log)
            say("tracking")
            run_id = track(bundle, out, None)
            if request.register is not None and run_id is not None:
                promotion = challenge_champion(
                    log, as_of, config, request.register, run_id, track.settings, say
                )
    return TrainedBundle(out, bundle, bundle_card, promotion)


def learn(log: EventLog, as_of: datetime, config: TrainConfig, say: Say = silent) -> Training:
    """Return what is learned from a log at an as_of.

    Raises
    ------
    stagecast.features.errors.StagecastError
        There is nothing to learn from, or the as_of or the horizon does not fit the log.
    """
    return train(log.con, as_of, replace(config, known_at_start=log.known_at_start), say)


def bundle_of(log: EventLog, as_of: datetime, training: Training, bundle_card: Card) -> Bundle:
    """Return the bundle of a training on a log, in memory."""
    money = LogMoney(log.report.currency, log.has_amounts)
    covariances = log_covariances(training.models.base, histories_of(training.panel.now))
    return make_bundle(
        training.models, as_of, training.data_cutoff, bundle_card, money, covariances
    )


@contextmanager
def _opened(
    reading: Reading, sample: int | None
) -> Iterator[tuple[EventLog, datetime, tuple[str, ...]]]:
    """Open the log that a training learns from, with its as_of and what is to be noted of it."""
    if reading.spark is not None:
        from stagecast.serving.jobs.on_spark import sampled_log

        with sampled_log(reading, sample) as opened:
            yield opened
        return
    with reading.open(command="train") as log:
        yield log, log.choose_as_of(reading.as_of), ()
