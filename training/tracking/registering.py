"""Versions of a registered model: made with tags that tell which bundle they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stagecast.features.clock import iso

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from stagecast.training.bundle import Bundle

CHALLENGER = "challenger"
DIGEST = "bundle_sha256"
"""Tag of a version: :func:`stagecast.training.bundle.bundle_digest` of its bundle."""


def make_registered_model(client: MlflowClient, name: str) -> None:
    """Make a registered model of this name, unless there is one.

    Raises
    ------
    mlflow.exceptions.MlflowException
        The store cannot be written.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(name)
    except MlflowException:
        try:
            client.create_registered_model(name)
        except MlflowException:  # another training made it at the same time
            client.get_registered_model(name)


def register_version(
    client: MlflowClient, run_id: str, name: str, source: str, tags: Mapping[str, str]
) -> None:
    """Make the artefacts of a run a version of a registered model, and its challenger.

    Raises
    ------
    mlflow.exceptions.MlflowException
        The store cannot be written.
    """
    make_registered_model(client, name)
    version = client.create_model_version(name, source, run_id, tags=dict(tags))
    client.set_registered_model_alias(name, CHALLENGER, version.version)


def is_bundle(row: Any, bundle: Bundle, digest: str) -> bool:
    """Return whether a version of MLflow's list is of a bundle.

    Versions that were registered before they had a digest are told by what the manifest says.
    """
    if DIGEST in row.tags:
        return bool(row.tags[DIGEST] == digest)
    named = {
        "model_version": bundle.model_version,
        "as_of": iso(bundle.as_of),
        "data_cutoff": iso(bundle.data_cutoff),
    }
    return all(row.tags.get(name) == value for name, value in named.items())
