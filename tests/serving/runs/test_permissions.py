"""Who may be contacted, from the table of customers: published with the scores, heeded by plans."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from stagecast.features.events import CustomersTable, read_events
from stagecast.serving.runs.permissions import store_permissions
from stagecast.serving.store.plan_tables import profiles
from stagecast.serving.store.store import Store
from stagecast.serving.targeting.plan.sources import read_reach
from stagecast.serving.targeting.plan.terms import Rules
from tests.serving import published

AS_OF = datetime(2021, 6, 1, tzinfo=UTC)
LATER = datetime(2022, 1, 1, tzinfo=UTC)


def put(store: Store, folder: Path, people: str, as_of: datetime = AS_OF) -> None:
    """Store the flags of a table of customers, whose log has orders of a to e, of e in August."""
    days = {"a": "01-01", "b": "01-02", "c": "01-03", "d": "01-04", "e": "08-01"}
    rows = "".join(f"{name},2021-{day},10\n" for name, day in days.items())
    (folder / "log.csv").write_text(f"customer_id,timestamp,amount\n{rows}")
    (folder / "people.csv").write_text(people)
    with read_events(
        folder / "log.csv", customers=CustomersTable(str(folder / "people.csv"))
    ) as log:
        store_permissions(store.engine, log, as_of)


def flags(store: Store) -> dict[str, tuple[bool | None, bool | None]]:
    c = profiles.c
    with store.engine.connect() as connection:
        rows = connection.execute(sa.select(c.customer_id, c.consent, c.do_not_contact)).all()
    return {row[0]: (row[1], row[2]) for row in rows}


@pytest.fixture
def store(tmp_path):
    opened = published.open_store(tmp_path)
    yield opened
    opened.close()


def test_flags_of_customers_with_a_score_are_stored_and_plans_leave_them_out(store, tmp_path):
    put(
        store,
        tmp_path,
        "customer_id,consent,do_not_contact\na,yes,no\nb,no,\nc,,yes\nd,,\ne,yes,yes\n",
    )
    assert flags(store) == {"a": (True, False), "b": (False, None), "c": (None, True)}
    with store.engine.connect() as connection:
        reach = read_reach(connection, Rules(), AS_OF)
    assert (reach.do_not_contact, reach.refused, reach.consented) == ({"c"}, {"b"}, {"a"})


def test_a_refusal_is_not_taken_back_and_a_new_one_counts(store, tmp_path):
    with store.engine.begin() as connection:
        for name, consent, stop in (("a", False, True), ("b", True, False), ("c", None, None)):
            connection.execute(
                profiles.insert().values(
                    customer_id=name,
                    name=f"{name}'s",
                    consent=consent,
                    do_not_contact=stop,
                    attributes={"city": "Baku"},
                    updated_at=AS_OF,
                )
            )
    put(store, tmp_path, "customer_id,consent,do_not_contact\na,yes,no\nb,no,yes\nc,yes,no\n")
    assert flags(store) == {"a": (False, True), "b": (False, True), "c": (True, False)}
    with store.engine.connect() as connection:
        rows = connection.execute(sa.select(profiles.c.name, profiles.c.attributes)).all()
    assert sorted(row[0] for row in rows) == ["a's", "b's", "c's"]
    assert all(row[1] == {"city": "Baku"} for row in rows)


@pytest.mark.parametrize("head", ["consent", "do_not_contact"])
def test_a_table_may_have_one_of_the_two(store, tmp_path, head):
    put(store, tmp_path, f"customer_id,{head}\na,yes\ne,yes\n", LATER)
    stored = (True, None) if head == "consent" else (None, True)
    assert flags(store) == {"a": stored, "e": stored}


def test_a_table_without_flags_stores_nothing(store, tmp_path):
    put(store, tmp_path, "customer_id,city\na,Rome\n")
    assert flags(store) == {}
