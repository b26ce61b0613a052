"""A model of MLflow with the boosters of a bundle, for `mlflow models serve` beside our server.

Each booster predicts from columns that the request holds ready-made.
"""

from __future__ import annotations

from typing import Any

import lightgbm
import mlflow


class Boosters(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # MLflow has no types for it
    """Several boosters, asked one after the other."""

    def load_context(self, context: Any) -> None:
        """Load each text of LightGBM."""
        paths = context.artifacts.values()
        self._boosters = [lightgbm.Booster(model_file=path) for path in paths]

    def predict(self, context, model_input):  # type: ignore[no-untyped-def]  # MLflow reads hints
        """Return what each booster predicts of the rows of a frame."""
        answers = []
        for booster in self._boosters:
            rows = model_input[booster.feature_name()].to_numpy(dtype=float)
            answers.append(booster.predict(rows, num_threads=1).ravel().tolist())
        return answers


mlflow.models.set_model(Boosters())
