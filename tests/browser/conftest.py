"""A server on a port of its own, and a real Chromium that looks at it."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from stagecast.serving.store.store import Store
from tests.serving import published
from tests.serving.web import KEY, app_with

if TYPE_CHECKING:
    from fastapi import FastAPI
    from playwright.sync_api import Browser, Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LOYAL = 40
"""Customers of the store who have the play of the loyal who may leave."""

EVENTS = """[2, ["1997-12-20", "rating", 1, 4.0], ["1997-12-12", "purchase", 1, 40.0],
["1997-11-20", "email_sent", 2, null], ["1997-11-05", "refund", 1, 12.0],
["1997-11-01", "purchase", 1, 80.0], ["1997-10-20", "<b>visit</b>", 1, null]]"""
MANY = json.dumps([0, *([f"1997-11-{day:02d}", "purchase", 1, 9.0] for day in range(28, 0, -1))])
PAST = [("c0001", EVENTS), ("c0002", MANY)]
"""Events of some customers."""


def chromium() -> str | None:
    """Return the path of a Chromium on this machine."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def rows() -> list[dict[str, Any]]:
    """Return scores, some of them of loyal customers who may leave, and of hostile ids."""
    made = published.scores(120, extra=published.HOSTILE_IDS).to_pylist()
    loyal = [row for row in made if row["churn_probability"] is not None][:LOYAL]
    for row in loyal:
        row["play"] = "loyal_going_quiet"
    return made


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = published.open_store(
        tmp_path_factory.mktemp("browser"), published.table(rows()), past=[PAST]
    )
    yield opened
    opened.close()


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an application, and give its address."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def address(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server of the store."""
    with serving(app_with(tmp_path_factory.mktemp("server"), store=store)) as made:
        yield made


@pytest.fixture(scope="module")
def locked_address(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server of the store that needs a key, which is :data:`tests.serving.web.KEY`."""
    app = app_with(tmp_path_factory.mktemp("locked"), store=store, api_keys=(KEY,))
    with serving(app) as made:
        yield made


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(SWITCHES))
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page of the server; what the browser refuses or fails at ends the test."""
    context = browser.new_context(base_url=address, accept_downloads=True)
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    opened.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
    opened.on(
        "request", lambda asked: faults.append(asked.url) if address not in asked.url else None
    )
    yield opened
    context.close()
    assert faults == []
