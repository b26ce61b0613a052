"""How the tests are spread over several cores, and what holds for all of them.

Whole files go to a process each, since their fixtures are dear, and the longest begin first, so
that no core is left waiting at the end. Files of one group share a process: a Java machine is
started once for all tests of Spark, and a browser for all tests of pages.
"""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

import pytest

from tests import profiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling

# as many processes as cores: threads of their own would only wait for each other, and OpenBLAS
# spins while it waits. What is started by tests inherits it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

profiles.register()

SPARK = "spark"
GROUPS = {
    "tests/parity/test_spark.py": SPARK,
    "tests/parity/test_zones_on_spark.py": SPARK,
    "tests/features/engines/test_spark_reading.py": SPARK,
    "tests/serving/commands/test_spark_commands.py": SPARK,
}
"""File -> group of files that one process runs; a file that is not here is a group of its own."""
BROWSER = "tests/browser/"
"""Folder whose files are one group."""
LONGEST = (
    BROWSER,
    SPARK,
    *(
        f"tests/{file}"
        for file in (
            "test_docs.py",
            "serving/erasure/test_erase.py",
            "parity/test_features.py",
            "training/cancellation/test_panel.py",
            "training/billing/test_calendar.py",
            "test_notebooks.py",
            "serving/commands/test_lifecycle_commands.py",
            "serving/commands/test_monitor_command.py",
            "training/judging/test_readiness.py",
            "serving/python/test_arguments.py",
            "serving/store/test_store.py",
            "serving/commands/test_promotion_commands.py",
            "features/test_events_online_retail.py",
            "serving/reports/test_backtest_report.py",
            "serving/store/test_lists.py",
            "abuse/test_interrupted.py",
            "training/test_train.py",
            "training/value/test_dear_goods.py",
            "serving/commands/test_plan_learn_command.py",
            "training/billing/test_beginnings.py",
            "serving/commands/test_cli_run.py",
            "training/estimators/test_estimators.py",
            "test_arrow.py",
            "abuse/test_killed_servers.py",
            "serving/test_shop_days.py",
            "serving/commands/test_cli.py",
            "serving/follow/test_rollout_of_a_server.py",
            "training/judging/test_backtest.py",
            "training/billing/test_date_of_all.py",
            "training/judging/test_season_ahead.py",
            "serving/test_attributes.py",
            "serving/monitor/test_contracts.py",
            "training/test_tracking.py",
            "serving/python/test_backtesting.py",
            "reference/test_cdnow_accuracy.py",
            "serving/targeting/plan/test_book.py",
            "abuse/test_generated_requests.py",
            "serving/store/test_upgrades.py",
            "features/describe/quality/test_quality.py",
            "abuse/test_bad_logs.py",
            "features/test_events_properties.py",
            "abuse/test_declared_readings.py",
            "training/promotion/test_registry.py",
            "serving/targeting/trial/test_campaigns.py",
            "features/intake/test_time_hints.py",
            "serving/scoring/test_one_row.py",
            "features/describe/quality/test_quality_days.py",
            "serving/upkeep/test_upkeep.py",
            "serving/test_cancellation.py",
        )
    ),
)
"""Groups that begin first, in this order: what took most processor time when last measured."""


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    """The one session of Spark, for the tests of a file."""
    from tests.spark import start

    session = start()
    yield session
    session.stop()


def group_of(nodeid: str) -> str:
    """Return the group that a test belongs to."""
    file = nodeid.split("::", 1)[0]
    return BROWSER if file.startswith(BROWSER) else GROUPS.get(file, file)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest groups first, in whatever order the rest was shuffled into."""
    place = {name: k for k, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(group_of(item.nodeid), len(place)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Leave the collector of cycles out: next to nothing of what collecting tests makes goes."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Spare the collector of cycles the modules and tests, which stay until the end.

    Each of its full passes would look at some million objects again.
    """
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """Give all objects back to the collector, so that they are destroyed in their order."""
    gc.unfreeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Hand out whole groups where whole files are asked for, in the order of collection.

    `--dist loadgroup` would do so too, but it writes the group into the name of every test, and
    `--last-failed` and a copied name would then find nothing.
    """
    from xdist.scheduler import LoadFileScheduling

    if config.option.dist != "loadfile":
        return None

    class ByGroup(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False  # it would put the files with most tests first
    return ByGroup(config, log)
