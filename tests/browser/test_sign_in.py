"""Sign-in in a real browser: what it sends with forms and scripts, and what it keeps back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from stagecast.serving.store.store import Store
from stagecast.serving.targeting.plan.book import PlanBook
from tests.browser.test_cross_site import foreign as foreign
from tests.serving.web import KEY

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow


@pytest.fixture
def visitor(browser: Browser, locked_address: str) -> Iterator[Page]:
    context = browser.new_context(base_url=locked_address)
    yield context.new_page()
    context.close()


def sign_in(page: Page, path: str, key: str = KEY) -> None:
    page.goto(path)
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()


def where(page: Page) -> str:
    parts = urlsplit(page.url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def test_a_page_asks_who_it_is_and_opens_until_the_sign_out(visitor: Page, store: Store) -> None:
    sign_in(visitor, "/customers?state=active", "not-the-key")
    assert visitor.get_by_role("alert").inner_text().startswith("This key opens nothing")
    sign_in(visitor, "/customers?state=active")
    assert where(visitor) == "/customers?state=active"
    assert visitor.locator(".ranked tbody tr").count() > 10
    assert visitor.evaluate("document.cookie") == ""
    visitor.goto("/plans/new?play=loyal_going_quiet&contacts=10&holdout_percent=20")
    visitor.get_by_label("Name", exact=True).fill("signed")
    visitor.get_by_role("button", name="Store as a draft").click()
    visitor.wait_for_url("**/plans/signed")
    assert "signed" in {plan.name for plan in PlanBook(store.engine).plans()}
    visitor.get_by_role("button", name="Sign out").click()
    assert where(visitor) == "/sign-in"
    visitor.goto("/plans")
    assert where(visitor) == "/sign-in?next=%2Fplans"


def test_no_other_page_acts_for_who_is_signed_in(
    visitor: Page, foreign: str, locked_address: str, store: Store
) -> None:
    sign_in(visitor, "/")
    # another port of the same host is the same site, to which a browser sends the cookie
    neighbour = foreign.replace("localhost", "127.0.0.1")
    for other in (foreign, neighbour):
        for path in ("/sign-out", "/sign-in"):
            visitor.goto(other)
            with visitor.expect_navigation() as answer:
                visitor.evaluate(
                    """(url) => {
                      const form = document.createElement("form");
                      Object.assign(form, { method: "post", action: url });
                      document.body.append(form);
                      form.submit();
                    }""",
                    f"{locked_address}{path}",
                )
            assert answer.value.status == 403, (other, path)
        visitor.goto(other)
        with visitor.expect_request(f"{locked_address}/v1/plans"):
            visitor.evaluate(
                """(url) => fetch(url, { method: "POST", mode: "no-cors", credentials: "include",
                  body: '{"name": "taken", "contacts": 5}' }).catch(() => 0)""",
                f"{locked_address}/v1/plans",
            )
    assert "taken" not in {plan.name for plan in PlanBook(store.engine).plans()}
    visitor.goto(f"{locked_address}/plans")
    assert where(visitor) == "/plans"


def test_a_link_of_another_site_needs_one_more_click(
    visitor: Page, foreign: str, locked_address: str
) -> None:
    sign_in(visitor, "/")
    visitor.goto(foreign)
    visitor.evaluate("(url) => { location.href = url }", f"{locked_address}/plans")
    visitor.wait_for_url("**/sign-in?next=%2Fplans")
    visitor.get_by_role("link", name="Go on to the page").click()
    assert where(visitor) == "/plans"
