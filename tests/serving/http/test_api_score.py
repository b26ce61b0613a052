"""POST /v1/score: what goes in is read strictly, what comes out is the contract; no body makes a
500.
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from stagecast.features.errors import NotEnoughDataError
from stagecast.features.requests import Event
from tests.serving import published, web
from tests.waiting import LIMIT_SECONDS

AS_OF = "1998-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def scorer():
    return web.FakeScorer()


@pytest.fixture(scope="module")
def api(tmp_path_factory, scorer):
    app = web.app_with(tmp_path_factory.mktemp("score"), scorer=scorer, max_body_bytes=1_000_000)
    with web.client(app) as client:
        yield client


def event(**fields) -> dict:
    return {"timestamp": "1997-06-01T00:00:00Z", "event": "purchase", "amount": 10.0} | fields


def customer(name="a", *events: dict, **fields) -> dict:
    return {"customer_id": name, "attributes": {}, "events": list(events) or [event()]} | fields


def asking(*customers: dict, as_of: str | None = AS_OF) -> dict:
    return {"as_of": as_of, "customers": list(customers)}


def read(api, scorer, *events: dict) -> tuple[Event, ...]:
    """Return the events as the scorer was given them."""
    answer = api.post("/v1/score", json=asking(customer("a", *events)))
    assert answer.status_code == 200, answer.text
    return scorer.asked[-1][0][0].events


def refusal(api, body: dict, status: int = 422) -> dict:
    """Return the problem that a body gets."""
    answer = api.post("/v1/score", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) >= {"type", "title", "status", "detail"}
    # as RFC 9110 has it, whatever the version of Python
    assert problem["title"] == "Unprocessable Content" or status != 422
    assert problem["status"] == status
    return problem


def test_scores_come_in_the_order_of_the_customers(api):
    names = ["b", "a", *published.HOSTILE_IDS]
    answer = api.post("/v1/score", json=asking(*map(customer, names)))
    assert answer.status_code == 200
    result = answer.json()
    assert (result["model_version"], result["as_of"]) == ("fake-1", AS_OF)
    assert [score["customer_id"] for score in result["scores"]] == names
    assert sum(result["scores"][0]["next_stage"].values()) == pytest.approx(1)


def test_the_as_of_is_now_where_it_is_left_out(api, scorer):
    before = datetime.now(UTC)
    assert api.post("/v1/score", json={"customers": [customer()]}).status_code == 200
    assert before <= scorer.asked[-1][1] <= before + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1997-06-01", datetime(1997, 6, 1, tzinfo=UTC)),
        ("1997-06-01T12:00:00", datetime(1997, 6, 1, 12, tzinfo=UTC)),
        ("1997-06-01T12:00:00+02:00", datetime(1997, 6, 1, 10, tzinfo=UTC)),
        ("1997-06-01 12:00:00.123456Z", datetime(1997, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)),
    ],
)
def test_instants_are_utc_and_a_date_is_its_midnight(api, scorer, text, instant):
    (actual,) = read(api, scorer, event(timestamp=text))
    assert actual.timestamp == instant
    assert actual.timestamp.utcoffset() == timedelta(0)


def test_events_are_read_as_the_batch_reader_reads_them(api, scorer):
    actual = read(
        api,
        scorer,
        event(event=" Purchase ", channel=" web "),
        event(event="REFUND", amount=-3.5),
        event(event="visit", amount=None, timestamp="1997-06-02"),
    )
    assert [(e.event, e.amount, e.channel) for e in actual] == [
        ("purchase", 10.0, "web"),
        ("refund", 3.5, None),
        ("visit", None, None),
    ]


def test_category_and_discount_are_read_as_the_batch_reader_reads_them(api, scorer):
    actual = read(
        api,
        scorer,
        event(category=" Tea ", discount=-2.5),
        event(category=" ", discount=0),
        event(event="visit", amount=None, category="Tea"),
        event(event="visit", amount=None, category="Coffee"),
    )
    assert [(e.category, e.discount) for e in actual] == [
        ("Tea", 2.5),
        (None, 0.0),
        ("Tea", None),
        ("Coffee", None),
    ]


def test_an_event_sent_twice_is_one_event(api, scorer):
    again, numbered = event(), event(event_id="7", amount=1.0)
    actual = read(
        api, scorer, again, again, numbered, numbered | {"amount": 2.0}, event(event_id="8")
    )
    assert [(e.event_id, e.amount) for e in actual] == [(None, 10.0), ("7", 1.0), ("8", 10.0)]


@pytest.mark.parametrize(
    "late",
    [
        {"timestamp": AS_OF},
        {"timestamp": "1998-02-01"},
        {"recorded_at": AS_OF},
        {"recorded_at": "1998-01-02"},
    ],
)
def test_a_customer_with_nothing_before_the_as_of_is_named(api, late):
    problem = refusal(api, asking(customer("early"), customer("late", event(**late))))
    assert "events: no event stands before the as_of 1998-01-01T00:00:00Z" in problem["detail"]
    assert problem["errors"][0]["where"] == "customers[1].events"


@pytest.mark.parametrize(
    ("body", "where", "says"),
    [
        (
            asking(customer(17850)),
            "customers[0].customer_id",
            'customer ids are text: write "17850"',
        ),
        (asking(customer(" ")), "customers[0].customer_id", "names no customer"),
        (asking(customer("NaN")), "customers[0].customer_id", "names no customer"),
        (
            asking(
                customer(""),
            ),
            "customers[0].customer_id",
            "length >= 1",
        ),
        (asking(customer("a"), customer("a ")), "customers[1].customer_id", "stands twice"),
        (asking(), "customers", "length >= 1"),
        (asking(*[customer(str(i)) for i in range(1001)]), "customers", "length <= 1000"),
        (
            asking(customer("a", *[{"timestamp": "1997"}] * 10_001)),
            "customers[0].events",
            "length <= 10000",
        ),
        (asking(customer("a", event(amount="ten"))), "customers[0].events[0].amount", "got `str`"),
        (asking(customer("a", event(amount=True))), "customers[0].events[0].amount", "got `bool`"),
        (
            asking(customer("a", event(), event(amount=-1))),
            "customers[0].events[1].amount",
            "'refund'",
        ),
        (asking(customer("a", event(amount=1e12))), "customers[0].events[0].amount", "beyond"),
        (
            asking(customer("a", event(), event(amount=None))),
            "customers[0].events[1].amount",
            "write 0",
        ),
        (
            asking(customer("a", *[event(amount=9e10, event_id=str(i)) for i in range(12)])),
            "customers[0].events",
            "1e+12",
        ),
        (
            asking(customer("a", event(discount="10%"))),
            "customers[0].events[0].discount",
            "got `str`",
        ),
        (
            asking(customer("a", event(discount=True))),
            "customers[0].events[0].discount",
            "got `bool`",
        ),
        (asking(customer("a", event(discount=-1e12))), "customers[0].events[0].discount", "beyond"),
        (
            asking(customer("a", *[event(discount=9e10, event_id=str(i)) for i in range(12)])),
            "customers[0].events",
            "discounts come to more than 1e+12",
        ),
        (asking(customer("a", event(category=7))), "customers[0].events[0].category", "got `int`"),
        (
            asking(customer("a", event(category="x" * 257))),
            "customers[0].events[0].category",
            "length <= 256",
        ),
        (
            asking(customer("a", event(timestamp="01/06/1997"))),
            "customers[0].events[0].timestamp",
            "1997-06-01",
        ),
        (
            asking(customer("a", event(timestamp=865123200))),
            "customers[0].events[0].timestamp",
            "got `int`",
        ),
        (
            asking(customer("a", event(timestamp="0001-01-01T00:00+09"))),
            "customers[0].events[0].timestamp",
            "ISO",
        ),
        (
            asking(customer("a", event(recorded_at="soon"))),
            "customers[0].events[0].recorded_at",
            "ISO",
        ),
        (asking(customer("a", event(event=" "))), "customers[0].events[0].event", "names no type"),
        (
            asking(customer("a", event(amonut=3))),
            "customers[0].events[0]",
            "Did you mean 'amount'?",
        ),
        (asking(customer("a"), as_of="9999-12-31"), "as_of", "1900 to 2200"),
        (asking(customer("a"), as_of="tomorrow"), "as_of", "ISO"),
        (asking(customer("a", attributes=[])), "customers[0].attributes", "got `array`"),
        ({"customer": []}, "the body", "Did you mean 'customers'?"),
        ({}, "the body", "missing required field `customers`"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fault_is_named_with_its_place(api, body, where, says):
    problem = refusal(api, body)
    assert problem["errors"][0]["where"] == where
    assert says in problem["errors"][0]["problem"]
    assert where in problem["detail"]


def test_all_faults_are_told_but_no_more_than_twenty(api):
    problem = refusal(
        api, asking(customer("a", *[event(timestamp="x", event_id=str(i)) for i in range(50)]))
    )
    assert 10 <= len(problem["errors"]) <= 20
    assert problem["errors_left_out"] == 50 - len(problem["errors"])


def shaped(*, name='"a"', amount="1", more="") -> str:
    return (
        f'{{"as_of":"{AS_OF}","customers":[{{"customer_id":{name},'
        f'"events":[{{"timestamp":"1997-06-01","amount":{amount}}}]{more}}}]}}'
    )


HOSTILE = {
    "empty": b"",
    "no json": b"customer_id,timestamp",
    "byte order mark": "\ufeff".encode() + shaped().encode(),
    "utf-16": shaped().encode("utf-16"),
    "bytes that are no text": b'{"customers":[{"customer_id":"\xff\xfe"}]}',
    "surrogate as bytes": b'{"customers":[{"customer_id":"\xed\xa0\x80","events":[]}]}',
    "NaN": shaped(amount="NaN"),
    "Infinity": shaped(amount="Infinity"),
    "-Infinity": shaped(amount="-Infinity"),
    "1e400": shaped(amount="1e400"),
    "-1e400": shaped(amount="-1e400"),
    "5000 digits": shaped(amount="9" * 5000),
    "lone high surrogate": shaped(name='"\\ud800"'),
    "lone low surrogate": shaped(name='"a\\udfff"'),
    "surrogate in an unknown field": '{"\\ud800": 1}',
    "1e400 in attributes": shaped(more=',"attributes":{"x":1e400}'),
    "surrogate in attributes": shaped(more=',"attributes":{"\\ud800":"\\udc00"}'),
    "10000 arrays": "[" * 10_000,
    "10000 arrays, closed": "[" * 10_000 + "]" * 10_000,
    "10000 objects": '{"a":' * 10_000,
    "deep attributes": shaped(more=',"attributes":{"a":' + "[" * 10_000 + "]" * 10_000 + "}"),
    "null": "null",
    "a number": "1e400",
    "a text": '"\\ud800"',
    "trailing text": shaped() + "x",
    "cut off": shaped()[:-3],
    "customers as an object": '{"customers":{"a":1}}',
    "events as text": '{"customers":[{"customer_id":"a","events":"x"}]}',
    "long field": '{"customers":[{"customer_id":"' + "x" * 900_000 + '","events":[]}]}',
    "long name of a field": '{"' + "x" * 900_000 + '":1}',
    "long instant": f'{{"as_of":"{"9" * 900_000}","customers":[]}}',
    "null character": shaped(name='"\\u0000"', amount='"\\u0000"'),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_body_makes_a_fault_of_the_server_and_none_is_sent_back(api, name):
    answer = api.post_text("/v1/score", HOSTILE[name])
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) <= 2048
    assert all(fault.keys() == {"where", "problem"} for fault in answer.json().get("errors", []))
    assert api.post_text("/v1/customers/lookup", HOSTILE[name]).status_code in (400, 422)


def test_of_a_key_that_stands_twice_the_last_counts(api, scorer):
    assert api.post_text("/v1/score", shaped(more=',"customer_id":"b"')).status_code == 200
    assert scorer.asked[-1][0][0].customer_id == "b"


def test_a_body_beyond_the_limit_is_refused_announced_or_not(api):
    piece = b" " * 100_000
    for body in (piece * 11, web.chunked(*[piece] * 11)):
        answer = api.post_text("/v1/score", body)
        assert answer.status_code == 413
        assert "longer than 1000000 bytes" in answer.json()["detail"]


def test_a_body_that_claims_to_be_endless_is_refused(api):
    huge = {"content-type": "application/json", "content-length": "9" * 5000}
    assert api.post("/v1/score", content=b"{}", headers=huge).status_code == 413


def test_a_body_just_within_the_limit_is_taken_in_pieces(api):
    text = json.dumps(asking(customer())).encode()
    padded = text + b" " * (1_000_000 - len(text))
    assert api.post_text("/v1/score", web.chunked(padded[:500], padded[500:])).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "", "multipart/form-data; boundary=x", "application/json2"]
)
def test_only_json_is_taken(api, kind):
    answer = api.post(
        "/v1/score", content=json.dumps(asking(customer())), headers={"content-type": kind}
    )
    assert answer.status_code == 415
    assert "Content-Type: application/json" in answer.json()["detail"]


def test_json_may_name_its_character_set(api):
    headers = {"content-type": "application/json; charset=utf-8"}
    assert (
        api.post("/v1/score", content=json.dumps(asking(customer())), headers=headers).status_code
        == 200
    )


def test_what_the_scorer_refuses_is_told_and_what_breaks_in_it_is_not(tmp_path):
    report = web.FakeScorer(NotEnoughDataError("customer 'a' has no purchase"))
    with web.client(web.app_with(tmp_path, scorer=report)) as api:
        answer = api.post("/v1/score", json=asking(customer()))
        assert (answer.status_code, answer.json()["detail"]) == (
            422,
            "customer '…' has no purchase",
        )
    broken = web.FakeScorer(ZeroDivisionError("secret of the inside"))
    with web.client(web.app_with(tmp_path, scorer=broken)) as api:
        answer = api.post("/v1/score", json=asking(customer()))
        assert answer.status_code == 500
        assert answer.headers["content-type"] == "application/problem+json"
        assert "secret" not in answer.text


def test_without_a_model_it_says_how_to_start_with_one(tmp_path):
    with web.client(web.app_with(tmp_path)) as api:
        problem = refusal(api, asking(customer()), 503)
        assert "stagecast serve --model" in problem["detail"]


def test_the_server_answers_while_it_scores(tmp_path):
    go_on = threading.Event()

    class Slow(web.FakeScorer):
        def score_customers(self, customers, as_of):
            assert go_on.wait(LIMIT_SECONDS)
            return super().score_customers(customers, as_of)

    with web.client(web.app_with(tmp_path, scorer=Slow())) as api:
        answers = []
        asker = threading.Thread(
            target=lambda: answers.append(api.post("/v1/score", json=asking(customer())))
        )
        asker.start()
        try:
            assert api.get("/livez").status_code == 200
            assert answers == []
        finally:
            go_on.set()
            asker.join()
        assert answers[0].status_code == 200
