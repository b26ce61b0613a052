"""``Registry``: champion and challenger of a name in MLflow, compared on a log."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stagecast.features.arguments.values import text
from stagecast.features.frames.instants import Instant, as_datetime
from stagecast.serving.python.comparison import Comparison
from stagecast.serving.python.lifecycle.logs import checked_log
from stagecast.serving.python.words import python_words, speaks_python
from stagecast.serving.settings import keep_mlflow_quiet, load_settings
from stagecast.training.bundle import Bundle, write_bundle
from stagecast.training.promotion.registry import Registry as RegisteredModel
from stagecast.training.promotion.versions import version_number

if TYPE_CHECKING:
    from stagecast.features.events import EventLog as CheckedLog


class Registry(RegisteredModel):
    """One registered model of MLflow, with its champion and its challenger.

    Parameters
    ----------
    name
        The registered model, as of :meth:`stagecast.Lifecycle.register` or
        ``stagecast train --register``.
    tracking_uri
        ``sqlite:///mlflow.db``, or the address of a server; None: as the settings say, like
        :meth:`stagecast.Lifecycle.register`.

    Raises
    ------
    UsageError
        The store cannot be opened; every method raises it where the store does not answer.

    Examples
    --------
    >>> registry = Registry("shop")  # doctest: +SKIP
    >>> registry.compare(log)  # doctest: +SKIP
    Comparison(version 2 of shop against champion 1: does not pass for better)
    """

    def __init__(self, name: str, tracking_uri: str | None = None) -> None:
        keep_mlflow_quiet()
        with python_words():
            text(name, "name", "the name of a registered model, like 'shop'")
            if tracking_uri is not None:
                text(tracking_uri, "tracking_uri", "a URI, like 'sqlite:///mlflow.db'")
            uri = load_settings(tracking_uri=tracking_uri).tracking_uri
        super().__init__(name, uri)

    @speaks_python
    def compare(
        self, log: CheckedLog, version: str | int | None = None, *, as_of: Instant | None = None
    ) -> Comparison:
        """Compare a version with the champion on dates that neither saw; change nothing.

        At each date the champion's bundle scores the customers, and the procedure of the version is
        fitted anew on what was known then; both are judged by what came. It is what
        ``stagecast models compare`` does, and does not count as a look.

        Parameters
        ----------
        log
            Of the same shop, with what came since the champion was trained.
        version
            Its number; None: the challenger.
        as_of
            Outcomes are known up to it. None: up to the as_of of the version's training.

        Raises
        ------
        UsageError
            There is no challenger or no such version, it is the champion, or the as_of does not
            fit the log.
        DataRefusedError
            Its bundle cannot be read.
        """
        from stagecast.serving.jobs.models import challenger_of, compared

        checked = checked_log(log, "Registry.compare")
        number = None if version is None else version_number(version)
        challenger, bundle = challenger_of(self, number)
        until = None if as_of is None else as_datetime(as_of)
        return Comparison(compared(checked, until, self, challenger, bundle))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        with python_words(), super()._errors():
            yield


def register_bundle(bundle: Bundle, name: str, tracking_uri: str | None) -> str:
    """Log a bundle to MLflow, make it ``challenger`` of a name, and return its version.

    A bundle that is a version of the name already remains that version.

    Raises
    ------
    UsageError
        The bundle has members of the user, or MLflow cannot be reached.
    """
    registry = Registry(name, tracking_uri)
    with tempfile.TemporaryDirectory(prefix="stagecast-") as place:
        folder = Path(place) / "model"
        write_bundle(folder, bundle)
        return registry.register(folder)
