"""Publication of a scoring run: its rows are written first, then it becomes current in one step.

The rows are written in chunks, each in its own transaction, so that other writers do not wait long.
Readers see none of them until the last step sets ``published_at``. Rows of an interrupted
publication are deleted by the next one.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from stagecast.features.clock import iso
from stagecast.features.errors import DataRefusedError, StagecastError, UsageError
from stagecast.features.shop.customer_ids import (
    BLANKS,
    LONGEST_ID,
    NO_CUSTOMER,
    clean_id,
    id_problem,
)
from stagecast.serving.quoting import quote
from stagecast.serving.scoring import score_schema
from stagecast.serving.store.forecast import add_up, store_forecast
from stagecast.serving.store.inserting import insert_rows
from stagecast.serving.store.lists import building
from stagecast.serving.store.lists.flows import forget_flows_from, keep_flows
from stagecast.serving.store.portions import delete_in_portions
from stagecast.serving.store.protocols import SchemeLike
from stagecast.serving.store.rows import store_rows
from stagecast.serving.store.space import RESERVE_BYTES, check_space, give_back
from stagecast.serving.store.tables import SCORE_COLUMNS, documents, runs, scores
from stagecast.serving.store.timelines import drop_earlier, timelines, write_timelines

CHUNK_ROWS = 20_000
"""Rows of one transaction: fewer write the same pages of the indices more often."""
PORTION_ROWS = 5_000
"""Rows that are Python objects at once."""
CACHE_KIB = 32_000
"""What SQLite may have in memory while it inserts."""
_RUN_COLUMNS = ("as_of", "horizon_days", "data_cutoff", "model_version")


def publish(
    engine: sa.Engine,
    source: pa.Table | Path,
    *,
    model_path: str,
    scheme: SchemeLike,
    zone: str | None = None,
    currency: str | None = None,
    progress: Callable[[int], object] | None = None,
    past: Iterable[Sequence[tuple[str, str]]] = (),
) -> int:
    """Write a scoring run and make it the current one.

    Parameters
    ----------
    engine
        The store.
    source
        Scores with the columns of :mod:`stagecast.serving.scoring.score_schema`, or a Parquet file
        of them.
    model_path
        Folder of the bundle, which is stored with the run.
    scheme
        Stage scheme of the scores; its texts are stored with the run.
    zone
        Zone whose days the scores count; None: UTC.
    currency
        Code of the currency of their amounts; None: not known.
    progress
        Called after each chunk with its number of rows.
    past
        Customers and their last events, in portions, as
        :mod:`stagecast.serving.store.timelines` stores them; those of earlier runs are deleted.

    Returns
    -------
    The id of the run.

    Raises
    ------
    DataRefusedError
        A column is missing or of another type, a number is not finite, a customer occurs twice, or
        the rows are of different runs. The run that was current remains current.
    UsageError
        The file cannot be read, the store cannot be written, or another publication began
        meanwhile.
    """
    expected = score_schema.schema([stage.id for stage in scheme.stages])
    total, chunks = _open(source, expected)
    first = next(chunks, None)
    if first is None:
        raise DataRefusedError("there is no score to publish: the table has no rows")
    first_row = first.slice(0, 1).to_pylist()[0]
    check_space(engine, total)
    try:
        run_id = _insert_run(
            engine,
            first_row,
            scheme,
            customers=total,
            model_path=model_path,
            zone=zone,
            currency=currency,
        )
        try:
            expected_on_stage: dict[str, float] = {}
            with _large_cache(engine) as connection:
                for chunk in _chain(first, chunks):
                    check_space(engine, chunk.num_rows, RESERVE_BYTES)
                    _write(connection, run_id, chunk, first_row)
                    expected_on_stage = add_up(expected_on_stage, chunk)
                    if progress is not None:
                        progress(chunk.num_rows)
                for portion in past:
                    check_space(engine, 0, RESERVE_BYTES)
                    write_timelines(connection, run_id, portion)
            building.build(engine, run_id)
            _make_current(engine, run_id, expected_on_stage)
        except BaseException:
            # if this fails, the next publication deletes the rows; the first error is raised
            with contextlib.suppress(sa.exc.SQLAlchemyError):
                discard_run(engine, run_id)
            raise
    except sa.exc.OperationalError as error:
        raise UsageError(
            f"the store cannot be written: {error.orig}; what was published before stays"
        ) from None
    _analyze(engine)
    # if the database is busy, they take space until the next publication, and flows are counted
    # when they are read
    with contextlib.suppress(sa.exc.OperationalError):
        building.drop_outdated(engine)
        drop_earlier(engine, run_id)
        keep_flows(engine, run_id)
    return run_id


def scheme_to_json(scheme: SchemeLike) -> dict[str, Any]:
    """Return a scheme as it is stored with a run: its id, its stages with texts, its plays."""
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
        "plays": [play.to_json() for play in scheme.plays],
    }


def _open(source: pa.Table | Path, expected: pa.Schema) -> tuple[int, Iterator[pa.Table]]:
    import pyarrow.parquet as pq

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


def _check_columns(schema: pa.Schema, expected: pa.Schema) -> None:
    missing = [name for name in expected.names if name not in schema.names]
    if missing:
        raise DataRefusedError(
            f"the scores lack the column(s) {', '.join(missing)}; "
            "were they made by this version of stagecast, with this stage scheme?"
        )


def _conform(chunk: pa.Table, expected: pa.Schema) -> pa.Table:
    import pyarrow.compute as pc

    try:
        table = chunk.select(expected.names).cast(expected)
        table.validate()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise DataRefusedError(f"the scores are not of the contract's types: {error}") from None
    for field in expected:
        column = table[field.name]
        if field.name == "customer_id":
            _check_ids(column)
        if not field.nullable and column.null_count:
            raise DataRefusedError(
                f"the column {field.name} of the scores is empty for "
                f"{_first_customer(table, column.is_null())}"
            )
        if pa.types.is_floating(field.type):
            not_finite = pc.fill_null(pc.invert(pc.is_finite(column)), False)
            if pc.any(not_finite).as_py():
                raise DataRefusedError(
                    f"the column {field.name} of the scores is not a finite number for "
                    f"{_first_customer(table, not_finite)}"
                )
    return table


def _check_ids(column: pa.ChunkedArray) -> None:
    """Refuse ids that no request could name."""
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim(column, BLANKS)
    suspect = pc.or_(
        pc.or_(pc.not_equal(trimmed, column), pc.greater(pc.utf8_length(column), LONGEST_ID)),
        pc.or_(
            pc.match_substring(column, "\0"),
            pc.is_in(pc.utf8_lower(column), pa.array(["", *NO_CUSTOMER])),
        ),
    )
    for value in column.filter(suspect).slice(0, 1).to_pylist():
        problem = id_problem(clean_id(value)) or "has blanks around it"
        raise DataRefusedError(
            f"the customer_id '{quote(value)}' of the scores {problem}; mend the id in the log and "
            "score it again"
        )


def _first_customer(table: pa.Table, mask: pa.ChunkedArray) -> str:
    return f"customer '{quote(table['customer_id'].filter(mask)[0].as_py())}'"


def _chain(first: pa.Table, rest: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield first
    yield from rest


def _insert_run(
    engine: sa.Engine, first_row: dict[str, Any], scheme: SchemeLike, **of_run: Any
) -> int:
    """Insert the row of a run that is not published yet; return its id."""
    _delete_unpublished(engine)
    with engine.begin() as connection:
        result = connection.execute(
            runs.insert().values(
                **{name: first_row[name] for name in _RUN_COLUMNS},
                **of_run,
                scheme_id=scheme.id,
                scheme=scheme_to_json(scheme),
                created_at=datetime.now(UTC),
            )
        )
        key = result.inserted_primary_key
    if key is None:  # pragma: no cover - SQLAlchemy gives the key of every single-row insert
        raise StagecastError("the store gave the run no number")
    return int(key[0])


def _delete_unpublished(engine: sa.Engine) -> None:
    """Delete the runs that are not published, in one transaction."""
    unpublished = sa.select(runs.c.id).where(runs.c.published_at.is_(None))
    with engine.begin() as connection:
        # locks the rows, if the database can: the run must not be published between the deletions
        for run_id in connection.scalars(unpublished.with_for_update()).all():
            building.drop_in(connection, run_id)
        for table in (timelines, documents, scores):
            connection.execute(table.delete().where(table.c.run_id.in_(unpublished)))
        connection.execute(runs.delete().where(runs.c.id.in_(unpublished)))


def discard_run(engine: sa.Engine, run_id: int) -> None:
    """Delete a run that is not published and that nobody writes any more.

    The rows go in portions, each in its own transaction, which needs no more space than its
    insertion did: so a full disk is no reason to fail. The list goes first, in one step.
    """
    building.drop(engine, run_id)
    with engine.begin() as connection:
        forget_flows_from(connection, run_id)
    for table in (timelines, documents, scores):
        delete_in_portions(engine, table, run_id, CHUNK_ROWS)
    with engine.begin() as connection:
        unpublished = runs.c.published_at.is_(None)
        connection.execute(runs.delete().where(runs.c.id == run_id, unpublished))
    give_back(engine)


@contextlib.contextmanager
def _large_cache(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Yield a connection without a transaction, which in SQLite has more memory than usual."""
    with engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            yield connection
            return
        usual = connection.exec_driver_sql("PRAGMA cache_size").scalar_one()
        connection.exec_driver_sql(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.rollback()
        try:
            yield connection
        finally:
            connection.rollback()
            connection.exec_driver_sql(f"PRAGMA cache_size={usual}")
            connection.exec_driver_sql("PRAGMA shrink_memory")


def _write(
    connection: sa.Connection, run_id: int, chunk: pa.Table, first_row: dict[str, Any]
) -> None:
    for name in _RUN_COLUMNS:
        expected = first_row[name]
        other_values = [value for value in chunk[name].unique().to_pylist() if value != expected]
        if other_values:
            texts = [
                iso(value) if isinstance(value, datetime) else str(value)
                for value in (expected, other_values[0])
            ]
            raise DataRefusedError(
                f"the scores are of more than one run: {name} is {texts[0]} and {texts[1]}"
            )
    try:
        with connection.begin():
            for start in range(0, chunk.num_rows, PORTION_ROWS):
                score_rows, document_rows = store_rows(run_id, chunk.slice(start, PORTION_ROWS))
                insert_rows(connection, scores, ("run_id", *SCORE_COLUMNS), score_rows)
                insert_rows(
                    connection, documents, ("run_id", "customer_id", "score"), document_rows
                )
    except sa.exc.IntegrityError as error:
        customer_ids = chunk["customer_id"].to_pylist()
        raise _integrity_error(connection.engine, run_id, customer_ids, error) from None


def _integrity_error(
    engine: sa.Engine, run_id: int, ids: list[str], error: sa.exc.IntegrityError
) -> StagecastError:
    """Return the error that explains why the database refused the rows of a chunk."""
    with engine.connect() as connection:
        if connection.scalar(sa.select(runs.c.id).where(runs.c.id == run_id)) is None:
            return UsageError(
                "another publication began while this one was being written, and took its place"
            )
        duplicate_ids = [
            customer_id for customer_id, times in Counter(ids).items() if times > 1
        ] or connection.scalars(
            sa.select(scores.c.customer_id)
            .where(scores.c.run_id == run_id, scores.c.customer_id.in_(ids))
            .limit(1)
        ).all()
    if duplicate_ids:
        return DataRefusedError(
            f"customer '{quote(duplicate_ids[0])}' stands more than once in the scores"
        )
    return DataRefusedError(f"the store refused the scores: {error.orig}")


def _make_current(engine: sa.Engine, run_id: int, expected_on_stage: dict[str, float]) -> None:
    with engine.begin() as connection:
        result = connection.execute(
            runs.update().where(runs.c.id == run_id).values(published_at=datetime.now(UTC))
        )
        if result.rowcount != 1:
            raise UsageError(
                "another publication began while this one was being written, and took its place"
            )
        store_forecast(connection, run_id, expected_on_stage)


def _analyze(engine: sa.Engine) -> None:
    """Update SQLite's statistics, by which it uses an index for filters that few customers pass."""
    if engine.dialect.name != "sqlite":
        return
    # the run is published already; if the database is busy, lists are only slower
    with contextlib.suppress(sa.exc.OperationalError), engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA analysis_limit=1000")
        connection.exec_driver_sql("ANALYZE")
