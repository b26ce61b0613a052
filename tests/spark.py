"""A real Spark in local mode for the tests; skipped with a reason where there is no Java or no
PySpark.
"""

from __future__ import annotations

import importlib.util
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MISSING = (
    "needs Java 17 (set JAVA_HOME, or install a JRE)"
    if shutil.which("java") is None
    else "needs PySpark: pip install 'stagecast[spark]'"
    if importlib.util.find_spec("pyspark") is None
    else None
)
needs_spark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
# Spark's own Python warns of what others deprecate, and leaves sockets to the collector
quiet_spark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
# small logs: the fewest tasks
SETTINGS = {
    # and the least work for the Java machine: it lives for a minute
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.shuffle.partitions": "1",
    "spark.default.parallelism": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.driver.memory": "1g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}


def start() -> SparkSession:
    """Return the one session of the tests."""
    from stagecast.features.engines.spark.table import session

    return session("local[1]", SETTINGS)
