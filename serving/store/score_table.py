"""Scores of the API as a table of the contract: the way back from JSON to Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from stagecast.serving.scoring import score_schema

ROWS = 2_000
WARNINGS = "warnings"
"""Column of the warnings, as JSON text, which scores of raw events have beside the contract."""


def write_scores(path: Path, documents: Iterable[str], stages: Sequence[str]) -> None:
    """Write scores as Parquet, a few thousand rows at a time.

    Parameters
    ----------
    path
        The file.
    documents
        Scores, each the text of one JSON object.
    stages
        Ids of the stages of the scheme.
    """
    import pyarrow.parquet as pq

    schema = score_schema.schema(stages).append(pa.field(WARNINGS, pa.string()))
    with pq.ParquetWriter(path, schema) as writer:
        for rows in _portions(documents):
            table = pa.Table.from_pylist([_row(text, stages) for text in rows], schema)
            writer.write_table(table)


def _portions(documents: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(documents)
    while portion := list(islice(remaining, ROWS)):
        yield portion


def _row(document: str, stages: Sequence[str]) -> dict[str, Any]:
    score: dict[str, Any] = msgspec.json.decode(document)
    likely = score.pop("next_stage")
    score["next_stage"] = score.pop("next_stage_likeliest")
    score |= {f"p_stage_{stage}": likely.get(stage) for stage in stages}
    for column in score_schema.columns(stages):
        value, kind = score.get(column.name), score_schema.kind(column)
        if value is not None and kind in ("instant", "date"):
            read = datetime.fromisoformat if kind == "instant" else date.fromisoformat
            score[column.name] = read(value)
    score[WARNINGS] = msgspec.json.encode(score.get(WARNINGS) or []).decode("utf-8")
    return score
