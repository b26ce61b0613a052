"""Scores of made-up customers with the contract's columns, and the scheme that they are of."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from stagecast.features.stages.scheme import Scheme
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.serving.scoring import score_schema
from stagecast.serving.store.store import Store
from tests.postgres import new_database
from tests.shared import once

AS_OF = datetime(1998, 1, 1, tzinfo=UTC)
STAGES = ("prospect", "new", "repeat", "loyal", "at_risk", "sleeping", "lost", "reactivated")
STATE_OF = {"prospect": "prospect", "sleeping": "lapsed", "lost": "lapsed"}
HOSTILE_IDS = (
    "<script>alert(1)</script>",
    "a/b/../c",
    "=HYPERLINK(1)",
    "пётр & co",
    "مشتری",
    "quo\"te's?x=1#frag%2F",
    "lookup",
    "🦊",
)


def retail() -> Scheme:
    """Return the scheme of the scores made here."""
    return load_scheme("retail")


def a_score(
    customer_id: str, rng: np.random.Generator, as_of: datetime = AS_OF, **columns: Any
) -> dict[str, Any]:
    """Return one customer's score as a row of the contract; ``columns`` replaces what would be
    drawn.
    """
    stage = columns.get(
        "stage", STAGES[rng.choice(8, p=[0.05, 0.2, 0.2, 0.08, 0.15, 0.2, 0.1, 0.02])]
    )
    state = STATE_OF.get(stage, "active")
    p_inactive = None if state == "prospect" else float(np.round(rng.beta(4, 2), 3))
    churn = p_inactive if state == "active" else None
    # few distinct values, so that many customers are equal
    clv = float(np.round(rng.gamma(1.2, 80.0), 0))
    orders = 0 if state == "prospect" else 1 if stage == "new" else int(rng.integers(2, 30))
    recency = None if orders == 0 else float(rng.integers(1, 400))
    sentence = f"Has bought nothing for {recency or 0:.0f} days, where 40 are usual."
    row: dict[str, Any] = {
        "customer_id": customer_id,
        "as_of": as_of,
        "horizon_days": 90,
        "data_cutoff": as_of - timedelta(hours=3),
        "model_version": f"retail-{as_of:%Y%m%d}",
        "method": "blend",
        "low_data": False,
        "state": state,
        "stage": stage,
        "stage_since": as_of - timedelta(days=int(rng.integers(0, 300))),
        "stage_rule": "overdue_ratio 2.7 is above 1.9 (at_risk_ratio)",
        "next_stage": "sleeping",
        "p_inactive": p_inactive,
        "churn_probability": churn,
        "churn_percentile": None if churn is None else 100 * churn,
        "churn_band": None
        if churn is None
        else "low"
        if churn < 0.4
        else "medium"
        if churn < 0.7
        else "high",
        "p_return": 1 - p_inactive if p_inactive is not None and state == "lapsed" else None,
        "p_convert": 0.12 if state == "prospect" else None,
        "p_alive": None if state == "prospect" else 0.6,
        "expected_orders": 0.8,
        "next_order_date": None
        if churn is None or churn > 0.6
        else date(1998, 2, 1) + timedelta(days=orders),
        "expected_spend": clv / 4,
        "expected_spend_low": clv / 8,
        "expected_spend_high": clv / 2,
        "clv": clv,
        "clv_low": clv * 0.6,
        "clv_high": clv * 1.7,
        "value_at_risk": None if churn is None else float(np.round(churn * clv / 4, 0)),
        "recency_days": recency,
        "tenure_days": 400.0,
        "frequency": max(orders - 1, 0),
        "monetary": 31.5 if orders > 1 else None,
        "orders": orders,
        "spend": 31.5 * orders,
        "rfm": "543" if orders else None,
        "rfm_segment": "loyal customers" if orders else None,
        "reasons": [
            {
                "feature": "recency_days",
                "value": recency,
                "usual": 40.0,
                "effect": 0.8,
                "sentence": sentence,
            },
            {
                "feature": "orders",
                "value": float(orders),
                "usual": 4.0,
                "effect": 0.1,
                "sentence": "Orders often.",
            },
        ],
        "action": "A reminder now, a better offer if it stays silent.",
        "clv_residual": None,
        "value_gone": None if state == "prospect" else float(np.round(clv / 3, 0)),
        "churn": "inactivity",
    }
    if orders >= 3 and recency is not None:
        gap = round((400.0 - recency) / (orders - 1), 1)
        row |= {"usual_gap_days": gap, "days_overdue": max(recency - gap, 0.0)}
    draws = rng.dirichlet(np.ones(8))
    row |= {f"p_stage_{name}": float(p) for name, p in zip(STAGES, draws, strict=True)}
    return row | columns


def table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Return rows as a table of the contract."""
    return pa.Table.from_pylist(list(rows), schema=score_schema.schema(STAGES))


