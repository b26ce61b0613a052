"""The places that an erasure covers: those that the user names, and the default ones.

Default places are the store, the runs of stagecast in MLflow, ``./stagecast-demo`` if the user
names neither a run nor a log, and files that killed processes of stagecast left beside these.
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
from stagecast.serving.erasure.csv_logs import LogOptions
from stagecast.serving.erasure.customer_column import DEFAULT_COLUMN
from stagecast.serving.erasure.file_places import Place, leftover_place, log_place, run_file_place
from stagecast.serving.erasure.identity import Customer
from stagecast.serving.erasure.occurrences import Hits
from stagecast.serving.erasure.replacing import DRAFT_PREFIX
from stagecast.serving.runs.files import OF_A_RUN
from stagecast.serving.store import deleting
from stagecast.serving.store.opening import open_engine
from stagecast.serving.store.tables import store_version

DEMO_FOLDER = Path("stagecast-demo")
_IDS_LENGTH_MAX = 200


@dataclass(frozen=True)
class Request:
    """A request to erase a customer.

    Parameters
    ----------
    log_options
        The customer, and how to read the logs.
    events
        Logs, as the user names them.
    runs
        Folders of runs. If there are neither runs nor logs: the demo's run, if it exists.
    store, tracking_uri
        URLs of the store and of MLflow.
    required
        Those of ``store`` and ``tracking_uri`` that the user names, so that they have to exist.
    """

    log_options: LogOptions
    events: tuple[str, ...] = ()
    runs: tuple[Path, ...] = ()
    store: str = "sqlite:///stagecast.db"
    tracking_uri: str = "sqlite:///mlflow.db"
    required: frozenset[str] = frozenset()

    @property
    def customer(self) -> Customer:
        """The customer to erase."""
        return self.log_options.customer


def gather_places(con: duckdb.DuckDBPyConnection, request: Request) -> list[Place]:
    """Return the places of a request, logs first; nothing is changed.

    Raises
    ------
    StagecastError
        A place that the request names does not exist, or cannot be changed.
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
            raise _read_only_error(text, request)
    for name in find_files(request.events) if request.events else ():
        path = Path(name)
        yield log_place(con, path, request.log_options)
        draft = path.with_name(f".{path.name}.draft")
        if draft.is_file():
            yield leftover_place(con, draft, request.customer)


def _read_only_error(url: str, request: Request) -> UsageError:
    """Return the error for a log in a database, with the SQL that removes the customer there."""
    table = re.search(r"[?&]table=([^&]+)", url)
    column = '"' + (request.log_options.column or DEFAULT_COLUMN).replace('"', '""') + '"'
    ids = ", ".join(map(quote_text, request.customer.forms))
    ids = ids if len(ids) <= _IDS_LENGTH_MAX else "the id"
    condition = f"trim(CAST({column} AS VARCHAR)) IN ({ids})"
    table_name = table[1] if table else "TABLE"
    return UsageError(
        f"EVENTS names a database ({url.partition('://')[0]}), which stagecast only "
        "reads. Run there yourself: "
        f"DELETE FROM {table_name} WHERE {condition}; then erase again without it"
    )


def _is_run(folder: Path) -> bool:
    names = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    return bool(names) and all(name in OF_A_RUN or name.startswith(DRAFT_PREFIX) for name in names)


def _run(con: duckdb.DuckDBPyConnection, folder: Path, customer: Customer) -> Iterator[Place]:
    """Yield the files of a run, and of the folders that killed runs left beside it."""
    folder = Path(folder.resolve()) if folder.name in ("", "..") else folder
    siblings = [folder.with_name(f".{folder.name}.{ending}") for ending in ("draft", "old")]
    leftover_folders = [sibling for sibling in siblings if sibling.is_dir()]
    if not folder.is_dir() and not leftover_folders:
        raise UsageError(f"--run {folder} is no folder; give the --out of a run")
    expected = (*OF_A_RUN, "manifest.json")
    if folder.is_dir() and not any((folder / name).exists() for name in expected):
        raise UsageError(
            f"--run {folder} holds no run ({', '.join(OF_A_RUN)}); give the --out of a run"
        )
    for path in _files(folder):
        make_place = leftover_place if path.suffix == ".draft" else run_file_place
        yield make_place(con, path, customer)
    for leftover_folder in leftover_folders:
        for path in _files(leftover_folder):
            yield leftover_place(con, path, customer)


def _files(folder: Path) -> list[Path]:
    # sorted: the erasure from data-report.json needs rejected.parquet, which comes after it
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(DRAFT_PREFIX)
    )


def _mlflow(con: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Place]:
    uri, customer = request.tracking_uri, request.customer
    path = tracked.local_store(uri)
    if path is None and not uri.startswith("postgresql"):
        yield _out_of_reach(
            uri, "mlflow", "MLflow is a server; erase on its machine, where its files are"
        )
        return
    if path is not None and not path.exists():
        if "tracking_uri" in request.required:
            raise UsageError(f"--tracking-uri {uri}: {path} does not exist")
        return
    for root, folder in tracked.artefact_folders(uri):
        if folder is None:
            yield _out_of_reach(
                root, "mlflow", "the artefacts are not on this machine; remove report.html there"
            )
            continue
        for artefact in _files(folder):
            yield run_file_place(con, artefact, customer, "mlflow")
    if path is not None and path.is_file() and not customer.ambiguous:
        hint = "MLflow's own records are not changed: remove the run, tag or note there (mlflow gc)"
        yield Place(
            str(path), "mlflow", lambda: 0, lambda: 0, lambda: database.search(path, customer), hint
        )


def _out_of_reach(name: str, kind: str, cause: str) -> Place:
    """Return a place whose removal raises an error, since this machine cannot access it."""

    def refuse() -> int:
        raise UsageError(f"not done: {cause}")

    return Place(name, kind, lambda: 0, refuse, Hits)


def _store(request: Request) -> Place | None:
    url = request.store
    url_text = sa.make_url(url).render_as_string(hide_password=True)
    file = database.sqlite_file(url)
    if file is not None and not file.exists():
        if "store" in request.required:
            raise UsageError(f"--store {url_text}: {file} does not exist")
        return None
    if file is not None and not database.has_table(file, store_version.name):
        raise UsageError(
            f"--store {url_text}: {file} is not a store of stagecast; name the right one"
        )
    engine, ids = open_engine(url), request.customer.forms

    def remove() -> int:
        rows = deleting.delete_rows(engine, ids)
        if rows or search().count:
            deleting.purge(engine)
        return rows

    def search() -> Hits:
        if file is None:
            return database.search_values(engine, request.customer)
        engine.dispose()  # closes the files, so that SQLite removes its write-ahead log
        return database.search(file, request.customer)

    hint = (
        "rows of other customers name this one, or something uses the store: stop it, "
        "then erase again"
    )
    name = url_text if file is None else str(file)
    return Place(
        name,
        "store",
        lambda: deleting.count_rows(engine, ids),
        remove,
        search,
        hint,
        engine.dispose,
    )
