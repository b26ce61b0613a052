"""The artefacts of trainings in MLflow: the report and the bundle of each run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import sqlalchemy as sa

from stagecast.features.errors import UsageError
from stagecast.training.tracking import EXPERIMENT

LOCAL_SCHEMES = frozenset({"sqlite", "file", ""})
_PAGE = 1_000


def local_store(uri: str) -> Path | None:
    """Return the file or folder of an MLflow store, or None if it is on a server.

    >>> local_store("sqlite:///mlflow.db"), local_store("http://mlflow:5000")
    (PosixPath('mlflow.db'), None)
    """
    scheme = urlsplit(uri).scheme
    if scheme == "sqlite":
        return Path(sa.make_url(uri).database or "")
    return _folder(uri) if scheme in LOCAL_SCHEMES else None


def artefact_folders(uri: str) -> Iterator[tuple[str, Path | None]]:
    """Yield the artefact root of every training run, also of deleted ones.

    Yields
    ------
    Its URI, and its folder; None if the artefacts are not on this machine.

    Raises
    ------
    UsageError
        The store cannot be read.
    """
    from mlflow.entities import ViewType
    from mlflow.exceptions import MlflowException

    from stagecast.training.tracking.client import open_client

    try:
        client = open_client(_absolute(uri))
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            return
        token: str | None = None
        while True:
            page = client.search_runs(
                [experiment.experiment_id], "", ViewType.ALL, _PAGE, page_token=token
            )
            for run in page:
                root = str(run.info.artifact_uri)
                yield root, _folder(root) if urlsplit(root).scheme in ("file", "") else None
            token = page.token
            if not token:
                return
    except (MlflowException, OSError, sa.exc.SQLAlchemyError) as error:
        raise UsageError(f"MLflow at {uri} cannot be read: {error}; check --tracking-uri") from None


def _absolute(uri: str) -> str:
    # MLflow caches an open store by its URI, which must not depend on the current folder
    path = local_store(uri)
    return (
        f"sqlite:///{path.resolve()}"
        if path is not None and urlsplit(uri).scheme == "sqlite"
        else uri
    )


def _folder(uri: str) -> Path:
    parts = urlsplit(uri)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else Path(uri)
