"""A bundle and features in, scores with the columns of the contract out: for a batch and for a
request alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import day_number, from_microseconds, iso, microseconds
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.requests import CustomerEvents
from stagecast.features.snapshots import Snapshot, current_snapshot
from stagecast.features.stages.scheme import Scheme
from stagecast.features.stages.scheme_files import thresholds_to_json
from stagecast.serving.scoring import score_schema
from stagecast.training.bundle import Bundle, load_bundle
from stagecast.training.churn_kinds import ChurnKind, kind_of
from stagecast.training.models import Predictions, predict
from stagecast.training.reasons.of_buyers import Reason
from stagecast.training.reference import rfm_segment

BANDS = np.array(["low", "medium", "high"])
# Quintiles 1 to 5 of recency, orders and spend, the last one quickest, as text; a dash where there
# is no money.
_FIFTHS = range(1, 6)
_CELLS = {
    money: pa.array(
        [f"{r}{f}{m if money else '-'}" for r, f, m in itertools.product(_FIFTHS, repeat=3)]
    )
    for money in (True, False)
}
_SEGMENTS = pa.array([rfm_segment(r, f) for r, f in itertools.product(_FIFTHS, repeat=2)])


class Scorer:
    """Scores customers with one bundle.

    Parameters
    ----------
    bundle
        As loaded by :func:`stagecast.training.bundle.load_bundle`.
    with_reasons
        Whether to tell the reasons, which cost more than all the rest; without, each list of them
        is empty.
    threads
        For LightGBM: 1 in a server, where threads on a few rows cost a hundred times what they
        save; 0 takes all.
    """

    def __init__(self, bundle: Bundle, threads: int = 1, *, with_reasons: bool = True) -> None:
        self.bundle = bundle
        self.with_reasons = with_reasons
        self.threads = threads

    @property
    def model_version(self) -> str:
        return self.bundle.model_version

    @property
    def horizon_days(self) -> int:
        return self.bundle.models.config.horizon_days

    @property
    def kind(self) -> ChurnKind:
        """What churn is."""
        return kind_of(self.bundle.models.config.churn)

    @property
    def scheme(self) -> Scheme:
        return self.bundle.models.scheme

    @cached_property
    def card(self) -> Mapping[str, Any]:
        """What ``GET /v1/model`` shows."""
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
            **self.bundle.card,
        }

    def score_customers(
        self,
        customers: Sequence[CustomerEvents],
        as_of: datetime,
        data_cutoff: datetime | None = None,
    ) -> pa.Table:
        """Return one row per customer, in the same order, with the columns of
        :mod:`stagecast.serving.scoring.score_schema`.

        ``data_cutoff`` is the last event that was seen; None: that of these customers.

        Raises
        ------
        NotEnoughDataError
            A customer has no event before the as_of; the message names the first.
        """
        events = MemoryEvents(customers, as_of)
        snapshot = current_snapshot(events, self.bundle.models.plan)
        return self.score(snapshot, data_cutoff or from_microseconds(events.last_event()))

    def score(self, snapshot: Snapshot, data_cutoff: datetime) -> pa.Table:
        """Return the scores of the rows of a snapshot, in their order.

        Parameters
        ----------
        snapshot
            As :func:`stagecast.features.snapshots.current_snapshot` makes it by the plan of the
            bundle's models.
        data_cutoff
            The last event that was seen.
        """
        models, rows = self.bundle.models, len(snapshot)
        features, standing, stage = snapshot.features, snapshot.standing, snapshot.stage
        predicted = predict(models, snapshot, self.threads)
        state = self.kind.states(models, snapshot)
        method, low_data = self.kind.row_methods(models, snapshot)
        columns: dict[str, Any] = {
            "customer_id": snapshot.ids[snapshot.customer],
            "as_of": _same(microseconds(snapshot.as_of), rows),
            "horizon_days": _same(self.horizon_days, rows),
            "data_cutoff": _same(microseconds(data_cutoff), rows),
            "model_version": [self.model_version] * rows,
            "method": method,
            "low_data": low_data,
            "state": state,
            "stage": np.array(self.scheme.ids)[stage],
            "stage_since": standing.since,
            "stage_rule": self.scheme.explain(stage, standing.facts),
            **{
                f"p_stage_{name}": predicted.p_stage[:, k] for k, name in enumerate(self.scheme.ids)
            },
            "next_stage": np.array(self.scheme.ids)[predicted.p_stage.argmax(axis=1)],
            **self._risk(predicted, state),
            **self._value(predicted, snapshot.as_of),
            **self._facts(features),
            "reasons": self._reasons(snapshot, predicted, state),
            "action": np.array([s.action["en"] for s in self.scheme.stages], dtype=object)[stage],
            "churn": [models.config.churn] * rows,
        }
        schema = score_schema.schema(self.scheme.ids)
        return pa.table([_arrow(columns[field.name], field) for field in schema], schema=schema)

    def _risk(self, predicted: Predictions, state: NDArray[np.str_]) -> dict[str, Any]:
        models = self.bundle.models
        active, lapsed = state == "active", state == "lapsed"
        risk = self.kind.risk(models, predicted, state)
        churn = np.where(active, risk, np.nan)
        level = (churn >= models.config.medium_risk).astype(int) + (
            churn >= models.config.high_risk
        ).astype(int)
        return {
            "p_inactive": risk,
            "churn_probability": churn,
            "churn_percentile": np.where(
                active, models.reference.percentile(np.nan_to_num(churn)), np.nan
            ),
            "churn_band": np.where(active, BANDS[level], None),
            "p_return": np.where(lapsed, predicted.p_purchase, np.nan),
            "p_convert": np.where(active | lapsed, np.nan, predicted.p_purchase),
            "p_alive": predicted.p_alive,
            "value_at_risk": churn * predicted.value_if_kept,
        }

    def _value(self, predicted: Predictions, as_of: datetime) -> dict[str, Any]:
        models = self.bundle.models
        money = {}
        for name, amount, interval in (
            ("expected_spend", predicted.expected_spend, models.spend_interval),
            ("clv", predicted.clv, models.value_interval),
        ):
            money[name] = amount
            # an interval that no later period could teach is not made up
            null = np.full(len(amount), np.nan)
            low, high = (null, null) if interval is None else interval.around(amount)
            money[f"{name}_low"], money[f"{name}_high"] = low, high
        day = np.floor(day_number(as_of) + predicted.days_to_order)
        return {
            "expected_orders": predicted.expected_orders,
            "next_order_date": day,
            **money,
            "clv_residual": predicted.clv_residual,
        }

    def _facts(self, features: Mapping[str, Array]) -> dict[str, Any]:
        models, buyers = self.bundle.models, features["orders"] > 0
        has_amounts = models.value.mean_spend is not None
        recency = models.reference.quintile("recency_days", np.nan_to_num(features["recency_days"]))
        frequency = models.reference.quintile("orders", features["orders"])
        monetary = models.reference.quintile("spend", features["spend"])
        null = np.full(len(buyers), np.nan)
        return {
            **{
                name: features[name]
                for name in ("recency_days", "tenure_days", "frequency", "orders")
            },
            "monetary": features["monetary"] if has_amounts else null,
            "spend": features["spend"] if has_amounts else null,
            "rfm": _CELLS[has_amounts].take(
                pa.array(25 * recency + 5 * frequency + monetary - 31, mask=~buyers)
            ),
            "rfm_segment": _SEGMENTS.take(pa.array(5 * recency + frequency - 6, mask=~buyers)),
        }

    def _reasons(
        self, snapshot: Snapshot, predicted: Predictions, state: NDArray[np.str_]
    ) -> list[list[dict[str, Any]]] | pa.Array:
        if not self.with_reasons:
            return pa.ListArray.from_arrays(
                np.zeros(len(state) + 1, dtype=np.int32), pa.array([], score_schema.REASON)
            )
        models, column = self.bundle.models, [list[dict[str, Any]]() for _ in state]
        by_row = self.kind.reasons(models, snapshot, predicted, state, self.threads)
        for row, reasons in by_row.items():
            column[row] = [_reason(reason) for reason in reasons]
        return column


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "feature": reason.feature,
        "value": reason.value,
        "usual": reason.usual,
        "effect": reason.effect,
        "sentence": reason.sentence,
    }


def _same(value: int, rows: int) -> NDArray[np.int64]:
    return np.full(rows, value, dtype=np.int64)


def _arrow(values: Any, field: pa.Field) -> pa.Array:
    """Return a column in the contract's type; NaN is null, and a null where the contract has
    none is our fault.
    """
    if isinstance(values, pa.Array):
        array = values
    elif pa.types.is_list(field.type) or not isinstance(values, np.ndarray):
        array = pa.array(values, field.type)
    elif values.dtype == np.float64 and not pa.types.is_floating(field.type):
        array = pa.array(values, pa.float64(), from_pandas=True).cast(
            pa.int64() if field.type == pa.int64() else pa.int32()
        )
        array = array.cast(field.type)
    elif values.dtype == np.float64:
        array = pa.array(values, field.type, from_pandas=True)
    elif pa.types.is_timestamp(field.type):
        array = pa.array(values, pa.int64()).cast(field.type)
    else:
        array = pa.array(values.tolist(), field.type)
    if array.null_count and not field.nullable:
        raise ValueError(
            f"{array.null_count} scores have no {field.name}, which every score must have"
        )
    return array


def load_scorer(path: Path, threads: int = 1, *, with_reasons: bool = True) -> Scorer:
    """Load a bundle folder for scoring.

    Raises
    ------
    stagecast.features.errors.StagecastError
        No bundle there, or one that cannot be trusted.
    """
    return Scorer(load_bundle(path), threads, with_reasons=with_reasons)
