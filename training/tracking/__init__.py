"""MLflow: one run per training or backtest, and the bundle that a registered model holds.

    bundle, report, figures -> contents (parameters, metrics, tags) -> runs -> an MLflow run
    models:/NAME@champion -> fetching -> folder of a bundle

Results are written before anything is logged. MLflow is imported when it is first used, and never
by the running server.
"""

from stagecast.training.tracking.client import EXPERIMENT
from stagecast.training.tracking.fetching import fetch_bundle
from stagecast.training.tracking.runs import log_training

__all__ = ["EXPERIMENT", "fetch_bundle", "log_training"]
