"""The columns of a score, which are the same in Parquet and CSV and the fields in JSON.

This is version 1 of the contract: columns may be added, but none is removed or changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import pyarrow as pa

from stagecast.features.clock import instant_text

CONTRACT_VERSION = 1

INSTANT = pa.timestamp("us", tz="UTC")
REASON = pa.struct(
    [
        pa.field("feature", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("usual", pa.float64()),
        pa.field("effect", pa.float64()),
        pa.field("sentence", pa.string()),
        pa.field("code", pa.string()),
        pa.field("direction", pa.string()),
        pa.field("label", pa.string()),
    ]
)


@dataclass(frozen=True)
class Column:
    """One column of a score: its Arrow type, whether it may be null, and its meaning."""

    name: str
    type: pa.DataType
    nullable: bool
    meaning: str


_TEXT, _NUMBER, _COUNT = pa.string(), pa.float64(), pa.int64()

IDENTITY = (
    Column("customer_id", _TEXT, False, "the customer, as text"),
    Column(
        "as_of", INSTANT, False, "the instant at which we stand; nothing at or after it was seen"
    ),
    Column(
        "horizon_days",
        pa.int32(),
        False,
        "length of the span that the probabilities speak of, in days",
    ),
    Column("data_cutoff", INSTANT, False, "the last event that was seen"),
    Column("model_version", _TEXT, False, "the bundle that made the score"),
    Column("method", _TEXT, False, "rule, btyd or blend: what gave the probabilities"),
    Column("low_data", pa.bool_(), False, "the log was too small for the full blend"),
)
STAGE = (
    Column(
        "state",
        _TEXT,
        False,
        "prospect, active or lapsed: by the stage, or by the contract if churn is its end",
    ),
    Column("stage", _TEXT, False, "stage of the lifecycle at the as_of"),
    Column("stage_since", INSTANT, False, "the instant at which the present stage began"),
    Column("stage_rule", _TEXT, False, "the rule that held, with this customer's numbers"),
)
RISK = (
    Column("next_stage", _TEXT, False, "the likeliest stage at the end of the horizon"),
    Column(
        "p_inactive",
        _NUMBER,
        True,
        "P(no purchase in the horizon), or P(cancel), 0 or 1 where the end of the contract is "
        "known; null for prospects",
    ),
    Column("churn_probability", _NUMBER, True, "p_inactive for the active, else null"),
    Column(
        "churn_percentile",
        _NUMBER,
        True,
        "share of the active customers whose risk is not higher, 0 to 100",
    ),
    Column("churn_band", _TEXT, True, "low, medium or high, by the probability"),
    Column("p_return", _NUMBER, True, "P(purchase in the horizon) for the lapsed"),
    Column("p_convert", _NUMBER, True, "P(first purchase in the horizon) for prospects"),
    Column(
        "p_alive",
        _NUMBER,
        True,
        "P(still a customer) of the customer-base model; no measure of churn",
    ),
)
VALUE = (
    Column(
        "expected_orders",
        _NUMBER,
        True,
        "purchase days expected in the horizon; null where nobody had bought at the training",
    ),
    Column(
        "next_order_date",
        pa.date32(),
        True,
        "day by which the next order is as likely as not; null: likelier never",
    ),
    Column("expected_spend", _NUMBER, True, "spend expected in the horizon"),
    Column("expected_spend_low", _NUMBER, True, "lower end of its 90 % interval"),
    Column("expected_spend_high", _NUMBER, True, "upper end of its 90 % interval"),
    Column(
        "clv",
        _NUMBER,
        True,
        "discounted spend (times the margin) expected in the value horizon, 365 days unless set",
    ),
    Column("clv_low", _NUMBER, True, "lower end of its 90 % interval"),
    Column("clv_high", _NUMBER, True, "upper end of its 90 % interval"),
    Column(
        "value_at_risk",
        _NUMBER,
        True,
        "what leaving from now on is expected to cost over the value horizon; null for prospects",
    ),
)
FACTS = (
    Column("recency_days", _NUMBER, True, "days from the last purchase day to the as_of"),
    Column("tenure_days", _NUMBER, False, "days from the first event to the as_of"),
    Column("frequency", _COUNT, False, "repeat purchase days"),
    Column("monetary", _NUMBER, True, "mean spend per repeat purchase day"),
    Column("orders", _COUNT, False, "purchase days"),
    Column("spend", _NUMBER, True, "all spend, net of refunds; null where the log has no amounts"),
    Column("rfm", _TEXT, True, "scores of recency, orders and spend, like 543; 5 is best"),
    Column("rfm_segment", _TEXT, True, "the group that the scores of recency and orders belong to"),
    Column(
        "reasons",
        pa.list_(REASON),
        False,
        "at most three that raise the risk and two that lower it: feature, value, what is usual, "
        "effect, a sentence, code, direction, label",
    ),
    Column("action", _TEXT, False, "what the scheme suggests: of the play, or of the stage"),
    Column(
        "clv_residual",
        _NUMBER,
        True,
        "the same as clv after the value horizon, up to ten years from the as_of",
    ),
    Column(
        "churn",
        _TEXT,
        False,
        "what churn is: inactivity (no purchase in the horizon) or cancellation",
    ),
    Column(
        "value_gone",
        _NUMBER,
        True,
        "what is lost already unless the customer comes back; null for prospects",
    ),
    Column(
        "value_if_kept",
        _NUMBER,
        True,
        "clv + value_at_risk + value_gone: the value of a customer today who stays one",
    ),
    Column(
        "clv_by_year",
        pa.list_(pa.float64()),
        True,
        "the same as clv in years 1, 2 and 3 from the as_of and in the seven years after them",
    ),
    Column(
        "risk_base",
        _NUMBER,
        True,
        "log odds of the risk of the average active customer, which effects are measured from",
    ),
    Column(
        "risk_rest",
        _NUMBER,
        True,
        "log odds of p_inactive less risk_base and the effects of the reasons",
    ),
    Column("play", _TEXT, True, "the play of the scheme that holds; null: none does"),
    Column(
        "loss_per_week",
        _NUMBER,
        True,
        "what a week of waiting before a contact is expected to cost; null for prospects",
    ),
    Column(
        "window_closes",
        pa.date32(),
        True,
        "day from which the chance of a purchase in the horizon stays below 5 %, if silent",
    ),
    Column(
        "usual_gap_days",
        _NUMBER,
        True,
        "mean of the customer's own gaps between purchase days; null with fewer than two gaps",
    ),
    Column(
        "days_overdue",
        _NUMBER,
        True,
        "days by which the silence exceeds usual_gap_days, 0 where it does not; null as it is",
    ),
)


def columns(stages: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of a score, in order, for a scheme with these stage ids."""
    return _columns(tuple(stages))


