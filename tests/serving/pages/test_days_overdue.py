"""Days overdue against the own rhythm: the same numbers on pages, in files and in the API."""

from __future__ import annotations

import csv
import io
from zipfile import ZipFile

import numpy as np
import pytest

from tests.serving import published
from tests.serving.pages.test_new_places import text


def late(customer_id: str, recency: float, gap: float | None, **more: object) -> dict[str, object]:
    overdue = None if gap is None else max(recency - gap, 0.0)
    row = published.a_score(
        customer_id, np.random.default_rng(1), stage="overdue", state="active", **more
    )
    row |= {"recency_days": recency, "usual_gap_days": gap, "days_overdue": overdue, "orders": 4}
    return row


@pytest.fixture
def shop(web, store):
    rows = [
        late("a", 27.0, 11.0),
        late("b", 9.0, 30.5),
        late("c", 27.0, 11.5),
        late("d", 8.0, None),
    ]
    published.put(store, published.table(rows))
    return web


def test_the_page_of_a_customer_says_gap_silence_and_days_overdue(shop) -> None:
    page = text(shop, "/customers/a")
    assert "usually every 11 days; the last order was 27 days ago; 16 days overdue" in page
    answer = shop.get("/v1/customers/a").json()
    assert answer["usual_gap_days"] == answer["score"]["usual_gap_days"] == 11.0
    assert answer["score"]["days_overdue"] == 16.0
    assert "overdue;" not in text(shop, "/customers/b")
    # 27 and 12 are shown, so 15 is: the three numbers add up
    rounded = text(shop, "/customers/c")
    assert "usually every 12 days; the last order was 27 days ago; 15 days overdue" in rounded
    unknown = text(shop, "/customers/d")
    assert "usually every" not in unknown
    assert "days overdue" not in unknown


def test_the_list_shows_them_and_leads_to_their_order(shop) -> None:
    page = text(shop, "/customers?sort=-days_overdue")
    assert "16 days usually every 11 days" in page
    assert "15 days usually every 12 days" in page
    assert "in rhythm usually every 30 days" in page
    places = [page.index(f"Choose {name} ") for name in "acbd"]
    assert places == sorted(places), "who has no rhythm stands last"
    assert 'href="/customers?sort=-days_overdue"' in shop.get("/customers").text


@pytest.mark.parametrize(
    ("language", "words"),
    [("ru", "это на 16 дней дольше обычного"), ("fa", "۱۶ روز دیرتر از معمول")],
)
def test_they_are_said_in_the_language_of_the_page(shop, language, words) -> None:
    assert words in text(shop, f"/customers/a?lang={language}")


def test_files_have_them_under_their_head(shop) -> None:
    asked = "column=recency_days&column=days_overdue&sort=customer_id&limit=all"
    listed = list(csv.reader(io.StringIO(shop.get(f"/v1/customers?format=csv&{asked}").text)))
    assert listed[0] == ["Customer", "Last order", "Days overdue"]
    assert [row[2] for row in listed[1:]] == ["16.0", "0.0", "15.5", ""]
    whole = list(csv.DictReader(io.StringIO(shop.get("/v1/customers?format=csv&limit=all").text)))
    assert {row["customer_id"]: row["usual_gap_days"] for row in whole} == {
        "a": "11.0", "b": "30.5", "c": "11.5", "d": ""
    }  # fmt: skip
    book = shop.get(f"/v1/customers?format=xlsx&{asked}").content
    with ZipFile(io.BytesIO(book)) as parts:
        assert "Days overdue" in "".join(
            parts.read(name).decode() for name in parts.namelist() if name.endswith(".xml")
        )


def test_a_list_of_scores_without_a_rhythm_has_no_such_column(web, store) -> None:
    published.put(store, published.table([late(name, 27.0, None) for name in "ab"]))
    head = web.get("/customers").text.split("<thead>")[1].split("</thead>")[0]
    assert "days_overdue" not in head
    asked = web.get("/customers?column=days_overdue").text.split("<thead>")[1]
    assert "days_overdue" in asked.split("</thead>")[0], "who asks for it gets it"
