"""``stagecast channels`` from files to what is printed, written and stored."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from stagecast.features.events import from_frame
from stagecast.features.shop.clock import ShopClock
from stagecast.serving.runs.publishing import publish
from stagecast.serving.settings import Settings
from stagecast.serving.store.channels import stored_channels
from tests.serving import published
from tests.serving.calling import Stagecast

pytestmark = pytest.mark.slow

AS_OF = datetime(1998, 1, 1, tzinfo=UTC)
CUSTOMERS = 120


def events() -> pd.DataFrame:
    """Return orders of 10 and, 20 days later, 30 of 120 customers, a third of them from 'mail'."""
    first = pd.Timestamp("1997-01-01") + pd.to_timedelta(np.arange(CUSTOMERS), unit="D")
    rows = pd.DataFrame(
        {
            "customer_id": [f"c{k:04d}" for k in range(CUSTOMERS)],
            "timestamp": first,
            "event": "purchase",
            "amount": 10.0,
            "channel": ["mail" if k % 3 == 0 else "search" for k in range(CUSTOMERS)],
        }
    )
    again = rows.assign(timestamp=first + pd.Timedelta(days=20), amount=30.0, channel="direct")
    return pd.concat([rows, again], ignore_index=True)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    events().to_csv(tmp_path / "events.csv", index=False)
    days = "1997-01-01,1997-04-30"
    spend = f"channel,from,to,cost\nmail,{days},800\nsearch,{days},1200\n"
    (tmp_path / "spend.csv").write_text(spend, "utf-8")
    rows = [
        f"c{k:04d},{'NL' if k % 2 else 'BE'},{'Ada' if k % 3 else 'Kurt'}\n"
        for k in range(CUSTOMERS)
    ]
    (tmp_path / "people.csv").write_text("customer_id,country,Name\n" + "".join(rows), "utf-8")
    return tmp_path


def scores(**columns: Any) -> Any:
    rng = np.random.default_rng(1)
    rows = [
        published.a_score(f"c{k:04d}", rng, AS_OF, stage="new", **({"clv": 20.0} | columns))
        for k in range(CUSTOMERS)
    ]
    return published.table(rows)


COMMAND = ("channels", "events.csv", "--as-of", "1998-01-01")


def test_costs_and_scores_make_ltv_to_cac_and_payback(shop: Path, stagecast: Stagecast) -> None:
    pq.write_table(scores(), shop / "scores.parquet")
    done = stagecast(*COMMAND, "--spend", "spend.csv", "--scores", "scores.parquet", "--json")
    assert done.code == 0, done.err
    search, mail = json.loads(done.out)["groups"]
    assert (search["first_seen_in"], search["customers"], search["cost"]) == ("search", 80, 1200.0)
    assert (search["cac"]["value"], mail["cac"]["value"]) == (15.0, 20.0)
    # 40 so far and 20 to come, over 15
    assert search["ltv_to_cac"]["value"] == pytest.approx(4.0)
    assert search["payback"]["days"] == 20.0
    assert (search["clv"]["value"], search["lost"]["value"]) == (20.0, 0.0)


def test_a_margin_is_taken_into_account(shop: Path, stagecast: Stagecast) -> None:
    done = stagecast(*COMMAND, "--spend", "spend.csv", "--margin", "0.25", "--json")
    (search, _) = json.loads(done.out)["groups"]
    assert search["payback"]["days"] is None


def test_what_is_printed_says_first_seen_in_and_claims_no_cause(
    shop: Path, stagecast: Stagecast
) -> None:
    done = stagecast(*COMMAND, "--spend", "spend.csv", "--out", "channels.parquet")
    assert done.code == 0, done.err
    assert "first seen in" in done.out
    assert "does not follow" in done.out
    lines = pq.read_table(shop / "channels.parquet")
    assert set(lines["first_seen_in"].to_pylist()) == {"search", "mail"}


def test_few_customers_are_too_few_to_tell(shop: Path, stagecast: Stagecast) -> None:
    few = events().assign(channel=lambda f: f["channel"].where(f["customer_id"] != "c0001", "tv"))
    few.to_csv(shop / "events.csv", index=False)
    done = stagecast(*COMMAND, "--json")
    tv = json.loads(done.out)["groups"][-1]
    assert (tv["first_seen_in"], tv["customers"]) == ("tv", 1)
    assert tv["first_order"]["too_few"]
    assert tv["first_order"]["value"] is None
    assert "too few to tell (1 of" in stagecast(*COMMAND).out


def test_customers_are_grouped_by_any_attribute(shop: Path, stagecast: Stagecast) -> None:
    done = stagecast(*COMMAND, "--customers", "people.csv", "--by", "country", "--json")
    assert done.code == 0, done.err
    groups = json.loads(done.out)["groups"]
    assert [(group["first_seen_in"], group["customers"]) for group in groups] == [
        ("BE", 60),
        ("NL", 60),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--by", "country"], "name it with --customers"),
        (["--customers", "people.csv", "--by", "contry"], "Did you mean 'country'"),
        (["--customers", "people.csv", "--by", "Name"], "it is the name of a customer"),
        (["--spend", "none.csv"], "there is no file 'none.csv'"),
        (
            ["--by", "country", "--customers", "people.csv", "--spend", "spend.csv"],
            "no column country",
        ),
        (["--publish", "--store", "s.db"], "nothing is published"),
        (["--scores", "s.parquet", "--model", "m"], "give one of them"),
        (["--out", "x.txt"], "tables are written as .parquet or .csv"),
        (["--period", "day"], "unit 'day'"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_to_try(
    shop: Path, stagecast: Stagecast, options: list[str], message: str
) -> None:
    done = stagecast(*COMMAND, *options)
    assert done.code in (2, 3)
    assert message in done.err


def test_scores_of_another_day_or_of_other_customers_are_refused(
    shop: Path, stagecast: Stagecast
) -> None:
    pq.write_table(scores(), shop / "scores.parquet")
    other = stagecast(
        "channels", "events.csv", "--as-of", "1998-02-01", "--scores", "scores.parquet"
    )
    assert other.code == 2
    assert "are of 1998-01-01" in other.err
    pq.write_table(scores().slice(1), shop / "scores.parquet")
    fewer = stagecast(*COMMAND, "--scores", "scores.parquet")
    assert fewer.code == 2
    assert "1 customer of the log has no score, the first is 'c0000'" in fewer.err


def test_looking_for_plans_makes_no_store(shop: Path, stagecast: Stagecast) -> None:
    assert stagecast(*COMMAND).code == 0
    assert not (shop / "stagecast.db").exists()


def settings(folder: Path) -> Settings:
    return Settings(store=f"sqlite:///{folder / 'stagecast.db'}")


def bundle(margin: float = 1.0) -> Any:
    """Return what a publication asks a bundle for."""
    models = SimpleNamespace(scheme=published.retail(), config=SimpleNamespace(margin=margin))
    money = SimpleNamespace(currency=None)
    return SimpleNamespace(models=models, clock=ShopClock(), money=money, card={})


def test_published_scores_of_a_log_with_channels_have_their_table(
    shop: Path, stagecast: Stagecast
) -> None:
    with from_frame(events()) as log:
        publish(settings(shop), scores(), Path("model"), bundle(margin=0.5), log, AS_OF)
    store = published.open_store(shop)
    run = store.current_run()
    assert run is not None
    (table,) = stored_channels(store.engine, run.id).values()
    assert (table["margin"], [g["first_seen_in"] for g in table["groups"]]) == (
        0.5,
        ["search", "mail"],
    )
    # the costs come with the command, in place of the table without any
    done = stagecast(*COMMAND, "--spend", "spend.csv", "--scores", "scores.parquet", "--publish")
    assert done.code == 2  # the scores were not written to a file here
    assert stagecast(*COMMAND, "--spend", "spend.csv", "--publish").code == 0
    (table,) = stored_channels(store.engine, run.id).values()
    assert table["groups"][0]["cost"] == 1200.0
    store.close()


def test_published_scores_of_a_log_without_channels_have_none(tmp_path: Path) -> None:
    with from_frame(events().drop(columns="channel")) as log:
        publish(settings(tmp_path), scores(), Path("model"), bundle(), log, AS_OF)
    store = published.open_store(tmp_path)
    run = store.current_run()
    assert run is not None
    assert stored_channels(store.engine, run.id) == {}
    store.close()
