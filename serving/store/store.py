"""The store of published scores, as its readers see it: the current run, its ranked lists, one
customer's history.

SQLite by default, whatever SQLAlchemy speaks to by URL. Every score is kept: an older run stays,
and is a customer's history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import sqlalchemy as sa

from stagecast.serving.store import deleting
from stagecast.serving.store.protocols import SchemeLike
from stagecast.serving.store.publishing import publish
from stagecast.serving.store.queries import LIMIT_DEFAULT, LIMIT_MAX, Cursor, Filters, Order
from stagecast.serving.store.tables import documents, open_engine, runs, scores


@dataclass(frozen=True)
class Run:
    """A published scoring run; ``scheme`` is ``{"id", "stages": [{"id", "title", "meaning",
    "action", "state"}]}``.
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

    @property
    def stage_ids(self) -> list[str]:
        """The stages of its scheme, in order."""
        return [stage["id"] for stage in self.scheme["stages"]]


@dataclass(frozen=True)
class Page:
    """A piece of a ranked list.

    Parameters
    ----------
    documents
        scores, each the text of one JSON object, in order.
    next_cursor
        leads to the next page; None: this is the last.
    seen
        customers on the pages before.
    """

    documents: list[str]
    next_cursor: str | None
    seen: int


@dataclass(frozen=True)
class StageTotal:
    """One stage of the current run: how many customers, and what they are worth; None where
    nobody has a value.
    """

    stage: str
    customers: int
    value_at_risk: float | None
    clv: float | None


@dataclass(frozen=True)
class StageFlows:
    """Customers who went from one stage to another, or stayed, between two published runs.

    ``since`` is the as_of of the earlier run, None where there is none of the same scheme;
    ``moved`` has ``(from_stage, to_stage, customers)``, None as ``from_stage`` for those who had no
    score then.
    """

    since: datetime | None
    moved: list[tuple[str | None, str, int]]


@dataclass(frozen=True)
class PastScore:
    """What a customer's score was in one run; ``stage`` is one of ``scheme``."""

    as_of: datetime
    stage: str
    churn_probability: float | None
    value_at_risk: float | None
    clv: float | None
    model_version: str
    scheme: str


@dataclass(frozen=True)
class CustomerRecord:
    """A customer's last published score (the text of a JSON object) and all scores so far, latest
    first.

    ``before`` is the score as of the nearest earlier date, with the same scheme and horizon; None
    where there is none.
    """

    document: str
    history: list[PastScore]
    before: str | None = None


