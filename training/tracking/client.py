"""A client of MLflow, and the experiment; two processes may open a new store at once."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from stagecast.training.tracking.locks import file_lock

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "stagecast"
OPENING_SECONDS = 60.0
"""How long to wait for another process that makes the tables of the same new file."""


def sqlite_file(tracking_uri: str) -> Path | None:
    """Return the absolute path of the file of an SQLite store; None for any other store.

    >>> sqlite_file("http://mlflow:5000") is None
    True
    """
    scheme, separator, rest = tracking_uri.partition(":///")
    if scheme.partition("+")[0] != "sqlite" or not separator:
        return None
    return Path(rest.partition("?")[0]).absolute()


def absolute_store(tracking_uri: str) -> str:
    """Return the address of a store whose file, if it is one, is named from the root.

    MLflow keeps the stores that it has opened by their address: a relative one would go on to mean
    the file of the folder in which it was opened first.

    >>> absolute_store("http://mlflow:5000")
    'http://mlflow:5000'
    """
    path = sqlite_file(tracking_uri)
    if path is None:
        return tracking_uri
    scheme, _, rest = tracking_uri.partition(":///")
    _, mark, options = rest.partition("?")
    return f"{scheme}:///{path}{mark}{options}"


def open_client(tracking_uri: str) -> MlflowClient:
    """Return a client; the tables of a new SQLite file are made by one process at a time.

    Raises
    ------
    mlflow.exceptions.MlflowException, OSError, sqlalchemy.exc.SQLAlchemyError
        The store cannot be opened.
    """
    # its migrations log at every new file; errors are raised as exceptions
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(), _opening(tracking_uri):
        # MLflow's tables use deprecated features of SQLAlchemy, which users cannot change
        warnings.simplefilter("ignore", DeprecationWarning)
        from mlflow import MlflowClient

        uri = absolute_store(tracking_uri)
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def experiment_id(client: MlflowClient, tracking_uri: str) -> str:
    """Return the id of the experiment, which is made if there is none."""
    from mlflow.exceptions import MlflowException

    with _opening(tracking_uri):
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is not None:
            return str(experiment.experiment_id)
        try:
            return str(client.create_experiment(EXPERIMENT))
        except MlflowException:  # another machine made it at the same time
            experiment = client.get_experiment_by_name(EXPERIMENT)
            if experiment is None:
                raise
            return str(experiment.experiment_id)


@contextmanager
def _opening(tracking_uri: str) -> Iterator[None]:
    path = sqlite_file(tracking_uri)
    with ExitStack() as stack:
        if path is not None:
            # where no file can be made there is no new store; an old one can be read all the same
            with suppress(OSError):
                lock = file_lock(path.with_name(f".{path.name}.lock"), OPENING_SECONDS)
                stack.enter_context(lock)
        yield
