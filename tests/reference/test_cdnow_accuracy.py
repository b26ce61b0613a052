"""On the CDNOW log, against outcomes read straight from its rows: the accuracy that we claim."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from stagecast.features.clock import parse_instant
from stagecast.features.demo import cdnow_frame, cdnow_log
from stagecast.serving.scoring.scorer import Scorer
from stagecast.training.bundle import load_bundle, save_bundle
from stagecast.training.config import TrainConfig
from stagecast.training.models import predict
from stagecast.training.train import Training, train
from tests.training.made import unevaluated

pytestmark = pytest.mark.slow
AS_OF = parse_instant("1998-01-01")


@pytest.fixture(
    scope="module",
    params=[1, pytest.param(TrainConfig.max_dates, marks=pytest.mark.long)],
    ids=lambda dates: f"{dates} past dates",
)
def training(request: pytest.FixtureRequest) -> Training:
    """Train on all customers: on the newest past date alone, and on as many as users do.

    The evaluation fits all models once more, and does not change the scores: the former goes
    without.
    """
    is_evaluated = request.param > 1
    with cdnow_log() as log, nullcontext() if is_evaluated else unevaluated():
        return train(log.con, AS_OF, TrainConfig(max_dates=request.param))


@pytest.fixture(scope="module")
def scores(training: Training, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("cdnow") / "model"
    save_bundle(folder, training.models, AS_OF, training.data_cutoff, {})
    scorer = Scorer(load_bundle(folder), threads=0, with_reasons=False)
    table = scorer.score(training.panel.now, training.data_cutoff)
    return table.to_pandas().set_index("customer_id")


@pytest.fixture(scope="module")
def inactive(scores: pd.DataFrame) -> np.ndarray:
    """Read who bought nothing in the 90 days from the as_of, past all of our code."""
    frame = cdnow_frame()
    start = pd.Timestamp("1998-01-01")
    after = frame[
        (frame["timestamp"] >= start) & (frame["timestamp"] < start + pd.Timedelta(days=90))
    ]
    return np.asarray(~scores.index.isin(after["customer_id"]))


def test_churn_is_as_accurate_as_claimed(scores: pd.DataFrame, inactive: np.ndarray) -> None:
    p = scores["p_inactive"].to_numpy()
    assert len(p) == 23_570
    assert set(scores["method"]) == {"blend"}
    assert log_loss(inactive, p) <= 0.347
    assert roc_auc_score(inactive, p) >= 0.806


def test_probabilities_are_calibrated(scores: pd.DataFrame, inactive: np.ndarray) -> None:
    p = scores["p_inactive"].to_numpy()
    tenths = np.array_split(np.argsort(p, kind="stable"), 10)
    gaps = [abs(p[part].mean() - inactive[part].mean()) for part in tenths]
    assert np.mean(gaps) <= 0.03


def test_stage_probabilities_sum_to_one(scores: pd.DataFrame) -> None:
    stages = scores.filter(like="p_stage_").to_numpy()
    assert stages.shape == (23_570, 8)
    assert np.abs(stages.sum(axis=1) - 1).max() <= 1e-12


def test_the_next_stage_is_foretold_better_than_by_a_markov_chain(training: Training) -> None:
    """Stages at the end are those of the same rules, walked over the log with the 90 days in it."""
    from stagecast.features.engines.duckdb import DailyTable
    from stagecast.features.stages.lifecycle import fit_lifecycle

    models, now = training.models, training.panel.now
    end = parse_instant("1998-04-01")
    with cdnow_log() as log:
        table = DailyTable(log.con, end)
        journeys = fit_lifecycle(table, models.scheme, 90).journeys
        stage, _ = journeys.at(
            (end - parse_instant("1970-01-01")) // pd.Timedelta(microseconds=1), len(now.ids)
        )
        assert table.customers.tolist() == now.ids.tolist()
    reached = stage[now.customer]
    rows = np.arange(len(reached))
    ours = predict(models, now).p_stage[rows, reached]
    chain = models.next_stage.chain[now.stage][rows, reached]
    assert (ours > 0).all()
    assert -np.log(ours).mean() < 0.9 * -np.log(chain).mean()


@pytest.mark.parametrize(
    "training", [pytest.param(TrainConfig.max_dates, marks=pytest.mark.long)], indirect=True
)
def test_the_card_shows_a_fair_comparison(training: Training) -> None:
    """Of each training; `tests/training/test_train.py` asks it of a smaller shop."""
    assert training.evaluation is not None
    assert training.evaluation.as_of == "1997-10-03"
    assert training.evaluation.customers > 23_000
