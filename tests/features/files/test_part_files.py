"""Tables written in parts: same rows as at once, resumed runs, folders of other runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as dataset
import pyarrow.parquet as pq
import pytest

from bench.simulation import AS_OF, simulate
from stagecast.features.catalog.standard import standard
from stagecast.features.engines.larger_than_memory import row_ranges, write_features
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.features.events import EventLog, from_frame
from tests.parity.logs import DAY, utc

CATALOG = standard(90).needed_for(["orders", "recency_days", "rhythm_days", "visits_30d"])
FEW_ROWS = 40


@pytest.fixture(scope="module")
def log() -> Iterator[EventLog]:
    with from_frame(simulate(100)) as event_log:
        yield event_log


def read(folder: Path) -> pa.Table:
    return dataset.dataset(folder, format="parquet").to_table()


def test_parts_are_the_whole(log: EventLog, tmp_path: Path) -> None:
    assert len(list(row_ranges(log.con, FEW_ROWS))) > 3
    assert write_features(log, AS_OF, CATALOG, tmp_path / "whole.parquet") == 100
    assert write_features(log, AS_OF, CATALOG, tmp_path / "parts", FEW_ROWS) == 100
    assert write_features(log, AS_OF, CATALOG, tmp_path / "parts.parquet", FEW_ROWS) == 100
    whole = pq.read_table(tmp_path / "whole.parquet")
    assert whole["customer_id"].to_pylist() == sorted(whole["customer_id"].to_pylist())
    assert pq.read_table(tmp_path / "parts.parquet").equals(whole)
    assert read(tmp_path / "parts").equals(whole)


def test_a_stopped_run_goes_on_with_the_parts_that_are_there(log: EventLog, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    write_features(log, AS_OF, CATALOG, folder, FEW_ROWS)
    expected = read(folder)
    names = sorted(path.name for path in folder.glob("part-*.parquet"))
    time_before = (folder / names[0]).stat().st_mtime_ns
    (folder / names[1]).unlink()
    (folder / f".{names[2]}.draft").write_bytes(b"half of a part")
    assert write_features(log, AS_OF, CATALOG, folder, FEW_ROWS) == 100
    assert read(folder).equals(expected)
    assert (folder / names[0]).stat().st_mtime_ns == time_before


def test_parts_of_another_run_are_left_alone(log: EventLog, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    write_features(log, AS_OF, CATALOG, folder, FEW_ROWS)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    other = standard(90).needed_for(["orders"])
    for as_of, catalog, rows in (
        (AS_OF - DAY, CATALOG, FEW_ROWS),
        (AS_OF, other, FEW_ROWS),
        (AS_OF, CATALOG, 60),
    ):
        with pytest.raises(UsageError, match="holds something else"):
            write_features(log, as_of, catalog, folder, rows)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_with_something_else_is_refused(log: EventLog, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("Dear")
    with pytest.raises(UsageError, match="holds something else"):
        write_features(log, AS_OF, CATALOG, tmp_path / "letters", FEW_ROWS)
    with pytest.raises(UsageError, match="without an ending it is a folder"):
        write_features(log, AS_OF, CATALOG, tmp_path / "letters.txt", FEW_ROWS)
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["dear.txt"]


def test_nothing_before_the_as_of_leaves_nothing_behind(log: EventLog, tmp_path: Path) -> None:
    with pytest.raises(NotEnoughDataError, match="no event stands before the as_of"):
        write_features(log, utc("1990-01-01"), CATALOG, tmp_path / "parts", FEW_ROWS)
    assert not list(tmp_path.iterdir())
