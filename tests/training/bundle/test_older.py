"""Bundles of older formats: each format that was released since 8 stands here, and scores as then.

``of_formats/format-N`` is a bundle as that version wrote it, ``of_formats/format-N-scores.json``
what it scored then. A change of the format adds a folder, and a step to ``UPGRADES`` of
``training/bundle/formats.py``; the folders of before stay.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from stagecast.serving.scoring.pyfunc import score_events
from stagecast.serving.scoring.scorer import load_scorer
from stagecast.training.bundle import FORMAT, OLDEST_FORMAT
from tests.training.bundle.formats import FOLDER


def test_every_format_that_is_read_stands_here() -> None:
    stored_formats = {int(path.name.removeprefix("format-")) for path in FOLDER.glob("format-?")}
    assert stored_formats == set(range(OLDEST_FORMAT, FORMAT + 1))


@pytest.mark.parametrize("number", range(OLDEST_FORMAT, FORMAT + 1))
def test_a_bundle_of_an_older_format_scores_as_it_did(number: int) -> None:
    events = pd.read_csv(FOLDER / "events.csv")
    scores = score_events(load_scorer(FOLDER / f"format-{number}"), events, "2021-02-04")
    golden = pd.DataFrame(json.loads((FOLDER / f"format-{number}-scores.json").read_text()))
    assert len(golden) == 20
    for name in golden:
        if pd.api.types.is_numeric_dtype(golden[name]):
            actual = scores[name].to_numpy(dtype=float)
            expected = golden[name].to_numpy(dtype=float)
            np.testing.assert_allclose(actual, expected, rtol=1e-6, err_msg=str(name))
        else:
            assert scores[name].tolist() == golden[name].tolist(), name
