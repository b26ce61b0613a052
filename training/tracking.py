"""MLflow tracking: one run per training, with settings, figures, bundle and report.

MLflow is imported when it is first used, and never by the running server.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stagecast.features.clock import iso
from stagecast.features.errors import UsageError
from stagecast.training.bundle import Bundle
from stagecast.training.churn_kinds import kind_of
from stagecast.training.config import TrainConfig

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "stagecast"
BUNDLE_PATH = "bundle"
CHALLENGER = "challenger"


def log_training(
    tracking_uri: str,
    bundle: Bundle,
    bundle_folder: Path,
    report: Path | None = None,
    register: str | None = None,
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

    Raises
    ------
    UsageError
        The tracking store cannot be reached or written.
    """
    from mlflow.exceptions import MlflowException

    try:
        client = _client(tracking_uri)
        run = client.create_run(
            _experiment(client), run_name=f"{iso(bundle.as_of)} {bundle.model_version}"
        )
        run_id = str(run.info.run_id)
        for name, value in _parameters(bundle).items():
            client.log_param(run_id, name, value)
        for name, number in _figures(bundle.card).items():
            client.log_metric(run_id, name, number)
        client.log_artifacts(run_id, str(bundle_folder), BUNDLE_PATH)
        if report is not None:
            client.log_artifact(run_id, str(report))
        client.set_terminated(run_id)
        if register is not None:
            _register(client, run_id, register, str(run.info.artifact_uri), bundle)
    except (MlflowException, OSError) as error:
        raise UsageError(
            f"MLflow at {tracking_uri} did not take the run: {error}; check --tracking-uri"
        ) from error
    return run_id


def fetch_bundle(tracking_uri: str, model: str) -> Path:
    """Fetch the bundle of a registered model into a temporary folder.

    Parameters
    ----------
    tracking_uri
        ``sqlite:///mlflow.db``, or the address of a server.
    model
        ``models:/NAME@alias`` or ``models:/NAME/version``.

    Raises
    ------
    UsageError
        The model, alias or version does not exist, or the store cannot be reached.
    """
    name, alias, version = _model_name(model)
    from mlflow.exceptions import MlflowException

    try:
        client = _client(tracking_uri)
        from mlflow.artifacts import download_artifacts

        registered = (
            client.get_model_version_by_alias(name, alias)
            if alias
            else client.get_model_version(name, version)
        )
        folder = tempfile.mkdtemp(prefix="stagecast-model-")
        return Path(
            download_artifacts(
                artifact_uri=registered.source, dst_path=folder, tracking_uri=tracking_uri
            )
        )
    except (MlflowException, OSError) as error:
        raise UsageError(
            f"--model {model} was not found at {tracking_uri}: {error}; see `mlflow ui`"
        ) from error


def _client(tracking_uri: str) -> MlflowClient:
    # its migrations log at every new file; errors are raised as exceptions
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # MLflow's tables use deprecated features of SQLAlchemy, which users cannot change
        warnings.simplefilter("ignore", DeprecationWarning)
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def _experiment(client: MlflowClient) -> str:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is not None:
        return str(experiment.experiment_id)
    return str(client.create_experiment(EXPERIMENT))


def _parameters(bundle: Bundle) -> dict[str, Any]:
    config: TrainConfig = bundle.models.config
    kind = kind_of(config.churn)
    weights = kind.pool_card(bundle.models).weights
    return {
        **asdict(config),
        "as_of": iso(bundle.as_of),
        "data_cutoff": iso(bundle.data_cutoff),
        "model_version": bundle.model_version,
        "method": kind.method(bundle.models),
        **{f"threshold_{name}": value for name, value in bundle.models.scheme.thresholds.items()},
        **{f"weight_{name}": value for name, value in weights.items()},
    }


def _figures(card: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures of the evaluation; those of a baseline start with its name."""
    evaluation = card.get("evaluation")
    if not evaluation:
        return {}
    figures: dict[str, float] = {
        "base_rate": evaluation["base_rate"],
        "customers": evaluation["customers"],
    }
    groups = (
        ("", "models"),
        ("next_stage_", "next_stage"),
        ("spend_", "spend"),
        ("value_", "value"),
    )
    for prefix, group in groups:
        rows = (evaluation["value"] or {}).get("models") if group == "value" else evaluation[group]
        for row in rows or ():
            method = "" if row["name"] == "stagecast" else f"{row['name']}_"
            figures |= {
                f"{method}{prefix}{k}": v for k, v in row.items() if isinstance(v, int | float)
            }
    return figures


def _register(
    client: MlflowClient, run_id: str, name: str, artifact_uri: str, bundle: Bundle
) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(name)
    except MlflowException:
        client.create_registered_model(name)
    version = client.create_model_version(
        name, f"{artifact_uri}/{BUNDLE_PATH}", run_id, tags={"model_version": bundle.model_version}
    )
    client.set_registered_model_alias(name, CHALLENGER, version.version)


def _model_name(model: str) -> tuple[str, str | None, str]:
    path = model.removeprefix("models:/")
    name, at_sign, alias = path.partition("@")
    if at_sign and name and alias:
        return name, alias, ""
    name, slash, version = path.rpartition("/")
    if slash and name and version.isdigit():
        return name, None, version
    raise UsageError(
        f"--model '{model}' cannot be read; write models:/NAME@champion, models:/NAME/3, "
        "or a folder"
    )
