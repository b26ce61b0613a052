"""Contacts of the log: quiet days know them, and they confirm what was sent; in both databases."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
import sqlalchemy as sa

from stagecast.features.events import from_frame
from stagecast.serving.store.plan_tables import contacts
from stagecast.serving.targeting.plan.book import PlanBook
from stagecast.serving.targeting.plan.logged_contacts import store_contacts
from stagecast.serving.targeting.plan.terms import Terms
from tests.serving import published

AS_OF = published.AS_OF
DAY = timedelta(days=1)


def log_of(*rows):
    bought = [("c0001", AS_OF - 20 * DAY, 5.0, "purchase"), ("c0002", AS_OF, 5.0, "purchase")]
    names = ["customer_id", "timestamp", "amount", "event"]
    return from_frame(pd.DataFrame([*bought, *rows], columns=names))


def sent(customer, at, event="contact"):
    return customer, at, None, event


def noted(store) -> dict:
    with store.engine.connect() as connection:
        rows = connection.execute(sa.select(contacts)).all()
    return {(row.customer_id, row.contacted_at): row.source for row in rows}


def test_contacts_before_the_as_of_are_stored_once(store):
    rows = [
        sent("c0001", AS_OF - 3 * DAY),
        sent("c0001", AS_OF - 3 * DAY, "email_sent"),  # the same instant
        sent("c0002", AS_OF - 2 * DAY, "sms_sent"),
        sent("c0002", AS_OF - 2 * DAY, "advert_shown"),
        sent("c0001", AS_OF - 400 * DAY),  # too long ago
        sent("c0002", AS_OF),  # not before the as_of
    ]
    with log_of(*rows) as log:
        for _ in range(2):
            assert store_contacts(store.engine, log, AS_OF) == 2
    assert noted(store) == {
        ("c0001", AS_OF - 3 * DAY): "log",
        ("c0002", AS_OF - 2 * DAY): "log",
    }


def test_a_contact_that_was_uploaded_stays_and_what_a_log_takes_back_goes(store):
    at = AS_OF - 3 * DAY
    with store.engine.begin() as connection:
        row = {"customer_id": "c0001", "contacted_at": at, "source": "upload"}
        connection.execute(contacts.insert(), [row])
    with log_of(sent("c0001", at), sent("c0002", at)) as log:
        store_contacts(store.engine, log, AS_OF)
    assert noted(store) == {("c0001", at): "upload", ("c0002", at): "log"}
    with log_of() as log:
        store_contacts(store.engine, log, AS_OF)
    assert noted(store) == {("c0001", at): "upload"}


@pytest.mark.slow
@pytest.mark.parametrize("part", [1, 3])
def test_the_log_confirms_what_was_sent_and_goes_on_to(store, part):
    book = PlanBook(store.engine)
    book.create("autumn", store.current_run(), Terms(contacts=30, holdout=0.25))
    book.freeze("autumn")
    reached = [row["customer_id"] for row in book.members("autumn", "contact")]
    out = next(row["customer_id"] for row in book.members("autumn", "holdout"))
    first = [sent(id_, AS_OF + DAY) for id_ in reached[:part]]
    with log_of(*first, sent(out, AS_OF + DAY)) as log:
        store_contacts(store.engine, log, AS_OF + 2 * DAY)
    plan = book.plan("autumn")
    assert (plan.state, plan.sent_by, plan.sent_at) == ("sent", "log", AS_OF + DAY)
    with log_of(*first, *(sent(id_, AS_OF + 3 * DAY) for id_ in reached)) as log:
        store_contacts(store.engine, log, AS_OF + 4 * DAY)
    confirmed = {row["customer_id"]: row["confirmed_at"] for row in book.members("autumn")}
    assert confirmed[reached[0]] == AS_OF + DAY
    assert confirmed[reached[-1]] == AS_OF + 3 * DAY
    assert confirmed[out] is None
