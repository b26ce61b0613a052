"""Each cell of risk and value names its most frequent play, and leads to exactly its customers."""

from __future__ import annotations

import re
from collections import Counter
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa

from stagecast.serving.store.store import Store
from stagecast.serving.store.tables import runs
from tests.serving import published
from tests.serving.pages.recomputed import number
from tests.serving.pages.test_home_page import rows, text
from tests.serving.web import Client

Cell = tuple[str, int]


def scores() -> list[dict[str, Any]]:
    """Return scores of which several have the same value, at the limits of the classes too."""
    made = rows(1)
    for row in made:
        row["clv"] = float(round(row["clv"], -1)) + 1 / 3
    return made


def cells_of(made: list[dict[str, Any]]) -> dict[Cell, list[dict[str, Any]]]:
    """Return the members of each cell, by hand."""
    rated = [row for row in made if row["churn_band"] is not None]
    ranked = sorted((row["clv"] for row in rated), reverse=True)
    fifth, half = ranked[len(ranked) // 5], ranked[len(ranked) // 2]
    assert ranked.count(fifth) > 1
    cells: dict[Cell, list[dict[str, Any]]] = {}
    for row in rated:
        value_class = 0 if row["clv"] > fifth else 1 if row["clv"] > half else 2
        cells.setdefault((row["churn_band"], value_class), []).append(row)
    return cells


def test_a_cell_lists_its_customers_over_the_api_and_on_the_page(web: Client, store: Store) -> None:
    made = scores()
    published.put(store, published.table(made))
    wanted = cells_of(made)
    answer = web.get("/v1/value-grid").json()["cells"]
    assert {(cell["band"], cell["value_class"]) for cell in answer} == set(wanted)
    home = web.get("/").text
    grid = home.split('class="plain-table grid"')[1].split("</table>")[0]
    links = [unescape(link) for link in re.findall(r'<td class="amount"><a href="([^"]*)"', grid)]
    assert len(links) == len(answer)
    listed_from_home = set()
    for link in links:
        assert link.startswith("/customers?band=")
        listed = web.get(f"/v1{link}&limit=1000").json()
        ids = frozenset(score["customer_id"] for score in listed["customers"])
        listed_from_home.add(ids)
        assert listed["total"] == len(ids) == web.get(f"/v1/totals?{link[11:]}").json()["customers"]
        page = web.get(link).text
        assert "Value in a year, " in page
        assert f"{number(len(ids))} customer" in text(web, link)
        assert 'href="/plans/new?band' not in page, "a plan has no such filter"
    of_cells = {frozenset(row["customer_id"] for row in part) for part in wanted.values()}
    assert listed_from_home == of_cells


def test_a_cell_names_its_most_frequent_play(web: Client, store: Store) -> None:
    made = scores()
    published.put(store, published.table(made))
    titles = {play["id"]: play["title"]["en"] for play in web.get("/v1/views").json()["views"]}
    wanted = cells_of(made)
    for cell in web.get("/v1/value-grid").json()["cells"]:
        members = wanted[cell["band"], cell["value_class"]]
        by_play = Counter(row["play"] for row in members)
        assert cell["customers"] == len(members)
        assert cell["play_customers"] == max(by_play.values()) == by_play[cell["play"]]
        said = titles[cell["play"]] if cell["play"] else "no play"
        assert said in text(web)


def test_the_filters_stay_while_others_are_set_and_sorted(web: Client, store: Store) -> None:
    published.put(store, published.table(scores()))
    page = web.get("/customers?clv_above=41.5&clv_at_most=200").text
    assert 'name="clv_above" value="41.5"' in page
    assert 'name="clv_at_most" value="200"' in page
    assert "sort=-clv" in page
    assert "clv_above=41.5" in page.split("sort=-clv")[0][-200:]
    first = web.get("/v1/customers?clv_above=41.5&limit=5").json()
    second = web.get(f"/v1/customers?clv_above=41.5&limit=5&cursor={first['next_cursor']}").json()
    ids = [score["customer_id"] for part in (first, second) for score in part["customers"]]
    assert len(set(ids)) == 10
    assert web.get(f"/v1/customers?clv_above=41.4&cursor={first['next_cursor']}").status_code >= 400


@pytest.mark.parametrize("value", ["inf", "nan", "much"])
def test_a_limit_that_is_no_number_is_refused(web: Client, store: Store, value: str) -> None:
    published.put(store, published.table(scores()))
    assert web.get(f"/v1/customers?clv_above={value}").status_code == 422


def test_a_grid_of_an_earlier_version_has_counts_and_no_links(web: Client, store: Store) -> None:
    published.put(store, published.table(scores()))
    run = store.current_run()
    assert run is not None
    overview = store.overview(run)
    old = ("band", "value_class", "customers", "value_at_risk")
    overview["grid"] = [{name: cell[name] for name in old} for cell in overview["grid"]]
    with store.engine.begin() as connection:
        connection.execute(sa.update(runs).values(overview=overview))
    grid = web.get("/").text.split('class="plain-table grid"')[1].split("</table>")[0]
    assert "clv_" not in grid
    assert "no play" not in grid
    assert number(overview["grid"][0]["customers"]) in grid