def scores(
    customers: int, *, seed: int = 7, as_of: datetime = AS_OF, extra: Sequence[str] = ()
) -> pa.Table:
    """Return the scores of ``c0000``, ``c0001``, ... and of ``extra`` ids."""
    return _scores(customers, seed, as_of, tuple(extra))


@cache
def _scores(customers: int, seed: int, as_of: datetime, extra: tuple[str, ...]) -> pa.Table:
    rng = np.random.default_rng(seed)
    return table(
        [a_score(name, rng, as_of) for name in [*(f"c{i:04d}" for i in range(customers)), *extra]]
    )


Past = Sequence[Sequence[tuple[str, str]]]
"""Events of customers, in portions, see :func:`stagecast.serving.store.publishing.publish`."""


def open_store(folder: Path, *scored: pa.Table, past: Past = ()) -> Store:
    """Return the store in the folder, a new one if there is none, with what :func:`put` puts in."""
    file = folder / "stagecast.db"
    if not file.exists():
        shutil.copyfile(_empty_file(), file)
    store = Store.open(f"sqlite:///{file}")
    if scored:
        put(store, *scored, past=past)
    return store


def put(store: Store, *scored: pa.Table, past: Past = ()) -> int:
    """Fill a new store with publications, and return the id of the last run.

    What this process has put into a file before is copied from there: a test of the publication
    itself calls :func:`publish`.

    Parameters
    ----------
    store
        A store that holds nothing.
    scored
        Scores of the publications, in their order.
    past
        Events of the customers of the last publication.
    """
    publications = Publications(scored, past)
    if store.engine.dialect.name != "sqlite":
        return publications.publish(store)
    with closing(store.engine.raw_connection()) as connection:
        driver = connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        tables = driver.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        for (name,) in tables:
            full = driver.execute(f"SELECT EXISTS (SELECT 1 FROM {name})").fetchone()[0]
            assert not full or name in ("store_version", "server_secrets"), name
        if publications in _FILES:
            with closing(sqlite3.connect(_FILES[publications])) as source:
                source.backup(driver)
            return len(scored)
    last = publications.publish(store)
    file = Path(tempfile.mkdtemp(dir=_kept())) / "stagecast.db"
    with (
        closing(store.engine.raw_connection()) as connection,
        closing(sqlite3.connect(file)) as target,
    ):
        driver = connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.backup(target)
    _FILES[publications] = file
    return last


def postgres_store(url: str, *scored: pa.Table, past: Past = ()) -> str:
    """Return the URL of a new database with a store that holds publications, see :func:`put`.

    Parameters
    ----------
    url
        Any database of the server.
    scored, past
        As of :func:`put`.
    """
    return new_database(url, _made_in_postgres(url, Publications(scored, past)))


class Publications:
    """Publications that can be looked up: those of equal content are equal."""

    def __init__(self, scored: Sequence[pa.Table], past: Past) -> None:
        self._scored, self._past = scored, past
        digest = hashlib.sha256()
        for table in scored:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as stream:
                stream.write_table(table)
            digest.update(sink.getvalue())
        self._key = (len(scored), digest.digest(), tuple(tuple(part) for part in past))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Publications) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def publish(self, store: Store) -> int:
        """Publish them, and return the id of the last run."""
        *earlier, newest = self._scored
        for table in earlier:
            publish(store, table)
        return publish(store, newest, self._past)


_FILES: dict[Publications, Path] = {}
"""What :func:`put` put into files."""


@cache
def _kept() -> Path:
    """Return a folder for files that are copied, which goes with the process."""
    folder = Path(tempfile.mkdtemp(prefix="stores-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _empty_file() -> Path:
    file = _kept() / "empty.db"
    Store.open(f"sqlite:///{file}").close()
    return file


@cache
def _made_in_postgres(url: str, publications: Publications) -> str:
    made = new_database(url)
    store = Store.open(made)
    if publications != Publications((), ()):
        publications.publish(store)
    store.close()
    return made.rpartition("/")[2]


def published_store(
    factory: pytest.TempPathFactory,
    folder: Path,
    customers: int = 321,
    extra: Sequence[str] = HOSTILE_IDS,
) -> Store:
    """Return a new store in the folder that holds :func:`scores`: a copy of one that is published
    once for all tests.
    """

    def make(home: Path) -> Path:
        open_store(home, scores(customers, extra=extra)).close()
        return home / "stagecast.db"

    source = once(factory, f"published {customers} and {len(extra)}", make)
    shutil.copyfile(source, folder / "stagecast.db")
    return open_store(folder)


def publish(store: Store, scored: pa.Table, past: Iterable[Sequence[tuple[str, str]]] = ()) -> int:
    """Publish scores made here, with events of the customers if there are any."""
    return store.publish(scored, model_path="model", scheme=retail(), past=past)
