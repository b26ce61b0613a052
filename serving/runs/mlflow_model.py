"""The folder of an MLflow model that scores events with a bundle.

    MLmodel, requirements.txt ... what MLflow needs    predictor.py  code, nothing pickled
    artifacts/bundle              the bundle itself    input_example.json

``mlflow.pyfunc.load_model("models:/shop@champion").predict(events, params={"as_of": ...})`` gives
the scores of ``stagecast score``. The package stagecast must be installed where it is loaded.
"""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from stagecast.serving.scoring.score_schema import schema
from stagecast.training.bundle import Bundle

BUNDLE = "bundle"
"""Name of the bundle among the artefacts of the model."""

_CODE = '''"""Scores events with the bundle of this model; needs the package stagecast."""

from pathlib import Path

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class BundlePredictor(PythonModel):
    """Events (and an as_of) in, scores out."""

    def load_context(self, context):
        from stagecast.serving.scoring.scorer import load_scorer

        self.scorer = load_scorer(Path(context.artifacts["bundle"]), threads=0)

    def predict(self, context, model_input, params=None):
        from stagecast.serving.scoring.pyfunc import score_events

        return score_events(self.scorer, model_input, (params or {}).get("as_of") or "")


set_model(BundlePredictor())
'''


def write_model(bundle: Bundle, bundle_folder: Path, folder: Path) -> Path:
    """Write the MLflow model of a bundle into a new folder, and return the folder.

    Parameters
    ----------
    bundle, bundle_folder
        The bundle, and where it stands; it is copied.

    Raises
    ------
    mlflow.exceptions.MlflowException, OSError
        The folder cannot be written.
    """
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    code = folder.with_name("predictor.py")
    code.write_text(_CODE, "utf-8")
    with warnings.catch_warnings():
        # hints about type annotations and deprecated parts of others, none of them for the user
        warnings.simplefilter("ignore")
        from importlib.metadata import version

        import mlflow.pyfunc

        mlflow.pyfunc.save_model(
            path=str(folder),
            python_model=str(code),
            artifacts={BUNDLE: str(bundle_folder)},
            signature=_signature(bundle),
            pip_requirements=[f"stagecast=={version('stagecast')}"],
            metadata={"needs": "stagecast installed", "model_version": bundle.model_version},
        )
    # written here, since MLflow would score the example, which costs seconds, to look at it
    example = json.dumps({"dataframe_records": example_events(bundle), "params": {"as_of": ""}})
    (folder / "input_example.json").write_text(example + "\n", "utf-8")
    return folder


def example_events(bundle: Bundle) -> list[dict[str, Any]]:
    """Return a few events of one customer, all before the as_of of the training's next day."""
    last = pd.Timestamp(bundle.as_of).tz_convert(None)
    return [
        {
            "customer_id": "a",
            "timestamp": (last - pd.Timedelta(days=days)).isoformat(),
            "event": "purchase",
            "amount": amount,
        }
        for days, amount in ((60, 10.0), (30, 12.5), (0, 20.0))
    ]


def _signature(bundle: Bundle) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType

    events = Schema(
        [
            ColSpec(DataType.string, "customer_id"),
            ColSpec(DataType.datetime, "timestamp"),
            ColSpec(DataType.string, "event", required=False),
            ColSpec(DataType.double, "amount", required=False),
            ColSpec(DataType.string, "channel", required=False),
        ]
    )

    untyped: Any = AnyType  # a list: reasons, values by year
    anything = untyped()

    def kind(type_: pa.DataType) -> Any:
        if pa.types.is_floating(type_):
            return DataType.double
        if pa.types.is_integer(type_):
            return DataType.long
        if pa.types.is_boolean(type_):
            return DataType.boolean
        if pa.types.is_timestamp(type_):
            return DataType.datetime
        return DataType.string if pa.types.is_string(type_) else anything

    scores = Schema(
        [
            ColSpec(kind(column.type), column.name, required=not column.nullable)
            for column in schema(bundle.models.scheme.ids)
        ]
    )
    as_of = ParamSchema([ParamSpec("as_of", DataType.string, "")])
    return ModelSignature(inputs=events, outputs=scores, params=as_of)
