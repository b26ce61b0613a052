"""Days of the shop from end to end: training, batch, HTTP and stages.

A log of local times that is read with ``--zone`` counts what the same texts count when they are
read as UTC; only instants differ, by the offset of the zone.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.simulation import simulate
from stagecast.features.clock import parse_shop_time
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import UsageError
from stagecast.features.events import EventLog, ReadOptions, from_frame
from stagecast.features.intake.tables import Table
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.serving.http.bodies import decode_score
from stagecast.serving.http.incoming import read_request
from stagecast.serving.jobs.backtest import write_backtest
from stagecast.serving.pipeline import run
from stagecast.serving.reading import Reading
from stagecast.serving.requests import BacktestRequest
from stagecast.serving.runs.files import MODEL, SCORES
from stagecast.serving.runs.stage_table import history_table, stage_table, stages_of
from stagecast.serving.scoring.batch import score_log
from stagecast.serving.scoring.scorer import Scorer, load_scorer
from stagecast.training.bundle import load_bundle
from stagecast.training.config import TrainConfig
from tests.serving import web
from tests.training.made import unevaluated

pytestmark = pytest.mark.slow

LA, TEHRAN = "America/Los_Angeles", "Asia/Tehran"
AS_OF = "1998-05-01"
INSTANTS = ("as_of", "data_cutoff", "stage_since")


def lunch_and_supper(customers: int = 250) -> pd.DataFrame:
    """Return a log of local times: everybody who comes has lunch and supper on that day."""
    meals = simulate(customers, seed=11)
    day = meals["timestamp"].dt.tz_localize(None)
    lunch = meals.assign(timestamp=day + timedelta(hours=12, minutes=15))
    supper = meals.assign(timestamp=day + timedelta(hours=19, minutes=40, seconds=5))
    return pd.concat([lunch, supper], ignore_index=True)


def log_in(zone: str, **options: object) -> EventLog:
    return from_frame(lunch_and_supper(), ReadOptions(zone=zone, duplicates="keep", **options))


@pytest.fixture(scope="module", params=[LA, TEHRAN])
def zone(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run_in(zone: str, out: Path) -> Path:
    with log_in(zone) as log, unevaluated():
        run(log, out, TrainConfig(max_dates=1), as_of=parse_shop_time(AS_OF))
    return out


@pytest.fixture(scope="module")
def run_in_utc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that reads the same texts as UTC."""
    return run_in("UTC", tmp_path_factory.mktemp("days") / "UTC")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, zone: str, run_in_utc: Path) -> dict[str, Path]:
    """Return the folders of a run with the zone, and of one that reads the same texts as UTC."""
    folder = tmp_path_factory.mktemp("days") / zone.replace("/", "_")
    return {zone: run_in(zone, folder), "UTC": run_in_utc}


def local_text(column: pa.ChunkedArray, zone: str) -> list[str]:
    """Return instants as what the wall shows."""
    return [
        t.astimezone(ZoneInfo(zone)).replace(tzinfo=None).isoformat() for t in column.to_pylist()
    ]


def check_alike(ours: pa.Table, theirs: pa.Table, zone: str) -> None:
    """Check that two scores differ in nothing but the instants, and these by the offset."""
    for name in ours.column_names:
        if name in INSTANTS:
            assert local_text(ours[name], zone) == local_text(theirs[name], "UTC"), name
        elif name != "model_version":
            assert ours[name].equals(theirs[name]), name


