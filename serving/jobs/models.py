"""Registered models of the command line: listed, compared, promoted, rolled back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from stagecast.features.errors import UsageError
from stagecast.features.events import EventLog
from stagecast.serving.progress import Say, Steps, silently
from stagecast.serving.reading import Reading
from stagecast.serving.settings import Settings, keep_mlflow_quiet, load_settings
from stagecast.training.config import TrainConfig
from stagecast.training.promotion.challenge import Challenge, challenge
from stagecast.training.promotion.records import Look, Record
from stagecast.training.promotion.registry import Registry, names
from stagecast.training.promotion.rules import Rules
from stagecast.training.promotion.versions import Version

STEPS = Rules.max_dates


@dataclass(frozen=True)
class Listed:
    """A registered model: its versions, and who made which one champion."""

    name: str
    versions: tuple[Version, ...]
    history: tuple[Record, ...]
    looks: tuple[Look, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "name": self.name,
            "versions": [version.to_json() for version in self.versions],
            "history": [vars(record) for record in self.history],
            "looks": [vars(look) for look in self.looks],
        }


@dataclass(frozen=True)
class Registered:
    """A bundle that is a version of a registered model.

    Parameters
    ----------
    name
        The registered model.
    version
        The version.
    is_new
        Whether it was not registered before.
    champion
        Version that is champion now.
    """

    name: str
    version: Version
    is_new: bool
    champion: str | None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "name": self.name,
            **self.version.to_json(),
            "new": self.is_new,
            "champion": self.champion,
        }


def open_registry(name: str, tracking_uri: str | None) -> Registry:
    """Return a registered model of the store that an option or the settings name.

    Raises
    ------
    UsageError
        The store cannot be opened.
    """
    settings = load_settings(tracking_uri=tracking_uri)
    keep_mlflow_quiet()
    return Registry(name, settings.tracking_uri)


def list_models(name: str | None, tracking_uri: str | None) -> list[Listed]:
    """Return one registered model, or all of them.

    Raises
    ------
    UsageError
        The store cannot be read, or there is no such model.
    """
    settings = load_settings(tracking_uri=tracking_uri)
    keep_mlflow_quiet()
    chosen = names(settings.tracking_uri) if name is None else [name]
    listed = []
    for each in chosen:
        registry = Registry(each, settings.tracking_uri)
        listed.append(
            Listed(
                each,
                tuple(registry.versions()),
                tuple(registry.history()),
                tuple(registry.looks()),
            )
        )
    return listed


def compare_models(
    reading: Reading,
    name: str,
    version: str | None,
    tracking_uri: str | None,
    *,
    steps: Steps = silently,
) -> Challenge:
    """Compare a version with the champion of its name; nothing is changed.

    Parameters
    ----------
    version
        None: the challenger.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The store or the log cannot be read, or there is no challenger, or no champion.
    """
    registry = open_registry(name, tracking_uri)
    challenger = version or registry.challenger()
    if challenger is None:
        raise UsageError(
            f"{name} has no challenger; train one: stagecast train EVENTS --register {name}"
        )
    bundle = registry.bundle(challenger)
    reading = reading.counting_days_of(bundle.clock.zone)
    with reading.open(command="models compare") as log, steps(STEPS) as say:
        as_of = log.choose_as_of(reading.as_of or bundle.as_of)
        config = bundle.models.config
        return challenge(log.con, as_of, registry, challenger, config, promote=False, notify=say)


def register_model(name: str, folder: Path, tracking_uri: str | None) -> Registered:
    """Register a bundle that exists as the challenger of a name, unless it is a version of it.

    Raises
    ------
    StagecastError
        There is no such bundle, it cannot be read, or the store cannot be written.
    """
    registry = open_registry(name, tracking_uri)
    try:
        before = {version.number for version in registry.versions()}
    except UsageError:  # nothing is registered by that name yet
        before = set()
    version = registry.register(folder)
    listed = next(each for each in registry.versions() if each.number == version)
    return Registered(name, listed, version not in before, registry.champion())


def promote_model(name: str, version: str | None, why: str, tracking_uri: str | None) -> Record:
    """Make a version the champion by hand.

    Parameters
    ----------
    version
        None: the challenger.

    Raises
    ------
    StagecastError
        There is no such version, it is champion already, or its bundle cannot be read.
    """
    registry = open_registry(name, tracking_uri)
    chosen = version or registry.challenger()
    if chosen is None:
        raise UsageError(f"{name} has no challenger; name a version: stagecast models list {name}")
    return registry.promote(chosen, why)


def roll_back_model(name: str, why: str, tracking_uri: str | None) -> Record:
    """Make the champion before the present one champion again.

    Raises
    ------
    StagecastError
        There was none, or its bundle cannot be read.
    """
    return open_registry(name, tracking_uri).rollback(why)


def challenge_champion(
    log: EventLog,
    as_of: datetime,
    config: TrainConfig,
    name: str,
    run_id: str,
    settings: Settings,
    say: Say,
) -> Challenge:
    """Compare the version that a run registered with the champion, and promote it if it is better.

    Raises
    ------
    UsageError
        The registry cannot be read or written, or another training was quicker.
    """
    keep_mlflow_quiet()
    registry = Registry(name, settings.tracking_uri)
    version = registry.version_of(run_id)
    config = replace(config, zone=log.clock.zone)
    return challenge(log.con, as_of, registry, version, config, notify=say)
