"""The store of published scores: the current run, its ranked lists, and customers' histories.

It is an SQLite file by default, or any database that SQLAlchemy supports. Scores of older runs
remain as the history of the customers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import sqlalchemy as sa

from stagecast.features.shop.clock import ShopClock, clock_named
from stagecast.serving.store import deleting
from stagecast.serving.store.erased import erasure_count
from stagecast.serving.store.forecast import stored_forecast
from stagecast.serving.store.lists.flows import flow_source, read_flows
from stagecast.serving.store.lists.pages import page_keys
from stagecast.serving.store.lists.segments import list_ended, segments_for
from stagecast.serving.store.opening import open_engine
from stagecast.serving.store.overview import RunKey, overview
from stagecast.serving.store.protocols import SchemeLike
from stagecast.serving.store.publishing import publish
from stagecast.serving.store.purging import forget
from stagecast.serving.store.queries import LIMIT_DEFAULT, LIMIT_MAX, Cursor, Filters, Order
from stagecast.serving.store.tables import documents, runs, scores
from stagecast.serving.store.totals import Totals, totals, totals_by_stage

COUNTS = 1_000
"""Counts of lists that a process remembers."""


@dataclass(frozen=True)
class Run:
    """A published scoring run: a row of the table ``runs``.

    Parameters
    ----------
    id
        Number of the run, ascending in the order of publication.
    as_of
        The as_of of its scores, UTC.
    horizon_days
        Horizon of the probabilities, in days.
    data_cutoff
        Time of the last event before the as_of, UTC.
    model_version, model_path
        Version and folder of the bundle that made the scores.
    scheme_id, scheme
        Stage scheme: ``{"id", "stages": [{"id", "title", "meaning", "action", "state"}]}``.
    published_at
        When the run became current, UTC.
    customers
        Number of scores that were published.
    zone
        Zone whose days were counted; None: UTC.
    currency
        Code of the currency of the amounts; None: not known.
    """

    id: int
    as_of: datetime
    horizon_days: int
    data_cutoff: datetime
    model_version: str
    model_path: str
    scheme_id: str
    scheme: dict[str, Any]
    published_at: datetime
    customers: int
    zone: str | None = None
    currency: str | None = None

    @property
    def clock(self) -> ShopClock:
        """Clock of the shop."""
        return clock_named(self.zone or "UTC")

    @property
    def stage_ids(self) -> list[str]:
        """The stage ids of the scheme, in order."""
        return [stage["id"] for stage in self.scheme["stages"]]


@dataclass(frozen=True)
class Page:
    """One page of a ranked list.

    Parameters
    ----------
    documents
        Scores in order, each the text of one JSON object.
    next_cursor
        Cursor of the next page; None: this is the last page.
    seen
        Number of customers on the previous pages.
    """

    documents: list[str]
    next_cursor: str | None
    seen: int


@dataclass(frozen=True)
class StageTotal:
    """Number of customers on a stage and sums of their values; None if no customer has a value.

    ``expected`` is how many customers of the run are expected on it at the end of the horizon; None
    for a run that an earlier version published.
    """

    stage: str
    customers: int
    value_at_risk: float | None
    clv: float | None
    expected: float | None = None


@dataclass(frozen=True)
class StageFlows:
    """Numbers of customers by their stages in two published runs.

    Parameters
    ----------
    earlier_as_of
        The as_of of the earlier run, UTC; None: there is none with the same scheme.
    flows
        Tuples ``(from_stage, to_stage, customers)``; ``from_stage`` is None for customers without a
        score in the earlier run.
    """

    earlier_as_of: datetime | None
    flows: list[tuple[str | None, str, int]]


@dataclass(frozen=True)
class PastScore:
    """A customer's score in one run.

    ``stage`` is a stage of ``scheme``, ``zone`` the zone whose days were counted (None: UTC), and
    ``currency`` the code of the currency of the amounts (None: not known). ``run`` is the number of
    the run.
    """

    as_of: datetime
    stage: str
    churn_probability: float | None
    value_at_risk: float | None
    clv: float | None
    model_version: str
    scheme: str
    zone: str | None = None
    currency: str | None = None
    run: int | None = None


@dataclass(frozen=True)
class CustomerRecord:
    """A customer's last published score, and the history.

    Parameters
    ----------
    document
        The score that was published last, as the text of a JSON object.
    history
        All published scores, latest first.
    previous_document
        The score of the latest earlier as_of with the same scheme and horizon, as the text of a
        JSON object; None: there is none.
    zone
        Zone whose days the last score counts; None: UTC.
    currency
        Code of the currency of its amounts; None: not known.
    run
        Number of the run of the last score.
    """

    document: str
    history: list[PastScore]
    previous_document: str | None = None
    zone: str | None = None
    currency: str | None = None
    run: int | None = None

    @property
    def clock(self) -> ShopClock:
        """Clock of the shop of the last score."""
        return clock_named(self.zone or "UTC")


class Store:
    """Published scores; threads may share the object, and processes the database.

    Parameters
    ----------
    engine
        A database with the tables of :mod:`stagecast.serving.store.tables`; see :meth:`open`.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        # a run changes only by erasures, whose number is part of what these are asked for
        self._totals = lru_cache(maxsize=COUNTS)(self._totals_now)

    @classmethod
    def open(cls, url: str, *, read_only: bool = False) -> Self:
        """Open the store at an SQLAlchemy URL, and create its tables if they are missing.

        With ``read_only`` nothing is created, and the database refuses to be written.

        Raises
        ------
        UsageError
            The store cannot be opened, or a newer version of stagecast wrote it.
        """
        return cls(open_engine(url, read_only=read_only))

    def close(self) -> None:
        """Close all connections to the database."""
        self._engine.dispose()

    def publish(
        self,
        source: pa.Table | Path,
        *,
        model_path: str | Path,
        scheme: SchemeLike,
        zone: str | None = None,
        currency: str | None = None,
        progress: Callable[[int], object] | None = None,
        past: Iterable[Sequence[tuple[str, str]]] = (),
    ) -> int:
        """Write a scoring run, make it the current one, and return its id.

        See :func:`stagecast.serving.store.publishing.publish`.
        """
        run_id = publish(
            self._engine,
            source,
            model_path=str(model_path),
            scheme=scheme,
            zone=zone,
            currency=currency,
            progress=progress,
            past=past,
        )
        run = self.current_run()
        if run is not None:
            self.overview(run)  # worked out now, so that no reader waits for it
        return run_id

    def overview(self, run: Run) -> dict[str, Any]:
        """Return the totals of a run and what changed since the one before.

        See :func:`stagecast.serving.store.overview.overview`.
        """
        key = RunKey(run.id, run.as_of, run.horizon_days, run.scheme_id)
        return overview(self._engine, key)

    def erase(self, customer_id: str) -> int:
        """Delete a customer's rows from every run and table, and return their number.

        The number of customers that is stored with a run does not change. In SQLite and PostgreSQL
        the files are also rewritten, so that they do not contain the deleted bytes. If the database
        is busy at that moment, ``stagecast erase`` can do it later.
        """
        return deleting.erase(self._engine, [customer_id])

    def forget(self, customer_id: str) -> int | None:
        """Delete a customer's rows at once, and leave the rewriting of the files to a job.

        See :func:`stagecast.serving.store.purging.forget`.
        """
        return forget(self._engine, customer_id)

    @property
    def engine(self) -> sa.Engine:
        """The database, for what other rooms keep in it."""
        return self._engine

    def current_run(self) -> Run | None:
        """Return the run that was published last, or None if there is none."""
        with self._engine.connect() as connection:
            return current_run(connection)

    def run(self, number: int) -> Run | None:
        """Return a published run by its number; None: there is none."""
        with self._engine.connect() as connection:
            return next(iter(published_runs(connection, [runs.c.id == number])), None)

    def runs(self, *, limit: int, before: int | None = None) -> list[Run]:
        """Return the published runs, the newest first.

        Parameters
        ----------
        limit
            Most runs to return.
        before
            Only runs with a lower number; None: all.
        """
        conditions = [] if before is None else [runs.c.id < before]
        with self._engine.connect() as connection:
            return published_runs(connection, conditions, limit)

    def customers(
        self,
        run: Run,
        filters: Filters,
        order: Order,
        *,
        limit: int = LIMIT_DEFAULT,
        cursor: str | None = None,
    ) -> Page:
        """Return one page of the customers that pass the filters.

        Parameters
        ----------
        run
            The run to read, as :meth:`current_run` returns it.
        filters
            Which customers to return.
        order
            Order of the list.
        limit
            Number of rows on a page, 1 to 1,000; other numbers are clipped.
        cursor
            ``next_cursor`` of the previous page; None: the first page.

        Raises
        ------
        UsageError
            The cursor is damaged, or of another run, order or set of filters.
        """
        limit = max(1, min(limit, LIMIT_MAX))
        last_row = None if cursor is None else Cursor.decode(cursor, run.id, filters, order)
        offset = 0 if last_row is None else last_row.offset
        with self._engine.connect() as connection:
            segments = segments_for(connection, run.id, filters)
            try:
                if segments is None:
                    keys = self._keys(connection, run.id, filters, order, limit + 1, last_row)
                else:
                    keys = page_keys(
                        connection, run.id, segments, filters, order, limit + 1, last_row
                    )
            except sa.exc.DBAPIError:
                if segments is None or not list_ended(connection, run.id):
                    raise
                keys = self._keys(connection, run.id, filters, order, limit + 1, last_row)
            score_documents = self._documents(
                connection, run.id, [customer_id for customer_id, _ in keys[:limit]]
            )
        next_cursor = None
        if len(keys) > limit:
            customer_id, value = keys[limit - 1]
            next_cursor = Cursor(offset + limit, value, customer_id).encode(run.id, filters, order)
        # a customer who was erased between the two queries is left out
        listed = [score_documents[name] for name, _ in keys[:limit] if name in score_documents]
        return Page(listed, next_cursor, offset)

    def all_customers(self, run: Run, filters: Filters, order: Order) -> Iterator[str]:
        """Yield the scores of all pages in order; only one page is in memory at a time."""
        cursor: str | None = None
        while True:
            page = self.customers(run, filters, order, limit=LIMIT_MAX, cursor=cursor)
            yield from page.documents
            cursor = page.next_cursor
            if cursor is None:
                return

    def count(self, run: Run, filters: Filters) -> int:
        """Return how many customers pass the filters; counted once until somebody is erased."""
        return self.totals(run, filters).customers

    def totals(self, run: Run, filters: Filters) -> Totals:
        """Return how many customers pass the filters, and the sums of their money."""
        # after a restore, another run may have the number
        return self._totals(run.id, filters, (self._erasures(), run.published_at))

    def has_money(self, run: Run) -> bool:
        """Return whether any score of a run has an amount."""
        all_of_it = self.totals(run, Filters())
        return all_of_it.clv is not None or all_of_it.spend is not None

    def _erasures(self) -> int:
        with self._engine.connect() as connection:
            return erasure_count(connection)

    def _totals_now(self, run_id: int, filters: Filters, _: tuple[int, datetime]) -> Totals:
        return totals(self._engine, run_id, filters)

    def stages(self, run: Run) -> list[StageTotal]:
        """Return the totals of every stage of the run's scheme, in order."""
        of_stages = totals_by_stage(self._engine, run.id)
        with self._engine.connect() as connection:
            expected = stored_forecast(connection, run.id) or {}
        return [
            StageTotal(stage, *of_stages.get(stage, (0, None, None)), expected.get(stage))
            for stage in run.stage_ids
        ]

    def flows(self, run: Run) -> StageFlows:
        """Return the flows of customers between stages since the previous run of the same scheme.

        The previous run is the published run with the latest earlier as_of; a second publication
        for the same as_of does not count.
        """
        with self._engine.connect() as connection:
            source = flow_source(connection, run.scheme_id, run.as_of)
            if source is None:
                return StageFlows(None, [])
            flows = read_flows(connection, run.id, source.id)
        position = {stage: k for k, stage in enumerate(run.stage_ids)}
        flows.sort(key=lambda flow: (position.get(flow[0] or "", -1), position[flow[1]]))
        return StageFlows(source.as_of, flows)

    def customer(self, customer_id: str) -> CustomerRecord | None:
        """Return the last published score of a customer and the history, or None if unknown."""
        c = scores.c
        history_query = (
            sa.select(
                runs.c.id,
                runs.c.as_of,
                *(c.stage, c.churn_probability, c.value_at_risk, c.clv),
                *(runs.c.model_version, runs.c.scheme_id, runs.c.zone, runs.c.currency),
                runs.c.horizon_days,
            )
            .select_from(scores.join(runs, runs.c.id == c.run_id))
            .where(c.customer_id == customer_id, runs.c.published_at.is_not(None))
            .order_by(runs.c.as_of.desc(), runs.c.id.desc())
        )
        with self._engine.connect() as connection:
            rows = connection.execute(history_query).all()
            if not rows:
                return None
            last_run_id = max(row[0] for row in rows)
            document = self._documents(connection, last_run_id, [customer_id]).get(customer_id)
            if document is None:
                return None  # erased since the query before
            last = next(row for row in rows if row[0] == last_run_id)
            previous_run_id = next(
                (
                    row[0]
                    for row in rows
                    if row.as_of < last.as_of
                    and (row.scheme_id, row.horizon_days) == (last.scheme_id, last.horizon_days)
                ),
                None,
            )
            previous_document = None
            if previous_run_id is not None:
                previous_document = self._documents(connection, previous_run_id, [customer_id]).get(
                    customer_id
                )
        history = [replace(PastScore(*row[1:-1]), run=row[0]) for row in rows]
        return CustomerRecord(
            document, history, previous_document, last.zone, last.currency, last_run_id
        )

    def lookup(self, run: Run, customer_ids: Sequence[str]) -> dict[str, str]:
        """Return the scores of customers in a run, by customer id, without those who have none."""
        with self._engine.connect() as connection:
            return self._documents(connection, run.id, customer_ids)

    @staticmethod
    def _documents(
        connection: sa.Connection, run_id: int, customer_ids: Sequence[str]
    ) -> dict[str, str]:
        query = sa.select(documents.c.customer_id, documents.c.score).where(
            documents.c.run_id == run_id, documents.c.customer_id.in_(customer_ids)
        )
        return {row[0]: row[1] for row in connection.execute(query)}

    @staticmethod
    def _keys(
        connection: sa.Connection,
        run_id: int,
        filters: Filters,
        order: Order,
        limit: int,
        last_row: Cursor | None,
    ) -> list[tuple[str, Any]]:
        # Two queries instead of NULLS LAST, which not every database has and which may not use the
        # index: first the customers with a value, ordered by it; then those without one, by id.
        column, customer = scores.c[order.column], scores.c.customer_id
        base = (
            sa.select(customer, column)
            .where(scores.c.run_id == run_id, *filters.conditions(run_id))
            .limit(limit)
        )
        rows: list[tuple[str, Any]] = []
        if last_row is None or last_row.value is not None:
            query = base.where(column.is_not(None)).order_by(
                column.desc() if order.descending else column, customer
            )
            if last_row is not None:
                in_range = (
                    column <= last_row.value if order.descending else column >= last_row.value
                )
                query = query.where(
                    in_range, sa.or_(column != last_row.value, customer > last_row.customer_id)
                )
            rows = [(row[0], row[1]) for row in connection.execute(query)]
        if column.nullable and len(rows) < limit:
            query = base.where(column.is_(None)).order_by(customer).limit(limit - len(rows))
            if last_row is not None and last_row.value is None:
                query = query.where(customer > last_row.customer_id)
            rows += [(row[0], row[1]) for row in connection.execute(query)]
        return rows


def current_run(connection: sa.Connection) -> Run | None:
    """Return the run that was published last, or None if there is none."""
    return next(iter(published_runs(connection, [])), None)


def published_runs(
    connection: sa.Connection, conditions: Sequence[sa.ColumnElement[bool]], limit: int = 1
) -> list[Run]:
    """Return the published runs that meet conditions on the table ``runs``, the newest first."""
    columns = [column for column in runs.c if column.name not in ("created_at", "overview")]
    query = (
        sa.select(*columns)
        .where(runs.c.published_at.is_not(None), *conditions)
        .order_by(runs.c.id.desc())
        .limit(limit)
    )
    return [Run(**row) for row in connection.execute(query).mappings()]
