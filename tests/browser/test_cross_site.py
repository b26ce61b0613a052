"""A foreign page in the same browser can change nothing here."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from stagecast.serving.store.store import Store
from stagecast.serving.targeting.plan.book import PlanBook

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

PLAN = '{"name": "stolen", "contacts": 5}'


@pytest.fixture
def foreign() -> Iterator[str]:
    """Address of a page of somebody else."""

    class Foreign(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>foreign</title><body>")

        def log_message(self, format: str, *args: object) -> None:
            pass

    # the browser opens connections ahead on which it sends nothing, each of which holds a thread
    server = ThreadingHTTPServer(("127.0.0.1", 0), Foreign)
    server.daemon_threads, server.block_on_close = True, False
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_form_of_a_foreign_page_is_refused(
    browser: Browser, address: str, foreign: str, store: Store, kind: str
) -> None:
    page = browser.new_page()
    page.goto(foreign)
    with page.expect_response(f"{address}/v1/plans") as answer:
        page.evaluate(
            """([address, kind, plan]) => {
              const form = document.createElement("form");
              Object.assign(form, { method: "post", action: address + "/v1/plans", enctype: kind });
              const field = document.createElement("input");
              Object.assign(field, { name: plan.slice(0, -2), value: '"}' });
              form.append(field);
              document.body.append(form);
              form.submit();
            }""",
            [address, kind, PLAN],
        )
    assert answer.value.status == 415
    page.close()
    assert "stolen" not in {plan.name for plan in PlanBook(store.engine).plans()}


def test_a_script_of_a_foreign_page_can_neither_write_nor_read(
    browser: Browser, address: str, foreign: str, store: Store
) -> None:
    page = browser.new_page()
    page.goto(foreign)
    for method, kind in (("POST", "application/json"), ("GET", "")):
        outcome = page.evaluate(
            """([url, method, kind, plan]) => fetch(url, method === "GET" ? {} :
              { method, headers: { "Content-Type": kind }, body: plan })
              .then((answer) => answer.text(), (error) => "refused: " + error.name)""",
            [f"{address}/v1/{'plans' if method == 'POST' else 'customers'}", method, kind, PLAN],
        )
        assert outcome == "refused: TypeError"
    page.close()
    assert "stolen" not in {plan.name for plan in PlanBook(store.engine).plans()}