def kind(column: Column) -> str:
    """Return how the values of a column become JSON.

    One of ``instant``, ``reasons``, ``date``, ``count``, ``number``, ``numbers`` (a list of them)
    and ``other``.
    """
    return _kind(column.type)


@lru_cache(maxsize=64)
def _kind(arrow_type: pa.DataType) -> str:
    if arrow_type == INSTANT:
        return "instant"
    if pa.types.is_list(arrow_type):
        return "reasons" if arrow_type == pa.list_(REASON) else "numbers"
    if pa.types.is_date(arrow_type):
        return "date"
    if pa.types.is_integer(arrow_type):
        return "count"
    return "number" if pa.types.is_floating(arrow_type) else "other"


def schema(stages: Sequence[str]) -> pa.Schema:
    """Return the Arrow schema of a score for a scheme with these stage ids."""
    return _schema(tuple(stages))


@lru_cache(maxsize=64)
def _columns(stages: tuple[str, ...]) -> tuple[Column, ...]:
    next_stages = tuple(
        Column(
            f"p_stage_{stage}",
            _NUMBER,
            False,
            f"P(stage is {stage} at the end of the horizon); all sum to 1",
        )
        for stage in stages
    )
    return IDENTITY + STAGE + next_stages + RISK + VALUE + FACTS


@lru_cache(maxsize=64)
def _schema(stages: tuple[str, ...]) -> pa.Schema:
    return pa.schema(
        [pa.field(column.name, column.type, column.nullable) for column in _columns(stages)]
    )


def json_value(value: Any) -> Any:
    """Return a value of a column as JSON has it: instants and dates as texts."""
    if isinstance(value, datetime):
        return instant_text(value)
    return value.isoformat() if isinstance(value, date) else value


def json_rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield each score as the JSON object of the API.

    The columns ``p_stage_<id>`` become one object ``next_stage: {id: p}``, and the column
    ``next_stage`` becomes ``next_stage_likeliest``.
    """
    stages = [
        (name, name.removeprefix("p_stage_"))
        for name in table.column_names
        if name.startswith("p_stage_")
    ]
    other_columns = [name for name in table.column_names if not name.startswith("p_stage_")]
    for row in table.to_pylist():
        score: dict[str, Any] = {}
        for name in other_columns:
            if name == "next_stage":
                score["next_stage"] = {stage: row[column] for column, stage in stages}
                score["next_stage_likeliest"] = row[name]
            else:
                score[name] = json_value(row[name])
        yield score


def csv_table(table: pa.Table) -> pa.Table:
    """Return the table with its lists (``reasons``, ``clv_by_year``) as JSON text for CSV."""
    for position, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = [
                None if values is None else json.dumps(values, ensure_ascii=False)
                for values in table[field.name].to_pylist()
            ]
            table = table.set_column(position, field.name, pa.array(texts, pa.string()))
    return table
