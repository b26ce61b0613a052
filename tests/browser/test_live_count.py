"""How many customers would pass the filters, while they change: with JavaScript and without."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from stagecast.serving.store.queries import Filters
from stagecast.serving.store.store import Store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
LANGUAGES = ("en", "ru", "fa")


def passing(store: Store, filters: Filters) -> int:
    run = store.current_run()
    assert run is not None
    return store.count(run, filters)


def test_the_count_follows_the_fields_before_the_list_is_asked_for(
    page: Page, store: Store
) -> None:
    from playwright.sync_api import expect

    page.goto("/customers")
    form, count = page.locator("form.filters").first, page.locator("form.filters output.count")
    expect(count).to_have_text(f"{passing(store, Filters())} customers")
    before = form.bounding_box()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    form.locator("[name=q]").press_sequentially("c000", delay=20)
    ten = passing(store, Filters(q="c000"))
    expect(count).to_have_text(f"{ten} customers")
    assert 0 < ten < passing(store, Filters())
    assert [url.split("/v1/")[1] for url in asked] == ["totals?q=c000"], "typing asks once"
    form.locator("[name=stage]").select_option("loyal")
    form.locator("[name=q]").fill("")
    loyal = passing(store, Filters(stages=("loyal",)))
    expect(count).to_have_text(re.compile(rf"^{loyal} customers?$"))
    form.locator("[name=q]").fill("nobody")
    expect(count).to_have_text("0 customers")
    assert form.bounding_box() == before, "nothing moves"
    assert page.url.endswith("/customers")
    form.locator("[name=q]").fill("")
    expect(count).to_have_text(re.compile(rf"^{loyal} customers?$"))
    form.locator("button").click()
    expect(page.locator(".above [role=status]")).to_contain_text(f"{loyal} customer")


def test_the_list_is_sorted_by_the_days_overdue(page: Page) -> None:
    page.goto("/customers")
    page.locator("thead a", has_text="Days overdue").click()
    page.wait_for_url("**sort=-days_overdue")
    shown = page.locator('td[data-label="Days overdue"]').all_inner_texts()
    matches = [re.match(r"([\d,]+) day", text) for text in shown]
    days = [int(match[1].replace(",", "")) for match in matches if match]
    assert len(days) > 10
    # in whole days, two that differ by less than one may stand either way
    assert all(later <= earlier + 1 for earlier, later in pairwise(days))
    region = page.locator(".scroll").first
    wide, whole = region.evaluate("element => [element.clientWidth, element.scrollWidth]")
    assert whole <= wide, "no column stands beyond the edge of the table"


def test_without_javascript_the_count_is_that_of_the_list(
    browser: Browser, address: str, store: Store
) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.goto("/customers")
    form = page.locator("form.filters").first
    assert form.locator("output.count").inner_text() == f"{passing(store, Filters())} customers"
    form.locator("[name=q]").fill("c000")
    form.locator("button").click()
    listed = page.locator("form.filters output.count").inner_text()
    assert listed == f"{passing(store, Filters(q='c000'))} customers"
    context.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_head_of_a_page_is_one_row_where_the_money_has_a_currency(
    browser: Browser, address: str, language: str
) -> None:
    context = browser.new_context(
        base_url=address,
        viewport={"width": 1280, "height": 800},
        extra_http_headers={"Accept-Language": language},
    )
    page = context.new_page()
    page.goto("/customers")
    page.locator(".date small").evaluate("small => { small.textContent += ' · USD'; }")
    places, about = page.locator("header.site nav").first, page.locator("header.site .about")
    boxes = [part.bounding_box() for part in (places, about)]
    (top, height), (about_top, about_height) = ((box["y"], box["height"]) for box in boxes if box)
    assert about_top < top + height
    assert top < about_top + about_height
    assert page.locator("header.site").evaluate("head => head.offsetHeight") < 80
    context.close()
