"""The money at risk of Home is that of the active; the list says how much of its sum is theirs."""

from __future__ import annotations

from stagecast.serving.store.store import Store
from tests.serving import published
from tests.serving.pages.recomputed import likely_return, money, summed
from tests.serving.pages.test_home_page import rows, text
from tests.serving.web import Client


def test_the_sum_above_the_list_names_the_part_of_home(web: Client, store: Store) -> None:
    made = rows(1)
    lapsed = [row for row in made if row["state"] == "lapsed"]
    active = [row for row in made if row["state"] == "active"]
    for k, row in enumerate(lapsed):
        row["value_at_risk"] = 10.0 + k
    published.put(store, published.table(made))
    everybody, of_active, of_lapsed = (
        money(summed(part, "value_at_risk") or 0.0) for part in (made, active, lapsed)
    )
    assert len({everybody, of_active, of_lapsed}) == 3
    assert f"{of_active} is expected to be lost as active customers leave" in text(web)
    listed = text(web, "/customers")
    assert f"{everybody} at risk, {of_active} of it with the active" in listed
    assert web.get("/v1/totals?state=active").json()["value_at_risk"] == summed(
        active, "value_at_risk"
    )
    alone = text(web, "/customers?state=active")
    assert f"{of_active} at risk" in alone
    assert "with the active" not in alone
    others = text(web, "/customers?state=lapsed")
    assert f"{of_lapsed} at risk with customers who are not active" in others


def test_what_may_return_is_held_against_what_is_gone_with_the_lapsed(
    web: Client, store: Store
) -> None:
    made = rows(1)
    published.put(store, published.table(made))
    lapsed = [row for row in made if row["state"] == "lapsed"]
    gone, back = (
        money(value or 0.0) for value in (summed(lapsed, "value_gone"), likely_return(made))
    )
    assert gone != money(summed(made, "value_gone") or 0.0)
    assert f"{back} may return from those who left, of {gone} gone" in text(web)
    for asked in ("", "?state=lapsed"):
        assert f"{back} may return, of {gone} gone" in text(web, f"/customers{asked}")
    listed = web.get("/customers?state=active").text
    assert "may return" not in listed.split('class="above"')[1].split("</div>")[0]


def test_where_the_active_alone_have_something_at_risk_nothing_is_added(
    web: Client, store: Store
) -> None:
    made = rows(2)
    assert all(row["value_at_risk"] is None for row in made if row["state"] != "active")
    published.publish(store, published.table(made))
    listed = text(web, "/customers")
    assert f"{money(summed(made, 'value_at_risk') or 0.0)} at risk" in listed
    assert "with the active" not in listed
