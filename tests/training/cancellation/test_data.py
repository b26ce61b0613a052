"""Cancellations on real and on made-up subscriptions, where somebody has put them beside the
checkout.
"""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path

import numpy as np
import pytest

from bench import cancellation
from stagecast.features.clock import microseconds, parse_instant
from stagecast.features.contract_spells import spells
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.events import EventLog, ReadOptions, read_tables
from stagecast.features.intake.tables import parse_tables
from stagecast.training.cancellation.fitting import fit_cancellation
from stagecast.training.cancellation.landmarks import current, past

RAVENSTACK = Path(__file__).parents[4] / "shared" / "data" / "ravenstack"
TABLES = """
[[tables]]
source = "ravenstack_accounts.csv"
customer = "account_id"
time = "signup_date"
event = "'signup'"

[[tables]]
source = "ravenstack_churn_events.csv"
customer = "account_id"
time = "churn_date"
event = "'cancel'"
"""

MAVEN_IS_HERE = pytest.mark.skipif(
    not cancellation.FILE.exists(), reason=f"{cancellation.FILE} is not here"
)
RAVENSTACK_IS_HERE = pytest.mark.skipif(not RAVENSTACK.exists(), reason=f"{RAVENSTACK} is not here")


@MAVEN_IS_HERE
def test_the_subscriptions_keep_their_figures() -> None:
    with cancellation.subscriptions() as log:
        of = spells(DailyTable(log.con, log.choose_as_of()))
    assert len(of.customers) == 2_877
    # of the 185 with several rows three had one begin while another lasted; its cancellation finds
    # nothing open
    assert (of.returning_customers, of.ignored_cancellations) == (185 - 3, 3)


@MAVEN_IS_HERE
def test_the_model_clears_the_bar_on_real_subscriptions() -> None:
    table = cancellation.results(as_ofs=["2023-06-01"]).set_index(["horizon", "model"])["log_loss"]
    for horizon in cancellation.HORIZONS:
        of = table[horizon]
        assert of["pool"] < of["base rate"] - 0.01
        # dates alone tell little beyond the age: none of them is ahead by more than chance
        assert of["pool"] < of["Kaplan-Meier by age"] + 0.003
        assert of["pool"] < of["Cox regression"] + 0.003


def ravenstack() -> EventLog:
    options = ReadOptions(time_format="%d-%m-%Y", zone="UTC")
    return read_tables(parse_tables(tomllib.loads(TABLES)["tables"], options, RAVENSTACK), options)


@RAVENSTACK_IS_HERE
def test_tables_of_a_service_become_spells() -> None:
    as_of = parse_instant("2024-07-01")
    with ravenstack() as log:
        of = spells(DailyTable(log.con, as_of))
    with (RAVENSTACK / "ravenstack_churn_events.csv").open(encoding="utf-8", newline="") as file:
        dates = [row["churn_date"].split("-") for row in csv.DictReader(file)]
    before = sum((y, m, d) < ("2024", "07", "01") for d, m, y in dates)
    assert of.cancellations + of.ignored_cancellations == before
    assert (of.start < microseconds(as_of)).all()
    rows = past(of, 30)
    p = fit_cancellation(of, 30, rows, seed=1).probability(current(of))
    assert len(p) == int(of.open.sum())
    assert ((p > 0) & (p < 0.5)).all()
    assert np.std(p) < 0.1
