"""The views above the list on a phone: two beside each other, of one width and one height."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stagecast.serving.languages.display import LANGUAGES
from tests.browser.conftest import serving
from tests.serving import published
from tests.serving.web import app_with

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server of a store with customers of all plays."""
    store = published.open_store(tmp_path_factory.mktemp("views"))
    rows = published.scores(60).to_pylist()
    plays = [play.id for play in published.retail().plays]
    for number, row in enumerate(rows):
        row["play"] = plays[number % len(plays)]
    published.publish(store, published.table(rows))
    with serving(app_with(tmp_path_factory.mktemp("server"), store=store)) as made:
        yield made
    store.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_views_stand_in_two_columns_without_a_ragged_edge(
    browser: Browser, shop: str, language: str
) -> None:
    context = browser.new_context(
        base_url=shop,
        viewport={"width": 390, "height": 800},
        extra_http_headers={"Accept-Language": language},
    )
    page = context.new_page()
    page.goto("/customers")
    links = page.locator("nav.views a").all()
    boxes = [box for link in links if (box := link.bounding_box()) is not None]
    assert len(boxes) > 2
    assert len({round(box["x"]) for box in boxes}) == 2
    assert len({round(box["width"]) for box in boxes}) == 1
    for left, right in zip(boxes[::2], boxes[1::2], strict=False):
        assert (left["y"], left["height"]) == (right["y"], right["height"])
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
