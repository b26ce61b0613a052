"""Scores of a log that is scored part by part are those of the log at once; a stopped run goes
on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as dataset
import pyarrow.parquet as pq
import pytest

from bench.simulation import AS_OF, simulate
from stagecast.features.errors import UsageError
from stagecast.features.events import from_frame
from stagecast.serving.scoring.batch import score_log, snapshot
from stagecast.serving.scoring.scorer import Scorer
from stagecast.training.bundle import load_bundle
from tests.parity.logs import DAY

pytestmark = pytest.mark.slow


def alike(ours: pa.Table, theirs: pa.Table) -> None:
    """Hold two tables of scores to each other, numbers to the last bits."""
    assert ours.schema == theirs.schema
    for name in ours.column_names:
        if pa.types.is_floating(ours.schema.field(name).type):
            np.testing.assert_allclose(
                ours[name].to_numpy(), theirs[name].to_numpy(), rtol=1e-12, err_msg=name
            )
        elif name == "clv_by_year":
            assert ours[name].is_null().equals(theirs[name].is_null())
            flat = [pc.list_flatten(table[name]).to_numpy() for table in (ours, theirs)]
            np.testing.assert_allclose(*flat, rtol=1e-12)
        else:
            assert ours[name].equals(theirs[name]), name


def test_parts_are_the_whole_and_a_stopped_run_goes_on(model: Path, tmp_path: Path) -> None:
    scorer = Scorer(load_bundle(model), threads=0)
    with from_frame(simulate(300)) as log:
        whole = scorer.score(*snapshot(log, scorer.bundle, AS_OF))
        counts = score_log(log, scorer, AS_OF, tmp_path / "scores.parquet", 100)
        assert sum(counts.values()) == 300
        alike(pq.read_table(tmp_path / "scores.parquet"), whole)
        folder = tmp_path / "scores"
        assert score_log(log, scorer, AS_OF, folder, 100) == counts
        (folder / "part-00001.parquet").unlink()
        assert score_log(log, scorer, AS_OF, folder, 100) == counts
        assert (
            dataset.dataset(folder, format="parquet")
            .to_table()
            .equals(pq.read_table(tmp_path / "scores.parquet"))
        )
        assert score_log(log, scorer, AS_OF, tmp_path / "scores.csv", 100) == counts
        bare = Scorer(scorer.bundle, threads=0, with_reasons=False)
        with pytest.raises(UsageError, match="holds something else"):
            score_log(log, bare, AS_OF, folder, 100)
        score_log(log, bare, AS_OF, tmp_path / "bare.parquet", 100)
        without = pq.read_table(tmp_path / "bare.parquet")
        explained = ["reasons", "risk_base", "risk_rest"]
        alike(without.drop(explained), whole.drop(explained))
        assert without["reasons"].to_pylist() == [[]] * 300


def test_a_date_before_the_training_is_refused_before_anything_is_written(
    model: Path, tmp_path: Path
) -> None:
    scorer = Scorer(load_bundle(model), threads=0)
    with (
        from_frame(simulate(50)) as log,
        pytest.raises(UsageError, match="before the training's as_of"),
    ):
        score_log(log, scorer, AS_OF - DAY, tmp_path / "scores", 100)
    assert not list(tmp_path.iterdir())
