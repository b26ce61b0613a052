"""``--engine spark``: features and scores as on one machine, from Parquet; and what it does not
know is said.
"""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as dataset
import pyarrow.parquet as pq
import pytest

from bench.simulation import simulate
from stagecast.serving.cli import main
from stagecast.training.bundle import load_bundle
from tests.serving.calling import Stagecast
from tests.serving.test_attributes import CONFIGURED
from tests.spark import SETTINGS, needs_spark, quiet_spark

pytestmark = [needs_spark, *quiet_spark, pytest.mark.slow]
CUSTOMERS = 900
ZONE = "America/Los_Angeles"
# compiled queries pay on many rows alone; tests/parity has them
ON_SPARK = (
    "--engine",
    "spark",
    "--master",
    "local[1]",
    *(
        f"--spark-conf={k}={v}"
        for k, v in {**SETTINGS, "spark.sql.codegen.wholeStage": "false"}.items()
    ),
)


@dataclass(frozen=True)
class Shop:
    """A simulated log as two Parquet files, with rows that no engine may take, and a model trained
    on Spark by the days of a shop in Los Angeles.

    ``config`` names a table of customers, and features of one's own that ask for its columns.
    """

    events: Path
    config: Path
    model: Path
    trained: dict[str, object]


CUSTOMERS_TABLE = """
[customers]
source = "people.csv"
known_at_start = ["plan", "acquisition_cost"]
"""


