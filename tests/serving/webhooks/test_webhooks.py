"""Webhooks against a real HTTP server on this machine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from stagecast.features.errors import UsageError
from stagecast.serving.settings import Settings
from stagecast.serving.store.store import Store
from stagecast.serving.store.webhook_tables import webhooks
from stagecast.serving.targeting.plan.book import PlanBook
from stagecast.serving.targeting.plan.observed import observed_at_end
from stagecast.serving.targeting.plan.results import list_of, read_out_plan
from stagecast.serving.targeting.plan.terms import Terms
from stagecast.serving.webhooks import outbox
from stagecast.serving.webhooks.courier import Courier
from stagecast.serving.webhooks.delivery import (
    GIVE_UP_DAYS,
    RETRY_AFTER,
    deliver_due,
    signature,
)
from stagecast.serving.webhooks.receiver import Receiver, receiver_of
from tests.serving import published
from tests.waiting import wait_until

SECRET = "0123456789abcdef01234567"
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@dataclass
class Inbox:
    """What a server got, and what it answers."""

    url: str = ""
    status: list[int] = field(default_factory=list)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.requests]


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    inbox = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            inbox.requests.append(({k.lower(): v for k, v in self.headers.items()}, body))
            status = inbox.status.pop(0) if inbox.status else 204
            self.send_response(status)
            if status == 302:
                self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    inbox.url = f"http://127.0.0.1:{server.server_port}/hook"
    yield inbox
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{tmp_path / 'stagecast.db'}")
    yield store
    store.close()


def add_moves(store: Store, now: datetime = NOW) -> None:
    with store.engine.begin() as connection:
        outbox.add_moves(connection, now)


def two_runs(store: Store, customers: int = 40) -> None:
    earlier = published.AS_OF - timedelta(days=30)
    published.put(
        store,
        published.scores(customers, seed=1, as_of=earlier),
        published.scores(customers, seed=2),
    )


def rows(store: Store) -> list[Any]:
    with store.engine.connect() as connection:
        return list(connection.execute(sa.select(webhooks).order_by(webhooks.c.id)))


def test_who_moved_since_the_run_before_is_sent_with_both_stages(store, inbox) -> None:
    two_runs(store)
    add_moves(store)
    assert deliver_due(store.engine, Receiver(inbox.url, SECRET), NOW) == 1
    (body,) = inbox.bodies()
    assert body["type"] == "customers.moved"
    moved = {row["customer_id"]: row for row in body["data"]["customers"]}
    earlier = published.AS_OF - timedelta(days=30)
    before = {r["customer_id"]: r for r in published.scores(40, seed=1, as_of=earlier).to_pylist()}
    for now in published.scores(40, seed=2).to_pylist():
        then = before[now["customer_id"]]
        step = abs((now["churn_probability"] or 0) - (then["churn_probability"] or 0))
        both = now["churn_band"] is not None and then["churn_band"] is not None
        expected = now["stage"] != then["stage"] or (
            both and now["churn_band"] != then["churn_band"] and step >= 0.1
        )
        assert (now["customer_id"] in moved) == expected
        if expected:
            row = moved[now["customer_id"]]
            assert (row["stage_before"], row["stage"]) == (then["stage"], now["stage"])


def test_the_signature_is_that_of_standard_webhooks(store, inbox) -> None:
    two_runs(store)
    add_moves(store)
    deliver_due(store.engine, Receiver(inbox.url, SECRET), NOW)
    headers, body = inbox.requests[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


def test_a_first_run_sends_nothing(store, inbox) -> None:
    published.put(store, published.scores(10))
    add_moves(store)
    assert deliver_due(store.engine, Receiver(inbox.url, SECRET), NOW) == 0
    assert inbox.requests == []


def test_a_failed_message_is_sent_again_later_with_the_same_id(store, inbox) -> None:
    two_runs(store)
    add_moves(store)
    inbox.status = [500]
    receiver = Receiver(inbox.url, SECRET)
    assert deliver_due(store.engine, receiver, NOW) == 0
    assert deliver_due(store.engine, receiver, NOW) == 0, "not before its time"
    assert rows(store)[0].last_problem == "answered 500"
    later = NOW + timedelta(seconds=RETRY_AFTER[0])
    assert deliver_due(store.engine, receiver, later) == 1
    assert len({headers["webhook-id"] for headers, _ in inbox.requests}) == 1
    assert len({body for _, body in inbox.requests}) == 1
    assert deliver_due(store.engine, receiver, later + timedelta(days=1)) == 0


def test_a_message_is_given_up_after_the_last_attempt(store, inbox) -> None:
    two_runs(store)
    add_moves(store)
    inbox.status = [503] * 99
    now = NOW
    for wait in (0, *RETRY_AFTER):
        now += timedelta(seconds=wait)
        deliver_due(store.engine, Receiver(inbox.url, SECRET), now)
    assert rows(store)[0].failed_at is not None
    assert len(inbox.requests) == len(RETRY_AFTER) + 1
    assert now - NOW < timedelta(days=GIVE_UP_DAYS)


def test_old_messages_are_not_sent_once_an_address_is_set(store, inbox) -> None:
    two_runs(store)
    add_moves(store)
    late = NOW + timedelta(days=GIVE_UP_DAYS, seconds=1)
    assert deliver_due(store.engine, Receiver(inbox.url, SECRET), late) == 0
    assert inbox.requests == []


def test_a_dead_server_leaves_the_message_where_it_is(store) -> None:
    two_runs(store)
    add_moves(store)
    assert deliver_due(store.engine, Receiver("http://127.0.0.1:9/hook", SECRET), NOW) == 0
    assert rows(store)[0].last_problem.startswith("could not be reached")
    assert rows(store)[0].attempts == 1


def test_a_redirect_is_not_followed(store, inbox) -> None:
    two_runs(store)
    add_moves(store)
    inbox.status = [302]
    assert deliver_due(store.engine, Receiver(inbox.url, SECRET), NOW) == 0
    assert len(inbox.requests) == 1
    assert rows(store)[0].last_problem == "answered 302"


def test_more_customers_than_one_message_holds_are_sent_one_message_after_another(
    store, inbox, monkeypatch
) -> None:
    monkeypatch.setattr("stagecast.serving.webhooks.messages.MESSAGE_CUSTOMERS", 7)
    two_runs(store)
    add_moves(store)
    sent = deliver_due(store.engine, Receiver(inbox.url, SECRET), NOW)
    parts = [[row["customer_id"] for row in body["data"]["customers"]] for body in inbox.bodies()]
    assert sent == len(parts) > 2
    assert all(len(part) == 7 for part in parts[:-1])
    ids = [id_ for part in parts for id_ in part]
    assert ids == sorted(set(ids))


def test_an_erased_customer_is_not_sent_and_no_row_holds_an_id(store, inbox) -> None:
    two_runs(store)
    add_moves(store)
    deliver = Receiver(inbox.url, SECRET)
    inbox.status = [500]
    deliver_due(store.engine, deliver, NOW)
    gone = inbox.bodies()[0]["data"]["customers"][0]["customer_id"]
    store.erase(gone)
    deliver_due(store.engine, deliver, NOW + timedelta(minutes=1))
    assert gone not in {row["customer_id"] for row in inbox.bodies()[1]["data"]["customers"]}
    assert all(gone not in json.dumps(row.subject) for row in rows(store))


def test_two_senders_do_not_send_the_same_message_twice(store, inbox) -> None:
    two_runs(store)
    for _ in range(6):
        add_moves(store)
    receiver = Receiver(inbox.url, SECRET)
    threads = [
        threading.Thread(target=deliver_due, args=(store.engine, receiver, NOW)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [headers["webhook-id"] for headers, _ in inbox.requests]
    assert len(ids) == len(set(ids)) == 6


def test_the_server_sends_what_is_due_while_it_runs(store, inbox) -> None:
    two_runs(store)
    courier = Courier(store.engine, Receiver(inbox.url, SECRET), every_seconds=0.05)
    courier.start()
    add_moves(store, datetime.now(UTC))
    wait_until(lambda: len(inbox.requests) == 1)
    courier.stop()


@pytest.mark.parametrize(
    ("url", "secret", "problem"),
    [
        ("http://shop.example/hook", SECRET, "neither https"),
        ("ftp://127.0.0.1/hook", SECRET, "neither https"),
        ("https://", SECRET, "neither https"),
        ("https://shop.example/hook", None, "at least 24"),
        ("https://shop.example/hook", "short", "at least 24"),
    ],
)
def test_an_address_or_secret_that_cannot_be_used_is_refused(url, secret, problem) -> None:
    with pytest.raises(UsageError, match=problem):
        receiver_of(Settings(webhook_url=url, webhook_secret=secret))


def test_without_an_address_nothing_is_sent() -> None:
    assert receiver_of(Settings()) is None


def test_a_secret_of_the_libraries_of_standard_webhooks_is_decoded() -> None:
    key = b"0123456789abcdef01234567"
    text = "whsec_" + base64.b64encode(key).decode()
    digest = hmac.new(key, b"msg_1.5.{}", hashlib.sha256).digest()
    assert signature(text, "msg_1", 5, b"{}") == "v1," + base64.b64encode(digest).decode()
    with pytest.raises(UsageError, match="no Base64"):
        receiver_of(Settings(webhook_url="https://x.example", webhook_secret="whsec_" + "!" * 30))


def frozen_plan(store: Store) -> PlanBook:
    published.put(store, published.scores(80))
    book, run = PlanBook(store.engine), store.current_run()
    assert run is not None
    book.create("autumn", run, Terms(contacts=20, holdout=0.3), owner="Ann")
    book.freeze("autumn")
    return book


def test_a_frozen_plan_and_its_end_are_sent_once(store, inbox) -> None:
    book, receiver = frozen_plan(store), Receiver(inbox.url, SECRET)
    assert deliver_due(store.engine, receiver) == 1
    (body,) = inbox.bodies()
    assert body["type"] == "plan.frozen"
    assert body["data"]["plan"] == "autumn"
    assert body["data"]["owner"] == "Ann"
    assert body["data"]["contacts"] == 20
    for _ in range(2):  # the second read-out of a closed plan is no news
        plan = book.plan("autumn")
        members = list_of(store.engine, plan)
        ids = [row["customer_id"] for row in members]
        rows = {id_: (float(k % 2), 10.0 * (k % 2)) for k, id_ in enumerate(ids)}
        observed = observed_at_end(rows, ids, plan.window_days, plan.ends_at)
        read_out_plan(store.engine, plan, members, observed)
    assert deliver_due(store.engine, receiver) == 1
    assert [body["type"] for body in inbox.bodies()] == ["plan.frozen", "plan.closed"]


def test_a_freezing_that_fails_sends_nothing(store, inbox) -> None:
    published.put(store, published.scores(80))
    book, run = PlanBook(store.engine), store.current_run()
    assert run is not None
    book.create("autumn", run, Terms(contacts=20))
    published.publish(store, published.scores(80))
    with pytest.raises(UsageError, match="newer ones have replaced"):
        book.freeze("autumn")
    assert deliver_due(store.engine, Receiver(inbox.url, SECRET)) == 0


def test_a_sender_that_is_stopped_leaves_the_rest(store, inbox) -> None:
    two_runs(store)
    for _ in range(3):
        add_moves(store)
    receiver = Receiver(inbox.url, SECRET)
    sent = deliver_due(store.engine, receiver, NOW, stopped=lambda: len(inbox.requests) >= 1)
    assert sent == len(inbox.requests) == 1


def test_an_answer_that_is_no_http_is_a_failed_attempt(store) -> None:
    two_runs(store)
    add_moves(store)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"what?\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert deliver_due(store.engine, Receiver(url, SECRET), NOW) == 0
        thread.join()
    assert rows(store)[0].attempts == 1