def test_a_zone_counts_what_the_same_texts_count_as_utc(runs: dict[str, Path], zone: str) -> None:
    ours, theirs = (pq.read_table(runs[name] / SCORES) for name in (zone, "UTC"))
    check_alike(ours, theirs, zone)
    midnight = datetime(1998, 5, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    assert set(ours["as_of"].to_pylist()) == {midnight}


def test_lunch_and_supper_are_one_day(runs: dict[str, Path], zone: str) -> None:
    scores = pq.read_table(runs[zone] / SCORES).to_pandas().set_index("customer_id")
    bought = simulate(250, seed=11)
    bought = bought[bought["timestamp"] < pd.Timestamp(AS_OF, tz="UTC")]
    days = bought.groupby("customer_id")["timestamp"].nunique()
    assert (scores["orders"] == days.reindex(scores.index)).all()


def test_the_bundle_carries_the_zone_and_only_where_there_is_one(
    runs: dict[str, Path], zone: str
) -> None:
    bundle = load_bundle(runs[zone] / MODEL)
    assert bundle.clock.zone == zone
    assert bundle.as_of == datetime(1998, 5, 1, tzinfo=ZoneInfo(zone))
    configs = [
        json.loads((runs[name] / MODEL / "models.json").read_text())["config"]
        for name in (zone, "UTC")
    ]
    assert configs[0]["zone"] == zone
    assert "zone" not in configs[1]


def test_batch_and_request_agree(runs: dict[str, Path], zone: str, tmp_path: Path) -> None:
    scorer = load_scorer(runs[zone] / MODEL, threads=0)
    later = parse_shop_time("1998-06-01")
    with log_in(zone) as log:
        score_log(log, scorer, log.choose_as_of(later), tmp_path / "scores.parquet", 200)
    batch = pq.read_table(tmp_path / "scores.parquet").to_pandas()
    asked = batch.sample(25, random_state=1).sort_values("customer_id")
    rows = lunch_and_supper()
    customers = [
        {
            "customer_id": name,
            "events": [
                {"timestamp": at.isoformat(), "amount": float(amount)}
                for at, amount in zip(own["timestamp"], own["amount"], strict=True)
            ],
        }
        for name, own in rows[rows["customer_id"].isin(asked["customer_id"])].groupby("customer_id")
    ]
    body = decode_score(json.dumps({"as_of": "1998-06-01", "customers": customers}).encode())
    request = read_request(body, datetime.now(UTC), scorer.bundle.clock)
    assert request.as_of == datetime(1998, 6, 1, tzinfo=ZoneInfo(zone))
    online = scorer.score_customers(request.customers, request.as_of).to_pandas()
    for name in ("as_of", "stage", "stage_since", "orders", "recency_days", "next_order_date"):
        assert online[name].tolist() == asked[name].tolist(), name
    np.testing.assert_allclose(online["p_inactive"], asked["p_inactive"], rtol=1e-9)
    np.testing.assert_allclose(online["clv"], asked["clv"], rtol=1e-9)


def test_a_log_of_other_days_is_refused_and_a_reading_takes_those_of_the_model(
    runs: dict[str, Path], zone: str, tmp_path: Path
) -> None:
    scorer = load_scorer(runs[zone] / MODEL, threads=0)
    with (
        log_in("UTC") as log,
        pytest.raises(UsageError, match=f"days are those of UTC, .* days of {zone}"),
    ):
        score_log(log, scorer, log.choose_as_of(), tmp_path / "scores.parquet")
    options = Reading().counting_days_of(zone).options
    assert (options.zone, options.day_zone) == (zone, zone)
    # times that are UTC are read as such, and still counted by the days of the model
    named = Reading(options=ReadOptions(day_zone="UTC")).counting_days_of(zone).options
    assert (named.zone, named.day_zone) == ("UTC", zone)
    older = Reading(options=ReadOptions(zone=zone)).counting_days_of("UTC").options
    assert (older.zone, older.day_zone) == (zone, "UTC")


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("zone", [LA, pytest.param(TEHRAN, marks=pytest.mark.long)], indirect=True)
def test_a_backtest_counts_days_of_the_shop_and_builds_the_last_table_once(
    zone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anchors: list[datetime] = []
    build = DailyTable.__init__

    def counted(self: DailyTable, connection: Any, anchor: datetime, *rest: Any) -> None:
        anchors.append(anchor)
        build(self, connection, anchor, *rest)

    monkeypatch.setattr(DailyTable, "__init__", counted)
    lunch_and_supper().to_csv(tmp_path / "meals.csv", index=False)
    config = TrainConfig(horizon_days=60, value_horizon_days=90, max_dates=1)
    written = {}
    for name in (zone, "UTC"):
        reading = Reading(
            sources=(str(tmp_path / "meals.csv"),),
            options=ReadOptions(zone=name, duplicates="keep", as_of=parse_shop_time(AS_OF)),
        )
        request = BacktestRequest(out=tmp_path / name.replace("/", "_"), dates=2)
        written[name] = write_backtest(reading, config, request).backtest
        assert [anchor.date() for anchor in anchors].count(date(1998, 5, 1)) == 1
        anchors.clear()
    ours, theirs = (written[name] for name in (zone, "UTC"))
    assert ours.as_of == theirs.as_of == AS_OF
    assert ours.value is not None
    assert ours.value == theirs.value
    assert ours.verdict == theirs.verdict
    folders = [tmp_path / name.replace("/", "_") for name in (zone, "UTC")]
    tables = [pq.read_table(folder / "predictions.parquet") for folder in folders]
    for column in tables[0].column_names:
        if column != "as_of":
            assert tables[0][column].equals(tables[1][column]), column
    assert local_text(tables[0]["as_of"], zone) == local_text(tables[1]["as_of"], "UTC")


def test_stages_and_their_history_hold_instants(zone: str) -> None:
    tables = []
    for name in (zone, "UTC"):
        with log_in(name) as log:
            as_of = log.choose_as_of(parse_shop_time(AS_OF))
            stages = stages_of(log, as_of, load_scheme("retail"), keep_facts=True)
            tables.append((stage_table(stages), history_table(stages)))
    (now, spells), (now_utc, spells_utc) = tables
    assert local_text(now["stage_since"], zone) == local_text(now_utc["stage_since"], "UTC")
    assert local_text(spells["from"], zone) == local_text(spells_utc["from"], "UTC")
    assert now["stage_rule"].equals(now_utc["stage_rule"])


def test_without_a_zone_the_as_of_is_midnight_utc() -> None:
    with log_in("UTC") as log:
        assert log.choose_as_of(parse_shop_time(AS_OF)) == datetime(1998, 5, 1, tzinfo=UTC)
        assert log.choose_as_of().tzinfo is UTC
        tables = log.con.sql("select view_name from duckdb_views() where not internal").fetchall()
        assert tables == []


def test_an_as_of_with_a_zone_is_that_instant() -> None:
    with log_in(LA) as log:
        as_of = log.choose_as_of(parse_shop_time("1998-05-01T07:00:00Z"))
        assert log.clock.instant(as_of) == datetime(1998, 5, 1, 7, tzinfo=UTC)
        assert as_of.date() == date(1998, 5, 1)


def test_tables_of_several_zones_count_days_of_utc_and_say_so(tmp_path: Path) -> None:
    from stagecast.features.events import read_tables

    (tmp_path / "a.csv").write_text("customer_id,timestamp\na,2024-01-05T20:00\n")
    tables = [
        Table((str(tmp_path / "a.csv"),), ReadOptions(zone=name, duplicates="keep"))
        for name in (LA, TEHRAN)
    ]
    with read_tables(tables) as log:
        assert log.clock.zone == "UTC"
        assert any("in several zones" in warning for warning in log.report.warnings)
    chosen = [replace(table, options=replace(table.options, day_zone=TEHRAN)) for table in tables]
    with read_tables(chosen) as log:
        assert log.clock.zone == TEHRAN
    with read_tables(tables[:1]) as log:
        assert log.clock.zone == LA


def test_a_zone_that_does_not_exist_is_refused_and_the_card_names_it(
    runs: dict[str, Path], zone: str
) -> None:
    with pytest.raises(UsageError, match="cannot be used; give a name like"):
        TrainConfig(zone="America/Los_Angles")
    bundle = load_bundle(runs[zone] / MODEL)
    assert Scorer(bundle).card["zone"] == zone


def test_a_request_reads_times_in_the_zone_of_the_model(tmp_path: Path) -> None:
    class InTehran(web.FakeScorer):
        card = {**web.FakeScorer.card, "zone": TEHRAN}  # noqa: RUF012

    scorer = InTehran()
    times = ["1997-06-01", "1997-06-01T12:00:00", "1997-06-01T12:00:00Z"]
    events = [{"timestamp": text, "amount": 1.0} for text in times]
    customers = [{"customer_id": "a", "events": events}]
    with web.client(web.app_with(tmp_path, scorer=scorer)) as client:
        answer = client.post("/v1/score", json={"as_of": "1998-01-01", "customers": customers})
        assert answer.status_code == 200, answer.text
        assert answer.json()["as_of"] == "1997-12-31T20:30:00Z"
        exact = {"as_of": "1998-01-01T00:00:00Z", "customers": customers}
        assert client.post("/v1/score", json=exact).json()["as_of"] == exact["as_of"]
    asked, as_of = scorer.asked[0]
    assert as_of == datetime(1997, 12, 31, 20, 30, tzinfo=UTC)
    assert [event.timestamp.isoformat() for event in asked[0].events] == [
        "1997-05-31T19:30:00+00:00",
        "1997-06-01T07:30:00+00:00",
        "1997-06-01T12:00:00+00:00",
    ]
