"""The customer-base models of a training by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stagecast.training.learners.btyd import GammaGamma, Model
    from stagecast.training.learners.customer_base import CustomerBase


def btyd_models(base: CustomerBase | None) -> Mapping[str, Model | GammaGamma]:
    """Return the models of purchases by their names, and ``gamma_gamma`` where one was fitted."""
    if base is None:
        return MappingProxyType({})
    models: dict[str, Model | GammaGamma] = {model.name: model for model in base.models}
    if base.spend is not None:
        models["gamma_gamma"] = base.spend
    return MappingProxyType(models)
