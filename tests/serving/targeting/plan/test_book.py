"""The plans of a store: drafts, freezing, the list, what is sent, erasure; in both databases."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.serving.store.plan_tables import contacts, plan_customers, profiles
from stagecast.serving.store.store import Store
from stagecast.serving.targeting.plan.book import PlanBook
from stagecast.serving.targeting.plan.errors import NoSuchPlanError, PlanStateError
from stagecast.serving.targeting.plan.results import confirm_sent, list_of
from stagecast.serving.targeting.plan.terms import Audience, Costs, Rules, Terms
from tests.serving import published
from tests.waiting import LIMIT_SECONDS

pytestmark = pytest.mark.slow

AS_OF = published.AS_OF
DAY = timedelta(days=1)
TERMS = Terms(costs=Costs(contact=0.2), contacts=40, holdout=0.25)


@pytest.fixture
def book(store) -> PlanBook:
    return PlanBook(store.engine)


def frozen(store: Store, name: str = "autumn", terms: Terms = TERMS) -> PlanBook:
    book = PlanBook(store.engine)
    book.create(name, store.current_run(), terms)
    book.freeze(name)
    return book


def arms(book: PlanBook, name: str = "autumn") -> dict[str, str]:
    return {row["customer_id"]: row["arm"] for row in book.members(name)}


def rows_of(store: Store, table: sa.Table) -> list[dict]:
    with store.engine.connect() as connection:
        return [dict(row) for row in connection.execute(sa.select(table)).mappings()]


def test_a_draft_holds_what_was_asked_for_and_no_list(store, book):
    plan, proposal = book.create("autumn", store.current_run(), TERMS, owner="Анна")
    assert (plan.state, plan.owner, plan.frozen_at, plan.digest) == ("draft", "Анна", None, None)
    assert plan.proposal == json.loads(json.dumps(proposal.forecast.to_json()))
    assert rows_of(store, plan_customers) == []
    with pytest.raises(PlanStateError, match="is a draft, and has no list yet"):
        book.members("autumn")


def test_freezing_writes_the_list_that_was_proposed(store, book):
    _, proposal = book.create("autumn", store.current_run(), TERMS)
    plan = book.freeze("autumn")
    members = list(book.members("autumn"))
    assert [row["customer_id"] for row in members] == list(proposal.members.customers.customer_id)
    assert [row["arm"] == "holdout" for row in members] == proposal.members.held_out.tolist()
    assert [row["rank"] for row in members] == list(range(1, len(members) + 1))
    assert plan.state == "frozen"
    assert plan.digest is not None
    only = [row["customer_id"] for row in book.members("autumn", "holdout")]
    assert only == [row["customer_id"] for row in members if row["arm"] == "holdout"]


def test_a_frozen_plan_is_neither_frozen_again_nor_dropped_nor_replaced(store):
    book = frozen(store)
    before = (book.plan("autumn"), arms(book))
    with pytest.raises(PlanStateError, match="is frozen already"):
        book.freeze("autumn")
    with pytest.raises(PlanStateError, match="is frozen, and stays"):
        book.drop("autumn")
    with pytest.raises(PlanStateError, match="there is a plan 'autumn' already"):
        book.create("autumn", store.current_run(), TERMS, replace=True)
    assert (book.plan("autumn"), arms(book)) == before


def test_a_draft_is_replaced_and_dropped(store, book):
    run = store.current_run()
    book.create("autumn", run, Terms(Audience(ids=("c0001", "c0002")), holdout=0.0))
    with pytest.raises(PlanStateError, match="--replace"):
        book.create("autumn", run, TERMS)
    book.create("autumn", run, TERMS, replace=True)
    assert book.plan("autumn").request["contacts"] == 40
    book.drop("autumn")
    with pytest.raises(NoSuchPlanError, match="none was made yet"):
        book.plan("autumn")


@pytest.mark.parametrize("name", ["atumn", "x' OR '1'='1", "a\0b", "\ud800", "🦊" * 500])
def test_an_unknown_name_is_answered_in_short_with_the_nearest(store, name):
    book = frozen(store)
    for ask in (book.plan, book.members, book.freeze, book.cancel, book.drop):
        with pytest.raises(NoSuchPlanError, match="there is no plan") as error:
            ask(name)
        assert len(str(error.value)) < 300
        str(error.value).encode("utf-8")
    if name == "atumn":
        assert "Did you mean 'autumn'" in str(error.value)


def test_a_plan_on_scores_that_were_replaced_is_not_frozen_and_stays_a_draft(store, book):
    book.create("autumn", store.current_run(), TERMS)
    published.publish(store, published.scores(50, as_of=AS_OF + DAY))
    with pytest.raises(PlanStateError, match="newer ones have replaced"):
        book.freeze("autumn")
    assert book.plan("autumn").state == "draft"
    assert rows_of(store, plan_customers) == []


@pytest.mark.parametrize("days", [-1, 90, 4_000])
def test_a_start_of_which_the_scores_say_nothing_is_refused(store, book, days):
    for ask in (
        lambda: book.propose(store.current_run(), TERMS, AS_OF + days * DAY),
        lambda: book.create("x", store.current_run(), TERMS, starts_at=AS_OF + days * DAY),
    ):
        with pytest.raises(UsageError, match="from 1998-01-01 to 1998-04-01"):
            ask()


def test_a_customer_is_in_one_running_plan_alone(store):
    book = frozen(store)
    _, proposal = book.create("winter", store.current_run(), TERMS)
    assert proposal.forecast.left_out["in_running_plan"] == len(arms(book))
    book.freeze("winter")
    assert not set(arms(book)) & set(arms(book, "winter"))


def test_a_cancelled_plan_sets_its_customers_free(store):
    book = frozen(store)
    first = arms(book)
    assert book.cancel("autumn").state == "cancelled"
    book.create("winter", store.current_run(), TERMS)
    book.freeze("winter")
    assert arms(book, "winter") == first
    with pytest.raises(PlanStateError, match="is cancelled"):
        book.cancel("autumn")


def test_a_window_that_is_over_sets_its_customers_free(store, book):
    book.create("short", store.current_run(), Terms(window_days=10, contacts=10, holdout=0.2))
    book.freeze("short")
    run = store.current_run()
    later = book.propose(run, Terms(), AS_OF + 10 * DAY).forecast.left_out
    assert "in_running_plan" not in later
    assert book.propose(run, Terms(), AS_OF + 9 * DAY).forecast.left_out["in_running_plan"] == 12


def test_plans_frozen_at_the_same_time_share_nobody(store, book):
    """The two drafts want the same customers; each is frozen in a thread of its own."""
    names = [f"plan-{k}" for k in range(4)]
    for name in names:
        book.create(name, store.current_run(), TERMS)
    gate, faults = threading.Barrier(len(names)), []

    def freeze(name: str) -> None:
        gate.wait()
        try:
            PlanBook(store.engine).freeze(name)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=freeze, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    listed = [row["customer_id"] for row in rows_of(store, plan_customers)]
    assert len(listed) == len(set(listed)) > 4 * 40


def test_one_draft_that_two_freeze_is_frozen_once(store, book):
    book.create("autumn", store.current_run(), TERMS)
    gate, results = threading.Barrier(2), []

    def freeze() -> None:
        gate.wait()
        try:
            results.append(PlanBook(store.engine).freeze("autumn").state)
        except PlanStateError:
            results.append("refused")

    threads = [threading.Thread(target=freeze) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["frozen", "refused"]
    assert len(rows_of(store, plan_customers)) == len(arms(book))


KILLED_IN_THE_MIDDLE = """
import os, signal, sys
from stagecast.serving.store.store import Store
from stagecast.serving.targeting.plan import book

