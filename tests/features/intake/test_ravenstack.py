"""Five tables of a subscription service as one log, if they are next to the repository."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path

import pytest

from stagecast.features.events import ReadOptions, read_tables
from stagecast.features.intake.tables import parse_tables

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "ravenstack"
CONFIG = """
[[tables]]
source = "ravenstack_accounts.csv"
time = "signup_date"
event = "'signup'"
channel = "referral_source"

[[tables]]
source = "ravenstack_subscriptions.csv"
time = "start_date"
event = "'renew'"
amount = "mrr_amount"

[[tables]]
source = "ravenstack_feature_usage.csv"
time = "usage_date"
event = "'usage'"
[[tables.lookups]]
source = "ravenstack_subscriptions.csv"
on = "subscription_id"
columns = ["account_id"]

[[tables]]
source = "ravenstack_support_tickets.csv"
time = "submitted_at"
event = "'ticket'"

[[tables]]
source = "ravenstack_churn_events.csv"
time = "churn_date"
event = "'cancel'"
where = "is_reactivation = 'FALSE'"
"""

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason=f"{FOLDER} is not here")


def rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / f"ravenstack_{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_five_tables_become_one_log_whose_types_are_those_of_the_tables() -> None:
    options = ReadOptions(time_format="%d-%m-%Y", zone="UTC")
    base = tomllib.loads(CONFIG)["tables"]
    for table in base:
        table["customer"] = "account_id"
    with read_tables(parse_tables(base, options, FOLDER), options) as log:
        report = log.report
        usage = log.con.execute(
            "SELECT count(DISTINCT customer_id) FROM events WHERE event = 'usage'"
        ).fetchall()
    cancels = [row for row in rows("churn_events") if row["is_reactivation"] == "FALSE"]
    accounts = {row["subscription_id"]: row["account_id"] for row in rows("subscriptions")}
    assert report.event_types == {
        "usage": len(rows("feature_usage")),
        "renew": len(rows("subscriptions")),
        "ticket": len(rows("support_tickets")),
        "cancel": len(cancels),
        "signup": len(rows("accounts")),
    }
    assert report.rows_skipped == len(rows("churn_events")) - len(cancels)
    assert report.rows_in == report.rows_loaded
    assert usage == [(len({accounts[row["subscription_id"]] for row in rows("feature_usage")}),)]
