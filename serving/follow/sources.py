"""Where a server's model comes from: a folder, or a name in the registry of MLflow."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stagecast.features.errors import UsageError
from stagecast.serving.settings import mlflow_environment

MANIFEST = "manifest.json"


class Source(Protocol):
    """Something that has a current bundle."""

    @property
    def name(self) -> str:
        """Return what its reader calls it."""
        ...

    def current(self) -> str:
        """Return what tells the current bundle from others.

        Raises
        ------
        UsageError
            It cannot be asked.
        """
        ...

    def take(self, mark: str, folder: Path) -> Path:
        """Copy the bundle of a mark into an empty folder, and return the folder of the bundle.

        Raises
        ------
        UsageError
            It cannot be had, or another one is current by now.
        """
        ...


@dataclass(frozen=True)
class FolderSource:
    """A bundle folder, or a link to one, that whoever trains puts another in the place of.

    Parameters
    ----------
    path
        The folder.
    """

    path: Path

    @property
    def name(self) -> str:
        """Return the path."""
        return str(self.path)

    def current(self) -> str:
        """Return the hash of the manifest, which has the hashes of all other files."""
        try:
            return hashlib.sha256((self.path / MANIFEST).read_bytes()).hexdigest()
        except OSError as error:
            raise UsageError(f"{self.path}: no bundle is there ({error.strerror})") from None

    def take(self, mark: str, folder: Path) -> Path:
        """Copy the folder, so that nobody changes it while it is checked and served."""
        target = folder / "model"
        try:
            shutil.copytree(self.path.resolve(), target)
        except (OSError, shutil.Error) as error:
            raise UsageError(f"{self.path}: cannot be copied ({error!s:.200})") from None
        if FolderSource(target).current() != mark:
            raise UsageError(f"{self.path}: it was replaced while it was copied")
        return target


@dataclass(frozen=True)
class RegistrySource:
    """A registered model; a child process asks MLflow, which the server never imports.

    Parameters
    ----------
    model
        ``models:/NAME@ALIAS``.
    uri
        Where MLflow is.
    seconds
        How long the child may take.
    """

    model: str
    uri: str
    seconds: float

    @property
    def name(self) -> str:
        """Return the name in the registry."""
        return self.model

    def current(self) -> str:
        """Return the number of the version that the alias names."""
        return self._ask(None)["version"]

    def take(self, mark: str, folder: Path) -> Path:
        """Download the bundle of a version."""
        answer = self._ask(folder)
        if answer["version"] != mark:
            raise UsageError(f"{self.model}: another version took its place meanwhile")
        return Path(answer["folder"])

    def _ask(self, folder: Path | None) -> dict[str, str]:
        job = {
            "uri": self.uri,
            "model": self.model,
            "folder": None if folder is None else str(folder),
        }
        try:
            child = subprocess.run(
                [sys.executable, "-m", "stagecast.serving.follow.registry_process"],
                input=json.dumps(job),
                capture_output=True,
                text=True,
                timeout=self.seconds,
                check=False,
                env=mlflow_environment(self.seconds),
            )
        except subprocess.TimeoutExpired:
            raise UsageError(
                f"{self.model}: MLflow has not answered within {self.seconds:.0f} s"
            ) from None
        if child.returncode != 0:
            last = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
            # readiness shows this to everybody, and an address can hold a password
            raise UsageError(f"{self.model}: {last.replace(self.uri, 'MLflow')[:300]}")
        try:
            answer: dict[str, str] = json.loads(child.stdout.strip().splitlines()[-1])
        except (ValueError, IndexError):
            raise UsageError(f"{self.model}: the answer of MLflow cannot be read") from None
        return answer


def source_of(model: str, uri: str, seconds: float) -> Source:
    """Return the source that the text of an option names.

    Parameters
    ----------
    model
        A folder, or ``models:/NAME@ALIAS``.
    uri
        Where MLflow is.
    seconds
        How long MLflow may take.
    """
    if model.startswith("models:/"):
        return RegistrySource(model, uri, seconds)
    return FolderSource(Path(model))
