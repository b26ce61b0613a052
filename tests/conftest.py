"""Which files begin first where tests run on several cores: the longest, so that no core is left
waiting at the end.
"""

from __future__ import annotations

import pytest

LONGEST = (
    "test_interrupted.py",
    "test_spark_commands.py",
    "test_cli.py",
    "test_erase.py",
    "test_notebooks.py",
    "test_docs.py",
    "test_readiness.py",
    "test_cdnow_accuracy.py",
    "test_tracking.py",
    "test_estimators.py",
    "test_backtest.py",
    "test_spark.py",
    "test_features.py",
    "test_events_properties.py",
    "test_snapshots.py",
    "test_lifecycle_commands.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, in whatever order the rest was shuffled into."""
    place = {name: k for k, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))
