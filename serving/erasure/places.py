"""What is looked at: what the user names, and what is ours by default.

Ours are the store, the runs of ours in MLflow, ``./stagecast-demo`` where neither a run nor a log
was named, and what killed processes of ours left beside these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import sqlalchemy as sa

from stagecast.features.errors import UsageError
from stagecast.features.intake.expressions import quote_text
from stagecast.features.intake.sources import find_files, is_database
from stagecast.serving.erasure import database, tracked
from stagecast.serving.erasure.csv_logs import How
from stagecast.serving.erasure.customer_column import OWN_NAME
from stagecast.serving.erasure.file_places import Place, leftover, log, of_run
from stagecast.serving.erasure.identity import Customer
from stagecast.serving.erasure.occurrences import Hits
from stagecast.serving.erasure.replacing import DRAFT_PREFIX
from stagecast.serving.runs.files import OF_A_RUN
from stagecast.serving.store import deleting
from stagecast.serving.store.tables import open_engine, store_version

DEMO_FOLDER = Path("stagecast-demo")
_SHOWN = 200


@dataclass(frozen=True)
class Request:
    """What is to be erased, and where.

    Parameters
    ----------
    events
        logs as the user named them.
    runs
        folders of runs; none and no events: the demo's, if it is there.
    store, tracking_uri
        URLs.
    named
        which of ``store`` and ``tracking_uri`` the user named, so that they have to be there.
    """

    how: How
    events: tuple[str, ...] = ()
    runs: tuple[Path, ...] = ()
    store: str = "sqlite:///stagecast.db"
    tracking_uri: str = "sqlite:///mlflow.db"
    named: frozenset[str] = frozenset()

    @property
    def customer(self) -> Customer:
        """Whom."""
        return self.how.customer


def gather(con: duckdb.DuckDBPyConnection, request: Request) -> list[Place]:
    """Return every place, logs first.

    Raises
    ------
    StagecastError
        Something that was named is not there, or cannot be worked on. Nothing has been changed.
    """
    places = list(_logs(con, request))
    runs = request.runs
    if not runs and not request.events and _is_run(DEMO_FOLDER):
        runs = (DEMO_FOLDER,)
    for folder in runs:
        places += _run(con, folder, request.customer)
    places += _mlflow(con, request)
    store = _store(request)
    return places if store is None else [*places, store]


def _logs(con: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Place]:
    for text in request.events:
        if is_database(text):
            raise _only_read(text, request)
    for name in find_files(request.events) if request.events else ():
        path = Path(name)
        yield log(con, path, request.how)
        draft = path.with_name(f".{path.name}.draft")
        if draft.is_file():
            yield leftover(con, draft, request.customer)


def _only_read(url: str, request: Request) -> UsageError:
    table = re.search(r"[?&]table=([^&]+)", url)
    column = '"' + (request.how.column or OWN_NAME).replace('"', '""') + '"'
    ids = ", ".join(map(quote_text, request.customer.forms))
    ids = ids if len(ids) <= _SHOWN else "the id"
    where = f"trim(CAST({column} AS VARCHAR)) IN ({ids})"
    return UsageError(
        f"EVENTS names a database ({url.partition('://')[0]}), which stagecast only "
        "reads. Run there yourself: "
        f"DELETE FROM {table[1] if table else 'TABLE'} WHERE {where}; then erase again without it"
    )


def _is_run(folder: Path) -> bool:
    found = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    return bool(found) and all(name in OF_A_RUN or name.startswith(DRAFT_PREFIX) for name in found)


def _run(con: duckdb.DuckDBPyConnection, folder: Path, customer: Customer) -> Iterator[Place]:
    """Yield the files of a run, and of what killed runs left beside it."""
    folder = Path(folder.resolve()) if folder.name in ("", "..") else folder
    beside = [folder.with_name(f".{folder.name}.{ending}") for ending in ("draft", "old")]
    left = [one for one in beside if one.is_dir()]
    if not folder.is_dir() and not left:
        raise UsageError(f"--run {folder} is no folder; give the --out of a run")
    expected = (*OF_A_RUN, "manifest.json")
    if folder.is_dir() and not any((folder / name).exists() for name in expected):
        raise UsageError(
            f"--run {folder} holds no run ({', '.join(OF_A_RUN)}); give the --out of a run"
        )
    for path in _files(folder):
        yield (leftover if path.suffix == ".draft" else of_run)(con, path, customer)
    for one in left:
        for path in _files(one):
            yield leftover(con, path, customer)


def _files(folder: Path) -> list[Path]:
    # data-report.json goes before rejected.parquet, by which its examples are known
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(DRAFT_PREFIX)
    )


def _mlflow(con: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Place]:
    uri, customer = request.tracking_uri, request.customer
    here = tracked.local_store(uri)
    if here is None and not uri.startswith("postgresql"):
        yield _out_of_reach(
            uri, "mlflow", "MLflow is a server; erase on its machine, where its files are"
        )
        return
    if here is not None and not here.exists():
        if "tracking_uri" in request.named:
            raise UsageError(f"--tracking-uri {uri}: {here} does not exist")
        return
    for root, folder in tracked.artefact_folders(uri):
        if folder is None:
            yield _out_of_reach(
                root, "mlflow", "the artefacts are not on this machine; remove report.html there"
            )
            continue
        for path in _files(folder):
            yield of_run(con, path, customer, "mlflow")
    if here is not None and here.is_file() and not customer.plain:
        hint = "MLflow's own records are not changed: remove the run, tag or note there (mlflow gc)"
        yield Place(
            str(here), "mlflow", lambda: 0, lambda: 0, lambda: database.search(here, customer), hint
        )


def _out_of_reach(name: str, kind: str, why: str) -> Place:
    def refuse() -> int:
        raise UsageError(f"not done: {why}")

    return Place(name, kind, lambda: 0, refuse, Hits)


def _store(request: Request) -> Place | None:
    url = request.store
    shown = sa.make_url(url).render_as_string(hide_password=True)
    file = database.sqlite_file(url)
    if file is not None and not file.exists():
        if "store" in request.named:
            raise UsageError(f"--store {shown}: {file} does not exist")
        return None
    if file is not None and not database.has_table(file, store_version.name):
        raise UsageError(f"--store {shown}: {file} is not a store of stagecast; name the right one")
    engine, ids = open_engine(url), request.customer.forms

    def remove() -> int:
        rows = deleting.delete_rows(engine, ids)
        if rows or search().count:
            deleting.purge(engine)
        return rows

    def search() -> Hits:
        if file is None:
            return database.search_values(engine, request.customer)
        engine.dispose()  # so that the files are as they will stay
        return database.search(file, request.customer)

    hint = (
        "rows of other customers name this one, or something uses the store: stop it, "
        "then erase again"
    )
    name = shown if file is None else str(file)
    return Place(
        name,
        "store",
        lambda: deleting.count_rows(engine, ids),
        remove,
        search,
        hint,
        engine.dispose,
    )
