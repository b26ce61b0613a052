"""Churn, lifecycle stage and customer value from a log of customer events.

    events -> features -> stages and labels -> snapshots -> models -> bundle -> scores -> page

``stagecast.features`` turns events into one row per customer and day, ``stagecast.training`` turns
those rows into a trained bundle, ``stagecast.serving`` turns a bundle into scores, an API, pages
and the command line. Imports go in one direction only: ``features <- training <- serving``.

The names in ``__all__`` are the public API. Each is imported on first use, so ``import stagecast``
loads none of the submodules.

The three packages are folders at the top of the repository; in this folder they are relative
symbolic links. A Windows checkout needs ``git config core.symlinks true`` and Developer Mode; the
installed wheel holds plain folders.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stagecast.features.events import EventLog, from_frame, read_events
    from stagecast.serving.pipeline import run
    from stagecast.serving.runs.run import Run
    from stagecast.serving.scoring.scorer import Scorer, load_scorer
    from stagecast.training.config import TrainConfig
    from stagecast.training.estimators import (
        ChurnClassifier,
        CustomerValueRegressor,
        NextStageClassifier,
    )
    from stagecast.training.promotion.registry import Registry

__all__ = [
    "ChurnClassifier",
    "CustomerValueRegressor",
    "EventLog",
    "NextStageClassifier",
    "Registry",
    "Run",
    "Scorer",
    "TrainConfig",
    "__version__",
    "from_frame",
    "load_scorer",
    "read_events",
    "run",
]

_MODULES = {
    "ChurnClassifier": "stagecast.training.estimators",
    "CustomerValueRegressor": "stagecast.training.estimators",
    "EventLog": "stagecast.features.events",
    "NextStageClassifier": "stagecast.training.estimators",
    "Registry": "stagecast.training.promotion.registry",
    "Run": "stagecast.serving.runs.run",
    "Scorer": "stagecast.serving.scoring.scorer",
    "TrainConfig": "stagecast.training.config",
    "from_frame": "stagecast.features.events",
    "load_scorer": "stagecast.serving.scoring.scorer",
    "read_events": "stagecast.features.events",
    "run": "stagecast.serving.pipeline",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("stagecast")
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'stagecast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
