"""The store of published scores: the current run, its ranked lists, and customers' histories.

It is an SQLite file by default, or any database that SQLAlchemy supports. Scores of older runs
remain as the history of the customers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import sqlalchemy as sa

from stagecast.serving.store import deleting, stored_scores
from stagecast.serving.store.customer_history import CustomerRecord, customer_record
from stagecast.serving.store.erased import erasure_count
from stagecast.serving.store.opening import open_engine
from stagecast.serving.store.overview import overview
from stagecast.serving.store.protocols import SchemeLike
from stagecast.serving.store.published_runs import Run, current_run, published_runs
from stagecast.serving.store.publishing import publish
from stagecast.serving.store.purging import forget
from stagecast.serving.store.queries import LIMIT_DEFAULT, LIMIT_MAX, Filters, Order
from stagecast.serving.store.ranked_lists import Page, read_page
from stagecast.serving.store.stage_totals import StageFlows, StageTotal, stage_flows, stage_totals
from stagecast.serving.store.tables import runs
from stagecast.serving.store.totals import Totals, totals

COUNTS = 1_000
"""Counts of lists that a process remembers."""


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
        return overview(self._engine, run)

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
        return read_page(self._engine, run.id, filters, order, limit, cursor)

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
        return stage_totals(self._engine, run)

    def flows(self, run: Run) -> StageFlows:
        """Return the flows of customers between stages since the previous run of the same scheme.

        The previous run is the published run with the latest earlier as_of; a second publication
        for the same as_of does not count.
        """
        return stage_flows(self._engine, run)

    def customer(self, customer_id: str) -> CustomerRecord | None:
        """Return the last published score of a customer and the history, or None if unknown."""
        return customer_record(self._engine, customer_id)

    def lookup(self, run: Run, customer_ids: Sequence[str]) -> dict[str, str]:
        """Return the scores of customers in a run, by customer id, without those who have none."""
        with self._engine.connect() as connection:
            return stored_scores.scores_of(connection, run.id, customer_ids)
