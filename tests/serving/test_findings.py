"""What check finds stands in the output and the report of a run, what changes numbers first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from stagecast.features.describe.quality import Quality, describe
from stagecast.features.describe.quality.buyers import HeavyCustomer
from stagecast.features.describe.quality.findings import OddDay
from stagecast.features.describe.quality.gaps import Gap
from stagecast.features.events import from_frame
from stagecast.serving.runs.findings import MOST_FINDINGS, findings
from tests.serving.calling import Stagecast


@pytest.fixture(scope="module")
def quiet() -> Quality:
    days = ["2025-01-01", "2025-01-03", "2025-01-03"]
    with from_frame(pd.DataFrame({"customer_id": list("aab"), "timestamp": days})) as log:
        return replace(describe(log.con), gaps=(), odd_days=())


def test_what_changes_numbers_comes_first(quiet: Quality) -> None:
    doubtful = OddDay("2025-03-01", "twice", "as many events as twice the usual", {})
    merely = OddDay("2025-02-01", "high", "many events", {})
    gap = Gap("2025-04-01", "2025-04-03", 3, 40.0, -9.0)
    heavy = replace(quiet.buyers, heavy=(HeavyCustomer("till", 90_000),))
    quality = replace(quiet, odd_days=(merely, doubtful), gaps=(gap,), buyers=heavy)
    customer, first, second, third = findings(quality)
    assert customer.startswith("customer till has 90,000 events")
    assert first.startswith("2025-03-01: as many events")
    assert second.startswith("no events: 2025-04-01 to 2025-04-03")
    assert third.startswith("2025-02-01: many events")
    assert findings(quiet) == ()


def test_many_findings_are_counted(quiet: Quality) -> None:
    days = tuple(OddDay(f"2025-02-{day:02}", "high", "many", {}) for day in range(1, 11))
    lines = findings(replace(quiet, odd_days=days))
    assert len(lines) == MOST_FINDINGS + 1
    assert lines[-1] == f"{10 - MOST_FINDINGS} more findings in data-report.json"


@pytest.mark.slow
def test_findings_stand_in_the_output_and_the_report(stagecast: Stagecast) -> None:
    rows = ["customer_id,timestamp,amount"]
    for day in range(240):
        at = (pd.Timestamp("2023-01-01") + pd.Timedelta(days=day)).date()
        if 100 <= day < 114:
            continue
        rows += [f"c{(day * 7 + k) % 60},{at},{10 + k}" for k in range(12)]
    Path("log.csv").write_text("\n".join(rows))
    result = stagecast("run", "log.csv", "--out", "out", "--horizon", "80d", "--no-track")
    assert result.code == 0, result.err
    assert "look at: no events: 2023-04-11 to 2023-04-24 (14 days)" in result.out
    report = Path("out/report.html").read_text("utf-8")
    assert "What to look at in the log" in report
    assert "No events: 2023-04-11 to 2023-04-24 (14 days)" in report
    assert "may change these numbers" in report
