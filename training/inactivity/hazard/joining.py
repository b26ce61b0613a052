"""The hazard joins the fitted pool: its weight is fixed, and the mean probability stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.clock import day_number
from stagecast.features.record import PurchaseDays
from stagecast.training.inactivity.hazard.fitting import fit_hazard
from stagecast.training.inactivity.hazard.odds import NAME, HazardOdds
from stagecast.training.inactivity.model import ChurnModel
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.pool import MAX_LOG_ODDS
from stagecast.training.member_settings import Hazard as HazardSettings


def with_hazard(
    model: ChurnModel,
    days: PurchaseDays,
    catalog: Catalog,
    as_of: datetime,
    current: Mapping[str, Array],
    seed: int,
    settings: HazardSettings | None,
) -> ChurnModel:
    """Return the model with the hazard as a member, at the mean probability of the pool.

    The model is returned as it is where it is no pool of all members, or the hazard is left out or
    cannot be fitted.

    Parameters
    ----------
    model
        The pool with learned weights and its level.
    days
        The purchase days known at the as_of.
    catalog
        Of ``current``, with its parameters set.
    as_of
        The as_of.
    current
        Columns of the buyers at the as_of, or of a sample of them.
    seed
        Seed of LightGBM.
    settings
        Of the hazard; None leaves it out.
    """
    is_pool = model.method == "blend" and not model.few_customers and model.alone is None
    if settings is None or not is_pool:
        return model
    trees = fit_hazard(days, catalog, day_number(as_of), model.horizon_days, seed)
    shift = None if trees is None else keeping_level(model, trees, current, settings.weight)
    if trees is None or shift is None:
        return model
    rest = 1.0 - settings.weight
    weights = {name: rest * weight for name, weight in model.weights.items()}
    weights[NAME] = settings.weight
    return replace(
        model,
        weights=weights,
        members={**model.members, NAME: HazardOdds(trees, shift)},
    )


def keeping_level(
    model: ChurnModel, trees: Boosted, current: Mapping[str, Array], weight: float
) -> float | None:
    """Return the shift of a hazard with which the mean probability stays that of the pool.

    None where no shift does that.

    Parameters
    ----------
    model
        The pool.
    trees
        Of the hazard.
    current
        Columns of the buyers at the as_of, or of a sample of them.
    weight
        Of the hazard.
    """
    pool = model.margin(current)
    others = (1.0 - weight) * (pool - model.level) + model.level
    odds = trees.raw(current)
    mean = float(expit(pool).mean())

    def gap(shift: float) -> float:
        clipped = np.clip(odds + shift, -MAX_LOG_ODDS, MAX_LOG_ODDS)
        return float(expit(others + weight * clipped).mean()) - mean

    limit = 2.0 * MAX_LOG_ODDS
    return float(brentq(gap, -limit, limit, xtol=1e-12)) if gap(-limit) < 0 < gap(limit) else None
