"""A disk that is full: the failed publication gives its space back, and erasures work."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from stagecast.features.errors import UsageError
from stagecast.serving.store import publishing, space
from stagecast.serving.store.queries import Filters
from tests.serving import published

pytestmark = pytest.mark.slow

FILLED = """
import resource, signal, sys
from pathlib import Path
import sqlalchemy as sa
from stagecast.features.errors import UsageError
from stagecast.serving.store import publishing
from tests.serving import published

store = published.open_store(Path(sys.argv[1]))
published.publish(store, published.scores(40))
large = published.scores(2_500)
file = Path(sys.argv[1], "stagecast.db")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = file.stat().st_size + 3_000_000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
publishing.CHUNK_ROWS = 100
written = []
try:
    store.publish(large, model_path="m", scheme=published.retail(), progress=written.append)
except UsageError as error:
    print(error)
size = file.stat().st_size
with store.engine.connect() as connection:
    print(*(connection.scalar(sa.text(f"select count(*) from {name}"))
            for name in ("runs", "scores", "documents")), len(written) > 2, size < 1_000_000)
print(store.erase("c0001"), store.forget("c0002"), store.customer("c0001"))
print(published.publish(store, published.scores(60)))
"""


def test_a_publication_that_fills_the_disk_leaves_nothing_and_erasures_work(tmp_path):
    """No file of the child may grow beyond a limit, as on a full disk."""
    child = subprocess.run(
        [sys.executable, "-c", FILLED, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    problem, rows, erased, run = child.stdout.splitlines()
    assert problem.startswith("the store cannot be written: ")
    assert problem.endswith("what was published before stays")
    assert rows == "1 40 40 True True"
    assert erased == "2 1 None"
    assert run == "3"


def test_what_has_no_space_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    store = published.open_store(tmp_path)
    published.publish(store, published.scores(10))
    monkeypatch.setattr(space.shutil, "disk_usage", lambda _: SimpleNamespace(free=100_000))
    monkeypatch.setattr(publishing, "_insert_run", lambda *_, **__: pytest.fail("it was written"))
    with pytest.raises(
        UsageError, match=r"1,000 customers need about 4 MB .*stagecast store prune"
    ):
        published.publish(store, published.scores(1_000))
    store.close()


def test_counts_are_remembered_until_somebody_is_erased(tmp_path):
    store = published.open_store(tmp_path)
    published.publish(store, published.scores(10))
    run = store.current_run()
    assert store.count(run, Filters()) == 10
    assert store.count(run, Filters()) == 10
    assert store._totals.cache_info().hits == 1
    store.erase("c0003")
    assert store.count(run, Filters()) == 9
    assert store.totals(run, Filters()).customers == 9
    published.publish(store, published.scores(4))
    assert store.count(store.current_run(), Filters()) == 4
    store.close()
