"""Predictions for one prospect, see :func:`stagecast.training.models.predict`.

The regressions of leads are asked with arrays of one row, which only prospects pay for; the orders
and money that follow a first purchase are worked out once.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.attributes import Texts
from stagecast.features.one_customer.numbers import clip, log
from stagecast.features.one_customer.stages import StandingOfOne
from stagecast.training.models import Models
from stagecast.training.one_row.predictions import MoneyOfOne, PredictionsOfOne
from stagecast.training.one_row.trees import Columns
from stagecast.training.value.money import AfterFirst
from stagecast.training.waiting.next_order import LATEST_ORDER_DAYS

_AGE = "tenure_days"


class ProspectsOfOne:
    """The models of leads, asked of one prospect after the other.

    Parameters
    ----------
    models
        The models of a bundle, with purchases at the training.

    Attributes
    ----------
    columns
        Names of the features and signals that the models read.
    reads_categories
        Whether they read what is known at the first contact.
    """

    def __init__(self, models: Models) -> None:
        self._conversion, self._next_stage = models.conversion, models.next_stage
        self._horizon = models.config.horizon_days
        self._money = AfterFirst.of(models.value, models.base, models.config, models.conversion)
        designs = [
            model.design
            for model in (models.conversion.activity, models.next_stage.prospects)
            if model is not None
        ]
        read = {term.column for design in designs for term in design.terms}
        self.columns = tuple(sorted(read | {_AGE}))
        hazard = models.conversion.hazard
        self.reads_categories = hazard is not None and bool(hazard.effects)

    def predict(
        self, facts: Columns, standing: StandingOfOne, categories: Mapping[str, Texts]
    ) -> PredictionsOfOne:
        """Return the predictions for a prospect.

        Parameters
        ----------
        facts
            Features of the customer, and the counts of the scheme's signals.
        standing
            Where they stand.
        categories
            Name -> text known at the first contact, shape (1,).
        """
        columns = {name: np.array([facts[name]]) for name in self.columns}
        p_convert = float(self._conversion.probability(columns, categories)[0])
        return PredictionsOfOne(
            p_silent=1.0 - p_convert,
            p_purchase=p_convert,
            p_alive=np.nan,
            p_stage=self._stages(columns, standing, p_convert),
            days_to_order=self._days_to_order(p_convert),
            money=self._money_of(p_convert),
            base=None,
            columns={},
            designs=(),
        )

    def _stages(
        self, columns: Mapping[str, Array], standing: StandingOfOne, p_convert: float
    ) -> list[float]:
        model = self._next_stage
        silent, is_prospect = np.array([standing.stage_if_silent]), np.array([True])
        given_silence = model.given_silence(columns, silent, is_prospect)[0]
        given_purchase = model.after_purchase[standing.stage]
        result = p_convert * given_purchase + (1.0 - p_convert) * given_silence
        shares: list[float] = (result / result.sum()).tolist()
        return shares

    def _days_to_order(self, p_convert: float) -> float:
        log_none = log(clip(1.0 - p_convert, 1e-12, 1 - 1e-12))
        days = self._horizon * log(0.5) / log_none
        return days if days <= LATEST_ORDER_DAYS else np.nan

    def _money_of(self, p_convert: float) -> MoneyOfOne:
        after = self._money
        expected_orders = p_convert * after.orders
        if after.spend is None:
            return MoneyOfOne(expected_orders, after.orders)
        spend = p_convert * after.spend
        return MoneyOfOne(
            expected_orders=expected_orders,
            orders_if_any=after.orders,
            expected_spend=spend,
            clv=spend * after.ratio * after.margin,
            value_p_none=1.0 - p_convert,
            value_orders_if_any=after.orders,
            clv_residual=spend * after.margin * after.beyond,
        )