class Store:
    """Published scores. Safe to share between threads; several processes may use the same database.

    Parameters
    ----------
    engine
        a database with the tables of :mod:`stagecast.serving.store.tables`; :meth:`open` makes one.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> Self:
        """Open the store at an SQLAlchemy URL, and make its tables where they are missing.

        Raises
        ------
        UsageError
            It cannot be opened, or a newer stagecast wrote it.
        """
        return cls(open_engine(url))

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    def publish(
        self,
        source: pa.Table | Path,
        *,
        model_path: str | Path,
        scheme: SchemeLike,
        progress: Callable[[int], object] | None = None,
    ) -> int:
        """Write a scoring run whole and make it the current one; see
        :func:`stagecast.serving.store.publishing.publish`.
        """
        return publish(
            self._engine, source, model_path=str(model_path), scheme=scheme, progress=progress
        )

    def erase(self, customer_id: str) -> int:
        """Delete everything that names a customer, in every run and table; return how many rows
        there were.

        Totals that were published with a run stay. In SQLite and PostgreSQL the file is also
        written anew, so that the deleted bytes vanish; what cannot be done while others use it is
        made good by ``stagecast erase``.
        """
        return deleting.erase(self._engine, [customer_id])

    def current_run(self) -> Run | None:
        """Return the run that was published last, or None before the first."""
        query = (
            sa.select(runs)
            .where(runs.c.published_at.is_not(None))
            .order_by(runs.c.id.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            return None
        return Run(**{name: value for name, value in row.items() if name != "created_at"})

    def customers(
        self,
        run: Run,
        filters: Filters,
        order: Order,
        *,
        limit: int = LIMIT_DEFAULT,
        cursor: str | None = None,
    ) -> Page:
        """Return one page of the customers that pass the filters, ranked.

        Parameters
        ----------
        run
            the run to read, as :meth:`current_run` gave it.
        limit
            rows of a page, 1 to 1,000.
        cursor
            ``next_cursor`` of the page before; None: the first page.

        Raises
        ------
        UsageError
            The cursor is damaged, or of another run, order or set of filters.
        """
        limit = max(1, min(limit, LIMIT_MAX))
        after = None if cursor is None else Cursor.decode(cursor, run.id, filters, order)
        seen = 0 if after is None else after.seen
        with self._engine.connect() as connection:
            keys = self._keys(connection, run.id, filters, order, limit + 1, after)
            found = self._documents(
                connection, run.id, [customer_id for customer_id, _ in keys[:limit]]
            )
        following = None
        if len(keys) > limit:
            customer_id, value = keys[limit - 1]
            following = Cursor(seen + limit, value, customer_id).encode(run.id, filters, order)
        return Page([found[customer_id] for customer_id, _ in keys[:limit]], following, seen)

    def all_customers(self, run: Run, filters: Filters, order: Order) -> Iterator[str]:
        """Yield the scores of every page, one after the other, holding one page at a time."""
        cursor: str | None = None
        while True:
            page = self.customers(run, filters, order, limit=LIMIT_MAX, cursor=cursor)
            yield from page.documents
            cursor = page.next_cursor
            if cursor is None:
                return

    def count(self, run: Run, filters: Filters) -> int:
        """Return how many customers pass the filters."""
        query = (
            sa.select(sa.func.count())
            .select_from(scores)
            .where(scores.c.run_id == run.id, *filters.conditions())
        )
        with self._engine.connect() as connection:
            return int(connection.scalar(query) or 0)

    def stages(self, run: Run) -> list[StageTotal]:
        """Return every stage of the run's scheme, in order, with its customers and their value."""
        c = scores.c
        query = (
            sa.select(c.stage, sa.func.count(), sa.func.sum(c.value_at_risk), sa.func.sum(c.clv))
            .where(c.run_id == run.id)
            .group_by(c.stage)
        )
        with self._engine.connect() as connection:
            found = {row[0]: StageTotal(*row) for row in connection.execute(query)}
        return [found.get(stage, StageTotal(stage, 0, None, None)) for stage in run.stage_ids]

    def flows(self, run: Run) -> StageFlows:
        """Return how customers moved between stages since the last published run of the same scheme
        before this one.

        Before means an earlier as_of: a run that was published anew for the same day is no step.
        """
        earlier = (
            sa.select(runs.c.id, runs.c.as_of)
            .where(
                runs.c.published_at.is_not(None),
                runs.c.scheme_id == run.scheme_id,
                runs.c.as_of < run.as_of,
            )
            .order_by(runs.c.as_of.desc(), runs.c.id.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            before = connection.execute(earlier).first()
            if before is None:
                return StageFlows(None, [])
            now, then = scores.alias("now"), scores.alias("earlier")
            same = sa.and_(then.c.customer_id == now.c.customer_id, then.c.run_id == before.id)
            moved = (
                sa.select(then.c.stage, now.c.stage, sa.func.count())
                .select_from(now.join(then, same, isouter=True))
                .where(now.c.run_id == run.id)
                .group_by(then.c.stage, now.c.stage)
            )
            found = [(row[0], str(row[1]), int(row[2])) for row in connection.execute(moved)]
        place = {stage: k for k, stage in enumerate(run.stage_ids)}
        found.sort(key=lambda row: (place.get(row[0] or "", -1), place[row[1]]))
        return StageFlows(before.as_of, found)

    def customer(self, customer_id: str) -> CustomerRecord | None:
        """Return the last published score of a customer and all scores so far, or None if there
        is none.
        """
        c = scores.c
        past = (
            sa.select(
                runs.c.id,
                runs.c.as_of,
                *(c.stage, c.churn_probability, c.value_at_risk, c.clv),
                *(runs.c.model_version, runs.c.scheme_id),
                runs.c.horizon_days,
            )
            .select_from(scores.join(runs, runs.c.id == c.run_id))
            .where(c.customer_id == customer_id, runs.c.published_at.is_not(None))
            .order_by(runs.c.as_of.desc(), runs.c.id.desc())
        )
        with self._engine.connect() as connection:
            rows = connection.execute(past).all()
            if not rows:
                return None
            last_published = max(row[0] for row in rows)
            document = self._documents(connection, last_published, [customer_id])[customer_id]
            now = next(row for row in rows if row[0] == last_published)
            alike = (now.scheme_id, now.horizon_days)
            earlier = next(
                (
                    r[0]
                    for r in rows
                    if r.as_of < now.as_of and (r.scheme_id, r.horizon_days) == alike
                ),
                None,
            )
            before = None
            if earlier is not None:
                before = self._documents(connection, earlier, [customer_id]).get(customer_id)
        history = [PastScore(*row[1:-1]) for row in rows]
        return CustomerRecord(document, history, before)

    def lookup(self, run: Run, customer_ids: Sequence[str]) -> dict[str, str]:
        """Return the scores of these customers in a run, by customer id; whoever has none is
        left out.
        """
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
        after: Cursor | None,
    ) -> list[tuple[str, Any]]:
        # Two questions rather than NULLS LAST, which databases neither agree upon nor serve from
        # the same index: first the customers who have a value, by it; then those without, by id.
        column, customer = scores.c[order.column], scores.c.customer_id
        base = (
            sa.select(customer, column)
            .where(scores.c.run_id == run_id, *filters.conditions())
            .limit(limit)
        )
        rows: list[tuple[str, Any]] = []
        if after is None or after.value is not None:
            query = base.where(column.is_not(None)).order_by(
                column.desc() if order.descending else column, customer
            )
            if after is not None:
                reached = column <= after.value if order.descending else column >= after.value
                query = query.where(
                    reached, sa.or_(column != after.value, customer > after.customer_id)
                )
            rows = [(row[0], row[1]) for row in connection.execute(query)]
        if column.nullable and len(rows) < limit:
            query = base.where(column.is_(None)).order_by(customer).limit(limit - len(rows))
            if after is not None and after.value is None:
                query = query.where(customer > after.customer_id)
            rows += [(row[0], row[1]) for row in connection.execute(query)]
        return rows
