"""All models of a bundle for one customer, see :func:`stagecast.training.models.predict`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.attributes import Texts
from stagecast.features.one_customer.stages import StandingOfOne
from stagecast.training.billing.price_list import LAST_PRICE
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.models import Models
from stagecast.training.one_row.churn import ChurnOfOne
from stagecast.training.one_row.next_order import next_order_of_one
from stagecast.training.one_row.next_stage import NextStageOfOne
from stagecast.training.one_row.predictions import PredictionsOfOne
from stagecast.training.one_row.prospects import ProspectsOfOne
from stagecast.training.one_row.reasons import ReasonsOfOne
from stagecast.training.one_row.trees import Columns, DesignsOfOne
from stagecast.training.one_row.value import ValueOfOne

READ = ("frequency", "t_x_days", "T_days", "orders", "spend_mean")
"""Features that the customer base and the value model read."""


class ModelsOfOne:
    """The models, asked of one customer after the other.

    Parameters
    ----------
    models
        The models of a bundle.

    Attributes
    ----------
    columns
        Names of the columns that the models look at.

    Raises
    ------
    NotImplementedError
        There is no form for one row: churn is cancellation, customers pay at different intervals,
        or there is no customer base.
    """

    def __init__(self, models: Models) -> None:
        base = usable_base(models)
        churn = models.churn
        self.churn = ChurnOfOne(churn)
        self.value = ValueOfOne(models.value, base, models.config, churn.season_log_odds)
        self.next_stage = NextStageOfOne(models.next_stage)
        self.prospects = ProspectsOfOne(models)
        self.reasons = ReasonsOfOne(models, self.churn)
        self._designs = DesignsOfOne([*self.churn.designs, self.next_stage.design])
        self._silence = models.next_stage.without_purchase
        self._base = base
        self._days_to_order = next_order_of_one(models.config.horizon_days)
        ensembles = [churn.trees, models.next_stage.trees, *models.value.trees.values()]
        of_trees = (trees.columns for trees in ensembles if trees is not None)
        self.columns = frozenset(self._designs.columns).union(
            READ,
            base.reads,
            base.reads_of_histories,
            () if models.value.payments is None else (LAST_PRICE,),
            self.prospects.columns,
            self.reasons.columns,
            *of_trees,
        )

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
        histories = self._histories(features)
        said = self.value.base.of(histories)
        columns = {**histories, **said.columns}
        *rows, last_row = self._designs.rows(columns)
        p_inactive = self.churn.probability(columns, rows)
        money = self.value.money(columns, said, p_inactive)
        given_purchase = self.next_stage.given_purchase(columns, last_row, standing.stage)
        return PredictionsOfOne(
            p_silent=p_inactive,
            p_purchase=1.0 - p_inactive,
            p_alive=money.p_alive,
            p_stage=self._stages(p_inactive, given_purchase, standing.stage_if_silent),
            days_to_order=self._days_to_order(said, p_inactive),
            money=money,
            base=said,
            columns=columns,
            designs=rows,
        )

    def predict_prospect(
        self, facts: Columns, standing: StandingOfOne, categories: Mapping[str, Texts]
    ) -> PredictionsOfOne:
        """Return the predictions for a customer without a purchase; see :class:`ProspectsOfOne`."""
        return self.prospects.predict(facts, standing, categories)

    def _histories(self, features: Columns) -> Columns:
        """Return the features with the history of the customer base."""
        names = self._base.reads_of_histories
        if not names:
            return features
        moved = self._base.histories({name: np.array([features[name]]) for name in names})
        return {**features, **{name: float(values[0]) for name, values in moved.items()}}

    def _stages(self, p_inactive: float, given_purchase: Array, silent: int) -> list[float]:
        p_purchase = 1.0 - p_inactive
        result = p_purchase * given_purchase + (1.0 - p_purchase) * self._silence[silent]
        shares: list[float] = (result / result.sum()).tolist()
        return shares


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
    if base.has_plans:
        raise NotImplementedError("customers pay at different intervals")
    return base
