"""Runs of MLflow: one per training, and one per backtest with a nested run for each date.

A run that could not be written whole is closed as FAILED: at once where the store still answers,
else by the next run that is logged there, which knows by a tag when the former had to be over.
"""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stagecast.features.describe.fingerprint import Fingerprint
from stagecast.features.errors import UsageError
from stagecast.training.tracking.client import experiment_id, open_client
from stagecast.training.tracking.registering import DIGEST, register_version
from stagecast.training.tracking.run_contents import DatedMetric, RunContents

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from stagecast.training.bundle import Bundle

BUNDLE_PATH, MODEL_PATH = "bundle", "model"
ENDS_BY = "stagecast.ends_by"
"""Tag of a run: milliseconds since 1970 after which nobody writes to it any more."""
SECONDS = 60.0
"""How long a run takes to log at most, where its caller says nothing."""
GRACE_SECONDS = 60.0
PARENT = "mlflow.parentRunId"
_BUSY = "database is locked"
_TRIES, _PAUSE_SECONDS = 40, 0.25


@dataclass(frozen=True)
class Logged:
    """What is logged beside a bundle or a backtest.

    Parameters
    ----------
    started, ended
        When the work began and ended; None: now.
    fingerprint
        Of the log; None where it is not known.
    source
        Where the log was read from, for people.
    model
        Folder of an MLflow model that holds the bundle and is logged in its place; None: the bundle
        is logged alone.
    texts
        Path among the artefacts -> content: figures, model card.
    seconds
        How long the logging takes at most; a run that is not over by then is closed as FAILED.
    """

    started: datetime | None = None
    ended: datetime | None = None
    fingerprint: Fingerprint | None = None
    source: str = ""
    model: Path | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    seconds: float = SECONDS


NOTHING_ELSE = Logged()


def log_training(
    tracking_uri: str,
    bundle: Bundle,
    bundle_folder: Path,
    report: Path | None = None,
    register: str | None = None,
    logged: Logged = NOTHING_ELSE,
) -> str:
    """Log one training and return the id of its run.

    Parameters
    ----------
    tracking_uri
        ``sqlite:///mlflow.db``, or the address of a server.
    bundle
        The trained bundle.
    bundle_folder
        The folder that it was saved to.
    report
        The report to log with the run.
    register
        Register the bundle as ``challenger`` of the registered model of this name.
    logged
        What else is known of the training.

    Raises
    ------
    UsageError
        The tracking store cannot be reached or written; a run that was begun is FAILED.
    """

    from stagecast.training.tracking.contents import training_contents

    contents = training_contents(bundle)
    return write_training(tracking_uri, contents, bundle_folder, report, register, logged)


def write_training(
    tracking_uri: str,
    contents: RunContents,
    bundle_folder: Path,
    report: Path | None = None,
    register: str | None = None,
    logged: Logged = NOTHING_ELSE,
) -> str:
    """Log a training of which the contents are known; see :func:`log_training`."""

    def write(client: MlflowClient, run: Run) -> None:
        run_id = str(run.info.run_id)
        _log(client, run_id, contents.parameters, contents.metrics)
        path = BUNDLE_PATH if logged.model is None else MODEL_PATH
        client.log_artifacts(run_id, str(logged.model or bundle_folder), path)
        if report is not None:
            client.log_artifact(run_id, str(report))
        if register is not None:
            from stagecast.training.bundle import bundle_digest

            source = f"{run.info.artifact_uri}/{path}"
            digest = {DIGEST: bundle_digest(bundle_folder)}
            register_version(client, run_id, register, source, {**contents.version_tags, **digest})

    return _run(tracking_uri, contents, logged, write)


def write_backtest(
    tracking_uri: str, contents: RunContents, folder: Path, logged: Logged = NOTHING_ELSE
) -> str:
    """Log one backtest, with a nested run for each of its dates, and return the id of its run.

    Parameters
    ----------
    contents
        What the run holds.
    folder
        The folder that the backtest was written to; its JSON and its page are logged.

    Raises
    ------
    UsageError
        The tracking store cannot be reached or written; a run that was begun is FAILED.
    """

    def write(client: MlflowClient, run: Run) -> None:
        run_id, experiment = str(run.info.run_id), str(run.info.experiment_id)
        _log(client, run_id, contents.parameters, contents.metrics)
        _log_numbers(client, run_id, contents.overall)
        for as_of, figures in contents.dates:
            tags = {PARENT: run_id, "stagecast": "date of a backtest", **_ends_by(logged)}
            start = run.info.start_time
            nested = client.create_run(experiment, start, tags, as_of)
            with _closing(client, str(nested.info.run_id), logged.ended):
                parameters = {**contents.parameters, "as_of": as_of}
                _log(client, str(nested.info.run_id), parameters, figures)
        for path in sorted(folder.glob("backtest.*")):
            client.log_artifact(run_id, str(path))

    return _run(tracking_uri, contents, logged, write)


