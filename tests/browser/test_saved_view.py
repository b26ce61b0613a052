"""A view is saved under a name, found beside the plays, and deleted, in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

NAME = "High & dear </bdi><b>"


def test_a_view_is_saved_found_and_deleted(page: Page) -> None:
    asked = "/customers?band=high&column=clv&sort=-clv"
    page.goto(asked)
    page.get_by_text("Save this view").click()
    page.get_by_label("Name", exact=True).fill(NAME)
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_load_state()
    delete = page.get_by_role("button", name="Delete this view")
    delete.wait_for()
    views = page.get_by_role("navigation", name="Views")
    assert views.locator("[aria-current]").inner_text().startswith(NAME)
    page.goto("/customers")
    page.get_by_role("link", name=NAME).click()
    page.wait_for_url(f"**{asked}")
    delete.click()
    page.get_by_text("Save this view").wait_for()
    assert page.url.endswith(asked)
    assert page.get_by_role("link", name=NAME).count() == 0


def test_a_name_that_is_taken_is_said_beside_the_form(browser: Browser, address: str) -> None:
    # a context of its own, since the browser logs the refusal as an error
    context = browser.new_context(base_url=address)
    page = context.new_page()

    def save(sort: str) -> int:
        page.goto(f"/customers?band=low&sort={sort}")
        page.get_by_text("Save this view").click()
        page.get_by_label("Name", exact=True).fill("taken")
        with page.expect_response("**/v1/saved-views") as answer:
            page.get_by_role("button", name="Save", exact=True).click()
        return answer.value.status

    assert save("-clv") == 201
    # the page loads itself anew, which must not meet the next address
    page.get_by_role("button", name="Delete this view").wait_for()
    assert save("-orders") == 409
    page.get_by_role("alert").get_by_text("a view has this name").wait_for()
    context.close()
