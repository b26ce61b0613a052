"""Churn by cancellation: an open contract is cancelled within the horizon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY, DAY_MICROSECONDS, iso, microseconds
from stagecast.features.snapshots import Snapshot
from stagecast.training.cancellation.landmarks import current, shares_cancelled
from stagecast.training.cancellation.model import CancellationModel
from stagecast.training.churn_kinds.inactivity import Inactivity
from stagecast.training.churn_kinds.kind import States, Wording
from stagecast.training.churn_kinds.learned import LearnedFrom, PastDate, PoolCard
from stagecast.training.columns import rows_of
from stagecast.training.models import Models, Predictions, contracts_of
from stagecast.training.outcomes import Churned, Later
from stagecast.training.reasons.explanation import Explanation
from stagecast.training.reasons.of_buyers import buyer_explanations
from stagecast.training.reasons.of_contracts import (
    announced_explanations,
    contract_explanations,
    usual_of_contracts,
)
from stagecast.training.reference.reference import Reference
from stagecast.training.schemes import BY_CONTRACT

if TYPE_CHECKING:
    from stagecast.training.cancellation.panel import ContractPanel
    from stagecast.training.panel import Panel

WORDING = Wording(
    probability="P(cancelled)",
    left="cancelled",
    column="Cancelled",
    verb="cancel",
    outcome="cancelled",
    eligible="Asked are those with an open contract.",
    event="A cancellation",
    glossary=(
        (
            "p_inactive",
            "The probability of a cancellation within the horizon, for everybody with an open "
            "contract, whatever their stage: the churn probability. For the lapsed, of no "
            "purchase.",
        ),
        (
            "Active",
            "Who has an open contract. A stage that goes by purchases may say otherwise; those of "
            "the scheme membership go by the contract.",
        ),
        (
            "Lapsed",
            "Whose contract was cancelled. They have a chance to order again, not a risk of "
            "leaving.",
        ),
    ),
    methods={
        "blend": (
            "the hazard by age of a contract, a regression and LightGBM on it, "
            "pooled on a later window"
        ),
        "rule": (
            "the share of contracts that were cancelled, by age where enough were: "
            "too little to learn more"
        ),
    },
    nobody=(
        "nobody of the {customers} customers had a contract before {date}: choose a later --as-of, "
        "or say with --contract-start which types of events begin one"
    ),
    none_eligible="nobody had a contract open on {date}, or the end of each was known",
)


class Cancellation:
    """Churn of customers with an open contract by its cancellation.

    Customers without a contract are treated as by :class:`Inactivity`.
    """

    name = "cancellation"
    wording = WORDING
    predicts_money = False

    def __init__(self) -> None:
        self._inactivity = Inactivity()

    @property
    def baseline_labels(self) -> Mapping[str, str]:
        """Baseline -> label in reports."""
        from stagecast.training.baselines.contracts import LABELS

        return LABELS

    def method(self, models: Models) -> str:
        """Return ``rule`` with too few cancellations for more than rates by age, else ``blend``."""
        return "rule" if _model(models).low_data else "blend"

    def method_note(self, models: Models) -> str:
        """Return a phrase that describes the method."""
        return self.wording.methods[self.method(models)]

    def pool_card(self, models: Models) -> PoolCard:
        """Return the weights of the pool, learned on a later date."""
        model = _model(models)
        return PoolCard(
            weights=model.weights,
            level=None,
            drawn=None,
            weighed_by=None if model.low_data else "later_date",
        )

    def training_dates(self, panel: Panel, models: Models) -> tuple[PastDate, ...]:
        """Return the past dates with the number of open contracts, and the share cancelled."""
        contracts = _panel(panel)
        shares = shares_cancelled(contracts.spells, contracts.landmarks, models.config.horizon_days)
        return tuple(
            PastDate(iso(panel.as_of - back * DAY), count, share) for back, count, share in shares
        )

    def learned_from(self, panel: Panel, models: Models) -> LearnedFrom:
        """Return the pool, and the dates of the landmarks."""
        model = _model(models)
        backs = _panel(panel).landmarks.backs if model.method == "pool" else ()
        return LearnedFrom(
            method=model.method,
            weights=model.weights,
            level=0.0,
            past_dates=tuple(iso(panel.as_of - timedelta(days=back)) for back in backs),
        )

    def can_learn(self, panel: Panel) -> bool:
        """Return whether anybody has or had a contract; purchases are not needed."""
        return len(_panel(panel).spells) > 0

    def states(self, models: Models, snapshot: Snapshot) -> States:
        """Return the state by the contract: none yet, open, or cancelled."""
        contracts = contracts_of(snapshot)
        return np.select([contracts.open, contracts.ever_had], ["active", "lapsed"], "prospect")

    def risk(self, models: Models, predicted: Predictions, state: States) -> Array:
        """Return P(cancelled) of open contracts, P(no purchase) of the lapsed, NaN of prospects.

        A customer who has cancelled cannot leave again; their risk is that of ordering nothing,
        NaN where the log has no purchases to learn it from.
        """
        risk = np.where(state == "active", predicted.p_cancel, predicted.p_silent)
        return np.where(state == "prospect", np.nan, risk)

    def row_methods(self, models: Models, snapshot: Snapshot) -> tuple[States, NDArray[np.bool_]]:
        """Return the method of the cancellation model for open contracts, else as inactivity."""
        method, low_data = self._inactivity.row_methods(models, snapshot)
        has_contract = contracts_of(snapshot).open
        return (
            np.where(has_contract, self.method(models), method),
            np.where(has_contract, _model(models).low_data, low_data),
        )

    def explanations(
        self,
        models: Models,
        snapshot: Snapshot,
        predicted: Predictions,
        threads: int,
    ) -> dict[int, Explanation]:
        """Return the reasons of open contracts, and of buyers without one, by row."""
        contracts = contracts_of(snapshot)
        of_contracts = contract_explanations(models, snapshot, predicted, threads)
        of_contracts |= announced_explanations(contracts)
        if not models.has_purchases:
            return of_contracts
        rows = predicted.buyers[~contracts.open[predicted.buyers]]
        return of_contracts | buyer_explanations(models, snapshot, predicted, rows, threads)

    def with_usual(
        self,
        reference: Reference,
        models: Models,
        snapshot: Snapshot,
        predicted: Predictions,
        state: States,
    ) -> Reference:
        """Return the reference with what is usual of the buyers, and of open contracts."""
        usual = usual_of_contracts(models, snapshot, predicted)
        reference = self._inactivity.with_usual(reference, models, snapshot, predicted, state)
        return replace(reference, contracts=usual)

    def churned(
        self, panel: Panel, models: Models, predicted: Predictions, later: Later, *, quick: bool
    ) -> Churned:
        """Return the open contracts, whether they were cancelled, and the predictions."""
        from stagecast.training.baselines import contracts as baselines

        # an end that is known is no prediction: these contracts are not compared
        contracts, rows = _panel(panel), np.flatnonzero(contracts_of(panel.now).at_risk)
        columns = rows_of({name: panel.now.features[name] for name in contracts.columns}, rows)
        predictions = baselines.fit_and_predict(
            contracts.spells,
            models.config.horizon_days,
            contracts.landmarks,
            current(contracts.spells),
            contracts.columns,
            columns,
            baselines.QUICK if quick else tuple(baselines.LABELS),
        )
        if later.cancelled is None or later.had_contract is None:
            raise ValueError("churn is cancellation, and the outcomes lack those of contracts")
        # as in the training landmarks, contracts that had been cancelled already are left out
        eligible = later.had_contract[rows]
        predictions, rows = rows_of(predictions, np.flatnonzero(eligible)), rows[eligible]
        return Churned(
            rows,
            later.cancelled[rows],
            predicted.p_cancel[rows],
            self.method(models),
            predictions,
        )

    def notes(self, panel: Panel, models: Models) -> list[str]:
        """Return why a simpler method was used, and how many cancellations matched no contract."""
        model, notes = _model(models), []
        if model.method == "share":
            notes.append(
                f"Only {model.cancellations} contracts were cancelled: all have one risk, the "
                "smoothed share (method: rule)."
            )
        elif model.method == "ages":
            notes.append(
                f"Too few of the {model.cancellations} cancellations fall into the windows of "
                "past dates to learn more from than the age of a contract (method: rule); a longer "
                "--horizon or a longer log has more."
            )
        if announced := int(contracts_of(panel.now).announced.sum()):
            notes.append(
                f"{announced:,} open contracts were cancelled before the as_of and end at or "
                "after it: their probability is 1 where the end lies within the horizon, else 0. "
                "Nothing is learned from contracts whose end is known."
            )
        notes += self._days_of_ends(panel, model)
        if panel.scheme.id == BY_CONTRACT and models.config.scheme != BY_CONTRACT:
            notes.append(
                "The log has too few repeat purchases for stages that go by purchases: the stages "
                f"are those of the scheme {BY_CONTRACT}, by contract."
            )
        notes += self._stages_of_others(panel, models)
        if not models.has_purchases:
            notes.append(
                "Nobody has bought: what is said of orders, of spend and of the lapsed is empty."
            )
        if ignored := _panel(panel).spells.ignored_cancellations:
            notes.append(
                f"{ignored:,} cancellations found no contract open: it began before the log did, "
                "or was cancelled twice. They teach nothing; who has no other contract is lapsed."
            )
        return notes

    def _days_of_ends(self, panel: Panel, model: CancellationModel) -> list[str]:
        """Return that the horizon holds no day on which contracts end, if they end on one day."""
        begin = np.array([microseconds(panel.as_of)])
        until = begin + model.horizon_days * DAY_MICROSECONDS
        if model.end_day is None or model.end_day.count(begin, until)[0] > 0:
            return []
        day = f"day {model.end_day.day} of a month" if model.end_day.day else "the last of a month"
        return [
            f"Contracts end on {day}, and the {model.horizon_days} days ahead hold none: hardly "
            "anybody is expected to leave. Take an as_of on or before that day, or a longer "
            "--horizon."
        ]

    def _stages_of_others(self, panel: Panel, models: Models) -> list[str]:
        """Return how many have cancelled and stand on a stage of the active all the same, and how
        many have an open contract and stand on one of the lapsed.
        """
        by_stage = self._inactivity.states(models, panel.now)
        by_contract = self.states(models, panel.now)
        cancelled = int(((by_contract == "lapsed") & (by_stage == "active")).sum())
        still_open = int(((by_contract == "active") & (by_stage == "lapsed")).sum())
        where = []
        if cancelled:
            where.append(
                f"of the customers whose contract was cancelled, {cancelled:,} stand on a stage of "
                "active customers, with its action."
            )
        if still_open:
            where.append(
                f"{'Of' if cancelled else 'of'} those whose contract is open, {still_open:,} stand "
                "on a stage of lapsed customers, with its action."
            )
        if not where:
            return []
        return [
            f"The stages of the scheme {panel.scheme.id} go by orders, not by contract: "
            f"{' '.join(where)} --stages {BY_CONTRACT} goes by contract."
        ]


def _model(models: Models) -> CancellationModel:
    if models.cancellation is None:
        raise ValueError("churn is cancellation, and there is no model of cancellations")
    return models.cancellation


def _panel(panel: Panel) -> ContractPanel:
    if panel.contracts is None:
        raise ValueError("churn is cancellation, and the panel has no contracts")
    return panel.contracts