def die(rows):
    os.kill(os.getpid(), signal.SIGKILL)

book.digest_of = die   # called when all rows are written, and nothing is committed
book.PlanBook(Store.open(sys.argv[1]).engine).freeze("autumn")
"""


def test_a_freezing_that_is_killed_leaves_the_draft_as_it_was(url, store, book):
    book.create("autumn", store.current_run(), TERMS)
    before = book.plan("autumn")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_IN_THE_MIDDLE, url],
        capture_output=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert book.plan("autumn") == before
    assert rows_of(store, plan_customers) == []
    assert book.freeze("autumn").state == "frozen"


def test_nobody_on_the_list_is_not_frozen(store, book):
    book.create("dear", store.current_run(), Terms(costs=Costs(contact=10_000.0)))
    with pytest.raises(UsageError, match=r"nobody on its list: .*Nobody is worth a contact"):
        book.freeze("dear")
    assert book.plan("dear").state == "draft"


def test_hostile_ids_are_customers_as_others(store, book):
    ids = published.HOSTILE_IDS
    book.create("odd", store.current_run(), Terms(Audience(ids=ids), holdout=0.0))
    book.freeze("odd")
    # those with something at stake, and nobody else
    left_out = book.plan("odd").proposal["left_out"]
    assert set(arms(book, "odd")) <= set(ids)
    assert len(arms(book, "odd")) + sum(left_out.values()) == len(ids)
    assert arms(book, "odd")


@pytest.mark.parametrize("number", [3, 700, 100_000])
def test_a_list_of_ids_of_any_length_filters(store, book, number):
    ids = (*(f"c{k:04d}" for k in range(number)), "nobody", "a\0b", "'; drop table plans; --")
    forecast = book.propose(store.current_run(), Terms(Audience(ids=ids), holdout=0.0)).forecast
    assert forecast.considered == min(number, 321)


def test_a_customer_erased_leaves_no_trace_in_drafts_and_lists(store):
    book = frozen(store, "first")
    erased = next(iter(arms(book, "first")))
    named = Terms(Audience(ids=(erased, "c0007", "c0008")), holdout=0.0)
    book.create("named", store.current_run(), named)
    assert book.plan("named").request["audience"]["named"] == 3
    confirm_sent(store.engine, "first", AS_OF + DAY, ids=None)
    assert store.erase(erased) > 0
    with store.engine.connect() as connection:
        for table in sa.inspect(connection).get_table_names():
            for row in connection.execute(sa.text(f"SELECT * FROM {table}")):
                assert erased not in str(row), table
    assert erased not in arms(book, "first")


def test_a_draft_of_erased_customers_alone_is_about_nobody(store, book):
    named = Terms(Audience(ids=("c0007",)), holdout=0.0)
    book.create("named", store.current_run(), named)
    store.erase("c0007")
    with pytest.raises(UsageError, match="nobody on its list"):
        book.freeze("named")


def insert(store: Store, table: sa.Table, *rows: dict) -> None:
    with store.engine.begin() as connection:
        connection.execute(table.insert(), list(rows))


def profile(customer_id: str, **values) -> dict:
    usual = {"attributes": {}, "updated_at": AS_OF, "consent": None, "do_not_contact": None}
    return {"customer_id": customer_id, **usual, **values}


def test_profiles_and_contacts_leave_customers_out(store, book):
    free = book.propose(store.current_run(), Terms(holdout=0.0)).members.customers.customer_id
    a, b, c, d, e = free[:5]
    insert(store, profiles, profile(a, do_not_contact=True), profile(b, consent=False))
    insert(store, profiles, profile(e, consent=True))
    at = [AS_OF - 3 * DAY, AS_OF - 14 * DAY, AS_OF + 2 * DAY]
    insert(
        store,
        contacts,
        {"customer_id": c, "contacted_at": at[0], "source": "log"},
        {"customer_id": c, "contacted_at": at[1], "source": "log"},
        {"customer_id": d, "contacted_at": at[1], "source": "log"},
    )

    def left_out(**rules) -> dict:
        terms = Terms(rules=Rules(**rules), holdout=0.0)
        forecast = book.propose(store.current_run(), terms).forecast
        return {k: n for k, n in forecast.left_out.items() if k != "nothing_at_stake"}

    always = {"do_not_contact": 1, "no_consent": 1}
    assert left_out() == always
    assert left_out(quiet_days=3) == always | {"contacted_recently": 1}
    assert left_out(quiet_days=2) == always
    assert left_out(quiet_days=14) == always | {"contacted_recently": 2}
    assert left_out(most_contacts=2, within_days=14) == always | {"cap_reached": 1}
    assert left_out(most_contacts=2, within_days=13) == always
    both = left_out(quiet_days=3, most_contacts=1, within_days=30)
    assert both == always | {"contacted_recently": 1, "cap_reached": 1}
    consent = left_out(require_consent=True)
    assert consent["consent_unknown"] == len(free) - 3
    # the scores may be older than the last contact
    insert(store, contacts, {"customer_id": e, "contacted_at": at[2], "source": "upload"})
    assert left_out(quiet_days=1) == always | {"contacted_recently": 1}


def test_what_was_sent_counts_for_the_quiet_days_of_later_plans(store):
    book = frozen(store)
    sent = confirm_sent(store.engine, "autumn", AS_OF + DAY)
    assert (sent.state, sent.sent_by, sent.sent_at) == ("sent", "hand", AS_OF + DAY)
    reached = {id_ for id_, arm in arms(book).items() if arm == "contact"}
    noted = rows_of(store, contacts)
    assert {row["customer_id"] for row in noted} == reached
    assert {(row["contacted_at"], row["source"]) for row in noted} == {(AS_OF + DAY, "autumn")}


def test_a_part_is_confirmed_then_the_rest_and_no_contact_counts_twice(store):
    book = frozen(store)
    reached = sorted(id_ for id_, arm in arms(book).items() if arm == "contact")
    part = [*reached[:5], reached[0]]  # one stands twice
    confirm_sent(store.engine, "autumn", AS_OF + DAY, source="upload", ids=part)
    assert len(rows_of(store, contacts)) == 5
    rest = confirm_sent(store.engine, "autumn", AS_OF + 2 * DAY)
    assert rest.sent_at == AS_OF + DAY  # the first
    noted = {row["customer_id"]: row["contacted_at"] for row in rows_of(store, contacts)}
    assert sorted(noted) == reached
    assert noted[reached[0]] == AS_OF + DAY
    assert noted[reached[5]] == AS_OF + 2 * DAY
    with pytest.raises(PlanStateError, match="noted as sent to everybody already"):
        confirm_sent(store.engine, "autumn", AS_OF + 3 * DAY)
    confirm_sent(store.engine, "autumn", AS_OF + 3 * DAY, ids=reached[:1])  # corrected
    noted = {row["customer_id"]: row["contacted_at"] for row in rows_of(store, contacts)}
    assert noted[reached[0]] == AS_OF + 3 * DAY
    assert sorted(noted) == reached


def test_a_confirmation_that_names_others_changes_nothing(store):
    book = frozen(store)
    by_arm = {arm: id_ for id_, arm in arms(book).items()}
    for ids, says in (
        ([by_arm["contact"], by_arm["holdout"]], "is held out of plan"),
        ([by_arm["contact"], "stranger\n=1"], "is not on the list"),
    ):
        with pytest.raises(DataRefusedError, match=says):
            confirm_sent(store.engine, "autumn", AS_OF + DAY, ids=ids)
    assert book.plan("autumn").state == "frozen"
    assert rows_of(store, contacts) == []


def test_a_contact_after_the_window_is_none_of_the_plan(store):
    book = frozen(store)
    with pytest.raises(UsageError, match=r"ended at 1998-04-01.*--at"):
        confirm_sent(store.engine, "autumn", datetime.now(UTC))
    assert book.plan("autumn").state == "frozen"


def test_a_draft_is_not_sent_and_a_sent_plan_not_cancelled(store, book):
    book.create("autumn", store.current_run(), TERMS)
    with pytest.raises(PlanStateError, match="is a draft; only a plan that is frozen"):
        confirm_sent(store.engine, "autumn", AS_OF + DAY)
    book.freeze("autumn")
    confirm_sent(store.engine, "autumn", AS_OF + DAY)
    with pytest.raises(PlanStateError, match="is sent"):
        book.cancel("autumn")


def test_the_list_is_that_of_all_who_were_not_erased(store):
    book = frozen(store)
    listed = sorted(arms(book))
    store.erase(listed[3])
    rows = list_of(store.engine, book.plan("autumn"))
    assert [row["customer_id"] for row in rows] == [*listed[:3], *listed[4:]]


def test_all_plans_are_listed_the_newest_first(store):
    book = frozen(store, "b")
    book.create("a", store.current_run(), TERMS)
    assert [plan.name for plan in book.plans()] == ["a", "b"]
    json.dumps([plan.to_json() for plan in book.plans()], allow_nan=False)
