"""The registered models of MLflow: versions, champion and challenger, and who moved them."""

from __future__ import annotations

import getpass
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stagecast.features.arguments.values import path as path_of
from stagecast.features.clock import iso
from stagecast.features.errors import UsageError
from stagecast.training.bundle import Bundle, bundle_digest, load_bundle
from stagecast.training.golden import check_golden
from stagecast.training.promotion.lock import held
from stagecast.training.promotion.records import (
    LOOK,
    PROMOTION,
    Kind,
    Look,
    Record,
    carried_out,
    looks_of,
    next_tag,
    previous_champion,
    records_of,
)
from stagecast.training.promotion.versions import (
    CHAMPION,
    Version,
    aliases_of,
    reason,
    version_number,
    version_of_row,
)
from stagecast.training.tracking.client import open_client, sqlite_file
from stagecast.training.tracking.fetching import fetch_into
from stagecast.training.tracking.registering import CHALLENGER, is_bundle, make_registered_model
from stagecast.training.tracking.runs import log_training

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Registry:
    """One registered model of MLflow, with its champion and its challenger.

    Parameters
    ----------
    name
        The registered model, as of ``stagecast train --register``.
    tracking_uri
        ``sqlite:///mlflow.db``, or the address of a server.

    Raises
    ------
    UsageError
        The store cannot be opened; every method raises it where the store does not answer.
    """

    def __init__(self, name: str, tracking_uri: str = "sqlite:///mlflow.db") -> None:
        self.name = name
        self.tracking_uri = tracking_uri
        with self._errors():
            self._client: MlflowClient = open_client(tracking_uri)

    def __repr__(self) -> str:
        return f"Registry({self.name!r}, {self.tracking_uri!r})"

    def versions(self) -> list[Version]:
        """Return all versions, the newest first; none where the model is not registered."""
        with self._errors():
            # the list that a search returns has no aliases
            aliases = aliases_of(self._model())
            rows = self._client.search_model_versions(f"name = '{_quoted(self.name)}'")
        return sorted(
            (version_of_row(row, aliases) for row in rows),
            key=lambda v: int(v.number),
            reverse=True,
        )

    def champion(self) -> str | None:
        """Return the version that is champion; None where there is none."""
        return self._alias(CHAMPION)

    def challenger(self) -> str | None:
        """Return the version that is challenger, the newest training that is not champion.

        None where there is none.
        """
        return self._alias(CHALLENGER)

    def version_of(self, run_id: str) -> str:
        """Return the version that a run registered.

        Raises
        ------
        UsageError
            It registered none.
        """
        with self._errors():
            rows = self._client.search_model_versions(f"run_id = '{run_id}'")
        for row in rows:
            if row.name == self.name:
                return str(row.version)
        raise UsageError(f"run {run_id} registered no version of {self.name}; see `mlflow ui`")

    def bundle(self, version: str | int) -> Bundle:
        """Return the bundle of a version.

        Raises
        ------
        UsageError
            There is no such version, or it is no number.
        DataRefusedError
            Its bundle is damaged, or of a format that cannot be read.
        """
        with self._errors():
            number = version_number(version)
        scratch = Path(tempfile.mkdtemp(prefix="stagecast-model-"))
        try:
            with self._errors():
                source = str(self._client.get_model_version(self.name, number).source)
                folder = fetch_into(scratch, self.tracking_uri, source)
            return load_bundle(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def register(self, folder: str | Path) -> str:
        """Register a bundle that exists as the challenger, and return its version.

        A bundle that is a version already remains that version, and no alias is moved.

        Parameters
        ----------
        folder
            Of the bundle, as ``stagecast train`` or ``Lifecycle.save`` wrote it.

        Raises
        ------
        UsageError
            It holds no bundle, or one with members of the user.
        DataRefusedError
            A file is missing or was changed, or the models do not predict here what they predicted
            where the bundle was trained.
        """
        with self._errors():
            path = path_of(folder, "folder", "the path of a bundle, like 'shop-model'")
        bundle = load_bundle(path)
        if bundle.golden is not None:
            check_golden(bundle.golden, bundle.models, bundle.as_of, str(path))
        digest = bundle_digest(path)
        with self._errors():
            make_registered_model(self._client, self.name)
            with self._held():
                query = f"name = '{_quoted(self.name)}'"
                for row in self._client.search_model_versions(query):
                    if is_bundle(row, bundle, digest):
                        return str(row.version)
                run_id = log_training(self.tracking_uri, bundle, path, register=self.name)
        return self.version_of(run_id)

    def history(self) -> list[Record]:
        """Return who made which version champion, when and why, oldest first."""
        with self._errors():
            return carried_out(records_of(self._model().tags), self.champion())

    def looks(self, champion: str | int | None = None) -> list[Look]:
        """Return the comparisons with a champion, oldest first; None: with the present one."""
        with self._errors():
            version = self.champion() if champion is None else version_number(champion, "champion")
            return [look for look in looks_of(self._model().tags) if look.champion == version]

    def note(self, look: Look) -> None:
        """Record a comparison, which counts for the error rate of the next one."""
        with self._errors(), self._held():
            tag = next_tag(self._model().tags, LOOK)
            self._client.set_registered_model_tag(self.name, tag, look.to_text())

    def promote(
        self,
        version: str | int,
        why: str,
        numbers: Mapping[str, Any] | None = None,
        *,
        instead_of: str | int | None = None,
        check: bool = False,
    ) -> Record:
        """Make a version the champion, at once and with a record.

        Parameters
        ----------
        version
            Its number. Its bundle is loaded first: one that cannot be read becomes no champion.
        why
            The reason in words, not empty.
        numbers
            What was measured.
        instead_of, check
            With ``check``, the version that must be champion now; another one means that somebody
            else was quicker.

        Raises
        ------
        UsageError
            There is no such version, it is champion already, the champion is another than
            expected, or there is no reason.
        DataRefusedError
            Its bundle cannot be read.
        """
        with self._errors():
            number, why = version_number(version), reason(why)
            expected = None if instead_of is None else version_number(instead_of, "instead_of")
        self.bundle(number)
        with self._errors(), self._held():
            now = self.champion()
            if check and now != expected:
                raise UsageError(
                    f"the champion of {self.name} is version {now} by now, and no longer "
                    f"{expected}, which was compared; compare again"
                )
            if now == number:
                raise UsageError(f"version {number} is the champion of {self.name} already")
            return self._move("promote", number, now, why, numbers or {})

    def rollback(self, why: str) -> Record:
        """Make the champion before the present one champion again.

        Raises
        ------
        UsageError
            There was none before it, or there is no reason.
        DataRefusedError
            Its bundle cannot be read.
        """
        with self._errors():
            why = reason(why)
        with self._errors(), self._held():
            now = self.champion()
            before = previous_champion(records_of(self._model().tags), now)
            if before is None:
                raise UsageError(
                    f"{self.name} had no champion before the present one ({now or 'none'}); "
                    "promote a version by its number"
                )
            self.bundle(before)
            return self._move("rollback", before, now, why, {})

    def _move(
        self, kind: Kind, to: str, from_: str | None, why: str, numbers: Mapping[str, Any]
    ) -> Record:
        record = Record(kind, to, from_, _user(), iso(_now()), why, numbers)
        tag = next_tag(self._model().tags, PROMOTION)
        self._client.set_registered_model_tag(self.name, tag, record.to_text())
        self._client.set_registered_model_alias(self.name, CHAMPION, to)  # one transaction
        # killed before this, the alias stays, and is left out where it is read
        if str(self._model().aliases.get(CHALLENGER)) == to:
            self._client.delete_registered_model_alias(self.name, CHALLENGER)
        return record

    def _model(self) -> Any:
        return self._client.get_registered_model(self.name)

    def _alias(self, alias: str) -> str | None:
        with self._errors():
            return aliases_of(self._model()).get(alias)

    @contextmanager
    def _held(self) -> Iterator[None]:
        with held(self._client, self.name, sqlite_file(self.tracking_uri)):
            yield

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise UsageError(
                f"the registered model '{self.name}' at {self.tracking_uri}: {error}; see "
                "`stagecast models list`, and check --tracking-uri"
            ) from error


def names(tracking_uri: str) -> list[str]:
    """Return the names of all registered models of a store.

    Raises
    ------
    UsageError
        The store cannot be read.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return sorted(str(m.name) for m in open_client(tracking_uri).search_registered_models())
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise UsageError(
            f"MLflow at {tracking_uri} cannot be read: {error}; check --tracking-uri"
        ) from error


def _quoted(name: str) -> str:
    return name.replace("'", "\\'")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
