"""Rows of the store from a table of scores, column by column.

    table of the contract -> lists of JSON values, one per column -> rows of scores and documents

A value is converted once for all rows that have it, where there are few: texts, days, instants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from stagecast.features.arrays import Array
from stagecast.serving.scoring import score_schema
from stagecast.serving.scoring.win_back import LAPSED, win_back
from stagecast.serving.store.documents import without_sentence
from stagecast.serving.store.tables import SCORE_COLUMNS

_OF_STAGE = "p_stage_"


def store_rows(
    run_id: int, chunk: pa.Table
) -> tuple[list[tuple[Any, ...]], list[tuple[int, str, str]]]:
    """Return the rows of the tables ``scores`` and ``documents`` for scores of a run.

    Parameters
    ----------
    run_id
        The run.
    chunk
        Scores with the columns of the contract, of which every number is finite.

    Returns
    -------
    Rows with the run and the columns :data:`SCORE_COLUMNS`, and rows of run, customer and document.
    """
    values = {name: _plain(chunk[name], name) for name in chunk.column_names}
    is_lapsed = [state == LAPSED for state in values["state"]]
    may_return = win_back(is_lapsed, *(_with_nan(values[n]) for n in ("value_gone", "p_return")))
    of_store = {**values, "win_back": _without_nan(may_return)}
    runs = [run_id] * chunk.num_rows
    flat = [of_store[name] for name in SCORE_COLUMNS]
    score_rows = list(zip(runs, *flat, strict=True))
    encode = msgspec.json.Encoder().encode
    documents = [
        (run_id, customer_id, encode(score).decode("utf-8"))
        for customer_id, score in zip(values["customer_id"], _objects(values), strict=True)
    ]
    return score_rows, documents


def _objects(values: Mapping[str, list[Any]]) -> Iterator[Any]:
    """Return each score, which is encoded as what
    :func:`stagecast.serving.scoring.score_schema.json_rows` yields.
    """
    stages = [name for name in values if name.startswith(_OF_STAGE)]
    ids = [name.removeprefix(_OF_STAGE) for name in stages]
    likely = map(_record(tuple(ids)), *(values[name] for name in stages))
    columns: dict[str, Iterable[Any]] = {}
    for name, column in values.items():
        if name == "next_stage":
            columns["next_stage"] = likely
            columns["next_stage_likeliest"] = column
        elif name not in stages:
            columns[name] = column
    return map(_record(tuple(columns)), *columns.values())


@lru_cache(maxsize=100)
def _record(names: tuple[str, ...]) -> Callable[..., Any]:
    """Return what makes an object of values in this order: made faster than a dict, it is encoded
    to the same JSON.
    """
    fields = [f"field_{number}" for number in range(len(names))]
    return msgspec.defstruct(
        "Record", fields, rename=dict(zip(fields, names, strict=True)), gc=False
    )


def _plain(column: pa.ChunkedArray, name: str) -> list[Any]:
    """Return the values of a column as JSON values."""
    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if name == "customer_id":  # no two are equal
        values: list[Any] = array.to_pylist()
        return values
    if pa.types.is_list(array.type):
        is_reasons = array.type == pa.list_(score_schema.REASON)
        return _lists(array, _reasons if is_reasons else _numbers)
    if pa.types.is_floating(array.type):
        return _numbers(array)
    if pa.types.is_integer(array.type) and not array.null_count:
        whole: list[Any] = array.to_numpy().tolist()
        return whole
    return _few(array)


def _numbers(array: pa.Array) -> list[Any]:
    values = array.to_numpy(zero_copy_only=False)
    return _without_nan(values) if array.null_count else list(values.tolist())


def _without_nan(values: Array) -> list[Any]:
    # a null is NaN here, the one number that does not equal itself
    return [None if v != v else v for v in values.tolist()]


def _with_nan(values: list[Any]) -> Array:
    return np.array(values, dtype=np.float64)  # None becomes NaN


def _few(array: pa.Array) -> list[Any]:
    """Convert a column with few different values."""
    encoded = array.dictionary_encode()
    values = encoded.dictionary.to_pylist()
    if not pa.types.is_string(array.type):
        values = [*map(score_schema.json_value, values)]
    values.append(None)
    places = np.asarray(encoded.indices.fill_null(len(values) - 1))
    return [values[place] for place in places.tolist()]


def _lists(array: pa.Array, convert: Callable[[pa.Array], list[Any]]) -> list[Any]:
    flat = convert(array.flatten())
    lengths = array.value_lengths().fill_null(0).to_numpy()
    ends = np.cumsum(lengths).tolist()
    rows: list[Any] = [
        flat[end - length : end] for end, length in zip(ends, lengths.tolist(), strict=True)
    ]
    if array.null_count:
        for place in np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False)).tolist():
            rows[place] = None
    return rows


def _reasons(array: pa.StructArray) -> list[Any]:
    import pyarrow.compute as pc

    parts = dict(zip((field.name for field in array.type), array.flatten(), strict=True))
    codes = parts["code"]
    all_coded = pc.all(pc.not_equal(codes, "")).as_py() and not codes.null_count
    if all_coded:
        del parts["sentence"]  # made when it is shown
    columns = {
        name: _numbers(part) if pa.types.is_floating(part.type) else _few(part)
        for name, part in parts.items()
    }
    if all_coded:
        return list(map(_record(tuple(columns)), *columns.values()))
    return [
        without_sentence(dict(zip(columns, row, strict=True)))
        for row in zip(*columns.values(), strict=True)
    ]
