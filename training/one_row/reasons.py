"""Why the risk of one buyer is as it is, see :mod:`stagecast.training.reasons`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stagecast.training.learners.customer_base import HISTORY
from stagecast.training.models import Models
from stagecast.training.one_row.base_of_arrays import one_row
from stagecast.training.one_row.churn import ChurnOfOne
from stagecast.training.one_row.predictions import PredictionsOfOne
from stagecast.training.reasons.due import USUAL_GAP
from stagecast.training.reasons.explanation import Explained, Explanation, explain
from stagecast.training.reasons.families import family_index
from stagecast.training.reasons.of_buyers import buyer_families
from stagecast.training.value.due import dated_gaps


class ReasonsOfOne:
    """The reasons, asked of one buyer after the other.

    Parameters
    ----------
    models
        The models of a bundle.
    churn
        Its churn model for one row.

    Attributes
    ----------
    columns
        Names of the columns that reasons show or compare with.
    """

    def __init__(self, models: Models, churn: ChurnOfOne) -> None:
        self._churn, self._usual, self._base = churn, models.reference.buyers, models.base
        self._high_risk = models.config.high_risk
        self._horizon_days = float(models.config.horizon_days)
        self._families = buyer_families(models)
        self._places = [family_index(self._families, name) for name in churn.effect_columns]
        read = {name for family in self._families for name in (family.feature, family.own_past)}
        self.columns = tuple(sorted({*read, "orders", "frequency"} - {""}))
        stages = models.scheme.stages
        self._stages = [(np.array([s.id]), np.array([s.title["en"]])) for s in stages]

    def explanation(
        self, predicted: PredictionsOfOne, features: Mapping[str, float], stage: int
    ) -> Explanation | None:
        """Return the reasons of a buyer's risk; None where there are none.

        Parameters
        ----------
        predicted
            What is predicted of the buyer.
        features
            Features of the buyer, which are shown.
        stage
            Position of the stage.
        """
        if not self._usual:
            return None
        group, title = self._stages[stage]
        rows = Explained(
            np.array([self._effects(predicted)]),
            self._shown(predicted.columns, features),
            group,
            title,
            np.array([predicted.p_silent]),
            horizon_days=self._horizon_days,
        )
        return explain(self._families, rows, self._usual, self._high_risk)[0]

    def _effects(self, predicted: PredictionsOfOne) -> list[float]:
        totals = [0.0] * len(self._families)
        effects = self._churn.effects(predicted.columns, predicted.designs)
        for place, effect in zip(self._places, effects, strict=True):
            totals[place] += effect
        return totals

    def _shown(
        self, columns: Mapping[str, float], features: Mapping[str, float]
    ) -> dict[str, np.ndarray]:
        """Return what is shown: features as they are, whatever the models read in their place."""
        shown = {
            name: np.array([features[name] if name in features else columns[name]])
            for name in self.columns
            if name in columns
        }
        gaps = None
        if self._base is not None and self._base.has_dates:
            gaps = dated_gaps(self._base, one_row(columns, HISTORY))
        return shown if gaps is None else {**shown, USUAL_GAP: gaps}
