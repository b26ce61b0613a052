"""The timeline of a customer as it is drawn: each mark on the chart, on a phone and on paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stagecast.serving.languages.display import LANGUAGES

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow
PATH = "/customers/c0001"
MARKS = {"order": 2, "refund": 1, "contact": 1, "rating": 1, "other": 1}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [1280, 390])
def test_every_mark_is_on_the_chart_and_has_a_size_that_can_be_seen(
    browser: Browser, address: str, language: str, width: int
) -> None:
    context = browser.new_context(
        base_url=address,
        viewport={"width": width, "height": 800},
        extra_http_headers={"Accept-Language": language},
    )
    page = context.new_page()
    page.goto(PATH)
    chart = page.locator(".strip > svg")
    frame = chart.bounding_box()
    assert frame is not None
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for kind, number in MARKS.items():
        marks = chart.locator(f"svg .{kind}")
        assert marks.count() == number, kind
        for k in range(number):
            box = marks.nth(k).bounding_box()
            assert box is not None
            assert box["width"] >= 6, kind
            assert frame["x"] <= box["x"], kind
            assert box["x"] + box["width"] <= frame["x"] + frame["width"], kind
            assert frame["y"] <= box["y"], kind
    order = chart.locator("svg .order").first.bounding_box()
    rating = chart.locator("svg .rating").bounding_box()
    assert order is not None
    assert rating is not None
    # time runs in the direction of the writing
    assert (order["x"] < rating["x"]) == (language != "fa")
    context.close()


def test_paper_has_the_chart_and_the_table(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address)
    page = context.new_page()
    page.goto(PATH)
    page.emulate_media(media="print")
    assert page.locator(".strip > svg").is_visible()
    assert page.locator("table.timeline tr.refund s").inner_text() == "12"
    assert page.locator("table.timeline b").count() == 0  # a type of events is text
    page.emulate_media(media="screen")
    page.goto("/customers/c0002")  # has a long table, which is folded
    row = page.locator("table.timeline tr.order").first
    assert not row.is_visible()
    page.emulate_media(media="print")
    assert row.is_visible()
    context.close()