def close_abandoned(client: MlflowClient, experiment: str) -> int:
    """Close the runs whose time is over and that nobody closed; return their number.

    Their process was killed, or the store no longer answered it.
    """
    now, closed = _milliseconds(), 0
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        ends_by = run.data.tags.get(ENDS_BY)
        if ends_by is not None and int(ends_by) + GRACE_SECONDS * 1000 < now:
            client.set_terminated(str(run.info.run_id), "FAILED", int(ends_by))
            closed += 1
    return closed


def _run(
    tracking_uri: str,
    contents: RunContents,
    logged: Logged,
    write: Callable[[MlflowClient, Run], None],
) -> str:
    """Make a run, let it be written, and close it: as FINISHED, or as FAILED."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        client = open_client(tracking_uri)
        experiment = experiment_id(client, tracking_uri)
        patient = _patient(client)
        close_abandoned(patient, experiment)
        start = _milliseconds(logged.started)
        tags = {**contents.tags, **_origin(), **_ends_by(logged)}
        run = patient.create_run(experiment, start, tags, contents.name)
        with _closing(patient, str(run.info.run_id), logged.ended):
            if logged.fingerprint is not None:
                _log_data(patient, str(run.info.run_id), logged.fingerprint, logged.source)
            write(patient, run)
            for path, text in logged.texts.items():
                patient.log_text(str(run.info.run_id), text, path)
        return str(run.info.run_id)
    except (MlflowException, SQLAlchemyError, OSError, ValueError, KeyError) as error:
        # a server that is none answers with anything: JSON of another shape, or no JSON
        raise UsageError(
            f"MLflow at {tracking_uri} did not take the run: {error}; check --tracking-uri"
        ) from error


@contextmanager
def _closing(client: MlflowClient, run_id: str, ended: datetime | None) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(Exception):  # the first error is what counts; the next run closes this one
            client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id, "FINISHED", _milliseconds(ended))


def _log(
    client: MlflowClient,
    run_id: str,
    parameters: Mapping[str, Any],
    metrics: Iterable[DatedMetric],
) -> None:
    from mlflow.entities import Metric, Param

    values = [Param(name, str(value)) for name, value in parameters.items()]
    for part in _parts(values, 100):
        client.log_batch(run_id, params=part)
    rows = [Metric(m.name, m.value, m.milliseconds, m.step) for m in metrics]
    for part in _parts(rows, 1000):
        client.log_batch(run_id, metrics=part)


def _log_numbers(client: MlflowClient, run_id: str, figures: Mapping[str, float]) -> None:
    from mlflow.entities import Metric

    at = _milliseconds()
    rows = [Metric(f"all_{name}", float(value), at, 0) for name, value in figures.items()]
    for part in _parts(rows, 1000):
        client.log_batch(run_id, metrics=part)


def _log_data(client: MlflowClient, run_id: str, data: Fingerprint, source: str) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name="events",
        digest=data.digest,
        source_type="local",
        source=json.dumps({"uri": source}),
        profile=json.dumps(data.to_json()),
    )
    client.log_inputs(
        run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
    )


def _origin() -> dict[str, str]:
    """Return who runs what, from which commit of the folder's repository."""
    from importlib.metadata import version

    from mlflow.utils.git_utils import get_git_commit

    tags = {"mlflow.source.name": f"stagecast {version('stagecast')}"}
    with suppress(KeyError, OSError):  # a container may have no entry for its user
        tags["mlflow.user"] = getpass.getuser()
    commit = get_git_commit(".")
    return tags | ({"mlflow.source.git.commit": str(commit)} if commit else {})


def _ends_by(logged: Logged) -> dict[str, str]:
    return {ENDS_BY: str(_milliseconds() + int(logged.seconds * 1000))}


def _milliseconds(at: datetime | None = None) -> int:
    return int((time.time() if at is None else at.timestamp()) * 1000)


def _parts(rows: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(rows), size):
        yield list(rows[start : start + size])


def _patient(client: MlflowClient) -> MlflowClient:
    """Return the client, with calls that are made again while another process writes the file."""
    patient: Any = _Patient(client)
    return patient  # type: ignore[no-any-return]


class _Patient:
    """Calls of a client, tried again where an SQLite store is locked by another writer."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call: Callable[..., Any] = getattr(self._client, name)

        def again(*arguments: Any, **options: Any) -> Any:
            for _ in range(_TRIES - 1):
                try:
                    return call(*arguments, **options)
                except Exception as error:
                    if _BUSY not in str(error):
                        raise
                    time.sleep(_PAUSE_SECONDS)
            return call(*arguments, **options)

        return again
