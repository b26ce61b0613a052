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
    from stagecast.features.frames import datasets
    from stagecast.features.frames.panel import Panel
    from stagecast.serving.python.backtesting import Backtest, backtest, neg_churn_log_loss
    from stagecast.serving.python.event_log import EventLog
    from stagecast.serving.python.lifecycle import Lifecycle, load
    from stagecast.serving.python.plan import Plan
    from stagecast.serving.python.planning import plan
    from stagecast.serving.python.reading import from_frame, read_events
    from stagecast.serving.python.registry import Registry
    from stagecast.serving.python.running import load_scorer, monitor, run
    from stagecast.serving.python.schemes import catalog, schemes
    from stagecast.serving.python.scorer import Scorer
    from stagecast.serving.runs.run import Run
    from stagecast.training import plot
    from stagecast.training.config import TrainConfig
    from stagecast.training.customer_base import (
        BetaGeo,
        GammaGamma,
        ModifiedBetaGeo,
        ParetoNBD,
        purchase_summary,
        tracking_table,
    )
    from stagecast.training.estimators import (
        ChurnClassifier,
        CustomerValueRegressor,
        NextStageClassifier,
        RfmLogistic,
        SnapshotSplit,
    )
    from stagecast.training.member_settings import Btyd, Hazard, Regression, Trees, member

__all__ = [
    "Backtest",
    "BetaGeo",
    "Btyd",
    "ChurnClassifier",
    "CustomerValueRegressor",
    "EventLog",
    "Feature",
    "GammaGamma",
    "Hazard",
    "Lifecycle",
    "ModifiedBetaGeo",
    "NextStageClassifier",
    "Panel",
    "ParetoNBD",
    "Plan",
    "Registry",
    "Regression",
    "RfmLogistic",
    "Run",
    "Scorer",
    "SnapshotSplit",
    "TrainConfig",
    "Trees",
    "__version__",
    "backtest",
    "catalog",
    "datasets",
    "feature",
    "from_frame",
    "load",
    "load_scorer",
    "member",
    "monitor",
    "neg_churn_log_loss",
    "plan",
    "plot",
    "purchase_summary",
    "read_events",
    "run",
    "schemes",
    "tracking_table",
]

_MODULES = {
    "Backtest": "stagecast.serving.python.backtesting",
    "backtest": "stagecast.serving.python.backtesting",
    "neg_churn_log_loss": "stagecast.serving.python.backtesting",
    "BetaGeo": "stagecast.training.customer_base",
    "ChurnClassifier": "stagecast.training.estimators",
    "CustomerValueRegressor": "stagecast.training.estimators",
    "EventLog": "stagecast.serving.python.event_log",
    "Lifecycle": "stagecast.serving.python.lifecycle",
    "NextStageClassifier": "stagecast.training.estimators",
    "Panel": "stagecast.features.frames.panel",
    "Plan": "stagecast.serving.python.plan",
    "GammaGamma": "stagecast.training.customer_base",
    "ModifiedBetaGeo": "stagecast.training.customer_base",
    "ParetoNBD": "stagecast.training.customer_base",
    "RfmLogistic": "stagecast.training.estimators",
    "Registry": "stagecast.serving.python.registry",
    "Run": "stagecast.serving.runs.run",
    "Scorer": "stagecast.serving.python.scorer",
    "SnapshotSplit": "stagecast.training.estimators",
    "TrainConfig": "stagecast.training.config",
    "feature": "stagecast.features.catalog.python_feature",
    "from_frame": "stagecast.serving.python.reading",
    "load": "stagecast.serving.python.lifecycle",
    "load_scorer": "stagecast.serving.python.running",
    "plan": "stagecast.serving.python.planning",
    "read_events": "stagecast.serving.python.reading",
    "purchase_summary": "stagecast.training.customer_base",
    "monitor": "stagecast.serving.python.running",
    "Btyd": "stagecast.training.member_settings",
    "Hazard": "stagecast.training.member_settings",
    "Regression": "stagecast.training.member_settings",
    "Trees": "stagecast.training.member_settings",
    "member": "stagecast.training.member_settings",
    "run": "stagecast.serving.python.running",
    "catalog": "stagecast.serving.python.schemes",
    "schemes": "stagecast.serving.python.schemes",
    "tracking_table": "stagecast.training.customer_base",
}

_ROOMS = {"datasets": "stagecast.features.frames.datasets", "plot": "stagecast.training.plot"}
"""Names that are modules."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("stagecast")
    if name == "Feature":
        return import_module("stagecast.features.catalog.python_feature").OwnFeature
    if name in _ROOMS:
        return import_module(_ROOMS[name])
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'stagecast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
