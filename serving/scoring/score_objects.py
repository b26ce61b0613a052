"""Scores as the JSON objects of the API, straight from the columns and without an Arrow table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stagecast.serving.scoring import score_schema
from stagecast.serving.scoring.compact_columns import COMPACT

_REASON_FIELDS = tuple(field.name for field in score_schema.REASON)


def score_objects(columns: Mapping[str, Any], stages: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield each score as :func:`stagecast.serving.scoring.score_schema.json_rows` does.

    Parameters
    ----------
    columns
        Column of a score -> values of all rows, as :class:`stagecast.serving.scoring.scorer.Scorer`
        computes them: NaN is null, instants are microseconds since 1970, dates days since then.
    stages
        Ids of the stages of the scheme.

    Raises
    ------
    ValueError
        There is a null and the contract allows none, which is a bug of stagecast.
    """
    layout = score_schema.columns(stages)
    names = [column.name for column in layout]
    values = [_plain(columns[column.name], column) for column in layout]
    # the probabilities of the stages, and the likeliest stage next to them, become one object
    likeliest = names.index("next_stage")
    first = likeliest - len(stages)
    before, after = names[:first], names[likeliest + 1 :]
    for row in zip(*values, strict=True):
        score = dict(zip(before, row[:first], strict=True))
        score["next_stage"] = dict(zip(stages, row[first:likeliest], strict=True))
        score["next_stage_likeliest"] = row[likeliest]
        score.update(zip(after, row[likeliest + 1 :], strict=True))
        yield score


def _plain(values: Any, column: score_schema.Column) -> list[Any]:
    """Return the values of a column as JSON values; NaN becomes None."""
    plain = _of_type(values, column)
    if not column.nullable and None in plain:
        raise ValueError(
            f"{plain.count(None)} scores have no {column.name}, which every score must have"
        )
    return plain


def _of_type(values: Any, column: score_schema.Column) -> list[Any]:
    return _CONVERTERS[score_schema.kind(column)](_listed(values))


def _instants(values: list[int]) -> list[Any]:
    instants = np.array(values, dtype="datetime64[us]")
    whole = np.datetime_as_string(instants, unit="s").tolist()
    return [
        f"{text}.{value % 1_000_000:06d}Z" if value % 1_000_000 else f"{text}Z"
        for text, value in zip(whole, values, strict=True)
    ]


def _dates(days: list[float]) -> list[Any]:
    numbers = np.array(days, dtype=np.float64)
    texts: list[Any] = np.datetime_as_string(
        np.floor(np.nan_to_num(numbers)).astype("datetime64[D]")
    ).tolist()
    for row in np.flatnonzero(np.isnan(numbers)).tolist():
        texts[row] = None
    return texts


def _reasons(values: list[list[Mapping[str, Any]]]) -> list[Any]:
    return [[{name: r[name] for name in _REASON_FIELDS} for r in reasons] for reasons in values]


_CONVERTERS: Mapping[str, Callable[[list[Any]], list[Any]]] = {
    "instant": _instants,
    "reasons": _reasons,
    "date": _dates,
    # NaN is the one number that does not equal itself
    "count": lambda values: [None if v != v else int(v) for v in values],
    "numbers": lambda rows: [None if math.isnan(sum(row)) else row for row in rows],
    "number": lambda values: [None if v != v else v for v in values],
    "other": lambda values: values,
}


def _listed(values: Any) -> list[Any]:
    return list(values.tolist() if isinstance(values, np.ndarray | COMPACT) else values)