def write(frame: pd.DataFrame, path: Path) -> None:
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, coerce_timestamps="us")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("spark")
    events = folder / "events"
    events.mkdir()
    log = simulate(CUSTOMERS)
    half = len(log) // 2
    write(log.iloc[:half], events / "a.parquet")
    strange = log.iloc[:4].assign(customer_id=["", None, "x", "y"], amount=[1.0, 2.0, -5.0, None])
    write(pd.concat([log.iloc[half:], log.iloc[-1:], strange]), events / "b.parquet")
    config = folder / "stagecast.toml"
    config.write_text(CUSTOMERS_TABLE + CONFIGURED, "utf-8")
    # of some nothing is told, and one has no events
    who = [*sorted(set(log["customer_id"]))[::3], "nobody"]
    cost = [None if k % 5 else k / 7 for k in range(len(who))]
    people = pd.DataFrame(
        {"customer_id": who, "plan": ["pro", "free"] * (len(who) // 2) + ["pro"] * (len(who) % 2)}
    )
    people.assign(acquisition_cost=cost).to_csv(folder / "people.csv", index=False)
    model = folder / "model"
    asked = (
        *("train", str(events), *ON_SPARK, "--config", str(config), "--sample", "700"),
        *("--no-track", "--json", "--zone", ZONE, "--out", str(model)),
    )
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as printed:
        patch.setattr(sys, "argv", ["stagecast", *asked])
        main()
    return Shop(events, config, model, json.loads(printed.getvalue().strip().splitlines()[-1]))


def rows(folder: Path) -> pd.DataFrame:
    actual: pd.DataFrame = dataset.dataset(folder, format="parquet").to_table().to_pandas()
    return actual.sort_values("customer_id", ignore_index=True)


def test_features_are_those_of_one_machine(
    shop: Shop, tmp_path: Path, stagecast: Stagecast
) -> None:
    on_spark, here = tmp_path / "spark", tmp_path / "here.parquet"
    asked = ("features", str(shop.events), "--config", str(shop.config), "--zone", ZONE)
    result = stagecast(*asked, *ON_SPARK, "--out", str(on_spark), "--json")
    assert result.code == 0, result.err
    report = json.loads(result.out.strip().splitlines()[-1])
    assert {name: report[name] for name in ("customers", "rows_rejected", "rows_duplicate")} == {
        "customers": CUSTOMERS,
        "rows_rejected": 4,
        "rows_duplicate": 1,
    }
    refused = dataset.dataset(on_spark / "_rejected").to_table().column("reason").to_pylist()
    assert sorted(refused) == [
        "missing_amount",
        "missing_customer",
        "missing_customer",
        "negative_amount",
    ]
    assert stagecast(*asked, "--out", str(here)).code == 0
    ours, theirs = pq.read_table(here).to_pandas(), rows(on_spark)
    assert list(ours.columns) == list(theirs.columns)
    assert ours["customer_id"].tolist() == theirs["customer_id"].tolist()
    assert (ours["as_of"] == theirs["as_of"]).all()
    assert 0 < ours["on_pro"].sum() < ours["on_pro"].count() < CUSTOMERS
    assert 0 < ours["first_cost"].count() < ours["on_pro"].count()
    for name in ours.columns[2:]:
        np.testing.assert_allclose(
            ours[name].to_numpy(), theirs[name].to_numpy(), rtol=1e-9, atol=1e-9, err_msg=name
        )


def test_scores_are_those_of_one_machine(shop: Shop, tmp_path: Path, stagecast: Stagecast) -> None:
    on_spark, here = tmp_path / "spark", tmp_path / "here.parquet"
    asked = ("score", str(shop.events), "--model", str(shop.model), "--config", str(shop.config))
    result = stagecast(*asked, *ON_SPARK, "--out", str(on_spark))
    assert result.code == 0, result.err
    assert stagecast(*asked, "--out", str(here)).code == 0
    assert "on_pro" in (shop.model / "churn.lightgbm.txt").read_text()
    assert load_bundle(shop.model).clock.zone == ZONE
    ours = pq.read_table(here)
    theirs = (
        dataset.dataset(on_spark, format="parquet")
        .to_table()
        .sort_by("customer_id")
        .cast(ours.schema)
    )
    assert len(ours) == CUSTOMERS
    for name in ours.column_names:
        if ours[name].type == pa.float64():
            np.testing.assert_allclose(
                theirs[name].to_numpy(), ours[name].to_numpy(), rtol=1e-12, err_msg=name
            )
        else:
            assert ours[name].to_pylist() == theirs[name].to_pylist(), name


def test_the_bundle_says_what_sample_it_learned_from(shop: Shop) -> None:
    notes = " ".join(str(note) for note in shop.trained["notes"])  # type: ignore[attr-defined]
    assert f"Trained on 700 of {CUSTOMERS} customers (77.8%)" in notes
    assert "percentage points or better (95 %)" in notes


def test_what_the_model_looks_at_must_be_told(
    shop: Shop, tmp_path: Path, stagecast: Stagecast
) -> None:
    asked = (
        "score",
        str(shop.events),
        *ON_SPARK,
        "--model",
        str(shop.model),
        "--out",
        str(tmp_path / "out"),
    )
    result = stagecast(*asked)
    assert result.code == 2
    assert (
        "this model looks at plan, acquisition_cost of the table of customers: name that table"
        in result.err
    )
    (tmp_path / "people.csv").write_text("customer_id,plam\n1,pro\n", "utf-8")
    other = stagecast(*asked, "--customers", str(tmp_path / "people.csv"))
    assert other.code == 2
    assert (
        "asks for 'plan', which is no column of the table of customers; it has plam. Did you mean"
        in other.err
    )
    undeclared = stagecast(
        *(
            "features",
            str(shop.events),
            *ON_SPARK,
            "--config",
            str(shop.config),
            "--out",
            str(tmp_path / "out"),
        ),
        *("--customers", str(shop.config.with_name("people.csv")), "--known-at-start", "plan"),
    )
    assert undeclared.code == 2
    assert "declare it with --known-at-start acquisition_cost" in undeclared.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("log.csv",), "reads Parquet, Delta and tables; write the log as Parquet first"),
        (("nowhere",), "cannot be read by Spark"),
        ((), "needs EVENTS"),
        (("nowhere", "--where", "a > 1"), "--where is not known to --engine spark"),
        (("nowhere", "--preset", "ga4"), "Read the export without --engine spark; or write"),
    ],
)
def test_what_spark_cannot_read_is_said(
    arguments: tuple[str, ...], message: str, tmp_path: Path, stagecast: Stagecast
) -> None:
    result = stagecast("features", *arguments, *ON_SPARK, "--out", str(tmp_path / "out"))
    assert result.code == 2
    assert message in result.err
    assert not (tmp_path / "out").exists()


def test_a_column_that_is_not_there_is_named(
    shop: Shop, tmp_path: Path, stagecast: Stagecast
) -> None:
    strange = tmp_path / "strange.parquet"
    write(simulate(20).rename(columns={"customer_id": "customer"}), strange)
    result = stagecast("features", str(strange), *ON_SPARK, "--out", str(tmp_path / "out"))
    assert result.code == 3
    assert (
        "no column 'customer_id' among customer, timestamp, amount; name it with --customer COL"
        in result.err
    )
    mapped = stagecast(
        "features",
        str(strange),
        *ON_SPARK,
        "--customer",
        "customer",
        "--out",
        str(tmp_path / "out"),
    )
    assert mapped.code == 0, mapped.err
    assert len(rows(tmp_path / "out")) == 20


def test_a_command_of_one_machine_says_so(stagecast: Stagecast) -> None:
    result = stagecast("check", "log.parquet", "--engine", "spark")
    assert result.code == 2
    assert "`check` works on one machine; `features`, `train` and `score` know Spark" in result.err
