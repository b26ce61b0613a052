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
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stagecast.features.clock import iso, parse_instant

if TYPE_CHECKING:
    import pyarrow as pa

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


@dataclass(frozen=True)
class ModelFacts:
    """What the MLflow model says of a bundle.

    Parameters
    ----------
    model_version, as_of
        Of the bundle; ``as_of`` is ISO 8601.
    stages
        Ids of the stages of its scheme, of which scores have a column each.
    """

    model_version: str
    as_of: str
    stages: tuple[str, ...]

    @classmethod
    def of(cls, bundle: Bundle) -> ModelFacts:
        """Return those of a bundle."""
        return cls(bundle.model_version, iso(bundle.as_of), tuple(bundle.models.scheme.ids))

    def to_json(self) -> dict[str, Any]:
        """Return them as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelFacts:
        """Read what :meth:`to_json` returns."""
        return cls(**{**data, "stages": tuple(data["stages"])})


def write_model(facts: ModelFacts, bundle_folder: Path, folder: Path) -> Path:
    """Write the MLflow model of a bundle into a new folder, and return the folder.

    Parameters
    ----------
    facts, bundle_folder
        What is said of the bundle, and where it stands; it is copied.

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
            signature=_signature(facts.stages),
            pip_requirements=[f"stagecast=={version('stagecast')}"],
            metadata={"needs": "stagecast installed", "model_version": facts.model_version},
        )
    _without_paths(folder, code.name)
    # written here, since MLflow would score the example, which costs seconds, to look at it
    example = json.dumps({"dataframe_records": example_events(facts), "params": {"as_of": ""}})
    (folder / "input_example.json").write_text(example + "\n", "utf-8")
    return folder


def example_events(facts: ModelFacts) -> list[dict[str, Any]]:
    """Return a few events of one customer, the last at the as_of of the training."""
    last = parse_instant(facts.as_of).replace(tzinfo=None)
    return [
        {
            "customer_id": "a",
            "timestamp": (last - timedelta(days=days)).isoformat(),
            "event": "purchase",
            "amount": amount,
        }
        for days, amount in ((60, 10.0), (30, 12.5), (0, 20.0))
    ]


def _without_paths(folder: Path, code: str) -> None:
    """Replace the paths of this machine in ``MLmodel`` by those below the folder of the model."""
    from mlflow.models import Model
    from mlflow.models.model import MLMODEL_FILE_NAME

    model = Model.load(str(folder))
    flavor = model.flavors["python_function"]
    flavor["model_code_path"] = code
    for artifact in flavor["artifacts"].values():
        artifact["uri"] = artifact["path"]
    model.save(str(folder / MLMODEL_FILE_NAME))


def _signature(stages: tuple[str, ...]) -> Any:
    import pyarrow as pa
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType

    from stagecast.serving.scoring.score_schema import schema

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
            for column in schema(stages)
        ]
    )
    as_of = ParamSchema([ParamSpec("as_of", DataType.string, "")])
    return ModelSignature(inputs=events, outputs=scores, params=as_of)
