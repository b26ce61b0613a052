"""Pages show the days of the shop's clock; the API keeps instants."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from stagecast.serving.store.store import Store
from tests.serving import published, web

HTML = {"accept": "text/html"}
ZONES = ("America/Los_Angeles", "Asia/Tehran", "Asia/Kolkata")
CUSTOMER = "c0001"


@dataclass(frozen=True)
class Site:
    """Pages of a shop, and the shop's zone."""

    client: web.Client
    store: Store
    zone: ZoneInfo

    def text(self, path: str) -> str:
        answer = self.client.get(path, headers=HTML)
        assert answer.status_code == 200, answer.text
        return answer.text


@pytest.fixture(scope="module", params=ZONES)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Two runs at midnights of the shop; the second is published with the zone, too."""
    zone, folder = ZoneInfo(request.param), tmp_path_factory.mktemp("site")
    store = published.open_store(folder)
    for as_of in (datetime(1997, 10, 1, tzinfo=zone), datetime(1998, 1, 1, tzinfo=zone)):
        rng = np.random.default_rng(3)
        row = published.a_score(
            CUSTOMER,
            rng,
            as_of,
            stage="repeat",
            # the last minute of one day, and the first of another
            data_cutoff=as_of - timedelta(minutes=1),
            stage_since=as_of.replace(month=9),
        )
        store.publish(
            published.table([row]),
            model_path="model",
            scheme=published.retail(),
            zone=request.param,
        )
    with web.client(web.app_with(folder, store=store)) as client:
        yield Site(client, store, zone)
    store.close()


def test_the_list_shows_days_of_the_shop(site: Site) -> None:
    page = site.text("/customers")
    assert "As of 1998-01-01 ·" in page
    assert "events up to 1997-12-31 ·" in page
    assert "since 1998-09-01" in page


def test_the_page_of_a_customer_shows_days_of_the_shop(site: Site) -> None:
    page = site.text(f"/customers/{CUSTOMER}")
    assert "since 1998-09-01" in page
    assert "What changed since 1997-10-01" in page
    assert "<dd>1998-01-01</dd>" in page
    assert "<dd>1997-12-31</dd>" in page
    for day in ("1998-01-01", "1997-10-01"):
        assert f'<th scope="row">{day}</th>' in page


def test_the_api_answers_with_instants_and_names_the_zone_of_each_run(site: Site) -> None:
    answer = site.client.get(f"/v1/customers/{CUSTOMER}").json()
    since = datetime(1998, 9, 1, tzinfo=site.zone)
    assert datetime.fromisoformat(answer["score"]["stage_since"]) == since
    assert answer["score"]["stage_since"].endswith("Z")
    assert {past["zone"] for past in answer["history"]} == {str(site.zone)}


def test_a_list_is_saved_under_the_day_of_the_shop(site: Site) -> None:
    answer = site.client.get("/v1/customers?format=csv")
    assert "customers-1998-01-01.csv" in answer.headers["content-disposition"]


def test_runs_of_before_are_shown_with_the_days_of_utc(site: Site, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    row = published.a_score(CUSTOMER, rng, published.AS_OF + timedelta(days=31, hours=23))
    copied = tmp_path / "stagecast.db"  # the others look at the two runs alone
    with closing(sqlite3.connect(copied)) as copy:
        copy.execute("PRAGMA auto_vacuum=INCREMENTAL")
        with closing(site.store.engine.raw_connection()) as connection:
            connection.driver_connection.backup(copy)  # type: ignore[union-attr]
    store = Store.open(f"sqlite:///{copied}")
    published.publish(store, published.table([row]))
    with web.client(web.app_with(tmp_path, store=store)) as client:
        page = Site(client, store, site.zone).text(f"/customers/{CUSTOMER}")
    store.close()
    assert "<dd>1998-02-01</dd>" in page
    for day in ("1998-02-01", "1998-01-01", "1997-10-01"):
        assert f'<th scope="row">{day}</th>' in page
