"""The marketer's jobs in a real browser: from the list to the plan, by hand and by keyboard."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from tests.browser.conftest import LOYAL, rows
from tests.serving import published

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow
PLACES = ("/", "/customers", "/customers/c0001", "/plans", "/plans/new", "/results", "/channels")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_loyal_going_quiet_are_ranked_and_downloaded_with_a_hold_out(
    page: Page, tmp_path: Path
) -> None:
    page.goto("/customers")
    page.get_by_role("link", name="Loyal, may leave").first.click()
    made = [row for row in rows() if row["play"] == "loyal_going_quiet"]
    best = max(made, key=lambda row: (row["value_at_risk"], row["customer_id"] < "c"))
    assert page.locator(".ranked tbody .amount.strong").first.inner_text() == (
        f"{best['value_at_risk']:,.0f}"
    )
    page.get_by_role("link", name=f"or plan for all {LOYAL} customers").click()
    page.get_by_label("Left alone at random, per cent").fill("25")
    page.get_by_role("button", name="Work it out").click()
    page.get_by_label("Name", exact=True).fill("quiet")
    page.get_by_role("button", name="Store as a draft").click()
    page.wait_for_url("**/plans/quiet")
    page.get_by_role("button", name="Freeze: draw and fix the list").click()
    lists = {}
    for words in ("Contacts (CSV)", "Left alone (CSV)"):
        with page.expect_download() as started:
            page.get_by_role("link", name=words).click()
        started.value.save_as(tmp_path / words)
        lists[words] = {row["customer_id"] for row in table(tmp_path / words)}
    contacts, left_alone = lists["Contacts (CSV)"], lists["Left alone (CSV)"]
    assert contacts
    assert not contacts & left_alone
    assert contacts | left_alone <= {row["customer_id"] for row in made}
    assert len(left_alone) == round(0.25 * len(contacts | left_alone))


def test_chosen_customers_become_a_plan(page: Page) -> None:
    page.goto("/customers")
    bar = page.locator("form.chosen")
    assert bar.get_by_role("button").is_disabled()
    boxes = page.get_by_role("checkbox", name="Choose")
    chosen = {boxes.nth(k).get_attribute("value") for k in range(3)}
    for k in range(3):
        boxes.nth(k).check()
    assert bar.locator("output").inner_text() == "3 chosen"
    bar.get_by_role("button", name="Plan for the chosen").click()
    legend = page.get_by_role("group", name="Only the 3 customers that were chosen")
    ticked = legend.get_by_role("checkbox").all()
    assert {box.get_attribute("value") for box in ticked} == chosen


@pytest.mark.parametrize("name", published.HOSTILE_IDS)
def test_an_id_is_text_and_its_link_leads_to_it(page: Page, name: str) -> None:
    page.goto("/")
    page.get_by_role("searchbox", name="Find a customer by id").fill(name)
    page.keyboard.press("Enter")
    page.get_by_role("link", name=name, exact=True).click()
    assert page.get_by_role("heading", level=1).inner_text() == name


def test_no_cell_of_an_export_is_a_formula(page: Page, tmp_path: Path) -> None:
    page.goto("/customers?sort=customer_id")
    for kind in ("CSV", "XLSX"):
        with page.expect_download() as started:
            page.get_by_role("link", name=kind).click()
        started.value.save_as(tmp_path / kind)
    listed = table(tmp_path / "CSV")
    assert len(listed) == len(rows())
    assert "'=HYPERLINK(1)" in {row["Customer"] for row in listed}
    assert not [c for row in listed for c in row.values() if c.startswith(("=", "+", "@"))]
    with ZipFile(tmp_path / "XLSX") as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "=HYPERLINK(1)" in sheet
    assert "<f>" not in sheet


def test_all_can_be_reached_by_keyboard(page: Page) -> None:
    page.goto("/customers")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the content"
    page.keyboard.press("/")
    assert page.locator(":focus").get_attribute("name") == "q"
    hint = page.get_by_role("button", name="What is meant by: Value at risk").first
    hint.focus()
    page.keyboard.press("Enter")
    meaning = page.locator(f"#{hint.get_attribute('popovertarget')}")
    assert meaning.is_visible()
    page.keyboard.press("Escape")
    assert not meaning.is_visible()


def test_the_slider_fills_in_how_many_are_contacted(page: Page) -> None:
    page.goto("/plans/new?contacts=10&contact_cost=1&holdout_percent=20")
    slider = page.get_by_role("slider", name="Customers on the list")
    before = page.locator(".curve .now").get_attribute("x1")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    on_list = int(slider.input_value())
    assert page.locator(".slide output").first.inner_text() == str(on_list)
    contacts = round(0.8 * on_list)
    assert page.get_by_label("At most so many contacts").input_value() == str(contacts)
    assert page.locator(".curve .now").get_attribute("x1") != before
    page.get_by_role("button", name="Plan for this many").click()
    page.wait_for_url(f"**contacts={contacts}&**")
    assert page.locator(".tiles dd").first.inner_text() == str(contacts)


def test_back_keeps_the_filters(page: Page) -> None:
    page.goto("/customers")
    page.get_by_label("Churn risk").first.select_option("high")
    page.get_by_role("button", name="Show", exact=True).first.click()
    page.wait_for_url("**/customers?band=high")
    page.locator(".ranked tbody th a").first.click()
    page.wait_for_url("**/customers/*")
    page.go_back()
    page.wait_for_url("**/customers?band=high")
    assert page.get_by_label("Churn risk").first.input_value() == "high"
    assert page.get_by_label("Churn risk").first.is_enabled()


def test_on_a_phone_a_customer_can_be_ticked(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/customers")
    box = page.get_by_role("checkbox", name="Choose").first
    card = page.locator(".ranked tbody tr").first.bounding_box()
    place = box.bounding_box()
    assert card is not None
    assert place is not None
    assert place["x"] + place["width"] <= card["x"] + card["width"], "no part is cut off"
    box.check()
    assert page.locator("form.chosen output").inner_text() == "1 chosen"


@pytest.mark.parametrize("width", [390, 1280])
def test_no_place_is_wider_than_the_screen_or_without_a_name(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for place in (*PLACES, "/trust", "/docs"):
        page.goto(place)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place
        assert page.get_by_role("heading", level=1).count() == 1, place
        nameless = page.evaluate(
            "[...document.querySelectorAll('button, a, input:not([type=hidden]), select')]"
            ".filter(e => !(e.textContent.trim() || e.ariaLabel || e.labels?.length"
            " || e.querySelector('img'))).map(e => e.outerHTML)"
        )
        assert nameless == [], place
        if place in PLACES[1:]:
            assert page.locator("header [aria-current=page]").count() == 1, place
