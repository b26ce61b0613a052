"""Names of customers beside their ids, as text whatever they hold, and in no answer of the API."""

from __future__ import annotations

import pytest

from stagecast.serving.store.names import put_names
from tests.serving import published
from tests.serving.pages.test_new_places import text

HOSTILE = "<script>alert('n')</script>"


@pytest.fixture
def shop(web, store):
    published.put(store, published.scores(12))
    put_names(store.engine, [("c0001", "Анна Иванова"), ("c0002", HOSTILE)])
    return web


def test_a_name_stands_beside_the_id(shop) -> None:
    assert "<small><bdi>Анна Иванова</bdi></small>" in shop.get("/customers").text
    page = shop.get("/customers/c0001").text
    assert '<p class="customer-name"><bdi>Анна Иванова</bdi></p>' in page
    assert "customer-name" not in shop.get("/customers/c0003").text


def test_a_hostile_name_is_text(shop) -> None:
    for path in ("/customers", "/customers/c0002", "/customers?q=%3Cscript"):
        page = shop.get(path).text
        assert HOSTILE not in page
        assert "&lt;script&gt;alert(&#39;n&#39;)&lt;/script&gt;" in page


def test_a_search_finds_the_beginning_of_a_name(shop) -> None:
    page = shop.get("/customers?q=анна").text
    assert 'href="/customers/c0001"><bdi>Анна Иванова</bdi></a>' in page
    assert "Customers whose name begins so" in text(shop, "/customers?q=анна")
    assert "Customers whose name begins so" not in text(shop, "/customers?q=c000")


def test_a_search_by_name_says_when_there_are_more_and_never_that_nobody_is_found(shop, store):
    few = text(shop, "/customers?q=анна")
    assert "No customer passes" not in few
    assert "first 20 by name" not in few
    assert "No customer passes" in text(shop, "/customers?q=nobody")
    put_names(store.engine, [(f"c{k:04d}", f"Berta {k}") for k in range(3, 12)])
    assert "first 20 by name" not in text(shop, "/customers?q=berta")


def test_a_long_list_of_names_says_that_it_is_cut(web, store):
    published.put(store, published.scores(30))
    put_names(store.engine, [(f"c{k:04d}", f"Berta {k:02d}") for k in range(25)])
    page = text(web, "/customers?q=berta")
    assert "Berta 19" in page
    assert "Berta 20" not in page
    assert "first 20 by name" in page


def test_no_answer_of_the_api_and_no_file_has_a_name(shop) -> None:
    for path in (
        "/v1/customers/c0001",
        "/v1/customers?limit=100",
        "/v1/customers?format=csv&limit=all",
        "/v1/customers?format=csv&column=stage&limit=all",
    ):
        answer = shop.get(path)
        assert answer.status_code == 200
        assert "c0001" in answer.text
        assert "Анна" not in answer.text


def test_an_erased_customer_has_no_name(shop) -> None:
    assert shop.request("DELETE", "/v1/customers/c0001").status_code == 204
    for path in ("/customers", "/customers?q=анна"):
        assert "Анна" not in shop.get(path).text.replace("анна", "")
