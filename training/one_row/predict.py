"""All models of a bundle for one customer, see :func:`stagecast.training.models.predict`."""

from __future__ import annotations

import math
from typing import NamedTuple

from stagecast.features.arrays import Array
from stagecast.features.one_customer.numbers import clip, exp, log
from stagecast.features.one_customer.stages import StandingOfOne
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.models import (
    HALVINGS,
    LATEST_ORDER_DAYS,
    LEAST_NONE,
    LOG_HALF,
    Models,
)
from stagecast.training.one_row.base import BetaGeometricOfOne, Outlook
from stagecast.training.one_row.churn import ChurnOfOne
from stagecast.training.one_row.next_stage import NextStageOfOne
from stagecast.training.one_row.trees import Columns, DesignsOfOne
from stagecast.training.one_row.value import BaseOutlook, MoneyOfOne, ValueOfOne

_NULL = math.nan
READ = ("frequency", "t_x_days", "T_days", "orders", "spend_mean")
"""Features that the customer base and the value model read."""
_CELL = LATEST_ORDER_DAYS / 2.0**HALVINGS


class PredictionsOfOne(NamedTuple):
    """Predictions for one buyer, as :class:`stagecast.training.models.Predictions`."""

    p_inactive: float
    p_alive: float
    p_stage: list[float]
    days_to_order: float
    money: MoneyOfOne
    base: BaseOutlook


class ModelsOfOne:
    """The models, asked of one buyer after the other.

    Parameters
    ----------
    models
        The models of a bundle.

    Raises
    ------
    NotImplementedError
        There is no form for one row: churn is cancellation, or there is no customer base whose
        first model has a closed form.
    """

    def __init__(self, models: Models) -> None:
        base = usable_base(models)
        churn = models.churn
        self.churn = ChurnOfOne(churn)
        self.value = ValueOfOne(models.value, base, models.config, churn.season_log_odds)
        self.next_stage = NextStageOfOne(models.next_stage)
        self._designs = DesignsOfOne([*self.churn.designs, self.next_stage.design])
        self._silence = models.next_stage.without_purchase
        first = self.value.base.models[0]
        if not isinstance(first, BetaGeometricOfOne):
            raise NotImplementedError("the first customer-base model has no closed form")
        self.first = first

    def columns_of(self, models: Models) -> frozenset[str]:
        """Return the names of the columns that the models look at."""
        ensembles = [models.churn.trees, models.next_stage.trees, *models.value.trees.values()]
        of_trees = (trees.columns for trees in ensembles if trees is not None)
        return frozenset(self._designs.columns).union(READ, *of_trees)

    def predict(self, features: Columns, standing: StandingOfOne) -> PredictionsOfOne:
        """Return the predictions for a buyer.

        Parameters
        ----------
        features
            Features of the customer.
        standing
            Where they stand.

        Raises
        ------
        ArithmeticError
            A formula divides by zero or overflows where arrays go on with infinity.
        """
        said = self.value.base.of(features)
        columns = {**features, **said.columns}
        *rows, last_row = self._designs.rows(columns)
        p_inactive = self.churn.probability(columns, rows)
        money = self.value.money(columns, said, p_inactive)
        given_purchase = self.next_stage.given_purchase(columns, last_row, standing.stage)
        return PredictionsOfOne(
            p_inactive,
            said.columns["btyd_alive"],
            self._stages(p_inactive, given_purchase, standing.stage_if_silent),
            self._days_to_order(said.of_models[0], said.history, p_inactive),
            money,
            said,
        )

    def _stages(self, p_inactive: float, given_purchase: Array, silent: int) -> list[float]:
        p_purchase = 1.0 - p_inactive
        result = p_purchase * given_purchase + (1.0 - p_purchase) * self._silence[silent]
        shares: list[float] = (result / result.sum()).tolist()
        return shares

    def _days_to_order(
        self, said: Outlook, history: tuple[float, float, float], p_inactive: float
    ) -> float:
        x, _, T = history
        log_none = log(clip(said.p_none, 1e-9, 1 - 1e-9))
        power = log(clip(p_inactive, 1e-9, 1 - 1e-9)) / log_none
        p_none = exp(LOG_HALF / power)
        days = self.first.days_until(p_none, said.alive, x, T)
        if not (days < LATEST_ORDER_DAYS and p_none > LEAST_NONE):
            return _NULL
        return (math.floor(days / _CELL) + 0.5) * _CELL


def usable_base(models: Models) -> CustomerBase:
    """Return the customer base of models that have a form for one row.

    Raises
    ------
    NotImplementedError
        They have none.
    """
    base = models.base
    if base is None or not models.has_purchases or models.cancellation is not None:
        raise NotImplementedError("no customer base, or contracts")
    if any(model.regularity > 1 for model in base.models):
        raise NotImplementedError("regular gaps")
    return base
