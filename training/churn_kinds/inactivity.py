"""Churn by inactivity: a buyer leaves by buying nothing within the horizon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import iso
from stagecast.features.snapshots import Snapshot
from stagecast.training.churn_kinds.kind import States, Wording
from stagecast.training.churn_kinds.learned import LearnedFrom, PastDate, PoolCard
from stagecast.training.models import Models, Predictions
from stagecast.training.outcomes import Churned, Later
from stagecast.training.reasons.explanation import Explanation
from stagecast.training.reasons.of_buyers import buyer_explanations, usual_of_buyers
from stagecast.training.reference.reference import Reference

if TYPE_CHECKING:
    from stagecast.training.panel import Panel

WORDING = Wording(
    probability="P(no purchase)",
    left="bought nothing",
    column="Ordered nothing",
    verb="order nothing",
    outcome="ordered",
    eligible="",
    event="No purchase",
    glossary=(
        (
            "p_inactive",
            "The probability of no purchase within the horizon, for everybody who ever ordered. "
            "For the active it is the churn probability.",
        ),
        (
            "Lapsed",
            "The stages say that they are gone already. They have a chance to return, not a risk "
            "of leaving.",
        ),
    ),
    methods={
        "blend": (
            "customer-base models, two regressions, LightGBM and a hazard of weeks, pooled on what "
            "they had not seen"
        ),
        "btyd": "customer-base models alone: too little to learn more from",
        "rule": "read off the shop's own gaps between purchases: too little for a model",
    },
    nobody=(
        "nobody of the {customers} customers had bought before {date}{returned}: there is no "
        "purchase to learn from; choose a later --as-of, or say with --event which column names "
        "the type of an event"
    ),
    none_eligible="nobody had bought before {date}",
)

FEW_CUSTOMERS = (
    "customer-base models and a regression on RFM, pooled on customers that they had not seen: too "
    "few for more"
)
SIMPLE = {
    "share": (
        "On past dates no model told customers apart better than the share of all of them: every "
        "customer has that share"
    ),
    "recency": (
        "On past dates the days since the last purchase were better than the pool, beyond chance: "
        "the probabilities are those of recency alone"
    ),
    "rfm": (
        "On past dates a regression on RFM was better than the pool, beyond chance: the "
        "probabilities are those of the regression alone"
    ),
    "btyd": (
        "On past dates the customer-base models were better than the pool, beyond chance: the "
        "probabilities are theirs alone"
    ),
}
"""Member that replaced the pool -> note that says so."""


class Inactivity:
    """Churn of buyers by no purchase within the horizon."""

    name = "inactivity"
    wording = WORDING
    predicts_money = True

    @property
    def baseline_labels(self) -> Mapping[str, str]:
        """Baseline -> label in reports."""
        from stagecast.training.baselines.buyers import LABELS

        return LABELS

    def method(self, models: Models) -> str:
        """Return the method of the churn model."""
        return models.churn.method

    def method_note(self, models: Models) -> str:
        """Return a phrase that describes the method, or the member that replaced a pool."""
        from stagecast.training.inactivity.simple import LABELS

        churn = models.churn
        if churn.alone is not None:
            return f"{LABELS[churn.alone]} alone: better than the pool on what it had not seen"
        if churn.method == "blend" and churn.few_customers:
            return FEW_CUSTOMERS
        return self.wording.methods[churn.method]

    def pool_card(self, models: Models) -> PoolCard:
        """Return weights and level of the pool, and the rows that the weights were learned on."""
        churn = models.churn
        return PoolCard(churn.weights, churn.level, churn.drawn, churn.weighed_by)

    def training_dates(self, panel: Panel, models: Models) -> tuple[PastDate, ...]:
        """Return the past dates with the number of buyers, and the share that bought nothing."""
        return tuple(
            PastDate(
                as_of=iso(frame.as_of),
                customers=len(frame),
                inactive=float(frame.inactive.mean()) if len(frame) else None,
            )
            for frame in panel.dates
        )

    def learned_from(self, panel: Panel, models: Models) -> LearnedFrom:
        """Return the pool, and the dates that had enough rows to learn from."""
        from stagecast.training.inactivity.fitting import taught_by

        churn = models.churn
        dates = taught_by(panel, churn.horizon_days) if churn.method == "blend" else []
        return LearnedFrom(
            churn.method, churn.weights, churn.level, tuple(iso(frame.as_of) for frame in dates)
        )

    def can_learn(self, panel: Panel) -> bool:
        """Return whether anybody has bought."""
        return bool(panel.now.buyers.any())

    def states(self, models: Models, snapshot: Snapshot) -> States:
        """Return the state of each row's stage."""
        return np.array([stage.state for stage in models.scheme.stages])[snapshot.stage]

    def risk(self, models: Models, predicted: Predictions, state: States) -> Array:
        """Return P(no purchase); NaN for prospects."""
        return np.where(state == "prospect", np.nan, predicted.p_silent)

    def row_methods(self, models: Models, snapshot: Snapshot) -> tuple[States, NDArray[np.bool_]]:
        """Return the method of the churn model for buyers, else of the conversion model."""
        prospect_method = "blend" if models.conversion.hazard is not None else "rule"
        method = np.where(snapshot.buyers, models.churn.method, prospect_method)
        low_data = np.where(snapshot.buyers, models.churn.low_data, method != "blend")
        low_data |= models.value_is_far
        return method, low_data | (~snapshot.buyers & models.conversion.low_data)

    def explanations(
        self,
        models: Models,
        snapshot: Snapshot,
        predicted: Predictions,
        threads: int,
    ) -> dict[int, Explanation]:
        """Return the reasons of each buyer, by row."""
        return buyer_explanations(models, snapshot, predicted, predicted.buyers, threads)

    def with_usual(
        self,
        reference: Reference,
        models: Models,
        snapshot: Snapshot,
        predicted: Predictions,
        state: States,
    ) -> Reference:
        """Return the reference with what is usual of the buyers."""
        usual = usual_of_buyers(models, snapshot, predicted, state == "active")
        return replace(reference, buyers=usual)

    def churned(
        self, panel: Panel, models: Models, predicted: Predictions, later: Later, *, quick: bool
    ) -> Churned:
        """Return the buyers, whether they bought nothing, and the predictions."""
        from stagecast.training.baselines import buyers as baselines

        config, rows = models.config, predicted.buyers
        names = baselines.QUICK if quick else tuple(baselines.LABELS)
        recency_days = panel.now.features["recency_days"][rows]
        by_gaps = models.churn.rule.probability(recency_days, config.horizon_days)
        predictions = baselines.fit_and_predict(
            panel,
            config.horizon_days,
            names,
            config.seed,
            share=float(by_gaps.mean()) if len(rows) else 0.5,
        )
        left = np.asarray(later.orders[rows] == 0)
        return Churned(rows, left, predicted.p_inactive[rows], models.churn.method, predictions)

    def notes(self, panel: Panel, models: Models) -> list[str]:
        """Return why a simpler method than the pool was used."""
        notes = self._method_notes(models)
        churn, own = models.churn, models.config.members.own
        if own and (churn.method != "blend" or churn.few_customers):
            notes.append(
                f"Members of your own ({', '.join(own)}) need a past date with at least 200 "
                "customers, 30 of whom stayed and 30 left: they are left out."
            )
        elif idle := sorted(set(own) - set(churn.weights)):
            notes.append(
                f"Members of your own ({', '.join(idle)}) have no weight: what they know, the "
                "others know as well, on rows that none of them was fitted on."
            )
        return notes

    def _method_notes(self, models: Models) -> list[str]:
        churn = models.churn
        if churn.method == "rule":
            return [
                "Too few customers or repeat buyers for a model: the probabilities are read off "
                "the shop's own gaps between purchases (method: rule)."
            ]
        if churn.method == "btyd":
            level = ", at the level of the last horizon" if churn.level else ""
            return [
                "The newest past date has too few customers who stayed, or who left, to learn "
                f"from: the customer-base models speak alone{level} (method: btyd)."
            ]
        if churn.alone is not None:
            return [f"{SIMPLE[churn.alone]} (method: blend)."]
        if churn.few_customers:
            return [
                "Few customers: no past date has enough who stayed and who left for trees and "
                "splines, so the customer-base models are pooled with a regression on RFM alone "
                "(method: blend)."
            ]
        return []
