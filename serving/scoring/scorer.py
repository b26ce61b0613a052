"""The scorer: it turns snapshots or events into scores, for batches and requests alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.clock import day_number, iso, microseconds
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.one_customer.sentences import RuleSentences
from stagecast.features.requests import CustomerEvents
from stagecast.features.snapshots import Snapshot, current_snapshot
from stagecast.features.stages.scheme import Scheme
from stagecast.features.stages.scheme_files import thresholds_to_json
from stagecast.serving.scoring import score_schema
from stagecast.serving.scoring.arrow_columns import arrow_column
from stagecast.serving.scoring.contract import contract_json
from stagecast.serving.scoring.one_row.plan import OneRow
from stagecast.serving.scoring.play_columns import play_columns
from stagecast.serving.scoring.reason_columns import reason_columns
from stagecast.serving.scoring.rfm_columns import rfm_columns
from stagecast.serving.scoring.rhythm_columns import rhythm_columns
from stagecast.serving.scoring.score_objects import score_objects
from stagecast.serving.scoring.waiting_columns import waiting_columns
from stagecast.serving.scoring.without_amounts import by_amounts, without_money
from stagecast.training.bundle import Bundle, load_bundle
from stagecast.training.churn_kinds import ChurnKind, kind_of
from stagecast.training.models import Predictions, predict
from stagecast.training.reasons.explanation import Explanation

ONE_BY_ONE = 6
"""Up to this many customers are scored one after the other: arrays cost as much as six of them."""
FEW_SENTENCES = 1_000
"""Up to this many rows, the rules of stages are said without Arrow, which would import pandas."""
BANDS = np.array(["low", "medium", "high"])


class Scorer:
    """Scores customers with one bundle.

    Parameters
    ----------
    bundle
        The bundle, as :func:`stagecast.training.bundle.load_bundle` returns it.
    threads
        Number of threads for LightGBM; 0 uses all cores. Use 1 in a server: for a few rows, threads
        cost a hundred times what they save.
    with_reasons
        Whether to compute the reasons, which takes longer than everything else; if not, each list
        of reasons is empty.
    """

    def __init__(self, bundle: Bundle, threads: int = 1, *, with_reasons: bool = True) -> None:
        self.bundle = bundle
        self.with_reasons = with_reasons
        self.threads = threads

    def __repr__(self) -> str:
        reasons = "" if self.with_reasons else ", without reasons"
        return f"Scorer({self.bundle!r}{reasons})"

    @property
    def model_version(self) -> str:
        """Version of the bundle."""
        return self.bundle.model_version

    @property
    def horizon_days(self) -> int:
        """Horizon of the probabilities, in days."""
        return self.bundle.models.config.horizon_days

    @cached_property
    def told_apart(self) -> bool:
        """Whether the training could tell the active customers apart by their risk."""
        ranking = self.bundle.card.get("ranking") or {}
        return bool(ranking.get("told_apart", True))

    @property
    def kind(self) -> ChurnKind:
        """Kind of churn that the models predict."""
        return kind_of(self.bundle.models.config.churn)

    @property
    def scheme(self) -> Scheme:
        """Stage scheme of the scores."""
        return self.bundle.models.scheme

    @cached_property
    def card(self) -> Mapping[str, Any]:
        """Model card: the content of ``GET /v1/model``."""
        return {
            "model_version": self.model_version,
            "as_of": iso(self.bundle.as_of),
            "data_cutoff": iso(self.bundle.data_cutoff),
            "horizon_days": self.horizon_days,
            "method": self.kind.method(self.bundle.models),
            "churn": self.bundle.models.config.churn,
            "scheme": self.scheme.id,
            "stages": list(self.scheme.ids),
            "thresholds": thresholds_to_json(self.scheme.thresholds),
            "assumed": sorted(self.scheme.assumed),
            **self.bundle.card,
            **self.bundle.money.to_json(),
            "zone": self.bundle.clock.zone,
            "contract": contract_json(self.bundle, self.scheme.ids),
        }

    def score_customers(
        self,
        customers: Sequence[CustomerEvents],
        as_of: datetime,
        data_cutoff: datetime | None = None,
        has_amounts: bool | None = None,
    ) -> pa.Table:
        """Return the scores of customers, one row each, in the same order.

        Parameters
        ----------
        customers
            The customers with their events.
        as_of
            Instant of the scores; later events are ignored. Days are those of the training's zone.
        data_cutoff
            Time of the last event before the as_of; None: for each customer their own, so that a
            score does not depend on who else is asked for.
        has_amounts
            Whether purchases of the log have amounts; None: it is asked of each customer, who has
            none if there are purchases, and none of them has an amount.

        Returns
        -------
        Table with the columns of :mod:`stagecast.serving.scoring.score_schema`.

        Raises
        ------
        NotEnoughDataError
            A customer has no event before the as_of; the message names the first one.
        """
        tables: list[pa.Table] = []
        order: list[int] = []
        for positions, snapshot, cutoff, with_amounts in self._groups(
            customers, as_of, data_cutoff, has_amounts
        ):
            tables.append(self._table(snapshot, cutoff, has_amounts=with_amounts))
            order += positions
        table = pa.concat_tables(tables)
        return table if len(tables) == 1 else table.take(np.argsort(order)).combine_chunks()

    def score_objects(
        self, customers: Sequence[CustomerEvents], as_of: datetime, *, with_reasons: bool = True
    ) -> list[dict[str, Any]]:
        """Return the scores of customers as JSON objects of the API, in the same order.

        Parameters
        ----------
        customers
            The customers with their events.
        as_of
            Instant of the scores; later events are ignored.
        with_reasons
            Whether to compute the reasons, if the scorer computes any; if not, each list is empty.

        Raises
        ------
        NotEnoughDataError
            A customer has no event before the as_of; the message names the first one.
        """
        with_reasons = with_reasons and self.with_reasons
        if len(customers) <= ONE_BY_ONE and self.one_row is not None:
            return self._one_by_one(customers, as_of, self.one_row, with_reasons=with_reasons)
        return self._of_arrays(customers, as_of, with_reasons=with_reasons)

    def _of_arrays(
        self, customers: Sequence[CustomerEvents], as_of: datetime, *, with_reasons: bool
    ) -> list[dict[str, Any]]:
        scores: dict[int, dict[str, Any]] = {}
        for positions, snapshot, cutoff, has_amounts in self._groups(customers, as_of):
            columns = self._columns(
                snapshot, cutoff, has_amounts=has_amounts, with_reasons=with_reasons
            )
            objects = score_objects(columns, self.scheme.ids)
            scores.update(zip(positions, objects, strict=True))
        return [scores[position] for position in range(len(customers))]

    @cached_property
    def _rule_sentences(self) -> RuleSentences:
        return RuleSentences(self.scheme)

    @cached_property
    def one_row(self) -> OneRow | None:
        """The bundle compiled for one customer at a time; None where it has no such form."""
        try:
            return OneRow(self.bundle, told_apart=self.told_apart)
        except NotImplementedError:
            return None

    def _one_by_one(
        self,
        customers: Sequence[CustomerEvents],
        as_of: datetime,
        one_row: OneRow,
        *,
        with_reasons: bool,
    ) -> list[dict[str, Any]]:
        """Return the scores, those of arrays for whom the compiled form leaves out."""
        scores = []
        for customer in customers:
            score = one_row.score(customer, as_of, with_reasons=with_reasons)
            scores.append(score or self._of_arrays([customer], as_of, with_reasons=with_reasons)[0])
        return scores

    def _groups(
        self,
        customers: Sequence[CustomerEvents],
        as_of: datetime,
        data_cutoff: datetime | None = None,
        has_amounts: bool | None = None,
    ) -> Iterator[tuple[Sequence[int], Snapshot, Integers, bool]]:
        """Yield the customers with amounts and those without, if not all are said to be alike.

        For each group these are the positions of its customers, their snapshot, the data cut-off of
        each in microseconds since 1970, and whether they have amounts.
        """
        clock = self.bundle.clock
        alike = [(list(range(len(customers))), bool(has_amounts))]
        for positions, with_amounts in by_amounts(customers) if has_amounts is None else alike:
            group = [customers[position] for position in positions]
            events = MemoryEvents(clock.events(group), clock.shop(as_of))
            snapshot = current_snapshot(events, self.bundle.models.plan)
            if data_cutoff is None:
                cutoff = clock.instant_microseconds(events.last_events())
            else:
                cutoff = _repeat(microseconds(data_cutoff), len(snapshot))
            yield positions, snapshot, cutoff, with_amounts

    def score(
        self, snapshot: Snapshot, data_cutoff: datetime, *, has_amounts: bool = True
    ) -> pa.Table:
        """Return the scores of the rows of a snapshot, in the same order.

        Parameters
        ----------
        snapshot
            Snapshot that :func:`stagecast.features.snapshots.current_snapshot` returns for the plan
            of the bundle's models.
        data_cutoff
            Time of the last event before the as_of.
        has_amounts
            Whether purchases of the log have amounts; without them, money is null.
        """
        cutoff = _repeat(microseconds(data_cutoff), len(snapshot))
        return self._table(snapshot, cutoff, has_amounts=has_amounts)

    def _table(self, snapshot: Snapshot, data_cutoff: Integers, *, has_amounts: bool) -> pa.Table:
        columns = self._columns(snapshot, data_cutoff, has_amounts=has_amounts)
        schema = score_schema.schema(self.scheme.ids)
        return pa.table(
            [arrow_column(columns[field.name], field) for field in schema], schema=schema
        )

    def _columns(
        self,
        snapshot: Snapshot,
        data_cutoff: Integers,
        *,
        has_amounts: bool,
        with_reasons: bool = True,
    ) -> dict[str, Any]:
        """Return the columns of a score, of which :mod:`score_schema` says the order and type."""
        models, rows, clock = self.bundle.models, len(snapshot), self.bundle.clock
        features, standing, stage = snapshot.features, snapshot.standing, snapshot.stage
        predicted = predict(models, snapshot, self.threads)
        state = self.kind.states(models, snapshot)
        method, low_data = self.kind.row_methods(models, snapshot)
        columns: dict[str, Any] = {
            "customer_id": snapshot.ids[snapshot.customer],
            "as_of": _repeat(microseconds(clock.instant(snapshot.as_of)), rows),
            "horizon_days": _repeat(self.horizon_days, rows),
            "data_cutoff": data_cutoff,
            "model_version": [self.model_version] * rows,
            "method": method,
            "low_data": low_data,
            "state": state,
            "stage": np.array(self.scheme.ids)[stage],
            "stage_since": clock.instant_microseconds(standing.since),
            "stage_rule": self._rule_sentences.of_rows(stage, standing.facts)
            if rows <= FEW_SENTENCES
            else self.scheme.explain(stage, standing.facts),
            **{
                f"p_stage_{name}": predicted.p_stage[:, k] for k, name in enumerate(self.scheme.ids)
            },
            "next_stage": np.array(self.scheme.ids)[predicted.p_stage.argmax(axis=1)],
            **self._risk(predicted, state),
            **self._value(predicted, snapshot.as_of),
            **waiting_columns(models, snapshot, predicted, state),
            **rhythm_columns(models, snapshot),
            **self._facts(features, has_amounts),
            **reason_columns(
                self._explanations(snapshot, predicted) if with_reasons else {},
                rows,
                self.bundle.money.currency,
            ),
            "churn": [models.config.churn] * rows,
        }
        if not has_amounts:
            in_money = {f.name for f in models.catalog.features if f.unit == "money"}
            columns = without_money(columns, rows, in_money)
        return columns | play_columns(self.scheme, models.reference.play_bounds, columns, stage)

    def _explanations(
        self, snapshot: Snapshot, predicted: Predictions
    ) -> Mapping[int, Explanation]:
        if not self.with_reasons:
            return {}
        return self.kind.explanations(self.bundle.models, snapshot, predicted, self.threads)

    def _risk(self, predicted: Predictions, state: NDArray[np.str_]) -> dict[str, Any]:
        models = self.bundle.models
        active, lapsed = state == "active", state == "lapsed"
        risk = self.kind.risk(models, predicted, state)
        churn = np.where(active, risk, np.nan)
        band = (churn >= models.config.medium_risk).astype(int) + (
            churn >= models.config.high_risk
        ).astype(int)
        return {
            "p_inactive": risk,
            "churn_probability": churn,
            "churn_percentile": np.where(
                active & self.told_apart,
                models.reference.percentile(np.nan_to_num(churn)),
                np.nan,
            ),
            "churn_band": np.where(active, BANDS[band], None),
            "p_return": np.where(lapsed, predicted.p_purchase, np.nan),
            "p_convert": np.where(active | lapsed, np.nan, predicted.p_purchase),
            "p_alive": predicted.p_alive,
            "value_at_risk": predicted.value_at_risk,
        }

    def _value(self, predicted: Predictions, as_of: datetime) -> dict[str, Any]:
        models = self.bundle.models
        # the training had no later period to fit an interval on, so there is none
        null = np.full(len(predicted.clv), np.nan)
        of_spend, of_value = models.spend_interval, models.value_interval
        ends = {
            "expected_spend": (null, null) if of_spend is None else predicted.spend_range(of_spend),
            "clv": (null, null) if of_value is None else predicted.value_range(of_value),
        }
        money = {}
        for name, (low, high) in ends.items():
            money[name] = getattr(predicted, name)
            money[f"{name}_low"], money[f"{name}_high"] = low, high
        order_day = np.floor(day_number(as_of) + predicted.days_to_order)
        return {
            "expected_orders": predicted.expected_orders,
            "next_order_date": order_day,
            **money,
            "clv_residual": predicted.clv_residual,
            "clv_by_year": predicted.clv_by_year,
            "value_gone": predicted.value_gone,
            "value_if_kept": predicted.value_if_kept,
        }

    def _facts(self, features: Mapping[str, Array], has_amounts: bool) -> dict[str, Any]:
        models, buyers = self.bundle.models, features["orders"] > 0
        has_amounts = has_amounts and models.value.mean_spend is not None
        null = np.full(len(buyers), np.nan)
        return {
            **{
                name: features[name]
                for name in ("recency_days", "tenure_days", "frequency", "orders")
            },
            "monetary": features["monetary"] if has_amounts else null,
            "spend": features["spend"] if has_amounts else null,
            **rfm_columns(models.reference.rfm, features, has_amounts=has_amounts),
        }


def _repeat(value: int, rows: int) -> NDArray[np.int64]:
    return np.full(rows, value, dtype=np.int64)


def load_scorer(path: str | Path, threads: int = 1, *, with_reasons: bool = True) -> Scorer:
    """Return a scorer for the bundle in a folder.

    Parameters
    ----------
    path
        Folder of the bundle.
    threads, with_reasons
        See :class:`Scorer`.

    Raises
    ------
    stagecast.features.errors.StagecastError
        There is no bundle, or it is damaged.
    """
    return Scorer(load_bundle(Path(path)), threads, with_reasons=with_reasons)
