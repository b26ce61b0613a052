"""Models as the files of a bundle, and back: ``models.json`` and a text for each ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.stages.scheme_files import scheme_from_json, scheme_to_json
from stagecast.training.bundle.files import MODELS, json_bytes
from stagecast.training.cancellation.model import CancellationModel
from stagecast.training.config import TrainConfig
from stagecast.training.inactivity.model import ChurnModel
from stagecast.training.leads.conversion import LeadConversion
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.stored_base import base_from_json
from stagecast.training.models import Models
from stagecast.training.next_stage.model import NextStageModel
from stagecast.training.reference.reference import Reference
from stagecast.training.value.intervals import Intervals
from stagecast.training.value.model import FACTORS, ValueModel

MODELS_WITH_TREES = ("churn", "churn_hazard", "next_stage", *(f"value_{name}" for name in FACTORS))
MODELS_KEYS = {
    "config",
    "scheme",
    "catalog",
    "base",
    "churn",
    "cancellation",
    "next_stage",
    "value",
    "conversion",
    "reference",
    "spend_interval",
    "value_interval",
}


def model_files(models: Models) -> dict[str, bytes]:
    """Return the files that predictions depend on, by name."""
    return {MODELS: json_bytes(_models_json(models)), **_trees(models)}


def ensembles(models: Models) -> dict[str, Boosted]:
    """Return the ensembles that are stored in files of their own, by the name of the model."""
    hazard = models.churn.hazard
    boosted = {
        "churn": models.churn.trees,
        "churn_hazard": None if hazard is None else hazard.trees,
        "next_stage": models.next_stage.trees,
        **{f"value_{name}": trees for name, trees in models.value.trees.items()},
    }
    return {name: trees for name, trees in boosted.items() if trees is not None}


def _trees(models: Models) -> dict[str, bytes]:
    return {
        f"{name}.lightgbm.txt": trees.text.encode() for name, trees in ensembles(models).items()
    }


def _models_json(models: Models) -> dict[str, Any]:
    def optional(model: Any) -> Any:
        return None if model is None else model.to_json()

    return {
        "config": models.config.to_json(),
        "scheme": scheme_to_json(models.scheme),
        "catalog": models.catalog.to_json(),
        "base": optional(models.base),
        "churn": models.churn.to_json(),
        "cancellation": optional(models.cancellation),
        "next_stage": models.next_stage.to_json(),
        "value": models.value.to_json(),
        "conversion": models.conversion.to_json(),
        "reference": models.reference.to_json(),
        "spend_interval": optional(models.spend_interval),
        "value_interval": optional(models.value_interval),
    }


def models_of(
    data: Mapping[str, Any], files: Mapping[str, bytes], own: Mapping[str, Any] | None = None
) -> Models:
    """Return the models of ``models.json`` with the trees of the other files.

    Parameters
    ----------
    data
        Content of ``models.json``, in the format that is written today.
    files
        All files by name.
    own
        Members of the user by name; None: there are none.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError, DataRefusedError
        The content is not that of a bundle, or its parts do not agree.
    """
    trees = {name: files.get(f"{name}.lightgbm.txt") for name in MODELS_WITH_TREES}
    texts = {name: None if text is None else text.decode() for name, text in trees.items()}
    return _models(data, texts, own or {})


def _models(
    data: Mapping[str, Any], trees: Mapping[str, str | None], own: Mapping[str, Any]
) -> Models:
    if mismatched := sorted(set(data) ^ MODELS_KEYS):
        raise ValueError(f"{MODELS} lacks, or should not have, {mismatched}")
    config = TrainConfig.from_json(data["config"])
    if own:
        config = replace(config, members=config.members.with_estimators(own))
    catalog = Catalog.from_json(data["catalog"])
    base, spend, value = data["base"], data["spend_interval"], data["value_interval"]
    named = {name: trees[f"value_{name}"] for name in FACTORS}
    value_trees = {name: text for name, text in named.items() if text is not None}
    classifiers = {name: estimator for name, estimator in own.items() if "." not in name}
    regressors: dict[str, dict[str, Any]] = {}
    for name in own.keys() - classifiers.keys():
        factor, member = name.split(".", 1)
        regressors.setdefault(factor, {})[member] = own[name]
    models = Models(
        config=config,
        scheme=scheme_from_json(data["scheme"]),
        catalog=catalog,
        base=None if base is None else base_from_json(base),
        churn=ChurnModel.from_json(
            data["churn"], trees["churn"], classifiers, trees["churn_hazard"]
        ),
        cancellation=None
        if data["cancellation"] is None
        else CancellationModel.from_json(data["cancellation"]),
        next_stage=NextStageModel.from_json(data["next_stage"], trees["next_stage"]),
        value=ValueModel.from_json(data["value"], value_trees, regressors),
        conversion=LeadConversion.from_json(data["conversion"]),
        reference=Reference.from_json(data["reference"]),
        spend_interval=None if spend is None else Intervals.from_json(spend),
        value_interval=None if value is None else Intervals.from_json(value),
    )
    used_columns = [boosted.columns for boosted in ensembles(models).values()]
    if models.cancellation is not None:
        used_columns.append(models.cancellation.columns)
    if (config.churn == "cancellation") != (models.cancellation is not None):
        lacks = "lacks" if models.cancellation is None else "should not have"
        raise ValueError(
            f"{MODELS} {lacks} a model of cancellations, since churn is {config.churn}"
        )
    known = {*catalog.names, *models.scheme.signals}
    unknown = sorted(
        {name for names in used_columns for name in names if not name.startswith("btyd_")} - known
    )
    if unknown:
        raise ValueError(
            f"learned from features that its catalogue does not have: {', '.join(unknown)}"
        )
    return models
