"""The timeline of a customer: each event of the store in the chart and in the table, in words."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from stagecast.features.shop.clock import ShopClock
from stagecast.serving.reports.past_events import past_events, story_rows
from stagecast.serving.reports.timeline_chart import HIGHEST, LEFT, RIGHT, timeline_chart
from stagecast.serving.store.plan_tables import contacts
from stagecast.serving.store.timelines import DayEvents, Past
from tests.serving import published
from tests.serving.pages.test_new_places import text

NAME = "a"
HOSTILE = "<img src=x onerror=alert(1)>"
EVENTS = [
    ["1997-12-20", "rating", 1, 4.0],
    ["1997-12-12", "purchase", 3, 40.0],
    ["1997-11-20", "email_sent", 2, None],
    ["1997-11-05", "refund", 1, 12.0],
    ["1997-11-01", "purchase", 1, 80.0],
    ["1997-10-20", HOSTILE, 1, None],
]


def publish(store, events=EVENTS, left_out=0):
    row = published.a_score(
        NAME,
        np.random.default_rng(1),
        stage="repeat",
        state="active",
        stage_since=datetime(1997, 12, 12, tzinfo=UTC),
        recency_days=20.0,
        tenure_days=73.0,
        next_order_date=date(1998, 1, 20),
    )
    past = [] if events is None else [[(NAME, json.dumps([left_out, *events]))]]
    published.put(store, published.table([row]), past=past)


def table_rows(page: str) -> list[tuple[str, ...]]:
    """Return the cells of the table of the timeline, without tags."""
    part = page.partition('<table class="plain-table timeline">')[2].partition("</table>")[0]
    rows = re.findall(r"<tr class=.*?</tr>", part, re.DOTALL)
    plain = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [tuple(re.sub(r"<(?!/?s>)[^>]*>", "", cell) for cell in cells) for cells in plain]


def test_every_event_is_a_row_and_a_refund_is_crossed_out(web, store) -> None:
    publish(store)
    page = web.get(f"/customers/{NAME}").text
    assert table_rows(page) == [
        ("1997-10-20", "\u2068&lt;img src=x onerror=alert(1)&gt;\u2069", ""),
        ("1997-11-01", "Order", "80"),
        ("1997-11-05", "Refund", "<s>12</s>"),
        ("1997-11-20", "Contact: \u2068e-mail sent\u2069 2 times", ""),
        ("1997-12-12", "Order", "40"),
        ("1997-12-12", "Stage: Repeat", ""),
        ("1997-12-20", "Rating", "4"),
        ("1998-01-01", "Scores of this day", ""),
        ("1998-01-20", "Next order, as likely as not by this day", ""),
        ("1998-04-01", "End of the horizon of 90 days", ""),
    ]
    assert HOSTILE not in page
    assert "holds no events" not in page


def test_without_events_the_page_says_so_and_shows_what_the_score_knows(web, store) -> None:
    publish(store, None)
    page = web.get(f"/customers/{NAME}").text
    assert "The store holds no events of this customer" in page
    assert ("1997-12-12", "Last order", "") in table_rows(page)
    answer = web.get(f"/v1/customers/{NAME}").json()
    assert answer["past_events"] is answer["past_days_left_out"] is None


def test_the_api_answers_the_events_and_how_many_days_are_left_out(web, store) -> None:
    publish(store, EVENTS[:3], left_out=7)
    answer = web.get(f"/v1/customers/{NAME}").json()
    assert answer["past_days_left_out"] == 7
    assert answer["past_events"] == [
        {"day": day, "kind": kind, "event": event, "count": count, "amount": amount}
        for (day, event, count, amount), kind in zip(
            EVENTS[:3], ("rating", "order", "contact"), strict=True
        )
    ]
    assert "7 earlier days with events are not shown" in text(web, f"/customers/{NAME}")


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("ru", ("Возврат", "Контакт: \u2068письмо отправлено\u2069 2 раза", "01.11.1997")),
        ("fa", ("برگشتی", "۲ بار", "۱۳۷۶/۰۸/۱۰")),
    ],
)
def test_it_is_said_in_the_language_of_the_page(web, store, language, words) -> None:
    publish(store)
    page = text(web, f"/customers/{NAME}?lang={language}")
    for each in words:
        assert each in page


def test_contacts_of_the_log_stand_there_once_and_those_of_uploads_too(web, store) -> None:
    publish(store)
    with store.engine.begin() as connection:
        # one that the log told of is older than the events that are stored
        for source, month, day in (("log", 3, 1), ("log", 11, 20), ("upload", 11, 25)):
            at = datetime(1997, month, day, 9, tzinfo=UTC)
            values = {"customer_id": NAME, "contacted_at": at, "source": source}
            connection.execute(contacts.insert().values(**values))
    rows = table_rows(web.get(f"/customers/{NAME}").text)
    assert [row[:2] for row in rows if "ontact" in row[1]] == [
        ("1997-11-20", "Contact: \u2068e-mail sent\u2069 2 times"),
        ("1997-11-25", "Contacted, by an uploaded list"),
    ]


def test_after_an_erasure_nothing_of_it_is_answered(web, store) -> None:
    publish(store)
    assert web.request("DELETE", f"/v1/customers/{NAME}").status_code == 204
    assert web.get(f"/v1/customers/{NAME}").status_code == 404
    assert web.get(f"/customers/{NAME}").status_code == 404


def rows_of(*events: DayEvents, as_of: date = date(1998, 1, 1)) -> list[dict[str, object]]:
    entries = [
        {"at": as_of.isoformat(), "kind": "today", "what": None},
        {"at": (as_of + timedelta(days=90)).isoformat(), "kind": "horizon", "what": None},
    ]
    return story_rows(entries, past_events(Past(events, 0)), ShopClock())


def test_marks_stand_in_proportion_of_time_and_of_amounts() -> None:
    rows = rows_of(
        DayEvents("1997-12-02", "purchase", 1, 50.0),
        DayEvents("1997-10-03", "purchase", 1, 100.0),
        DayEvents("1997-11-17", "refund", 1, 10.0),
    )
    chart = timeline_chart(rows)
    assert chart is not None
    # 90 days before and 90 days after today
    assert chart.today == pytest.approx((LEFT + RIGHT) / 2)
    places = {mark.kind: mark.x for mark in chart.marks}
    assert places["refund"] == pytest.approx(LEFT + (RIGHT - LEFT) / 4)
    assert [mark.height for mark in chart.marks[:1]] == [HIGHEST]
    assert chart.largest == chart.marks[0]
    assert chart.silence == (places["order"], pytest.approx(chart.today - places["order"]))
    mirrored = timeline_chart(rows, mirrored=True)
    assert mirrored is not None
    for mark, other in zip(chart.marks, mirrored.marks, strict=True):
        assert other.x == pytest.approx(100 - mark.x, abs=0.011)


def test_the_axis_begins_with_the_first_event_that_is_shown() -> None:
    rows = rows_of(DayEvents("1997-12-02", "purchase", 1, None))
    early = {"day": "1990-01-01", "kind": "first_event", "what": None, "count": 1, "amount": None}
    chart = timeline_chart([early, *rows], left_out=True)
    whole = timeline_chart([early, *rows])
    assert chart is not None
    assert whole is not None
    assert (chart.start, whole.start) == ("1997-12-02", "1990-01-01")
    assert "first_event" not in chart.kinds
    assert chart.largest is None
