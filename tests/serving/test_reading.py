"""A reading and what is asked of it, as Python makes them; and as a command makes them of its
options and of the configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from stagecast.features.catalog.own import OwnFeatures
from stagecast.features.errors import UsageError
from stagecast.features.intake.attributes import CustomersTable
from stagecast.features.intake.mapping import EventMapping
from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.tables import Table
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.serving.commands.options import as_request, common, span_days
from stagecast.serving.commands.reading_values import reading
from stagecast.serving.commands.training_options import SchemeChoice, learning, scheme_choice
from stagecast.serving.jobs.features import write_feature_file
from stagecast.serving.jobs.scores import Scored, score_customers
from stagecast.serving.jobs.stages import write_stages
from stagecast.serving.jobs.training import train_bundle
from stagecast.serving.reading import Reading, Spark
from stagecast.serving.requests import LeadsRequest, ScoringRequest, StagesRequest, TrainingRequest
from stagecast.training.config import TrainConfig

LOG = "customer_id,timestamp,amount\na,2024-01-01,1\na,2024-02-01,2\nb,2024-02-03,5\n"
CONFIGURATION = """
zone = "Europe/London"
refuse = { free = "amount <= 0" }
rates = { USD = 0.5 }
report-currency = "EUR"
[[tables]]
source = "tickets.csv"
event = "'ticket'"
[customers]
source = "people.csv"
known_at_start = ["size"]
[catalog.orders_per_year]
meaning = "orders per year"
unit = "ratio"
formula = "365 * orders / T_days"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder with a small log."""
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text(LOG)
    return tmp_path


def values_of(*decorators: Callable[..., object], args: tuple[str, ...] = ()) -> dict[str, object]:
    """Return what a command with these groups of options is called with."""
    values: dict[str, object] = {}

    def probe(**called: object) -> None:
        values.update(called)

    command: object = common(probe)
    for decorate in reversed(decorators):
        command = decorate(command)
    click.command("probe")(command).main(list(args), standalone_mode=False)  # type: ignore[call-overload]
    return values


def reading_of(*args: str) -> Reading:
    made = values_of(reading, args=args)["reading"]
    assert isinstance(made, Reading)
    return made


def test_a_reading_opens_the_log_that_it_names() -> None:
    options = ReadOptions(as_of=datetime(2024, 2, 2, tzinfo=UTC))
    with Reading(("log.csv",), options=options).open() as log:
        assert log.report.rows_loaded == 3
    table = Table(("log.csv",), ReadOptions(mapping=EventMapping(event="'ticket'")))
    with Reading(tables=(table,)).open() as log:
        assert log.report.event_types == {"ticket": 3}
    assert Reading(("log.csv",), options=options).as_of == options.as_of


def test_what_cannot_be_opened_is_said() -> None:
    with pytest.raises(UsageError, match="no event log was named"):
        Reading().open()
    with pytest.raises(UsageError, match="is the event log itself"):
        Reading(("log.csv",)).open(None, Path("log.csv"))
    with pytest.raises(UsageError, match="`check` works on one machine"):
        Reading(("log.csv",), spark=Spark()).open(command="check")


@pytest.mark.parametrize(
    ("options", "option"),
    [
        (ReadOptions(where="amount > 1"), "--where"),
        (ReadOptions(refuse={"free": "amount = 0"}), "--refuse"),
        (ReadOptions(mapping=EventMapping(event_id="id")), "--event-id"),
        (ReadOptions(mapping=EventMapping(product="sku"), not_products="x"), "--product"),
        (ReadOptions(decimal=","), "--decimal"),
        (ReadOptions(header_line=4), "--header-line"),
    ],
)
def test_spark_refuses_what_it_does_not_know(options: ReadOptions, option: str) -> None:
    refusal = f"{option} (is not known to --engine spark|is for text files, which --engine spark)"
    with (
        pytest.raises(UsageError, match=refusal),
        Reading(("events",), options=options, spark=Spark()).open_on_spark(),
    ):
        pass
    with pytest.raises(UsageError, match="needs EVENTS"), Reading(spark=Spark()).open_on_spark():
        pass


def test_options_become_one_reading() -> None:
    made = reading_of(
        *("a.csv", "b.csv", "--customer", "who", "--discount-amount", "off", "--decimal", ","),
        *("--as-of", "2024-02-02", "--refuse", "free=paid <= 0", "--customers", "people.csv"),
        *("--known-at-start", "size"),
    )
    assert made == Reading(
        ("a.csv", "b.csv"),
        options=ReadOptions(
            mapping=EventMapping(customer="who", discount="off"),
            decimal=",",
            as_of=datetime(2024, 2, 2, tzinfo=UTC),
            refuse={"free": "paid <= 0"},
        ),
        customers=CustomersTable("people.csv", known_at_start=("size",)),
    )
    on_spark = reading_of("events", "--engine", "spark", "--spark-conf", "spark.ui.enabled=false")
    assert on_spark.spark == Spark(settings={"spark.ui.enabled": "false"})


def test_a_configuration_reaches_the_reading(folder: Path) -> None:
    (folder / "shop").mkdir()
    (folder / "shop" / "own.toml").write_text(CONFIGURATION)
    made = reading_of("--config", "shop/own.toml")
    assert made.options.zone == "Europe/London"
    assert made.options.refuse == {"free": "amount <= 0"}
    assert made.options.rates == {"USD": 0.5}
    assert [table.sources for table in made.tables] == [("shop/tickets.csv",)]
    assert made.tables[0].options.zone == "Europe/London"
    assert made.customers == CustomersTable("shop/people.csv", known_at_start=("size",))
    assert [feature.name for feature in made.own.features] == ["orders_per_year"]
    assert reading_of("log.csv", "--config", "shop/own.toml").tables == ()
    assert reading_of("log.csv").own == OwnFeatures()


def test_options_become_one_request_of_a_training(folder: Path) -> None:
    args = ("--horizon", "30d", "--pin", "at_risk_ratio=2", "--no-track")
    assert values_of(learning, args=args) == {
        "as_json": False,
        "training": TrainingRequest(TrainConfig(horizon_days=30, pins={"at_risk_ratio": 2.0})),
    }
    (folder / "stagecast.toml").write_text('stages = "clm5"\n')
    chosen = values_of(scheme_choice)["scheme"]
    assert chosen == SchemeChoice("clm5")
    named = values_of(scheme_choice, args=("--stages", "retail"))["scheme"]
    assert named == SchemeChoice("retail", on_the_line=True)


def test_options_become_the_fields_of_a_request() -> None:
    made = values_of(
        as_request(LeadsRequest, horizon_days="horizon"),
        *(click.option(f"--{name}") for name in ("points", "learn", "mql", "sql")),
        click.option("--ends-lead", multiple=True),
        click.option("--horizon", default="90d", callback=span_days),
        click.option("--out", type=click.Path(path_type=Path)),
        args=("--out", "leads.csv", "--horizon", "2w", "--mql", "20"),
    )
    assert made["request"] == LeadsRequest(Path("leads.csv"), 14, mql="20")


def test_a_training_that_is_not_tracked_cannot_be_registered() -> None:
    with pytest.raises(UsageError, match="--register needs MLflow"):
        TrainingRequest(TrainConfig(), register="shop")
    with pytest.raises(UsageError, match="--sample is a number of customers"):
        TrainingRequest(TrainConfig(), sample=0)


def test_jobs_are_called_from_python() -> None:
    log = Reading(("log.csv",))
    asked = TrainingRequest(TrainConfig(horizon_days=20))
    trained = train_bundle(log, asked, Path("model"))
    scored = score_customers(log, ScoringRequest("model", Path("scores.csv")))
    assert isinstance(scored, Scored)
    assert scored.model_version == trained.bundle.model_version
    assert sum(scored.counts.values()) == 2
    stages = write_stages(
        log, load_scheme("retail"), StagesRequest(Path("stages.csv"), explain="b")
    )
    assert stages.explained is not None
    assert stages.explained["customer_id"] == "b"
    written = write_feature_file(log, log.own.catalog(90), Path("features.parquet"))
    assert (written.what, written.customers) == ("features", 2)
    assert sorted(path.name for path in Path().glob("*.*")) == [
        *("features.parquet", "log.csv", "scores.csv", "stages.csv"),
    ]
