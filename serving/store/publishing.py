"""How a scoring run gets into the store: whole, and current in one step.

The rows are written in chunks, each a transaction of its own, so that nobody else waits long. Until
the last step sets ``published_at``, no reader sees any of them. What an interrupted run left is
deleted by the next one.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa

from stagecast.features.clock import iso
from stagecast.features.errors import DataRefusedError, StagecastError, UsageError
from stagecast.serving.quoting import quote
from stagecast.serving.scoring import score_schema
from stagecast.serving.store.protocols import SchemeLike
from stagecast.serving.store.tables import SCORE_COLUMNS, documents, runs, scores

CHUNK_ROWS = 5_000
_SAME_FOR_ALL = ("as_of", "horizon_days", "data_cutoff", "model_version")


def publish(
    engine: sa.Engine,
    source: pa.Table | Path,
    *,
    model_path: str,
    scheme: SchemeLike,
    progress: Callable[[int], object] | None = None,
) -> int:
    """Write a scoring run and make it the current one.

    Parameters
    ----------
    engine
        the store.
    source
        scores with the columns of :mod:`stagecast.serving.scoring.score_schema`, or the Parquet
        file that holds them.
    model_path
        where the bundle stands, for the record.
    scheme
        the stage scheme of the scores; its texts are kept with the run.
    progress
        called with the number of rows of each chunk once it is written.

    Returns
    -------
    The id of the run.

    Raises
    ------
    DataRefusedError
        A column is missing or of another type, a number is not finite, a customer stands there
        twice, or the rows are of different runs. The run that was current stays so.
    UsageError
        The file cannot be read, or the store cannot be written.
    """
    expected = score_schema.schema([stage.id for stage in scheme.stages])
    total, chunks = _open(source, expected)
    first = next(chunks, None)
    if first is None:
        raise DataRefusedError("there is no score to publish: the table has no rows")
    head = first.slice(0, 1).to_pylist()[0]
    try:
        run_id = _begin(engine, head, total, model_path, scheme)
        try:
            for chunk in _chain(first, chunks):
                _write(engine, run_id, chunk, head)
                if progress is not None:
                    progress(chunk.num_rows)
            _make_current(engine, run_id)
        except BaseException:
            # the next run would delete it too; what went wrong here is the error to tell
            with contextlib.suppress(sa.exc.SQLAlchemyError):
                _delete_unpublished(engine, run_id)
            raise
    except sa.exc.OperationalError as error:
        raise UsageError(
            f"the store cannot be written: {error.orig}; what was published before stays"
        ) from None
    _measure(engine)
    return run_id


def scheme_to_json(scheme: SchemeLike) -> dict[str, Any]:
    """Return the scheme as it is kept with a run: its id, and its stages with their texts by
    language.
    """
    return {
        "id": scheme.id,
        "stages": [
            {
                "id": stage.id,
                "title": dict(stage.title),
                "meaning": dict(stage.meaning),
                "action": dict(stage.action),
                "state": stage.state,
            }
            for stage in scheme.stages
        ],
    }


def _open(source: pa.Table | Path, expected: pa.Schema) -> tuple[int, Iterator[pa.Table]]:
    if isinstance(source, pa.Table):
        _check_columns(source.schema, expected)
        chunks = (
            source.slice(start, CHUNK_ROWS) for start in range(0, source.num_rows, CHUNK_ROWS)
        )
        return source.num_rows, (_conform(chunk, expected) for chunk in chunks)
    try:
        file = pq.ParquetFile(source)
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"the scores '{source}' cannot be read as Parquet: {error}") from None
    _check_columns(file.schema_arrow, expected)
    batches = file.iter_batches(batch_size=CHUNK_ROWS, columns=expected.names)
    return file.metadata.num_rows, (
        _conform(pa.Table.from_batches([batch]), expected) for batch in batches
    )


def _check_columns(found: pa.Schema, expected: pa.Schema) -> None:
    missing = [name for name in expected.names if name not in found.names]
    if missing:
        raise DataRefusedError(
            f"the scores lack the column(s) {', '.join(missing)}; "
            "were they made by this version of stagecast, with this stage scheme?"
        )


def _conform(chunk: pa.Table, expected: pa.Schema) -> pa.Table:
    try:
        table = chunk.select(expected.names).cast(expected)
        table.validate()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise DataRefusedError(f"the scores are not of the contract's types: {error}") from None
    for field in expected:
        column = table[field.name]
        if not field.nullable and column.null_count:
            raise DataRefusedError(
                f"the column {field.name} of the scores is empty for "
                f"{_whose(table, column.is_null())}"
            )
        if pa.types.is_floating(field.type):
            odd = pc.fill_null(pc.invert(pc.is_finite(column)), False)
            if pc.any(odd).as_py():
                raise DataRefusedError(
                    f"the column {field.name} of the scores is not a finite number for "
                    f"{_whose(table, odd)}"
                )
    return table


def _whose(table: pa.Table, mask: pa.ChunkedArray) -> str:
    return f"customer '{quote(table['customer_id'].filter(mask)[0].as_py())}'"


def _chain(first: pa.Table, rest: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield first
    yield from rest


def _begin(
    engine: sa.Engine, head: dict[str, Any], total: int, model_path: str, scheme: SchemeLike
) -> int:
    _delete_unpublished(engine)
    with engine.begin() as connection:
        inserted = connection.execute(
            runs.insert().values(
                **{name: head[name] for name in _SAME_FOR_ALL},
                model_path=model_path,
                scheme_id=scheme.id,
                scheme=scheme_to_json(scheme),
                created_at=datetime.now(UTC),
                customers=total,
            )
        )
        key = inserted.inserted_primary_key
    if key is None:  # pragma: no cover - SQLAlchemy gives the key of every single-row insert
        raise StagecastError("the store gave the run no number")
    return int(key[0])


def _delete_unpublished(engine: sa.Engine, run_id: int | None = None) -> None:
    left = sa.select(runs.c.id).where(runs.c.published_at.is_(None))
    if run_id is not None:
        left = left.where(runs.c.id == run_id)
    with engine.begin() as connection:
        # locked where rows can be: else the run might be published between one deletion and the
        # next
        connection.execute(left.with_for_update())
        for table in (documents, scores):
            connection.execute(table.delete().where(table.c.run_id.in_(left)))
        connection.execute(runs.delete().where(runs.c.id.in_(left)))


def _write(engine: sa.Engine, run_id: int, chunk: pa.Table, head: dict[str, Any]) -> None:
    for name in _SAME_FOR_ALL:
        others = [value for value in chunk[name].unique().to_pylist() if value != head[name]]
        if others:
            shown = [
                iso(value) if isinstance(value, datetime) else str(value)
                for value in (head[name], others[0])
            ]
            raise DataRefusedError(
                f"the scores are of more than one run: {name} is {shown[0]} and {shown[1]}"
            )
    narrow, whole = [], []
    for row in score_schema.json_rows(chunk):
        flat = {**row, "next_stage": row["next_stage_likeliest"]}
        narrow.append({"run_id": run_id, **{name: flat[name] for name in SCORE_COLUMNS}})
        document = msgspec.json.encode(row).decode("utf-8")
        whole.append({"run_id": run_id, "customer_id": row["customer_id"], "score": document})
    try:
        with engine.begin() as connection:
            connection.execute(scores.insert(), narrow)
            connection.execute(documents.insert(), whole)
    except sa.exc.IntegrityError as error:
        raise _refusal(engine, run_id, [row["customer_id"] for row in narrow], error) from None


def _refusal(
    engine: sa.Engine, run_id: int, ids: list[str], error: sa.exc.IntegrityError
) -> StagecastError:
    with engine.connect() as connection:
        if connection.scalar(sa.select(runs.c.id).where(runs.c.id == run_id)) is None:
            return UsageError(
                "another publication began while this one was being written, and took its place"
            )
        twice = [
            customer_id for customer_id, times in Counter(ids).items() if times > 1
        ] or connection.scalars(
            sa.select(scores.c.customer_id)
            .where(scores.c.run_id == run_id, scores.c.customer_id.in_(ids))
            .limit(1)
        ).all()
    if twice:
        return DataRefusedError(f"customer '{quote(twice[0])}' stands more than once in the scores")
    return DataRefusedError(f"the store refused the scores: {error.orig}")


def _make_current(engine: sa.Engine, run_id: int) -> None:
    with engine.begin() as connection:
        done = connection.execute(
            runs.update().where(runs.c.id == run_id).values(published_at=datetime.now(UTC))
        )
        if done.rowcount != 1:
            raise UsageError(
                "another publication began while this one was being written, and took its place"
            )


def _measure(engine: sa.Engine) -> None:
    """Let SQLite see how the values are spread, so that a filter of few customers is looked up,
    not searched for.
    """
    if engine.dialect.name != "sqlite":
        return
    # the run is published already: if the database is busy, lists are slower and nothing else
    with contextlib.suppress(sa.exc.OperationalError), engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA analysis_limit=1000")
        connection.exec_driver_sql("ANALYZE")
